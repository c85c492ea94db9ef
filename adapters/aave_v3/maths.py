"""Aave v3's account arithmetic in integers, in each generation's own order of operations.

Values in base currency have the oracle's unit (1e8 in USD markets), fractions are basis points, the health factor is a wad.
Sources, by path in aave-dao/aave-v3-origin (tags v3.1.0 … v3.6.0, main for 3.7) and aave/aave-v3-core (v1.19.3, which is 3.0.2):
`protocol/libraries/logic/GenericLogic.sol`, `LiquidationLogic.sol`, `ValidationLogic.sol`, `protocol/libraries/types/DataTypes.sol`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import IntEnum

from aggregator.model.units import BPS, UINT256_MAX, WAD, mul_div_down, mul_div_half_up, mul_div_up

CLOSE_FACTOR_HEALTH = 95 * WAD // 100
"""at or below this health the whole debt may be repaid; below it a sequencer's grace no longer protects"""
SMALL_POSITION = 2_000 * 10**8
"""from 3.3: a side of a liquidation worth less than this, in base units, is liquidated whole"""


class Generation(IntEnum):
    """What changed the arithmetic or the reading of it. Ordered, so that `>=` reads as `since`."""

    V3_0 = 300
    V3_1 = 310
    """virtual balances and liquidation grace periods"""
    V3_2 = 320
    """e-modes as bitmaps over reserves; no stable debt and no e-mode price any more"""
    V3_3 = 330
    """small positions are liquidated whole"""
    V3_4 = 340
    V3_5 = 350
    """debt is rounded up, and health is one division of the weighted sum instead of an average's percentage"""
    V3_6 = 360
    """an e-mode's threshold replaces the base one even where that is zero; collateral with a zero threshold counts as value"""
    V3_7 = 370
    """no isolation mode, siloed borrowing or sequencer sentinel; e-modes may be isolated"""

    @property
    def text(self) -> str:
        return f"{self.value // 100}.{self.value % 100 // 10}"

    @classmethod
    def parse(cls, text: str) -> Generation:
        """The generation written as `3.0` … `3.7`; ValueError for another text."""
        for generation in cls:
            if generation.text == text:
                return generation
        raise ValueError(f"{text!r} is not a known generation; expected one of {', '.join(g.text for g in cls)}")


REVISIONS = {
    1: Generation.V3_0,
    2: Generation.V3_0,
    3: Generation.V3_0,
    4: Generation.V3_1,
    5: Generation.V3_2,
    6: Generation.V3_2,
    7: Generation.V3_3,
    8: Generation.V3_4,
    9: Generation.V3_5,
    10: Generation.V3_6,
    11: Generation.V3_7,
}
"""POOL_REVISION of Aave's own releases. A fork counts its own upgrades, so its manifest names the generation instead."""


@dataclass(frozen=True, slots=True)
class ReserveConfiguration:
    """A reserve's configuration word, decoded; fractions in basis points, the bonus including the 100 %."""

    loan_to_value: int
    liquidation_threshold: int
    liquidation_bonus: int
    decimals: int
    active: bool
    frozen: bool
    borrowing: bool
    paused: bool
    borrowable_in_isolation: bool
    siloed: bool
    e_mode_category: int
    """3.0 and 3.1 only: the one category the reserve belongs to"""
    debt_ceiling: int
    """to 3.6: not 0 where the reserve isolates its borrower, in 1/100 of a base unit"""

    @classmethod
    def decode(cls, word: int) -> ReserveConfiguration:
        def bit(position: int) -> bool:
            return word >> position & 1 == 1

        def field(position: int, bits: int) -> int:
            return word >> position & (1 << bits) - 1

        return cls(
            loan_to_value=field(0, 16),
            liquidation_threshold=field(16, 16),
            liquidation_bonus=field(32, 16),
            decimals=field(48, 8),
            active=bit(56),
            frozen=bit(57),
            borrowing=bit(58),
            paused=bit(60),
            borrowable_in_isolation=bit(61),
            siloed=bit(62),
            e_mode_category=field(168, 8),
            debt_ceiling=field(212, 40),
        )


@dataclass(frozen=True, slots=True)
class EfficiencyMode:
    """An e-mode category. `price` (base units) replaces its assets' own price where it is not 0, in 3.0 and 3.1 only."""

    category: int
    loan_to_value: int
    liquidation_threshold: int
    liquidation_bonus: int
    label: str = ""
    price: int = 0
    collateral_bitmap: int = 0
    zero_ltv_bitmap: int = 0
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What a user's supply of a reserve counts for: basis points, the bonus including the 100 %."""

    loan_to_value: int
    liquidation_threshold: int
    liquidation_bonus: int


@dataclass(frozen=True, slots=True)
class Holding:
    """One user's amounts in one reserve, raw units; `price` of one whole token in base units."""

    reserve_id: int
    configuration: ReserveConfiguration
    price: int
    supplied: int
    variable_debt: int
    stable_debt: int
    is_collateral: bool
    is_borrowed: bool


@dataclass(frozen=True, slots=True)
class AccountData:
    """The six figures of Pool.getUserAccountData. `health_factor` is 2^256 − 1 where the debt is worth nothing."""

    collateral: int
    debt: int
    available_borrows: int
    liquidation_threshold: int
    loan_to_value: int
    health_factor: int


def in_e_mode(generation: Generation, reserve_id: int, configuration: ReserveConfiguration, mode: EfficiencyMode | None) -> bool:
    """Whether the user's e-mode covers this reserve as collateral."""
    if mode is None:
        return False
    if generation >= Generation.V3_2:
        return mode.collateral_bitmap >> reserve_id & 1 == 1
    return configuration.e_mode_category == mode.category


def effective_terms(generation: Generation, reserve_id: int, configuration: ReserveConfiguration, mode: EfficiencyMode | None) -> Terms:
    """LTV, threshold and bonus that a supply counts with if the user enables it as collateral.

    Before 3.6 a reserve whose own threshold is 0 never counts, and one whose own LTV is 0 lends nothing, whatever the e-mode says.
    """
    base = Terms(configuration.loan_to_value, configuration.liquidation_threshold, configuration.liquidation_bonus)
    if generation < Generation.V3_6 and base.liquidation_threshold == 0:
        return replace(base, loan_to_value=0)
    if mode is None or not in_e_mode(generation, reserve_id, configuration, mode):
        return base
    without_loan = mode.zero_ltv_bitmap >> reserve_id & 1 == 1 if generation >= Generation.V3_6 else base.loan_to_value == 0
    return Terms(0 if without_loan else mode.loan_to_value, mode.liquidation_threshold, mode.liquidation_bonus)


def effective_price(generation: Generation, configuration: ReserveConfiguration, price: int, mode: EfficiencyMode | None) -> int:
    """Price that a user's amounts are valued with: the e-mode's own one where it has one, in 3.0 and 3.1."""
    replaced = mode is not None and mode.price != 0 and generation < Generation.V3_2
    return mode.price if mode is not None and replaced and configuration.e_mode_category == mode.category else price


def collateral_value(amount: int, price: int, decimals: int) -> int:
    """Base value of a supply, rounded down in every generation."""
    return mul_div_down(amount, price, 10**decimals)


def debt_value(generation: Generation, amount: int, price: int, decimals: int) -> int:
    """Base value of a debt: up since 3.5, down before."""
    return (mul_div_up if generation >= Generation.V3_5 else mul_div_down)(amount, price, 10**decimals)


def account_data(generation: Generation, holdings: Iterable[Holding], mode: EfficiencyMode | None) -> AccountData:
    """Pool.getUserAccountData from its inputs, to the last unit. `mode` is None outside e-mode."""
    collateral = debt = weighted_loan = weighted_threshold = 0
    for holding in holdings:
        configuration = holding.configuration
        price = effective_price(generation, configuration, holding.price, mode)
        counts = generation >= Generation.V3_6 or configuration.liquidation_threshold != 0
        if holding.is_collateral and counts:
            terms = effective_terms(generation, holding.reserve_id, configuration, mode)
            value = collateral_value(holding.supplied, price, configuration.decimals)
            collateral += value
            weighted_loan += value * terms.loan_to_value
            weighted_threshold += value * terms.liquidation_threshold
        if holding.is_borrowed:
            debt += debt_value(generation, holding.variable_debt + holding.stable_debt, price, configuration.decimals)
    loan_to_value = weighted_loan // collateral if collateral else 0
    threshold = weighted_threshold // collateral if collateral else 0
    return AccountData(
        collateral,
        debt,
        _available_borrows(generation, collateral, debt, loan_to_value),
        threshold,
        loan_to_value,
        _health_factor(generation, collateral, debt, threshold, weighted_threshold),
    )


def _health_factor(generation: Generation, collateral: int, debt: int, threshold: int, weighted_threshold: int) -> int:
    if debt == 0:
        return UINT256_MAX
    if generation >= Generation.V3_5:
        return mul_div_half_up(weighted_threshold, WAD, debt) // BPS
    return mul_div_half_up(mul_div_half_up(collateral, threshold, BPS), WAD, debt)


def _available_borrows(generation: Generation, collateral: int, debt: int, loan_to_value: int) -> int:
    limit = (mul_div_down if generation >= Generation.V3_5 else mul_div_half_up)(collateral, loan_to_value, BPS)
    return max(limit - debt, 0)


def close_factor(generation: Generation, health_factor: int, largest_collateral: int, largest_debt: int) -> Decimal:
    """Share of the debt that one liquidation may repay, for the pair of reserves a liquidator gains most from.

    `largest_collateral`, `largest_debt`: base values of the largest eligible reserve on each side.
    """
    if health_factor <= CLOSE_FACTOR_HEALTH:
        return Decimal(1)
    if generation >= Generation.V3_3 and min(largest_collateral, largest_debt) < SMALL_POSITION:
        return Decimal(1)
    return Decimal("0.5")
