"""Every figure of the venues' and clearing houses' methods pinned, and no parameter or scenario that could change unnoticed."""

from __future__ import annotations

import pytest

from tests.risk.margin.pinned_venues import PINNED
from tests.risk.margin.venue_settings import SETTINGS, SHIPPED, feels, figures, mutations

OUT_OF_REACH = {
    "dydx-v4": (
        *(f"markets.{name}.{what}" for name in ("BTC", "ETH", "SOL", "HYPE", "XRP") for what in ("resolution", "exponent")),
        "markets.BTC.open_interest",
        "markets.ETH.open_interest",
    ),
    "drift": ("spot.ETH.decimals",),
    "mango": (
        "banks.USDC.",
        "fallback_bank.de",
        "fallback_bank.borrows",
        "fallback_perpetual.base_decimals",
        "perpetuals.ETH.base_decimals",
    ),
    "unified": (
        *(f"scan.{what}" for what in ("peg_", "confidence_", "maintenance_", "initial_", "short_", "long_rate", "long_discount")),
        "scan.scenarios[11].weight",
        "scan.scenarios[31].spot",
        "scan.scenarios[32].spot",
        *(f"crises[{number}].classes.gold dropped" for number in (5, 7)),
        "crises[2].bases",
        "crises[3].bases",
        "crises[7].bases",
    ),
}
"""powers of ten that only move a rounding, and amounts of markets without a cap or a scale; of the second PMRM what is not its scan, the
scenario without a move and moves that a skew scenario may not have; discounts by kind of token: one scenario stands for them all"""


@pytest.mark.parametrize("name", list(SETTINGS | SHIPPED))
def test_figures_stand(name: str) -> None:
    found = figures(name)
    assert list(found) == list(PINNED[name])
    for scene, expected in PINNED[name].items():
        assert found[scene] == pytest.approx(expected, rel=1e-8, abs=1e-6), scene


@pytest.mark.parametrize("name", list(SETTINGS))
def test_every_parameter_is_felt(name: str) -> None:
    """A changed parameter, a dropped scenario, tier or table moves a figure that is pinned above, in one direction at least."""
    usual, felt = figures(name), dict[str, bool]()
    for path, changed in mutations(SETTINGS[name][1]):
        if not felt.get(path, False) and not path.startswith(OUT_OF_REACH.get(name, ("\0",))):
            felt[path] = feels(name, changed, usual)
    assert not [path for path, moved in felt.items() if not moved]
