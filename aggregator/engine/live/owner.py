"""One followed owner, and who among the followed is concerned by what a block names. Pure bookkeeping."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Generic, TypeVar

from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.assemble import Found
from aggregator.engine.chain import ChainReading
from aggregator.engine.factors import factors
from aggregator.engine.live.assess import Assessed
from aggregator.engine.live.blocks import Touches
from aggregator.engine.snapshot import Picture
from aggregator.engine.venues import VenueReading
from aggregator.model.identifiers import Address, ChainId
from aggregator.model.position import Position
from aggregator.model.price import PriceQuality
from aggregator.model.snapshot import Block, SnapshotStatus
from aggregator.prices.answers import FeedAnswer, FeedAnswers
from aggregator.reading.adapter import Holdings
from aggregator.reading.catalogue import adapters

K = TypeVar("K")
_NUMBER = re.compile(r"(?<![\w:])\d+(?!\w)")
"""as positions are named; not the 1 of eip155:1"""


@dataclass(slots=True)
class Newest:
    """The largest number of a picture that came so far."""

    number: int = 0

    def take(self, number: int) -> bool:
        """Whether it is larger than every one before; from now on it is one of those."""
        newer = number > self.number
        self.number = max(self.number, number)
        return newer


@dataclass(slots=True, eq=False)
class Followed:
    """An owner whose picture is kept up to date, chain by chain."""

    owner: OwnerAddress
    watched: bool
    readings: dict[ChainId, ChainReading] = field(default_factory=dict)
    read_at: dict[ChainId, float] = field(default_factory=dict)
    """loop time of the last attempt"""
    venues: VenueReading | None = None
    """accounts at trading venues; None while nobody has asked the venues"""
    venues_told: dict[str, tuple[float, Found]] = field(default_factory=dict)
    """by venue what it told last without a gap, and the loop time at which it did"""
    venues_asked_at: float = float("-inf")
    picture: Picture | None = None
    assessed: Assessed | None = None
    """None before the first assessment and after a withdrawal"""
    asked_at: float = 0.0
    """loop time at which somebody asked last"""
    asked_for: asyncio.Lock = field(default_factory=asyncio.Lock)
    """held while it is read on every chain because somebody waits for it"""
    assessing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """one assessment at a time"""

    pictures: int = 0
    """how many were assessed; a picture's number is its place among them"""
    judged: Newest = field(default_factory=Newest)
    """the picture that alerts were judged by last"""
    published: Newest = field(default_factory=Newest)
    """the picture that is published or about to be"""

    @property
    def key(self) -> str:
        return owner_key(self.owner)

    def standing_on(self, chain: ChainId) -> Block | None:
        """The block of a chain that its figures stand on."""
        reading = self.readings.get(chain)
        return reading.snapshot.block if reading is not None else None


def owner_key(owner: OwnerAddress) -> str:
    """`0x…`, or `eip155:1:0x…` for an owner on one chain only."""
    return owner.address if owner.chain is None else f"{owner.chain}:{owner.address}"


def of_owner(reading: ChainReading, owner: Address, together: Iterable[Address]) -> ChainReading:
    """One owner's part of a reading of several. What names another of them, or another's position, is the other's; what names nobody
    stays everybody's."""
    others = tuple(one for one in together if one != owner)
    if not others:
        return reading

    def concerns(text: str, mine: Set[str] = frozenset(), theirs: Set[str] = frozenset()) -> bool:
        lowered = text.lower()
        if owner in lowered or any(other in lowered for other in others):
            return owner in lowered
        numbers = set(_NUMBER.findall(lowered))
        return bool(numbers & mine) or not numbers & theirs

    def holdings(found: Holdings) -> Holdings:
        mine, theirs = set[str](), set[str]()
        for position in found.positions:
            (mine if position.owner == owner else theirs).update(position.identifiers.values())
        return replace(
            found,
            margin_accounts=tuple(one for one in found.margin_accounts if one.owner == owner),
            positions=tuple(one for one in found.positions if one.owner == owner),
            gaps=tuple(gap for gap in found.gaps if concerns(f"{gap.what} {gap.why}", mine, theirs)),
            remarks=tuple(remark for remark in found.remarks if concerns(remark.detail, mine, theirs)),
        )

    found = tuple(Found(one.slug, holdings(one.holdings)) for one in reading.found)
    held = {factor for one in found for factor in factors(one.holdings)}
    return replace(
        reading,
        found=found,
        history=tuple(series for series in reading.history if series.factor in held),
        gaps=tuple(gap for gap in reading.gaps if concerns(f"{gap.what} {gap.why}")),
        remarks=tuple(remark for remark in reading.remarks if concerns(remark.detail)),
    )


def shared_gaps(reading: ChainReading, owners: Iterable[Address]) -> bool:
    """Whether something is missing that names none of the owners: only reading each alone tells whose it is."""
    named = tuple(owners)
    found = (*reading.gaps, *(gap for one in reading.found for gap in one.holdings.gaps))
    return any(gap.protocol != "*" and not any(owner in f"{gap.what} {gap.why}".lower() for owner in named) for gap in found)


def kept_though_silent(before: ChainReading, now: ChainReading) -> ChainReading:
    """What was read of a chain before it fell silent still stands, as old as it is, and says so."""
    return replace(
        before, snapshot=replace(before.snapshot, status=SnapshotStatus.STALE, detail=f"not reached since: {now.snapshot.detail}")
    )


class _Index(Generic[K]):
    """Owners by place; an owner's places are given all at once."""

    def __init__(self) -> None:
        self.owners: dict[K, set[str]] = {}
        self._places: dict[str, frozenset[K]] = {}

    def put(self, key: str, places: Iterable[K]) -> None:
        self.drop(key)
        self._places[key] = frozenset(places)
        for place in self._places[key]:
            self.owners.setdefault(place, set()).add(key)

    def drop(self, key: str) -> None:
        for place in self._places.pop(key, ()):
            self.owners[place].discard(key)
            if not self.owners[place]:
                del self.owners[place]

    def at(self, places: Iterable[K]) -> set[str]:
        return {key for place in places for key in self.owners.get(place, ())}


class Concerned:
    """From words in logs, and names of what prices move, to the owners concerned."""

    def __init__(self) -> None:
        self._words = _Index[str]()
        self._identifiers = _Index[tuple[ChainId, str, str]]()
        self._names = _Index[str]()

    def follow(self, one: Followed) -> None:
        """Take in an owner's present picture."""
        self._words.put(one.key, (one.owner.address[2:].rjust(64, "0"),))
        if one.picture is None:
            return
        portfolio = one.picture.portfolio
        positions = (*portfolio.positions, *(p for account in portfolio.margin_accounts for p in account.positions))
        self._identifiers.put(one.key, (place for position in positions for place in _identifiers(position)))
        self._names.put(one.key, (name for token in portfolio.tokens.values() for name in (token.factor, token.symbol)))

    def leave(self, key: str) -> None:
        for index in (self._words, self._identifiers, self._names):
            index.drop(key)

    def touched(self, chain: ChainId, touches: Touches) -> set[str]:
        """Owners whom logs or transactions of a chain name, by address or by an identifier of theirs."""
        named = self._words.at(self._words.owners.keys() & touches.words)
        return named | self._identifiers.at((chain, emitter, word) for emitter, word in touches.topics)

    def exposed(self, names: Iterable[str]) -> set[str]:
        """Owners who hold or owe something that follows one of these."""
        return self._names.at(names)


def _identifiers(position: Position) -> Iterator[tuple[ChainId, str, str]]:
    """(chain, contract, word) of what a protocol's logs call this position, such as the id of a token."""
    numbers = [value for value in position.identifiers.values() if value.isascii() and value.isdigit()]
    if not numbers:
        return
    for adapter in adapters():
        if adapter.slug == position.protocol:
            for deployment in adapter.manifest.deployments.get(position.chain, ()):
                for number in numbers:
                    word = f"{int(number):064x}"
                    yield from ((position.chain, contract, word) for contract in deployment.contracts.values())


def moved_names(before: FeedAnswers | None, now: FeedAnswers) -> set[str]:
    """What the feeds of a chain price differently than before, or believe differently."""
    if before is None:
        return set()

    def said(one: FeedAnswer) -> tuple[Decimal, PriceQuality] | None:
        return (one.estimate.value, one.estimate.quality) if one.estimate is not None else None

    earlier = {one.feed.address: said(one) for one in before.feeds}
    return {one.feed.base for one in now.feeds if one.feed.address in earlier and earlier[one.feed.address] != said(one)}
