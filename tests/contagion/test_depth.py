"""Depth out of pools against the pools' own arithmetic, and what it does inside a cascade."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.contagion.cascade import cascade
from aggregator.contagion.depth import FACTORS, Concentrated, ConstantProduct, depth_curve, margin_to_liquidity, measured, sellable
from aggregator.contagion.impact import ConstantProductImpact, ExponentialImpact, no_impact
from aggregator.model.errors import InputError
from tests.contagion.books import small_book

reserves = st.floats(1e3, 1e10)


@given(reserves, st.floats(0.06, 0.99))
def test_a_pool_stands_where_its_product_says(reserve: float, factor: float) -> None:
    """x · y = k: putting in what the curve says leaves the price at the factor."""
    pool = ConstantProduct(reserve, fee=0.003)
    put_in = float(pool.sold_down_to(np.array([factor]))[0]) * 0.997
    x, y = reserve, reserve  # both sides in USD at the price before
    after_x, after_y = x + put_in, x * y / (x + put_in)
    assert after_y / after_x == pytest.approx(factor, rel=1e-9)


@given(reserves)
def test_one_range_over_all_prices_is_a_pool(reserve: float) -> None:
    whole = Concentrated(np.array([1.0, 0.0]), np.array([reserve]))
    assert whole.sold_down_to(FACTORS) == pytest.approx(ConstantProduct(reserve).sold_down_to(FACTORS), rel=1e-12)
    split = Concentrated(np.array([1.0, 0.8, 0.3, 0.0]), np.full(3, reserve))
    assert split.sold_down_to(FACTORS) == pytest.approx(whole.sold_down_to(FACTORS), rel=1e-9)


def test_a_range_that_is_gone_through_takes_no_more() -> None:
    narrow = Concentrated(np.array([1.0, 0.9]), np.array([1e6]), fee=0.0)
    most = 1e6 * (1 / np.sqrt(0.9) - 1)
    assert narrow.sold_down_to(np.array([0.95, 0.9, 0.5])).tolist() == pytest.approx([1e6 * (1 / np.sqrt(0.95) - 1), most, most])
    sold, factors = depth_curve([narrow])
    assert factors[0] == 1.0 and sold[-1] == pytest.approx(most) and factors[-1] == pytest.approx(FACTORS[-1])


def test_a_gap_below_the_price_is_fallen_through() -> None:
    gap = Concentrated(np.array([1.0, 0.9, 0.5]), np.array([0.0, 1e6]), fee=0.0)
    impact = measured(1, {0: [gap]})
    assert impact.factor(np.array([0.0])).tolist() == [1.0]
    assert impact.factor(np.array([1.0]))[0] == pytest.approx(0.9, abs=0.006)
    with pytest.raises(InputError, match="nothing can be sold"):
        depth_curve([Concentrated(np.array([1.0, 0.5]), np.array([0.0]))])


def test_venues_add_up_and_a_curve_is_the_formula() -> None:
    sold, factors = depth_curve([ConstantProduct(4e5, 0.0), ConstantProduct(6e5, 0.0)])
    exact = ConstantProductImpact(np.array([1e6]))
    assert [float(exact.factor(np.array([amount]))[0]) for amount in sold.tolist()] == pytest.approx(factors.tolist(), rel=1e-9)
    curve = measured(2, {0: [ConstantProduct(1e6, 0.0)]})
    assert curve.unknown.tolist() == [False, True]
    between = np.array([12_345.0, 0.0])
    assert curve.factor(between)[0] == pytest.approx(exact.factor(between[:1])[0], rel=1e-5)


def test_what_sells_at_five_per_cent() -> None:
    pools = ConstantProductImpact(np.array([1e6, np.nan]))
    worth = sellable(pools)
    assert worth[0] == pytest.approx(1e6 * (1 / 0.95 - 1), rel=1e-9), "a pool fills at x / (x + sold)"
    assert np.isnan(worth[1])
    assert np.isinf(sellable(no_impact(1))).all()
    deep = ExponentialImpact(np.array([1e9]))
    found = sellable(deep)
    assert deep.fill(np.zeros(1), found, np.array([0]))[0] == pytest.approx(0.95, rel=1e-9)
    assert margin_to_liquidity(np.array([1e5, 1.0]), pools)[0] == pytest.approx(1e5 / worth[0])
    with pytest.raises(InputError, match="slippage is a share"):
        sellable(deep, 1.0)


def test_a_cascade_over_measured_pools() -> None:
    book = small_book([({"A": 100.0}, {"USD": 7_900.0})] * 10, {"A": 100.0, "USD": 1.0})
    deep = cascade(book, book.prices * np.array([0.98, 1.0]), measured(2, {0: [ConstantProduct(5e6)], 1: [ConstantProduct(5e6)]}))
    thin = cascade(book, book.prices * np.array([0.98, 1.0]), measured(2, {0: [ConstantProduct(2e5)], 1: [ConstantProduct(5e6)]}))
    assert thin.amplification > deep.amplification > 1.0
    assert thin.total_bad_debt > deep.total_bad_debt == 0.0
    assert thin.evidence.sufficient


def test_pools_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="a reserve above 0"):
        ConstantProduct(0.0)
    with pytest.raises(InputError, match="fee of 0 to below 1"):
        ConstantProduct(1.0, 1.0)
    with pytest.raises(InputError, match="start at the price and fall"):
        Concentrated(np.array([0.9, 0.5]), np.array([1.0]))
    with pytest.raises(InputError, match="needs a venue"):
        depth_curve([])
