"""Derive's Standard manager against the contracts' own test figures, worked examples, and its laws."""

from __future__ import annotations

from typing import Any

import pytest

from aggregator.model.instrument import Holding
from aggregator.risk.margin.derive_standard import MODEL, MarketTerms, OptionTerms, StandardParameters
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import Forward, Market, Quote
from tests.risk.margin.derive_cases import STANDARD_ENVIRONMENTS, Environment, truncates_to
from tests.risk.margin.derive_cases import scene as portfolio_scene
from tests.risk.margin.kit import case_names, option, perpetual, spot, vectors, wad

SETTLEMENT_SECONDS = 3_600


def configuration(base_factor: float) -> StandardParameters:
    """The contracts' own test configuration."""
    terms = MarketTerms(
        initial_perpetual=0.065,
        maintenance_perpetual=0.05,
        options=OptionTerms(0.15, 0.1, 0.075, 0.075, 0.075, 1.2, 1.1, 1.05),
        base_factor=base_factor,
        base_scale=1.0,
        perpetual_threshold=0.4,
        option_threshold=0.4,
        base_threshold=0.4,
        confidence_factor=0.4,
    )
    return StandardParameters(
        {"ETH": terms, "BTC": terms}, MarketTerms(), 0.98, 1.2, "derivexyz/v2-core@7736900d test/config-test.sol", True
    )


def scene(scenario: dict[str, Any]) -> tuple[MarginBook, Market]:
    """A case as book and market; within an hour of expiry the settlement price is the forward."""
    spots = {"ETH": scenario["ETHSpotPrice"], "BTC": scenario["BTCSpotPrice"]}
    confidence = dict(zip(("ETH", "BTC"), scenario["SpotPerpConfidences"], strict=True))
    perpetual_prices = dict(zip(("ETH", "BTC"), scenario["PerpPrice"], strict=True))
    forwards, volatilities, holdings = {}, {}, list[Holding]()
    for row, name in enumerate(scenario["OptionUnderlying"]):
        seconds, strike = int(scenario["OptionExpiries"][row]), wad(int(scenario["OptionStrikes"][row]) // 10**10 * 10**10)
        price = scenario[f"SettlementPrice{name}"] if seconds < SETTLEMENT_SECONDS else scenario["Forwards"][row]
        forwards[name, seconds] = Forward(float(wad(price)), confidence=float(wad(scenario["ForwardConfidences"][row])))
        volatilities[name, seconds, float(strike)] = Quote(
            float(wad(scenario["OptionVols"][row])), float(wad(scenario["OptionVolConfidences"][row]))
        )
        call = scenario["OptionIsCall"][row] == 1
        holdings.append(option(strike, wad(scenario["OptionAmounts"][row]), call=call, expiry=seconds, underlying=name))
    for name in ("ETH", "BTC"):
        size = wad(scenario[f"Perps_{name}"])
        if size:
            profit = (wad(perpetual_prices[name]) - wad(scenario[f"LastEntry{name}"])) * size
            funding = -size * (wad(scenario[f"{name}GlobalFundingIndex"]) - wad(scenario[f"Account{name}FundingIndex"]))
            holdings.append(perpetual(size, unrealised=profit + funding, underlying=name))
        if scenario[f"w{name}"]:
            holdings.append(spot(name, wad(scenario[f"w{name}"])))
    market = Market(
        as_of=0.0,
        spot={name: Quote(float(wad(price)), float(wad(confidence[name][0]))) for name, price in spots.items()},
        perpetuals={name: Quote(float(wad(price)), float(wad(confidence[name][1]))) for name, price in perpetual_prices.items()},
        forwards=forwards,
        volatilities=volatilities,
        stable=float(wad(scenario["USDCValue"])),
    )
    return MarginBook(tuple(holdings), float(wad(scenario["Cash"]))), market


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("derive_standard"))
def test_the_contracts_own_cases(name: str) -> None:
    """Margins, value and their parts within 1e-9 of the expected figures."""
    case = vectors("derive_standard")["cases"][name]
    expected = {key: float(value) / 1e18 for key, value in case["Result"].items()}
    made, market = scene(case["Scenario"])
    initial = MODEL.requirement(made, market, configuration(0.1), Kind.INITIAL)
    maintenance = MODEL.requirement(made, market, configuration(0.1), Kind.MAINTENANCE)
    assert initial.net == pytest.approx(expected["realIM"], rel=1e-9, abs=1e-9)
    assert maintenance.net == pytest.approx(expected["realMM"], rel=1e-9, abs=1e-9)
    assert initial.equity == pytest.approx(expected["PortfolioMtM"], rel=1e-9, abs=1e-9)
    options = sum(expected[f"{coin}OptionIM"] for coin in ("ETH", "BTC"))
    assert -initial.components["options"] == pytest.approx(options, rel=1e-9, abs=1e-9)
    assert -maintenance.components["options"] == pytest.approx(sum(expected[f"{c}OptionMM"] for c in ("ETH", "BTC")), rel=1e-9, abs=1e-9)
    # the file's figure for perpetuals is the maintenance one
    assert -maintenance.components["perpetuals"] == pytest.approx(expected["PerpMargin"], rel=1e-9, abs=1e-9)
    assert -initial.components["confidence"] == pytest.approx(expected["OracleConts"], rel=1e-9, abs=1e-9)
    assert -initial.components["depeg"] == pytest.approx(expected["DepegIMs"], rel=1e-9, abs=1e-9)
    assert initial.components["base"] == pytest.approx(expected["BaseMargin"], rel=1e-9, abs=1e-9)


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("derive_standard_portfolios"))
def test_the_contracts_own_portfolios(name: str) -> None:
    """The same whole dollars as the contracts."""
    case = vectors("derive_standard_portfolios")["cases"][name]
    expected = case.get("results", case.get("result"))
    made, market = portfolio_scene(case, STANDARD_ENVIRONMENTS.get(name, Environment()))
    for kind, key in ((Kind.INITIAL, "im"), (Kind.MAINTENANCE, "mm")):
        found = MODEL.requirement(made, market, configuration(0.8), kind)
        assert found.net is not None
        assert truncates_to(found.net, expected[key]), f"{key}: {found.net} against {expected[key]}"
