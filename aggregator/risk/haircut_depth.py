"""What selling into the pools of a chain costs, from their depth and not from their last price.

- Constant product (v2), reserve x of what is sold: selling Δx loses Δx/(x + Δx) of its value; fees come on top.
- Concentrated (v3): liquidity L between two square-root prices takes Δx = L·(1/√b − 1/√a) of what is sold on the way from √a down to √b
  and pays Δy = L·(√a − √b). It is walked tick by tick down to EDGE below the price: the liquidity of the active tick alone can
  be ten million times what stands beside it.

A schedule is how much can be sold until the price is 1, 2, … EDGE·100 % lower, of all pools together. In stress only STRESS of it is there:
providers leave when it matters (in March 2023 the USDC/USDT pool's liquidity within the price stood below a tenth of normal for six days).
Beyond the edge the cost rises on with the square root of the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from aggregator.risk.shapes import Array

EDGE = 0.05
STEPS = 50
STRESS = 0.25
"""share of the depth that is counted on"""


@dataclass(frozen=True, slots=True)
class Segment:
    """Liquidity between two prices of what is sold, in units of what is paid: `low` < `high`. Amounts of both tokens in whole units."""

    liquidity: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Depth:
    """Sold and received down to falls of 0 … EDGE, in USD at the price before: arrays of STEPS + 1, ascending from 0."""

    sold: Array
    received: Array
    pools: int

    @property
    def usd(self) -> float:
        """What can be sold within the edge."""
        return float(self.sold[-1])

    def cost(self, size_usd: float) -> float:
        """Share of its value that selling `size_usd` loses, in 0…1, with STRESS of the depth. 1 without any."""
        capacity = STRESS * self.usd
        if size_usd <= 0:
            return 0.0
        if capacity <= 0:
            return 1.0
        inside = min(size_usd, capacity) / STRESS
        lost = 1.0 - float(np.interp(inside, self.sold, self.received)) / inside
        return min(1.0, lost * sqrt(max(1.0, size_usd / capacity)))


def constant_product(reserve_usd: float, fee: float) -> Depth:
    """Of a pool that holds `reserve_usd` of what is sold; `fee` is the share of what is sold that stays in the pool."""
    falls = _falls()
    # the marginal price falls by (x/(x+Δx))², so a fall f is reached at Δx = x·(1/√(1−f) − 1)
    net = reserve_usd * (1.0 / np.sqrt(1.0 - falls) - 1.0)
    return Depth(net / (1.0 - fee), net * np.sqrt(1.0 - falls), 1)


def concentrated(segments: Sequence[Segment], price: float, unit_usd: float, fee: float) -> Depth:
    """Of a pool's liquidity; `price` is that of what is sold in units of what is paid, `unit_usd` the value of one of those units."""
    falls = _falls()
    sold, received = np.zeros(len(falls)), np.zeros(len(falls))
    for segment in segments:
        top = min(segment.high, price)
        bottoms = np.clip(price * (1.0 - falls), segment.low, None)
        reached = np.minimum(bottoms, top)
        if top <= segment.low or segment.liquidity <= 0:
            continue
        sold += segment.liquidity * (1.0 / np.sqrt(reached) - 1.0 / sqrt(top)) * price * unit_usd
        received += segment.liquidity * (sqrt(top) - np.sqrt(reached)) * unit_usd
    return Depth(sold / (1.0 - fee), received, 1)


def together(depths: Iterable[Depth]) -> Depth:
    """Several pools, each sold into down to the same price."""
    sold, received, pools = np.zeros(STEPS + 1), np.zeros(STEPS + 1), 0
    for one in depths:
        sold, received, pools = sold + one.sold, received + one.received, pools + one.pools
    return Depth(sold, received, pools)


def _falls() -> Array:
    return np.asarray(np.linspace(0.0, EDGE, STEPS + 1))
