"""Reading a chain's price feeds: all of them in the same first round, cheap enough not to ask first which are needed.

One `latestRoundData()` a feed. `decimals()` and the aggregator's bounds are read once and remembered per phase of the feed; a new phase
(another aggregator behind the same address) is looked at anew. Nothing that is remembered changes what an answer says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.price import PriceSeries
from aggregator.model.snapshot import Gap
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
from aggregator.prices.feeds import USD, ChainFeeds, Feed, FeedShape, chain_feeds
from aggregator.prices.history import GAS, LIMIT, HistoryBook, Probes, RoundWords, ask_probes, samples
from aggregator.prices.history_plan import PHASE_BITS
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
GAPS_NAMED_ONE_BY_ONE = 3


@dataclass(frozen=True, slots=True)
class _Structure:
    """What does not change within a phase of a feed."""

    decimals: int
    bounds: tuple[int, int] | None
    phase: int


_Structuring: TypeAlias = tuple[Read[int], Read[int], Read[int]]
"""decimals and bounds under way"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The reads of one feed under way; `structure` None where it is remembered."""

    feed: Feed
    latest: Read[Any]
    structure: _Structuring | None = None
    probes: Probes | None = None


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
        found = tuple([await self._reader.settle(asked, self._reads, sequencer) for asked in self._asked])
        return FeedAnswers(self._reader.chain, block, found, sequencer, _gaps(self._reader.chain, found))


class PriceReader:
    """The price feeds of one chain. Keep it across snapshots: it remembers structure and past rounds, never present prices."""

    def __init__(self, chain: ChainId, feeds: ChainFeeds | None = None) -> None:
        """`feeds` None: the shipped ones of the chain."""
        self.chain = chain
        self.feeds = feeds if feeds is not None else chain_feeds(chain)
        self.factors = frozenset(feed.base for feed in self.feeds.feeds)
        """what feeds give a price of"""
        self._structure: dict[Address, _Structure] = {}
        self._history = HistoryBook()

    def request(self, reads: Reads, with_history: bool = False, factors: Collection[str] | None = None) -> PendingFeeds:
        """Register the reads of all feeds and of the sequencer; nothing is awaited, so that they travel with whatever else is asked.

        `with_history`: also what `read_history` will need of these answers, as far as can be known before. `factors`: whose history will
        be wanted as far as is known; None for all that have been read before. Others cost rounds of their own.
        """
        uptime = self.feeds.sequencer
        sequencer = reads.call(uptime.address, LATEST_ROUND_DATA, gas=GAS, limit=LIMIT) if uptime is not None else None
        dated = frozenset(feed.address for feed in self.feeds.feeds if with_history and self._will_be_dated(feed, factors))
        asked = tuple(self._ask(reads, feed, feed.address in dated) for feed in self.feeds.feeds)
        self._history.ask_ahead(reads, sorted(dated))
        return PendingFeeds(self, reads, asked, sequencer)

    def _will_be_dated(self, feed: Feed, factors: Collection[str] | None) -> bool:
        """Whether the past of a feed will probably be wanted; of every one, before any was."""
        if feed.quote != USD or feed.shape is not FeedShape.AGGREGATOR:
            return False
        return self._history.is_empty or (self._history.remembers(feed.address) if factors is None else feed.base in factors)

    async def read_feeds(self, reads: Reads, with_history: bool = False, factors: Collection[str] | None = None) -> FeedAnswers:
        """`request` and its answers in one."""
        return await self.request(reads, with_history, factors).answers()

    async def read_history(self, reads: Reads, factors: Iterable[str], answers: FeedAnswers) -> tuple[PriceSeries, ...]:
        """USD history of the factors that have a feed here, daily or denser for about 90 days where the feed reaches back so far.

        One round the first time; afterwards what is new has travelled with the feeds, if they were read `with_history`. The same block
        gives the same series, whatever was read before. Factors without a feed, without a value, or with fewer than two points are left
        out.
        """
        return await self._history.read(reads, factors, answers)

    @property
    def unread_history(self) -> Mapping[str, str]:
        """Factors whose history no endpoint told when it was asked for last, and why. Without it a factor can seem calmer than it is."""
        return self._history.unread

    def _ask(self, reads: Reads, feed: Feed, dated: bool) -> _Asked:
        if feed.shape is FeedShape.PRICE_DATA:
            return _Asked(feed, reads.call(feed.address, PRICE_DATA, gas=GAS, limit=LIMIT))
        if feed.shape is FeedShape.ASSET_PRICE and feed.asset is not None:
            return _Asked(feed, reads.call(feed.address, ASSET_PRICE, feed.asset, gas=GAS, limit=LIMIT))
        latest = reads.call(feed.address, LATEST_ROUND_DATA, gas=GAS, limit=LIMIT)
        structure = _ask_structure(reads, feed.address) if feed.address not in self._structure else None
        return _Asked(feed, latest, structure, ask_probes(reads, feed.address, latest) if dated else None)

    async def settle(self, asked: _Asked, reads: Reads, sequencer: Sequencer) -> FeedAnswer:
        """Judge one feed's answer, and remember its structure."""
        feed, block, outcome = asked.feed, reads.block, await asked.latest
        if not isinstance(outcome, Value):
            missing = isinstance(outcome, Absent) and outcome.reason is Reason.NO_CODE
            return FeedAnswer(feed, None, "not deployed at this block" if missing else why(outcome), deployed=not missing)
        if feed.shape is FeedShape.PRICE_DATA:
            price, timestamp = outcome.value
            return _answer(feed, judge_stated(feed, price, timestamp, block, sequencer, self.chain), STATED_DECIMALS)
        if feed.shape is FeedShape.ASSET_PRICE:
            return _answer(feed, judge_stated(feed, outcome.value, None, block, sequencer, self.chain), STATED_DECIMALS)
        latest = Round(*outcome.value)
        structure = await self._structure_of(asked, reads, latest.round_id >> PHASE_BITS)
        if isinstance(structure, str):
            return FeedAnswer(feed, None, structure)
        judged = judge_round(feed, latest, structure.decimals, structure.bounds, block, sequencer, self.chain)
        probes = await samples(asked.probes, latest) if asked.probes is not None else None
        return _answer(feed, judged, structure.decimals, latest, probes)

    async def _structure_of(self, asked: _Asked, reads: Reads, phase: int) -> _Structure | str:
        """Remembered or freshly read structure; the reason in words where the decimals are unknown."""
        address = asked.feed.address
        under_way = asked.structure
        if under_way is None:
            known = self._structure.get(address)
            if known is not None and known.phase == phase:
                return known
            # another aggregator since, with bounds of its own
            under_way = _ask_structure(reads, address)
        decimals, *bounds = [await read for read in under_way]
        if not isinstance(decimals, Value):
            return f"decimals() {why(decimals)}"
        structure = _Structure(decimals.value, _bounds(bounds), phase)
        if not any(isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT for outcome in bounds):
            self._structure[address] = structure
        return structure


def _ask_structure(reads: Reads, address: Address) -> _Structuring:
    aggregator = reads.call(address, AGGREGATOR, gas=GAS, limit=LIMIT)
    return (
        reads.call(address, DECIMALS, gas=GAS, limit=LIMIT),
        reads.call(aggregator.word(0), MINIMUM, gas=GAS, limit=LIMIT),
        reads.call(aggregator.word(0), MAXIMUM, gas=GAS, limit=LIMIT),
    )


def _bounds(outcomes: Sequence[Outcome[int]]) -> tuple[int, int] | None:
    values = [outcome.value for outcome in outcomes if isinstance(outcome, Value)]
    return (values[0], values[1]) if len(values) == 2 else None


def _answer(feed: Feed, judged: Any, decimals: int, latest: Round | None = None, probes: tuple[Sample, ...] | None = None) -> FeedAnswer:
    if isinstance(judged, str):
        return FeedAnswer(feed, None, judged, decimals=decimals, round=latest)
    return FeedAnswer(feed, judged, decimals=decimals, round=latest, probes=probes)


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
