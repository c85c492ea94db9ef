"""Where the market has been going: after falls, further falls are larger than volatility alone says; after rises, smaller.

The market is led by its calmest volatile assets: weights ∝ σ_usual^−6 among assets of at least `LEADER` volatility, which is nearly
Bitcoin alone where it is present, without naming it. Its standardised returns are summed with a half-life of two days:

    z = r_market/σ_market        s ← ρs + √(1−ρ²)·z        direction = min(max(s, −1.5), 0.25)
"""

from __future__ import annotations

import numpy as np

from aggregator.risk.market_risk.robust_volatility import RobustVolatility
from aggregator.risk.shapes import Array

LEADER = 0.015
"""daily volatility below which an asset is no part of the volatile market (gold, bonds, pegs)"""
STEEPNESS = 6.0
SETTLED = 60.0
"""returns an asset must have before it counts"""


class MarketDirection:
    """One number a day for the whole market."""

    def __init__(self, half_life_days: float, lowest: float, highest: float) -> None:
        self._keep = 0.5 ** (1.0 / half_life_days)
        self._lowest, self._highest = lowest, highest
        self._sum = 0.0
        self._volatility = RobustVolatility(1, decay=0.97)

    def update(self, returns: Array, usual: Array, count: Array) -> None:
        """Returns of the day with the volatilities and counts known *before* it."""
        member = np.isfinite(returns) & (count >= SETTLED) & (usual >= LEADER)
        if not member.any():
            self._sum *= self._keep
            return
        weights = (usual[member] / np.min(usual[member])) ** -STEEPNESS
        market = float(np.sum(weights * returns[member]) / np.sum(weights))
        volatility = float(self._volatility.now[0])
        self._volatility.update(np.array([market]))
        step = market / volatility if volatility > 0 else 0.0
        self._sum = self._keep * self._sum + float(np.sqrt(1.0 - self._keep**2)) * step

    @property
    def value(self) -> float:
        """Between the lowest and the highest, 0 without a market."""
        return min(max(self._sum, self._lowest), self._highest)


class OwnDirection:
    """The same for each asset as if it were the whole market: nothing of one asset depends on another."""

    def __init__(self, assets: int, half_life_days: float, lowest: float, highest: float) -> None:
        self._keep = 0.5 ** (1.0 / half_life_days)
        self._lowest, self._highest = lowest, highest
        self._sum: Array = np.zeros(assets)
        self._volatility = RobustVolatility(assets, decay=0.97)

    def update(self, returns: Array, usual: Array, count: Array) -> None:
        """Returns of the day with the volatilities and counts known *before* it."""
        member = np.isfinite(returns) & (count >= SETTLED) & (usual >= LEADER)
        volatility = self._volatility.now
        known = member & (volatility > 0)
        step = np.where(known, returns, 0.0) / np.where(known, volatility, 1.0)
        self._volatility.update(np.where(member, returns, np.nan))
        self._sum = self._keep * self._sum + float(np.sqrt(1.0 - self._keep**2)) * step

    @property
    def value(self) -> Array:
        """Between the lowest and the highest, 0 for what is no part of a market."""
        return np.clip(self._sum, self._lowest, self._highest)
