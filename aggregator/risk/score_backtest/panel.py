"""Hourly prices of many assets on one grid. Index t holds what was known at `start + 3600·t` and nothing later.

A missing hour keeps the last close for at most a day. Beyond that the asset is absent until it comes back, and its age begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.shapes import Array

HOUR = 3_600
FILL_HOURS = 24
"""how long a last close stands in for a missing one"""


@dataclass(frozen=True, slots=True)
class Panel:
    """Closes on an hourly grid; arrays are (hours, assets), assets in sorted order."""

    symbols: tuple[str, ...]
    start: int
    """seconds since the epoch at which row 0 was known"""
    prices: Array
    """last close known, not older than FILL_HOURS; NaN where absent"""
    age: NDArray[np.int32]
    """hours since the asset's history began without a hole, −1 where absent"""
    filled: int
    """asset-hours in which an older close stands in"""

    @property
    def hours(self) -> int:
        return len(self.prices)

    def row(self, seconds: float) -> int:
        """First row that is known at or after a time; may lie outside."""
        return int(np.ceil((seconds - self.start) / HOUR))

    def time(self, row: int) -> int:
        """Seconds since the epoch at which a row was known."""
        return self.start + HOUR * row


def panel(series: Mapping[str, tuple[Array, Array]]) -> Panel:
    """Panel of (bar openings in seconds, closes) by symbol. A close is known an hour after its bar opened.

    Closes that are not positive and finite are missing; of several in one hour the last one counts. Raises ValueError without any close.
    """
    kept: dict[str, tuple[NDArray[np.int64], Array]] = {}
    for symbol, (opened, closes) in sorted(series.items()):
        good = np.isfinite(opened) & np.isfinite(closes) & (closes > 0)
        if good.any():
            order = np.argsort(opened[good], kind="stable")
            kept[symbol] = (np.floor_divide(opened[good][order].astype(np.int64), HOUR) + 1, closes[good][order].astype(np.float64))
    if not kept:
        raise ValueError("no usable close in the history")
    first = min(int(hours[0]) for hours, _ in kept.values())
    count = max(int(hours[-1]) for hours, _ in kept.values()) - first + 1
    prices = np.full((count, len(kept)), np.nan)
    age = np.full((count, len(kept)), -1, dtype=np.int32)
    filled = 0
    for column, (hours, closes) in enumerate(kept.values()):
        raw = np.full(count, np.nan)
        raw[hours - first] = closes  # the last of several wins
        seen = np.where(np.isfinite(raw), np.arange(count), -1)
        last = np.maximum.accumulate(seen)
        known = (last >= 0) & (np.arange(count) - last <= FILL_HOURS)
        prices[known, column] = raw[last[known]]
        begun = known & ~np.concatenate([[False], known[:-1]])
        since = np.maximum.accumulate(np.where(begun, np.arange(count), -1))
        age[known, column] = (np.arange(count) - since)[known]
        filled += int((known & ~np.isfinite(raw)).sum())
    return Panel(tuple(kept), first * HOUR, prices, age, filled)


def pegged(one: Panel, until: int) -> frozenset[str]:
    """Assets that hold to one dollar: 95 % of their closes before row `until` (of all of them where there is none) are within 5 %."""
    found = []
    for column, symbol in enumerate(one.symbols):
        known = one.prices[:until, column]
        known = known[np.isfinite(known)]
        if not len(known):
            known = one.prices[np.isfinite(one.prices[:, column]), column]
        if float(np.mean(np.abs(known - 1.0) <= 0.05)) >= 0.95:
            found.append(symbol)
    return frozenset(found)
