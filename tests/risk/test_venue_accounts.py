"""Accounts at trading venues inside the health figures: equity, requirement, netting, liquidation, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.instrument import Holding, VenueAccount
from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import Assessment, assess
from aggregator.risk.policy import Policy
from aggregator.risk.prepared import prepare
from aggregator.risk.pricing.black76 import CALL, greeks, implied_volatility, price
from aggregator.risk.shock import NO_SHOCK, shock_of
from aggregator.risk.transfer import reach
from aggregator.risk.what_if import WhatIf
from tests.builders import USDC, WETH, account, book, borrowed, leg, portfolio, supplied, wallet
from tests.risk.strategies import QUICK, portfolios
from tests.risk.venue_accounts import NOW, at_venues, cash, option, perp, venue

PRICES_ALONE = replace(QUICK, failure_floor=1.0)
LAWS = settings(max_examples=25, deadline=None)


def judged(one: Portfolio, policy: Policy = PRICES_ALONE) -> Assessment:
    return assess(one, book(), (), policy)


def losses(one: Portfolio, policy: Policy = PRICES_ALONE) -> dict[str, float]:
    needed = judged(one, policy).requirement
    assert needed is not None
    return {loss.name: loss.loss for loss in needed.scenarios}


def held(*accounts: VenueAccount) -> Portfolio:
    return at_venues(portfolio(), *accounts)


def test_equity_is_balances_and_profit_as_the_venue_states_them() -> None:
    result = judged(held(venue(perp(5, unrealised=-300), equity=9_700)))
    assert result.equity_usd == 9_700 and result.collateral_usd == 10_000 and result.debt_usd == 0
    computed = judged(held(venue(perp(5, unrealised=-300))))
    assert computed.equity_usd == 9_700
    borrowing = judged(held(venue(balances=(cash(10_000), cash(-2, "ETH", 2000)), equity=6_000)))
    assert borrowing.equity_usd == 6_000 and borrowing.debt_usd == 4_000


def test_options_that_expect_more_than_the_past_raise_a_haircut_and_none_lowers_it() -> None:
    """A class's 4.4 % a day is 84 % a year: an option at 150 % has half a say, one at 30 % none, whatever the size."""
    coins = portfolio((), wallet(leg(WETH, 10)))

    def market(*accounts: VenueAccount) -> float:
        haircut = judged(at_venues(coins, *accounts)).positions[0].legs[0].haircut
        assert haircut is not None
        return haircut.market

    def quoted(volatility: float, size: float = 1.0) -> VenueAccount:
        return venue(option("call", 2_000, size, float(price(2_000.0, 2_000.0, 30 / 365, volatility, CALL))))

    usual = market()  # a larger holding takes a moment longer to sell, hence the tolerances
    assert market(quoted(0.3)) == pytest.approx(usual, rel=1e-4)
    assert market(quoted(1.5)) == pytest.approx(market(quoted(1.5, size=0.001)), rel=1e-4)
    own, implied = 3.02 * 0.044, 3.02 * 1.5 / np.sqrt(365)
    assert np.log1p(-market(quoted(1.5))) / np.log1p(-usual) == pytest.approx((own + implied) / 2 / own, rel=0.02)


def test_a_pool_is_never_counted_twice() -> None:
    pool = venue(perp(1, unrealised=10), account="one", equity=10_010)
    dex = venue(perp(1, unrealised=5), account="two", equity=10_015, shares="one")
    result = judged(held(pool, dex))
    assert result.collateral_usd == 10_000 and result.equity_usd == 10_015


def test_a_long_loses_with_its_underlying_and_a_short_gains() -> None:
    long, short = losses(held(venue(perp(4)))), losses(held(venue(perp(-4))))
    fall, rise = 8_000 * (1 - np.exp(-3.02 * 0.044)), 8_000 * (np.exp(3.02 * 0.044) - 1)
    assert long["ETH-down"] == pytest.approx(fall) and short["ETH-up"] == pytest.approx(rise)
    assert long["ETH-up"] == pytest.approx(0) and short["ETH-down"] == pytest.approx(0)
    # an inverse contract on dollars moves as if so many dollars of the coin were held
    assert losses(held(venue(perp(8_000, inverse=True))))["ETH-down"] == pytest.approx(fall)


def test_the_dollars_that_a_venue_settles_in_can_break() -> None:
    assert losses(held(venue()))["USDC-break"] == pytest.approx(0.122 * 10_000)


def test_a_breach_takes_what_is_left_of_the_maintenance_margin() -> None:
    """Down 48 %: equity 10,000 − 9,600 = 400 against 1,000 · .52 of maintenance margin, all of which is lost."""
    found = losses(held(venue(perp(10), maintenance=1_000)))
    assert found["crisis-2020-03-12"] == pytest.approx(0.48 * 20_000 + 400 + 0.01 * 10_000)  # and USDC lost a cent that day


def test_the_liquidation_price_solves_equity_against_maintenance() -> None:
    result = judged(held(venue(perp(10), balances=(cash(5_000),), maintenance=400)))
    (own,) = result.venues
    # 5,000 + 10·(P − 2,000) = 400 · P / 2,000
    assert [one.price_usd for one in own.prices] == [pytest.approx((20_000 - 5_000) / (10 - 0.2), rel=1e-9)]
    assert own.trigger is not None and own.trigger.nearest == pytest.approx(own.prices[0].move, rel=1e-6)
    assert own.health == pytest.approx(5_000 / 400) and own.loss == 400
    short = judged(held(venue(perp(-10), balances=(cash(5_000),), maintenance=400))).venues[0]
    assert short.prices[0].price_usd == pytest.approx(25_000 / 10.2, rel=1e-9)


def test_probability_and_score_know_venue_accounts() -> None:
    safe, near = (judged(held(venue(perp(10), balances=(cash(cushion),), maintenance=400))) for cushion in (15_000, 2_000))
    assert safe.score is not None and near.score is not None and near.score < safe.score
    assert near.venues[0].probability is not None and near.probability is not None
    assert near.probability.any_account == near.venues[0].probability
    assert near.order[0].account == 0 and judged(held(venue())).venues[0].probability == dict.fromkeys(near.probability.any_account, 0.0)
    stated = judged(held(venue(perp(1), liquidatable=True)))
    assert stated.probability is not None and stated.probability.any_account["1d"] == 1.0


def test_a_hedge_at_a_venue_nets_as_far_as_transfers_reach() -> None:
    coins = portfolio((), wallet(leg(WETH, 10)))
    plain, hedged = judged(coins).requirement, judged(at_venues(coins, venue(perp(-10)))).requirement
    assert plain is not None and hedged is not None
    assert hedged.pooled < hedged.transfer_aware < plain.transfer_aware < hedged.isolated
    at_once = judged(at_venues(coins, venue(perp(-10))), replace(PRICES_ALONE, transfer_lag_hours=0.0)).requirement
    assert at_once is not None and at_once.transfer_aware == pytest.approx(at_once.pooled) == pytest.approx(hedged.pooled)
    rise = 20_000 * (np.exp(3.02 * 0.044) - 1)
    assert losses(at_venues(coins, venue(perp(-10))))["ETH-up"] == pytest.approx((1 - reach(24.0)) * rise, rel=1e-6)


def test_the_venue_itself_can_fail() -> None:
    assert losses(held(venue(perp(1))), QUICK)["protocol:hyperliquid-fails"] == pytest.approx(0.3 * 10_000)


def test_options_are_revalued_in_full() -> None:
    call = option("call", 2_400, -10, 60)
    one = held(venue(call, name="derive", equity=9_400, maintenance=1_200))
    volatility = float(implied_volatility(60.0, 2_000.0, 2_400.0, 30 / 365, CALL))
    spots = {"up": 2_000 * np.exp(3.02 * 0.044), "down": 2_000 * np.exp(-3.02 * 0.044)}
    found = losses(one)
    for name, times in (("unchanged", 1.0), ("up", 1.5), ("down", 0.7)):
        value = float(price(spots["up"], 2_400, 30 / 365, volatility * times, CALL))
        assert found[f"ETH-up-3/3-volatility-{name}"] == pytest.approx(max(10 * (value - 60), 0), rel=2e-3)
    assert found["ETH-unchanged-volatility-up"] == pytest.approx(
        10 * (float(price(2_000, 2_400, 30 / 365, 1.5 * volatility, CALL)) - 60), rel=1e-6
    )
    result = judged(one)
    assert result.equity_usd == 9_400 and result.comparison is not None
    vega = float(greeks(2_000, 2_400, 30 / 365, volatility, CALL).vega) * 0.1
    assert result.comparison.vega_isolated == result.comparison.vega_cross == pytest.approx(vega)


def test_vega_nets_over_accounts_when_crossed() -> None:
    sold, bought = option("call", 2_400, -10, 60), option("call", 2_400, 10, 60)
    result = judged(held(venue(sold, name="derive", account="1"), venue(bought, name="derive", account="2")))
    assert result.comparison is not None
    assert result.comparison.vega_cross == pytest.approx(0, abs=1e-9) and result.comparison.vega_isolated > 0


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (venue(Holding(perp(1, underlying="WIF").instrument, Decimal(1))), "mark price of WIF perpetual"),
        (venue(perp(1), maintenance=None), "no maintenance margin"),
        (venue(replace(option("call", 2_400, 1, 60), mark_price=None)), "mark price of"),
        (venue(option("call", 1_000, 1, 2)), "implies no volatility"),
        (venue(option("call", 1_000, 1, 2, days=-1)), "expired"),
        (venue(balances=(cash(-1, "WIF"),)), "price of WIF"),
        (venue(Holding(perp(1).instrument, Decimal(1), mark_price=Decimal(2000))), "profit of"),
    ],
)
def test_what_is_missing_withholds_and_never_calms(bad: VenueAccount, why: str) -> None:
    """A position that cannot be followed could be any loss: no requirement, no ratio, no score."""
    coins = portfolio((), wallet(leg(WETH, 10)))
    result = judged(at_venues(coins, bad, venue(perp(1), account="two")))
    assert why in " ".join(gap.why for gap in result.missing) and not result.coverage.complete
    assert result.equity_usd is None and result.requirement is None and result.margin_ratio is None and result.score is None
    assert {warning.code for warning in result.warnings} >= {"venue-account-withheld", "score-withheld"}
    assert result.venues[0].health is None and result.venues[1].health is not None


def test_a_balance_without_a_price_counts_nothing_and_is_named() -> None:
    result = judged(held(venue(perp(1), balances=(cash(10_000), cash(5, "WIF")))))
    assert result.collateral_usd == 10_000 and result.margin_ratio is None and result.requirement is not None
    assert [(gap.what, gap.why) for gap in result.missing] == [("price of WIF in account one", "the venue states none")]


def what_if(one: Portfolio) -> WhatIf:
    return WhatIf(prepare(one, book(), (), PRICES_ALONE), known=frozenset({"ETH", "USDC"}))


def test_a_shock_carries_venue_accounts_along() -> None:
    look = what_if(held(venue(perp(4), balances=(cash(5_000), cash(1, "ETH", 2000)))))
    after = look.after(shock_of(["ETH=-50%"]))
    assert float(after.equity_usd or 0) == pytest.approx(7_000 - 4_000 - 1_000)
    assert float(after.collateral_usd) == pytest.approx(6_000)
    broken = look.after(shock_of(["USDC=-10%"]))
    assert float(broken.equity_usd or 0) == pytest.approx(6_500)


def test_a_shock_and_then_a_scenario_are_both() -> None:
    """The requirement after a shock is that of an account that was read there."""
    call = option("call", 2_400, -10, 60)
    volatility = float(implied_volatility(60.0, 2_000.0, 2_400.0, 30 / 365, CALL))
    there = float(price(2_200, 2_400, 30 / 365, volatility, CALL))
    shocked = what_if(held(venue(call, perp(3), name="derive", equity=9_400, maintenance=0))).after(shock_of(["ETH=+10%"]))
    fresh = {**book(), WETH.asset: replace(book()[WETH.asset], value=Decimal(2200))}
    moved = held(
        venue(option("call", 2_400, -10, there), perp(3, mark=2_200), name="derive", equity=9_400 - 10 * (there - 60) + 600, maintenance=0)
    )
    read = assess(at_venues(portfolio((), ()), *moved.venue_accounts), fresh, (), PRICES_ALONE)
    assert shocked.requirement is not None and read.requirement is not None
    assert float(shocked.equity_usd or 0) == pytest.approx(float(read.equity_usd or 0), rel=1e-3)
    assert shocked.requirement.transfer_aware == pytest.approx(read.requirement.transfer_aware, rel=5e-3)


def test_a_volatility_shock_moves_option_books() -> None:
    look = what_if(held(venue(option("call", 2_400, -10, 60), name="derive", equity=9_400, maintenance=0)))
    volatility = float(implied_volatility(60.0, 2_000.0, 2_400.0, 30 / 365, CALL))
    after = look.after(shock_of(["ETH:vol=+50%"]))
    assert float(after.equity_usd or 0) == pytest.approx(
        9_400 - 10 * (float(price(2_000, 2_400, 30 / 365, 1.5 * volatility, CALL)) - 60), rel=1e-6
    )


accounts = st.lists(
    st.builds(
        lambda size, cushion, needed, name: venue(
            perp(size), balances=(cash(cushion),), maintenance=needed, name=name, account=f"{size}/{cushion}"
        ),
        st.floats(-20, 20).map(lambda size: round(size, 3) or 1.0),
        st.integers(100, 50_000),
        st.integers(0, 2_000),
        st.sampled_from(("hyperliquid", "dydx-v4")),
    ),
    min_size=1,
    max_size=2,
)


@LAWS
@given(portfolios(), accounts, st.floats(0, 200))
def test_the_laws_of_netting_hold_with_venues(one: Portfolio, several: list[VenueAccount], lag: float) -> None:
    together = at_venues(one, *several)
    needed, instant, alone = (
        judged(together, replace(QUICK, **more)).requirement
        for more in ({"transfer_lag_hours": lag}, {"transfer_lag_hours": 0.0}, {"keeper": False})
    )
    assert needed is not None and instant is not None and alone is not None
    assert needed.isolated >= needed.transfer_aware >= needed.pooled >= 0.0
    assert instant.transfer_aware == pytest.approx(instant.pooled) and alone.transfer_aware == alone.isolated
    assert needed.transfer_aware >= instant.transfer_aware - 1e-6


@LAWS
@given(portfolios(), accounts)
def test_no_shock_changes_nothing_at_venues(one: Portfolio, several: list[VenueAccount]) -> None:
    together = at_venues(one, *several)
    look, result = what_if(together), judged(together)
    state = look.after(NO_SHOCK)
    assert state.equity_usd == result.equity_usd and state.requirement == result.requirement


@LAWS
@given(portfolios(), accounts)
def test_an_account_at_a_venue_never_raises_the_score(one: Portfolio, several: list[VenueAccount]) -> None:
    before, after = judged(one), judged(at_venues(one, *several))
    assert before.score is not None and after.score is not None and after.score <= before.score + 1e-6


def test_collateral_of_every_kind_stands_in_the_same_scenario() -> None:
    """A chain's loan against ether and a long at a venue fall together."""
    loan = portfolio([account(supplied(WETH, 10), borrowed(USDC, 5_000))])
    both = losses(at_venues(loan, venue(perp(5))))
    fall = 1 - np.exp(-3.02 * 0.044)
    assert both["ETH-down"] == pytest.approx((20_000 + 10_000) * fall) and NOW > 0
