"""Where along a ray of joint moves an account first breaches: the smallest v at which its cushion is below zero.

Along a ray every lot's price is multiplied by exp(v·slope). What a claim counts is linear in the lots, so with a single lot owed the
logarithm of health, ln Σ ratio·exp(v·(slope − slope owed)), is convex in v, and Newton's steps from v = 0 rise to its first zero and
never pass it. Anything else is bracketed on a grid and narrowed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.shapes import Array, BoolArray, IntArray

Floats: TypeAlias = NDArray[np.floating[Any]]

FARTHEST = 1_000.0
"""a breach beyond it is none: that far out the tail holds 5·10⁻¹³"""
_STEPS = 60
_SCALES = np.concatenate([[0.0], np.geomspace(0.02, 200.0, 48)])
_NARROWINGS, _NARROW = 80, 1e-13
_PARTS, _ROUNDS = 64, 7
"""a bracket is narrowed 2⁴²-fold"""


def first_breach(ratios: Array, slopes: Floats) -> Floats:
    """Smallest v with Σ ratio·exp(v·slope) < 1, infinite where there is none; never above the true one by more than rounding.

    `ratios`: (rows, lots), what counts of each lot over what is owed, ≥ 0. `slopes`: (lots, rows, draws), against the slope of what is
    owed; in single precision the result is too. Result (rows, draws).
    """
    lots, rows, draws = slopes.shape
    result = np.full((rows, draws), np.inf, dtype=slopes.dtype)
    result[ratios.sum(axis=1) < 1.0] = 0.0
    # a row whose lots all rise with a draw never breaches there; what is left is walked as one flat list
    falling = np.zeros((rows, draws), dtype=bool)
    for lot in range(lots):
        falling |= (slopes[lot] < 0) & (ratios[:, lot, None] > 0)
    place = np.flatnonzero(falling & (result > 0))
    weight = ratios.T.astype(slopes.dtype)[:, place // draws] if len(place) else np.zeros((lots, 0), dtype=slopes.dtype)
    slope = slopes.reshape(lots, rows * draws)[:, place]
    at = np.zeros(len(place), dtype=slopes.dtype)
    tolerance = float(np.sqrt(np.finfo(slopes.dtype).eps))
    for number in range(_STEPS):
        if not len(place):
            break
        total, steepness = np.zeros_like(at), np.zeros_like(at)
        for lot in range(lots):
            term = weight[lot] if number == 0 else weight[lot] * np.exp(np.minimum(at * slope[lot], 80.0))
            total += term
            steepness += term * slope[lot]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = np.where(steepness < 0, -np.log(total) * total / steepness, np.inf)
        at = at + np.maximum(step, 0.0)
        # the steps shrink quadratically: after one this small, what is left is below rounding
        arrived, lost = step <= tolerance * at, ~(at <= FARTHEST)
        result.flat[place[arrived & ~lost]] = at[arrived & ~lost]
        going = np.flatnonzero(~(arrived | lost))
        place, weight, slope, at = place[going], weight[:, going], slope[:, going], at[going]
    result.flat[place] = at
    return result


def bracketed_breach(cushion: Callable[[Array, IntArray], Array], draws: IntArray, count: int) -> Array:
    """The same for any smooth cushion: `cushion(v, draws)` of one v a draw, (n,) → (n,). Only `draws` of all `count` are looked at.

    A grid finds the first bracket, false position with halved weights (Illinois) and now and then a bisection narrow it to rounding.
    """
    result = np.full(count, np.inf)
    low, high, above, below = (np.zeros(count) for _ in range(4))
    going, previous, before = draws, 0.0, np.zeros(len(draws))
    for scale in _SCALES.tolist():
        values = cushion(np.full(len(going), scale), going)
        hit = values < 0
        found = going[hit]
        low[found], high[found], above[found], below[found] = previous, scale, before[hit], values[hit]
        result[found] = scale
        going, previous, before = going[~hit], scale, values[~hit]
        if not len(going):
            break
    going = draws[np.isfinite(result[draws]) & (result[draws] > 0)]
    side = np.zeros(count, dtype=np.int64)
    for step in range(_NARROWINGS):
        going = going[high[going] - low[going] > _NARROW * high[going]]
        if not len(going):
            break
        left, right = low[going], high[going]
        if step % 4 == 3:
            middle = (left + right) / 2.0
        else:
            middle = (below[going] * left - above[going] * right) / (below[going] - above[going])
            middle = np.clip(middle, left, right)
        values = cushion(middle, going)
        negative = values < 0
        inner, outer = going[negative], going[~negative]
        above[inner] *= np.where(side[inner] < 0, 0.5, 1.0)
        below[outer] *= np.where(side[outer] > 0, 0.5, 1.0)
        high[inner], below[inner], side[inner] = middle[negative], values[negative], -1
        low[outer], above[outer], side[outer] = middle[~negative], values[~negative], 1
    found = np.isfinite(result)
    result[found] = high[found]
    return result


def first_of_grid(negative: Callable[[Array], BoolArray], grid: Array) -> float | None:
    """The smallest size in the ascending grid's span that is negative, to rounding; None where no point of the grid is.

    Between two points of the grid each round looks at many sizes at once and goes on between the last good and the first bad one.
    """
    below = negative(grid)
    if not below.any():
        return None
    place = int(np.argmax(below))
    if place == 0:
        return float(grid[0])
    low, high = float(grid[place - 1]), float(grid[place])
    for _ in range(_ROUNDS):
        sizes = np.linspace(low, high, _PARTS + 1)
        place = int(np.argmax(negative(sizes[1:])))
        low, high = float(sizes[place]), float(sizes[place + 1])
    return high


def tail_probability(scale: Floats) -> Floats:
    """P(W > w) for W² = 2/χ²₄, which makes normal draws Student-t of unit variance: 1 − e^(−x)(1 + x) with x = 1/w²; 1 at 0."""
    with np.errstate(divide="ignore"):
        x = np.minimum(1.0 / np.square(scale), 700.0)
    # 1 − e^(−x)(1+x) loses its digits for small x; there it is x²/2 − x³/3
    return np.asarray(np.where(x < 1e-4, x * x / 2.0 - x**3 / 3.0, 1.0 - np.exp(-x) * (1.0 + x)))
