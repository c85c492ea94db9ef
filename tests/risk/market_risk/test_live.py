"""Today's path quantiles from feeds' series: irregular rounds, short and silent series, and nothing of one factor in another's."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.market_risk.live import DAY, path_quantiles
from aggregator.risk.policy import DEFAULT
from aggregator.risk.volatility import FLOOR, volatilities

NOW = 1_700_000_000.0


def rounds(days: float = 92, daily: float = 0.04, seed: int = 1, fall: float = 0.0, until: float = 0.0) -> PriceSeries:
    """A round every 0.9 days and some more on the last day; `fall` is what the last round lost, `until` days before now it ends."""
    random = np.random.default_rng(seed)
    times = np.sort(np.append(np.arange(NOW - days * DAY, NOW, 0.9 * DAY), NOW - DAY * np.array([0.5, 0.3, 0.1, 0.0])))
    steps = np.diff(times, prepend=times[0]) / DAY
    prices = 100 * np.exp(np.cumsum(daily * np.sqrt(steps) * random.standard_t(5, size=len(times)) * (3 / 5) ** 0.5))
    prices[-1] *= 1 - fall
    return PriceSeries("X", times - until * DAY, prices, "test")


def test_a_volatile_series_gives_a_quantile_like_its_class() -> None:
    found = path_quantiles({"X": rounds()})["X"]
    assert 0.07 < found < 0.25
    assert path_quantiles({"X": rounds(daily=0.08)})["X"] > found


def test_each_factor_is_judged_alone() -> None:
    alone = path_quantiles({"A": rounds(seed=3)})["A"]
    beside = path_quantiles({"A": rounds(seed=3), "B": rounds(seed=4, daily=0.03), "C": rounds(seed=5, fall=0.9), "D": rounds(seed=6)})["A"]
    assert beside == pytest.approx(alone, rel=1e-12)


def test_a_collapse_is_in_the_haircut_at_once() -> None:
    assert path_quantiles({"X": rounds(fall=0.9)})["X"] > -np.log(1 - 0.85)


def test_short_and_silent_series_are_left_out() -> None:
    found = path_quantiles({"NEW": rounds(days=10), "OLD": rounds(until=20), "ONE": rounds(seed=2)})
    assert set(found) == {"ONE"}
    assert path_quantiles({}) == {}


def test_a_calm_history_is_believed_as_far_as_it_lasts() -> None:
    usual = DEFAULT.path_quantile * FACTORS[FactorClass.VOLATILE].daily_volatility
    classes = {"X": FactorClass.VOLATILE}
    calm = volatilities(("X",), classes, {"X": rounds(daily=0.01)})["X"].path
    wild = volatilities(("X",), classes, {"X": rounds(daily=0.15)})["X"].path
    assert calm is not None and wild is not None
    assert FLOOR * usual <= calm < usual < wild
    assert volatilities(("X",), classes, {})["X"].path is None
