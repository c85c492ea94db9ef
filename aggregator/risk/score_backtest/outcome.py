"""What became of each account: the lowest health at any hourly close within each horizon, with unchanged amounts."""

from __future__ import annotations

import numpy as np

from aggregator.risk.score_backtest.panel import Panel
from aggregator.risk.score_backtest.population import Accounts
from aggregator.risk.shapes import Array


def worst_health(one: Panel, accounts: Accounts, hours: tuple[int, ...]) -> Array:
    """Lowest health within each of the ascending horizons, (accounts, horizons).

    NaN where one of the account's assets is absent or the history ends within the horizon.
    """
    longest = hours[-1]
    result = np.full((len(accounts), len(hours)), np.nan)
    for row, where in accounts.starts():
        ahead = one.prices[row + 1 : row + 1 + longest]
        if not len(ahead):
            continue
        moves = ahead / one.prices[row]
        known = np.isfinite(moves)
        moves = np.where(known, moves, 0.0)
        shares, debt = accounts.shares[where], accounts.debt[where]
        value = accounts.stable[where, None] + shares @ moves.T
        uses = shares > 0
        owing = np.flatnonzero(debt >= 0)
        uses[owing, debt[owing]] = True
        absent = (uses.astype(np.float64) @ (~known).astype(np.float64).T) > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            value[owing] /= moves.T[debt[owing]]
        value[absent] = np.nan
        lowest = np.minimum.accumulate(value, axis=1) * accounts.health[where, None]  # NaN stays NaN from then on
        for place, horizon in enumerate(hours):
            if len(ahead) >= horizon:
                result[where, place] = lowest[:, horizon - 1]
    return result
