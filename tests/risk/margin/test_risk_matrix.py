"""Deribit's risk matrix against the published response, worked examples, and its laws."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_YEAR, Forward, Market, Quote
from aggregator.risk.margin.quotes import quotes
from aggregator.risk.margin.risk_matrix import MODEL, BucketTerms, RiskMatrixParameters, evaluate
from tests.risk.margin.kit import case_names, decimal, vectors


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
    found = evaluate(made, quotes(made, market), parameters, apart=False)
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
