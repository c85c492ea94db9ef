"""Whether a series grows: a robust slope with its interval, after a warm-up."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
BLOCK_SECONDS = 60.0
"""samples of one minute count once, by their median: neighbours resemble one another, and would make any interval too narrow"""
TOLERATED_PER_MINUTE = 0.1
"""one MB, descriptor or task in ten minutes"""
HOURS_A_DAY, MINUTES_AN_HOUR = 24, 60
FEWEST_BLOCKS = 4


@dataclass(frozen=True, slots=True)
class Slope:
    """Theil–Sen slope a minute, the ends of its 95 % interval, and the number of blocks that it stands on."""

    per_minute: float
    low: float
    high: float
    blocks: int

    @property
    def per_day(self) -> float:
        return self.per_minute * MINUTES_AN_HOUR * HOURS_A_DAY

    @property
    def flat(self) -> bool:
        """The interval includes zero (or lies below), or the slope is under 1 in ten minutes."""
        return self.low <= 0.0 or self.per_minute < TOLERATED_PER_MINUTE


def slope_of(seconds: Sequence[float], values: Sequence[float], warm_up_seconds: float) -> Slope:
    """Of what came after the warm-up. ValueError where fewer than four minutes are left of it."""
    by_block: dict[int, list[float]] = {}
    for at, value in zip(seconds, values, strict=True):
        if at > warm_up_seconds:
            by_block.setdefault(math.ceil((at - warm_up_seconds) / BLOCK_SECONDS), []).append(value)
    if len(by_block) < FEWEST_BLOCKS:
        raise ValueError(f"{len(by_block)} minutes are left after the warm-up, expected {FEWEST_BLOCKS} at least")
    blocks = sorted(by_block)
    medians = [statistics.median(by_block[block]) for block in blocks]
    found = stats.theilslopes(medians, [block * BLOCK_SECONDS / 60 for block in blocks], CONFIDENCE)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope), len(blocks))
