"""Filtered historical simulation: what happened together on each day on record, in units of the volatility of that day.

    z_t = r_t / σ_t ,  σ_t² = λ·σ²_{t−1} + (1−λ)·r²_{t−1} ,  λ = .97 a day          move in a scenario: e^(σ·√k·z_t), σ today's

The rows are joint: correlation, and how it breaks, is the one of that day. A factor without enough common history has draws of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import DAY, DECAY_PER_DAY, resample, step_for

LEAST_BARS = 120
MOST_BARS = 2_000
WARM_UP = 20
LARGEST = 12.0
_STILL = 1e-9
"""a volatility below it is none"""


@dataclass(frozen=True, slots=True, eq=False)
class Filtered:
    """Standardised joint returns (bars, factors), in the order of `factors`."""

    factors: tuple[str, ...]
    shocks: Array


def filtered(factors: Sequence[str], history: Mapping[str, PriceSeries]) -> Filtered | None:
    """Of the factors that share at least LEAST_BARS bars, the longest histories first; None where none has so many."""
    there = sorted((history[name] for name in factors if name in history), key=lambda one: (float(one.timestamps[0]), one.factor))
    chosen: list[PriceSeries] = []
    for series in there:
        if _bars([*chosen, series])[0] >= LEAST_BARS + WARM_UP:
            chosen.append(series)
    if not chosen:
        return None
    bars, step, end = _bars(chosen)
    bars = min(bars, MOST_BARS + WARM_UP)
    returns = np.stack([np.diff(np.log(resample(one, step, end)))[-bars:] for one in chosen], axis=1)
    decay = DECAY_PER_DAY ** (step / DAY)
    variance = np.mean(returns[:WARM_UP] ** 2, axis=0)
    shocks = np.empty((bars - WARM_UP, len(chosen)))
    for row, today in enumerate(returns[WARM_UP:]):
        deviation = np.sqrt(variance)
        shocks[row] = np.divide(today, deviation, out=np.zeros_like(today), where=deviation > _STILL)
        variance = decay * variance + (1.0 - decay) * today**2
    order = np.argsort([one.factor for one in chosen])
    names = tuple(chosen[place].factor for place in order)
    return Filtered(names, np.clip(shocks[:, order], -LARGEST, LARGEST))


def _bars(chosen: Sequence[PriceSeries]) -> tuple[int, float, float]:
    """Bars that the series have in common, their length, and where the last one ends."""
    step = max(step_for(one) for one in chosen)
    start = max(float(one.timestamps[0]) for one in chosen)
    end = min(float(one.timestamps[-1]) for one in chosen)
    return (int((end - start) // step) if end > start else 0), step, end
