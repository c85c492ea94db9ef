"""Breaches along rays: the smallest scale, by Newton and by bisection, and the tail law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aggregator.risk.rays import FARTHEST, bracketed_breach, first_breach
from aggregator.risk.shapes import Array

RATIOS = arrays.arrays(np.float64, (1, 3), elements=st.floats(0.0, 2.0))
SLOPES = arrays.arrays(np.float64, (3, 1, 8), elements=st.floats(-0.3, 0.3))


def health(ratios: Array, slopes: Array, scale: Array) -> Array:
    return np.asarray((ratios.T[:, :, None] * np.exp(scale * slopes)).sum(axis=0))


def test_one_lot_breaches_where_its_fall_eats_the_ratio() -> None:
    slopes = np.array([[[-0.1, 0.1, -0.05]]])
    found = first_breach(np.array([[1.25]]), slopes)
    assert found[0, 0] == pytest.approx(np.log(1.25) / 0.1, rel=1e-12)
    assert np.isinf(found[0, 1])
    assert found[0, 2] == pytest.approx(np.log(1.25) / 0.05, rel=1e-12)


def test_below_one_is_breached_already_and_exactly_one_at_the_first_fall() -> None:
    slopes = np.array([[[-0.1, 0.1], [-0.1, 0.1]]])
    found = first_breach(np.array([[0.99], [1.0]]), slopes)
    assert found.tolist() == [[0.0, 0.0], [0.0, np.inf]]


def test_nothing_held_is_breached_already() -> None:
    assert first_breach(np.zeros((1, 0)), np.zeros((0, 1, 4))).tolist() == [[0.0] * 4]


@given(RATIOS, SLOPES)
def test_at_the_breach_health_is_one_and_before_it_never_below(ratios: Array, slopes: Array) -> None:
    found = first_breach(ratios, slopes)
    for draw in range(found.shape[1]):
        one = slopes[:, :, draw : draw + 1]
        scale = float(found[0, draw])
        if np.isinf(scale):
            if ratios.sum() >= 1:
                reach = np.linspace(0, min(FARTHEST, 600), 400)
                assert health(ratios, one, reach).min() >= 1 - 1e-9
        else:
            assert health(ratios, one, np.linspace(0, scale, 60)[:-1]).min(initial=2.0) >= 1 - 1e-9 or ratios.sum() < 1
            assert float(health(ratios, one, np.array([scale * (1 + 1e-6) + 1e-9]))[0, 0]) <= 1 + 1e-7


@given(RATIOS, SLOPES, st.floats(1.0, 1.5))
def test_more_that_counts_is_never_breached_sooner(ratios: Array, slopes: Array, more: float) -> None:
    assert (first_breach(ratios * more, slopes) >= first_breach(ratios, slopes) * (1 - 1e-9)).all()


@given(RATIOS, SLOPES)
def test_newton_and_bisection_agree(ratios: Array, slopes: Array) -> None:
    bracketed = bracketed_breach(
        lambda scale, draws: health(ratios, slopes[:, :, draws], scale)[0] - 1.0, np.arange(slopes.shape[2]), slopes.shape[2]
    )
    newton = first_breach(ratios, slopes)[0]
    both = np.isfinite(bracketed) & (bracketed < 150)
    assert newton[both] == pytest.approx(bracketed[both], rel=1e-4, abs=1e-6)


@given(RATIOS, SLOPES)
def test_single_precision_is_close(ratios: Array, slopes: Array) -> None:
    fine, coarse = first_breach(ratios, slopes), first_breach(ratios, slopes.astype(np.float32))
    assert coarse.dtype == np.float32
    near = np.isfinite(fine) & np.isfinite(coarse) & (fine < 50) & (np.abs(ratios.sum() - 1) > 1e-3)
    # where the line is nearly touched, the last digits decide whether it is
    steep = health(ratios, slopes, np.where(near, fine, 0.0) * 1.01)[0] < 1 - 1e-4
    assert coarse[near & steep] == pytest.approx(fine[near & steep], rel=2e-3)
