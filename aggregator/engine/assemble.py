"""From what adapters found to one portfolio in which no token unit stands twice. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aggregator.model.composition import Composition, look_through
from aggregator.model.identifiers import AccountId, AssetId
from aggregator.model.instrument import VenueAccount
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Component, Leg, MarginAccount, Position
from aggregator.model.snapshot import Gap, Remark, Snapshot
from aggregator.model.token import Token, TokenKind
from aggregator.reading.adapter import Holdings


@dataclass(frozen=True, slots=True)
class Found:
    """One adapter's holdings and whose they are."""

    slug: str
    holdings: Holdings


def assemble(
    owners: tuple[AccountId, ...],
    snapshots: tuple[Snapshot, ...],
    found: Sequence[Found],
    listed: Callable[[AssetId], Token | None],
    gaps: Iterable[Gap] = (),
    remarks: Iterable[Remark] = (),
) -> Portfolio:
    """One portfolio. Positions in receipt tokens that another adapter claims are dropped; legs are looked through.

    `listed` gives the registry's token of an asset, which holdings need not repeat. The order of
    `found` decides nothing but which of two equal compositions stays.
    """
    compositions = merge_compositions(item.holdings for item in found)
    claimed_by: dict[AssetId, set[str]] = {}
    for item in found:
        for asset in item.holdings.claims:
            claimed_by.setdefault(asset, set()).add(item.slug)
    positions = [
        _looked_through(position, compositions)
        for item in found
        for position in item.holdings.positions
        if not any(claimed_by.get(leg.asset, set()) - {item.slug} for leg in position.legs)
    ]
    accounts = [
        replace(account, positions=tuple(_looked_through(position, compositions) for position in account.positions))
        for item in found
        for account in item.holdings.margin_accounts
    ]
    discovered = {token.asset: token for item in found for token in item.holdings.tokens}
    seen = set(_assets(positions, accounts))
    return Portfolio(
        owners=owners,
        snapshots=snapshots,
        margin_accounts=tuple(sorted(accounts, key=lambda a: (a.chain, a.protocol, a.market, a.owner))),
        positions=tuple(sorted(positions, key=lambda p: (p.chain, p.protocol, p.market, p.owner, tuple(p.identifiers.values())))),
        gaps=tuple(sorted({*gaps, *(gap for item in found for gap in item.holdings.gaps)})),
        warnings=tuple(sorted({*remarks, *(remark for item in found for remark in item.holdings.remarks)})),
        tokens={asset: listed(asset) or discovered.get(asset) or _unlisted(asset, positions, accounts) for asset in sorted(seen)},
        compositions=compositions,
        venue_accounts=_venue_accounts(found),
    )


def _venue_accounts(found: Iterable[Found]) -> tuple[VenueAccount, ...]:
    """Each account once, also where its owner and its owner's master were both asked for."""
    accounts: dict[tuple[str, str], VenueAccount] = {}
    for item in found:
        for account in item.holdings.venue_accounts:
            accounts.setdefault((account.venue, account.account), account)
    return tuple(accounts[key] for key in sorted(accounts))


def merge_compositions(holdings: Iterable[Holdings]) -> dict[AssetId, Composition]:
    """Compositions by asset; the first one of an asset stays."""
    merged: dict[AssetId, Composition] = {}
    for item in holdings:
        for composition in item.compositions:
            merged.setdefault(composition.asset, composition)
    return merged


def _looked_through(position: Position, compositions: Mapping[AssetId, Composition]) -> Position:
    if not any((not leg.look_through and leg.asset in compositions) or _shallow(leg.look_through, compositions) for leg in position.legs):
        return position
    return replace(position, legs=tuple(_leg(leg, compositions) for leg in position.legs))


def _leg(leg: Leg, compositions: Mapping[AssetId, Composition]) -> Leg:
    if not leg.look_through:
        return replace(leg, look_through=look_through(leg.asset, leg.amount + leg.fees, compositions))
    return replace(leg, look_through=tuple(_deepened(part, compositions) for part in leg.look_through))


def _deepened(part: Component, compositions: Mapping[AssetId, Composition]) -> Component:
    """An adapter's exact component, with what it is made of in turn."""
    parts = tuple(_deepened(p, compositions) for p in part.parts) or look_through(part.asset, part.amount, compositions)
    return replace(part, parts=parts)


def _shallow(parts: tuple[Component, ...], compositions: Mapping[AssetId, Composition]) -> bool:
    return any((not part.parts and part.asset in compositions) or _shallow(part.parts, compositions) for part in parts)


def _assets(positions: Iterable[Position], accounts: Iterable[MarginAccount]) -> Iterator[AssetId]:
    for leg in _legs(positions, accounts):
        yield leg.asset
        yield from (part.asset for part in _components(leg.look_through))


def _legs(positions: Iterable[Position], accounts: Iterable[MarginAccount]) -> Iterator[Leg]:
    for position in positions:
        yield from position.legs
    for account in accounts:
        yield from account.legs


def _components(parts: Iterable[Component]) -> Iterator[Component]:
    for part in parts:
        yield part
        yield from _components(part.parts)


def _unlisted(asset: AssetId, positions: Sequence[Position], accounts: Sequence[MarginAccount]) -> Token:
    """A token that neither the registry nor an adapter described: nobody vouches for it, so it is a risk factor of its own."""
    for item in _legs(positions, accounts):
        described: tuple[Leg | Component, ...] = (item, *_components(item.look_through))
        for candidate in described:
            if candidate.asset == asset:
                return Token(asset, candidate.symbol, candidate.decimals, TokenKind.UNKNOWN, asset, "unlisted")
    raise KeyError(asset)
