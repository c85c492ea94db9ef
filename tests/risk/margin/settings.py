"""The scan methods with the parameters and the scenes on which their figures are pinned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aggregator.risk.margin import derive_pmrm, derive_pmrm2, derive_standard, greeks, isolated, okx, paradex, risk_matrix
from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET, PMRM_MAINNET, STANDARD_MAINNET
from aggregator.risk.margin.derive_pmrm2 import CollateralTerms
from aggregator.risk.margin.interface import MarginModel
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
    "derive-standard": (
        derive_standard.MODEL,
        replace(STANDARD_MAINNET, markets={name: STANDARD_MAINNET.markets[name] for name in ("ETH", "weETH", "USDT")}),
        CASES,
    ),
    "paradex": (paradex.MODEL, replace(paradex.PUBLISHED, funding_usd={"ETH": -0.4}, fee_rate=0.0003), CASES),
    "greeks": (greeks.MODEL, greeks.MODEL.default_parameters(), CASES),
    "isolated": (isolated.MODEL, isolated.MODEL.default_parameters(), CASES),
    "okx": (
        okx.MODEL,
        replace(
            okx.PUBLISHED,
            borrowing_maintenance=2.0,
            borrowing_initial=10.0,
            depeg_rate=0.01,
            units={name: okx.PUBLISHED.units[name] for name in ("BTC", "ETH")},
        ),
        CASES | COIN_CASES | OTHER_CASES,
    ),
    "deribit": (risk_matrix.MODEL, replace(risk_matrix.PUBLISHED, other_initial_usd=3.0), CASES | COIN_CASES),
}
