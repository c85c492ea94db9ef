"""What happens to a system from outside: shocks that compose. All of them strike together, before anything reacts.

Tokens and assets are named by the token's name in the composition, or an asset's id or symbol in the population; falls are shares of 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aggregator.contagion.bridges import Allocation
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class PriceShock:
    """A price falls, with it whatever is made of the asset; below 0 it rises."""

    name: str
    fall: float


@dataclass(frozen=True, slots=True)
class Depeg:
    """The market alone pays less: what stands behind the token stays. Stablecoins off par, discounts of staking tokens."""

    name: str
    fall: float


@dataclass(frozen=True, slots=True)
class ProtocolLoss:
    """A share of what stands behind a token is gone, and contracts' exchange rates do not show it."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Slashing:
    """A share of what stands behind a staking token is gone, and its contract's exchange rate says so."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class OracleFreeze:
    """Oracles of an asset say no more than they did."""

    name: str


@dataclass(frozen=True, slots=True)
class OracleLie:
    """Oracles of an asset say a price, USD, whatever markets do."""

    name: str
    price: float


@dataclass(frozen=True, slots=True)
class OracleLag:
    """Oracles of an asset say what the market was so many seconds ago."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BridgeDeficit:
    """Tokens are missing behind a bridge: borne as `allocation` says, `by_chain` for a deficit of single chains."""

    bridge: str
    deficit: float
    allocation: Allocation = Allocation.BRIDGED
    by_chain: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BridgeFreeze:
    """Nothing crosses a bridge: tokens keep what stands behind them, but markets on the far side have their own depth only, the share
    `depth_left` of all."""

    bridge: str
    depth_left: float


@dataclass(frozen=True, slots=True)
class StablecoinRun:
    """Holders redeem a share of a token at par, out of its reserves in the order of their liquidity."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class LiquidityWithdrawal:
    """Only a share of an asset's market depth is left."""

    name: str
    left: float


@dataclass(frozen=True, slots=True)
class SupplierRun:
    """Suppliers of a market's pool want a share of it back; `market` is its name or its label, `name` the asset."""

    market: str
    name: str
    share: float


@dataclass(frozen=True, slots=True)
class MarketPause:
    """Nobody can be liquidated in a market."""

    market: str


Shock: TypeAlias = (
    PriceShock
    | Depeg
    | ProtocolLoss
    | Slashing
    | OracleFreeze
    | OracleLie
    | OracleLag
    | BridgeDeficit
    | BridgeFreeze
    | StablecoinRun
    | LiquidityWithdrawal
    | SupplierRun
    | MarketPause
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A name and its shocks. InputError where a share is none."""

    name: str
    shocks: tuple[Shock, ...] = ()

    def __post_init__(self) -> None:
        for shock in self.shocks:
            _check(shock)


def _check(shock: Shock) -> None:
    match shock:
        case PriceShock(name, fall) | Depeg(name, fall):
            _within(name, "a fall", fall, float("-inf"), 1.0)
        case ProtocolLoss(name, share) | Slashing(name, share) | StablecoinRun(name, share) | SupplierRun(_, name, share):
            _within(name, "a share", share, 0.0, 1.0)
        case LiquidityWithdrawal(name, left) | BridgeFreeze(name, left):
            if not 0.0 < left <= 1.0:
                raise InputError(f"{name}: the share of depth that is left is {left:g}; expected above 0 and up to 1")
        case OracleLie(name, price):
            _within(name, "a stated price", price, 0.0, float("inf"))
        case OracleLag(name, seconds):
            _within(name, "a lag", seconds, 0.0, float("inf"))
        case BridgeDeficit(bridge, deficit):
            _within(bridge, "a deficit", deficit, 0.0, float("inf"))
        case OracleFreeze() | MarketPause():
            pass


def _within(name: str, what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high or abs(value) == float("inf"):
        raise InputError(f"{name}: {what} is {value:g}; expected {low:g} to {high:g}")


_TEXT = re.compile(r"(?P<kind>[a-z-]+):(?P<name>[^=]+)(?:=(?P<value>.+))?")


def shock_from_text(text: str) -> Shock:
    """A shock as one writes it: `kind:NAME=VALUE`. InputError says what was expected.

    `price:ETH=-30%` · `depeg:USDe=-35%` · `loss:xUSD=93%` · `slashing:stETH=5%` · `run:USDe=20%` · `depth:weETH=40%` (what is left) ·
    `oracle-freeze:xUSD` · `oracle-lie:xUSD=1.26` · `oracle-lag:ETH=3600` · `bridge-deficit:LayerZero=116500` (borne by bridged holders) ·
    `bridge-freeze:LayerZero=10%` (depth left) · `pause:MARKET` · `outflow:MARKET/USDC=60%`
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no shock; expected kind:NAME=VALUE such as price:ETH=-30%")
    kind, name, value = found["kind"], found["name"].strip(), found["value"]
    if kind == "oracle-freeze":
        return OracleFreeze(name)
    if kind == "pause":
        return MarketPause(name)
    if value is None:
        raise InputError(f"{text!r}: {kind} needs a value, as in {kind}:{name}=10%")
    amount = _number(text, value)
    match kind:
        case "price":
            return PriceShock(name, -amount)
        case "depeg":
            return Depeg(name, -amount)
        case "loss":
            return ProtocolLoss(name, abs(amount))
        case "slashing":
            return Slashing(name, abs(amount))
        case "run":
            return StablecoinRun(name, amount)
        case "depth":
            return LiquidityWithdrawal(name, amount)
        case "oracle-lie":
            return OracleLie(name, amount)
        case "oracle-lag":
            return OracleLag(name, amount)
        case "bridge-deficit":
            return BridgeDeficit(name, amount)
        case "bridge-freeze":
            return BridgeFreeze(name, amount)
        case "outflow":
            market, slash, asset = name.rpartition("/")
            if not slash:
                raise InputError(f"{text!r}: an outflow names a market and an asset, as in outflow:MARKET/USDC=60%")
            return SupplierRun(market, asset, amount)
    raise InputError(f"{text!r}: there is no shock {kind!r}")


def _number(text: str, value: str) -> float:
    percent = value.strip().endswith("%")
    try:
        amount = float(value.strip().removesuffix("%").replace("−", "-"))
    except ValueError:
        raise InputError(f"{text!r}: {value!r} is not a number or a percentage") from None
    return amount / 100.0 if percent else amount
