"""Depth from what pools hold: both orders of the tokens, decimals, ticks that are crossed, and pools at a price nobody believes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.engine.haircuts_depth import PairState, Pools, PoolState, depths, is_first, segments
from aggregator.model.token import Token, TokenKind
from aggregator.risk.haircut_depth import EDGE
from tests.builders import price, token

COIN = token("COIN", TokenKind.VOLATILE, "COIN", 18, number=1)
MONEY = token("USDX", TokenKind.STABLE, "USDX", 6, number=2)
HIGH = token("HIGH", TokenKind.VOLATILE, "HIGH", 18, number=3)
PRICES = {COIN.asset: price(COIN, "2000"), MONEY.asset: price(MONEY, "1"), HIGH.asset: price(HIGH, "2000")}


def pool(sold: Token, liquidity: float, net: dict[int, int] | None = None, value: float = 2000.0) -> PoolState:
    """A pool of `sold` against six-decimal money at a price of `value`."""
    raw = value * 10.0 ** (MONEY.decimals - sold.decimals)
    price_of_token0 = raw if is_first(sold, MONEY) else 1 / raw
    tick = 0
    while 1.0001 ** (tick + 1) <= price_of_token0:
        tick += 1
    while 1.0001**tick > price_of_token0:
        tick -= 1
    scale = 10 ** ((sold.decimals + MONEY.decimals) // 2)
    return PoolState(sold, MONEY, 3000, int(price_of_token0**0.5 * 2**96), tick, int(liquidity * scale), net or {})


@pytest.mark.parametrize("sold", [COIN, HIGH], ids=["token0", "token1"])
def test_a_pool_without_ticks_is_a_constant_product_whatever_the_order_of_its_tokens(sold: Token) -> None:
    liquidity = 5_000.0
    reserve_sold, reserve_paid = liquidity / 2000**0.5, liquidity * 2000**0.5
    pair = PairState(sold, MONEY, int(reserve_sold * 10**18), int(reserve_paid * 10**6))
    walked = depths(Pools(pools=(pool(sold, liquidity),)), PRICES)[sold.asset]
    whole = depths(Pools(pairs=(pair,)), PRICES)[sold.asset]
    assert walked.usd == pytest.approx(whole.usd, rel=1e-3)
    assert walked.received[-1] == pytest.approx(whole.received[-1], rel=1e-3)


@pytest.mark.parametrize("sold", [COIN, HIGH], ids=["token0", "token1"])
def test_liquidity_that_ends_below_the_price_ends_the_depth(sold: Token) -> None:
    whole = pool(sold, 5_000.0)
    end = whole.tick - 200 if is_first(sold, MONEY) else whole.tick + 200
    # what comes in when the tick is crossed upwards goes out downwards, and the other way round
    net = whole.liquidity if is_first(sold, MONEY) else -whole.liquidity
    cut = replace(whole, net={end: net})
    made = segments(cut, is_first(sold, MONEY))
    assert [one.liquidity > 0 for one in made] == [True, False]
    assert made[0].low == pytest.approx(2000 * 1.0001**-200, rel=2e-4) and made[-1].low <= 2000 * (1 - EDGE)
    found = depths(Pools(pools=(cut,)), PRICES)[sold.asset]
    assert found.usd < 0.5 * depths(Pools(pools=(whole,)), PRICES)[sold.asset].usd


def test_a_pool_at_a_price_nobody_believes_is_no_way_out() -> None:
    assert depths(Pools(pools=(pool(COIN, 5_000.0, value=2_300.0),)), PRICES) == {}
    assert depths(Pools(pairs=(PairState(COIN, MONEY, 10**18, 1_500 * 10**6),)), PRICES) == {}
    assert depths(Pools(pools=(pool(COIN, 5_000.0),)), {}) == {}


def test_a_token_that_was_not_wholly_read_has_no_depth() -> None:
    pools = Pools(pools=(pool(COIN, 5_000.0), pool(HIGH, 5_000.0)), unread=frozenset({HIGH.asset}))
    assert set(depths(pools, PRICES)) == {COIN.asset}
