"""Each method with the parameters and the scenes on which its figures are pinned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from aggregator.risk.margin import derive_pmrm, derive_pmrm2, derive_standard, greeks, isolated, okx, paradex, risk_matrix
from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET, PMRM_MAINNET, STANDARD_MAINNET
from aggregator.risk.margin.derive_pmrm2 import CollateralTerms
from aggregator.risk.margin.interface import Kind, MarginModel
from tests.risk.margin.scenes import CASES, COIN_CASES, OTHER_CASES, Scene

PMRM2 = replace(
    PMRM2_MAINNET,
    short_rate_multiple=0.5,
    long_rate_multiple=1.0,
    skew_scale=-0.1,
    collaterals={"ETH": CollateralTerms(0.02, 0.01, True), "weETH": CollateralTerms(0.1, 0.05, True), "USDT": CollateralTerms(0.03, 0.02)},
)
"""the mainnet set, with the parameters that it leaves at zero given a value so that figures feel them"""

SETTINGS: dict[str, tuple[MarginModel[Any], Any, dict[str, Scene]]] = {
    "derive-pmrm": (derive_pmrm.MODEL, PMRM_MAINNET, CASES),
    "derive-pmrm2": (derive_pmrm2.MODEL, PMRM2, CASES),
    "derive-standard": (derive_standard.MODEL, STANDARD_MAINNET, CASES),
    "paradex": (paradex.MODEL, replace(paradex.PUBLISHED, funding_usd={"ETH": -0.4}, fee_rate=0.0003), CASES),
    "greeks": (greeks.MODEL, greeks.MODEL.default_parameters(), CASES),
    "isolated": (isolated.MODEL, isolated.MODEL.default_parameters(), CASES),
    "okx": (
        okx.MODEL,
        replace(okx.PUBLISHED, borrowing_maintenance=2.0, borrowing_initial=10.0, depeg_rate=0.01),
        CASES | COIN_CASES | OTHER_CASES,
    ),
    "deribit": (risk_matrix.MODEL, replace(risk_matrix.PUBLISHED, other_initial_usd=3.0), CASES | COIN_CASES),
}


def figures(name: str, parameters: Any = None) -> dict[str, tuple[float, float, float]]:
    """Initial and maintenance requirement of every scene that the method takes, and Σ number·P&L over its scenario table.

    The last one feels every scenario, whether it is the worst or not, and its place.
    """
    model, usual, scenes = SETTINGS[name]
    given = usual if parameters is None else parameters
    found = {}
    for scene, (made, market) in scenes.items():
        if model.refusal(made, market) is None:
            initial, maintenance = (model.requirement(made, market, given, kind) for kind in (Kind.INITIAL, Kind.MAINTENANCE))
            pnl = initial.scenarios.pnl
            found[scene] = (initial.amount, maintenance.amount, float(pnl @ np.arange(1, len(pnl) + 1)))
    return found
