"""Liquidation prices are exact, and the order follows the market."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings

from aggregator.model.identifiers import AssetId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side
from aggregator.risk.assessment import AccountAssessment, assess
from aggregator.risk.claims import shadow_health
from aggregator.risk.liquidation import LiquidationPrice
from aggregator.risk.probability import HORIZONS
from aggregator.risk.valuation import value_portfolio
from tests.builders import LINK, SPAM, USDC, WBTC, WETH, WSTETH, account, book, borrowed, portfolio, supplied
from tests.risk.strategies import QUICK, margin_account


def judged(*accounts: MarginAccount) -> tuple[AccountAssessment, ...]:
    return assess(portfolio(accounts), book(), (), QUICK).accounts


def prices(one: MarginAccount) -> dict[AssetId, LiquidationPrice]:
    return {price.asset: price for price in judged(one)[0].prices}


def test_one_collateral_one_debt() -> None:
    found = prices(account(supplied(WETH, 10), borrowed(USDC, 9000)))
    assert found[WETH.asset].price_usd == 1125
    assert found[WETH.asset].move == Decimal("-0.4375")
    assert found[WETH.asset].factor == "ETH"
    assert found[WETH.asset].factor_move == pytest.approx(-0.4375)
    assert found[USDC.asset].move == Decimal(16000) / 9000 - 1 or abs(found[USDC.asset].move - Decimal("0.777777777777")) < Decimal("1e-12")


def test_other_collateral_is_held_fixed_for_the_asset_and_moves_along_for_the_factor() -> None:
    found = prices(account(supplied(WETH, 5), supplied(WSTETH, 5), borrowed(USDC, 9600)))
    # WETH alone: 8,000 + 9,600 counted against 9,600 owed; it may fall to nothing, wstETH still carries the debt exactly
    assert WETH.asset not in found
    assert found[WSTETH.asset].price_usd == Decimal(2400) * Fraction(1600, 9600).numerator / Fraction(1600, 9600).denominator
    assert found[WSTETH.asset].factor_move == pytest.approx(9600 / 17_600 - 1)


def test_an_asset_on_both_sides_counts_with_its_net() -> None:
    found = prices(account(supplied(WETH, 10), borrowed(WETH, 5), borrowed(USDC, 3000)))
    # 16,000 − 10,000 of ETH against 3,000: at half the price the net carries just the debt
    assert found[WETH.asset].move == Decimal("-0.5")


def test_a_short_is_liquidated_upwards() -> None:
    found = prices(account(supplied(USDC, 30_000), borrowed(WETH, 10)))
    assert found[WETH.asset].price_usd == 2400
    assert found[WETH.asset].factor_move == pytest.approx(0.2)


def test_a_loop_of_one_factor_has_a_discount_price_and_no_factor_move() -> None:
    found = prices(account(supplied(WSTETH, 10, "0.95"), borrowed(WETH, 10)))
    assert found[WSTETH.asset].move == Decimal(20_000) / 22_800 - 1 or found[WSTETH.asset].move < Decimal("-0.12")
    assert found[WSTETH.asset].factor_move is None


def test_an_account_below_its_line_has_a_price_above_the_market() -> None:
    one = account(supplied(WETH, 1), borrowed(USDC, 1700))
    assert one.liquidatable
    result = judged(one)[0]
    assert result.prices and prices(one)[WETH.asset].price_usd == 2125
    assert result.trigger is not None and result.trigger.nearest == 0.0
    assert result.probability == dict.fromkeys(HORIZONS, 1.0)


def test_without_debt_there_is_nothing_to_liquidate() -> None:
    result = judged(account(supplied(WETH, 1)))[0]
    assert result.prices == () and result.trigger is None and result.shadow_health is None
    assert result.probability == dict.fromkeys(HORIZONS, 0.0)


def test_bad_debt_without_collateral_has_no_price_and_is_certain() -> None:
    result = judged(account(borrowed(USDC, 100)))[0]
    assert result.prices == ()
    assert result.probability == dict.fromkeys(HORIZONS, 1.0)


@settings(max_examples=60, deadline=None)
@given(margin_account())
def test_at_the_liquidation_price_health_is_exactly_one(one: MarginAccount) -> None:
    for price in judged(one)[0].prices:
        ratio = Fraction(price.move) + 1
        counted, owed = Fraction(0), Fraction(0)
        for leg in one.legs:
            assert leg.terms is not None and leg.terms.oracle_value is not None
            value = Fraction(leg.terms.oracle_value) * (ratio if leg.asset == price.asset else 1)
            if leg.side is Side.DEBT:
                owed += value
            else:
                counted += value * Fraction(leg.terms.liquidation_threshold)
        assert abs(counted - owed) <= Fraction(1, 10**30) * (counted + owed)
        assert price.price_usd is not None and price.price_usd > 0


@settings(max_examples=30, deadline=None)
@given(margin_account())
def test_just_beyond_a_factor_move_the_account_breaches(one: MarginAccount) -> None:
    from dataclasses import replace

    result = judged(one)[0]
    for price in result.prices:
        if price.factor_move is None or price.factor_move == 0 or one.liquidatable:
            continue
        for beyond, expected in ((1e-6, True), (-1e-6, False)):
            ratio = 1 + price.factor_move * (1 + beyond)
            tokens = {WETH.asset: "ETH", WSTETH.asset: "ETH", WBTC.asset: "BTC", LINK.asset: "LINK"}
            suffix = {asset.partition("/")[2]: factor for asset, factor in tokens.items()}
            counted = owed = 0.0
            for leg in one.legs:
                assert leg.terms is not None and leg.terms.oracle_value is not None
                factor = suffix.get(leg.asset.partition("/")[2])
                value = float(leg.terms.oracle_value) * (ratio if factor == price.factor else 1.0)
                if leg.side is Side.DEBT:
                    owed += value
                else:
                    counted += value * float(leg.terms.liquidation_threshold)
            if price.factor in ("ETH", "BTC", "LINK"):
                assert (counted < owed) is expected
    assert replace(one) == one


def test_the_first_to_fall_comes_first() -> None:
    risky = account(supplied(WETH, 10), borrowed(USDC, 15_000), market="risky")
    middle = account(supplied(WBTC, 1), borrowed(USDC, 40_000), market="middle")
    safe = account(supplied(WETH, 10), borrowed(USDC, 1000), market="safe")
    short = account(supplied(USDC, 30_000), borrowed(WETH, 10), market="short")
    result = assess(portfolio([safe, short, middle, risky]), book(), (), QUICK)
    assert [trigger.account for trigger in result.order] == [3, 2, 0, 1]
    assert [round(trigger.nearest or 0.0, 4) for trigger in result.order] == [-0.0625, -0.1667, -0.9375, 0.2]
    assert result.comparison is not None and result.comparison.trigger_isolated == result.order[0]


def shadow(one: MarginAccount, whole: Portfolio | None = None, **changes: str | None) -> Decimal | None:
    named = {"WETH": WETH, "USDC": USDC, "WSTETH": WSTETH}
    values = value_portfolio(whole or portfolio([one]), book({named[name]: value for name, value in changes.items()}))
    return shadow_health(one, values.accounts[0])


def test_shadow_health_uses_the_market() -> None:
    one = account(supplied(WETH, 10), borrowed(USDC, 9000))
    assert shadow(one, WETH="1800") == Decimal(14400) / 9000
    assert shadow(one, USDC=None) is None
    assert shadow(one, WETH=None) == 0
    assert shadow(account(supplied(WETH, 1))) is None


def test_supplied_assets_that_do_not_count_add_no_health() -> None:
    assert shadow(account(supplied(WETH, 10), supplied(LINK, 1000, "0"), borrowed(USDC, 8000))) == 2


def test_unpriced_collateral_with_an_oracle_value_still_moves() -> None:
    """The protocol counts it, so health holds; the model lets it swing like an unknown token instead of lying still."""
    from dataclasses import replace

    odd = replace(supplied(WETH, 10), asset=SPAM.asset, symbol="ODD", look_through=())
    still, moving = (judged(account(one, borrowed(USDC, 9000)))[0].probability for one in (supplied(WETH, 10), odd))
    assert still is not None and moving is not None
    assert moving["1d"] > 50 * still["1d"]
