"""Volatility that one wild day cannot move far: exponentially weighted means of clipped absolute returns.

    x = min(|r|, 4m)        m ← λm + (1−λ)x        σ_now = 1.35·m        σ_usual = 1.35·(slow mean of x)

1.35 instead of the normal law's 1.2533 because returns have fat tails.
"""

from __future__ import annotations

import numpy as np

from aggregator.risk.shapes import Array

ABSOLUTE_TO_STANDARD = 1.35
SEED_DAYS = 20
"""plain mean until then: there is nothing to clip against yet"""


class RobustVolatility:
    """State of A assets, moved on by one day of returns at a time."""

    def __init__(self, assets: int, decay: float, clip: float = 4.0, slow_decay: float = 0.999) -> None:
        self._decay, self._clip, self._slow_decay = decay, clip, slow_decay
        self.count: Array = np.zeros(assets)
        """returns seen"""
        self._sum: Array = np.zeros(assets)
        self._mean: Array = np.full(assets, np.nan)
        self._slow_sum: Array = np.zeros(assets)
        self._slow_weight: Array = np.zeros(assets)

    def update(self, returns: Array) -> None:
        """One day's log returns, NaN where there is none: that asset's state stays as it is."""
        here = np.isfinite(returns)
        size = np.where(here, np.abs(returns), 0.0)
        self.count = self.count + here
        self._sum = self._sum + size
        seeding = self.count <= SEED_DAYS
        clipped = np.where(seeding, size, np.minimum(size, self._clip * self._mean))
        moved = np.where(seeding, self._sum / np.maximum(self.count, 1.0), self._decay * self._mean + (1.0 - self._decay) * clipped)
        self._mean = np.where(here, moved, self._mean)
        self._slow_sum = np.where(here, self._slow_decay * self._slow_sum + clipped, self._slow_sum)
        self._slow_weight = np.where(here, self._slow_decay * self._slow_weight + 1.0, self._slow_weight)

    @property
    def now(self) -> Array:
        """Daily volatility of the last weeks, NaN before the first return."""
        return ABSOLUTE_TO_STANDARD * self._mean

    @property
    def usual(self) -> Array:
        """Daily volatility over years, NaN before the first return."""
        weight = np.where(self._slow_weight > 0, self._slow_weight, np.nan)
        return ABSOLUTE_TO_STANDARD * self._slow_sum / weight
