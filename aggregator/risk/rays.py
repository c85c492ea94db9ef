"""Where along a ray of joint moves an account first breaches: the smallest v at which its cushion is below zero.

Along a ray every lot's price is multiplied by exp(v·slope). What a claim counts is linear in the lots, so with a single lot owed the
logarithm of health, ln Σ ratio·exp(v·(slope − slope owed)), is convex in v, and Newton's steps from v = 0 rise to its first zero and
never pass it. Anything else is bracketed on a grid and bisected.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aggregator.risk.shapes import Array

FARTHEST = 1_000.0
"""a breach beyond it is none: that far out the tail holds 5·10⁻¹³"""
_STEPS = 60
_SCALES = np.concatenate([[0.0], np.geomspace(0.02, 200.0, 48)])
_BISECTIONS = 40


def first_breach(ratios: Array, slopes: Array) -> Array:
    """Smallest v with Σ ratio·exp(v·slope) < 1, infinite where there is none; never above the true one by more than rounding.

    `ratios`: (rows, lots), what counts of each lot over what is owed, ≥ 0. `slopes`: (rows, draws, lots), against the slope of what is
    owed. Result (rows, draws).
    """
    rows, draws = slopes.shape[:2]
    result = np.full((rows, draws), np.inf)
    healthy = ratios.sum(axis=1) >= 1.0
    result[~healthy] = 0.0
    # a row whose lots all rise with a draw never breaches there; what is left is walked as one flat list
    row, draw = np.nonzero(healthy[:, None] & (np.where(ratios[:, None, :] > 0, slopes, np.inf).min(axis=2, initial=np.inf) < 0))
    weight, slope = ratios[row], slopes[row, draw]
    at = np.zeros(len(row))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for _ in range(_STEPS):
            if not len(row):
                break
            terms = weight * np.exp(np.minimum(at[:, None] * slope, 600.0))
            total = terms.sum(axis=1)
            steepness = (terms * slope).sum(axis=1) / total
            step = np.where(steepness < 0, -np.log(total) / steepness, np.inf)
            at = at + np.maximum(step, 0.0)
            arrived = step <= 1e-13 * at
            lost = ~(at <= FARTHEST)
            result[row[arrived & ~lost], draw[arrived & ~lost]] = at[arrived & ~lost]
            going = ~(arrived | lost)
            row, draw, weight, slope, at = row[going], draw[going], weight[going], slope[going], at[going]
    result[row, draw] = at
    return result


def bracketed_breach(cushion: Callable[[Array], Array], draws: int) -> Array:
    """The same for any cushion: a function of one v a draw, shape (draws,) → (draws,)."""
    low, high = np.zeros(draws), np.full(draws, np.inf)
    for previous, scale in zip([0.0, *_SCALES[:-1].tolist()], _SCALES.tolist(), strict=True):
        open_still = np.isinf(high)
        if not open_still.any():
            break
        hit = open_still & (cushion(np.full(draws, scale)) < 0)
        high[hit], low[hit] = scale, previous
    for _ in range(_BISECTIONS):
        middle = np.where(np.isfinite(high), (low + high) / 2.0, 0.0)
        below, inside = cushion(middle) < 0, np.isfinite(high)
        high[inside & below] = middle[inside & below]
        low[inside & ~below] = middle[inside & ~below]
    return high


def tail_probability(scale: Array) -> Array:
    """P(W > w) for W² = 2/χ²₄, which makes normal draws Student-t of unit variance: 1 − e^(−x)(1 + x) with x = 1/w²; 1 at 0."""
    with np.errstate(divide="ignore"):
        x = np.minimum(1.0 / np.square(scale), 700.0)
    # 1 − e^(−x)(1+x) loses its digits for small x; there it is x²/2 − x³/3
    return np.asarray(np.where(x < 1e-4, x * x / 2.0 - x**3 / 3.0, 1.0 - np.exp(-x) * (1.0 + x)))
