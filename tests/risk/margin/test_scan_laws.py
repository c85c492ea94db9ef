"""What must hold of every method with a scan, on random books: order, scale, netting, long options, attribution, more scenarios."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.instrument import Holding
from aggregator.risk.margin import derive_pmrm, derive_pmrm2, derive_standard, greeks, isolated, okx, paradex, risk_matrix
from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET, PMRM2_MAINNET_AS_SCRIPTED, PMRM_MAINNET, STANDARD_MAINNET
from aggregator.risk.margin.interface import Kind, MarginBook, MarginModel, Netted
from aggregator.risk.margin.market import Market
from aggregator.risk.margin.population import PopulationModel, requirements
from tests.risk.margin.kit import book, market_of, perpetual, scaled
from tests.risk.margin.scenes import call, put

QUICK = settings(max_examples=40, deadline=None)

Method = tuple[MarginModel[Any], Any]

SUBADDITIVE: dict[str, Method] = {
    "derive-pmrm": (derive_pmrm.MODEL, PMRM_MAINNET),
    "derive-pmrm2": (derive_pmrm2.MODEL, PMRM2_MAINNET),
    "paradex": (paradex.MODEL, replace(paradex.PUBLISHED, fee_rate=0.0003, funding_usd={"ETH": 0.5})),
    "greeks": (greeks.MODEL, greeks.MODEL.default_parameters()),
    "isolated": (isolated.MODEL, isolated.MODEL.default_parameters()),
    # the dampener is granted once to a book and twice to two; the delta shock and MR7's tiers grow faster than the book
    "deribit": (
        risk_matrix.MODEL,
        replace(
            risk_matrix.PUBLISHED,
            decimals=None,
            linear={key: replace(one, dampener=0.0, delta_slope=0.0) for key, one in risk_matrix.PUBLISHED.linear.items()},
        ),
    ),
    "okx": (okx.MODEL, replace(okx.PUBLISHED, tiers=((np.inf, 1.0),))),
}
ALL: dict[str, Method] = {**SUBADDITIVE, "derive-standard": (derive_standard.MODEL, STANDARD_MAINNET)}

POPULATION: dict[str, tuple[PopulationModel[Any], Any]] = {
    "derive-pmrm": (derive_pmrm.MODEL, PMRM_MAINNET),
    "derive-pmrm2": (derive_pmrm2.MODEL, PMRM2_MAINNET),
    "derive-standard": (derive_standard.MODEL, STANDARD_MAINNET),
    "paradex": (paradex.MODEL, paradex.PUBLISHED),
    "greeks": (greeks.MODEL, greeks.MODEL.default_parameters()),
    "deribit": (risk_matrix.MODEL, risk_matrix.PUBLISHED),
}

SIZES = st.integers(-5, 5).filter(bool)
OPTIONS = st.builds(
    lambda strike, size, days, is_call: (call if is_call else put)(strike, size, days),
    st.sampled_from([1500, 2000, 2400, 2600, 2800, 3200, 5000]),
    SIZES,
    st.sampled_from([0.5, 7, 30, 120]),
    st.booleans(),
)
PERPETUALS = st.builds(lambda size: perpetual(size, unrealised=0), SIZES)
BOOKS = st.lists(st.one_of(OPTIONS, OPTIONS, PERPETUALS), min_size=1, max_size=6).map(lambda found: MarginBook(tuple(found)))
KINDS = st.sampled_from(list(Kind))


def market(*books: MarginBook) -> Market:
    """One market for them all, with a smile and a carry."""
    holdings: list[Holding] = [one for made in books for one in made.holdings]
    flat = market_of(holdings, 2600.0, 0.6, 0.04)
    smile = {key: replace(one, value=0.55 + 0.3 * abs(np.log(key[2] / 2600.0))) for key, one in flat.volatilities.items()}
    return replace(flat, volatilities=smile, spot=market_of([perpetual(1)]).spot, perpetuals=market_of([perpetual(1)]).perpetuals)


def amount(method: Method, made: MarginBook, at: Market, kind: Kind) -> float:
    model, parameters = method
    return model.requirement(made, at, parameters, kind).amount


@pytest.mark.parametrize("name", list(ALL))
@given(made=BOOKS, kind=KINDS, data=st.data())
@QUICK
def test_order_decides_nothing(name: str, made: MarginBook, kind: Kind, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(made))))
    model, parameters = ALL[name]
    at, shuffled = market(made), made.take(order)
    one, other = (model.requirement(each, at, parameters, kind) for each in (made, shuffled))
    assert other.amount == pytest.approx(one.amount, rel=1e-10, abs=1e-8)
    assert other.inputs_hash == one.inputs_hash
    assert other.scenarios.pnl == pytest.approx(one.scenarios.pnl, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("name", list(ALL))
@given(made=BOOKS, kind=KINDS)
@QUICK
def test_parts_sum_and_nothing_is_negative(name: str, made: MarginBook, kind: Kind) -> None:
    model, parameters = ALL[name]
    found = model.requirement(made, market(made), parameters, kind)
    assert found.amount >= -1e-9
    assert found.attribution.parts.shape == (len(made),)
    assert found.attribution.parts.sum() == pytest.approx(found.amount, rel=1e-9, abs=1e-7)
    assert found.net == pytest.approx(found.equity - found.amount if found.equity is not None else None)
    alone = model.isolated(made, market(made), parameters, kind)
    assert alone.shape == (len(made),)
    for number in range(len(made)):
        single = made.alone(number)
        assert alone[number] == pytest.approx(model.requirement(single, market(made), parameters, kind).amount, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("deribit", "okx")])
@given(made=BOOKS, kind=KINDS, factor=st.integers(2, 9))
@QUICK
def test_twice_the_book_twice_the_requirement(name: str, made: MarginBook, kind: Kind, factor: int) -> None:
    at = market(made)
    assert amount(ALL[name], scaled(made, factor), at, kind) == pytest.approx(
        factor * amount(ALL[name], made, at, kind), rel=1e-9, abs=1e-6
    )


@pytest.mark.parametrize("name", list(SUBADDITIVE))
@given(one=BOOKS, other=BOOKS, kind=KINDS)
@QUICK
def test_together_never_more_than_apart(name: str, one: MarginBook, other: MarginBook, kind: Kind) -> None:
    method, at = SUBADDITIVE[name], market(one, other)
    together = MarginBook(one.holdings + other.holdings)
    apart = amount(method, one, at, kind) + amount(method, other, at, kind)
    assert amount(method, together, at, kind) <= apart + 1e-6 * max(1.0, apart)


@pytest.mark.parametrize("name", list(SUBADDITIVE))
@given(made=BOOKS, kind=KINDS)
@QUICK
def test_netting_never_costs(name: str, made: MarginBook, kind: Kind) -> None:
    model, parameters = SUBADDITIVE[name]
    benefit = Netted(model, parameters).benefit(made, market(made), kind)
    assert benefit >= -1e-6 * max(1.0, amount(SUBADDITIVE[name], made, market(made), kind))


@pytest.mark.parametrize("name", ["derive-pmrm", "derive-standard"])
@given(
    made=BOOKS,
    extra=st.builds(
        lambda strike, days, is_call: (call if is_call else put)(strike, 1, days),
        st.sampled_from([2000, 2600, 3200]),
        st.sampled_from([7, 30]),
        st.booleans(),
    ),
)
@QUICK
def test_a_gift_of_a_long_option_never_hurts(name: str, made: MarginBook, extra: Holding) -> None:
    """Value rises by at least as much as the maintenance requirement.

    Not so in the second PMRM: its skew scenarios count a gain of an expiry as a loss, so a far option may ask for more than it is worth.
    """
    model, parameters = ALL[name]
    larger = MarginBook((*made.holdings, extra))
    at = market(made, larger)
    before, after = (model.requirement(each, at, parameters, Kind.MAINTENANCE).net for each in (made, larger))
    assert before is not None
    assert after is not None
    assert after >= before - 1e-7


@pytest.mark.parametrize("name", ["derive-pmrm", "derive-pmrm2", "paradex", "greeks"])
@given(made=BOOKS, data=st.data())
@QUICK
def test_one_scenario_less_never_asks_for_more(name: str, made: MarginBook, data: st.DataObject) -> None:
    model, parameters = ALL[name]
    dropped = data.draw(st.integers(0, len(parameters.scenarios) - 1))
    fewer = replace(parameters, scenarios=parameters.scenarios[:dropped] + parameters.scenarios[dropped + 1 :])
    at = market(made)
    whole = model.requirement(made, at, parameters, Kind.INITIAL)
    assert amount((model, fewer), made, at, Kind.INITIAL) <= whole.amount + 1e-7
    worst = [number for number, one in enumerate(parameters.scenarios) if one.name == whole.worst_scenario]
    if worst and whole.scenarios.pnl[worst[0]] < np.delete(whole.scenarios.pnl, worst[0]).min() - 1e-6:
        without = replace(parameters, scenarios=parameters.scenarios[: worst[0]] + parameters.scenarios[worst[0] + 1 :])
        assert amount((model, without), made, at, Kind.INITIAL) < whole.amount


def test_the_scripted_parameters_are_not_coherent() -> None:
    """With the two static discounts as the script has them, a book can need more than its halves; exchanged it cannot."""
    halves = book(call(2600, 1)), book(call(2600, -1), call(2800, 1), put(2400, -1))
    together, at = MarginBook(halves[0].holdings + halves[1].holdings), market(*halves)
    for parameters, coherent in ((PMRM2_MAINNET, True), (PMRM2_MAINNET_AS_SCRIPTED, False)):
        found = derive_pmrm2.MODEL.requirement(together, at, parameters, Kind.INITIAL)
        assert any("together" in note for note in found.notes) is not coherent
        assert not found.verified


def test_recognised_rules_are_not_subadditive() -> None:
    """Standard caps a far short put by its strike alone, and loses that cap beside a short call: 100 and 390 apart, 728 together."""
    far, near = book(put(100, -1)), book(call(2600, -1))
    together = MarginBook(far.holdings + near.holdings)
    at = market_of(together.holdings, 2600.0, 0.6)
    rule = ALL["derive-standard"]
    assert amount(rule, far, at, Kind.INITIAL) == pytest.approx(100.0)
    assert amount(rule, near, at, Kind.INITIAL) == pytest.approx(390.0)
    assert amount(rule, together, at, Kind.INITIAL) == pytest.approx(728.0)


@pytest.mark.parametrize("name", ["derive-pmrm", "derive-pmrm2", "derive-standard", "paradex", "greeks", "deribit"])
@given(books=st.lists(BOOKS, min_size=1, max_size=4), kind=KINDS)
@QUICK
def test_many_books_at_once_are_many_books_in_turn(name: str, books: list[MarginBook], kind: Kind) -> None:
    model, parameters = POPULATION[name]
    at = market(*books)
    expected = [model.requirement(one, at, parameters, kind).amount for one in books]
    assert requirements(model, [*books, MarginBook(())], at, parameters, kind).tolist() == pytest.approx(
        [*expected, 0.0], rel=1e-9, abs=1e-7
    )
