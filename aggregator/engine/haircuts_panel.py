"""From the rows of a history file to daily histories side by side."""

from __future__ import annotations

import numpy as np

from aggregator.engine.history_file import DAY, Bars, HistoryColumns
from aggregator.model.errors import InputError
from aggregator.risk.market_risk.panel import Panel, confirmed_low
from aggregator.risk.shapes import Array

LONGEST_HISTORY_DAYS = 20_000


def daily_panel(history: HistoryColumns) -> Panel:
    """A day's close is its last bar's; its low the lowest hourly close, or what is confirmed of a longer bar's low.

    InputError where bars are longer than a day, or where the days from the first to the last are too many to lay side by side.
    """
    for bars in history.bars:
        _refuse_long(history.source, bars)
    days = history.timestamps // DAY
    first, last = int(days.min()), int(days.max())
    if last - first >= LONGEST_HISTORY_DAYS:
        raise InputError(f"{history.source}: {last - first} days from the first row to the last are too many: is a timestamp wrong?")
    shape = (last - first + 1, len(history.symbols))
    close, low = np.full(shape, np.nan), np.full(shape, np.nan)
    for asset, bars in enumerate(history.bars):
        rows = history.rows(asset)
        day = (days[rows] - first).astype(np.int64)
        starts = np.flatnonzero(np.diff(day, prepend=-1))
        ends = np.append(starts[1:], len(day)) - 1
        at = day[ends]
        close[at, asset] = history.close[rows][ends]
        if bars.hourly:
            low[at, asset] = np.minimum.reduceat(history.close[rows], starts)
        elif history.low is not None:
            lowest = np.fmin.reduceat(history.low[rows], starts)
            low[at, asset] = confirmed_low(_previous(close[:, asset])[at], close[at, asset], lowest)
        else:
            low[at, asset] = close[at, asset]
    return Panel(history.symbols, np.arange(first, last + 1, dtype=np.int64), close, low)


def _previous(close: Array) -> Array:
    return np.concatenate([[np.nan], close[:-1]])


def _refuse_long(source: str, bars: Bars) -> None:
    if bars.step_seconds > DAY:
        days = bars.step_seconds / DAY
        raise InputError(f"{source}: {bars.symbol}: bars are {days:.3g} days apart; a haircut for one day needs daily bars or shorter ones")
