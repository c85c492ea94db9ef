"""Price history of risk factors, from the rounds that feeds keep on chain. `history_plan` says which rounds; here they are read.

The first reading of a factor takes a round of its own, as the rounds follow from the feed's latest answer and the probes that come with
it. Later ones travel with the feeds: what may be new is asked for beside them, and everything older is remembered. Should that not have
been enough, a round of its own follows, so that what is remembered never changes what a history is made of.

Round ids of a proxy are `phase << 64 | number`: numbers begin at 1 with each phase.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.price import PriceSeries
from aggregator.prices.answers import FeedAnswer, FeedAnswers, Round, Sample
from aggregator.prices.feeds import USD, FeedKind, FeedShape
from aggregator.prices.history_plan import PHASE_BITS, PROBES, WINDOW, RoundChoice, choose, foreseen, split
from aggregator.reading.abi import Function
from aggregator.reading.reads import Read, Reads, Word, why

RoundWords: TypeAlias = tuple[int, int, int, int, int]
Probes: TypeAlias = tuple[Read[RoundWords], ...]
Known: TypeAlias = tuple[int, int] | None
"""time and answer of a round; None where it is proven not to be there"""

GET_ROUND_DATA = Function("getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)")
PHASE_AGGREGATORS = Function("phaseAggregators(uint16)(address)")
LATEST_ROUND = Function("latestRound()(uint256)")

GAS = 150_000
LIMIT = 160
SETTLED_AGE = 3_600
"""seconds of chain time after which a round is remembered; a younger one is asked for again, should a reorganisation replace it"""


@dataclass(slots=True)
class _Past:
    """What is remembered of one feed: what the last reading chose, and settled rounds by id."""

    latest: Round
    choice: RoundChoice
    rounds: dict[int, Known] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Last:
    """The aggregator of a phase and its last round, under way."""

    phase: int
    aggregator: Read[Address]
    last: Read[int]

    async def number(self) -> int | Unknown:
        """0 where the phase has no rounds that can be read; Unknown where no endpoint told."""
        for outcome in (await self.aggregator, last := await self.last):
            if isinstance(outcome, Unknown) and _untold(outcome):
                return outcome
        return last.value if isinstance(last, Value) else 0


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What was asked of one feed beside its latest answer: rounds by id, and where the phase before ends, if that is needed."""

    rounds: Mapping[int, Read[RoundWords]]
    last: _Last | None


@dataclass(slots=True)
class _Plan:
    """One factor's history under way. `told` is what is known of rounds by id, `last` the last one of the phase before."""

    factor: str
    answer: FeedAnswer
    latest: Round
    choice: RoundChoice
    told: dict[int, Known]
    last: int | None = None
    failure: str = ""

    @property
    def phase_before(self) -> int:
        return split(self.latest.round_id)[0] - 1

    @property
    def ids(self) -> list[int]:
        """Rounds that make the history beside the latest, as far as it is known which they are."""
        behind = (self.behind(one) for one in self.choice.earlier)
        return [*(one for one in behind if one is not None), *self.choice.rounds]

    def behind(self, distance: int) -> int | None:
        """Id of a round at a distance from the last one of the phase before; None where there is none, or the last is not known."""
        return self.phase_before << PHASE_BITS | self.last - distance if self.last is not None and distance < self.last else None

    def lacks(self, round_id: int | None) -> bool:
        return round_id is not None and round_id not in self.told

    def take(self, round_id: int, outcome: Outcome[RoundWords]) -> None:
        """Take in what came of reading a round; what no endpoint told stays open."""
        if isinstance(outcome, Value):
            self.told[round_id] = (outcome.value[3], outcome.value[1])
        elif _untold(outcome):
            self.failure = self.failure or why(outcome)
        else:
            self.told[round_id] = None


class HistoryBook:
    """Past rounds of one chain's feeds, remembered once they are old enough not to change."""

    def __init__(self) -> None:
        self._past: dict[Address, _Past] = {}
        self._ahead: WeakKeyDictionary[Reads, Mapping[Address, _Ahead]] = WeakKeyDictionary()
        """what was asked beside the feeds themselves, by snapshot"""
        self.unread: dict[str, str] = {}
        """factors whose past no endpoint told when it was asked for last, and why"""

    def remembers(self, feed: Address) -> bool:
        return feed in self._past

    @property
    def is_empty(self) -> bool:
        """Whether no history has been read yet."""
        return not self._past

    def ask_ahead(self, reads: Reads, feeds: Iterable[Address]) -> None:
        """Register what the histories of these, as far as they are remembered, may need beside the latest answers and the probes."""
        self._ahead[reads] = {feed: _ask_ahead(reads, feed, self._past[feed]) for feed in feeds if feed in self._past}

    async def read(self, reads: Reads, factors: Iterable[str], answers: FeedAnswers) -> tuple[PriceSeries, ...]:
        """Series of the factors that have a USD feed among `answers`, in the order of the factors' names."""
        feeds = history_feeds(answers)
        plans = await self._plans(reads, {factor: feeds[factor] for factor in sorted(set(factors)) if factor in feeds})
        ahead = self._ahead.get(reads, {})
        for plan in plans:
            await _take_ahead(plan, ahead.get(plan.answer.feed.address))
        # every read of every factor is registered before the first is awaited
        for under_way in [_Asked(reads, plan) for plan in plans]:
            await under_way.settle()
        return tuple(one for plan in plans if (one := self._series(plan, answers)) is not None)

    async def _plans(self, reads: Reads, wanted: Mapping[str, FeedAnswer]) -> list[_Plan]:
        """Which rounds each needs. Feeds that came without probes are asked for them first."""
        rounds = {factor: answer.round for factor, answer in wanted.items() if answer.round is not None}
        late = {
            factor: ask_probes(reads, wanted[factor].feed.address, latest.round_id)
            for factor, latest in rounds.items()
            if wanted[factor].probes is None
        }
        plans = []
        for factor, latest in rounds.items():
            answer = wanted[factor]
            probes = await samples(late[factor], latest) if factor in late else answer.probes
            if probes is None:
                self.unread[factor] = "no endpoint told how dense its rounds are"
                continue
            past = self._past.get(answer.feed.address)
            choice = choose(latest, probes, answer.feed.heartbeat_seconds, reads.block.timestamp)
            plans.append(_Plan(factor, answer, latest, choice, dict(past.rounds) if past is not None else {}))
        return plans

    def _series(self, plan: _Plan, answers: FeedAnswers) -> PriceSeries | None:
        now, ids = answers.block.timestamp, plan.ids
        self._remember(plan, now)
        if plan.failure:
            self.unread[plan.factor] = plan.failure
            return None
        self.unread.pop(plan.factor, None)
        rounds = [known for one in ids if (known := plan.told[one]) is not None]
        rounds.append((plan.latest.updated_at, plan.latest.answer))
        points = dict(sorted((time, answer) for time, answer in rounds if answer > 0 and now - WINDOW <= time <= now))
        if len(points) < 2:
            return None
        scale = 10**plan.answer.decimals
        return PriceSeries(
            plan.factor,
            np.array(list(points), dtype=np.float64),
            np.array([answer / scale for answer in points.values()], dtype=np.float64),
            f"{plan.answer.feed.label} on {answers.chain}, {len(points)} rounds",
        )

    def _remember(self, plan: _Plan, now: int) -> None:
        """Keep what is settled, from the beginning of the history on."""
        oldest = min(plan.ids, default=0)
        settled = {one: known for one, known in plan.told.items() if one >= oldest and (known is None or known[0] <= now - SETTLED_AGE)}
        self._past[plan.answer.feed.address] = _Past(plan.latest, plan.choice, settled)


class _Asked:
    """The reads that one plan still needs."""

    def __init__(self, reads: Reads, plan: _Plan) -> None:
        self._plan, feed = plan, plan.answer.feed.address
        self._rounds = {one: _ask_round(reads, feed, one) for one in plan.choice.rounds if one not in plan.told}
        self._last: _Last | None = None
        self._behind: dict[int, Read[RoundWords]] = {}
        distances = [one for one in plan.choice.earlier if plan.last is None or plan.lacks(plan.behind(one))]
        if distances:
            # where it is not known which rounds these are, they go on from the last one, in the same request
            self._last = under_way = _ask_last(reads, feed, plan.phase_before)
            aggregator, last = under_way.aggregator.word(0), under_way.last
            self._behind = {one: _ask_round(reads, aggregator, last.word(0, add=-one)) for one in distances}

    async def settle(self) -> None:
        plan = self._plan
        if self._last is not None:
            number = await self._last.number()
            plan.last = number if isinstance(number, int) else 0
            plan.failure = plan.failure or ("" if isinstance(number, int) else why(number))
        for distance, read in self._behind.items():
            round_id = plan.behind(distance)
            if round_id is not None:
                plan.take(round_id, await read)
        for round_id, read in self._rounds.items():
            plan.take(round_id, await read)


def ask_probes(reads: Reads, feed: Address, latest: int | Read[RoundWords]) -> Probes:
    """Register the rounds that tell how dense a feed's are; `latest` is the id of the latest one, or its read under way."""
    return tuple(
        _ask_round(reads, feed, max(latest - back, 0) if isinstance(latest, int) else latest.word(0, add=-back)) for back in PROBES
    )


async def samples(probes: Probes, latest: Round) -> tuple[Sample, ...] | None:
    """Probes that exist and are in order of time; None where an endpoint failed, as then nobody knows."""
    outcomes = [await read for read in probes]
    if any(_untold(outcome) for outcome in outcomes):
        return None
    found: list[Sample] = []
    before = latest.updated_at
    for back, outcome in zip(PROBES, outcomes, strict=True):
        if isinstance(outcome, Value) and 0 < outcome.value[3] < before and outcome.value[1] > 0:
            before = outcome.value[3]
            found.append(Sample(back, before, outcome.value[1]))
    return tuple(found)


def _ask_ahead(reads: Reads, feed: Address, past: _Past) -> _Ahead:
    wanted = (*past.choice.rounds, *foreseen(past.choice, past.latest, reads.block.timestamp))
    rounds = {one: _ask_round(reads, feed, one) for one in wanted if one not in past.rounds}
    phase = split(past.latest.round_id)[0]
    return _Ahead(rounds, _ask_last(reads, feed, phase - 1) if past.choice.earlier else None)


async def _take_ahead(plan: _Plan, ahead: _Ahead | None) -> None:
    """What came beside the feeds; what it does not give is asked for anew."""
    if ahead is None:
        return
    for round_id in plan.choice.rounds:
        if round_id in ahead.rounds and not _untold(outcome := await ahead.rounds[round_id]):
            plan.take(round_id, outcome)
    if ahead.last is not None and ahead.last.phase == plan.phase_before and isinstance(number := await ahead.last.number(), int):
        plan.last = number


def _ask_round(reads: Reads, feed: Address | Word, round_id: int | Word) -> Read[RoundWords]:
    return reads.call(feed, GET_ROUND_DATA, round_id, gas=GAS, limit=LIMIT)


def _ask_last(reads: Reads, feed: Address, phase: int) -> _Last:
    aggregator = reads.call(feed, PHASE_AGGREGATORS, phase, gas=GAS, limit=LIMIT)
    return _Last(phase, aggregator, reads.call(aggregator.word(0), LATEST_ROUND, gas=GAS, limit=LIMIT))


def _untold(outcome: Outcome[object]) -> bool:
    """Whether this is no answer of the chain's."""
    return isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT


def history_feeds(answers: FeedAnswers) -> Mapping[str, FeedAnswer]:
    """The USD feed of each factor that keeps rounds and has a value: the market's, else the fund's net asset value."""
    found: dict[str, FeedAnswer] = {}
    for kind in (FeedKind.NAV, FeedKind.MARKET):
        for answer in sorted(answers.feeds, key=lambda one: one.feed.address, reverse=True):
            feed = answer.feed
            usable = answer.round is not None and answer.estimate is not None and feed.shape is FeedShape.AGGREGATOR
            if usable and feed.kind is kind and feed.quote == USD:
                found[feed.base] = answer
    return found


def best_series(series: Iterable[PriceSeries]) -> tuple[PriceSeries, ...]:
    """One series a factor, where several chains have one: the longest in time, then the densest, then by source."""
    best: dict[str, PriceSeries] = {}
    for one in sorted(series, key=lambda s: (s.factor, s.timestamps[0] - s.timestamps[-1], -len(s.timestamps), s.source)):
        best.setdefault(one.factor, one)
    return tuple(best.values())
