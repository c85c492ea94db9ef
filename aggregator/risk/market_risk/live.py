"""The dynamic haircut of today from price series as feeds keep them: irregular, of different lengths, a few months long.

Each factor is judged by its own series alone, so that what else a portfolio holds, or which histories happened to be read, changes
nothing. A feed's rounds are prices that protocols have acted on, so the lowest round of a day is the day's low.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.market_risk.dynamic import DEFAULT, Target, forecast
from aggregator.risk.market_risk.panel import Panel

DAY = 86_400.0
LONGEST = 400
"""days looked back"""
SILENCE = 5.0
"""days after its last round that a series still speaks for the present: net asset values rest over long weekends"""

_PARAMETERS = replace(DEFAULT, scale=2.85, least_path=0.0)
"""A few months do not let the recalibration find its place, which for the path lies higher than where it starts; and no floor for pegs,
for which a live haircut has a basis part."""


def path_quantiles(series: Mapping[str, PriceSeries]) -> dict[str, float]:
    """By factor: 99 % quantile of −ln(lowest price of the next day / price now). Factors with too short a history are left out.

    The series are clean and ascending; all are judged at the time of the youngest round among them.
    """
    names = sorted(name for name, one in series.items() if len(one.timestamps) >= 2)
    if not names:
        return {}
    end = max(float(series[name].timestamps[-1]) for name in names)
    start = min(float(series[name].timestamps[0]) for name in names)
    count = min(LONGEST, int((end - start) // DAY) + 1)
    grid = end - DAY * np.arange(count - 1, -1, -1)
    close, low = np.full((count, len(names)), np.nan), np.full((count, len(names)), np.nan)
    for asset, name in enumerate(names):
        times, prices = series[name].timestamps, series[name].prices
        index = np.searchsorted(times, grid, side="right") - 1
        known = (index >= 0) & (grid <= times[-1] + SILENCE * DAY)
        close[known, asset] = prices[index[known]]
        low[:, asset] = close[:, asset]
        day = np.ceil((times - grid[0]) / DAY).astype(np.int64)
        inside = (day >= 0) & (day < count)
        np.fmin.at(low[:, asset], day[inside], prices[inside])
    low = np.where(np.isfinite(close), np.minimum(low, close), np.nan)
    panel = Panel(tuple(names), np.arange(count, dtype=np.int64), close, low)
    haircuts = forecast(panel, 1, Target.PATH, _PARAMETERS, alone=True)[-1]
    return {
        name: -float(np.log1p(-min(haircut, 0.9999))) for name, haircut in zip(names, haircuts.tolist(), strict=True) if haircut == haircut
    }
