"""Correlations are shrunk, repaired and the same in every order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FactorClass
from aggregator.risk.correlation import correlations, decoupled, pairwise, repair, root, stressed
from tests.builders import walk

CLASSES = {"BTC": FactorClass.BTC, "ETH": FactorClass.ETH, "LINK": FactorClass.VOLATILE, "USDC": FactorClass.STABLE}


def _follower(leader: PriceSeries, name: str, weight: float, seed: int = 99) -> PriceSeries:
    own = np.diff(np.log(walk(name, 0.04, 400, seed=seed).prices))[: len(leader.prices) - 1]
    returns = weight * np.diff(np.log(leader.prices)) + (1 - weight**2) ** 0.5 * own
    return PriceSeries(name, leader.timestamps, np.exp(np.concatenate([[0.0], np.cumsum(returns)])), "test")


def test_history_moves_the_stressed_prior_by_its_length() -> None:
    leader = walk("BTC", 0.04, 300)
    follower = _follower(leader, "ETH", 0.2)
    own = pairwise(leader, follower)
    assert own is not None
    assert own[0] == pytest.approx(0.2, abs=0.15)
    assert own[1] == pytest.approx(300 / 360)
    matrix = correlations(["BTC", "ETH"], CLASSES, {"BTC": leader, "ETH": follower})
    assert matrix[0, 1] == pytest.approx(own[1] * own[0] + (1 - own[1]) * 0.9)


def test_without_common_history_the_stressed_table_stands() -> None:
    matrix = correlations(["BTC", "ETH", "LINK", "USDC"], CLASSES, {"BTC": walk("BTC", 0.04, 10)})
    assert matrix[0].tolist() == [1.0, 0.9, 0.8, 0.0]
    assert matrix[1, 2] == 0.8


def test_constant_and_disjoint_histories_say_nothing() -> None:
    one = walk("BTC", 0.04, 100)
    flat = PriceSeries("ETH", one.timestamps, np.ones_like(one.prices), "")
    later = PriceSeries("ETH", one.timestamps + 1e9, one.prices, "")
    assert pairwise(one, flat) is None
    assert pairwise(one, later) is None
    assert pairwise(one, None) is None


def test_one_wrong_print_in_both_series_is_clipped() -> None:
    leader = walk("BTC", 0.02, 200)
    follower = _follower(leader, "ETH", 0.0)
    spoiled = [PriceSeries(s.factor, s.timestamps, np.where(np.arange(201) == 100, s.prices * 5, s.prices), "") for s in (leader, follower)]
    honest, odd = pairwise(leader, follower), pairwise(*spoiled)
    assert honest is not None and odd is not None
    assert odd[0] == pytest.approx(honest[0], abs=0.15)
    plain = float(np.corrcoef(np.vstack([np.diff(np.log(one.prices)) for one in spoiled]))[0][1])
    assert plain > 0.9


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32))
def test_any_matrix_is_repaired_to_a_correlation_matrix(size: int, seed: int) -> None:
    draws = np.random.default_rng(seed).uniform(-1, 1, (size, size))
    matrix = (draws + draws.T) / 2
    np.fill_diagonal(matrix, 1.0)
    fixed = repair(matrix)
    assert np.allclose(np.diag(fixed), 1.0)
    assert np.allclose(fixed, fixed.T)
    assert np.linalg.eigvalsh(fixed)[0] >= -1e-9
    assert np.abs(fixed).max() <= 1 + 1e-9
    lower = root(fixed, [FactorClass.VOLATILE] * size)
    assert np.allclose(lower @ lower.T, fixed, atol=1e-6)


def test_a_good_matrix_is_left_alone() -> None:
    matrix = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert repair(matrix).tolist() == matrix.tolist()
    assert decoupled(matrix)[0, 1] == pytest.approx(0.2)
    assert decoupled(np.array([[1.0, -0.4], [-0.4, 1.0]]))[0, 1] == -0.4
    assert decoupled(np.array([[1.0, 0.1], [0.1, 1.0]]))[0, 1] == 0.0


def test_an_unknown_token_leaves_the_draws_of_others_alone() -> None:
    classes = [FactorClass.UNKNOWN, FactorClass.ETH, FactorClass.BTC]
    matrix = np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.9], [0.5, 0.9, 1.0]])
    whole, part = root(matrix, classes), root(matrix[1:, 1:], classes[1:])
    assert np.allclose(whole[1:, 1:], part)
    assert np.allclose(whole[1:, 0], 0.0)


@pytest.mark.parametrize("first", FactorClass)
@pytest.mark.parametrize("second", FactorClass)
def test_the_stressed_table_is_symmetric_and_bounded(first: FactorClass, second: FactorClass) -> None:
    assert stressed(first, second) == stressed(second, first)
    assert 0.0 <= stressed(first, second) < 1.0
