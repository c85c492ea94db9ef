"""The dynamic haircut: coverage, calm, collapse, pegs, and what it owes to the other assets."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.risk.market_risk.collapse import CollapseFloor, own_fall, week_falls
from aggregator.risk.market_risk.dynamic import DEFAULT, Target, forecast
from aggregator.risk.market_risk.market_direction import MarketDirection
from aggregator.risk.market_risk.panel import close_losses, path_losses
from aggregator.risk.market_risk.recalibration import Excitement, Offset
from aggregator.risk.market_risk.robust_volatility import RobustVolatility
from tests.risk.market_risk.histories import drawn, panel_of

SETTLED = 250


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("volatility", [0.03, 0.07])
@pytest.mark.parametrize("target", list(Target))
def test_about_one_day_in_a_hundred_is_worse(horizon: int, volatility: float, target: Target) -> None:
    panel = drawn(2500, 6, seed=5, volatility=volatility)
    haircuts = forecast(panel, horizon, target)
    losses = (path_losses if target is Target.PATH else close_losses)(panel, horizon)
    known = np.isfinite(haircuts) & np.isfinite(losses)
    known[:SETTLED] = False
    rate = float(np.mean(losses[known] > haircuts[known]))
    assert 0.004 <= rate <= 0.016


def test_the_path_needs_more_than_the_close() -> None:
    panel = drawn(1500, 5, seed=9)
    path, close = (np.nanmean(forecast(panel, 1, target)[SETTLED:]) for target in (Target.PATH, Target.CLOSE))
    assert close < path < 1.5 * close


def test_no_rise_above_eight_points_in_five_days_without_a_collapse() -> None:
    panel = drawn(1200, 5, seed=21)
    haircuts = forecast(panel, 3)
    for back in range(1, 6):
        steps = haircuts[back:] - haircuts[:-back]
        assert float(np.nanmax(steps)) <= DEFAULT.rise + 1e-12


def test_an_asset_that_collapses_alone_is_followed_within_a_day() -> None:
    panel = drawn(700, 6, seed=4)
    close = panel.close.copy()
    close[600:, 2] *= np.array([0.5, 0.15, 0.01] + [0.005] * 97)
    haircuts = forecast(panel_of(close), 1)
    assert haircuts[601, 2] > 0.6 and haircuts[602, 2] > 0.9
    others = np.delete(haircuts[595:610], 2, axis=1)
    assert float(np.max(others)) < 0.45
    assert haircuts[699, 2] < haircuts[602, 2]


def test_a_fall_of_everything_is_no_collapse_of_one() -> None:
    panel = drawn(700, 6, seed=4)
    close = panel.close.copy()
    close[600:] *= 0.35
    haircuts = forecast(panel_of(close), 1)
    assert float(np.nanmax(haircuts[600:606])) < 0.45


def test_a_peg_has_its_floor_and_a_break_lifts_it() -> None:
    random = np.random.default_rng(2)
    close = np.exp(0.0005 * random.normal(size=(500, 1)))
    for target, least in ((Target.CLOSE, DEFAULT.least_close), (Target.PATH, DEFAULT.least_path)):
        calm = forecast(panel_of(close), 1, target)
        assert np.nanmax(calm) == least == np.nanmin(calm)
    broken = close.copy()
    broken[400:] *= 0.9
    assert forecast(panel_of(broken), 1)[400, 0] >= 0.05


def test_silence_and_gaps_give_no_forecast_and_no_warning() -> None:
    still = np.ones((120, 1))
    assert np.nanmin(forecast(panel_of(still), 1)) == DEFAULT.least_close
    gap = drawn(300, 2, seed=8).close.copy()
    gap[100:160, 0] = np.nan
    haircuts = forecast(panel_of(gap), 1)
    assert np.isnan(haircuts[100:160, 0]).all() and np.isfinite(haircuts[160:, 0]).all() and np.isfinite(haircuts[30:, 1]).all()
    assert np.isnan(haircuts[: DEFAULT.first_forecast]).all()


def test_the_unit_of_a_price_does_not_matter() -> None:
    panel = drawn(400, 3, seed=6)
    scaled = forecast(panel_of(panel.close * np.array([1e-6, 1.0, 1e6])), 1)
    np.testing.assert_allclose(scaled, forecast(panel_of(panel.close), 1), rtol=1e-9)


def test_week_falls_and_the_part_that_is_an_assets_own() -> None:
    close = np.array([[10.0, 10.0], [8.0, 9.0], [4.0, np.nan]])
    np.testing.assert_allclose(week_falls(panel_of(close)), np.array([[0.0, 0.0], [0.2, 0.1], [0.6, np.nan]]))
    falls = np.array([0.7, 0.4, 0.4, 0.5])
    volatile = np.ones(4, dtype=bool)
    assert own_fall(falls, volatile)[0] == pytest.approx(1 - 0.3 / 0.6)
    assert own_fall(falls[:2], volatile[:2])[0] == 0.7


def test_the_collapse_floor_rises_between_its_two_ends_and_wears_off() -> None:
    floor = CollapseFloor(3)
    usual, share = np.full(3, 0.05), np.ones(3)
    floor.update(np.array([0.55, 0.68, 0.9]), usual * 0 + 0.05, share * 0.0 + 0.999)
    assert floor.value[0] == 0.0 and 0 < floor.value[1] < 0.68 and floor.value[2] == pytest.approx(0.9)
    floor.update(np.zeros(3), usual, share)
    assert floor.value[2] == pytest.approx(0.81)


def test_recalibration_moves_towards_the_promise_and_stays_in_its_range() -> None:
    offset = Offset(2, 0.01, 0.5, 0.5)
    everything = np.ones(2, dtype=bool)
    offset.update(np.array([0.1, 0.1]), np.array([0.2, 0.0]), everything)
    assert offset.value[0] > offset.value[1] > 0
    for _ in range(50):
        offset.update(np.array([0.1, 0.1]), np.array([0.2, 0.2]), everything)
    assert offset.value.tolist() == [0.5, 0.5]
    quiet = Offset(1, 0.01, 0.5, 0.5)
    quiet.update(np.array([np.nan]), np.array([0.2]), np.ones(1, dtype=bool))
    assert quiet.value[0] == 0.0


def test_excitement_counts_misses_and_forgets_them() -> None:
    excitement = Excitement(1, 0.5)
    for _ in range(10):
        excitement.update(np.array([0.1]), np.array([0.2]))
    assert excitement.value[0] == pytest.approx(2.0, abs=0.01)
    excitement.update(np.array([0.1]), np.array([0.0]))
    assert excitement.value[0] == pytest.approx(1.0, abs=0.01)


def test_the_market_is_led_by_its_calmest_volatile_asset() -> None:
    def after(returns: list[float], usual: list[float]) -> float:
        direction = MarketDirection(2.0, -1.5, 0.25)
        count = np.full(len(usual), 100.0)
        random = np.random.default_rng(0)
        for _ in range(60):
            direction.update(0.03 * random.normal(size=len(usual)), np.array(usual), count)
        for _ in range(4):
            direction.update(np.array(returns), np.array(usual), count)
        return direction.value

    assert after([-0.1, 0.1], [0.03, 0.06]) < -0.5
    assert after([0.1, -0.1], [0.03, 0.06]) == 0.25
    nobody = MarketDirection(2.0, -1.5, 0.25)
    nobody.update(np.array([-0.5]), np.array([0.001]), np.array([100.0]))
    assert nobody.value == 0.0


def test_one_wild_day_cannot_move_the_robust_volatility_far() -> None:
    volatility = RobustVolatility(1, 0.97)
    random = np.random.default_rng(1)
    for value in 0.03 * random.normal(size=300):
        volatility.update(np.array([value]))
    before = float(volatility.now[0])
    volatility.update(np.array([-0.8]))
    assert 0.02 < before < 0.045
    assert float(volatility.now[0]) < 1.12 * before
