"""Values are exact, and missing is never zero."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.position import Component, Side
from aggregator.model.price import Price, PriceQuality
from aggregator.model.token import Token
from aggregator.risk.valuation import believed, value_leg, value_portfolio
from tests.builders import (
    DAI,
    PAIR,
    SPAM,
    USDC,
    VAULT,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    concentrated,
    leg,
    portfolio,
    price,
    supplied,
)


@given(st.integers(0, 2**256 - 1), st.decimals("0.000000000000000001", "1000000", places=18))
def test_a_leg_is_worth_amount_times_price_to_the_last_digit(units: int, unit_price: Decimal) -> None:
    one = replace(leg(WETH, 1), amount=units, look_through=())
    value = value_leg(one, {WETH.asset: price(WETH, str(unit_price))}).value
    assert value is not None
    assert Fraction(value) == Fraction(units, 10**18) * Fraction(unit_price)


def test_own_price_goes_before_components() -> None:
    value = value_leg(leg(WSTETH, 2), book())
    assert value.value == 4800
    assert value.components[0].value == Decimal("1998") * Decimal("2.402402402402402402")


def test_components_price_what_has_no_price_of_its_own() -> None:
    value = value_leg(leg(PAIR, 3), book())
    assert value.value == 3 * (2000 + 2000)
    assert value.price == 4000


@pytest.mark.parametrize("missing", [WETH, USDC])
def test_one_unpriced_component_leaves_the_whole_unvalued(missing: Token) -> None:
    value = value_leg(leg(PAIR, 3), book({missing: None}))
    assert (value.value, value.price, value.low, value.high, value.fees_value) == (None,) * 5
    assert value.why == "no price source"


def test_fees_are_part_of_the_value() -> None:
    position = concentrated(WETH, USDC, 1500, 2500, 2000, 10**15, fees=(10**17, 5_000_000))
    values = value_portfolio(portfolio((), [position]), book()).positions[0].legs
    first, second = position.legs
    assert values[0].fees_value == 200 and values[1].fees_value == 5
    assert values[0].value == (Decimal(first.amount) / 10**18) * 2000 + 200
    assert values[1].value == Decimal(second.amount) / 10**6 + 5


@pytest.mark.parametrize(
    ("quality", "value", "expected"),
    [
        (PriceQuality.FRESH, "1.5", True),
        (PriceQuality.STALE, "1.5", True),
        (PriceQuality.BOUNDED, "1.5", False),
        (PriceQuality.MISSING, None, False),
        (PriceQuality.FRESH, "-1", False),
        (PriceQuality.FRESH, "NaN", False),
        (PriceQuality.FRESH, "Infinity", False),
    ],
)
def test_which_prices_are_believed(quality: PriceQuality, value: str | None, expected: bool) -> None:
    number = None if value is None else Decimal(value)
    assert believed(Price(WETH.asset, number, number, number, 1, quality, 1.0, ())) is expected


def test_a_price_of_zero_values_an_asset_but_never_a_debt() -> None:
    zero = {DAI.asset: price(DAI, "0")}
    assert value_leg(leg(DAI, 5), zero).value == 0
    assert value_leg(leg(DAI, 5, Side.DEBT), zero).value is None


def test_nothing_of_an_unpriced_token_is_worth_nothing() -> None:
    value = value_leg(leg(SPAM, 0), book())
    assert value.value == 0 and value.price is None


def test_bounds_on_the_wrong_side_are_ignored() -> None:
    odd = Price(WETH.asset, Decimal(2000), Decimal(2100), Decimal(1900), 1, PriceQuality.FRESH, 1.0, ())
    value = value_leg(leg(WETH, 1), {WETH.asset: odd})
    assert value.low == value.high == value.value == 2000


def test_the_oldest_price_used_gives_the_age() -> None:
    prices = dict(book({VAULT: None}))
    prices[USDC.asset] = price(USDC, "1", age=7200)
    assert value_leg(leg(VAULT, 10), prices).age_seconds == 7200


def test_components_of_an_adapter_stand_as_they_are() -> None:
    exact = (Component(USDC.asset, "USDC", 1_049_999, 6),)
    value = value_leg(leg(VAULT, 1, components=exact), book({VAULT: None}))
    assert value.value == Decimal("1.049999")


def test_values_follow_the_portfolios_order() -> None:
    one = portfolio([account(supplied(WETH, 1), borrowed(USDC, 100))], [])
    values = value_portfolio(one, book())
    assert [item.value for item in values.accounts[0][0].legs] == [2000, 100]
