"""How far every factor may move within an hour, a day and a week: the forecast that the liquidation probability stands on.

Per horizon a covariance matrix of log returns, a weighted sum of exponentially weighted covariances of different memory:

    Σ_h = H·s · Σ_k (β_k + δ_k)·V_k          V_k = Σ_l w_k(l)·r(l)·r(l)ᵀ / Σ_l w_k(l),   w_k(l) = 2^(−l/half-life_k)

with H the horizon in hours and s the mean of the week's pattern over it; the returns are divided by the pattern's root before. The δ part
is what follows falls more than rises: a factor's downward moves are scaled by √((Σβ_k·V_k + Σδ_k·2D_k)/Σ(β_k+δ_k)V_k), D_k the same
mean of squared falls, its upward moves by the same of rises.

Three tiers, by what there is of a factor: **hourly** prices of thirty days and more; **daily** ones, as feeds keep their rounds, of eight
days and more (blended with the class's long-run figure, whose weight is one of the β); and the **class** alone. Every parameter was fitted
on hourly history before 2023 and is fixed with `VERSION`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.correlation import repair, stressed
from aggregator.risk.outlook_parameters import CLASS_SCALE, DAILY, HOURLY, WEEK_PATTERN
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import DAY

HOUR = 3_600
WEEK_HOURS = 168
SUNDAY = 96
"""hours to add to hours since the epoch (a Thursday) so that a week begins on Sunday, 00:00 UTC"""
HOURS = {"1h": 1, "1d": 24, "7d": 168}
"""length of each horizon"""

HOURLY_ROWS = 6_144
"""hourly returns that are looked at: four of the longest half-lives"""
HOURLY_WARM_UP = 720
DAILY_ROWS = 92
"""daily returns that are looked at: what the feeds' rounds are read for"""
DAILY_WARM_UP = 8
FULL_CREDIT_DAYS = 60
"""a shorter daily history counts for n/60 of itself, the class's figure for the rest"""
FLOOR = 0.2
"""no volatility is taken to be below this part of the class's long-run figure: a price that stands still is a feed that does"""
LONGEST_SILENCE = 24
"""hours for which a last price stands in for a missing one in an hourly history"""


class Tier(StrEnum):
    """What a factor's forecast rests on."""

    HOURLY = "hourly"
    DAILY = "daily"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class Prospect:
    """One horizon. Arrays follow the outlook's factors."""

    deviation: Array
    """standard deviation of the log return over the horizon"""
    correlation: Array
    """positive semidefinite, unit diagonal"""
    down: Array
    """by how much moves down are larger than `deviation` says"""
    up: Array
    days: float
    """length of the horizon"""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The forecast of all factors, by horizon."""

    factors: tuple[str, ...]
    classes: tuple[FactorClass, ...]
    tiers: tuple[Tier, ...]
    horizons: Mapping[str, Prospect]

    def louder(self, times: Mapping[str, float]) -> Outlook:
        """The same with the volatility of some factors multiplied."""
        scale = np.array([times.get(factor, 1.0) for factor in self.factors])
        return replace(self, horizons={name: replace(one, deviation=one.deviation * scale) for name, one in self.horizons.items()})


@dataclass(frozen=True, slots=True)
class Recent:
    """Log returns of all factors on one equal grid, the latest last, ready for a tier."""

    returns: Array
    """(steps, factors); zero before a factor's history begins"""
    ages: NDArray[np.int64]
    """how many of the last steps are known, by factor"""


def outlook(
    factors: Sequence[str], classes: Mapping[str, FactorClass], history: Mapping[str, PriceSeries], now: float | None = None
) -> Outlook:
    """Outlook of factors from price series as `volatility.by_factor` gives them.

    `now`: seconds since the epoch, for the time of the week and for the age of the last price; the latest point of any series where None.
    """
    if now is None:
        now = max((float(one.timestamps[-1]) for one in history.values()), default=0.0)
    hourly = _recent(factors, history, HOUR, HOURLY_ROWS, now, LONGEST_SILENCE)
    daily = _recent(factors, history, int(DAY), DAILY_ROWS, now, DAILY_ROWS)
    return forecast(factors, [classes[factor] for factor in factors], hourly, daily, int(now // HOUR))


def forecast(factors: Sequence[str], classes: Sequence[FactorClass], hourly: Recent, daily: Recent, hour: int) -> Outlook:
    """Outlook from returns. `hour`: whole hours since the epoch at the end of the returns."""
    tiers = tuple(
        # whoever makes a token can make its past too: a quiet history of what nobody knows calms nothing
        Tier.CLASS
        if kind is FactorClass.UNKNOWN
        else Tier.HOURLY
        if fine >= HOURLY_WARM_UP
        else Tier.DAILY
        if coarse >= DAILY_WARM_UP
        else Tier.CLASS
        for kind, fine, coarse in zip(classes, hourly.ages.tolist(), daily.ages.tolist(), strict=True)
    )
    usual = np.array([FACTORS[one].daily_volatility for one in classes])
    prior = stressed_matrix(tuple(classes))
    deseasoned = None
    if Tier.HOURLY in tiers:
        steps = len(hourly.returns)
        passed = (SUNDAY + hour - 1 - np.arange(steps - 1, -1, -1)) % WEEK_HOURS
        deseasoned = hourly.returns / np.sqrt(week_pattern()[passed])[:, None]
    prospects = {}
    for name, hours in HOURS.items():
        ahead = float(np.mean(week_pattern()[(SUNDAY + hour + np.arange(hours)) % WEEK_HOURS])) * hours
        prospects[name] = _prospect(tiers, usual, prior, deseasoned, hourly.ages, daily, name, ahead)
    return Outlook(tuple(factors), tuple(classes), tiers, prospects)


@lru_cache(maxsize=1)
def week_pattern() -> Array:
    """Variance of an hour by the hour of the week (0: Sunday 00:00 UTC), mean 1."""
    hours = np.arange(WEEK_HOURS)
    logs = np.zeros(WEEK_HOURS)
    for frequency, sine, cosine in WEEK_PATTERN:
        angle = 2.0 * np.pi * frequency * hours / WEEK_HOURS
        logs += sine * np.sin(angle) + cosine * np.cos(angle)
    pattern = np.exp(logs)
    pattern /= np.mean(pattern)
    pattern.flags.writeable = False
    return np.asarray(pattern)


@lru_cache(maxsize=256)
def stressed_matrix(classes: tuple[FactorClass, ...]) -> Array:
    """Correlations of the classes in a sell-off, unit diagonal."""
    matrix = np.array([[1.0 if i == j else stressed(one, other) for j, other in enumerate(classes)] for i, one in enumerate(classes)])
    matrix = matrix.reshape(len(classes), len(classes))
    matrix.flags.writeable = False
    return matrix


def _prospect(
    tiers: Sequence[Tier],
    usual: Array,
    prior: Array,
    hourly: Array | None,
    ages: NDArray[np.int64],
    daily: Recent,
    name: str,
    ahead: float,
) -> Prospect:
    """The horizon of this name, `ahead` hours when weighted with the week's pattern. Variances are per hour until the end."""
    fine, coarse = HOURLY[name], DAILY[name]
    size = len(tiers)
    kinds = np.array(tiers, dtype=object)
    covariance = np.outer(usual, usual) * prior * CLASS_SCALE / 24.0
    down, up = np.ones(size), np.ones(size)
    slow = np.flatnonzero(kinds == Tier.DAILY)
    if len(slow):
        own = _weighted(daily.returns[:, slow] / np.sqrt(24.0), daily.ages[slow], coarse.even)
        credit = np.minimum(1.0, np.minimum.outer(daily.ages[slow], daily.ages[slow]) / FULL_CREDIT_DAYS)
        share = sum(weight for _, weight in coarse.even)
        expected = (np.outer(usual, usual) * prior)[np.ix_(slow, slow)] / 24.0
        covariance[np.ix_(slow, slow)] = credit * own + ((1.0 - credit) * share + coarse.usual) * expected
    fast = np.flatnonzero(kinds == Tier.HOURLY)
    if len(fast) and hourly is not None:
        returns, known = hourly[:, fast], ages[fast]
        both = _weighted(returns, known, (*fine.even, *fine.directed))
        covariance[np.ix_(fast, fast)] = both
        falls = _weighted_squares(np.minimum(returns, 0.0), known, fine.directed)
        rises = _weighted_squares(np.maximum(returns, 0.0), known, fine.directed)
        variance = np.maximum(np.diag(both), 1e-18)
        even = variance - falls - rises  # squares of falls and of rises add up to the squares
        down[fast] = np.sqrt(np.maximum(even + 2.0 * falls, 0.0) / variance)
        up[fast] = np.sqrt(np.maximum(even + 2.0 * rises, 0.0) / variance)
    variances = np.diag(covariance).copy()
    correlation = prior.copy()
    for members in (slow, fast):
        if len(members):
            scale = 1.0 / np.sqrt(np.maximum(variances[members], 1e-18))
            block = covariance[np.ix_(members, members)] * np.outer(scale, scale)
            np.fill_diagonal(block, 1.0)
            correlation[np.ix_(members, members)] = np.clip(block, -1.0, 1.0)
    floor = (FLOOR * usual) ** 2 / 24.0
    return Prospect(np.sqrt(np.maximum(variances, floor) * ahead), repair(correlation), down, up, HOURS[name] / 24.0)


def _weighted(returns: Array, ages: NDArray[np.int64], components: Sequence[tuple[float, float]]) -> Array:
    """Σ weight · exponentially weighted second moments, each over the steps that both of a pair have; (factors, factors)."""
    common = np.minimum.outer(ages, ages)
    result = np.zeros((len(ages), len(ages)))
    for age in np.unique(common).tolist():
        if age <= 0:
            continue
        part = returns[-age:]
        moments = part.T @ (part * _kernel(min(age, len(returns)), tuple(components))[:, None])
        result = np.where(common == age, moments, result)
    return result


def _weighted_squares(returns: Array, ages: NDArray[np.int64], components: Sequence[tuple[float, float]]) -> Array:
    """The same of single factors."""
    result = np.zeros(len(ages))
    for age in np.unique(ages).tolist():
        if age > 0:
            part = returns[-age:]
            result = np.where(ages == age, _kernel(min(age, len(returns)), tuple(components)) @ np.square(part), result)
    return result


@lru_cache(maxsize=4096)
def _kernel(steps: int, components: tuple[tuple[float, float], ...]) -> Array:
    """Weight of each of the last `steps` returns, the latest last: Σ weight · normalised exponential of each half-life (in steps)."""
    lags = np.arange(steps - 1, -1, -1)
    total = np.zeros(steps)
    for half_life, weight in components:
        decay = np.exp2(-lags / half_life)
        total += weight * decay / float(decay.sum())
    total.flags.writeable = False
    return total


def _recent(factors: Sequence[str], history: Mapping[str, PriceSeries], step: int, rows: int, now: float, silence: int) -> Recent:
    """Log returns on a grid of `step` seconds that ends now. A price stands in for the next ones for `silence` steps; a history with
    bars coarser than the step, or that ended longer ago, has no age on it."""
    returns = np.zeros((rows, len(factors)))
    ages = np.zeros(len(factors), dtype=np.int64)
    for column, factor in enumerate(factors):
        series = history.get(factor)
        if series is None or len(series.timestamps) < 2:
            continue
        times = series.timestamps
        if float(np.median(np.diff(times))) > 1.5 * step or now - float(times[-1]) > silence * step:
            continue
        grid = now - step * np.arange(rows, -1, -1)
        places = np.searchsorted(times, grid, side="right") - 1
        stale = (places < 0) | (grid - times[np.maximum(places, 0)] > silence * step)
        begin = int(np.flatnonzero(stale)[-1]) + 1 if stale.any() else 0
        if rows - begin < 1:
            continue
        returns[begin:, column] = np.diff(np.log(series.prices[places[begin:]]))
        ages[column] = rows - begin
    return Recent(returns, ages)
