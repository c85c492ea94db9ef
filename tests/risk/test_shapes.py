"""Pairs and ranges revalue as their contracts' formulas do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.position import ConcentratedRange
from aggregator.risk.shapes import Linear, Mixed, Pair, Range, Shape, blend, delta_weights, multiplier, range_amounts

ETH, USD = Linear(((0, 1.0),)), Linear(((1, 1.0),))
MOVES = st.floats(0.01, 20.0)


def ranged(lower: float, upper: float, now: float = 2000.0) -> Range:
    """A range in dollars a token with equal decimals, so that raw prices are USD prices."""

    def sqrt(price: float) -> int:
        return int(price**0.5 * 2**96)

    return Range(ETH, USD, ConcentratedRange(10**12, sqrt(now), sqrt(lower), sqrt(upper)), now, 1.0)


def at(shape: Shape, *lots: float) -> float:
    return float(multiplier(shape, np.array(lots)))


SHAPES = (ETH, Pair(ETH, USD), blend([(0.3, ETH), (0.7, Pair(ETH, USD))]), ranged(1800, 2200), ranged(100, 1500), ranged(2500, 3000))


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_changes_where_nothing_moves(shape: Shape) -> None:
    assert at(shape, 1.0, 1.0) == pytest.approx(1.0, abs=1e-12)
    assert sum(delta_weights(shape).values()) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", SHAPES)
@given(first=MOVES, second=MOVES, scale=st.floats(0.1, 10.0))
def test_value_is_homogeneous_and_rises_with_each_price(shape: Shape, first: float, second: float, scale: float) -> None:
    value = at(shape, first, second)
    assert at(shape, scale * first, scale * second) == pytest.approx(scale * value, rel=1e-9)
    assert at(shape, first * 1.01, second) >= value * (1 - 1e-9)
    assert at(shape, first, second * 1.01) >= value * (1 - 1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_delta_weights_are_the_derivative(shape: Shape) -> None:
    weights = delta_weights(shape)
    for lot in (0, 1):
        up, down = [1.0, 1.0], [1.0, 1.0]
        up[lot], down[lot] = 1 + 1e-5, 1 - 1e-5
        assert (at(shape, *up) - at(shape, *down)) / 2e-5 == pytest.approx(weights.get(lot, 0.0), abs=1e-6)


@given(MOVES, MOVES)
def test_a_full_range_pair_follows_the_root_of_the_product(first: float, second: float) -> None:
    assert at(Pair(ETH, USD), first, second) == pytest.approx((first * second) ** 0.5)


@given(MOVES)
def test_a_very_wide_range_is_a_full_range_pair(move: float) -> None:
    assert at(ranged(1e-6, 1e13), move, 1.0) == pytest.approx(move**0.5, rel=1e-3)


def test_a_narrow_range_loses_as_published() -> None:
    """A −20 % move costs 18.1 % in a ±10 % range, 13.0 % in a ±50 % one and 10.6 % in a full one."""
    assert 1 - at(ranged(2000 / 1.1, 2000 * 1.1), 0.8, 1.0) == pytest.approx(0.181, abs=0.001)
    assert 1 - at(ranged(2000 / 1.5, 2000 * 1.5), 0.8, 1.0) == pytest.approx(0.130, abs=0.001)
    assert 1 - at(Pair(ETH, USD), 0.8, 1.0) == pytest.approx(0.1056, abs=0.0001)


def test_out_of_range_a_position_is_one_token() -> None:
    below, above = ranged(2500, 3000), ranged(1000, 1500)
    assert delta_weights(below)[0] == pytest.approx(1.0)
    assert delta_weights(above)[1] == pytest.approx(1.0)
    assert at(below, 0.5, 1.0) == pytest.approx(0.5)
    assert at(above, 1.3, 1.0) == pytest.approx(1.0)
    # deep in the other token: what the range bought on the way down at its geometric mean price
    assert at(above, 0.1, 1.0) == pytest.approx(200 / (1000 * 1500) ** 0.5, rel=1e-6)


def test_a_worthless_token_takes_the_whole_range() -> None:
    assert at(ranged(1800, 2200), 0.0, 1.0) == 0.0
    assert at(ranged(1800, 2200), 1.0, 0.0) == 0.0


def test_amounts_inside_and_at_the_bounds() -> None:
    position = ranged(1800, 2200).range
    lower, upper = position.sqrt_lower_x96 / 2**96, position.sqrt_upper_x96 / 2**96
    amount0, amount1 = range_amounts(position, np.array([lower, upper, lower / 2, upper * 2]))
    assert amount0[1] == 0.0 and amount1[0] == 0.0
    assert amount0[2] == amount0[0] == pytest.approx(10**12 * (1 / lower - 1 / upper))
    assert amount1[3] == amount1[1] == pytest.approx(10**12 * (upper - lower))


def test_arrays_of_scenarios_keep_their_shape() -> None:
    lots = np.random.default_rng(1).uniform(0.5, 2.0, (3, 5, 2))
    for shape in SHAPES:
        assert multiplier(shape, lots).shape == (3, 5)


def test_blends_of_linear_parts_stay_linear() -> None:
    assert blend([(0.25, ETH), (0.75, blend([(0.5, ETH), (0.5, USD)]))]) == Linear(((0, 0.625), (1, 0.375)))
    assert isinstance(blend([(0.5, ETH), (0.5, Pair(ETH, USD))]), Mixed)
