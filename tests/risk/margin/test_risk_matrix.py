"""Deribit's risk matrix against the published response, worked examples, and its laws."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_YEAR, Forward, Market, Quote
from aggregator.risk.margin.quotes import quotes
from aggregator.risk.margin.risk_matrix import MODEL, PUBLISHED, BucketTerms, RiskMatrixParameters, evaluate, risk_vectors
from tests.risk.margin.kit import book, case_names, decimal, market_of, perpetual, spot, vectors
from tests.risk.margin.scenes import COIN_CASES


def scene(positions: list[dict[str, Any]], index: float) -> tuple[MarginBook, Market]:
    """Coin-settled futures and perpetuals of one coin; a size in coins is its USD notional over the mark."""
    holdings, forwards, perpetuals = [], {}, {}
    for one in positions:
        coin = one["instrument"].split("-")[0]
        mark, seconds = float(one["mark"]), round(one["years_to_expiry"] * SECONDS_PER_YEAR)
        notional = decimal(one["size_coin"]) * decimal(one["mark"])
        if one["instrument"].endswith("PERPETUAL"):
            instrument = Instrument(InstrumentKind.PERPETUAL, coin, inverse=True, settlement=coin, symbol=one["instrument"])
            perpetuals[coin] = Quote(mark)
        else:
            instrument = Instrument(InstrumentKind.FUTURE, coin, seconds, inverse=True, settlement=coin, symbol=one["instrument"])
            forwards[coin, seconds] = Forward(mark)
        holdings.append(Holding(instrument, notional, unrealised=Decimal(0)))
    coin = holdings[0].instrument.underlying
    return MarginBook(tuple(holdings)), Market(0.0, {coin: Quote(index)}, perpetuals=perpetuals, forwards=forwards)


def parameters_of(case: dict[str, Any], coin: str) -> RiskMatrixParameters:
    given = case["params"]
    terms = BucketTerms(
        price_range=given["price_range"],
        volatility_up=given["volatility_range_up"],
        volatility_down=given["volatility_range_down"],
        least_roll=given["min_annualised_move"],
        annual_roll=given["annualised_move_risk"],
        dampener=given["extended_dampener"],
        profit_offset=given["pnl_offset"],
        short_term_power=given["short_term_vega_power"],
        long_term_power=given["long_term_vega_power"],
        least_volatility_up=given["min_volatility_for_shock_up"],
        extended_factor=given["extended_table_factor"],
        delta_threshold_usd=given["delta_total_liq_shock_threshold"],
        delta_slope=given["m_inc"],
        most_delta_shock=given["max_delta_shock"],
    )
    other = case["other_initial"] * case["index_price"]
    return RiskMatrixParameters({coin: terms}, {}, given["mm_factor"], "the case", True, given["buckets_count"], other_initial_usd=other)


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("deribit_pme"))
def test_published_responses(name: str) -> None:
    """Every scenario, both shocks and both margins of a published response, in coins."""
    case = next(one for one in vectors("deribit_pme")["cases"] if one["id"] == name)
    expected, index = case["expected"], case["index_price"]
    made, market = scene(case["positions"], index)
    parameters = parameters_of(case, made.underlyings[0])
    found = evaluate(made, quotes(made, market), parameters, None)
    assert found.standard[0] == pytest.approx(np.array(expected["aggregated_standard"]), rel=1e-9, abs=1e-12)
    assert found.worst_case[0] == pytest.approx(expected["worst_case"], rel=1e-9)
    assert found.roll_shock[0] == pytest.approx(expected["roll_shock"], rel=1e-9)
    assert found.delta_shock[0] == pytest.approx(expected["delta_shock"], abs=1e-12)
    assert found.matrix[0] == pytest.approx(expected["risk_matrix_margin"], rel=1e-9)
    initial = MODEL.requirement(made, market, parameters, Kind.INITIAL)
    maintenance = MODEL.requirement(made, market, parameters, Kind.MAINTENANCE)
    assert initial.amount / index == pytest.approx(expected["initial_margin"], rel=1e-9)
    assert maintenance.amount / index == pytest.approx(expected["maintenance_margin"], rel=1e-9)
    assert initial.attribution.parts.sum() == pytest.approx(initial.amount, rel=1e-12)


BTC_PERPETUAL = [-0.05991206933333334, -0.04289159509090909, -0.027351162086956524, -0.013105765166666668, 0.0]
BTC_PERPETUAL += [0.012097629384615385, 0.023299138074074074, 0.033700538999999995, 0.043384601931034494]


def test_one_contracts_risk_vector() -> None:
    """The published vector of .314538364 coins of perpetual: standard and extended, where it moves by the range at most."""
    made, market = scene([{"instrument": "BTC-PERPETUAL", "size_coin": 0.314538364, "mark": 65910.57, "years_to_expiry": 0.0}], 65666.19)
    standard, extended = risk_vectors(made, quotes(made, market), [PUBLISHED.coin["BTC"]], PUBLISHED)
    assert standard[0].reshape(9, 3) == pytest.approx(np.repeat(np.array(BTC_PERPETUAL)[:, None], 3, axis=1), rel=1e-12)
    assert extended[0] == pytest.approx(np.array([BTC_PERPETUAL[0]] * 2 + [BTC_PERPETUAL[-1]] * 6), rel=1e-12)


def test_the_dampener_forgives_small_far_losses_and_not_large_ones() -> None:
    """Up to (|move|/range − 1)·100,000 USD of a scenario's loss: all of one short call's, not all of 1,500."""
    few, many = (COIN_CASES["short call"], COIN_CASES["many far calls"])
    terms = PUBLISHED.coin["BTC"]
    for (made, market), forgiven in ((few, True), (many, False)):
        found = evaluate(made, quotes(made, market), PUBLISHED, None)
        _, raw = risk_vectors(made, quotes(made, market), [terms] * len(made), PUBLISHED)
        relief = (np.abs(PUBLISHED.extended_moves) / terms.price_range - 1) * terms.dampener / 65_000.0
        aggregated = raw.sum(axis=0)
        assert found.extended[0] == pytest.approx(np.where(aggregated > 0, 0.0, np.minimum(aggregated + relief, 0.0)))
        assert bool(found.extended.any()) is not forgiven


def test_gains_count_the_offset() -> None:
    made, market = COIN_CASES["perpetual and future"]
    half = replace(PUBLISHED, coin={"BTC": replace(PUBLISHED.coin["BTC"], profit_offset=0.5)})
    none, some = (evaluate(made, quotes(made, market), one, None).standard[0] for one in (PUBLISHED, half))
    assert none.max() == 0.0
    vectors_of, _ = risk_vectors(made, quotes(made, market), [PUBLISHED.coin["BTC"]] * 2, PUBLISHED)
    assert some.max() == pytest.approx(0.5 * vectors_of.sum(axis=0).max())
    assert some.min() == none.min()


def test_a_large_delta_is_shocked_and_marked_unconfirmed() -> None:
    """600 million USD beyond the threshold would move the price by more than a tenth: a tenth is charged."""
    made, market = COIN_CASES["enormous coin delta"]
    parameters = replace(PUBLISHED, confirmed=True)
    found = MODEL.requirement(made, market, parameters, Kind.INITIAL)
    coins = 300_000_000 / 65_100
    assert found.components["delta-shock"] == pytest.approx(0.1 * coins * 65_000)
    assert not found.verified
    small, _ = COIN_CASES["perpetual and future"]
    assert MODEL.requirement(small, market, parameters, Kind.INITIAL).verified


def test_buckets_do_not_help_each_other() -> None:
    made, market = COIN_CASES["coin against dollar"]
    together = MODEL.requirement(made, market, PUBLISHED, Kind.INITIAL)
    apart = MODEL.isolated(made, market, PUBLISHED, Kind.INITIAL)
    assert together.amount == pytest.approx(apart.sum())


def test_a_coin_without_parameters_is_refused_by_name() -> None:
    made = book(perpetual(1, underlying="APT", unrealised=0))
    with pytest.raises(Inapplicable, match="APT settled in USD"):
        MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.INITIAL)
    with pytest.raises(Inapplicable, match="no future"):
        MODEL.requirement(book(spot("ETH", 1)), market_of([spot("ETH", 1)]), PUBLISHED, Kind.INITIAL)
