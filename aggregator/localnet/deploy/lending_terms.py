"""How a lending market is described before it is deployed: reserves, their terms and oracles, e-modes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedOracle:
    """The feed itself: ``address`` must be one of its proxies."""

    address: str
    feed: str


@dataclass(frozen=True, slots=True)
class StableOracle:
    """A feed capped above the dollar; ``cap`` in the feed's own 8 decimals."""

    address: str
    feed: str
    cap: int = 104_000_000


@dataclass(frozen=True, slots=True)
class FixedOracle:
    """A constant ``price`` with 8 decimals."""

    address: str
    price: int = 100_000_000


@dataclass(frozen=True, slots=True)
class ProductOracle:
    """Two feeds multiplied."""

    address: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class RatioOracle:
    """``base`` (a feed's description, or another listed symbol's oracle as ``"oracle of X"``) times a ratio.

    The ratio is read from ``provider`` by ``getter``: a token's symbol (or ``"feed:description"``), 18 decimals;
    ``growth``: the most it may grow in a year, basis points.
    """

    address: str
    base: str
    provider: str
    getter: str
    growth: int


Oracle = FeedOracle | StableOracle | FixedOracle | ProductOracle | RatioOracle


@dataclass(frozen=True, slots=True)
class Reserve:
    """``collateral``: LTV, liquidation threshold and bonus in basis points (all zero: none outside e-modes).

    ``caps``: supply and borrow cap in whole tokens, a borrow cap of zero meaning that it cannot be borrowed;
    ``rates``: optimal usage, base rate and the two slopes in basis points; ``supplied``: millions of USD that the
    house supplies; ``used``: per cent of it that is lent out; ``ceiling``: an isolated asset's debt ceiling in USD.
    """

    symbol: str
    collateral: tuple[int, int, int]
    caps: tuple[int, int]
    rates: tuple[int, int, int, int]
    factor: int
    supplied: int
    used: int
    oracle: Oracle
    a_token: str = ""
    ceiling: int = 0
    siloed: bool = False
    in_isolation: bool = False
    closed: str = ""  # "frozen" or "paused", once owners have their positions
    stable_rate: bool = False  # only the older generation


@dataclass(frozen=True, slots=True)
class EMode:
    """A category: collateral and borrowable symbols; ``ltv_zero``: collateral that counts for health alone.

    In the older generation every member is both (as far as its reserve allows it), and a category may have one price
    for all of them: ``price_source``.
    """

    number: int
    label: str
    terms: tuple[int, int, int]
    collateral: tuple[str, ...]
    borrowable: tuple[str, ...]
    ltv_zero: tuple[str, ...] = ()
    price_source: FixedOracle | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """One deployment of the protocol."""

    identifier: str
    prefix: str
    provider: str
    pool: str
    oracle: str
    data_provider: str
    ui_data_provider: str
    treasury: str
    reserves: tuple[Reserve, ...]
    e_modes: tuple[EMode, ...]
    sentinel: str = ""
