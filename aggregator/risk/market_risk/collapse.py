"""The collapse escalator: what an asset lost within a week it can lose again tomorrow.

Calm assets never see it. It looks at the fall from the highest close of the last eight days, beyond what the other volatile assets fell in
the same days (their median, where there are at least two), because a crash of everything rebounds and a collapse of one asset goes on.
Between `begin` and `full` the floor rises from nothing to the fall itself; it wears off by a tenth a day.

    begin = max(6·σ_usual, 2 %)^(1−w) · 60 %^w        full = min(2·begin, begin + 15 %)        w: share of the volatile class
"""

from __future__ import annotations

import numpy as np

from aggregator.risk.market_risk.panel import Mask, Panel
from aggregator.risk.shapes import Array

WINDOW = 8
WEAR = 0.9
OTHERS = 2
BEGIN_VOLATILITIES = 6.0
BEGIN_LOWEST = 0.02
BEGIN_VOLATILE = 0.60
RAMP = 0.15


def week_falls(panel: Panel) -> Array:
    """T×A: 1 − close / highest close of the last WINDOW days, NaN without a close."""
    highest = panel.close.copy()
    for back in range(1, min(WINDOW, len(panel.days))):
        earlier = np.full(panel.shape, np.nan)
        earlier[back:] = panel.close[:-back]
        highest = np.fmax(highest, earlier)
    return 1.0 - panel.close / highest


def own_fall(falls: Array, volatile: Mask, wanted: Mask | None = None) -> Array:
    """One day's falls beyond the median of the *other* volatile assets; the fall itself where fewer than OTHERS of them are known.

    Only of the `wanted` assets, where given: the part that is an asset's own is never above its fall.
    """
    own = falls.copy()
    for asset in np.flatnonzero(np.isfinite(falls) & (wanted if wanted is not None else True)):
        others = volatile & np.isfinite(falls)
        others[asset] = False
        if volatile[asset] and np.count_nonzero(others) >= OTHERS:
            own[asset] = max(0.0, 1.0 - (1.0 - falls[asset]) / (1.0 - float(np.median(falls[others]))))
    return own


class CollapseFloor:
    """The floor of each asset's haircut, 0 in ordinary times."""

    def __init__(self, assets: int, alone: bool = False) -> None:
        """`alone`: a fall is an asset's own, whatever the others did."""
        self.value: Array = np.zeros(assets)
        self._alone = alone

    def update(self, falls: Array, usual: Array, volatile_share: Array) -> None:
        """One day's falls, the usual volatilities, and how far each asset belongs to the volatile class."""
        calm = np.maximum(BEGIN_VOLATILITIES * usual, BEGIN_LOWEST)
        begin = calm ** (1.0 - volatile_share) * BEGIN_VOLATILE**volatile_share
        full = np.minimum(2.0 * begin, begin + RAMP)
        own = falls if self._alone else own_fall(falls, volatile_share >= 1.0, falls > begin)
        share = np.clip((own - begin) / (full - begin), 0.0, 1.0)
        self.value = np.maximum(np.where(np.isfinite(share), share * falls, 0.0), WEAR * self.value)
