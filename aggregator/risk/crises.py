"""Days on record as joint moves: the day's low against the previous close, by class, with single assets where they stood out.

BTC, ETH and the median of the listed altcoins are measured on daily bars of public exchanges; for 10 October 2025 the higher low of two
large venues is taken, because the other one was an emptied order book. Discounts of liquid staking tokens and stablecoins are the worst
hourly or daily-median prints of deep pools. Up moves (DAI's premium in March 2020) hurt whoever owes the asset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.risk.classes import BasisClass, FactorClass


@dataclass(frozen=True, slots=True)
class Crisis:
    """Relative moves of one day; classes and names that are not listed did not move."""

    name: str
    classes: Mapping[FactorClass, float]
    factors: Mapping[str, float] = field(default_factory=dict)
    """moves of single factors, instead of their class's"""
    bases: Mapping[BasisClass, float] = field(default_factory=dict)


def _market(btc: float, eth: float, alts: float, gold: float = 0.0) -> dict[FactorClass, float]:
    return {
        FactorClass.BTC: btc,
        FactorClass.ETH: eth,
        FactorClass.VOLATILE: alts,
        FactorClass.UNKNOWN: alts,
        FactorClass.GOLD: gold,
    }


CRISES = (
    Crisis("crisis-2020-03-12", _market(-0.44, -0.48, -0.56, -0.05) | {FactorClass.RWA_CREDIT: -0.10}, {"DAI": 0.05, "USDC": -0.01}),
    Crisis("crisis-2021-05-19", _market(-0.30, -0.44, -0.52, -0.02)),
    Crisis("crisis-2022-05-11", _market(-0.10, -0.14, -0.30, -0.01), {"USTC": -0.72}, {BasisClass.LST: -0.03, BasisClass.LRT: -0.03}),
    Crisis("crisis-2022-06-13", _market(-0.17, -0.19, -0.20, -0.03), {}, {BasisClass.LST: -0.065, BasisClass.LRT: -0.065}),
    Crisis("crisis-2022-11-09", _market(-0.16, -0.20, -0.24, -0.02) | {FactorClass.RWA_CREDIT: -0.05}),
    Crisis("crisis-2023-03-11", _market(-0.02, -0.01, -0.07), {"USDC": -0.122, "DAI": -0.11, "USDT": 0.01}),
    Crisis("crisis-2024-08-05", _market(-0.16, -0.21, -0.22, -0.05)),
    Crisis(
        "crisis-2025-10-10",
        _market(-0.16, -0.21, -0.45),
        {"LINK": -0.33, "USDe": -0.079},
        {BasisClass.YIELD_STABLE: -0.02, BasisClass.LST: -0.01, BasisClass.LRT: -0.02},
    ),
)
