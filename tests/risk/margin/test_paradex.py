"""Paradex's scan against its page's worked example, ten canonical books, and its laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aggregator.risk.margin.interface import Inapplicable, Kind
from aggregator.risk.margin.paradex import MODEL, PUBLISHED, ScanScenario, minimum_delta
from tests.risk.margin.kit import book, case_names, market_of, option, perpetual, spot, vectors


@pytest.mark.data
def test_the_published_scenarios() -> None:
    """The shipped table is the page's, row by row."""
    given = vectors("paradex_scan")["params"]
    assert [[one.move, one.volatility, one.weight] for one in PUBLISHED.scenarios] == given["scenarios_spot_vol_weight"]
    assert PUBLISHED.net_delta_charge == given["delta_min"]["net"]
    assert PUBLISHED.hedged_delta_charge == given["delta_min"]["hedged"]
    assert PUBLISHED.maintenance_share == given["mmr_fraction_of_net"]


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("paradex_scan"))
def test_the_pages_worked_example(name: str) -> None:
    case = next(one for one in vectors("paradex_scan")["cases"] if one["name"] == name)
    deltas = np.array([one["amount"] * one["delta"] for one in case["positions"]])
    expected = case["expected"]
    assert deltas.sum() == pytest.approx(expected["net_delta"])
    assert np.abs(deltas).sum() == pytest.approx(expected["gross_delta"])
    assert (np.abs(deltas).sum() - abs(deltas.sum())) / 2 == pytest.approx(expected["hedged_delta"])
    assert minimum_delta(deltas, case["spot"], PUBLISHED) == pytest.approx(expected["min_delta_margin"])


def test_one_perpetual_against_five_short_calls_worked_by_hand() -> None:
    """Net delta −.5, hedged delta 1 at 70,000: (2 %·.5 + 1 %·1)·70,000 = 1,400."""
    assert minimum_delta(np.array([1.0, -1.5]), 70_000.0, PUBLISHED) == pytest.approx(1_400.0)


def test_a_floor_where_the_scan_sees_nothing() -> None:
    """A conversion loses in no scenario; 1 % of what hedges itself is asked all the same."""
    made = book(option(2600, 1), option(2600, -1, call=False), perpetual(-1, unrealised=0))
    found = MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.INITIAL)
    assert found.components["scan"] == pytest.approx(0.0, abs=1e-9)
    assert found.amount == pytest.approx(0.01 * 2600)
    assert found.worst_scenario == "minimum delta"


def test_half_of_the_net_part_and_all_of_the_provisions() -> None:
    parameters = replace(PUBLISHED, funding_usd={"ETH": -1.5}, fee_rate=0.001)
    made = book(perpetual(2, unrealised=0))
    market = market_of(made.holdings)
    scan, provisions = 0.16 * 2 * 2600, 2 * 1.5 + 0.001 * 2 * 2600
    assert MODEL.requirement(made, market, parameters, Kind.INITIAL).amount == pytest.approx(scan + provisions)
    assert MODEL.requirement(made, market, parameters, Kind.MAINTENANCE).amount == pytest.approx(scan / 2 + provisions)
    short = book(perpetual(-2, unrealised=0))
    assert MODEL.requirement(short, market, parameters, Kind.INITIAL).components["provisions"] == pytest.approx(0.001 * 2 * 2600)


def test_a_tail_counts_its_weight() -> None:
    parameters = replace(PUBLISHED, scenarios=(ScanScenario(5.0, 0.4, 0.032),))
    made = book(perpetual(-1, unrealised=0))
    assert MODEL.requirement(made, market_of(made.holdings), parameters, Kind.INITIAL).amount == pytest.approx(5 * 2600 * 0.032)


def test_provisions_that_are_not_given_are_said_to_be_missing() -> None:
    made = book(perpetual(1, unrealised=0))
    found = MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.INITIAL)
    assert not found.verified
    assert any("provisions are not in the figure" in note for note in found.notes)


def test_only_what_is_listed_there() -> None:
    with pytest.raises(Inapplicable, match="no perpetual or option"):
        MODEL.requirement(book(spot("ETH", 1)), market_of([spot("ETH", 1)]), PUBLISHED, Kind.INITIAL)
    made = book(perpetual(1, unrealised=0), spot("ETH", 1))
    assert MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.INITIAL).components["not-accepted"] == pytest.approx(2600)
