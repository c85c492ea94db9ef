"""Price history of risk factors, from the rounds that feeds keep on chain.

Rounds are numbered, not dated, and their density differs from one in a day to thousands. So the targets are dates (one every 0.9 days of
the last 92), and the round number of a date is interpolated from rounds whose time is known: the latest one, the probes that came with
it, and what was read before. Beyond the known ones the last density holds, or one round a heartbeat.

Round ids of a proxy are `phase << 64 | number`: numbers begin at 1 with each phase, so a feed that changed its aggregator lately is
followed into the one before it.

The first reading of a factor takes a round of its own, as it needs the feed's latest answer. Later ones travel with the feeds: how many
rounds there are a day is known by then, and where the latest one stands need not be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from aggregator.model.identifiers import Address
from aggregator.model.outcome import Reason, Unknown, Value
from aggregator.model.price import PriceSeries
from aggregator.prices.answers import FeedAnswer, FeedAnswers, Round
from aggregator.prices.feeds import USD, FeedKind, FeedShape
from aggregator.reading.abi import Function
from aggregator.reading.reads import Read, Reads, Word

RoundWords: TypeAlias = tuple[int, int, int, int, int]

GET_ROUND_DATA = Function("getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)")
PHASE_AGGREGATORS = Function("phaseAggregators(uint16)(address)")
LATEST_ROUND = Function("latestRound()(uint256)")

GAS = 150_000
LIMIT = 160
DAY = 86_400
WINDOW = 92 * DAY
STEP = DAY * 9 // 10
RECENT = (1, 2, 4, 8, 16)
"""rounds back that are always looked at: what happened since yesterday"""
SETTLED_AGE = DAY
"""rounds older than this are remembered: no reorganisation reaches them"""
REFRESHED_EVERY = 3_600
"""seconds of chain time until younger rounds are read again; in between only the latest answer is new, and that is read anyway"""
PHASE_BITS = 64


@dataclass(frozen=True, slots=True)
class _Plan:
    """Reads under way for one factor's feed."""

    factor: str
    answer: FeedAnswer
    latest: Round
    reads: tuple[Read[RoundWords], ...]
    previous_phase: tuple[Read[RoundWords], ...]
    follows: bool = False
    """the reads go on from what is remembered"""


class HistoryBook:
    """Past rounds of one chain's feeds, remembered once they are old enough not to change."""

    def __init__(self) -> None:
        self._known: dict[Address, dict[int, tuple[int, int]]] = {}
        self._recent: dict[Address, tuple[int, dict[int, tuple[int, int]]]] = {}
        """by feed: the time of the last reading, and all that it gave"""
        self._ahead: tuple[Reads | None, dict[Address, tuple[Read[RoundWords], ...]]] = (None, {})
        """what was asked beside the feeds themselves, and in which snapshot"""
        self.unread: dict[str, str] = {}
        """factors whose past no endpoint told when it was asked for last, and why"""

    def ask_ahead(self, reads: Reads, latest: Mapping[Address, Read[RoundWords]]) -> None:
        """Register what happened since the last reading of the feeds whose past is remembered; `latest` are their answers under way."""
        now = reads.block.timestamp
        due = [address for address in latest if address in self._recent and self._recent[address][0] + REFRESHED_EVERY <= now]
        self._ahead = (reads, {address: self._since(reads, address, latest[address]) for address in due})

    def _since(self, reads: Reads, address: Address, latest: Read[RoundWords]) -> tuple[Read[RoundWords], ...]:
        times = {round_id: time for round_id, (time, _) in self._recent[address][1].items()}
        asked: list[Word | int] = [latest.word(0, add=-back) for back in RECENT]
        asked += rounds_expected(times, reads.block.timestamp)
        return tuple(reads.call(address, GET_ROUND_DATA, round_id, gas=GAS, limit=LIMIT) for round_id in asked)

    async def read(self, reads: Reads, factors: Iterable[str], answers: FeedAnswers) -> tuple[PriceSeries, ...]:
        """Series of the factors that have a USD feed among `answers`, in the order of the factors' names. One round."""
        feeds = history_feeds(answers)
        plans = [self._plan(reads, factor, feeds[factor]) for factor in sorted(set(factors)) if factor in feeds]
        series = [await self._collect(reads, plan, answers) for plan in plans]
        return tuple(one for one in series if one is not None)

    def _plan(self, reads: Reads, factor: str, answer: FeedAnswer) -> _Plan:
        latest = answer.round
        assert latest is not None, "history_feeds gives none without a round"
        address = answer.feed.address
        phase, number = latest.round_id >> PHASE_BITS, latest.round_id & (1 << PHASE_BITS) - 1
        known = self._known.get(address, {})
        asked_by, ahead = self._ahead
        if asked_by is reads and address in ahead:
            return _Plan(factor, answer, latest, ahead[address], (), follows=True)
        if self._just_read(address, reads.block.timestamp):
            return _Plan(factor, answer, latest, (), ())
        backs = rounds_back(answer, latest, reads.block.timestamp, {i: t for i, (t, _) in known.items()})
        within = sorted({min(back, number - 1) for back in (*RECENT, *backs)} - {0})
        beyond = sorted({back - number for back in backs if back >= number}) if phase > 1 else []
        current = tuple(
            reads.call(address, GET_ROUND_DATA, latest.round_id - back, gas=GAS, limit=LIMIT)
            for back in within
            if latest.round_id - back not in known
        )
        previous: tuple[Read[RoundWords], ...] = ()
        if beyond:
            aggregator = reads.call(address, PHASE_AGGREGATORS, phase - 1, gas=GAS, limit=LIMIT)
            last = reads.call(aggregator.word(0), LATEST_ROUND, gas=GAS, limit=LIMIT)
            previous = tuple(
                reads.call(aggregator.word(0), GET_ROUND_DATA, last.word(0, add=-back), gas=GAS, limit=LIMIT) for back in beyond
            )
        return _Plan(factor, answer, latest, current, previous)

    async def _collect(self, reads: Reads, plan: _Plan, answers: FeedAnswers) -> PriceSeries | None:
        now, phase = reads.block.timestamp, plan.latest.round_id >> PHASE_BITS
        address = plan.answer.feed.address
        read_at, rounds = now, self._known.get(address, {})
        if plan.follows:
            rounds = self._recent[address][1]
        elif self._just_read(address, now):
            read_at, rounds = self._recent[address]
        rounds, failure = dict(rounds), ""
        rounds[plan.latest.round_id] = (plan.latest.updated_at, plan.latest.answer)
        for offset, group in ((0, plan.reads), ((phase - 1) << PHASE_BITS, plan.previous_phase)):
            for read in group:
                outcome = await read
                if isinstance(outcome, Value):
                    round_id, answer, _, updated_at, _ = outcome.value
                    rounds[offset + round_id] = (updated_at, answer)
                elif isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT:
                    failure = failure or outcome.detail
        if failure and not plan.follows:
            self.unread[plan.factor] = failure
            return None
        self.unread.pop(plan.factor, None)
        usable = {i: (t, a) for i, (t, a) in rounds.items() if a > 0 and now - WINDOW <= t <= now}
        self._known[address] = {i: (t, a) for i, (t, a) in usable.items() if t <= now - SETTLED_AGE}
        self._recent[address] = (read_at, usable)
        points = dict(sorted(usable.values()))
        if len(points) < 2:
            return None
        scale = 10**plan.answer.decimals
        return PriceSeries(
            plan.factor,
            np.array(list(points), dtype=np.float64),
            np.array([answer / scale for answer in points.values()], dtype=np.float64),
            f"{plan.answer.feed.label} on {answers.chain}, {len(points)} rounds",
        )

    def _just_read(self, address: Address, now: int) -> bool:
        """Whether the feed was read so lately that nothing but its latest round can matter; False too after time went back."""
        read_at = self._recent[address][0] if address in self._recent else None
        return read_at is not None and 0 <= now - read_at < REFRESHED_EVERY


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


def rounds_back(answer: FeedAnswer, latest: Round, now: int, known: Mapping[int, int]) -> list[int]:
    """How many rounds before the latest to ask for, one a date of the grid that no known round stands for.

    `known` maps round ids to times. The grid is fixed in absolute time, so that it does not move from one snapshot to the next.
    """
    anchors = _anchors(answer, latest, known)
    times = sorted(known.values())
    start = latest.updated_at // STEP * STEP
    backs = []
    for target in range(start, now - WINDOW, -STEP):
        position = bisect_left(times, target - STEP // 2)
        if position < len(times) and times[position] <= target + STEP // 2:
            continue
        backs.append(_interpolated(anchors, target, answer.feed.heartbeat_seconds))
    return [back for back in backs if back > 0]


def rounds_expected(known: Mapping[int, int], now: int) -> list[int]:
    """Ids of rounds after the known ones, one a date of the grid, by the known rounds' density. What is not there yet answers nothing.

    `known` maps round ids to times.
    """
    newest = max(known, default=0)
    same = sorted((time, round_id) for round_id, time in known.items() if round_id >> PHASE_BITS == newest >> PHASE_BITS)
    if len(same) < 2 or same[-1][0] <= same[0][0]:
        return []
    (first_time, first), (last_time, last) = same[0], same[-1]
    targets = range((last_time // STEP + 1) * STEP, now, STEP)
    expected = (last + (target - last_time) * (last - first) // (last_time - first_time) for target in targets)
    return [round_id for round_id in dict.fromkeys(expected) if round_id > last]


def _anchors(answer: FeedAnswer, latest: Round, known: Mapping[int, int]) -> list[tuple[int, int]]:
    """(time, rounds back) with falling time and rising rounds back, beginning with the latest round."""
    phase = latest.round_id >> PHASE_BITS
    points = {probe.rounds_back: probe.timestamp for probe in answer.probes}
    points.update({latest.round_id - i: t for i, t in known.items() if i >> PHASE_BITS == phase and i < latest.round_id})
    anchors = [(latest.updated_at, 0)]
    for back, timestamp in sorted(points.items()):
        if timestamp < anchors[-1][0]:
            anchors.append((timestamp, back))
    return anchors


def _interpolated(anchors: Sequence[tuple[int, int]], target: int, heartbeat: int) -> int:
    """Rounds back at the time `target`: between two anchors in proportion, beyond the last at the density before it."""
    for (late, few), (early, many) in pairwise(anchors):
        if early <= target:
            return few + (late - target) * (many - few) // (late - early)
    last_time, last_back = anchors[-1]
    if len(anchors) > 1:
        # the density over the whole known past is steadier than between the last two
        return last_back + (last_time - target) * last_back // (anchors[0][0] - last_time)
    return (last_time - target) // heartbeat


def best_series(series: Iterable[PriceSeries]) -> tuple[PriceSeries, ...]:
    """One series a factor, where several chains have one: the longest in time, then the densest, then by source."""
    best: dict[str, PriceSeries] = {}
    for one in sorted(series, key=lambda s: (s.factor, s.timestamps[0] - s.timestamps[-1], -len(s.timestamps), s.source)):
        best.setdefault(one.factor, one)
    return tuple(best.values())
