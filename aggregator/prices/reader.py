"""Reading a chain's price feeds: all of them in the same first round, cheap enough not to ask first which are needed.

One `latestRoundData()` a feed. `decimals()`, the aggregator's bounds and a few probes of older rounds are read once and remembered per
phase of the feed; a new phase (another aggregator behind the same address) is looked at anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.price import PriceSeries
from aggregator.model.snapshot import Block, Gap
from aggregator.prices.answers import (
    FeedAnswer,
    FeedAnswers,
    Round,
    Sample,
    Sequencer,
    judge_round,
    judge_stated,
    sequencer_state,
)
from aggregator.prices.feeds import ChainFeeds, Feed, FeedKind, FeedShape, chain_feeds
from aggregator.prices.history import GAS, GET_ROUND_DATA, LIMIT, HistoryBook, RoundWords
from aggregator.reading.abi import Function
from aggregator.reading.reads import Read, Reads, why

LATEST_ROUND_DATA = Function("latestRoundData()(uint80,int256,uint256,uint256,uint80)")
DECIMALS = Function("decimals()(uint8)")
AGGREGATOR = Function("aggregator()(address)")
MINIMUM = Function("minAnswer()(int192)")
MAXIMUM = Function("maxAnswer()(int192)")
PRICE_DATA = Function("getPriceData()(uint256,uint256)")
ASSET_PRICE = Function("getAssetPrice(address)(uint256)")

STATED_DECIMALS = 18
PROBES = (32, 1_024, 16_384)
"""rounds back that are looked at once, to learn how dense a feed's rounds are"""
GAPS_NAMED_ONE_BY_ONE = 3


@dataclass(frozen=True, slots=True)
class _Structure:
    """What does not change within a phase of a feed."""

    decimals: int
    bounds: tuple[int, int] | None
    phase: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """The reads of one feed under way; `structure` None where it is remembered."""

    feed: Feed
    latest: Read[Any]
    structure: tuple[Read[int], Read[int], Read[int]] | None = None
    probes: tuple[Read[RoundWords], ...] = ()


class PendingFeeds:
    """Feeds asked for and not yet known. Await `answers()` once everything else of the round is registered."""

    __slots__ = ("_asked", "_reader", "_reads", "_sequencer")

    def __init__(self, reader: PriceReader, reads: Reads, asked: Sequence[_Asked], sequencer: Read[RoundWords] | None) -> None:
        self._reader, self._reads, self._asked, self._sequencer = reader, reads, asked, sequencer

    async def answers(self) -> FeedAnswers:
        """What every feed of the chain says at the pinned block. Never raises for what a chain may answer."""
        block = self._reads.block
        sequencer = Sequencer()
        if self._sequencer is not None and self._reader.feeds.sequencer is not None:
            sequencer = sequencer_state(self._reader.feeds.sequencer, await self._sequencer, block.timestamp)
        found = tuple([await self._reader.settle(asked, block, sequencer) for asked in self._asked])
        return FeedAnswers(self._reader.chain, block, found, sequencer, _gaps(self._reader.chain, found))


class PriceReader:
    """The price feeds of one chain. Keep it across snapshots: it remembers structure and past rounds, never present prices."""

    def __init__(self, chain: ChainId, feeds: ChainFeeds | None = None) -> None:
        """`feeds` None: the shipped ones of the chain."""
        self.chain = chain
        self.feeds = feeds if feeds is not None else chain_feeds(chain)
        self._structure: dict[Address, _Structure] = {}
        self._history = HistoryBook()

    def request(self, reads: Reads) -> PendingFeeds:
        """Register the reads of all feeds and of the sequencer; nothing is awaited, so that they travel with whatever else is asked."""
        uptime = self.feeds.sequencer
        sequencer = reads.call(uptime.address, LATEST_ROUND_DATA, gas=GAS, limit=LIMIT) if uptime is not None else None
        asked = tuple(self._ask(reads, feed) for feed in self.feeds.feeds)
        self._history.ask_ahead(reads, {one.feed.address: one.latest for one in asked if one.feed.shape is FeedShape.AGGREGATOR})
        return PendingFeeds(self, reads, asked, sequencer)

    async def read_feeds(self, reads: Reads) -> FeedAnswers:
        """`request` and its answers in one."""
        return await self.request(reads).answers()

    async def read_history(self, reads: Reads, factors: Iterable[str], answers: FeedAnswers) -> tuple[PriceSeries, ...]:
        """USD history of the factors that have a feed here, daily or denser for about 90 days where the feed reaches back so far.

        One round the first time; afterwards what is new has travelled with the feeds. Factors without a feed, without a value, or with
        fewer than two points are left out.
        """
        return await self._history.read(reads, factors, answers)

    @property
    def unread_history(self) -> Mapping[str, str]:
        """Factors whose history no endpoint told when it was asked for last, and why. Without it a factor can seem calmer than it is."""
        return self._history.unread

    def _ask(self, reads: Reads, feed: Feed) -> _Asked:
        if feed.shape is FeedShape.PRICE_DATA:
            return _Asked(feed, reads.call(feed.address, PRICE_DATA, gas=GAS, limit=LIMIT))
        if feed.shape is FeedShape.ASSET_PRICE and feed.asset is not None:
            return _Asked(feed, reads.call(feed.address, ASSET_PRICE, feed.asset, gas=GAS, limit=LIMIT))
        latest = reads.call(feed.address, LATEST_ROUND_DATA, gas=GAS, limit=LIMIT)
        if feed.address in self._structure:
            return _Asked(feed, latest)
        aggregator = reads.call(feed.address, AGGREGATOR, gas=GAS, limit=LIMIT)
        structure = (
            reads.call(feed.address, DECIMALS, gas=GAS, limit=LIMIT),
            reads.call(aggregator.word(0), MINIMUM, gas=GAS, limit=LIMIT),
            reads.call(aggregator.word(0), MAXIMUM, gas=GAS, limit=LIMIT),
        )
        probes: tuple[Read[RoundWords], ...] = ()
        if feed.kind is FeedKind.MARKET and feed.quote == "USD":
            probes = tuple(reads.call(feed.address, GET_ROUND_DATA, latest.word(0, add=-back), gas=GAS, limit=LIMIT) for back in PROBES)
        return _Asked(feed, latest, structure, probes)

    async def settle(self, asked: _Asked, block: Block, sequencer: Sequencer) -> FeedAnswer:
        """Judge one feed's answer, and remember its structure."""
        feed, outcome = asked.feed, await asked.latest
        if not isinstance(outcome, Value):
            missing = isinstance(outcome, Absent) and outcome.reason is Reason.NO_CODE
            return FeedAnswer(feed, None, "not deployed at this block" if missing else why(outcome), deployed=not missing)
        if feed.shape is FeedShape.PRICE_DATA:
            price, timestamp = outcome.value
            return _answer(feed, judge_stated(feed, price, timestamp, block, sequencer, self.chain), STATED_DECIMALS)
        if feed.shape is FeedShape.ASSET_PRICE:
            return _answer(feed, judge_stated(feed, outcome.value, None, block, sequencer, self.chain), STATED_DECIMALS)
        latest = Round(*outcome.value)
        structure = await self._structure_of(asked, latest.round_id >> 64)
        if isinstance(structure, str):
            return FeedAnswer(feed, None, structure)
        judged = judge_round(feed, latest, structure.decimals, structure.bounds, block, sequencer, self.chain)
        return _answer(feed, judged, structure.decimals, latest, await _samples(asked.probes, latest))

    async def _structure_of(self, asked: _Asked, phase: int) -> _Structure | str:
        """Remembered or freshly read structure; the reason in words where the decimals are unknown."""
        address = asked.feed.address
        if asked.structure is None:
            known = self._structure[address]
            if known.phase == phase:
                return known
            # another aggregator since: its decimals are the proxy's by contract, its bounds are read with the next snapshot
            del self._structure[address]
            return _Structure(known.decimals, None, phase)
        decimals, *bounds = [await read for read in asked.structure]
        if not isinstance(decimals, Value):
            return f"decimals() {why(decimals)}"
        structure = _Structure(decimals.value, _bounds(bounds), phase)
        if not any(isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT for outcome in bounds):
            self._structure[address] = structure
        return structure


def _bounds(outcomes: Sequence[Outcome[int]]) -> tuple[int, int] | None:
    values = [outcome.value for outcome in outcomes if isinstance(outcome, Value)]
    return (values[0], values[1]) if len(values) == 2 else None


def _answer(feed: Feed, judged: Any, decimals: int, latest: Round | None = None, probes: tuple[Sample, ...] = ()) -> FeedAnswer:
    if isinstance(judged, str):
        return FeedAnswer(feed, None, judged, decimals=decimals, round=latest)
    return FeedAnswer(feed, judged, decimals=decimals, round=latest, probes=probes)


async def _samples(probes: Sequence[Read[RoundWords]], latest: Round) -> tuple[Sample, ...]:
    """Older rounds that exist and are in order of time."""
    samples = []
    before = latest.updated_at
    for back, read in zip(PROBES, probes, strict=False):
        outcome = await read
        if isinstance(outcome, Value) and 0 < outcome.value[3] < before and outcome.value[1] > 0:
            before = outcome.value[3]
            samples.append(Sample(back, before, outcome.value[1]))
    return tuple(samples)


def _gaps(chain: ChainId, answers: Sequence[FeedAnswer]) -> tuple[Gap, ...]:
    """Feeds that are deployed and could not be read; many with the same reason become one gap."""
    by_reason: dict[str, list[str]] = {}
    for answer in answers:
        if answer.estimate is None and answer.deployed:
            by_reason.setdefault(answer.reason, []).append(answer.feed.label)
    gaps: list[Gap] = []
    for reason, labels in by_reason.items():
        if len(labels) <= GAPS_NAMED_ONE_BY_ONE:
            gaps.extend(Gap(chain, "prices", f"feed {label}", reason) for label in labels)
        else:
            gaps.append(Gap(chain, "prices", f"{len(labels)} price feeds", reason))
    return tuple(sorted(gaps))
