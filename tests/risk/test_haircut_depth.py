"""What pools charge for a sale, against the pools' own formulas walked in small steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.haircut_depth import EDGE, STRESS, Segment, concentrated, constant_product, together


def test_constant_product_is_exact_at_every_size_within_the_edge() -> None:
    reserve = 1e6
    depth = constant_product(reserve, 0.0)
    for step in (1, 10, 25, 50):
        sold = float(depth.sold[step])
        assert float(depth.received[step]) == pytest.approx(sold * reserve / (reserve + sold))
        assert (reserve / (reserve + sold)) ** 2 == pytest.approx(1 - EDGE * step / 50)
    size = 0.5 * STRESS * depth.usd
    # in stress a quarter is there, so the same cost comes at a quarter of the size
    assert depth.cost(size) == pytest.approx((size / STRESS) / (reserve + size / STRESS), rel=1e-3)


def test_the_fee_stays_in_the_pool() -> None:
    free, charged = constant_product(1e6, 0.0), constant_product(1e6, 0.003)
    assert charged.received[-1] == free.received[-1]
    assert charged.sold[-1] == pytest.approx(free.sold[-1] / 0.997)
    assert charged.cost(1.0) == pytest.approx(0.003, abs=6e-4)


def test_full_range_liquidity_is_a_constant_product_pool() -> None:
    price, liquidity = 2_000.0, 5_000.0
    reserve = liquidity / price**0.5
    walked = concentrated([Segment(liquidity, 1e-9, 1e12)], price, 1.0, 0.0)
    whole = constant_product(reserve * price, 0.0)
    assert walked.sold == pytest.approx(whole.sold)
    assert walked.received == pytest.approx(whole.received)


def test_a_gap_between_ranges_gives_nothing_and_what_is_above_the_price_does_not_help() -> None:
    price = 100.0
    near, far = Segment(1_000.0, 99.0, 101.0), Segment(2_000.0, 95.0, 97.0)
    above = Segment(1e9, 101.0, 110.0)
    depth = concentrated([near, far, above], price, 1.0, 0.0)
    at = {round(100 * EDGE * step / 50, 6): step for step in range(51)}
    assert depth.sold[at[1.0]] == pytest.approx(depth.sold[at[2.9]])
    assert depth.sold[at[1.0]] == pytest.approx(1_000 * (99**-0.5 - 100**-0.5) * 100)
    assert depth.sold[at[5.0]] - depth.sold[at[3.0]] == pytest.approx(2_000 * (95**-0.5 - 97**-0.5) * 100)
    assert depth.received[at[5.0]] == pytest.approx(1_000 * (10 - 99**0.5) + 2_000 * (97**0.5 - 95**0.5))


def test_the_liquidity_at_the_price_is_not_the_depth() -> None:
    """One enormous tick at the price, and next to nothing below: what a look at the active liquidity would call deep."""
    thin = [Segment(1e9, 0.99995, 1.0001), Segment(1e2, 0.9, 0.99995)]
    depth = concentrated(thin, 1.0, 1.0, 0.0)
    assert depth.usd < 2 * 1e9 * (0.99995**-0.5 - 1)
    assert depth.cost(1e8) > 0.0005


@given(st.floats(1, 1e12), st.floats(1, 1e12), st.floats(1e3, 1e9))
def test_the_cost_never_falls_with_size_and_stays_in_its_range(one: float, other: float, reserve: float) -> None:
    small, large = sorted((one, other))
    depth = constant_product(reserve, 0.003)
    assert 0.0 <= depth.cost(small) <= depth.cost(large) + 1e-12 <= 1.0 + 1e-12


def test_pools_together_are_cheaper_than_either_and_none_is_dear() -> None:
    first, second = constant_product(1e6, 0.003), constant_product(3e6, 0.003)
    both = together([first, second])
    assert both.pools == 2 and both.usd == pytest.approx(first.usd + second.usd)
    assert both.cost(50_000) < min(first.cost(50_000), second.cost(50_000))
    assert together([]).cost(1.0) == 1.0 and together([]).cost(0.0) == 0.0
