"""Concentrated-liquidity and pair maths against published vectors, and what must hold for any pool."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.uniswap_v2.maths import PairState, burn_amounts, protocol_fee_shares
from adapters.uniswap_v3.maths import uncollected
from aggregator.reading.concentrated import (
    MAX_TICK,
    MIN_TICK,
    Q96,
    Q128,
    WORD_MASK,
    Pair,
    fee_growth_inside,
    fees_since,
    sqrt_ratio_at_tick,
    withdrawal,
)

VECTORS = Path(__file__).parents[2].parent / "shared/DATA/vectors/protocols/uniswap_v3_math.json"

ticks = st.integers(MIN_TICK, MAX_TICK)
words = st.integers(0, WORD_MASK)
liquidities = st.integers(0, (1 << 128) - 1)
growths = st.builds(Pair, words, words)
owed = st.builds(Pair, liquidities, liquidities)


@pytest.fixture(scope="module")
def vectors() -> dict[str, list[Any]]:
    if not VECTORS.exists():
        pytest.skip("the published vectors are not on this machine")
    parsed: dict[str, list[Any]] = orjson.loads(VECTORS.read_bytes())
    return parsed


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    lower, upper = sorted(draw(st.lists(ticks, min_size=2, max_size=2, unique=True)))
    return lower, upper


@pytest.mark.data
def test_square_root_prices_of_published_ticks(vectors: dict[str, list[Any]]) -> None:
    assert len(vectors["ticks"]) >= 50
    for tick, price in vectors["ticks"]:
        assert sqrt_ratio_at_tick(tick) == int(price)


@pytest.mark.data
def test_published_positions_to_the_unit(vectors: dict[str, list[Any]]) -> None:
    assert len(vectors["positions"]) >= 100
    for case in vectors["positions"]:
        bounds = sqrt_ratio_at_tick(case["tickLower"]), sqrt_ratio_at_tick(case["tickUpper"])
        amounts = withdrawal(int(case["liquidity"]), int(case["sqrtPriceX96"]), *bounds)
        assert amounts == (int(case["amount0Down"]), int(case["amount1Down"])), case


@pytest.mark.data
def test_published_fees_to_the_unit(vectors: dict[str, list[Any]]) -> None:
    assert len(vectors["fees"]) >= 100
    for case in vectors["fees"]:
        inside = fee_growth_inside(
            case["tickCurrent"],
            case["tickLower"],
            case["tickUpper"],
            _growth(case, "feeGrowthGlobal"),
            _growth(case["lower"], "feeGrowthOutside"),
            _growth(case["upper"], "feeGrowthOutside"),
        )
        assert inside == _growth(case["expected"], "feeGrowthInside"), case
        last = Pair(int(case["feeGrowthInside0LastX128"]), int(case["feeGrowthInside1LastX128"]))
        expected = int(case["expected"]["tokensOwed0"]), int(case["expected"]["tokensOwed1"])
        assert fees_since(inside, last, int(case["liquidity"])) == expected, case


def _growth(fields: dict[str, str], name: str) -> Pair:
    return Pair(int(fields[f"{name}0X128"]), int(fields[f"{name}1X128"]))


def test_limits_of_ticks() -> None:
    assert sqrt_ratio_at_tick(MIN_TICK) == 4_295_128_739
    assert sqrt_ratio_at_tick(0) == Q96
    assert sqrt_ratio_at_tick(MAX_TICK) == 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
    for beyond in (MIN_TICK - 1, MAX_TICK + 1):
        with pytest.raises(ValueError, match="outside"):
            sqrt_ratio_at_tick(beyond)


@given(st.integers(MIN_TICK, MAX_TICK - 1))
def test_price_rises_with_the_tick(tick: int) -> None:
    assert sqrt_ratio_at_tick(tick) < sqrt_ratio_at_tick(tick + 1)


@given(ranges(), liquidities, st.integers(1, 1 << 160))
def test_withdrawal_never_pays_more_than_the_liquidity_holds(bounds: tuple[int, int], liquidity: int, price: int) -> None:
    lower, upper = map(sqrt_ratio_at_tick, bounds)
    amounts = withdrawal(liquidity, price, lower, upper)
    inside = min(max(price, lower), upper)
    exact0 = Fraction(liquidity * Q96 * (upper - inside), inside * upper)
    exact1 = Fraction(liquidity * (inside - lower), Q96)
    # two divisions of token0 floor, one of token1: a bit more than one unit at most
    assert exact0 - 1 - Fraction(1, inside) < amounts.token0 <= exact0
    assert exact1 - 1 < amounts.token1 <= exact1


@given(ranges(), liquidities)
def test_at_its_bounds_a_range_holds_one_token(bounds: tuple[int, int], liquidity: int) -> None:
    lower, upper = map(sqrt_ratio_at_tick, bounds)
    assert withdrawal(liquidity, lower, lower, upper).token1 == 0
    assert withdrawal(liquidity, upper, lower, upper).token0 == 0
    assert withdrawal(liquidity, lower, lower, upper) == withdrawal(liquidity, 1, lower, upper)
    assert withdrawal(liquidity, upper, lower, upper) == withdrawal(liquidity, 1 << 160, lower, upper)


@given(ranges(), liquidities, st.integers(1, 1 << 160))
def test_the_tick_that_the_contract_asks_leads_to_the_same_amounts(bounds: tuple[int, int], liquidity: int, price: int) -> None:
    """The contract branches on the tick. A price exactly on a bound may come with either of two ticks, and all branches agree there."""
    lower, upper = map(sqrt_ratio_at_tick, bounds)
    all0, all1 = withdrawal(liquidity, 1, lower, upper), withdrawal(liquidity, 1 << 160, lower, upper)
    assert withdrawal(liquidity, lower, lower, upper) == all0
    assert withdrawal(liquidity, upper, lower, upper) == all1
    if lower < price < upper:
        assert withdrawal(liquidity, price, lower, upper).token0 <= all0.token0
        assert withdrawal(liquidity, price, lower, upper).token1 <= all1.token1


@given(ranges(), st.lists(liquidities, min_size=1, max_size=6), st.integers(1, 1 << 160), st.randoms())
def test_splitting_liquidity_never_pays_more_and_order_does_not_matter(
    bounds: tuple[int, int], parts: list[int], price: int, random: Any
) -> None:
    lower, upper = map(sqrt_ratio_at_tick, bounds)

    def paid(order: list[int]) -> tuple[int, ...]:
        return tuple(map(sum, zip(*(withdrawal(part, price, lower, upper) for part in order), strict=True)))

    shuffled = list(parts)
    random.shuffle(shuffled)
    whole = withdrawal(sum(parts), price, lower, upper)
    assert paid(parts) == paid(shuffled)
    assert all(part <= total for part, total in zip(paid(parts), whole, strict=True))


@given(st.lists(ticks, min_size=2, max_size=6, unique=True), ticks, growths, st.data())
def test_growth_in_neighbouring_ranges_adds_up(bounds: list[int], tick: int, everywhere: Pair, data: st.DataObject) -> None:
    """Growth inside is additive over adjacent ranges, whatever the ticks hold, modulo 2^256."""
    ordered = sorted(bounds)
    outside = {bound: data.draw(growths) for bound in ordered}

    def inside(lower: int, upper: int) -> Pair:
        return fee_growth_inside(tick, lower, upper, everywhere, outside[lower], outside[upper])

    parts = [inside(lower, upper) for lower, upper in pairwise(ordered)]
    total = inside(ordered[0], ordered[-1])
    assert Pair(*(sum(side) & WORD_MASK for side in zip(*parts, strict=True))) == total


@given(words, words, st.integers(0, Q128 - 1), liquidities)
def test_fees_survive_the_wrap_of_growth(last0: int, last1: int, growth: int, liquidity: int) -> None:
    now = Pair(last0 + growth & WORD_MASK, last1 + growth & WORD_MASK)
    expected = growth * liquidity // Q128
    assert fees_since(now, Pair(last0, last1), liquidity) == (expected, expected)


@given(owed, growths, growths, liquidities)
def test_uncollected_fees_wrap_like_uint128(tokens_owed: Pair, inside: Pair, last: Pair, liquidity: int) -> None:
    fees = uncollected(tokens_owed, inside, last, liquidity)
    accrued = fees_since(inside, last, liquidity)
    for had, earned, now in zip(tokens_owed, accrued, fees, strict=True):
        assert 0 <= now < Q128
        assert now % Q128 == (had % Q128 + earned % Q128) % Q128
    assert uncollected(tokens_owed, last, last, liquidity) == tokens_owed
    assert uncollected(tokens_owed, inside, last, 0) == tokens_owed


reserves = st.integers(1, (1 << 112) - 1)


@st.composite
def pairs(draw: st.DrawFn) -> PairState:
    reserve0, reserve1 = draw(reserves), draw(reserves)
    return PairState(
        supply=draw(st.integers(1_000, 1 << 112)),
        reserve0=reserve0,
        reserve1=reserve1,
        balance0=reserve0 + draw(st.integers(0, 1 << 64)),
        balance1=reserve1 + draw(st.integers(0, 1 << 64)),
        k_last=draw(st.integers(0, reserve0 * reserve1)),
        fee_on=draw(st.booleans()),
    )


@given(pairs(), st.data())
def test_burn_never_pays_more_than_the_share(state: PairState, data: st.DataObject) -> None:
    liquidity = data.draw(st.integers(0, state.supply))
    for paid, balance in zip(burn_amounts(liquidity, state), (state.balance0, state.balance1), strict=True):
        exact = Fraction(liquidity * balance, state.supply_at_burn)
        assert exact - 1 < paid <= exact
        assert paid <= liquidity * balance // state.supply


@given(pairs())
def test_protocol_takes_a_sixth_of_the_growth(state: PairState) -> None:
    shares = protocol_fee_shares(state)
    root, last = isqrt(state.reserve0 * state.reserve1), isqrt(state.k_last)
    if not state.fee_on or state.k_last == 0 or root <= last:
        assert shares == 0
        return
    # the minted share of the pool is growth/6 of it, floored by less than one pair token
    exact = Fraction(root - last, 5 * root + last) * state.supply
    assert exact - 1 < shares <= exact
    assert Fraction(shares, state.supply + shares) <= Fraction(root - last, 6 * root)


def test_protocol_share_of_a_pair_that_doubled() -> None:
    state = PairState(1_000_000, 2_000, 2_000, 2_000, 2_000, k_last=1_000_000, fee_on=True)
    assert protocol_fee_shares(state) == 90_909
    assert burn_amounts(1_000_000, state) == (1_833, 1_833)
    assert burn_amounts(1_000_000, PairState(1_000_000, 2_000, 2_000, 2_000, 2_000, 1_000_000, fee_on=False)) == (2_000, 2_000)


def test_burn_of_an_empty_pair_fails_like_the_contract() -> None:
    with pytest.raises(ZeroDivisionError):
        burn_amounts(1, PairState(0, 0, 0, 0, 0, 0, fee_on=False))
