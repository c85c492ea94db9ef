"""Isolated against cross: figures by hand, and what must hold on random books."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY
from aggregator.risk.margin.pooling import MOVES, NOW, Pooling, pooling
from aggregator.risk.margin.unified import MODEL
from tests.risk.margin.kit import book, option, perpetual, spot
from tests.risk.margin.test_unified import BOOKS, MARKET, QUICK

ETH, BTC = 2_600.0, 52_000.0


def ask(made: MarginBook) -> Pooling:
    return pooling(made, MARKET, QUICK)


def test_a_hedge_nets_together_and_not_apart() -> None:
    """Ten ether long and ten short by perpetuals: no delta in the pool, twice 26,000 apart."""
    found = ask(book(perpetual(10, unrealised=0), perpetual(-10, unrealised=0), cash=20_000.0))
    assert (found.delta["ETH"].isolated, found.delta["ETH"].cross) == pytest.approx((52_000.0, 0.0))
    assert found.delta["ETH"].netted == pytest.approx(52_000.0)
    assert found.vega == {}
    assert found.initial.isolated > 50 * found.initial.cross
    assert found.cross_trigger is None and found.cross_cascade is None
    assert found.isolated_trigger is not None


def test_triggers_by_hand() -> None:
    """One perpetual: both triggers are the move that eats equity down to maintenance, which is as it is now."""
    made = book(perpetual(10, unrealised=0), cash=20_000.0)
    found = ask(made)
    maintenance = MODEL.requirement(made, MARKET, QUICK, Kind.MAINTENANCE).amount
    expected = -(20_000.0 - maintenance) / 26_000.0
    for trigger in (found.isolated_trigger, found.cross_trigger):
        assert trigger is not None
        assert trigger.move == pytest.approx(expected, rel=1e-9)
        assert trigger.underlying == "ETH"
    assert found.isolated_trigger is not None and found.isolated_trigger.holding == 0


def test_what_is_breached_already_needs_no_move() -> None:
    found = ask(book(perpetual(10, unrealised=0), cash=1_000.0))
    assert found.isolated_trigger is not None and found.isolated_trigger.move == 0.0
    assert found.cross_trigger is not None and found.cross_trigger.move == 0.0


def test_assets_paid_in_full_are_never_liquidated_apart() -> None:
    """Ether in the wallet and a small short of bitcoin: apart only the short can go, together the ether goes with it."""
    made = book(spot("ETH", 10), perpetual(-0.1, unrealised=0, underlying="BTC"), cash=3_000.0)
    found = ask(made)
    assert found.isolated_trigger is not None and found.isolated_trigger.holding == 1 and found.isolated_trigger.move > 0
    assert found.isolated_cascade is not None and found.isolated_cascade.closed == 1
    assert found.isolated_cascade.dragged == 0.0
    assert found.cross_trigger is not None and found.cross_cascade is not None
    assert found.cross_cascade.closed == 2
    assert found.cross_cascade.dragged >= 26_000.0
    assert found.cross_cascade.traded == pytest.approx(26_000.0 + 5_200.0)


def test_an_asset_bought_on_debt_is_not_paid_in_full() -> None:
    """Ten ether and 5,000 dollars owed: the one position alone is the pool."""
    found = ask(book(spot("ETH", 10), cash=-5_000.0))
    assert found.isolated_trigger is not None and found.cross_trigger is not None
    assert found.isolated_trigger.move == pytest.approx(found.cross_trigger.move)
    assert found.cross_trigger.move == pytest.approx((found.maintenance.cross - 21_000.0) / 26_000.0)


def test_impact_is_the_square_root_of_traded_over_volume() -> None:
    found = ask(book(perpetual(100_000, unrealised=0), cash=200_000_000.0))
    terms = FACTORS[FactorClass.ETH]
    impact = terms.daily_volatility * np.sqrt(260_000_000.0 / terms.daily_volume_usd)
    for cascade in (found.isolated_cascade, found.cross_cascade):
        assert cascade is not None
        assert cascade.impact == pytest.approx(impact)
        assert cascade.cost == pytest.approx(260_000_000.0 * impact)


def test_one_closed_position_can_close_the_next() -> None:
    """A day's volume of perpetuals, sold, moves the price by a day's volatility: the put that stood a little further off goes too."""
    size = FACTORS[FactorClass.ETH].daily_volume_usd / ETH

    def held(scale: float) -> MarginBook:
        put = option(ETH * 0.9, -size * scale / 50, call=False, expiry=20 * SECONDS_PER_DAY)
        return book(perpetual(size * scale, unrealised=0), put, cash=2.1e9 * scale)

    both, small = ask(held(1.0)), ask(held(1e-6))
    assert both.isolated_trigger is not None and small.isolated_trigger is not None
    assert both.isolated_trigger.move == pytest.approx(small.isolated_trigger.move, abs=1e-4)
    assert both.isolated_cascade is not None and small.isolated_cascade is not None
    assert (small.isolated_cascade.closed, small.isolated_cascade.rounds) == (1, 1)
    assert (both.isolated_cascade.closed, both.isolated_cascade.rounds) == (2, 2)


def test_profits_that_are_not_known_leave_triggers_unknown() -> None:
    found = ask(book(perpetual(1), cash=1_000.0))
    assert found.equity is None
    assert found.isolated_trigger is None and found.cross_trigger is None and found.cross_cascade is None
    assert found.delta["ETH"].cross == pytest.approx(ETH)


def test_the_grid_holds_every_price_once() -> None:
    assert MOVES[NOW] == 0.0
    assert (np.diff(MOVES) > 0).all()


@given(made=BOOKS, cash=st.integers(0, 400_000))
@settings(max_examples=60, deadline=None)
def test_laws(made: MarginBook, cash: int) -> None:
    found = ask(MarginBook(made.holdings, float(cash)))
    for pair in (*found.delta.values(), *found.vega.values(), found.initial, found.maintenance):
        assert pair.isolated >= pair.cross - 1e-6 * max(1.0, pair.isolated)
        assert pair.cross >= 0
    assert (found.cross_trigger is None) == (found.cross_cascade is None)
    assert (found.isolated_trigger is None) == (found.isolated_cascade is None)
    if found.equity is not None and found.cross_trigger is not None:
        assert (found.cross_trigger.move == 0) == (found.equity <= found.maintenance.cross)
        assert found.cross_cascade is not None and found.cross_cascade.closed == len(made)


@given(made=BOOKS)
@settings(max_examples=40, deadline=None)
def test_more_cash_never_brings_a_breach_nearer(made: MarginBook) -> None:
    poor, rich = (ask(MarginBook(made.holdings, cash)) for cash in (10_000.0, 60_000.0))
    for one, other in ((poor.cross_trigger, rich.cross_trigger), (poor.isolated_trigger, rich.isolated_trigger)):
        if other is not None:
            assert one is not None
            assert abs(one.move) <= abs(other.move) + 1e-9
