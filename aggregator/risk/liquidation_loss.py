"""What a liquidation takes from an owner, and who gets it: by the close factor and the bonus, until the account is healthy or empty.

    each step   repay R = min(close factor · debt, collateral / (1 + bonus)), seize R · (1 + bonus), at the protocol's oracle
    owner       loses what is seized minus what is repaid, both at the market
    liquidator  keeps that bonus minus slippage of selling, gas, and what block builders take of the rest

Collateral is taken in proportion, with the mean threshold and bonus of what counts. A liquidation that costs more than it brings does
not happen by itself: it is marked, and its figures are what it would take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MOST_STEPS = 64
_NEGLIGIBLE = 1e-9
"""of the debt: less than that is none"""


@dataclass(frozen=True, slots=True)
class LiquidationCosts:
    """What liquidators pay, in USD and fractions. Assumptions of this model, each a parameter.

    Gas: half a million units at 10 gwei and 3,000 USD on Ethereum, a few cents on rollups. Builders: on Ethereum an auction in every block
    leaves most of a liquidation's profit to them; a rollup's sequencer orders by arrival.
    """

    gas_usd: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"eip155:1": 15.0}))
    other_gas_usd: float = 0.2
    builder_share: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"eip155:1": 0.8}))
    other_builder_share: float = 0.0
    whole_below: float = 0.95
    """at or below this health one liquidation may repay the whole debt, where it could only repay a part above"""

    def gas(self, chain: str) -> float:
        """Of one liquidation on a chain."""
        return self.gas_usd.get(chain, self.other_gas_usd)

    def builders(self, chain: str) -> float:
        """Their share of what is left after slippage and gas."""
        return self.builder_share.get(chain, self.other_builder_share)


@dataclass(frozen=True, slots=True)
class Liquidated:
    """An account that is being liquidated. `collateral`, `debt`: what counts, at the protocol's oracle, in any unit.

    `collateral_usd`, `debt_usd`: the same at the market. `threshold`, `bonus`: means over the collateral. `impact`: share lost on
    selling the whole collateral at once; a part of it loses by the square root of its share less.
    """

    chain: str
    collateral: float
    debt: float
    collateral_usd: float
    debt_usd: float
    threshold: float
    bonus: float
    close_factor: float
    impact: float


@dataclass(frozen=True, slots=True)
class LiquidationLoss:
    """USD at the market."""

    repaid_usd: float
    seized_usd: float
    steps: int
    slippage_usd: float
    gas_usd: float
    builders_usd: float
    liquidator_usd: float
    """what is left to whoever does it; negative where it does not pay"""
    debt_left_usd: float
    bad_debt_usd: float
    """debt that no collateral stands behind any more"""
    health_after: float | None
    """None where nothing is owed any more"""

    @property
    def owner_usd(self) -> float:
        """The owner's loss."""
        return self.seized_usd - self.repaid_usd

    @property
    def pays(self) -> bool:
        """Whether somebody would do it."""
        return self.liquidator_usd > 0


def liquidation_loss(one: Liquidated, costs: LiquidationCosts) -> LiquidationLoss:
    """Loss of an account that is below its line."""
    collateral, debt, steps = one.collateral, one.debt, 0
    while debt > _NEGLIGIBLE * one.debt and collateral > _NEGLIGIBLE * one.debt and steps < MOST_STEPS:
        health = one.threshold * collateral / debt
        if health >= 1.0 and steps:
            break
        close = 1.0 if health <= costs.whole_below else one.close_factor
        repaid = min(close * debt, collateral / (1.0 + one.bonus))
        collateral, debt, steps = collateral - repaid * (1.0 + one.bonus), debt - repaid, steps + 1
    seized_share = 1.0 - collateral / one.collateral if one.collateral > 0 else 0.0
    repaid_share = 1.0 - debt / one.debt if one.debt > 0 else 0.0
    seized, repaid = one.collateral_usd * seized_share, one.debt_usd * repaid_share
    slippage = seized * one.impact * seized_share**0.5
    gas = steps * costs.gas(one.chain)
    profit = seized - repaid - slippage - gas
    builders = costs.builders(one.chain) * max(profit, 0.0)
    left = one.debt_usd - repaid
    empty = collateral <= _NEGLIGIBLE * one.debt
    clear = debt <= _NEGLIGIBLE * one.debt
    return LiquidationLoss(
        repaid_usd=repaid,
        seized_usd=seized,
        steps=steps,
        slippage_usd=slippage,
        gas_usd=gas,
        builders_usd=builders,
        liquidator_usd=profit - builders,
        debt_left_usd=0.0 if clear else left,
        bad_debt_usd=left if empty and not clear else 0.0,
        health_after=None if clear else one.threshold * collateral / debt,
    )
