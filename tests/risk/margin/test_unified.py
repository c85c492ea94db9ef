"""The unified method on books: laws on random books of several underlyings, and what its parts are made of."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.instrument import Holding
from aggregator.risk.classes import FactorClass
from aggregator.risk.margin.interface import Kind, MarginBook, Requirement
from aggregator.risk.margin.market import SECONDS_PER_DAY, Forward, Market, Quote
from aggregator.risk.margin.unified import MODEL
from aggregator.risk.margin.unified_scenarios import REGIMES, UnifiedParameters, class_of, fat_quantiles
from tests.risk.margin.kit import book, option, perpetual, scaled, spot

SPOTS = {"BTC": 52_000.0, "ETH": 2_600.0, "SOL": 150.0, "USDT": 1.0, "XYZ": 3.0}
VOLATILITIES = {"BTC": 0.5, "ETH": 0.6, "SOL": 1.4}
LISTED = ("BTC", "ETH", "SOL")
DAYS = (1, 20, 90)
STRIKES = (0.5, 0.9, 1.0, 1.2, 2.0)
MARKET = Market(
    0.0,
    spot={name: Quote(value) for name, value in SPOTS.items()},
    assets={"weETH": Quote(2_800.0)},
    perpetuals={name: Quote(SPOTS[name]) for name in LISTED},
    forwards={(name, day * SECONDS_PER_DAY): Forward(SPOTS[name] * (1 + day / 3650)) for name in LISTED for day in DAYS},
    volatilities={
        (name, day * SECONDS_PER_DAY, SPOTS[name] * strike): Quote(VOLATILITIES[name] * (1 + abs(np.log(strike)) / 3))
        for name in LISTED
        for day in DAYS
        for strike in STRIKES
    },
)
USUAL = MODEL.default_parameters()
QUICK = replace(USUAL, draws=128)

SIZES = st.integers(-6, 6).filter(bool)
OPTIONS = st.builds(
    lambda name, strike, size, day, call: option(SPOTS[name] * strike, size, call=call, expiry=day * SECONDS_PER_DAY, underlying=name),
    st.sampled_from(LISTED),
    st.sampled_from(STRIKES),
    SIZES,
    st.sampled_from(DAYS),
    st.booleans(),
)
PERPETUALS = st.builds(lambda name, size: perpetual(size, unrealised=0, underlying=name), st.sampled_from(LISTED), SIZES)
ASSETS = st.builds(
    lambda name, size: spot(name, size, "ETH" if name == "weETH" else None), st.sampled_from(["BTC", "ETH", "weETH", "USDT", "XYZ"]), SIZES
)
BOOKS = st.lists(st.one_of(OPTIONS, OPTIONS, PERPETUALS, ASSETS), min_size=1, max_size=7).map(lambda found: MarginBook(tuple(found)))
KINDS = st.sampled_from(list(Kind))


def ask(made: MarginBook, kind: Kind = Kind.INITIAL, parameters: UnifiedParameters = USUAL, market: Market = MARKET) -> Requirement:
    return MODEL.requirement(made, market, parameters, kind)


def alone(made: MarginBook, kind: Kind = Kind.INITIAL, parameters: UnifiedParameters = USUAL) -> float:
    return float(MODEL.isolated(made, MARKET, parameters, kind).sum())


@given(made=BOOKS, kind=KINDS)
@settings(max_examples=120, deadline=None)
def test_positions_apart_need_at_least_as_much(made: MarginBook, kind: Kind) -> None:
    found = ask(made, kind, QUICK).amount
    apart = alone(made, kind, QUICK)
    assert 0 <= found <= apart + 1e-8 * max(1.0, apart)


@given(one=BOOKS, other=BOOKS)
@settings(max_examples=80, deadline=None)
def test_two_books_together_need_no_more_than_apart(one: MarginBook, other: MarginBook) -> None:
    apart = ask(one, parameters=QUICK).amount + ask(other, parameters=QUICK).amount
    assert ask(MarginBook(one.holdings + other.holdings), parameters=QUICK).amount <= apart + 1e-8 * max(1.0, apart)


@given(made=BOOKS, kind=KINDS)
@settings(max_examples=60, deadline=None)
def test_parts_sum_and_every_holding_alone_is_a_book(made: MarginBook, kind: Kind) -> None:
    found = ask(made, kind, QUICK)
    assert found.attribution.parts.sum() == pytest.approx(found.amount, rel=1e-9, abs=1e-7)
    each = MODEL.isolated(made, MARKET, QUICK, kind)
    for number in range(len(made)):
        assert each[number] == pytest.approx(ask(made.alone(number), kind, QUICK).amount, rel=1e-9, abs=1e-7)


@given(made=BOOKS, factor=st.integers(2, 9), data=st.data())
@settings(max_examples=60, deadline=None)
def test_size_scales_and_order_decides_nothing(made: MarginBook, factor: int, data: st.DataObject) -> None:
    usual = ask(made, parameters=QUICK)
    assert ask(scaled(made, factor), parameters=QUICK).amount == pytest.approx(factor * usual.amount, rel=1e-9, abs=1e-6)
    shuffled = ask(made.take(data.draw(st.permutations(range(len(made))))), parameters=QUICK)
    assert shuffled.amount == pytest.approx(usual.amount, rel=1e-9, abs=1e-7)
    assert shuffled.inputs_hash == usual.inputs_hash


@given(made=BOOKS)
@settings(max_examples=40, deadline=None)
def test_a_scenario_less_never_asks_for_more(made: MarginBook) -> None:
    usual = ask(made, parameters=QUICK).amount
    for number in range(len(USUAL.crises)):
        fewer = replace(QUICK, crises=USUAL.crises[:number] + USUAL.crises[number + 1 :])
        assert ask(made, parameters=fewer).amount <= usual + 1e-7
    moves = USUAL.scan.scenarios
    for number in range(0, len(moves), 3):
        scan = replace(USUAL.scan, scenarios=moves[:number] + moves[number + 1 :])
        assert ask(made, parameters=replace(QUICK, scan=scan)).amount <= usual + 1e-7


def test_diversification_of_what_is_only_long_earns_nothing() -> None:
    """The day on which everything falls decides, so that two assets need what each of them needs."""
    both, bitcoin, ether = book(spot("BTC", 1), spot("ETH", 10)), book(spot("BTC", 1)), book(spot("ETH", 10))
    assert ask(both).amount == pytest.approx(ask(bitcoin).amount + ask(ether).amount)
    assert ask(both).worst_scenario == "crisis-2020-03-12"
    assert ask(both).amount == pytest.approx(0.44 * 52_000 + 0.48 * 26_000)


def test_collateral_falls_in_the_same_scenario_as_the_position() -> None:
    """Ether behind a short of ether is a hedge; behind a long it falls with it."""
    hedged, doubled = book(spot("ETH", 10), perpetual(-10, unrealised=0)), book(spot("ETH", 10), perpetual(10, unrealised=0))
    assert ask(hedged).amount == pytest.approx(0.01 * 26_000)
    assert ask(doubled).amount == pytest.approx(2 * 0.48 * 26_000)


def test_a_perfect_hedge_still_pays_the_floor() -> None:
    """Call, short put and short perpetual at one strike: no scenario loses anything; hedged delta does."""
    made = book(
        option(2_600, 1, expiry=30 * SECONDS_PER_DAY),
        option(2_600, -1, call=False, expiry=30 * SECONDS_PER_DAY),
        perpetual(-1, unrealised=0),
    )
    market = replace(
        MARKET,
        forwards={("ETH", 30 * SECONDS_PER_DAY): Forward(2_600.0)},
        volatilities={("ETH", 30 * SECONDS_PER_DAY, 2_600.0): Quote(0.6)},
    )
    found = ask(made, market=market)
    assert found.components["grid"] < 1e-6
    assert found.components["delta-floor"] == pytest.approx(0.01 * 2_600, rel=1e-3)
    assert found.worst_scenario == "delta floor"
    assert found.amount > found.components["delta-floor"]


def test_pegs_break_and_followers_fall_behind() -> None:
    stable = ask(book(spot("USDT", 1_000)))
    assert stable.worst_scenario == "USDT breaks"
    assert stable.amount == pytest.approx(122.0)
    owed = ask(book(spot("USDT", -1_000)))
    assert owed.worst_scenario == "USDT at a premium"
    paired = ask(book(spot("weETH", 10, "ETH"), spot("ETH", Decimal("-10.7692307692"))))
    assert paired.worst_scenario == "weETH falls behind its underlying"
    assert paired.amount == pytest.approx(0.12 * 28_000)


def test_what_nobody_lists_is_feared_most() -> None:
    assert class_of("SOL", MARKET, USUAL) is FactorClass.VOLATILE
    assert class_of("XYZ", MARKET, USUAL) is FactorClass.UNKNOWN
    assert class_of("XYZ", MARKET, replace(USUAL, classes={"XYZ": FactorClass.GOLD})) is FactorClass.GOLD
    owed, volatile = book(spot("XYZ", -1_000)), replace(USUAL, classes={"XYZ": FactorClass.VOLATILE})
    assert ask(owed).amount > 1.2 * ask(owed, parameters=volatile).amount


def test_given_correlations_are_used() -> None:
    made = book(perpetual(1, unrealised=0, underlying="BTC"), perpetual(-20, unrealised=0))
    tied = replace(USUAL, correlation=(("BTC", "ETH"), np.array([[1.0, 0.99], [0.99, 1.0]])))
    untied = replace(USUAL, correlation=(("BTC", "ETH"), np.array([[1.0, -0.5], [-0.5, 1.0]])))
    label = f"expected shortfall 99 %, {REGIMES[0]}"
    loss = {
        name: dict(zip(found.scenarios.names, found.scenarios.pnl, strict=True))[label]
        for name, found in (("tied", ask(made, parameters=tied)), ("untied", ask(made, parameters=untied)))
    }
    assert loss["untied"] < 2 * loss["tied"] < 0


def test_quantiles_are_those_of_a_fat_tail() -> None:
    """Four degrees of freedom: 3.747 at 99 %, at variance 2."""
    assert fat_quantiles(np.array([0.01, 0.5, 0.99])) == pytest.approx([-3.746947 / 2**0.5, 0.0, 3.746947 / 2**0.5], rel=1e-6)
    assert (np.diff(fat_quantiles(np.linspace(0.001, 0.999, 99))) > 0).all()


def test_maintenance_is_a_share_of_the_initial_margin() -> None:
    made: MarginBook = MarginBook((perpetual(3, unrealised=0), option(2_600 * 0.9, -2, expiry=20 * SECONDS_PER_DAY)))
    assert ask(made, Kind.MAINTENANCE).amount == pytest.approx(0.8 * ask(made).amount)


def test_an_unpriced_profit_leaves_equity_unknown() -> None:
    held: Holding = perpetual(1)
    assert ask(book(held)).equity is None
    assert ask(book(held)).net is None
