"""The figures of the record, on series small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.risk.market_risk.coverage_tests import Transitions, christoffersen, kupiec
from aggregator.risk.market_risk.scores import Outcomes, largest_rise, peak_to_trough, pooled, quantile_losses, score
from aggregator.risk.shapes import Array


def outcomes(haircut: list[float], loss: list[float], path: list[float] | None = None) -> Outcomes:
    return Outcomes(np.array(haircut), np.array(loss), np.array(path if path is not None else loss))


def test_every_figure_by_hand() -> None:
    nan = float("nan")
    found = score(outcomes([0.10, 0.10, 0.12, nan, 0.08], [0.05, 0.15, -0.02, 0.5, nan], [0.11, 0.15, 0.0, 0.5, nan]), 1)
    assert found is not None
    assert found.days == 3
    assert found.violation_rate_close == pytest.approx(1 / 3)
    assert found.violation_rate_path == pytest.approx(2 / 3)
    assert found.mean_haircut == pytest.approx(0.32 / 3)
    assert found.worst_shortfall == pytest.approx(0.05)
    assert found.peak_to_trough == pytest.approx(1.5)
    assert found.max_5d_rise == pytest.approx(0.02)
    assert found.quantile_loss_bp == pytest.approx(1e4 * (0.01 * 0.05 + 0.99 * 0.05 + 0.01 * 0.14) / 3)


def test_the_quantile_loss_is_least_at_the_quantile() -> None:
    losses = np.random.default_rng(3).standard_t(4, size=20_000) * 0.03

    def mean(haircut: float) -> float:
        return float(np.mean(quantile_losses(np.full(len(losses), haircut), losses)))

    best = float(np.quantile(losses, 0.99))
    assert mean(best) < min(mean(0.8 * best), mean(1.25 * best), mean(best + 0.02))


def test_three_days_are_tested_on_series_that_do_not_overlap() -> None:
    """One fall that three overlapping windows share is one violation of each phase and never two in a row."""
    losses: Array = np.zeros(600)
    losses[300:303] = 0.3
    found = score(Outcomes(np.full(600, 0.1), losses, losses), 3)
    assert found is not None
    assert found.violation_rate_close == pytest.approx(3 / 600)
    assert found.christoffersen_p > 0.9
    # ten more dips on the way, one of them a day after another: the close does not see them, the path's tests do
    path = losses.copy()
    path[np.array([50, 51, 100, 150, 200, 250, 350, 400, 450, 500])] = 0.2
    dipped = score(Outcomes(np.full(600, 0.1), losses, path), 1)
    assert dipped is not None
    assert dipped.kupiec_path_p == pytest.approx(kupiec(600, 13, 0.01)) and dipped.kupiec_path_p < 0.05 < dipped.kupiec_p
    assert dipped.christoffersen_path_p == christoffersen(Transitions.of(path > 0.1))
    assert not dipped.passes_on_path
    clustered = score(Outcomes(np.full(600, 0.1), losses, losses), 1)
    assert clustered is not None and clustered.christoffersen_p < 0.01


def test_pooling_adds_days_and_takes_the_worst() -> None:
    one, other = outcomes([0.1] * 50, [0.0] * 49 + [0.3]), outcomes([0.2] * 150, [0.0] * 150)
    found = pooled([one, other, outcomes([float("nan")], [0.1])], 1)
    assert found is not None
    assert found.days == 200
    assert found.worst_shortfall == pytest.approx(0.2)
    assert found.violation_rate_close == pytest.approx(1 / 200)
    assert found.mean_haircut == pytest.approx((5 + 30) / 200)
    assert pooled([], 1) is None and score(outcomes([float("nan")], [0.1]), 1) is None


def test_peak_to_trough_looks_a_year_back_and_rises_five_days() -> None:
    series = np.concatenate([np.full(400, 0.1), np.full(400, 0.2), np.full(400, 0.5)])
    assert peak_to_trough(series) == pytest.approx(2.5)
    assert largest_rise(series) == pytest.approx(0.3)
    slow = np.linspace(0.1, 0.59, 50)
    assert largest_rise(slow) == pytest.approx(0.05)
    assert largest_rise(np.array([0.3])) == 0.0
