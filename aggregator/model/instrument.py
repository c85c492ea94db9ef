"""Traded instruments, what is held of them, and a venue's margin accounts as first-class objects.

Sizes are signed Decimals: positive is long. What one contract stands for:

- SPOT: `contract_size` units of the asset named by `symbol`; a negative size is borrowed.
- linear PERPETUAL and FUTURE, every CALL and PUT: `contract_size` units of the underlying.
- inverse PERPETUAL and FUTURE: `contract_size` units of the quote currency, settled in the underlying: worth N·(1/entry − 1/mark) coins.
- inverse CALL and PUT: premium and pay-off are paid in the underlying: max(S − K, 0)/S coins for a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from aggregator.model.identifiers import AccountId, AssetId


class InstrumentKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    CALL = "call"
    PUT = "put"

    @property
    def is_option(self) -> bool:
        return self in (InstrumentKind.CALL, InstrumentKind.PUT)

    @property
    def is_derivative(self) -> bool:
        return self is not InstrumentKind.SPOT


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing. ValueError where the fields contradict the kind.

    `underlying` is the risk factor it follows, such as `ETH` (the same names as `Token.factor`); for SPOT the asset itself is `symbol`
    (`weETH`) and `underlying` the factor behind it.
    """

    kind: InstrumentKind
    underlying: str
    expiry: int | None = None
    """seconds since the epoch; None for SPOT and PERPETUAL"""
    strike: Decimal | None = None
    """in the quote currency; None unless an option"""
    contract_size: Decimal = Decimal(1)
    inverse: bool = False
    settlement: str = "USDC"
    """symbol of the asset that profit, loss and premium are paid in"""
    quote: str = "USD"
    venue: str = ""
    symbol: str = ""
    """the venue's own name, for SPOT the asset's symbol"""

    def __post_init__(self) -> None:
        if not self.underlying:
            raise ValueError("an instrument needs an underlying")
        if (self.expiry is not None) != (self.kind.is_option or self.kind is InstrumentKind.FUTURE):
            raise ValueError(f"a {self.kind} {'needs' if self.expiry is None else 'has no'} expiry")
        if (self.strike is not None) != self.kind.is_option:
            raise ValueError(f"a {self.kind} {'needs a' if self.strike is None else 'has no'} strike")
        if self.strike is not None and not (self.strike.is_finite() and self.strike >= 0):
            raise ValueError(f"strike {self.strike} is not a price")
        if not (self.contract_size.is_finite() and self.contract_size > 0):
            raise ValueError(f"contract size {self.contract_size} is not positive")

    @property
    def label(self) -> str:
        """The venue's name, or one made of the parts: `ETH perpetual`, `ETH 2025-02-28 3000 call`."""
        if self.symbol:
            return self.symbol
        parts = [self.underlying, _day(self.expiry), "" if self.strike is None else f"{self.strike:f}"]
        return " ".join([*(part for part in parts if part), self.kind.value])


@dataclass(frozen=True, slots=True)
class Greeks:
    """Sensitivities of one unit of the underlying as the venue states them, in its own conventions: the adapter's page says which."""

    delta: Decimal
    gamma: Decimal
    vega: Decimal
    theta: Decimal


@dataclass(frozen=True, slots=True)
class Holding:
    """A signed number of contracts. Money is in the settlement asset; None is not known, never zero."""

    instrument: Instrument
    size: Decimal
    mark_price: Decimal | None = None
    """the venue's, in the quote currency; for an option the premium of one unit of the underlying"""
    entry_price: Decimal | None = None
    unrealised: Decimal | None = None
    """profit not yet settled into cash, without funding"""
    funding: Decimal | None = None
    """funding accrued and not yet settled; positive is received"""
    liquidation_price: Decimal | None = None
    """as the venue states it"""
    margin: Decimal | None = None
    """collateral set apart for this position where it is margined alone"""
    leverage: Decimal | None = None
    """the leverage chosen for it at the venue"""
    greeks: Greeks | None = None
    """of an option, where the venue states them"""

    def __post_init__(self) -> None:
        if not self.size.is_finite():
            raise ValueError(f"size of {self.instrument.label} is {self.size}")

    @property
    def units(self) -> Decimal:
        """Contracts times contract size: units of the underlying, or of the quote currency for an inverse perpetual or future."""
        return self.size * self.instrument.contract_size


class MarginMode(StrEnum):
    CROSS = "cross"
    """one pool of collateral behind all positions of the account"""
    ISOLATED = "isolated"
    """collateral of its own behind each position"""
    PORTFOLIO = "portfolio-margin"
    """one pool, required by the risk of all positions together"""


@dataclass(frozen=True, slots=True)
class VenueBalance:
    """Cash or collateral at a venue, in whole units; a negative amount is borrowed."""

    symbol: str
    amount: Decimal
    price_usd: Decimal | None = None
    """the venue's index price"""
    asset: AssetId | None = None
    """CAIP-19 id where it is known, so that the risk of the asset itself can be followed"""
    collateral_weight: Decimal | None = None
    """share of its value that counts, as the venue states it"""
    withdrawable: Decimal | None = None


@dataclass(frozen=True, slots=True)
class VenueFigures:
    """What the venue itself says of the account, in USD. None where it says nothing."""

    equity: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    margin_ratio: Decimal | None = None
    """in the venue's own direction; the adapter's page says which"""
    liquidatable: bool | None = None


@dataclass(frozen=True, slots=True)
class VenueParameters:
    """Margin parameters in force for the account when it was read. They change over time, so they are kept with the snapshot."""

    as_of_ms: int
    """milliseconds since the epoch"""
    source: str
    values: Mapping[str, Decimal | int | bool | str] = field(default_factory=dict)
    """by the venue's own dotted name, such as `ETH.max_leverage`"""


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """What a trading venue liquidates as one: a cross pool, an isolated position, a portfolio-margin pool."""

    venue: str
    """slug, such as `hyperliquid`"""
    account: str
    """the venue's id of the account: address, subaccount number, perp dex"""
    owner: AccountId
    mode: MarginMode
    balances: tuple[VenueBalance, ...]
    holdings: tuple[Holding, ...]
    as_of_ms: int
    """venue time, milliseconds since the epoch"""
    figures: VenueFigures = VenueFigures()
    parameters: VenueParameters | None = None
    collateral_symbol: str = "USDC"
    """what the account is denominated and settled in"""
    shares_collateral_with: str | None = None
    """`account` of the pool whose balances this one already counts: such balances are never added twice"""
    label: str = ""
    """for people"""


def _day(expiry: int | None) -> str:
    """The day of an expiry, UTC; the number itself beyond the calendar."""
    if expiry is None:
        return ""
    try:
        return datetime.fromtimestamp(expiry, UTC).strftime("%Y-%m-%d")
    except (OverflowError, ValueError, OSError):
        return str(expiry)
