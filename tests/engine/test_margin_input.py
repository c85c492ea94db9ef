"""An owner's margin book: lending, wallets and venue accounts as holdings and cash, nothing twice, with the terms that venues stated."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregator.engine.margin import margin_document
from aggregator.engine.margin_input import MarginInput, margin_input_of
from aggregator.engine.snapshot import Picture
from aggregator.model.instrument import Holding, Instrument, InstrumentKind, VenueAccount, VenueParameters
from aggregator.model.portfolio import Portfolio
from aggregator.risk.margin.interface import Kind
from aggregator.risk.margin.registry import model
from tests.builders import DAI, USDC, WETH, WSTETH, account, book, borrowed, leg, portfolio, supplied, wallet
from tests.risk.venue_accounts import at_venues, cash, perp, venue

ETH = 2_000.0


def given(one: Portfolio) -> MarginInput:
    return margin_input_of(Picture(one, book(), (), {}, {}))


def held(found: MarginInput) -> dict[str, float]:
    return {one.instrument.label: float(one.size) for one in found.book.holdings}


def named(symbol: str, size: float, venue_name: str) -> Holding:
    """A perpetual called as the venue calls it, whatever its underlying."""
    plain = perp(size, ETH)
    return replace(plain, instrument=Instrument(InstrumentKind.PERPETUAL, "ETH", venue=venue_name, symbol=symbol))


def stating(account_: VenueAccount, values: dict[str, Decimal | int | bool | str]) -> VenueAccount:
    return replace(account_, parameters=VenueParameters(account_.as_of_ms, "the venue", values))


def test_everything_of_an_owner_is_one_book() -> None:
    one = portfolio([account(supplied(WETH, 10), borrowed(USDC, 9_000))], wallet(leg(WSTETH, 2), leg(USDC, 500)))
    found = given(at_venues(one, venue(perp(-4, ETH))))
    assert held(found) == {"ETH": 10.0, "wstETH": 2.0, "ETH perpetual": -4.0}
    assert found.book.cash == pytest.approx(-9_000 + 500 + 10_000)
    assert found.missing == ()
    assert found.market.spot["ETH"].value == pytest.approx(ETH)


def test_a_stable_coin_owed_is_owed_in_dollars_and_one_held_is_an_asset() -> None:
    found = given(portfolio([account(supplied(DAI, 700), borrowed(DAI, 200))], ()))
    assert held(found) == {"DAI": 700.0}
    assert found.book.cash == pytest.approx(-200, rel=1e-3)


def test_collateral_that_another_account_counts_is_not_added_twice() -> None:
    """A pooled mode: the dex's account draws on the spot account's dollars."""
    pool, dex = venue(balances=(cash(8_000),), account="spot"), venue(perp(1, ETH), balances=(cash(8_000),), account="dex", shares="spot")
    assert given(at_venues(portfolio([], ()), pool, dex)).book.cash == pytest.approx(8_000)


def test_a_balance_without_a_price_is_missing_and_not_zero() -> None:
    odd = venue(perp(1, ETH), balances=(cash(5, "ODD"), cash(1_000)))
    found = given(at_venues(portfolio([], ()), odd))
    assert [(one.what, one.why) for one in found.missing] == [("ODD", "no believed price")]
    row = next(one for one in margin_document(found, ["isolated"]).methods)
    assert row.initial is None and row.initial_of_covered is not None


def test_hyperliquid_tiers_and_leverage_are_those_that_came_with_the_account() -> None:
    values: dict[str, Decimal | int | bool | str] = {
        "ETH.leverage": 5,
        "ETH.tier.0.lower_bound": Decimal(0),
        "ETH.tier.0.max_leverage": 10,
        "ETH.tier.1.lower_bound": Decimal(10_000),
        "ETH.tier.1.max_leverage": 4,
    }
    stated = given(at_venues(portfolio([], ()), stating(venue(named("ETH", 10, "hyperliquid")), values)))
    shipped = given(at_venues(portfolio([], ()), venue(named("ETH", 10, "hyperliquid"))))
    method = model("hyperliquid")
    amounts = {}
    for name, one in (("stated", stated), ("shipped", shipped)):
        found = [method.requirement(one.book, one.market, one.parameters_of(method), kind) for kind in Kind]
        amounts[name] = [each.amount for each in found]
        assert found[0].verified is (name == "stated")
    # 10,000 at a twentieth and 10,000 at an eighth; a quarter of 20,000, as the tier allows no more than 4
    assert amounts["stated"] == pytest.approx([20_000 / 4, 500 + 1_250])
    assert amounts["shipped"] == pytest.approx([20_000 / 25, 20_000 / 50])


def test_dydx_fractions_and_open_interest_are_those_that_came_with_the_account() -> None:
    values: dict[str, Decimal | int | bool | str] = {
        "ETH-USD.initial_margin_fraction": Decimal("0.05"),
        "ETH-USD.maintenance_margin_fraction": Decimal("0.03"),
        "ETH-USD.open_interest": Decimal(35_000),
        "ETH-USD.open_interest_lower_cap": Decimal(40_000_000),
        "ETH-USD.open_interest_upper_cap": Decimal(100_000_000),
    }
    one = given(at_venues(portfolio([], ()), stating(venue(named("ETH-USD", -3, "dydx-v4"), name="dydx-v4"), values)))
    method = model("dydx-v4")
    initial, maintenance = (method.requirement(one.book, one.market, one.parameters_of(method), kind) for kind in Kind)
    # 70 M of open interest is half way from cap to cap: 5 % and half of the other 95 %
    assert initial.amount == pytest.approx(6_000 * 0.525, abs=1e-5)
    assert maintenance.amount == pytest.approx(6_000 * 0.03, abs=1e-5)
    assert initial.verified


def test_only_the_venue_s_own_method_reads_its_terms() -> None:
    one = given(
        at_venues(
            portfolio([], ()), stating(venue(named("ETH", 10, "hyperliquid")), {"ETH.tier.0.lower_bound": 0, "ETH.tier.0.max_leverage": 3})
        )
    )
    assert set(one.terms) == {"hyperliquid"}
    assert one.parameters_of(model("dydx-v4")) == model("dydx-v4").default_parameters()
