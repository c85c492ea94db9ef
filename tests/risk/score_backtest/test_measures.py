"""The figures of a record, and the plain models, against definitions and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aggregator.risk.score_backtest.baselines import (
    EWMA_HALF_LIVES,
    WINDOWS,
    barrier,
    ewma_variances,
    historical_simulation,
    isotonic,
)
from aggregator.risk.score_backtest.measures import (
    DAY,
    WEEK,
    Weeks,
    fifths_of_risk,
    measure,
    paired_difference,
    quantile_groups,
    reliability,
    worst_days,
)
from aggregator.risk.score_backtest.population import Accounts, population, starts
from tests.risk.score_backtest.histories import drawn

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def weeks_of(count: int) -> Weeks:
    return Weeks(np.arange(count, dtype=np.int64) * DAY, 1)


@given(PAIRS, st.floats(0.05, 0.95))
def test_skill_ratio_and_error_are_their_definitions(pairs: list[tuple[float, bool]], reference: float) -> None:
    p, y = np.array([one for one, _ in pairs]), np.array([float(two) for _, two in pairs])
    found = measure(p, y, reference, weeks_of(len(pairs)))
    assert found.brier == pytest.approx(sum((a - b) ** 2 for a, b in zip(p, y, strict=True)) / len(p))
    if y.any():
        assert found.skill == pytest.approx(1 - float(((p - y) ** 2).sum() / ((reference - y) ** 2).sum()))
    else:
        assert found.skill is None and found.ratio_interval is None
    if p.sum() > 0:
        assert found.ratio == pytest.approx(float(y.sum() / p.sum()))
    order = sorted(range(len(p)), key=lambda place: (p[place], place))
    groups: dict[int, list[int]] = {}
    for rank, place in enumerate(order):
        groups.setdefault(rank * 20 // len(p), []).append(place)
    assert found.calibration_error == pytest.approx(sum(abs(sum(p[i] - y[i] for i in own)) for own in groups.values()) / len(p), abs=1e-12)


def test_a_band_is_measured_as_if_it_stood_alone() -> None:
    generator = np.random.default_rng(3)
    p = generator.random(2000)
    y = (generator.random(2000) < p).astype(float)
    chosen = p < 0.3
    weeks = Weeks(np.arange(2000, dtype=np.int64) * 3600 * 7, 5)
    part = measure(p, y, 0.2, weeks, chosen)
    alone = measure(p[chosen], y[chosen], 0.2, Weeks(np.arange(2000, dtype=np.int64)[chosen] * 3600 * 7, 5))
    assert (part.skill, part.ratio, part.calibration_error, part.accounts) == (
        alone.skill,
        alone.ratio,
        alone.calibration_error,
        alone.accounts,
    )
    assert part.skill_interval == pytest.approx(alone.skill_interval, abs=0.05)


def test_true_probabilities_are_told_from_wrong_ones() -> None:
    generator = np.random.default_rng(0)
    p = generator.beta(0.3, 3.0, 40_000)
    y = (generator.random(40_000) < p).astype(float)
    weeks = Weeks(np.arange(40_000, dtype=np.int64) * 900, 2)
    good, bad = measure(p, y, float(y.mean()), weeks), measure(np.minimum(1.5 * p, 1.0), y, float(y.mean()), weeks)
    assert good.ratio_interval is not None and good.ratio_interval[0] < 1 < good.ratio_interval[1]
    assert bad.ratio_interval is not None and bad.ratio_interval[1] < 0.9
    assert good.calibration_error < 0.005 < 0.02 < bad.calibration_error
    difference, interval = paired_difference(p, np.minimum(1.5 * p, 1.0), y, float(y.mean()), weeks)
    assert difference > 0 and interval is not None and interval[0] > 0
    assert difference == pytest.approx((good.skill or 0) - (bad.skill or 0))
    backwards, mirrored = paired_difference(np.minimum(1.5 * p, 1.0), p, y, float(y.mean()), weeks)
    assert backwards == -difference and mirrored is not None and mirrored[1] == pytest.approx(-interval[0])


def test_whole_weeks_are_resampled() -> None:
    """Accounts of one week fail together: the interval is as wide as the number of weeks makes it, however many accounts there are."""
    generator = np.random.default_rng(1)
    bad = generator.random(60) < 0.3
    times = np.repeat(np.arange(60, dtype=np.int64) * WEEK, 500)
    y = np.repeat(bad.astype(float), 500)
    found = measure(np.full(30_000, 0.3), y, 0.3, Weeks(times, 1))
    assert found.ratio_interval is not None
    width = (found.ratio_interval[1] - found.ratio_interval[0]) * 0.3
    assert width == pytest.approx(2 * 1.96 * (0.3 * 0.7 / 60) ** 0.5, rel=0.25)


@given(PAIRS)
def test_groups_are_equally_large_and_in_order(pairs: list[tuple[float, bool]]) -> None:
    p = np.array([one for one, _ in pairs])
    groups = quantile_groups(p, 5)
    sizes = np.bincount(groups, minlength=5)
    assert sizes.max() - sizes.min() <= 1
    assert all(p[a] <= p[b] for a in range(len(p)) for b in range(len(p)) if groups[a] < groups[b])


def test_fifths_reliability_and_worst_days() -> None:
    p, y = np.array([0.1] * 10 + [0.5] * 2), np.array([1.0] + [0.0] * 9 + [1.0, 1.0])
    assert fifths_of_risk(p, y)[-1] == pytest.approx(2.0)
    assert fifths_of_risk(np.zeros(3), np.zeros(3)) == (None,) * 5
    times = np.array([0] * 6 + [DAY] * 6, dtype=np.int64)
    worst = worst_days(p, y, times)
    assert [(day.day, day.observed, round(day.expected, 6)) for day in worst] == [(1, 2, 1.4), (0, 1, 0.6)]
    groups = reliability(p, y, Weeks(times, 1), (0.0, 0.3, 1.0000001))
    assert [(one.accounts, round(one.mean, 6), one.rate) for one in groups] == [(10, 0.1, 0.1), (2, 0.5, 1.0)]


@given(PAIRS)
def test_isotonic_rises_and_nothing_monotone_fits_better(pairs: list[tuple[float, bool]]) -> None:
    known, y = np.array([one for one, _ in pairs]), np.array([float(two) for _, two in pairs])
    fitted = isotonic(known, y, known)
    order = np.argsort(known, kind="stable")
    assert (np.diff(fitted[order]) >= -1e-12).all() and fitted.sum() == pytest.approx(y.sum())
    assert float(np.square(fitted - y).sum()) <= float(np.square(y.mean() - y).sum()) + 1e-9
    for cut in known:
        low, high = known < cut, known >= cut
        steps = np.where(low, y[low].mean() if low.any() else 0.0, y[high].mean())
        if not low.any() or steps[low].max() <= steps[high].min():
            assert float(np.square(fitted - y).sum()) <= float(np.square(steps - y).sum()) + 1e-9


def test_the_barrier_is_the_reflected_normal_law() -> None:
    found = barrier(np.array([1.1, 1.0]), np.array([0.01**2, 0.01**2]), 24)
    assert found[0] == pytest.approx(2 * stats.norm.sf(np.log(1.1) / (0.01 * 24**0.5))) and found[1] == 1.0


def test_the_ewma_follows_the_account_and_not_the_future() -> None:
    one = drawn(60, ("BTC", "ETH"), seed=3)
    made = population(one, frozenset(), starts(one, 0, one.hours), 3)
    found = ewma_variances(one, made)
    returns = np.diff(np.log(one.prices), axis=0)
    for account in range(0, len(made), 29):
        row, exposure = int(made.row[account]), made.first_order()[account]
        own = (returns[:row] @ exposure) ** 2
        for place, half_life in enumerate(EWMA_HALF_LIVES):
            weights = 0.5 ** (np.arange(row)[::-1] / half_life)
            assert found[account, place] == pytest.approx(float((own * weights).sum() / weights.sum()), rel=1e-9)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100))
def test_the_simulation_is_a_share_of_past_paths(seed: int) -> None:
    one = drawn(60, ("BTC", "FOO"), seed=seed)
    made = population(one, frozenset(), np.array([1200], dtype=np.int64), 6)
    found = historical_simulation(one, made, (1, 24), 48.0)
    returns = np.vstack([np.zeros(2), np.diff(np.log(one.prices), axis=0)])
    variance = np.zeros(returns.shape)
    total, weight = np.zeros(2), 0.0
    for row in range(1, len(returns)):
        total, weight = total * 2 ** (-1 / 48) + returns[row] ** 2, weight * 2 ** (-1 / 48) + 1
        variance[row] = total / weight
    standard = np.zeros_like(returns)
    standard[24:] = returns[24:] / np.sqrt(variance[23:-1])
    for account in range(len(made)):
        for place, hours in enumerate((1, 24)):
            hit = 0
            for begin in np.linspace(1, 1200 - 24 + 1, WINDOWS).astype(int).tolist():
                path = np.exp(np.cumsum(standard[begin : begin + hours] * np.sqrt(variance[1200]), axis=0))
                value = made.stable[account] + path @ made.shares[account]
                if made.debt[account] >= 0:
                    value = value / path[:, made.debt[account]]
                hit += bool((value * made.health[account] < 1).any())
            assert found[account, place] == pytest.approx(hit / WINDOWS, abs=2 / WINDOWS)


def test_a_start_without_enough_past_has_no_simulation() -> None:
    one = drawn(40, ("BTC",))
    made = Accounts(np.array([500]), np.ones((1, 1)), np.zeros(1), np.array([-1]), np.array([1.1]))
    assert np.isnan(historical_simulation(one, made, (1, 168), 48.0)).all()
