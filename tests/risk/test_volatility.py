"""Volatility from irregular, short, odd histories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.volatility import (
    DAY,
    FLOOR,
    VolatilitySource,
    by_factor,
    clean,
    resample,
    robust_daily,
    step_for,
    volatility,
)
from tests.builders import walk


@pytest.mark.parametrize(("step", "days"), [(3600.0, 8), (3600.0, 40), (14_400.0, 40), (DAY, 365), (DAY * 0.9, 92)])
def test_a_random_walk_gives_its_volatility_back(step: float, days: int) -> None:
    estimates = [robust_daily(walk("ETH", 0.04, days, step, seed=seed)) for seed in range(60)]
    assert all(one is not None for one in estimates)
    mean = float(np.mean([one[0] for one in estimates if one is not None]))
    # 1.35 instead of 1.2533 leans upwards on normal returns, by design
    assert mean == pytest.approx(0.04 * (0.75 * (1.35 / 1.2533) ** 2 + 0.25) ** 0.5, rel=0.08)


def test_rounds_written_on_deviation_lead_to_the_same_figure() -> None:
    """A feed that writes only when the price moved half a per cent, or an hour passed."""
    dense = walk("ETH", 0.04, 40, 60.0, seed=3)
    kept = [0]
    for index in range(1, len(dense.prices)):
        moved = abs(dense.prices[index] / dense.prices[kept[-1]] - 1) > 0.005
        if moved or dense.timestamps[index] - dense.timestamps[kept[-1]] >= 3600:
            kept.append(index)
    feed = PriceSeries("ETH", dense.timestamps[kept], dense.prices[kept], "feed")
    every, some = robust_daily(dense), robust_daily(feed)
    assert every is not None and some is not None
    assert some[0] == pytest.approx(every[0], rel=0.05)


def test_one_bad_print_does_not_decide() -> None:
    good = walk("ETH", 0.03, 90)
    prices = good.prices.copy()
    prices[50] *= 3.0
    clean_estimate, spoiled = robust_daily(good), robust_daily(PriceSeries("ETH", good.timestamps, prices, "test"))
    assert clean_estimate is not None and spoiled is not None
    plain = float(np.std(np.diff(np.log(prices))))
    assert plain > 4 * clean_estimate[0]
    assert spoiled[0] < 0.7 * plain


def test_recent_days_count_more() -> None:
    calm, wild = walk("ETH", 0.01, 60, seed=1), walk("ETH", 0.08, 60, seed=2)
    times = np.concatenate([calm.timestamps, wild.timestamps[1:] + 60 * DAY])
    joined = np.concatenate([calm.prices, calm.prices[-1] * wild.prices[1:] / wild.prices[0]])
    reverse = np.concatenate([wild.prices, wild.prices[-1] * calm.prices[1:] / calm.prices[0]])
    later_wild, later_calm = robust_daily(PriceSeries("ETH", times, joined, "")), robust_daily(PriceSeries("ETH", times, reverse, ""))
    assert later_wild is not None and later_calm is not None
    assert later_wild[0] > 1.3 * later_calm[0]


@pytest.mark.parametrize(
    ("daily", "days", "source"),
    [
        (0.001, 400, VolatilitySource.FLOOR),
        (0.035, 10, VolatilitySource.BLENDED),
        (0.035, 90, VolatilitySource.BLENDED),
        (0.09, 10, VolatilitySource.HISTORY),
        (0.09, 90, VolatilitySource.HISTORY),
    ],
)
def test_a_calm_history_earns_credit_slowly_and_a_wild_one_counts_at_once(daily: float, days: int, source: VolatilitySource) -> None:
    usual = FACTORS[FactorClass.ETH].daily_volatility
    series = walk("ETH", daily, days, 3600.0)
    own = robust_daily(series)
    found = volatility("ETH", FactorClass.ETH, series)
    assert own is not None
    assert found.source is source
    if source is VolatilitySource.HISTORY:
        assert found.daily == own[0]
    else:
        assert max(own[0], FLOOR * usual) <= found.daily <= usual
    assert found.daily >= FLOOR * usual


def test_longer_calm_earns_more_credit() -> None:
    short, long = (volatility("ETH", FactorClass.ETH, walk("ETH", 0.02, days, 3600.0)) for days in (5, 400))
    assert short.daily > long.daily


@pytest.mark.parametrize(
    "series",
    [
        None,
        PriceSeries("ETH", np.array([1.0]), np.array([2.0]), ""),
        PriceSeries("ETH", np.array([1.0, 2.0]), np.array([2.0, 2.0]), ""),
        walk("ETH", 0.04, 5),
    ],
)
def test_without_enough_history_the_class_stands_in(series: PriceSeries | None) -> None:
    usable = by_factor([series])["ETH"] if series is not None and clean(series) is not None else None
    found = volatility("ETH", FactorClass.ETH, usable)
    assert (found.daily, found.source) == (FACTORS[FactorClass.ETH].daily_volatility, VolatilitySource.CLASS)


def test_rubbish_in_a_history_is_left_out() -> None:
    times = np.array([3.0, 1.0, 2.0, 2.0, 4.0, np.nan, 6.0, 7.0])
    prices = np.array([30.0, 10.0, 20.0, 21.0, 0.0, 5.0, np.inf, -3.0])
    kept = clean(PriceSeries("ETH", times, prices, ""))
    assert kept is not None
    assert kept.timestamps.tolist() == [1.0, 2.0, 3.0]
    assert kept.prices.tolist() == [10.0, 21.0, 30.0]


def test_the_longest_series_of_a_factor_is_used() -> None:
    short, long = walk("ETH", 0.04, 10), walk("ETH", 0.04, 60)
    assert len(by_factor([short, long])["ETH"].prices) == len(by_factor([long, short])["ETH"].prices) == 61


def test_the_grid_is_never_finer_than_the_data() -> None:
    assert step_for(walk("ETH", 0.04, 8, 600.0)) == 3600
    assert step_for(walk("ETH", 0.04, 30, 600.0)) == 14_400
    assert step_for(walk("ETH", 0.04, 30, DAY)) == DAY
    assert step_for(walk("ETH", 0.04, 90, 600.0)) == DAY
    assert step_for(walk("ETH", 0.04, 90, 3 * DAY)) == 3 * DAY


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0.01, 1e6)), min_size=2, max_size=40))
def test_a_grid_price_is_the_last_one_known(points: list[tuple[float, float]]) -> None:
    series = clean(PriceSeries("X", np.array([t for t, _ in points]), np.array([p for _, p in points]), ""))
    if series is None:
        return
    grid = resample(series, 1000.0)
    assert grid[-1] == series.prices[-1]
    last = float(series.timestamps[-1])
    for back, value in enumerate(grid[::-1].tolist()):
        known = series.prices[series.timestamps <= last - back * 1000.0 + 1e-9]
        assert value == (known[-1] if len(known) else series.prices[0])
