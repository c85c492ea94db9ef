"""The forecast per horizon: weights against plain loops, tiers, floors, and what must hold whatever the history."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.outlook import FLOOR, HOURS, SUNDAY, Outlook, Recent, Tier, forecast, outlook, week_pattern
from aggregator.risk.outlook_parameters import CLASS_SCALE, DAILY, HOURLY
from aggregator.risk.shapes import Array
from tests.builders import walk

BOTH = {"ETH": FactorClass.ETH, "BTC": FactorClass.BTC}
NONE = Recent(np.zeros((0, 2)), np.zeros(2, dtype=np.int64))
NOW = 480_000
"""hours since the epoch"""


def drawn(hours: int, seed: int = 0, sigma: float = 0.008) -> Array:
    generator = np.random.default_rng(seed)
    common = generator.standard_t(4, hours)
    return np.asarray(sigma * np.column_stack([common + generator.standard_normal(hours), common]))


def hourly(returns: Array, ages: tuple[int, int]) -> Outlook:
    return forecast(("ETH", "BTC"), (FactorClass.ETH, FactorClass.BTC), Recent(returns, np.array(ages)), NONE, NOW)


@pytest.mark.parametrize("name", list(HOURS))
def test_the_weighted_moments_are_what_plain_loops_give(name: str) -> None:
    returns = drawn(900)
    returns[:100, 0] = 0.0
    found = hourly(returns, (800, 900)).horizons[name]
    pattern = week_pattern()
    flat = [[r / pattern[(SUNDAY + NOW - 900 + i) % 168] ** 0.5 for r in row] for i, row in enumerate(returns.tolist())]
    parameters = HOURLY[name]

    def moment(pick: tuple[int, int], age: int, half_life: float, keep: int = 0) -> float:
        total = weight = 0.0
        for lag in range(age):
            first, second = flat[899 - lag][pick[0]], flat[899 - lag][pick[1]]
            w = 0.5 ** (lag / half_life)
            weight += w
            if keep == 0 or (keep < 0) == (first < 0):
                total += w * first * second
        return total / weight

    ahead = sum(float(pattern[(SUNDAY + NOW + i) % 168]) for i in range(HOURS[name]))
    both = [
        [sum(w * moment((i, j), 900 if i == j == 1 else 800, h) for h, w in (*parameters.even, *parameters.directed)) for j in (0, 1)]
        for i in (0, 1)
    ]
    assert found.deviation == pytest.approx([(both[i][i] * ahead) ** 0.5 for i in (0, 1)], rel=1e-9)
    assert found.correlation[0, 1] == pytest.approx(both[0][1] / (both[0][0] * both[1][1]) ** 0.5, rel=1e-9)
    for asset, age in ((0, 800), (1, 900)):
        even = sum(w * moment((asset, asset), age, h) for h, w in parameters.even)
        falls = 2 * sum(w * moment((asset, asset), age, h, -1) for h, w in parameters.directed)
        rises = 2 * sum(w * moment((asset, asset), age, h, 1) for h, w in parameters.directed)
        assert found.down[asset] == pytest.approx(((even + falls) / both[asset][asset]) ** 0.5, rel=1e-9)
        assert found.up[asset] == pytest.approx(((even + rises) / both[asset][asset]) ** 0.5, rel=1e-9)


def test_falls_make_falls_likelier_and_rises_rises() -> None:
    returns = drawn(2000, seed=4)
    returns[-24:, :] = -np.abs(returns[-24:, :]) - 0.01
    fallen = hourly(returns, (2000, 2000)).horizons["1d"]
    assert (fallen.down > 1.05).all() and (fallen.up < 0.95).all()
    risen = hourly(-returns, (2000, 2000)).horizons["1d"]
    assert risen.down == pytest.approx(fallen.up) and risen.up == pytest.approx(fallen.down)
    assert risen.deviation == pytest.approx(fallen.deviation)


def test_a_random_walk_is_foretold_about_as_wide_as_it_is() -> None:
    sigma = 0.01
    found = hourly(np.random.default_rng(1).standard_normal((6144, 2)) * sigma, (6144, 6144)).horizons["1d"]
    weights = HOURLY["1d"]
    share = sum(w for _, w in (*weights.even, *weights.directed))
    # the parts with a short memory are noisy
    assert found.deviation == pytest.approx(
        sigma * (24 * share * float(np.mean(week_pattern()[(SUNDAY + NOW + np.arange(24)) % 168]))) ** 0.5, rel=0.15
    )
    assert abs(found.correlation[0, 1]) < 0.2


def test_the_week_has_a_quiet_saturday_and_a_loud_afternoon() -> None:
    pattern = week_pattern()
    days, hours = pattern.reshape(7, 24).mean(axis=1), pattern.reshape(7, 24).mean(axis=0)
    assert pattern.mean() == pytest.approx(1.0) and pattern.min() > 0.3
    assert int(np.argmin(days)) == 6 and int(np.argmax(hours)) in (14, 15)


def test_tiers_follow_what_there_is() -> None:
    now = 24 * 3600 * 400.0
    fine = walk("ETH", 0.04, 60, 3600.0, seed=1)
    fine = PriceSeries("ETH", fine.timestamps - fine.timestamps[-1] + now, fine.prices, "")
    daily = walk("BTC", 0.04, 92, 0.9 * 86_400, seed=2)
    daily = PriceSeries("BTC", daily.timestamps - daily.timestamps[-1] + now, daily.prices, "")
    assert outlook(("ETH", "BTC"), BOTH, {"ETH": fine, "BTC": daily}, now).tiers == (Tier.HOURLY, Tier.DAILY)
    assert outlook(("ETH", "BTC"), BOTH, {}, now).tiers == (Tier.CLASS, Tier.CLASS)
    short = PriceSeries("ETH", fine.timestamps[-24 * 20 :], fine.prices[-24 * 20 :], "")
    assert outlook(("ETH",), BOTH, {"ETH": short}, now).tiers == (Tier.DAILY,)
    silent = outlook(("ETH", "BTC"), BOTH, {"ETH": fine, "BTC": daily}, now + 3 * 86_400)
    assert silent.tiers == (Tier.DAILY, Tier.DAILY), "hours that nobody saw are not hours in which nothing happened"


def test_the_class_alone_is_its_long_run_figure_and_a_full_daily_history_its_own() -> None:
    at = outlook(("ETH",), BOTH, {}, 3600.0 * NOW).horizons["7d"]
    assert float(at.deviation[0]) == pytest.approx(0.044 * (7 * CLASS_SCALE) ** 0.5, rel=1e-9)
    returns = np.full((92, 2), 0.05)
    found = forecast(("ETH", "BTC"), (FactorClass.ETH, FactorClass.BTC), NONE, Recent(returns, np.array([92, 30])), NOW).horizons["7d"]
    weights = DAILY["7d"]
    own, usual = sum(w for _, w in weights.even), FACTORS[FactorClass.BTC].daily_volatility
    assert float(found.deviation[0]) ** 2 == pytest.approx(7 * (own * 0.05**2 + weights.usual * 0.044**2), rel=1e-9)
    assert float(found.deviation[1]) ** 2 == pytest.approx(
        7 * (0.5 * own * 0.05**2 + 0.5 * own * usual**2 + weights.usual * usual**2), rel=1e-9
    )


def test_a_price_that_stands_still_is_not_safe() -> None:
    found = hourly(np.zeros((800, 2)), (800, 800))
    usual = np.array([FACTORS[FactorClass.ETH].daily_volatility, FACTORS[FactorClass.BTC].daily_volatility])
    assert found.horizons["7d"].deviation == pytest.approx(FLOOR * usual * 7**0.5, rel=1e-9)


def test_louder_multiplies_one_factor() -> None:
    calm = hourly(drawn(800), (800, 800))
    loud = calm.louder({"BTC": 3.0})
    for name in HOURS:
        assert loud.horizons[name].deviation == pytest.approx(calm.horizons[name].deviation * [1.0, 3.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 1500), min_size=5, max_size=5))
def test_whatever_the_ages_the_correlation_is_one(seed: int, ages: list[int]) -> None:
    generator = np.random.default_rng(seed)
    returns = 0.01 * generator.standard_t(3, (1500, 5)) @ generator.standard_normal((5, 5))
    known = np.arange(1500)[:, None] >= 1500 - np.array(ages)
    classes = (FactorClass.BTC, FactorClass.ETH, FactorClass.VOLATILE, FactorClass.STABLE, FactorClass.UNKNOWN)
    daily = Recent(np.where(known, returns, 0.0)[-92:], np.minimum(np.array(ages) // 24, 92))
    found = forecast("abcde", classes, Recent(np.where(known, returns, 0.0), np.array(ages)), daily, NOW)
    for one in found.horizons.values():
        assert np.isfinite(one.deviation).all() and (one.deviation > 0).all()
        assert np.diag(one.correlation) == pytest.approx(np.ones(5))
        assert np.linalg.eigvalsh(one.correlation)[0] >= -1e-9
        assert (np.square(one.down) + np.square(one.up)) == pytest.approx(2 * np.ones(5), abs=1e-6)
    assert (found.horizons["1h"].deviation < found.horizons["1d"].deviation).all()
    assert (found.horizons["1d"].deviation < found.horizons["7d"].deviation).all()


def test_nothing_after_now_is_looked_at() -> None:
    series = walk("ETH", 0.04, 60, 3600.0, seed=6)
    now = float(series.timestamps[-200])
    spoiled = series.prices.copy()
    spoiled[-199:] *= 0.1
    one, other = (
        outlook(("ETH",), BOTH, {"ETH": PriceSeries("ETH", series.timestamps, prices, "")}, now) for prices in (series.prices, spoiled)
    )
    for name in HOURS:
        assert one.horizons[name].deviation.tolist() == other.horizons[name].deviation.tolist()
