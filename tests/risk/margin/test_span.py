"""SPAN against a published example, its sixteen scenarios by hand, every charge and credit, and the laws of a scan."""

from __future__ import annotations

from dataclasses import replace
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginBook, MissingInput
from aggregator.risk.margin.market import SECONDS_PER_DAY
from aggregator.risk.margin.span import EXAMPLE, MODEL, SpanParameters, SpanTerms
from aggregator.risk.margin.span_calculator import (
    CommodityRisk,
    CommoditySpread,
    MonthSpread,
    OptionTerms,
    ScanRisk,
    SpreadLeg,
    combine,
    composite_delta,
    inter_commodity,
    inter_month,
    linear_array,
    price_risk,
    scan_risk,
    scenarios,
)
from aggregator.risk.pricing.black76 import price
from tests.risk.margin.kit import book, case_names, decimal, market_of, option, perpetual, scaled, spot, vectors

PLAIN = SpanParameters({}, SpanTerms(0.10, 0.05, 2.0, 0.35), (), 1.1, "a test", True)
DAY = SECONDS_PER_DAY


def future(size: float, days: int, underlying: str = "ETH") -> Holding:
    return Holding(Instrument(InstrumentKind.FUTURE, underlying, days * DAY), decimal(size))


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("span"))
def test_published_arrays(name: str) -> None:
    case = next(one for one in vectors("span")["cases"] if one["id"] == name)
    names = [key for key, array in case.items() if isinstance(array, list) and len(array) == 16]
    pnl = combine(np.array([case[key] for key in names], dtype=np.float64), np.ones(len(names)))
    np.testing.assert_array_equal(pnl, case["expected"]["combined"])
    found = scan_risk(pnl)
    assert (found.amount, found.worst) == (case["expected"]["scan_risk"], case["expected"]["worst_scenario"])


@pytest.mark.data
def test_published_scenarios_and_weights() -> None:
    file = vectors("span")
    for pair in file["extreme"]["EMM_CF_pairs_seen"]:
        mine = scenarios(pair["EMM"], pair["CF"])
        for number, (one, published) in enumerate(zip(mine, file["scenarios"], strict=True), start=1):
            sign = {"+EMM": 1, "-EMM": -1}
            move = sign[published["price"]] * pair["EMM"] if published["price"] in sign else published["price"]
            weight = pair["CF"] if published["weight"] == "CF" else published["weight"]
            assert (number, one.price, one.volatility, one.weight) == (published["n"], move, published["vol"], weight)


def test_the_array_of_a_future() -> None:
    """A price scan range of 300 on one contract, extreme move twice that, 35 % of it counted."""
    found = linear_array(np.array([3_000.0]), np.array([0.1]), scenarios(2.0, 0.35))[0]
    np.testing.assert_allclose(found, [0, 0, 100, 100, -100, -100, 200, 200, -200, -200, 300, 300, -300, -300, 210, -210], atol=1e-9)


def test_the_array_of_an_option_is_a_full_revaluation() -> None:
    terms = OptionTerms(*(np.array([one]) for one in (2_600.0, 2_500.0, 0.25, 0.6, -1.0, 0.05, 0.1, 0.05)))
    found = terms.array(scenarios(3.0, 0.33), ahead=1 / 365)[0]
    later = 0.25 - 1 / 365

    def worth(forward: float, volatility: float, years: float) -> float:
        return float(price(forward, 2_500.0, years, volatility, -1.0, exp(-0.05 * years)))

    now = worth(2_600.0, 0.6, 0.25)
    assert found[0] == pytest.approx(worth(2_600.0, 0.65, later) - now)
    assert found[9] == pytest.approx(worth(2_600.0 * (1 - 0.2 / 3), 0.55, later) - now)
    assert found[15] == pytest.approx(0.33 * (worth(2_600.0 * 0.7, 0.6, later) - now))
    assert len(found) == 16


def test_scan_and_price_risk() -> None:
    assert scan_risk(np.array([1.0, 2.0])) == ScanRisk(0.0, None)
    assert scan_risk(np.zeros(16)) == ScanRisk(0.0, None)
    pnl = np.array([-1.0, -3.0, 0, 0, 0, 0, 0, 0, 0, 0, -10.0, -20.0, 0, 0, -30.0, 0])
    assert scan_risk(pnl) == ScanRisk(30.0, 15)
    # the extreme move stands alone: 30 less the time value lost, 2
    assert price_risk(pnl, scan_risk(pnl)) == pytest.approx(28)
    pnl[14] = 0
    assert scan_risk(pnl) == ScanRisk(20.0, 12)
    assert price_risk(pnl, scan_risk(pnl)) == pytest.approx(13)
    assert price_risk(np.zeros(16), scan_risk(np.zeros(16))) == 0


def test_composite_delta_weighs_small_moves_most() -> None:
    moves = np.array([0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0])
    weights = {0.0: 0.270, 1 / 3: 0.217, 2 / 3: 0.110, 1.0: 0.037}
    assert composite_delta(moves, np.ones((1, 7)), weights)[0] == pytest.approx(1)
    assert composite_delta(moves, np.array([[1.0, 0, 0, 0, 0, 0, 0]]), weights)[0] == pytest.approx(0.270 / 0.998)
    assert composite_delta(moves, np.array([[0, 0, 0, 0, 0, 0, 1.0]]), weights)[0] == pytest.approx(0.037 / 0.998)


def test_months_that_offset_are_charged_by_priority() -> None:
    spreads = [MonthSpread(0, 0, 1.0), MonthSpread(0, 1, 3.0), MonthSpread(1, 1, 2.0)]
    months = {1: (0, 10.0), 2: (0, -4.0), 3: (1, -10.0), 4: (1, 7.0)}
    charge, used = inter_month(months, spreads)
    # 4 within the near tier, 6 near against far, then 4 of the far months against each other
    assert charge == pytest.approx(4 * 1 + 6 * 3 + 4 * 2)
    assert used == pytest.approx({1: 10, 2: 4, 3: 10, 4: 4})
    assert inter_month(months, [])[0] == 0
    assert inter_month({1: (0, 5.0), 2: (1, 5.0)}, spreads)[0] == 0


def test_credit_between_commodities() -> None:
    """Two deltas of soy against one of corn, 65 % of each leg's price risk."""
    table = [CommoditySpread((SpreadLeg("corn", 1.0, 1), SpreadLeg("soy", 2.0, -1)), 0.65)]
    found = inter_commodity({"corn": 10.0, "soy": -12.0}, {"corn": 1_000.0, "soy": 6_000.0}, table)
    assert found == pytest.approx({"corn": 6 * 100 * 0.65, "soy": 12 * 500 * 0.65})
    assert inter_commodity({"corn": -10.0, "soy": 12.0}, {"corn": 1_000.0, "soy": 6_000.0}, table) == pytest.approx(found)
    assert inter_commodity({"corn": 10.0, "soy": 12.0}, {"corn": 1.0, "soy": 1.0}, table) == {"corn": 0, "soy": 0}
    assert inter_commodity({"corn": 10.0}, {"corn": 1.0}, table) == {"corn": 0}
    # the second spread finds what the first left: 4 of corn
    again = [*table, CommoditySpread((SpreadLeg("corn", 1.0, 1), SpreadLeg("wheat", 1.0, -1)), 0.5)]
    more = inter_commodity({"corn": 10.0, "soy": -12.0, "wheat": -9.0}, {"corn": 1_000.0, "soy": 6_000.0, "wheat": 900.0}, again)
    assert more["wheat"] == pytest.approx(4 * 100 * 0.5)
    assert more["corn"] == pytest.approx(390 + 4 * 100 * 0.5)


def test_floors_and_option_value() -> None:
    one = CommodityRisk(ScanRisk(100.0, 11), inter_month=10, delivery=5, credit=40, short_option_minimum=60, net_option_value=30)
    assert (one.risk, one.requirement, one.held_against_equity) == (75, 45, 75)
    assert replace(one, short_option_minimum=90).risk == 90
    assert replace(one, net_option_value=80).requirement == 0
    assert replace(one, net_option_value=80).held_against_equity == 80
    assert replace(one, net_option_value=-20).requirement == 95


def test_an_outright_future_by_hand() -> None:
    holding = future(-2, 30)
    market = market_of([holding], price=2_600.0)
    found = MODEL.requirement(book(holding, cash=1_000), market, PLAIN, Kind.MAINTENANCE)
    assert found.amount == pytest.approx(520)
    assert found.worst_scenario is not None and found.worst_scenario.startswith("price +1 ranges")
    assert found.scenarios.names[14] == "price +2 ranges, 35 % counted"
    assert found.scenarios.pnl[14] == pytest.approx(-0.35 * 2 * 520)
    assert found.verified
    assert MODEL.requirement(book(holding), market, PLAIN, Kind.INITIAL).amount == pytest.approx(572)


def test_a_calendar_spread_pays_the_charge_alone() -> None:
    holdings = (future(3, 20), future(-3, 90))
    terms = SpanTerms(0.1, 0.05, 2.0, 0.35, tier_days=(31.0,), spreads=(MonthSpread(0, 1, 0.01),))
    market = market_of(holdings, price=2_600.0)
    found = MODEL.requirement(book(*holdings), market, replace(PLAIN, fallback=terms), Kind.MAINTENANCE)
    assert found.amount == pytest.approx(3 * 26)
    np.testing.assert_allclose(found.attribution.parts.sum(), found.amount)
    # outright deltas near delivery pay more, deltas in a spread do not
    near = replace(terms, delivery_days=25.0, delivery_rate=0.02)
    one_more = book(future(5, 20), future(-3, 90))
    again = MODEL.requirement(one_more, market, replace(PLAIN, fallback=near), Kind.MAINTENANCE)
    assert again.components["delivery"] == pytest.approx(2 * 52)
    assert again.amount == pytest.approx(2 * 260 + 78 + 104)


def test_options_by_hand() -> None:
    """A long call needs its own value, a naked far call the short option minimum, a covered one the loss of the scan."""
    long, far = option(2_600, 1), option(6_000, -10)
    market = market_of([long, far, perpetual(1)], price=2_600.0)
    terms = replace(PLAIN, fallback=SpanTerms(0.1, 0.05, 2.0, 0.35, short_option_rate=0.02))
    found = MODEL.requirement(book(long), market, terms, Kind.MAINTENANCE)
    assert found.equity is not None
    assert found.amount == pytest.approx(found.equity) and found.components["requirement"] == 0
    naked = MODEL.requirement(book(far), market, terms, Kind.MAINTENANCE)
    assert naked.amount == pytest.approx(10 * 0.02 * 2_600)
    covered = MODEL.requirement(book(option(2_600, -1), perpetual(1, 2_600)), market, terms, Kind.MAINTENANCE)
    alone = MODEL.isolated(book(option(2_600, -1), perpetual(1, 2_600)), market, terms, Kind.MAINTENANCE)
    assert covered.worst_scenario == "price -1 ranges, volatility up"
    assert covered.amount < alone.sum()
    assert covered.scenarios.pnl.min() == pytest.approx(-covered.components["scan"])


def test_commodities_add_up_but_for_credits() -> None:
    holdings = (perpetual(1, underlying="BTC"), perpetual(-20))
    market = market_of(holdings, prices={"BTC": 60_000.0, "ETH": 2_600.0})
    apart = MODEL.requirement(book(*holdings), market, PLAIN, Kind.MAINTENANCE)
    assert apart.amount == pytest.approx(6_000 + 5_200)
    assert apart.worst_scenario is not None and apart.worst_scenario.startswith("BTC: price -1 ranges")
    assert len(apart.scenarios.names) == 32
    credit = CommoditySpread((SpreadLeg("BTC", 1.0, 1), SpreadLeg("ETH", 20.0, -1)), 0.5)
    together = MODEL.requirement(book(*holdings), market, replace(PLAIN, credits=(credit,)), Kind.MAINTENANCE)
    assert together.amount == pytest.approx((6_000 + 5_200) / 2)
    assert together.components["inter-commodity-credit"] == pytest.approx(5_600)


def test_assets_are_collateral_outside_of_the_scan() -> None:
    holdings = (spot("ETH", 2), perpetual(-2, 2_600))
    market = market_of(holdings, price=2_600.0)
    found = MODEL.requirement(book(*holdings), market, PLAIN, Kind.MAINTENANCE)
    assert found.components["collateral-haircut"] == pytest.approx(0.2 * 5_200)
    assert found.amount == pytest.approx(520 + 1_040)
    moved = MODEL.requirement(book(*(spot("ETH", 2), perpetual(-2, 2_500)), cash=70.0), market, PLAIN, Kind.MAINTENANCE)
    assert moved.equity == pytest.approx(70 + 5_200 - 200)
    assert moved.net == pytest.approx(5_070 - 1_560)


def test_what_is_refused_or_missing() -> None:
    with pytest.raises(Inapplicable, match="lends no assets"):
        MODEL.requirement(book(spot("ETH", -1)), market_of([spot("ETH", 1)]), PLAIN, Kind.INITIAL)
    with pytest.raises(Inapplicable, match="nothing to margin"):
        MODEL.requirement(book(), market_of([]), PLAIN, Kind.INITIAL)
    with pytest.raises(MissingInput, match="scan ranges of ETH"):
        MODEL.requirement(book(perpetual(1)), market_of([perpetual(1)]), replace(PLAIN, fallback=None), Kind.INITIAL)
    assert not MODEL.requirement(book(perpetual(1)), market_of([perpetual(1)]), EXAMPLE, Kind.INITIAL).verified


LEGS = st.lists(
    st.tuples(st.sampled_from(["call", "put", "future", "perpetual"]), st.integers(18, 34), st.integers(-5, 5), st.sampled_from([20, 60])),
    min_size=1,
    max_size=5,
)


def legs(drawn: list[tuple[str, int, int, int]]) -> list[Holding]:
    return [
        perpetual(size)
        if kind == "perpetual"
        else future(size, days)
        if kind == "future"
        else option(100 * strike, size, call=kind == "call", expiry=days * DAY)
        for kind, strike, size, days in drawn
    ]


@settings(deadline=None)
@given(first=LEGS, second=LEGS, factor=st.integers(1, 4), kind=st.sampled_from(list(Kind)))
def test_laws_of_the_scan(first: list[tuple[str, int, int, int]], second: list[tuple[str, int, int, int]], factor: int, kind: Kind) -> None:
    """Without flat charges between months: coherent. The scan alone always is."""
    one, two = legs(first), legs(second)
    market = market_of([*one, *two], price=2_600.0)

    def amount(parameters: SpanParameters, held: MarginBook) -> float:
        return MODEL.requirement(held, market, parameters, kind).amount

    both = book(*one, *two)
    assert amount(PLAIN, both) <= amount(PLAIN, book(*one)) + amount(PLAIN, book(*two)) + 1e-6
    assert amount(PLAIN, both) <= MODEL.isolated(both, market, PLAIN, kind).sum() + 1e-6
    for parameters in (PLAIN, EXAMPLE):
        found = MODEL.requirement(both, market, parameters, kind)
        assert found.amount >= -1e-9
        assert found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6)
        backwards = MODEL.requirement(book(*reversed(both.holdings)), market, parameters, kind)
        assert backwards.amount == pytest.approx(found.amount, abs=1e-6) and backwards.inputs_hash == found.inputs_hash
        assert amount(parameters, scaled(both, factor)) == pytest.approx(factor * found.amount, abs=1e-6)
        scan = [MODEL.requirement(book(*held), market, parameters, kind).components["scan"] for held in (one, two)]
        assert found.components["scan"] <= sum(scan) + 1e-6
