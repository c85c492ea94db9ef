"""What the score is measured against: health alone, an EWMA barrier, and filtered historical simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import ndtr

from aggregator.risk.score_backtest.panel import Panel
from aggregator.risk.score_backtest.population import Accounts
from aggregator.risk.shapes import Array

EWMA_HALF_LIVES = (12.0, 24.0, 48.0, 96.0, 192.0, 384.0)
"""hours; the record takes the one that served best in the training part"""
WINDOWS = 400
"""past paths of a filtered historical simulation"""
_ROWS = 2_304
"""hourly returns that an EWMA looks at: six of the longest half-lives"""


def ewma_variances(one: Panel, accounts: Accounts) -> Array:
    """Variance an hour of the logarithm of each account's health, to first order, by half-life: (accounts, half-lives)."""
    returns = np.nan_to_num(np.diff(np.log(one.prices), axis=0, prepend=np.nan))
    weights = np.exp2(-np.arange(_ROWS)[:, None] / np.array(EWMA_HALF_LIVES))
    sums = np.cumsum(weights, axis=0)
    result = np.empty((len(accounts), len(EWMA_HALF_LIVES)))
    for row, where in accounts.starts():
        exposure = accounts.part(where).first_order()
        rows = min(_ROWS, row)
        own = exposure @ returns[row - rows + 1 : row + 1][::-1].T
        age = np.clip(np.where(exposure != 0, one.age[row], rows).min(axis=1), 1, rows)
        squares = np.where(np.arange(rows) < age[:, None], np.square(own), 0.0)
        result[where] = squares @ weights[:rows] / sums[age - 1]
    return result


def barrier(health: Array, variance: Array, hours: int) -> Array:
    """2Φ(−ln HF/σ√h): a Brownian path touches the barrier twice as often as it ends beyond it."""
    deviation = np.sqrt(np.maximum(variance, 1e-12) * hours)
    return np.asarray(np.minimum(1.0, 2.0 * ndtr(-np.log(health) / deviation)))


def isotonic(known: Array, happened: Array, asked: Array) -> Array:
    """Probability as a rising step function of `known`, fitted to what happened, at the places `asked`; straight between the steps."""
    order = np.argsort(known, kind="stable")
    places, starts = np.unique(known[order], return_index=True)
    counts = np.diff([*starts.tolist(), len(known)]).astype(np.float64)
    means = np.add.reduceat(happened[order], starts) / counts
    fitted = isotonic_regression(means, weights=counts).x
    return np.asarray(np.interp(asked, places, fitted))


def historical_simulation(
    one: Panel, accounts: Accounts, hours: Sequence[int], half_life: float, report: Callable[[float], None] | None = None
) -> Array:
    """Share of WINDOWS past paths, standardised by the volatility before each hour and scaled to today's, on which an account breaches.

    Windows are spread evenly over everything before the start; an asset that was not there yet moves as the others did on average.
    (accounts, horizons), hours ascending; a start without WINDOWS hours behind its longest window is NaN.
    """
    returns, volatility = _volatilities(one, half_life)
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = np.clip(returns[1:] / volatility[:-1], -50.0, 50.0)
    standard = np.vstack([np.full((1, standard.shape[1]), np.nan), standard])
    standard[one.age < 24] = np.nan
    there = np.isfinite(standard)
    common = np.where(there, standard, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    standard = np.where(there, standard, common[:, None]).astype(np.float32)
    longest = hours[-1]
    result = np.full((len(accounts), len(hours)), np.nan)
    for row, where in accounts.starts():
        if row - longest < WINDOWS:
            continue
        part = accounts.part(where)
        used = np.unique([*np.flatnonzero(part.shares.any(axis=0)).tolist(), *part.debt[part.debt >= 0].tolist()]).astype(np.int64)
        begins = np.linspace(1, row - longest + 1, WINDOWS).astype(np.int64)
        # hours first and windows second, so that a horizon is a run of whole blocks
        paths = standard[begins[None, :] + np.arange(longest)[:, None]][:, :, used] * volatility[row, used].astype(np.float32)
        moves = np.exp(np.cumsum(paths, axis=0)).reshape(longest * WINDOWS, len(used))
        value = part.shares[:, used].astype(np.float32) @ moves.T + part.stable[:, None].astype(np.float32)
        owing = np.flatnonzero(part.debt >= 0)
        value[owing] /= moves.T[np.searchsorted(used, part.debt[owing])]
        value = value.reshape(len(part), longest, WINDOWS)
        needed, done, lowest = (1.0 / part.health)[:, None], 0, np.full((len(part), WINDOWS), np.inf, dtype=np.float32)
        for place, horizon in enumerate(hours):
            lowest = np.minimum(lowest, value[:, done:horizon].min(axis=1))
            done = horizon
            result[where, place] = np.mean(lowest < needed, axis=1)
        if report is not None:
            report(where.stop / len(accounts))
    return result


def _volatilities(one: Panel, half_life: float) -> tuple[Array, Array]:
    """Hourly log returns and the EWMA volatility that includes each of them; NaN where an asset is absent."""
    returns = np.diff(np.log(one.prices), axis=0, prepend=np.nan)
    decay = 2.0 ** (-1.0 / half_life)
    total, weight = np.zeros(returns.shape[1]), np.zeros(returns.shape[1])
    result = np.full_like(returns, np.nan)
    for row in range(len(returns)):
        fresh = one.age[row] <= 0
        total[fresh], weight[fresh] = 0.0, 0.0
        known = np.isfinite(returns[row]) & ~fresh
        total = decay * total + np.where(known, np.square(np.nan_to_num(returns[row])), 0.0)
        weight = decay * weight + known
        with np.errstate(divide="ignore", invalid="ignore"):
            result[row] = np.where(weight > 0, np.sqrt(np.maximum(total / weight, 1e-12)), np.nan)
    return returns, result
