"""PMRM against the contracts' own test figures, worked examples, and the laws it obeys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aggregator.model.instrument import Holding, InstrumentKind
from aggregator.risk.margin.derive import Scenario, VolatilityShock
from aggregator.risk.margin.derive_parameters import PMRM_MAINNET
from aggregator.risk.margin.derive_pmrm import MODEL, PmrmParameters
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginBook, MissingInput
from aggregator.risk.margin.market import SECONDS_PER_DAY, Forward, Market, Quote
from tests.risk.margin.derive_cases import PMRM_ENVIRONMENTS, Environment, truncates_to
from tests.risk.margin.derive_cases import scene as portfolio_scene
from tests.risk.margin.kit import book, case_names, market_of, option, perpetual, spot, vectors, wad
from tests.risk.margin.scenes import coin_contract

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


def test_a_short_call_worked_by_hand() -> None:
    """One scenario, up 20 % with no volatility: a call of strike 2,000 at 2,600 is worth about its intrinsic value and loses 520.

    Static 2 % of spot is 52; maintenance 572, initial 1.25 times that.
    """
    single = replace(PMRM_MAINNET, scenarios=(Scenario(1.2, VolatilityShock.NONE),))
    made = book(option(2000, -1))
    market = market_of(made.holdings, volatility=1e-6)
    assert MODEL.requirement(made, market, single, Kind.MAINTENANCE).amount == pytest.approx(572.0, rel=1e-12)
    assert MODEL.requirement(made, market, single, Kind.INITIAL).amount == pytest.approx(715.0, rel=1e-12)


def test_a_call_covers_a_put_at_its_strike_and_the_other_way() -> None:
    """Naked shorts are counted net at a strike: 3 short and 2 long leave one, whichever they are."""
    made = book(option(2600, -3), option(2600, 2, call=False), option(2800, -1), option(3000, 5))
    found = MODEL.requirement(made, market_of(made.holdings), PMRM_MAINNET, Kind.MAINTENANCE)
    assert found.components["static"] == pytest.approx((1 + 1) * 0.02 * 2600)


def test_the_same_contract_twice_is_one_position() -> None:
    twice = book(option(2600, -3), option(2600, 2), perpetual(5, unrealised=3), perpetual(-4, unrealised=-3))
    once = book(option(2600, -1), perpetual(1, unrealised=0))
    for kind in Kind:
        one, other = (MODEL.requirement(made, market_of(made.holdings), PMRM_MAINNET, kind) for made in (twice, once))
        assert one.amount == pytest.approx(other.amount, rel=1e-12)
        assert one.net == pytest.approx(other.net, rel=1e-12)


def test_what_it_does_not_take_counts_nothing_and_says_so() -> None:
    made = book(option(2600, -1), spot("weETH", 2, "ETH"), cash=100.0)
    plain = book(option(2600, -1), cash=100.0)
    found, bare = (MODEL.requirement(one, market_of(one.holdings), PMRM_MAINNET, Kind.INITIAL) for one in (made, plain))
    assert found.net == pytest.approx(bare.net)
    assert found.components["not-accepted"] == pytest.approx(2 * 2600)
    assert any("not accepted" in note for note in found.notes)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (book(spot("ETH", -1)), "borrowed"),
        (book(perpetual(1, underlying="SOL", unrealised=0)), "SOL"),
        (book(), "nothing"),
        (book(coin_contract(InstrumentKind.PERPETUAL, 1_000)), "coin-settled"),
        (book(coin_contract(InstrumentKind.FUTURE, 1_000)), "dated"),
    ],
)
def test_it_says_why_it_does_not_apply(made: MarginBook, why: str) -> None:
    with pytest.raises(Inapplicable, match=why):
        MODEL.requirement(made, market_of(made.holdings), PMRM_MAINNET, Kind.INITIAL)


def test_a_missing_price_is_named() -> None:
    made = book(option(2600, -1))
    market = market_of(made.holdings)
    for broken, what in (
        (replace(market, volatilities={}), "volatility"),
        (replace(market, forwards={}), "forward"),
        (replace(market, spot={}), "spot"),
    ):
        with pytest.raises(MissingInput, match=what):
            MODEL.requirement(made, broken, PMRM_MAINNET, Kind.INITIAL)


def test_without_an_entry_price_the_equity_is_not_known_but_the_requirement_is() -> None:
    found = MODEL.requirement(book(perpetual(1)), market_of([perpetual(1)]), PMRM_MAINNET, Kind.INITIAL)
    assert found.equity is None
    assert found.net is None
    assert found.ratio is None
    assert found.amount == pytest.approx(1.25 * (0.2 + 0.03) * 2600)


def test_every_underlying_is_an_account_of_its_own() -> None:
    both = book(option(2600, -1), perpetual(-1, underlying="BTC", unrealised=0))
    apart = [book(one) for one in both.holdings]
    market = market_of(both.holdings, prices={"BTC": 65_000.0, "ETH": 2_600.0})
    found = MODEL.requirement(both, market, PMRM_MAINNET, Kind.INITIAL)
    assert found.amount == pytest.approx(sum(MODEL.requirement(one, market, PMRM_MAINNET, Kind.INITIAL).amount for one in apart))
    assert found.worst_scenario == "BTC: spot +20 %, volatility up; ETH: spot +20 %, volatility up"
    assert len(found.scenarios.names) == 2 * len(PMRM_MAINNET.scenarios)


def test_nothing_but_cash_requires_nothing() -> None:
    found = MODEL.requirement(book(cash=250.0), market_of([]), PMRM_MAINNET, Kind.INITIAL)
    assert (found.amount, found.equity, found.worst_scenario) == (0.0, 250.0, None)
    assert not found.scenarios.pnl.any()
