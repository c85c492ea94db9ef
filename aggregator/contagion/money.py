"""Exact money inside simulations: whole micro-dollars as 64-bit integers, up to nine million million dollars, never a float sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregator.model.book import Floats
from aggregator.model.errors import InputError

MICRO = 1_000_000
"""micro-dollars in a dollar"""
LIMIT = 9e12
"""USD that fit"""
_LOW_BITS = 26

Micros = NDArray[np.int64]


def micros(dollars: Floats) -> Micros:
    """The nearest whole micro-dollars; what is not known (NaN) may not come here. InputError beyond LIMIT."""
    largest = float(np.abs(dollars).max(initial=0.0))
    if not largest <= LIMIT:
        raise InputError(f"{largest:.3g} USD cannot be accounted for to the micro-dollar; expected up to {LIMIT:.0g}")
    return np.rint(dollars * MICRO).astype(np.int64)


def sums(codes: NDArray[np.integer], amounts: Micros, groups: int) -> Micros:
    """Exact sums by code: high and low parts are added apart, each within what a float64 holds exactly."""
    low = np.bincount(codes, amounts & ((1 << _LOW_BITS) - 1), groups)
    high = np.bincount(codes, amounts >> _LOW_BITS, groups)
    return (high.astype(np.int64) << _LOW_BITS) + low.astype(np.int64)


def share_out(amount: int, weights: NDArray[np.float64]) -> Micros:
    """Split a whole amount by weights ≥ 0 so that the parts add up to it: floors first, then one each to the largest remainders.

    Ties go to the first. All to the first where no weight is above 0; ValueError for an empty split of something.
    """
    if len(weights) == 0:
        if amount:
            raise ValueError("nobody to share out to")
        return np.zeros(0, dtype=np.int64)
    total = float(weights.sum())
    if total <= 0.0:
        result = np.zeros(len(weights), dtype=np.int64)
        result[0] = amount
        return result
    exact = weights * (abs(amount) / total)
    result = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - result), kind="stable")
    order = order[weights[order] > 0.0]
    left = abs(amount) - int(result.sum())
    while left:  # one pass but for amounts beyond what a float64 tells apart, where floors can be off by more than one
        each = max(abs(left) // len(order), 1)
        chosen = order[: min(abs(left), len(order))] if left > 0 else order[result[order] >= each][-min(abs(left), len(order)) :]
        result[chosen] += each if left > 0 else -each
        left = abs(amount) - int(result.sum())
    return result if amount >= 0 else -result
