"""Haircuts never fall when age, size or volatility rises."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.position import Position
from aggregator.model.token import Token
from aggregator.risk.assessment import assess
from aggregator.risk.classes import FactorClass
from aggregator.risk.haircuts import Haircut, liquidity_part, market_part
from aggregator.risk.policy import DEFAULT
from aggregator.risk.volatility import Volatility, VolatilitySource
from tests.builders import DAI, LINK, OUSG, PAIR, SPAM, STETH, USDC, WBTC, WETH, WSTETH, book, concentrated, leg, portfolio, price, wallet
from tests.risk.strategies import QUICK


def moving(daily: float, factor_class: FactorClass = FactorClass.ETH) -> Volatility:
    return Volatility("X", factor_class, daily, VolatilitySource.CLASS, 0.0, 0)


def cut_of(*positions: Position, prices: object = None, place: int = 0) -> Haircut:
    result = assess(portfolio((), positions), prices or book(), (), QUICK)  # type: ignore[arg-type]
    cut = result.positions[place].legs[0].haircut
    assert cut is not None
    return cut


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.floats(0, 1e8), st.floats(0, 1e8))
def test_the_market_part_rises_with_volatility_and_age(one: float, other: float, age: float, older: float) -> None:
    low, high = sorted((one, other))
    young, old = sorted((age, older))
    base = market_part(moving(low), young, DEFAULT)
    assert 0.0 <= base <= market_part(moving(high), young, DEFAULT) <= 1.0
    assert base <= market_part(moving(low), old, DEFAULT) <= 1.0


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.sampled_from(FactorClass))
def test_the_liquidity_part_rises_with_size(one: float, other: float, kind: FactorClass) -> None:
    small, large = sorted((one, other))
    assert 0.0 <= liquidity_part(moving(0.05, kind), small) <= liquidity_part(moving(0.05, kind), large) <= 1.0


@pytest.mark.parametrize(
    ("kind", "daily", "expected"),
    [(FactorClass.BTC, 0.035, 0.0006), (FactorClass.ETH, 0.044, 0.0009), (FactorClass.VOLATILE, 0.062, 0.0088)],
)
def test_selling_a_million_costs_what_was_measured(kind: FactorClass, daily: float, expected: float) -> None:
    assert liquidity_part(moving(daily, kind), 1e6) == pytest.approx(expected, rel=0.05)
    assert liquidity_part(moving(daily, kind), 1e8) == pytest.approx(10 * expected, rel=0.05)


def test_splitting_a_holding_changes_nothing() -> None:
    whole = cut_of(*wallet(leg(LINK, 1_000_000)))
    parts = cut_of(*wallet(*(leg(LINK, 100_000) for _ in range(10))))
    assert parts.total == pytest.approx(whole.total)
    assert whole.liquidity > cut_of(*wallet(leg(LINK, 1000))).liquidity


def test_riskier_kinds_are_cut_more() -> None:
    cuts = [cut_of(*wallet(leg(token, amount))).total for token, amount in ((USDC, 1000), (WETH, 1), (WSTETH, 1))]
    assert cuts == sorted(cuts)
    assert cut_of(*wallet(leg(OUSG, 10))).total < cuts[0]
    assert cut_of(*wallet(leg(STETH, 1))).basis == pytest.approx(cut_of(*wallet(leg(WSTETH, 1))).basis)
    assert cut_of(*wallet(leg(WBTC, 1))).structure > 0


def test_an_unknown_token_with_a_price_is_cut_hard() -> None:
    prices = {**book(), SPAM.asset: price(SPAM, "1")}
    assert cut_of(*wallet(leg(SPAM, 10)), prices=prices).total > 0.5


def test_an_old_price_is_cut_more() -> None:
    fresh, old = ({**book(), OUSG.asset: price(OUSG, "110", age=age)} for age in (0, 30 * 86_400))
    assert cut_of(*wallet(leg(OUSG, 10)), prices=old).market > cut_of(*wallet(leg(OUSG, 10)), prices=fresh).market


def test_a_pair_is_revalued_and_not_averaged() -> None:
    import numpy as np

    pair = cut_of(*wallet(leg(PAIR, 1)))
    eth, usdc = cut_of(*wallet(leg(WETH, 1))), cut_of(*wallet(leg(USDC, 1)))
    assert pair.market == pytest.approx(1 - np.sqrt((1 - eth.market) * (1 - usdc.market)))


def test_a_narrow_range_is_cut_more_than_a_wide_one() -> None:
    cuts = [cut_of(concentrated(WETH, USDC, 2000 / width, 2000 * width, 2000, 10**15)).market for width in (1.02, 1.2, 3.0, 100.0)]
    assert cuts == sorted(cuts, reverse=True)
    assert cut_of(concentrated(WETH, USDC, 2500, 3000, 2000, 10**15)).market == pytest.approx(
        cut_of(*wallet(leg(WETH, 1))).market, rel=1e-3
    )


def test_both_legs_of_a_range_carry_the_position_s_haircut() -> None:
    result = assess(portfolio((), [concentrated(WETH, USDC, 1500, 2500, 2000, 10**15)]), book(), (), QUICK)
    first, second = result.positions[0].legs
    assert first.haircut == second.haircut


def test_the_shown_share_is_rounded_up() -> None:
    assert Haircut(0.1234567, 0.0, 0.0, 0.0).share == Decimal("0.123457")
    assert Haircut(0.0, 0.0, 0.0, 0.0).share == 0
    assert Haircut(1.0, 0.5, 0.0, 0.0).share == 1


@settings(max_examples=25, deadline=None)
@given(st.sampled_from((WETH, WBTC, LINK, USDC, DAI, OUSG, WSTETH)), st.integers(1, 10**6), st.integers(2, 50))
def test_the_total_rises_with_size(token: Token, amount: int, factor: int) -> None:
    small, large = cut_of(*wallet(leg(token, amount))), cut_of(*wallet(leg(token, amount * factor)))
    assert large.total >= small.total - 1e-12
    assert replace(small, liquidity=large.liquidity).total == pytest.approx(large.total)
