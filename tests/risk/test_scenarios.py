"""The scenario set: what is in it, how large the moves are, and that draws are reproducible."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.model.portfolio import Portfolio
from aggregator.risk.classes import FactorClass
from aggregator.risk.correlation import correlations
from aggregator.risk.crises import CRISES
from aggregator.risk.exposure import expose
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.scenarios import ScenarioSet, chi_square_4_quantile, opposite_scale, scenario_set, standard_shocks, tail_scale
from aggregator.risk.valuation import value_portfolio
from aggregator.risk.volatility import volatilities
from tests.builders import LINK, USDC, WBTC, WETH, WSTETH, book, leg, portfolio, wallet


def scenarios(one: Portfolio, policy: Policy = DEFAULT) -> tuple[ScenarioSet, dict[str, dict[str, float]]]:
    """The set, and the named scenarios as moves by factor and discounts."""
    seen = expose(one, value_portfolio(one, book()))
    moving = volatilities(seen.factors, seen.classes, {})
    made = scenario_set(seen, moving, correlations(seen.factors, seen.classes, {}), policy)
    labels = ["+".join((lot.factor, *lot.bases)) for lot in seen.lots]
    return made, {name: dict(zip(labels, row.tolist(), strict=True)) for name, row in zip(made.named.names, made.named.lots, strict=True)}


HELD = portfolio((), wallet(leg(WETH, 10), leg(WSTETH, 5), leg(WBTC, 1), leg(LINK, 500), leg(USDC, 9000)))


def test_every_kind_of_scenario_is_there() -> None:
    made, named = scenarios(HELD)
    assert {"unchanged", "all-down", "all-up", "all-down-with-discounts"} <= set(named)
    assert {f"{factor}-{way}" for factor in ("ETH", "BTC", "LINK") for way in ("down", "up")} <= set(named)
    assert {"ETH-down/BTC-up", "LINK-down/ETH-up", "LINK-up/rest-down", "LINK-down/rest-up"} <= set(named)
    assert {"USDC-break", "USDC-up", "lst:stETH-discount", *(crisis.name for crisis in CRISES)} <= set(named)
    assert [moves.names for moves in made.draws] == [("stressed",), ("decoupled",)]
    assert len(set(made.named.names)) == len(made.named.names)


def test_unchanged_changes_nothing() -> None:
    assert set(scenarios(HELD)[1]["unchanged"].values()) == {1.0}


def test_moves_follow_the_volatility() -> None:
    named = scenarios(HELD)[1]
    size = 1 - np.exp(-3.02 * 0.044)
    assert named["ETH-down"]["ETH"] == pytest.approx(1 - size)
    assert named["ETH-up"]["ETH"] == pytest.approx(np.exp(3.02 * 0.044))
    assert named["all-down"]["ETH"] == named["ETH-down"]["ETH"]
    assert named["all-down"]["USDC"] == 1.0
    longer = scenarios(HELD, Policy(horizon_days=4.0))[1]
    assert longer["ETH-down"]["ETH"] == pytest.approx(np.exp(-3.02 * 0.044 * 2))


def test_a_peg_breaks_by_its_class_and_not_by_its_volatility() -> None:
    named = scenarios(HELD)[1]
    assert named["USDC-break"]["USDC"] == pytest.approx(1 - 0.122)
    assert named["USDC-up"]["USDC"] == pytest.approx(1.05)


def test_discounts_come_on_top_of_the_market() -> None:
    named = scenarios(HELD)[1]
    both = named["all-down-with-discounts"]
    assert both["ETH+lst:stETH"] == pytest.approx(both["ETH"] * (1 - 0.065))
    crisis = named["crisis-2022-06-13"]
    assert crisis["ETH+lst:stETH"] == pytest.approx((1 - 0.19) * (1 - 0.065))


@pytest.mark.parametrize(
    ("held", "owed", "scale"),
    [
        (FactorClass.BTC, FactorClass.ETH, 0.5),
        (FactorClass.VOLATILE, FactorClass.ETH, 0.7),
        (FactorClass.ETH, FactorClass.VOLATILE, 0.9),
        (FactorClass.VOLATILE, FactorClass.VOLATILE, 0.9),
        (FactorClass.GOLD, FactorClass.ETH, 1.0),
        (FactorClass.UNKNOWN, FactorClass.BTC, 1.0),
    ],
)
def test_opposite_moves_leave_the_credit_that_survived(held: FactorClass, owed: FactorClass, scale: float) -> None:
    assert opposite_scale(held, owed) == scale


def test_a_hedge_of_equal_size_keeps_half_of_its_gross_charge_between_majors() -> None:
    named = scenarios(HELD)[1]
    moves = named["ETH-down/BTC-up"]
    loss = (1 - moves["ETH"]) + (moves["BTC+wrapped-btc:WBTC"] - 1)
    gross = (1 - named["ETH-down"]["ETH"]) + (named["BTC-up"]["BTC+wrapped-btc:WBTC"] - 1)
    assert loss == pytest.approx(0.5 * gross)


def test_the_number_of_pairs_is_bounded() -> None:
    few = scenarios(HELD, Policy(material_factors=2))[1]
    pairs = [name for name in few if "/" in name]
    assert sorted(pairs) == ["BTC-down/ETH-up", "ETH-down/BTC-up"]


def test_draws_are_antithetic_and_do_not_depend_on_company() -> None:
    alone, among = standard_shocks(["ETH"], DEFAULT), standard_shocks(["AAVE", "ETH", "ZRX"], DEFAULT)
    assert np.array_equal(alone[:, 0], among[:, 1])
    half = DEFAULT.draws // 2
    assert np.array_equal(alone[:half], -alone[half:])
    assert float(alone.std()) == pytest.approx(1.0, abs=0.05)


def test_the_tail_scale_has_unit_variance_and_the_quantiles_of_its_law() -> None:
    wide = tail_scale(Policy(draws=200_000))
    assert float(np.mean(wide**2)) == pytest.approx(1.0, abs=0.01)
    # median of chi-square with 4 degrees of freedom is 3.35669
    assert float(np.median(wide)) == pytest.approx((2 / 3.35669) ** 0.5, rel=1e-3)
    assert chi_square_4_quantile(np.array([0.5, 0.95, 0.99])).tolist() == pytest.approx([3.356694, 9.487729, 13.276704], abs=1e-5)


def test_draws_have_the_volatility_and_correlation_they_were_made_from() -> None:
    made, _ = scenarios(HELD, Policy(draws=20_000))
    stressed, loose = (np.log(moves.lots) for moves in made.draws)
    seen = expose(HELD, value_portfolio(HELD, book()))
    place = {lot.factor: number for number, lot in enumerate(seen.lots) if not lot.bases}
    eth, link = stressed[:, place["ETH"]], stressed[:, place["LINK"]]
    assert float(eth.std()) == pytest.approx(0.044, rel=0.1)
    assert float(np.corrcoef(eth, link)[0, 1]) == pytest.approx(0.8, abs=0.05)
    assert float(np.corrcoef(loose[:, place["ETH"]], loose[:, place["LINK"]])[0, 1]) == pytest.approx(0.5, abs=0.07)
