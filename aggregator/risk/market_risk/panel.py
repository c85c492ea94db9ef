"""Daily histories of many assets side by side, with what is known of the way between two closes.

A liquidation happens at the worst price of its window, not at the last one, so each day also carries its *low*: the lowest price that an
aggregated oracle would have followed. With bars of an hour or less that is the worst hourly close. A longer bar's low comes from one venue
and is part wick: half of the way, in logs, from the bar's body to its low reproduces the worst hourly close (measured on the training
part: ratio 0.51, between 0.49 and 0.54 for falls below 15 %), so √(body · low) is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.shapes import Array

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Panel:
    """T consecutive days of A assets. A day without a close is NaN: missing is never filled."""

    symbols: tuple[str, ...]
    days: NDArray[np.int64]
    """days since 1970-01-01 UTC, ascending by one; a day's close is its last price before the next midnight"""
    close: Array
    """T×A, NaN where absent"""
    low: Array
    """T×A, lowest confirmed price of the day, at most the close; equals it where nothing finer is known, NaN where the close is"""

    @property
    def shape(self) -> tuple[int, int]:
        """T and A."""
        return len(self.days), len(self.symbols)

    def until(self, count: int) -> Panel:
        """The first `count` days."""
        return Panel(self.symbols, self.days[:count], self.close[:count], self.low[:count])


def confirmed_low(previous: Array, close: Array, low: Array) -> Array:
    """Lowest price of bars longer than an hour that an oracle would have followed: √(body · low), body = the lower of the two closes.

    Where the low is absent the close stands for it; without a previous close the body is the close.
    """
    body = np.fmin(previous, close)
    return np.where(np.isfinite(low), np.minimum(np.sqrt(body * np.minimum(low, body)), close), close)


def returns(close: Array, longest_gap: int = 7) -> Array:
    """T×A log returns over one day. Across a gap of g days the return since the last close counts /√g; across longer gaps there is none.

    A symbol that comes back after weeks may be another asset (LUNA did), so its first price says nothing about its volatility.
    """
    count, assets = close.shape
    result = np.full((count, assets), np.nan)
    last, age = close[0].copy() if count else np.full(assets, np.nan), np.zeros(assets)
    for day in range(1, count):
        age += 1.0
        here = np.isfinite(close[day])
        usable = here & np.isfinite(last) & (age <= longest_gap)
        result[day, usable] = np.log(close[day, usable] / last[usable]) / np.sqrt(age[usable])
        last = np.where(here, close[day], last)
        age[here] = 0.0
    return result


def close_losses(panel: Panel, horizon: int) -> Array:
    """T×A: 1 − P(t+k)/P(t) in day t's row, NaN where either close is absent or not there yet."""
    losses = np.full(panel.shape, np.nan)
    if horizon < len(panel.days):
        losses[:-horizon] = 1.0 - panel.close[horizon:] / panel.close[:-horizon]
    return losses


def path_losses(panel: Panel, horizon: int) -> Array:
    """T×A: worst loss on the way to t+k against the close of day t; NaN where the loss at its end is not known."""
    end = close_losses(panel, horizon)
    worst = end.copy()
    for step in range(1, min(horizon, len(panel.days) - 1) + 1):
        way = np.full(panel.shape, np.nan)
        way[:-step] = 1.0 - panel.low[step:] / panel.close[:-step]
        worst = np.fmax(worst, way)
    return np.where(np.isfinite(end), worst, np.nan)
