"""Price history from rounds: dates out of round numbers, through sparse and dense feeds and a change of aggregator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.price import PriceSeries
from aggregator.prices.answers import Round
from aggregator.prices.feeds import ChainFeeds, FeedKind
from aggregator.prices.history import best_series
from aggregator.prices.history_plan import DAY, FINER, LEAST_POINTS, MARGIN, PROBES, WINDOW, choose, foreseen
from aggregator.prices.reader import PriceReader
from tests.adapters.scripted import Chain, Reverts, RoundReads
from tests.prices.feed_contracts import FeedContract, StrictContract
from tests.prices.kit import ETHEREUM, NOW, block, feed

ETH_FEED = feed("ETH", number=0xE1)
MOST_READS = 2 * LEAST_POINTS + MARGIN + 2 * FINER + 2


def every(seconds: int, days: int, until: int = NOW - 30) -> list[tuple[int, int]]:
    """Rounds at a steady pace; the answer tells the age, so that a misplaced round would show."""
    count = days * DAY // seconds
    return [(until - seconds * i, 10**8 * (1 + i * seconds // 60)) for i in reversed(range(count))]


async def history(phases: Sequence[Sequence[tuple[int, int]]], heartbeat: int = 3_600) -> tuple[PriceSeries, int, int]:
    """Series of ETH, calls and rounds of the cold reading."""
    one = ETH_FEED.model_copy(update={"heartbeat_seconds": heartbeat})
    chain = Chain()
    FeedContract(phases).place(chain, one.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(one,)))
    reads = RoundReads(chain, block())
    answers = await prices.read_feeds(reads, with_history=True)
    chain.calls, reads.rounds = 0, 0
    (series,) = await prices.read_history(reads, ["ETH", "BTC"], answers)
    return series, chain.calls, reads.rounds


def check(series: PriceSeries, days: float, widest_gap_days: float = 1.05) -> None:
    gaps = np.diff(series.timestamps)
    assert series.factor == "ETH" and ETH_FEED.label in series.source
    assert len(series.timestamps) == len(series.prices) and (gaps > 0).all()
    assert (series.timestamps[-1] - series.timestamps[0]) / DAY >= days
    assert gaps.max() / DAY <= widest_gap_days
    # the answer told its age in minutes
    ages = (NOW - 30 - series.timestamps) // 60 + 1
    assert (abs(series.prices - ages) <= 1).all()


@pytest.mark.parametrize("seconds", [20, 300, 3_600, 20_000])
async def test_daily_for_ninety_days_at_any_density(seconds: int) -> None:
    series, calls, rounds = await history([[], every(seconds, 120)])
    check(series, 90)
    assert rounds == 1 and calls <= MOST_READS


async def test_one_round_a_day_gives_one_point_a_day() -> None:
    series, calls, _ = await history([every(DAY, 120)], heartbeat=DAY)
    check(series, 90)
    assert calls <= MOST_READS


async def test_a_new_aggregator_is_followed_into_the_one_before() -> None:
    old, new = every(3_600, 120, until=NOW - 30 - 20 * DAY), every(3_600, 20)
    shifted = [(t, a + 10**8 * 20 * DAY // 60) for t, a in old]
    series, calls, rounds = await history([[(1, 1)], shifted, new])
    check(series, 88)
    assert rounds == 1 and calls <= MOST_READS + 2


async def test_a_young_feed_gives_what_it_has() -> None:
    series, _, _ = await history([every(3_600, 10)])
    check(series, 9.5)


async def test_a_feed_with_one_round_gives_no_series() -> None:
    chain = Chain()
    FeedContract([[(NOW - 30, 10**8)]]).place(chain, ETH_FEED.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED,)))
    reads = RoundReads(chain, block())
    assert await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads, with_history=True)) == ()


async def test_old_rounds_are_remembered() -> None:
    contract = FeedContract([[], every(3_600, 120)])
    chain = Chain()
    contract.place(chain, ETH_FEED.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED,)))
    reads = RoundReads(chain, block())
    (cold,) = await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads, with_history=True))
    contract.phases[-1].extend((NOW + 3_600 * i, 10**8) for i in range(1, 25))
    later = RoundReads(chain, block(NOW + DAY))
    chain.calls = 0
    (warm,) = await prices.read_history(later, ["ETH"], await prices.read_feeds(later, with_history=True))
    assert (later.rounds, chain.calls <= 25) == (1, True), chain.calls
    assert warm.timestamps[-1] == NOW + 24 * 3_600
    # what is in both windows is the same but for the last two strides, which are looked at closer
    common = (cold.timestamps >= NOW + DAY - WINDOW) & (cold.timestamps <= NOW - 2 * DAY)
    assert set(cold.timestamps[common]) <= set(warm.timestamps)


async def test_later_snapshots_need_no_round_for_history() -> None:
    chain = Chain()
    contract = FeedContract([[], every(3_600, 120)])
    contract.place(chain, ETH_FEED.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED,)))
    lengths = []
    feed_alone, probes = 7, len(PROBES)
    for later, rounds_taken, calls in (
        (0, 2, feed_alone + probes + MOST_READS),
        (1_800, 1, 1 + probes + 3),
        (3_660, 1, 1 + probes + 4),
        (5 * DAY, 1, 1 + probes + 64),
    ):
        written = contract.phases[-1][-1][0]
        contract.phases[-1].extend((time, 10**8) for time in range(written + 3_600, NOW + later, 3_600))
        reads = RoundReads(chain, block(NOW + later))
        chain.calls = 0
        (series,) = await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads, with_history=True))
        assert reads.rounds == rounds_taken
        assert chain.calls <= calls
        # no day is missing, up to now
        assert np.diff([*series.timestamps, NOW + later]).max() / DAY <= 1.05
        lengths.append(len(series.prices))
    assert lengths[1] == lengths[0]


def same(one: PriceSeries, other: PriceSeries) -> bool:
    return (
        (one.factor, one.source) == (other.factor, other.source)
        and np.array_equal(one.timestamps, other.timestamps)
        and np.array_equal(one.prices, other.prices)
    )


class Watched:
    """A feed that grows, and a reader that has seen all of it grow; each look is checked against a reader that has seen nothing."""

    def __init__(self, phases: Sequence[Sequence[tuple[int, int]]], heartbeat: int) -> None:
        self.feed = ETH_FEED.model_copy(update={"heartbeat_seconds": heartbeat})
        self.contract, self.chain = FeedContract(phases), Chain()
        self.contract.place(self.chain, self.feed.address)
        self.prices = self.reader()

    def reader(self) -> PriceReader:
        return PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(self.feed,)))

    async def look(self, now: int) -> tuple[PriceSeries, ...]:
        self.contract.place(self.chain, self.feed.address)
        seen = []
        for reader in (self.prices, self.reader()):
            reads = RoundReads(self.chain, block(now))
            seen.append(await reader.read_history(reads, ["ETH"], await reader.read_feeds(reads, with_history=True)))
        warm, cold = seen
        assert len(warm) == len(cold) and all(map(same, warm, cold)), (now, warm, cold)
        return warm


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 2 * DAY), min_size=2, max_size=200),
    st.lists(
        st.tuples(st.lists(st.integers(1, DAY), max_size=40), st.integers(0, 3 * DAY), st.integers(0, 9)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([60, 3_600, DAY]),
)
async def test_what_was_read_before_changes_nothing(past: list[int], later: list[tuple[list[int], int, int]], heartbeat: int) -> None:
    """Any rhythm, bursts and silences, bad answers, new aggregators."""
    times = NOW - 30 - np.cumsum([0, *past])[::-1]
    feed_ = Watched([[], [(int(t), 10**8 + i) for i, t in enumerate(times)]], heartbeat)
    now = NOW
    await feed_.look(now)
    for steps, silence, kind in later:
        if kind == 9:
            feed_.contract.phases.append([(now, 10**8)])
        for step in steps:
            now += step
            feed_.contract.phases[-1].append((now, -1 if kind == 8 and step % 5 == 0 else 10**8 + now % 1_000))
        now += silence
        if feed_.contract.phases[-1][-1][1] > 0:
            await feed_.look(now)


async def test_the_rounds_it_takes_are_few_over_a_month_of_looking() -> None:
    """A feed that beats every hour and oftener when prices move, looked at every twenty minutes."""
    rng = np.random.default_rng(3)
    watched = Watched([[], every(3_600, 120)], 3_600)
    now, taken = NOW, []
    for _ in range(1_000):
        now += 1_200
        last = watched.contract.phases[-1][-1][0]
        if now - last >= 3_600 or rng.random() < 0.1:
            watched.contract.phases[-1].append((now - 10, 10**8 + now % 997))
        reads = RoundReads(watched.chain, block(now))
        await watched.prices.read_history(reads, ["ETH"], await watched.prices.read_feeds(reads, with_history=True))
        taken.append(reads.rounds)
    assert taken[0] == 2
    assert sum(rounds > 1 for rounds in taken[1:]) <= 5
    await watched.look(now)


async def test_a_feed_that_was_not_asked_for_its_density_is_asked_late() -> None:
    """A history of something that nobody held when the feeds were read first."""
    chain = Chain()
    for number in (0xE1, 0xE2):
        FeedContract([[], every(300, 120)]).place(chain, feed("ETH", number=number).address)
    feeds = ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED, feed("BTC", number=0xE2)))
    warm, cold = PriceReader(ETHEREUM, feeds), PriceReader(ETHEREUM, feeds)
    reads = RoundReads(chain, block())
    await warm.read_history(reads, ["ETH"], await warm.read_feeds(reads, with_history=True))
    later, fresh = RoundReads(chain, block(NOW + 600)), RoundReads(chain, block(NOW + 600))
    seen = await warm.read_history(later, ["BTC", "ETH"], await warm.read_feeds(later, with_history=True))
    told = await cold.read_history(fresh, ["BTC", "ETH"], await cold.read_feeds(fresh, with_history=True))
    assert len(seen) == len(told) == 2 and all(map(same, seen, told))
    assert (later.rounds, fresh.rounds) == (3, 2)


async def test_funds_have_a_history_and_the_market_goes_before_it() -> None:
    nav = feed("USTB", number=5, kind=FeedKind.NAV, heartbeat=DAY)
    market = feed("USTB", number=6)
    chain = Chain()
    FeedContract([every(DAY, 60)]).place(chain, nav.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(nav, market)))
    reads = RoundReads(chain, block())
    (series,) = await prices.read_history(reads, ["USTB"], await prices.read_feeds(reads, with_history=True))
    assert nav.label in series.source
    FeedContract([every(3_600, 60)]).place(chain, market.address)
    (series,) = await prices.read_history(reads, ["USTB"], await prices.read_feeds(reads, with_history=True))
    assert market.label in series.source


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3 * DAY), min_size=0, max_size=300), st.integers(0, 5), st.booleans())
async def test_any_rhythm_gives_a_series_in_order_of_time(steps: list[int], bad: int, split: bool) -> None:
    times = NOW - 30 - np.cumsum([0, *steps])[::-1]
    rounds = [(int(t), -1 if bad and i % 7 == bad else 10**8) for i, t in enumerate(times)]
    rounds[-1] = (rounds[-1][0], 10**8)
    middle = len(rounds) // 2 if split and len(rounds) > 3 else 0
    chain = Chain()
    FeedContract([rounds[:middle], rounds[middle:]] if middle else [rounds]).place(chain, ETH_FEED.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED,)))
    reads = RoundReads(chain, block())
    for series in await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads, with_history=True)):
        assert (np.diff(series.timestamps) > 0).all() and (series.prices > 0).all()
        assert set(series.timestamps) <= {float(t) for t in times}
        assert series.timestamps[0] >= NOW - WINDOW


def test_numbers_at_the_edges_stay_numbers() -> None:
    """Ids without a phase, the first rounds, and the last that fit."""
    for round_id in (1, 5, 1 << 64 | 1, (1 << 80) - 1):
        latest = Round(round_id, 10**8, NOW - 30, NOW - 30, round_id)
        choice = choose(latest, (), 3_600, NOW)
        ids = (*choice.rounds, *foreseen(choice, latest, NOW + 5 * DAY))
        assert all(0 < one < 1 << 80 and one >> 64 == round_id >> 64 for one in ids)
        assert len(choice.rounds) + len(choice.earlier) <= MOST_READS


async def test_a_feed_without_phases_that_was_asked_late() -> None:
    chain = Chain()
    rounds = [(NOW - 30 - 3_600 * (5 - number), 10**8) for number in range(6)]
    known = {number: (number, answer, time, time, number) for number, (time, answer) in enumerate(rounds, start=1)}

    def told(number: int) -> tuple[int, int, int, int, int]:
        if number not in known:
            raise Reverts
        return known[number]

    for number in (0xE1, 0xE2):
        chain.contracts[feed("ETH", number=number).address] = StrictContract(
            {
                "latestRoundData()(uint80,int256,uint256,uint256,uint80)": known[6],
                "getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)": told,
                "decimals()(uint8)": 8,
            }
        )
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED, feed("BTC", number=0xE2))))
    for factors in (["ETH"], ["BTC", "ETH"]):
        reads = RoundReads(chain, block())
        found = await prices.read_history(reads, factors, await prices.read_feeds(reads, with_history=True))
        assert [(one.factor, len(one.prices)) for one in found] == [(factor, 3) for factor in factors]


def test_the_longest_series_of_several_chains_is_taken() -> None:
    def series(factor: str, times: list[float], source: str) -> PriceSeries:
        return PriceSeries(factor, np.array(times), np.ones(len(times)), source)

    short, long, dense = series("ETH", [5, 9], "a"), series("ETH", [1, 9], "b"), series("ETH", [1, 5, 9], "c")
    other = series("BTC", [1, 2], "d")
    assert best_series([short, dense, other, long]) == best_series([long, other, dense, short]) == (other, dense)
