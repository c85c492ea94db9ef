"""What may be made of a feed's answer: every reason to doubt it is named, and doubt only ever widens."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.outcome import Absent, Reason, Unknown, Value
from aggregator.model.price import PriceQuality
from aggregator.prices.answers import (
    Round,
    Sequencer,
    judge_round,
    judge_stated,
    sequencer_state,
    staleness_limit,
)
from aggregator.prices.estimate import Estimate
from aggregator.prices.feeds import Cadence, FeedKind, SequencerFeed
from tests.prices.kit import ARBITRUM, ETHEREUM, NOW, address, block, feed, round_of

ETH = feed("ETH")
UPTIME = SequencerFeed(address=address(7), grace_seconds=3_600, source="test")


def judged(round_: Round, bounds: tuple[int, int] | None = None, sequencer: Sequencer | None = None, now: int = NOW) -> Estimate:
    estimate = judge_round(ETH, round_, 8, bounds, block(now), sequencer or Sequencer(), ETHEREUM)
    assert isinstance(estimate, Estimate)
    return estimate


def test_a_fresh_answer_with_its_band() -> None:
    estimate = judged(round_of(250_000_000_000, age=60))
    assert (estimate.value, estimate.age_seconds, estimate.quality) == (Decimal(2500), 60, PriceQuality.FRESH)
    assert (estimate.low, estimate.high) == (Decimal("2487.5"), Decimal("2512.5"))
    assert estimate.confidence == 0.95
    assert estimate.notes == ()
    assert f"{ETH.label} on eip155:1, block 25000000, 60 s old" in estimate.sources


@pytest.mark.parametrize(
    ("round_", "says"),
    [
        (Round(10, 1, NOW, 0, 10), "not complete"),
        (Round(10, 1, NOW, NOW + 5, 10), "5 s after the block"),
        (Round(10, 1, NOW, NOW, 9), "carried over"),
        (Round(10, 1, NOW, NOW, 0), "carried over"),
        (round_of(1, age=4_201), "4201 s old, its heartbeat is 3600 s"),
    ],
)
def test_every_reason_to_call_it_stale_is_named(round_: Round, says: str) -> None:
    estimate = judged(round_)
    assert estimate.quality is PriceQuality.STALE
    assert says in estimate.notes[0]
    assert estimate.confidence <= 0.5
    assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize("answer", [0, -1, -(10**30)])
def test_what_is_no_price_has_no_value(answer: int) -> None:
    assert "not a price" in str(judge_round(ETH, round_of(answer), 8, None, block(), Sequencer(), ETHEREUM))
    assert "not a price" in str(judge_stated(ETH, answer, NOW, block(), Sequencer(), ETHEREUM))


def test_the_heartbeat_has_a_buffer() -> None:
    assert staleness_limit(3_600) == 4_200
    assert staleness_limit(86_400) == 95_040
    assert staleness_limit(1_200) == 4_200, "lateness of minutes only widens the interval"
    assert judged(round_of(1, age=4_200)).quality is PriceQuality.FRESH
    assert judged(round_of(1, age=4_201)).quality is PriceQuality.STALE


def test_an_answer_at_its_bounds_is_not_believed() -> None:
    at_minimum = judged(round_of(10**7), bounds=(10**7, 10**20))
    assert at_minimum.quality is PriceQuality.BOUNDED
    assert (at_minimum.low, at_minimum.confidence) == (Decimal(0), 0.1)
    assert "minimum" in at_minimum.notes[0]
    at_maximum = judged(round_of(10**20), bounds=(10**7, 10**20))
    assert at_maximum.quality is PriceQuality.BOUNDED
    assert at_maximum.high == 2 * at_maximum.value
    assert judged(round_of(10**7 + 1), bounds=(10**7, 10**20)).quality is PriceQuality.FRESH
    assert judged(round_of(10**7), bounds=(10**7, 10**7)).quality is PriceQuality.FRESH


def test_prices_of_a_rollup_whose_sequencer_is_down_or_just_back_are_stale() -> None:
    for trouble in (
        sequencer_state(UPTIME, Value((1, 1, NOW - 10_000, NOW, 1)), NOW),
        sequencer_state(UPTIME, Value((1, 0, NOW - 3_599, NOW, 1)), NOW),
        sequencer_state(UPTIME, Value((1, 0, 0, NOW, 1)), NOW),
    ):
        estimate = judged(round_of(1), sequencer=trouble)
        assert estimate.quality is PriceQuality.STALE
        assert "sequencer" in estimate.notes[0]
    assert sequencer_state(UPTIME, Value((1, 0, NOW - 3_600, NOW, 1)), NOW) == Sequencer()
    assert sequencer_state(UPTIME, Absent(Reason.NO_CODE), NOW) == Sequencer()


def test_an_unknown_sequencer_lowers_the_confidence_and_is_named() -> None:
    state = sequencer_state(UPTIME, Unknown(Reason.ENDPOINT, "no answer"), NOW)
    estimate = judged(round_of(1), sequencer=state)
    assert estimate.quality is PriceQuality.FRESH
    assert estimate.confidence < 0.95
    assert "unknown" in estimate.notes[0]


def test_a_net_asset_value_ages_in_business_time() -> None:
    fund = feed("USTB", kind=FeedKind.NAV, heartbeat=86_400, deviation="0", volatility="0.02")
    written_on_friday = NOW - 3 * 86_400  # now is Monday, 02:40
    over_the_week_end = judge_round(fund, Round(1, 1, written_on_friday, written_on_friday, 1), 6, None, block(), Sequencer(), ETHEREUM)
    assert isinstance(over_the_week_end, Estimate)
    assert over_the_week_end.quality is PriceQuality.FRESH
    assert over_the_week_end.age_seconds == 3 * 86_400
    late = NOW + 2 * 86_400
    on_wednesday = judge_round(fund, Round(1, 1, written_on_friday, written_on_friday, 1), 6, None, block(late), Sequencer(), ETHEREUM)
    assert isinstance(on_wednesday, Estimate)
    assert on_wednesday.quality is PriceQuality.STALE
    assert "business time" in on_wednesday.notes[0]


def test_an_undated_price_is_named_and_trusted_less() -> None:
    fund = feed("OUSG", kind=FeedKind.NAV, cadence=Cadence.DEFAULT, deviation="0", volatility="0.02")
    undated = judge_stated(fund, 113 * 10**18, None, block(), Sequencer(), ETHEREUM)
    assert isinstance(undated, Estimate)
    assert (undated.value, undated.age_seconds, undated.confidence) == (Decimal(113), None, 0.6)
    assert "states no time" in undated.notes[0]
    zero = judge_stated(fund, 113 * 10**18, 0, block(), Sequencer(), ETHEREUM)
    assert isinstance(zero, Estimate)
    assert zero.quality is PriceQuality.STALE


@given(
    answer=st.integers(1, 10**50 - 1),
    age=st.integers(-10_000, 10**9),
    more=st.integers(1, 10**7),
    decimals=st.integers(0, 24),
)
def test_the_older_the_wider_and_the_less_certain(answer: int, age: int, more: int, decimals: int) -> None:
    def at(seconds: int) -> Estimate:
        estimate = judge_round(ETH, round_of(answer, seconds), decimals, None, block(), Sequencer(), ETHEREUM)
        assert isinstance(estimate, Estimate)
        return estimate

    young = at(age)
    assert 0 <= young.low <= young.value <= young.high
    assert Fraction(young.value) * 10**decimals == answer
    assert young.quality is (PriceQuality.FRESH if 0 <= age <= 4_200 else PriceQuality.STALE)
    if age >= 0:
        old = at(age + more)
        assert old.low <= young.low and old.high >= young.high
        assert old.confidence <= young.confidence
        assert not (old.quality is PriceQuality.FRESH and young.quality is PriceQuality.STALE)


@given(
    bounds=st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6)),
    answer=st.integers(1, 10**6),
    down=st.booleans(),
    answered_in=st.integers(0, 12),
)
def test_fresh_means_that_nothing_was_wrong(bounds: tuple[int, int], answer: int, down: bool, answered_in: int) -> None:
    state = Sequencer(trouble="the sequencer is down") if down else Sequencer()
    round_ = Round(10, answer, NOW, NOW, answered_in)
    estimate = judge_round(ETH, round_, 0, bounds, block(), state, ARBITRUM)
    assert isinstance(estimate, Estimate)
    bounded = bounds[0] < bounds[1] and not bounds[0] < answer < bounds[1]
    doubtful = bounded or down or answered_in < 10
    assert (estimate.quality is PriceQuality.FRESH) is not doubtful
    assert bool(estimate.notes) is doubtful
