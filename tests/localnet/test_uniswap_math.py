"""The localnet's own tick and liquidity maths against Uniswap's published values."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.localnet.deploy import uniswap_math as maths

VECTORS = Path(__file__).parents[2].parent / "shared/DATA/vectors/protocols/uniswap_v3_math.json"

ticks = st.integers(maths.MIN_TICK, maths.MAX_TICK - 1)


def test_published_limits() -> None:
    assert maths.sqrt_price_at_tick(maths.MIN_TICK) == 4295128739
    assert maths.sqrt_price_at_tick(0) == maths.Q96
    assert maths.sqrt_price_at_tick(maths.MAX_TICK) == 1461446703485210103287273052203988822378723970342
    with pytest.raises(ValueError, match="outside"):
        maths.sqrt_price_at_tick(maths.MAX_TICK + 1)


@given(ticks)
def test_tick_and_price_are_inverse(tick: int) -> None:
    price = maths.sqrt_price_at_tick(tick)
    assert maths.tick_at_sqrt_price(price) == tick
    if tick > maths.MIN_TICK:
        assert maths.tick_at_sqrt_price(price - 1) == tick - 1


@given(ticks, st.integers(1, 10**30), st.integers(0, 10**30), st.integers(0, 887_272), st.integers(1, 50_000))
def test_liquidity_never_costs_more_than_offered(tick: int, amount0: int, amount1: int, distance: int, width: int) -> None:
    lower = max(maths.MIN_TICK, tick - distance)
    upper = min(maths.MAX_TICK, lower + width)
    if upper <= lower:
        return
    price, low, high = (maths.sqrt_price_at_tick(one) for one in (tick, lower, upper))
    liquidity = maths.liquidity_for_amounts(price, low, high, amount0, amount1)
    cost0, cost1 = maths.amounts_for_liquidity(price, low, high, liquidity)
    assert cost0 <= amount0
    assert cost1 <= amount1


def test_price_with_different_decimals_survives_the_round_trip() -> None:
    # token0 WBTC (8), token1 WETH (18): 28.5 WETH for one WBTC
    sqrt_price = maths.sqrt_price_of(Decimal("28.5"), 8, 18)
    assert abs(maths.price_of(sqrt_price, 8, 18) / Decimal("28.5") - 1) < Decimal("1e-25")


@pytest.mark.data
@pytest.mark.skipif(not VECTORS.exists(), reason="the recorded vectors are not on this machine")
def test_published_vectors() -> None:
    vectors = orjson.loads(VECTORS.read_bytes())
    for tick, price in vectors["ticks"]:
        assert maths.sqrt_price_at_tick(int(tick)) == int(price)
    for case in vectors["positions"]:
        low, high = (maths.sqrt_price_at_tick(case[name]) for name in ("tickLower", "tickUpper"))
        paid = maths.amounts_for_liquidity(int(case["sqrtPriceX96"]), low, high, int(case["liquidity"]))
        assert paid == (int(case["amount0Up"]), int(case["amount1Up"]))
