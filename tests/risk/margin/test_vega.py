"""Vega's risk factors against printed and computed figures, its margin levels against what its engine charged, and their laws."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from math import exp, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from aggregator.risk.margin.interface import Inapplicable, Kind, MissingInput
from aggregator.risk.margin.vega import (
    MODEL,
    SAMPLE,
    LognormalModel,
    MarketModel,
    RiskFactors,
    Scaling,
    Slippage,
    levels,
    maintenance_margin,
)
from tests.risk.margin.kit import book, case_names, market_of, option, perpetual, scaled, spot, vectors


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("vega_lognormal_es"))
def test_the_printed_risk_factors(name: str) -> None:
    """Shorts agree to what was printed. Five of the longs were printed from a slip, e^(μ̄·σ̄²/2) in place of e^(μ̄ + σ̄²/2), which is
    shown here to explain the difference; the engine itself charges by the right one (the next test)."""
    case: dict[str, Any] = next(one for one in vectors("vega_lognormal_es")["cases"] if one["id"] == name)
    found = LognormalModel(case["risk_aversion"], case["tau"], case["mu"], case["sigma"]).factors()
    assert found.short == pytest.approx(case["rf_short"], rel=1e-7)
    assert found.long == pytest.approx(case["rf_long"], abs=1e-3)
    variance = case["sigma"] ** 2 * case["tau"]
    slipped = 1 - exp(-(variance**2) / 4) * ndtr(ndtri(case["risk_aversion"]) - sqrt(variance)) / case["risk_aversion"]
    assert case["rf_long"] in (pytest.approx(found.long, abs=2e-9), pytest.approx(slipped, abs=2e-9))


@pytest.mark.parametrize(
    ("risk_aversion", "tau", "sigma", "charged"),
    [(1e-6, 0.1, 1.0, 13_570), (1e-8, 0.1, 1.0, 14_179), (0.1, 0.1, 1.0, 8_934), (1e-6, 1.0, 1.0, 16_142), (1e-6, 0.1, 0.001, 3_021)],
)
def test_what_the_engine_charged(risk_aversion: float, tau: float, sigma: float, charged: int) -> None:
    """Initial margin of 10 long and an order to buy 1 more at mark 1,000, slippage .25, default factors (its own acceptance test)."""
    factors = LognormalModel(risk_aversion, tau, 0.0, sigma).factors()
    position = maintenance_margin(Decimal(10), Decimal(1_000), factors, Slippage(Decimal("0.25")))
    order = maintenance_margin(Decimal(1), Decimal(1_000), factors, Slippage())
    assert levels(position + order).initial == charged


@pytest.mark.parametrize(
    "model", [LognormalModel(0.01, 0.02, 0.5, 0.8), LognormalModel(0.2, 1.0, -0.3, 0.4), LognormalModel(0.05, 2.0, 0.0, 1.5)]
)
def test_factors_are_expected_shortfalls(model: LognormalModel) -> None:
    """Against the integral of the quantile function over both tails."""
    deviation = model.sigma * sqrt(model.tau)
    centre = (model.mu - model.sigma**2 / 2) * model.tau

    def tail(sign: float) -> float:
        area, _ = quad(lambda x: exp(centre + sign * deviation * x) * exp(-x * x / 2) / sqrt(2 * np.pi), -40, ndtri(model.risk_aversion))
        return float(area) / model.risk_aversion

    found = model.factors()
    assert found.long == pytest.approx(1 - tail(1.0), abs=1e-7)
    assert found.short == pytest.approx(tail(-1.0) - 1, abs=1e-7)


def test_no_digits_are_lost_at_the_edges() -> None:
    still = LognormalModel(1e-6, 0.0).factors()
    assert abs(still.long) < 1e-12 and abs(still.short) < 1e-12
    extreme = LognormalModel(1e-6, 0.1, 0.0, 100.0).factors()
    assert extreme.long == 1.0
    assert extreme.short == pytest.approx(999_999.0)
    tiny = LognormalModel(1e-300, 0.01, 0.0, 1.0).factors()
    assert 0 < tiny.long < 1 and np.isfinite(tiny.short)


@pytest.mark.parametrize("fields", [(0.0, 0.1), (1.0, 0.1), (0.1, -1.0)])
def test_parameters_out_of_range(fields: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="is"):
        LognormalModel(*fields)


def test_levels_round_for_the_network() -> None:
    factors = RiskFactors(0.1, 0.2)
    assert maintenance_margin(Decimal(3), Decimal(7), factors, Slippage(Decimal("0.5"), Decimal("0.25"))) == Decimal("2.1") + Decimal(
        "26.25"
    )
    assert maintenance_margin(Decimal(-3), Decimal(7), factors, Slippage()) == Decimal("4.2")
    assert maintenance_margin(Decimal(-3), Decimal(7), factors, Slippage(), funding=Decimal(-2)) == Decimal("10.2")
    assert maintenance_margin(Decimal(3), Decimal(7), factors, Slippage(), funding=Decimal(-2)) == Decimal("2.1")
    found = levels(Decimal("28.35"))
    assert [int(one) for one in (found.maintenance, found.search, found.initial, found.release)] == [29, 31, 34, 40]


def test_an_account_by_hand() -> None:
    holdings = (perpetual(2, 2_500), perpetual(-1, 61_000, underlying="BTC"))
    market = market_of(holdings, prices={"ETH": 2_600.0, "BTC": 60_000.0})
    own = replace(SAMPLE, markets={"BTC": MarketModel(LognormalModel(0.1, 0.1, 0.0, 1.0))}, scaling=Scaling(initial=Decimal(2)))
    found = MODEL.requirement(book(*holdings, cash=100), market, own, Kind.MAINTENANCE)
    usual = SAMPLE.fallback
    assert usual is not None
    assert found.components["slippage"] == pytest.approx(0.001 * 5_200)
    assert found.amount == pytest.approx(5_200 * (usual.model.factors().long + 0.001) + 60_000 * 0.67191327433, abs=1e-4)
    assert found.equity == pytest.approx(100 + 200 + 1_000)
    assert MODEL.requirement(book(*holdings), market, own, Kind.INITIAL).amount == pytest.approx(2 * found.amount, abs=1e-5)


def test_what_no_market_trades() -> None:
    for one in (option(3_000, 1), spot("ETH", 1)):
        with pytest.raises(Inapplicable, match="futures and perpetuals"):
            MODEL.requirement(book(one), market_of([one]), SAMPLE, Kind.INITIAL)
    with pytest.raises(MissingInput, match="risk parameters of ETH"):
        MODEL.requirement(book(perpetual(1)), market_of([perpetual(1)]), replace(SAMPLE, fallback=None), Kind.INITIAL)


@given(
    risk_aversion=st.floats(1e-8, 0.4),
    tau=st.floats(1e-6, 1.0),
    sigma=st.floats(0.01, 3.0),
    more=st.floats(1.0, 2.0),
)
def test_more_risk_needs_more(risk_aversion: float, tau: float, sigma: float, more: float) -> None:
    one = LognormalModel(risk_aversion, tau, 0.0, sigma).factors()
    for other in (
        LognormalModel(risk_aversion, tau * more, 0.0, sigma).factors(),
        LognormalModel(risk_aversion, tau, 0.0, sigma * more).factors(),
        LognormalModel(risk_aversion / more, tau, 0.0, sigma).factors(),
    ):
        assert other.long >= one.long - 1e-12 and other.short >= one.short - 1e-9 * (1 + one.short)
    assert 0 <= one.long <= 1 and one.short >= one.long - 1e-12


@given(sizes=st.lists(st.integers(-50, 50), min_size=1, max_size=4), factor=st.integers(1, 5), kind=st.sampled_from(list(Kind)))
def test_laws(sizes: list[int], factor: int, kind: Kind) -> None:
    holdings = [perpetual(size, 2_500, underlying=("ETH", "BTC")[number % 2]) for number, size in enumerate(sizes)]
    market = market_of(holdings, prices={"BTC": 60_000.0})
    one = book(*holdings)
    found = MODEL.requirement(one, market, SAMPLE, kind)
    assert found.amount >= 0 and found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6)
    assert MODEL.requirement(book(*reversed(holdings)), market, SAMPLE, kind).amount == found.amount
    assert MODEL.requirement(scaled(one, factor), market, SAMPLE, kind).amount == pytest.approx(factor * found.amount, abs=1e-4)
    assert found.amount <= MODEL.isolated(one, market, SAMPLE, kind).sum() + 1e-4
