"""Every figure of every method pinned on scenes that reach its rules; and no parameter or scenario that could change unnoticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.risk.margin.canonical import digest
from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET
from aggregator.risk.margin.derive_pmrm2 import MODEL as PMRM2_MODEL
from aggregator.risk.margin.interface import Kind
from aggregator.risk.margin.registry import models
from tests.risk.margin.mutations import SETTINGS, SHIPPED, feels, figures, mutations, pinned, same
from tests.risk.margin.scenes import CANONICAL

REFERENCE = {
    "long call": (163, 178, 148, 163),
    "short call": (417, 390, 410, 2_628),
    "short put": (380, 390, 369, 2_212),
    "short straddle": (376, 780, 405, 4_839),
    "short call spread": (86, 124, 61, 201),
    "short call and long perpetual": (231, 533, 184, 2_399),
    "long call and short put": (468, 568, 416, 416),
    "conversion": (182, 828, 26, 0),
    "short strangle": (364, 676, 390, 1_481),
    "ten short far calls": (3_068, 3_380, 3_392, 25),
}
"""PMRM_2, Standard, Paradex, expansion in Greeks, whole dollars: computed by independent implementations"""

REFERENCE_ALONE = {
    "short straddle": (797, 780, 779),
    "short call spread": (515, 492, 502),
    "short call and long perpetual": (732, 533, 639),
    "long call and short put": (543, 568, 518),
    "conversion": (1_115, 828, 934),
    "short strangle": (596, 676, 655),
}
"""Σ of the legs alone: PMRM_2, Standard, Paradex"""


PINNED = pinned()

PARAMETERS = {
    "isolated": "c4bacf8aab10659d",
    "reg-t": "1fe81216d23833b3",
    "tims": "17f2afd7f09ea67e",
    "span": "1b07ec6aed1e4f78",
    "greeks": "e174f0ff85d21ac7",
    "derive-pmrm": "4d1c0e3a99f62e7b",
    "derive-pmrm2": "2c808fb3d6d1f1d0",
    "derive-standard": "d5221a60a424bec2",
    "deribit": "ca17c74a3c6eeff8",
    "paradex": "ecf4e9c84b72c113",
    "okx": "65b2eff27bc62be7",
    "hyperliquid": "6afa67caee705316",
    "dydx-v4": "dc8350e869997f23",
    "drift": "aa1bb39ae5757355",
    "mango": "83405da6714b3922",
    "synthetix": "37d8a8ea5783229e",
    "vega-es": "fb03dbc8cf4c1089",
    "unified": "2ccc1e9809183cc1",
}
"""SHA-256, its first sixteen digits, of what each method ships as its parameters: a changed figure is a new version"""

UNUSED_TERMS = ("initial_perpetual", "maintenance_perpetual", "options", "perpetual_threshold", "option_threshold")
OUT_OF_REACH: dict[str, tuple[str, ...]] = {
    # the first PMRM dampens nothing; the scenes stand on ether
    "derive-pmrm": (*(f"scenarios[{number}].weight" for number in range(23)), "underlyings.BTC"),
    # assets that have no options or perpetuals; their feeds are never in doubt in the scenes; other markets
    "derive-standard": (
        *(f"markets.{name}.{what}" for name in ("weETH", "USDT") for what in (*UNUSED_TERMS, "base_threshold", "confidence_factor")),
        "other.",
    ),
    # one position alone cannot owe the charge for unpaired calls: the rule for it is lower
    "isolated": ("options.unpaired",),
    # other buckets than the scenes'; they share the code
    "deribit": ("coin.ETH", "linear.BTC"),
    # the last tier ends nowhere
    "okx": ("tiers[6][0]",),
    # powers of ten that only move a rounding, and amounts of markets without a cap or a scale
    "dydx-v4": (
        *(f"markets.{name}.{what}" for name in ("BTC", "ETH", "SOL", "HYPE", "XRP") for what in ("resolution", "exponent")),
        "markets.BTC.open_interest",
        "markets.ETH.open_interest",
    ),
    "mango": (
        "banks.USDC.",
        "fallback_bank.de",
        "fallback_bank.borrows",
        "fallback_perpetual.base_decimals",
        "perpetuals.ETH.base_decimals",
    ),
    # of these classes the scenes hold no box
    "reg-t": ("classes.NDX.european", "classes.RUT.european", "other.european"),
    # of the second PMRM what is not its scan, its scenario without a move and moves that a skew scenario may not have; discounts by kind
    # of token, for which one scenario stands; moves of 0
    "unified": (
        *(
            f"scan.{what}"
            for what in ("peg_", "confidence_", "maintenance_", "initial_", "short_", "long_rate", "long_discount", "confirmed")
        ),
        "scan.scenarios[11].weight",
        "scan.scenarios[31].spot",
        "scan.scenarios[32].spot",
        *(
            f"crises[{number}].{what}"
            for number, what in ((5, "classes.gold d"), (7, "classes.gold d"), (2, "bases"), (3, "bases"), (7, "bases"))
        ),
    ),
}


@pytest.mark.parametrize("name", list(SETTINGS | SHIPPED))
def test_figures_stand(name: str) -> None:
    found = figures(name)
    assert list(found) == list(PINNED[name])
    assert [scene for scene, expected in PINNED[name].items() if not same(found[scene], expected)] == []


@pytest.mark.parametrize("name", list(SETTINGS))
def test_every_parameter_and_scenario_is_felt(name: str) -> None:
    """A changed parameter, a turned switch, a dropped scenario, tier or table moves a figure that is pinned, in one direction at least."""
    usual, felt = figures(name), dict[str, bool]()
    for path, changed in mutations(SETTINGS[name][1]):
        if not felt.get(path, False) and not path.startswith(OUT_OF_REACH.get(name, ("\0",))):
            felt[path] = feels(name, changed, usual)
    assert [path for path, moved in felt.items() if not moved] == []


@pytest.mark.parametrize("name", list(models()))
def test_shipped_parameters_stand(name: str) -> None:
    assert digest(models()[name].default_parameters())[:16] == PARAMETERS[name]


def test_every_method_is_pinned() -> None:
    assert set(SETTINGS) == set(models()) == set(PARAMETERS)


@pytest.mark.parametrize("scene", list(CANONICAL))
def test_ten_canonical_books(scene: str) -> None:
    made, market = CANONICAL[scene]
    models = {name: SETTINGS[name][:2] for name in ("derive-standard", "paradex", "greeks")} | {
        "derive-pmrm2": (PMRM2_MODEL, PMRM2_MAINNET)
    }
    order = ("derive-pmrm2", "derive-standard", "paradex", "greeks")
    for name, expected in zip(order, REFERENCE[scene], strict=True):
        model, parameters = models[name]
        parameters = replace(parameters, fee_rate=0.0, funding_usd={}) if name == "paradex" else parameters
        assert round(model.requirement(made, market, parameters, Kind.INITIAL).amount) == expected, name
        if name != "greeks":
            alone = float(model.isolated(made, market, parameters, Kind.INITIAL).sum())
            assert round(alone) == dict(zip(order, REFERENCE_ALONE.get(scene, REFERENCE[scene][:3]), strict=False))[name], name
