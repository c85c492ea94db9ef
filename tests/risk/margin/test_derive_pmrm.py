"""PMRM against the contracts' own test figures, worked examples, and the laws it obeys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aggregator.model.instrument import Holding
from aggregator.risk.margin.derive import Scenario, VolatilityShock
from aggregator.risk.margin.derive_pmrm import MODEL, PmrmParameters
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, Forward, Market, Quote
from tests.risk.margin.derive_cases import PMRM_ENVIRONMENTS, Environment, truncates_to
from tests.risk.margin.derive_cases import scene as portfolio_scene
from tests.risk.margin.kit import case_names, option, perpetual, spot, vectors, wad

UP, DOWN, NONE = VolatilityShock.UP, VolatilityShock.DOWN, VolatilityShock.NONE

TESTED = PmrmParameters(
    scenarios=tuple(Scenario(move, shock) for move in (1.15, 1.1, 1.05, 1.0, 0.95, 0.9, 0.85) for shock in (UP, NONE, DOWN)),
    basis_up=1.05,
    basis_down=0.95,
    basis_addition=0.25,
    basis_multiple=0.01,
    peg_threshold=0.98,
    peg_factor=2.0,
    confidence_threshold=0.6,
    confidence_margin=0.5,
    base_percent=0.02,
    perpetual_percent=0.02,
    option_percent=0.01,
    initial_factor=1.3,
    static_discount=0.95,
    rate_multiple=4.0,
    rate_addition=0.05,
    volatility_up=0.45,
    volatility_down=0.3,
    short_term_power=0.3,
    long_term_power=0.13,
    floor_seconds=float(SECONDS_PER_DAY),
    source="derivexyz/v2-core@7736900d test/config-test.sol",
    confirmed=True,
)
"""the contracts' own test configuration"""


def scene(scenario: dict[str, Any]) -> tuple[MarginBook, Market]:
    """A case of the verified scenarios as book and market."""
    forwards = {
        ("ETH", int(expiry)): Forward(float(wad(moving)), float(wad(fixed)), float(wad(rate)), min(float(wad(one)), float(wad(other))))
        for expiry, moving, fixed, rate, one, other in zip(
            scenario["FeedExpiries"],
            scenario["ForwardsVariable"],
            scenario["ForwardsFixed"],
            scenario["Rates"],
            scenario["ForwardConfidences"],
            scenario["RateConfidences"],
            strict=True,
        )
    }
    holdings: list[Holding] = []
    volatilities = {}
    for expiry, strike, call, amount, volatility, confidence in zip(
        scenario["OptionExpiries"],
        scenario["OptionStrikes"],
        scenario["OptionIsCall"],
        scenario["OptionAmounts"],
        scenario["OptionVols"],
        scenario["OptionVolConfidences"],
        strict=True,
    ):
        holdings.append(option(wad(strike), wad(amount), call=call == 1, expiry=int(expiry)))
        volatilities["ETH", int(expiry), float(wad(strike))] = Quote(float(wad(volatility)), float(wad(confidence)))
    if scenario["Perps"]:
        profit = wad(scenario["UnrealisedPerpPNL"]) + wad(scenario["UnrealisedFunding"])
        holdings.append(perpetual(wad(scenario["Perps"]), unrealised=profit))
    if scenario["Base"]:
        holdings.append(spot("ETH", wad(scenario["Base"])))
    market = Market(
        as_of=0.0,
        spot={"ETH": Quote(float(wad(scenario["SpotPrice"])), float(wad(scenario["SpotConfidence"])))},
        perpetuals={"ETH": Quote(float(wad(scenario["PerpPrice"])), float(wad(scenario["PerpConfidence"])))},
        forwards=forwards,
        volatilities=volatilities,
        stable=float(wad(scenario["StablePrice"])),
    )
    return MarginBook(tuple(holdings), float(wad(scenario["Cash"]))), market


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("derive_pmrm1"))
def test_the_contracts_own_scenarios(name: str) -> None:
    """Initial and maintenance margin, value and contingencies within 1e-10 USD, the tolerance of the contracts' test."""
    case = vectors("derive_pmrm1")["cases"][name]
    made, market = scene(case["Scenario"])
    expected = {key: None if value is None else float(wad(value)) for key, value in case["Result"].items()}
    initial = MODEL.requirement(made, market, TESTED, Kind.INITIAL)
    maintenance = MODEL.requirement(made, market, TESTED, Kind.MAINTENANCE)
    assert initial.equity == pytest.approx(expected["PortfolioMTM"], abs=1e-10)
    assert initial.net == pytest.approx(expected["InitialMarginHand"], abs=1e-10)
    assert maintenance.net == pytest.approx(expected["MaintenanceMarginHand"], abs=1e-10)
    assert initial.components["basis"] == pytest.approx(-(expected["ForwardContingency"] or 0.0), abs=1e-10)
    static = sum(expected[key] or 0.0 for key in ("PerpContingency", "BaseContingency", "OptionContingency"))
    assert initial.components["static"] == pytest.approx(-static, abs=1e-10)
    assert initial.components["confidence"] == pytest.approx(-(expected["OracleContingency"] or 0.0), abs=1e-10)
    # the file's minimum leaves the basis contingency out
    assert initial.scenarios.pnl.min() == pytest.approx(expected["MinSpan"], abs=1e-10)


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("derive_pmrm1_portfolios"))
def test_the_contracts_own_portfolios(name: str) -> None:
    """The same whole dollars as the contracts."""
    case = vectors("derive_pmrm1_portfolios")["cases"][name]
    expected = case.get("results", case.get("result"))
    made, market = portfolio_scene(case, PMRM_ENVIRONMENTS.get(name, Environment()))
    parameters = replace(TESTED, rate_addition=0.12, confidence_margin=0.4, base_percent=0.025, perpetual_percent=0.025)
    for kind, key in ((Kind.INITIAL, "im"), (Kind.MAINTENANCE, "mm")):
        found = MODEL.requirement(made, market, parameters, kind)
        assert found.net is not None
        assert truncates_to(found.net, expected[key]), f"{key}: {found.net} against {expected[key]}"
