"""Learning from misses, slowly and at once.

- `Offset`: a haircut that is missed more often than promised rises, one that is missed less often falls, half by the asset's own record
  and half by that of all: o ← o + η·(miss − α). Whatever the future brings, the rate of misses over n days cannot leave α by more than
  the offset's range over η·n (the online form of conformal prediction).
- `Excitement`: a miss lifts the haircut at once and wears off within days, because misses come in clusters.
"""

from __future__ import annotations

import numpy as np

from aggregator.risk.market_risk.panel import Mask
from aggregator.risk.shapes import Array


class Offset:
    """Logarithm by which each asset's haircut stands above the model's."""

    def __init__(self, assets: int, miss_rate: float, step: float, shared: float, furthest: float = 0.5) -> None:
        self._rate, self._step, self._shared, self._furthest = miss_rate, step, shared, furthest
        self.value: Array = np.zeros(assets)

    def update(self, haircut: Array, loss: Array, counts: Mask) -> None:
        """Forecast and outcome of one day that is over; NaN where either is missing, `counts` where the record may be believed."""
        known = counts & np.isfinite(haircut) & np.isfinite(loss)
        if not known.any():
            return
        surprise = np.where(known, (loss > haircut) - self._rate, 0.0)
        common = float(np.mean(surprise[known]))
        moved = self.value + self._step * ((1.0 - self._shared) * surprise + self._shared * common)
        self.value = np.clip(moved, -self._furthest, self._furthest)


class Excitement:
    """Recent misses, each counting a little less every day; at most `most`."""

    def __init__(self, assets: int, keep: float, most: float = 2.0) -> None:
        self._keep, self._most = keep, most
        self._sum: Array = np.zeros(assets)

    def update(self, haircut: Array, loss: Array) -> None:
        """Haircut of the day before and the loss of the day after it."""
        missed = np.isfinite(haircut) & np.isfinite(loss) & (loss > haircut)
        self._sum = self._keep * self._sum + missed

    @property
    def value(self) -> Array:
        """In 0…most."""
        return np.minimum(self._sum, self._most)
