"""What the alert rules see of the world: one figure set of one thing at one moment. None is "not known", never zero.

The same observations come from a recorded history and from a live network; the rules cannot tell them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from typing import Any, TypeVar

from aggregator.publish.alerts.instant import Instant, show_instant

O = TypeVar("O", bound="Observed")  # noqa: E741


@dataclass(frozen=True, slots=True)
class Observed:
    """Base: `t` is when it was observed, `block` where that is known."""

    t: Instant
    block: int | None = field(default=None, kw_only=True)

    def canonical(self) -> str:
        """The observation as text, the same for the same content whatever it was read from."""
        content = {one.name: getattr(self, one.name) for one in fields(self)}
        content |= {"t": show_instant(self.t), "kind": KINDS[type(self)]}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        return sha256(self.canonical().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class MarketObserved(Observed):
    """A lending market. `collateral` is empty for a pooled reserve, where `loan` names what is supplied and borrowed."""

    protocol: str
    chain: str
    market: str
    collateral: str
    loan: str
    supply_usd: float | None
    borrow_usd: float | None


@dataclass(frozen=True, slots=True)
class PriceObserved(Observed):
    """A price in USD. A `source` that is an oracle says what contracts use; all others say what the market pays."""

    asset: str
    usd: float | None
    source: str = ""
    venue: str = ""


@dataclass(frozen=True, slots=True)
class AllocationObserved(Observed):
    """What a vault has supplied to a market, and who decides over the vault."""

    vault: str
    chain: str
    market: str
    usd: float | None
    curator: str = ""


@dataclass(frozen=True, slots=True)
class BackingObserved(Observed):
    """What a token is backed by: share of its backing by underlying."""

    token: str
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BridgeObserved(Observed):
    """Both sides of a bridge's ledger, in tokens. `minted` by chain, None for a chain that could not be read."""

    token: str
    bridge: str
    locked: float | None
    minted: Mapping[str, float | None]
    in_flight: float | None = None


@dataclass(frozen=True, slots=True)
class ProtocolObserved(Observed):
    protocol: str
    tvl_usd: float | None
    chain: str = ""


@dataclass(frozen=True, slots=True)
class WalletObserved(Observed):
    """A margin account. `distance`: the nearest price move, as a share, that makes it liquidatable; `trapped_usd`: collateral that
    cannot help where it is needed."""

    owner: str
    chain: str
    protocol: str
    market: str
    health_factor: float | None
    shadow_health_factor: float | None = None
    collateral_usd: float | None = None
    debt_usd: float | None = None
    distance: float | None = None
    trapped_usd: float | None = None


@dataclass(frozen=True, slots=True)
class CurveObserved(Observed):
    """What a population's curve says of a market, or of all of a protocol on a chain where `market` is empty."""

    protocol: str
    chain: str
    market: str
    liquidatable_debt_usd: float | None
    """with collateral 10 % lower"""
    spiral_distance: float | None = None
    """smallest fall from which sales feed themselves, a share"""


@dataclass(frozen=True, slots=True)
class ReplacedObserved(Observed):
    """Blocks of a chain, from `block` on, were replaced by others: what was observed there did not happen. `owner`: whose accounts were
    read there and not yet anew; empty where it is about everything."""

    chain: str
    owner: str = ""

    @property
    def first(self) -> int:
        return self.block or 0


KINDS: dict[type[Observed], str] = {
    MarketObserved: "market",
    PriceObserved: "price",
    AllocationObserved: "allocation",
    BackingObserved: "backing",
    BridgeObserved: "bridge",
    ProtocolObserved: "protocol",
    WalletObserved: "wallet",
    CurveObserved: "curve",
    ReplacedObserved: "replaced",
}


def chain_of(observed: Observed) -> str:
    """The chain that an observation was read from, empty where it does not say; a price's stands in its venue."""
    if isinstance(observed, PriceObserved):
        return observed.venue.partition("/")[0]
    return str(getattr(observed, "chain", ""))


def blocks_of(observed: Iterable[Observed]) -> dict[str, int]:
    """The newest block by chain that observations were made at, where they tell it."""
    found: dict[str, int] = {}
    for one in observed:
        if one.block is not None and (chain := chain_of(one)):
            found[chain] = max(one.block, found.get(chain, 0))
    return dict(sorted(found.items()))


def unknown(observed: O) -> O:
    """The same observation with nothing known of its figures."""
    names = {one.name for one in fields(observed)} & set(_FIGURES)
    figures: dict[str, Any] = dict.fromkeys(names)
    if isinstance(observed, BridgeObserved):
        figures["minted"] = dict.fromkeys(observed.minted)
    return replace(observed, **figures)


_FIGURES = ("usd", "supply_usd", "borrow_usd", "tvl_usd", "liquidatable_debt_usd", "spiral_distance", "locked", "in_flight")
