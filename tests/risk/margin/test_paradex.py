"""Paradex's scan against its page's worked example, ten canonical books, and its laws."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.risk.margin.paradex import PUBLISHED, minimum_delta
from tests.risk.margin.kit import case_names, vectors


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
