"""Positions, their legs, and the margin accounts that protocols liquidate as one.

A leg is an amount of one asset on one side. Adapters give amounts as integers, exactly as the protocol would pay or ask them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from aggregator.model.identifiers import Address, AssetId, ChainId


class Side(StrEnum):
    COLLATERAL = "collateral"
    """backs debt in its margin account, or is supplied and could"""
    DEBT = "debt"
    IDLE = "idle"
    """owned outside any margin account"""
    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        """+1 for what is owned, −1 for what is owed."""
        return -1 if self in (Side.DEBT, Side.SHORT) else 1


@dataclass(frozen=True, slots=True)
class Component:
    """What an amount of a token is made of, one level down; `parts` go further until plain assets."""

    asset: AssetId
    symbol: str
    amount: int
    decimals: int
    parts: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True)
class MarginTerms:
    """What the protocol says of a leg inside its margin account.

    Fractions are of 1. `oracle_value` is the leg's value at the protocol's own oracle, in the margin account's numeraire,
    rounded as the protocol rounds; None where the oracle did not answer.
    """

    oracle_value: Decimal | None
    loan_to_value: Decimal = Decimal(0)
    liquidation_threshold: Decimal = Decimal(0)
    """0 for supplied assets that do not count as collateral"""
    liquidation_bonus: Decimal = Decimal(0)
    oracle_price_usd: Decimal | None = None
    """the protocol oracle's price of one whole token, where it is quoted in USD"""
    yearly_rate: Decimal | None = None
    """at which the amount grows now: interest earned or owed a year of 365 days, a fraction, compounded all the time; None where
    not read"""


@dataclass(frozen=True, slots=True)
class Leg:
    """An amount (raw units, ≥ 0) of one asset on one side."""

    asset: AssetId
    symbol: str
    decimals: int
    side: Side
    amount: int
    fees: int = 0
    """uncollected fees of an LP leg, raw units, beside `amount`"""
    look_through: tuple[Component, ...] = ()
    """filled by the adapter where the protocol gives an exact conversion, else by the composition step"""
    terms: MarginTerms | None = None
    redeemable: int | None = None
    """raw units of `asset` that can be withdrawn right now; None where the question does not arise or was not answered"""


@dataclass(frozen=True, slots=True)
class ConcentratedRange:
    """A v3/v4 range with what a revaluation under other prices needs. Prices are sqrt(token1/token0) · 2^96, raw units."""

    liquidity: int
    sqrt_price_x96: int
    sqrt_lower_x96: int
    sqrt_upper_x96: int


@dataclass(frozen=True, slots=True)
class Position:
    """Something an owner has in one market of one protocol."""

    chain: ChainId
    protocol: str
    market: str
    owner: Address
    legs: tuple[Leg, ...]
    identifiers: Mapping[str, str] = field(default_factory=dict)
    """such as `token_id`; for people and for finding it again"""
    range: ConcentratedRange | None = None
    constant_product: bool = False
    """a full-range pair: its look-through reprices as √(p0·p1)"""


class MarginAccountKind(StrEnum):
    LENDING = "lending"
    CDP = "cdp"
    PERP = "perp"
    OPTIONS = "options"


@dataclass(frozen=True, slots=True)
class MarginAccount:
    """What a protocol liquidates as one: an Aave user in one pool, a Morpho user in one market.

    `health_factor` is the protocol's own, as a wad (1e18), rounded as the protocol rounds; None with `debt_free` True where
    there is no debt, None with `debt_free` False where it could not be read (the reason stands in the gaps).
    `collateral_value`, `debt_value` in `numeraire` at the protocol's oracle. Bad debt (debt without collateral) is an account like
    any other.
    """

    chain: ChainId
    protocol: str
    market: str
    owner: Address
    kind: MarginAccountKind
    positions: tuple[Position, ...]
    health_factor: int | None
    debt_free: bool
    liquidatable: bool | None
    """by the protocol's own rule, decided in integers; None where unknown"""
    numeraire: str
    """`USD`, or the CAIP-19 id of the asset the protocol counts in"""
    collateral_value: Decimal | None
    debt_value: Decimal | None
    liquidation_threshold: Decimal | None
    """average over collateral as the protocol states it, a fraction of 1"""
    close_factor: Decimal = Decimal(1)
    """share of the debt that one liquidation may repay at the current health"""
    liquidation_blocked: str | None = None
    """why nobody can liquidate although the rule says so, for example a sequencer's grace period"""
    market_label: str = ""
    """for people, for example `wstETH/USDC 86 %`"""

    @property
    def legs(self) -> tuple[Leg, ...]:
        return tuple(leg for position in self.positions for leg in position.legs)
