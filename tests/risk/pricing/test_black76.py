"""Black-76 against QuantLib, Haug's tables, finite differences, and its limits."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.pricing.black76 import CALL, PUT, greeks, implied_volatility, inverse_price, price, spot_greeks

VECTORS = Path(__file__).parents[3].parent / "shared/DATA/vectors/margin/option_pricing.json"

FORWARDS = st.floats(1e-3, 1e6)
MONEYNESS = st.floats(0.05, 20.0)
YEARS = st.floats(1e-4, 5.0)
VOLATILITIES = st.floats(0.01, 4.0)
SIDES = st.sampled_from([CALL, PUT])


def tabulated() -> dict[str, Any]:
    if not VECTORS.exists():
        pytest.skip("reference vectors are not here: ../shared/DATA/vectors/margin/option_pricing.json")
    found: dict[str, Any] = json.loads(VECTORS.read_text())["haug_quantlib"]
    return found


def side(name: str) -> float:
    return CALL if name == "Call" else PUT


@pytest.mark.data
def test_haugs_values() -> None:
    for row in tabulated()["values"]:
        value = spot_greeks(row["S"], row["K"], row["t"], row["vol"], side(row["type"]), row["r"], row["q"]).value
        assert float(value) == pytest.approx(row["value"], abs=row["tol"]), row


@pytest.mark.data
def test_haugs_greeks() -> None:
    names = {"dividend_rho": "dividend_rho", "theta_per_day": "theta"}
    for row in tabulated()["greeks"]:
        found = spot_greeks(row["S"], row["K"], row["t"], row["vol"], side(row["type"]), row["r"], row["q"])
        value = float(getattr(found, names.get(row["greek"], row["greek"])))
        if row["greek"] == "theta_per_day":
            value /= 365.0
        assert value == pytest.approx(row["value"], abs=1e-4), row


@given(FORWARDS, MONEYNESS, YEARS, VOLATILITIES, SIDES, st.floats(-0.1, 0.3))
def test_the_same_price_as_quantlib(forward: float, moneyness: float, years: float, volatility: float, w: float, rate: float) -> None:
    discount = math.exp(-rate * years)
    kind = ql.Option.Call if w == CALL else ql.Option.Put
    expected = ql.blackFormula(kind, forward * moneyness, forward, volatility * math.sqrt(years), discount)
    found = float(price(forward, forward * moneyness, years, volatility, w, discount))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-13 * forward * max(1.0, moneyness))


@given(st.floats(50, 150), st.floats(0.05, 2.0), st.floats(0.1, 1.5), SIDES, st.floats(0.0, 0.1), st.floats(0.0, 0.1))
def test_the_same_greeks_as_quantlib(strike: float, years: float, volatility: float, w: float, rate: float, dividend: float) -> None:
    kind = ql.Option.Call if w == CALL else ql.Option.Put
    calculator = ql.BlackCalculator(
        ql.PlainVanillaPayoff(kind, strike),
        100.0 * math.exp((rate - dividend) * years),
        volatility * math.sqrt(years),
        math.exp(-rate * years),
    )
    found = spot_greeks(100.0, strike, years, volatility, w, rate, dividend)
    for name, expected in (
        ("value", calculator.value()),
        ("delta", calculator.delta(100.0)),
        ("gamma", calculator.gamma(100.0)),
        ("vega", calculator.vega(years)),
        ("theta", calculator.theta(100.0, years)),
        ("rho", calculator.rho(years)),
        ("dividend_rho", calculator.dividendRho(years)),
    ):
        assert float(getattr(found, name)) == pytest.approx(expected, rel=1e-8, abs=1e-9), name


@given(st.floats(0.3, 3.0), st.floats(0.05, 2.0), st.floats(0.1, 1.5), SIDES, st.floats(0.0, 0.2))
def test_greeks_are_derivatives_of_the_price(moneyness: float, years: float, volatility: float, w: float, rate: float) -> None:
    found, step = greeks(1.0, moneyness, years, volatility, w, rate), 1e-5

    def value(forward: float = 1.0, t: float = years, vol: float = volatility, r: float = rate) -> float:
        return float(price(forward, moneyness, t, vol, w, math.exp(-r * t)))

    assert float(found.delta) == pytest.approx((value(1 + step) - value(1 - step)) / (2 * step), abs=1e-6)
    assert float(found.gamma) == pytest.approx((value(1 + 1e-4) - 2 * value() + value(1 - 1e-4)) / 1e-8, rel=1e-5, abs=2e-5)
    assert float(found.vega) == pytest.approx((value(vol=volatility + step) - value(vol=volatility - step)) / (2 * step), abs=1e-6)
    assert float(found.theta) == pytest.approx(-(value(t=years + step) - value(t=years - step)) / (2 * step), abs=1e-5)
    assert float(found.rho) == pytest.approx((value(r=rate + step) - value(r=rate - step)) / (2 * step), abs=1e-6)


@given(FORWARDS, MONEYNESS, YEARS, VOLATILITIES)
def test_put_call_parity(forward: float, moneyness: float, years: float, volatility: float) -> None:
    strike = forward * moneyness
    difference = price(forward, strike, years, volatility, CALL) - price(forward, strike, years, volatility, PUT)
    assert float(difference) == pytest.approx(forward - strike, rel=1e-9, abs=1e-12 * max(forward, strike))


@given(FORWARDS, MONEYNESS, YEARS, VOLATILITIES, SIDES)
def test_between_intrinsic_and_its_bound(forward: float, moneyness: float, years: float, volatility: float, w: float) -> None:
    strike = forward * moneyness
    value = float(price(forward, strike, years, volatility, w))
    slack = 1e-12 * max(forward, strike)
    assert max(w * (forward - strike), 0.0) - slack <= value <= (forward if w == CALL else strike) + slack


@pytest.mark.parametrize(("years", "volatility"), [(0.0, 0.5), (0.25, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_the_intrinsic_value_exactly(years: float, volatility: float) -> None:
    strikes = np.array([1500.0, 2000.0, 2000.1, 3000.0])
    assert price(2000.0, strikes, years, volatility, CALL).tolist() == [500.0, 0.0, 0.0, 0.0]
    assert price(2000.0, strikes, years, volatility, PUT).tolist() == [0.0, 0.0, pytest.approx(0.1, rel=1e-12), 1000.0]
    found = greeks(2000.0, strikes, years, volatility, CALL)
    assert found.delta.tolist() == [1.0, 0.5, 0.0, 0.0]
    assert not found.gamma.any()
    assert not found.vega.any()


def test_a_forward_or_strike_of_nothing() -> None:
    assert float(price(0.0, 100.0, 0.5, 0.8, CALL)) == 0.0
    assert float(price(0.0, 100.0, 0.5, 0.8, PUT)) == 100.0
    assert float(price(100.0, 0.0, 0.5, 0.8, CALL)) == 100.0
    assert float(price(100.0, 0.0, 0.5, 0.8, PUT)) == 0.0
    assert float(price(0.0, 0.0, 0.5, 0.8, CALL)) == 0.0


def test_far_from_the_money_and_wild_volatility() -> None:
    assert float(price(1000.0, 1e6, 0.01, 0.5, CALL)) == 0.0
    assert float(price(1e6, 1000.0, 0.01, 0.5, CALL)) == pytest.approx(999_000.0, rel=1e-15)
    # above σ√τ of about 24 a call is worth its forward
    assert float(price(1000.0, 1500.0, 1.0, 30.0, CALL)) == pytest.approx(1000.0, rel=1e-12)
    assert float(price(1000.0, 1500.0, 1.0, 30.0, PUT)) == pytest.approx(1500.0, rel=1e-12)


def test_what_is_not_known_stays_unknown() -> None:
    assert np.isnan(price(float("nan"), 100.0, 0.5, 0.8, CALL))
    assert np.isnan(price(100.0, 100.0, 0.5, float("nan"), PUT))


def test_a_coin_settled_option_is_worth_its_value_over_the_forward() -> None:
    assert float(inverse_price(50_000.0, 60_000.0, 0.25, 0.7, CALL)) == pytest.approx(
        float(price(50_000.0, 60_000.0, 0.25, 0.7, CALL)) / 50_000.0
    )
    assert float(inverse_price(0.0, 60_000.0, 0.25, 0.7, CALL)) == 0.0
    assert math.isinf(float(inverse_price(0.0, 60_000.0, 0.25, 0.7, PUT)))


@given(st.floats(0.2, 5.0), st.floats(0.01, 3.0), st.floats(0.05, 3.0), SIDES)
def test_implied_volatility_gives_the_price_back(moneyness: float, years: float, volatility: float, w: float) -> None:
    value = price(100.0, 100.0 * moneyness, years, volatility, w)
    found = implied_volatility(value, 100.0, 100.0 * moneyness, years, w)
    time_value = float(value) - max(w * (100.0 - 100.0 * moneyness), 0.0)
    if time_value > 1e-6:
        assert float(price(100.0, 100.0 * moneyness, years, found, w)) == pytest.approx(float(value), rel=1e-9)
        assert float(found) == pytest.approx(volatility, rel=1e-4)


def test_no_volatility_explains_an_impossible_price() -> None:
    values = np.array([99.0, 101.0, 10.0])
    years = np.array([0.5, 0.5, 0.0])
    assert np.isnan(implied_volatility(values, 200.0, np.array([100.0, 100.0, 195.0]), years, CALL))[[0, 2]].all()
    assert np.isnan(implied_volatility(250.0, 200.0, 100.0, 0.5, CALL))


def test_arguments_broadcast() -> None:
    assert price(np.full((3, 1), 100.0), np.full(4, 90.0), 0.5, 0.4, CALL).shape == (3, 4)
