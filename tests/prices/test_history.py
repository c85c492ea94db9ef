"""Price history from rounds: dates out of round numbers, through sparse and dense feeds and a change of aggregator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.price import PriceSeries
from aggregator.prices.feeds import ChainFeeds, FeedKind
from aggregator.prices.history import DAY, RECENT, STEP, WINDOW, best_series
from aggregator.prices.reader import PriceReader
from tests.adapters.scripted import Chain, RoundReads
from tests.prices.feed_contracts import FeedContract
from tests.prices.kit import ETHEREUM, NOW, block, feed

ETH_FEED = feed("ETH", number=0xE1)
MOST_READS = len(RECENT) + WINDOW // STEP + 4


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
    answers = await prices.read_feeds(reads)
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
    assert await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads)) == ()


async def test_old_rounds_are_remembered() -> None:
    contract = FeedContract([[], every(3_600, 120)])
    chain = Chain()
    contract.place(chain, ETH_FEED.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED,)))
    reads = RoundReads(chain, block())
    (cold,) = await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads))
    contract.phases[-1].extend((NOW + 3_600 * i, 10**8) for i in range(1, 25))
    later = RoundReads(chain, block(NOW + DAY))
    answers = await prices.read_feeds(later)
    chain.calls = 0
    (warm,) = await prices.read_history(later, ["ETH"], answers)
    assert chain.calls <= len(RECENT) + 3
    settled = (cold.timestamps >= NOW + DAY - WINDOW) & (cold.timestamps <= NOW - DAY)
    assert set(cold.timestamps[settled]) <= set(warm.timestamps)
    assert warm.timestamps[-1] == NOW + 24 * 3_600


async def test_later_snapshots_need_no_round_for_history() -> None:
    chain = Chain()
    contract = FeedContract([[], every(3_600, 120)])
    contract.place(chain, ETH_FEED.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(ETH_FEED,)))
    lengths = []
    feed_alone = 10
    for later, rounds_taken, calls in ((0, 2, feed_alone + MOST_READS), (1_800, 1, 1), (3_660, 1, 7), (5 * DAY, 1, 13)):
        written = contract.phases[-1][-1][0]
        contract.phases[-1].extend((time, 10**8) for time in range(written + 3_600, NOW + later, 3_600))
        reads = RoundReads(chain, block(NOW + later))
        chain.calls = 0
        (series,) = await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads))
        assert reads.rounds == rounds_taken
        assert chain.calls <= calls
        # no day is missing, up to now
        assert np.diff([*series.timestamps, NOW + later]).max() / DAY <= 1.05
        lengths.append(len(series.prices))
    assert lengths[1] == lengths[0]


async def test_funds_have_a_history_and_the_market_goes_before_it() -> None:
    nav = feed("USTB", number=5, kind=FeedKind.NAV, heartbeat=DAY)
    market = feed("USTB", number=6)
    chain = Chain()
    FeedContract([every(DAY, 60)]).place(chain, nav.address)
    prices = PriceReader(ETHEREUM, ChainFeeds(chain=ETHEREUM, feeds=(nav, market)))
    reads = RoundReads(chain, block())
    (series,) = await prices.read_history(reads, ["USTB"], await prices.read_feeds(reads))
    assert nav.label in series.source
    FeedContract([every(3_600, 60)]).place(chain, market.address)
    (series,) = await prices.read_history(reads, ["USTB"], await prices.read_feeds(reads))
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
    for series in await prices.read_history(reads, ["ETH"], await prices.read_feeds(reads)):
        assert (np.diff(series.timestamps) > 0).all() and (series.prices > 0).all()
        assert set(series.timestamps) <= {float(t) for t in times}
        assert series.timestamps[0] >= NOW - WINDOW


def test_the_longest_series_of_several_chains_is_taken() -> None:
    def series(factor: str, times: list[float], source: str) -> PriceSeries:
        return PriceSeries(factor, np.array(times), np.ones(len(times)), source)

    short, long, dense = series("ETH", [5, 9], "a"), series("ETH", [1, 9], "b"), series("ETH", [1, 5, 9], "c")
    other = series("BTC", [1, 2], "d")
    assert best_series([short, dense, other, long]) == best_series([long, other, dense, short]) == (other, dense)
