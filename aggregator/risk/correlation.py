"""Correlation of factors: history shrunk towards a stressed table, repaired to be positive semidefinite.

Correlations rise in sell-offs (BTC–ETH .90 against .84 in calm, LINK–AAVE .87 against .55 on hourly returns), and a thirty-day
correlation has fallen by .3–.8 within five days in every pair. So the stressed table is the prior, history moves it by n/(n+60) after
n days, and netting is tested a second time with every correlation *lowered* by .3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FactorClass
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import CREDIT_DAYS, DAY, resample, span, step_for

DECOUPLING = 0.3
"""how far every correlation is lowered in the second regime"""
CLIP_DEVIATIONS = 4.0
MINIMUM_BARS = 20

_PEGS = (FactorClass.STABLE, FactorClass.SYNTHETIC_STABLE, FactorClass.RWA_TREASURY, FactorClass.RWA_CREDIT)


def stressed(first: FactorClass, second: FactorClass) -> float:
    """Correlation of two different factors of these classes in a sell-off."""
    pair = {first, second}
    if pair & set(_PEGS):
        return 0.2 if pair <= set(_PEGS) else 0.0
    if FactorClass.GOLD in pair:
        return 0.3
    if FactorClass.UNKNOWN in pair:
        return 0.5
    return 0.9 if pair == {FactorClass.BTC, FactorClass.ETH} else 0.8


def correlations(factors: Sequence[str], classes: Mapping[str, FactorClass], history: Mapping[str, PriceSeries]) -> Array:
    """Blended correlation matrix in the order of `factors`, positive semidefinite with a unit diagonal."""
    size = len(factors)
    matrix = np.eye(size)
    for i in range(size):
        for j in range(i):
            prior = stressed(classes[factors[i]], classes[factors[j]])
            own = pairwise(history.get(factors[i]), history.get(factors[j]))
            value = prior if own is None else own[1] * own[0] + (1.0 - own[1]) * prior
            matrix[i, j] = matrix[j, i] = value
    return repair(matrix)


def decoupled(matrix: Array) -> Array:
    """The same with every correlation lowered, not below zero where it was above it; repaired."""
    lowered = np.where(matrix > 0, np.maximum(matrix - DECOUPLING, 0.0), matrix)
    np.fill_diagonal(lowered, 1.0)
    return repair(lowered)


def pairwise(first: PriceSeries | None, second: PriceSeries | None) -> tuple[float, float] | None:
    """Correlation of clipped returns on the common grid, and its weight n/(n+60); None without enough common history."""
    if first is None or second is None:
        return None
    step = max(step_for(first), step_for(second))
    start = max(float(first.timestamps[0]), float(second.timestamps[0]))
    end = min(float(first.timestamps[-1]), float(second.timestamps[-1]))
    bars = int((end - start) // step) if end > start else 0
    if bars < MINIMUM_BARS:
        return None
    returns = [np.diff(np.log(resample(series, step, end)))[-bars:] for series in (first, second)]
    one, other = (part - float(np.mean(part)) for part in map(_clip, returns))
    norm = float(np.sqrt((one @ one) * (other @ other)))
    if norm == 0.0:
        return None
    days = min(span(first), span(second), end - start) / DAY
    return float(np.clip(float(one @ other) / norm, -1.0, 1.0)), days / (days + CREDIT_DAYS)


def repair(matrix: Array, floor: float = 1e-8) -> Array:
    """Nearest-like positive semidefinite correlation matrix: eigenvalues clipped from below, diagonal scaled back to 1."""
    if len(matrix) == 0:
        return matrix
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    if values[0] >= floor:
        return np.asarray((matrix + matrix.T) / 2.0)
    clipped = (vectors * np.maximum(values, floor)) @ vectors.T
    scale = 1.0 / np.sqrt(np.diag(clipped))
    repaired = clipped * np.outer(scale, scale)
    np.fill_diagonal(repaired, 1.0)
    return np.asarray(repaired)


_ORDER = tuple(FactorClass)


def root(matrix: Array, classes: Sequence[FactorClass]) -> Array:
    """L with L·Lᵀ = matrix: the Cholesky factor taken in the order of the classes (BTC and ETH first, unknown tokens last).

    In that order a factor's draws depend only on factors of its own or an earlier class, so an unknown token moves nothing but itself.
    """
    if len(matrix) == 0:
        return matrix
    order = np.array(sorted(range(len(classes)), key=lambda place: (_ORDER.index(classes[place]), place)))
    lower = np.linalg.cholesky(matrix[np.ix_(order, order)] + 1e-12 * np.eye(len(matrix)))
    result = np.zeros_like(lower)
    result[np.ix_(order, order)] = lower
    return result


def _clip(returns: Array) -> Array:
    """Returns clipped at four robust deviations around their median, so that one bad print decides nothing."""
    middle = float(np.median(returns))
    deviation = 1.4826 * float(np.median(np.abs(returns - middle)))
    if deviation == 0.0:
        return returns
    return np.clip(returns, middle - CLIP_DEVIATIONS * deviation, middle + CLIP_DEVIATIONS * deviation)
