"""The plain models against slow references written from their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from aggregator.risk.market_risk import baselines, gjr_garch
from aggregator.risk.market_risk.panel import close_losses, confirmed_low, path_losses, returns
from tests.risk.market_risk.histories import drawn, panel_of


def test_the_multiple_is_students_quantile_at_variance_one() -> None:
    assert pytest.approx(float(student.ppf(0.99, 4)) / 2**0.5, abs=0.005) == baselines.STUDENT


@pytest.mark.parametrize("horizon", [1, 3])
def test_ewma_and_robust_follow_their_formulas(horizon: int) -> None:
    panel = drawn(200, 1, seed=3)
    steps = np.diff(np.log(panel.close[:, 0]))
    variance, mean = float(np.mean(steps[:20] ** 2)), float(np.mean(np.abs(steps[:20])))
    for step in steps[20:]:
        variance = 0.97 * variance + 0.03 * step**2
        mean = 0.97 * mean + 0.03 * min(abs(step), 4 * mean)
    root = horizon**0.5
    assert baselines.ewma_student(panel, horizon)[-1, 0] == pytest.approx(1 - np.exp(-2.65 * variance**0.5 * root))
    robust = (0.75 * (1.35 * mean) ** 2 + 0.25 * float(np.mean(steps**2))) ** 0.5
    assert baselines.robust(panel, horizon)[-1, 0] == pytest.approx(1 - np.exp(-2.65 * robust * root))


@pytest.mark.parametrize("horizon", [1, 3])
def test_historical_simulation_is_the_quantile_of_the_last_250_known_losses(horizon: int) -> None:
    panel = drawn(500, 1, seed=4)
    losses = 1 - panel.close[horizon:, 0] / panel.close[:-horizon, 0]
    day = 420
    known = losses[: day - horizon + 1]
    assert baselines.historical_simulation(panel, horizon)[day, 0] == pytest.approx(float(np.quantile(known[-250:], 0.99)))


@pytest.mark.parametrize("horizon", [1, 3])
def test_filtered_simulation_scales_past_shocks_to_todays_volatility(horizon: int) -> None:
    panel = drawn(400, 1, seed=5)
    sigma = baselines.ewma_volatility(panel)[:, 0]
    day = 350
    moves = -np.log(panel.close[horizon:, 0] / panel.close[:-horizon, 0]) / (sigma[:-horizon] * horizon**0.5)
    past = moves[: day - horizon + 1]
    quantile = float(np.quantile(past[np.isfinite(past)], 0.99))
    expected = 1 - np.exp(-quantile * sigma[day] * horizon**0.5)
    assert baselines.filtered_historical_simulation(panel, horizon)[day, 0] == pytest.approx(expected)


def test_aave_is_static_and_absent_where_it_lists_nothing() -> None:
    close = np.full((3, 3), 5.0)
    close[1, 0] = np.nan
    found = baselines.aave_static(panel_of(close, ("ETH", "FOO", "usdc")), 1)
    assert found[0, 0] == pytest.approx(1 - 0.83 * 1.05)
    assert np.isnan(found[:, 1]).all() and np.isnan(found[1, 0])
    assert found[2, 2] == pytest.approx(1 - 0.80 * 1.045)


def test_gjr_garch_finds_the_parameters_that_made_the_history() -> None:
    random = np.random.default_rng(12)
    truth = gjr_garch.Garch(0.4, 0.05, 0.1, 0.85)
    variance, values = 8.0, []
    for shock in random.standard_t(6, size=4000) * (4 / 6) ** 0.5:
        values.append(float(shock * variance**0.5))
        variance = truth.next(variance, values[-1])
    found = gjr_garch.fit(np.array(values))
    assert found is not None
    assert found.alpha + found.gamma / 2 + found.beta == pytest.approx(0.95, abs=0.03)
    assert found.gamma == pytest.approx(0.1, abs=0.06)
    assert truth.over(8.0, 3) == pytest.approx(8.0 + (0.4 + 0.95 * 8.0) + (0.4 + 0.95 * (0.4 + 0.95 * 8.0)))
    assert gjr_garch.fit(np.zeros(300)) is None


def test_gjr_garch_covers_a_drawn_history() -> None:
    panel = drawn(1200, 2, seed=7)
    haircuts, losses = gjr_garch.forecasts(panel, [1])[1], close_losses(panel, 1)
    known = np.isfinite(haircuts) & np.isfinite(losses)
    assert known.sum() > 1500
    assert 0.003 < float(np.mean(losses[known] > haircuts[known])) < 0.025


def test_returns_over_gaps_and_losses_on_the_way() -> None:
    nan = np.nan
    close = np.array([[100.0], [nan], [nan], [nan], [200.0], [100.0]])
    np.testing.assert_allclose(returns(close)[:, 0], [nan, nan, nan, nan, np.log(2) / 2, -np.log(2)])
    assert np.isnan(returns(close, longest_gap=3)[4, 0])
    panel = panel_of(np.array([[100.0], [90.0], [95.0], [110.0]]), low=np.array([[99.0], [60.0], [95.0], [105.0]]))
    np.testing.assert_allclose(close_losses(panel, 1)[:, 0], [0.1, 1 - 95 / 90, 1 - 110 / 95, nan])
    np.testing.assert_allclose(path_losses(panel, 1)[:, 0], [0.4, 1 - 95 / 90, 1 - 105 / 95, nan])
    np.testing.assert_allclose(path_losses(panel, 3)[:, 0], [0.4, nan, nan, nan])


def test_half_of_a_wick_is_confirmed() -> None:
    previous, close, low = np.array([100.0, np.nan, 100.0]), np.array([90.0, 90.0, 120.0]), np.array([40.0, 40.0, np.nan])
    np.testing.assert_allclose(confirmed_low(previous, close, low), [60.0, 60.0, 120.0])
    assert confirmed_low(np.array([80.0]), np.array([100.0]), np.array([45.0]))[0] == pytest.approx(60.0)
