"""What alerts look at in an owner's document: the few numbers of each margin account, taken out where the document is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aggregator.engine.schema import HealthDocument, MarginAccountDocument, VenueAccountDocument
from aggregator.model.identifiers import Address, ChainId
from aggregator.publish.alerts.observations import WalletObserved
from aggregator.reading.venue_manifest import venue

TIMELESS = 0
"""the time of an observation before the desk gives it one"""
PORTFOLIO = "portfolio"
"""market of the row that speaks of everything an owner has"""
WHOLE = 1.0
"""distance of an account that no price by itself makes liquidatable: not even a fall to nothing"""


@dataclass(frozen=True, slots=True)
class OwnerSeen:
    """An owner as just assessed. `complete`: an account that is not among these is there no more."""

    owner: Address
    accounts: tuple[WalletObserved, ...]
    complete: bool


class Judge(Protocol):
    """Whoever decides what has to be told of owners' figures."""

    async def judge(self, seen: Sequence[OwnerSeen]) -> object:
        """Figures that are about to be stored: what matters of them is on the disk when this returns, so that none is ever told of
        which no rule has seen."""

    async def replaced(self, chain: ChainId, first: int) -> Collection[str]:
        """Blocks of a chain were replaced, from `first` on; owners who have to be read again because of what was told of them."""

    async def tell(self) -> None:
        """Tell what was judged and not told yet; once the figures that it is about can be read."""


def accounts_of(document: HealthDocument) -> tuple[WalletObserved, ...]:
    """One observation an account, with the block of its chain, and one for what is trapped of the whole; none has a time yet."""
    owner = document.owners[0].rpartition(":")[2].lower()
    blocks = {one.chain: one.block for one in document.snapshots}
    found = [_account(one, owner, blocks.get(one.chain)) for one in document.margin_accounts]
    found += [_venue_account(one, owner) for one in document.venue_accounts if one.maintenance_margin_usd is not None]
    trapped, held = document.health.trapped_collateral_usd, float(document.health.collateral_usd)
    if trapped is not None:
        found.append(WalletObserved(TIMELESS, owner, "", "", PORTFOLIO, None, None, held, None, None, float(trapped)))
    return tuple(found)


def closed(owner: Address, places: Iterable[tuple[str, str, str]]) -> list[WalletObserved]:
    """Accounts, by chain, protocol and market, that an owner no longer has: nothing is owed there."""
    return [WalletObserved(TIMELESS, owner, *place, None, debt_usd=0.0) for place in sorted(places)]


def _venue_account(one: VenueAccountDocument, owner: str) -> WalletObserved:
    """At a venue what must be covered is the maintenance margin, and what covers it is equity: their ratio is the health, below 1 is
    liquidated."""
    equity, needed = (None if text is None else float(text) for text in (one.equity_usd, one.maintenance_margin_usd))
    equity = max(equity, 0.0) if equity is not None else None
    health = equity / needed if equity is not None and needed else None
    chain = venue(one.venue).manifest.chain
    return WalletObserved(TIMELESS, owner, chain, one.venue, one.account, health, None, equity, needed, None)


def _account(one: MarginAccountDocument, owner: str, block: int | None) -> WalletObserved:
    health, shadow, debt = (None if text is None else float(text) for text in (one.health_factor, one.shadow_health_factor, one.debt_usd))
    moves = [abs(float(price.move)) for price in one.liquidation.prices]
    nearest = min(moves, default=None if health is None else WHOLE)
    return WalletObserved(
        TIMELESS, owner, one.chain, one.protocol, one.market, health, shadow, float(one.collateral_usd), debt, nearest, block=block
    )
