"""The published map from liquidation probability to the 0–100 score. Fixed per version; only the probability is estimated."""

from __future__ import annotations

import itertools
import math

POINTS = ((0.0, 0.0), (1.0, 40.0), (2.0, 60.0), (3.0, 80.0), (4.0, 95.0), (6.0, 100.0))
"""(−log10 p, score), linear in between: 10 % → 40, 1 % → 60, 0.1 % → 80, 0.01 % → 95, a millionth or less → 100"""


def score(probability: float) -> float:
    """Score of a probability in 0…1; strictly falling until it is a millionth."""
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"a probability lies in 0…1, not {probability}")
    if probability <= 10.0 ** -POINTS[-1][0]:
        return POINTS[-1][1]
    x = -math.log10(probability)
    for (x0, y0), (x1, y1) in itertools.pairwise(POINTS):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return POINTS[-1][1]
