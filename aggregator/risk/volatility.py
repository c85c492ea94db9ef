"""Daily volatility of each factor from its price history, however irregular, and from its class where the history is short.

A feed updates on deviation or heartbeat, so its steps are irregular and chosen by the price itself. The series is therefore put on an
equal grid first (previous tick), and a robust exponentially weighted mean of absolute returns runs over it:

    m ← λ·m + (1−λ)·min(|r|, 4m)        λ = 0.97 a day
    σ² = 0.75·(1.35·m)² + 0.25·mean(r²)

which is as accurate as an EWMA with Student-t tails and a third as jumpy. A volatility *below* its class's long-run value is credited
only with n/(n+60) of the difference after n days of history, and never goes below 60 % of it; one above it counts at once.

Beside it stands the path quantile of the dynamic haircut (`market_risk`), which is believed below its class's in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.market_risk.live import path_quantiles
from aggregator.risk.policy import DEFAULT
from aggregator.risk.shapes import Array

DAY = 86_400.0
DECAY_PER_DAY = 0.97
CLIP = 4.0
ABSOLUTE_TO_STANDARD = 1.35
"""from the robust mean of |r| to a standard deviation; above the normal law's 1.2533 because returns have fat tails"""
LONG_RUN_WEIGHT = 0.25
CREDIT_DAYS = 60.0
FLOOR = 0.6
MINIMUM_BARS = 8

_STEPS = (3_600.0, 14_400.0, DAY)


class VolatilitySource(StrEnum):
    HISTORY = "history"
    """the history's own figure"""
    BLENDED = "blended"
    """history, pulled up towards the class's long-run value because it is calmer and short"""
    FLOOR = "floor"
    """history is calmer than 60 % of the class's long-run value"""
    CLASS = "class"
    """no usable history"""


@dataclass(frozen=True, slots=True)
class Volatility:
    """Standard deviation of daily log returns of one factor, and where it comes from."""

    factor: str
    factor_class: FactorClass
    daily: float
    source: VolatilitySource
    days: float
    """span of the history used"""
    observations: int
    series: str = ""
    path: float | None = None
    """−ln(1 − dynamic haircut of the next day's path), None without a history that it could be made of"""


def clean(series: PriceSeries) -> PriceSeries | None:
    """The series without non-finite or non-positive prices and with strictly ascending times; None with fewer than two points."""
    times, prices = np.asarray(series.timestamps, dtype=np.float64), np.asarray(series.prices, dtype=np.float64)
    good = np.isfinite(times) & np.isfinite(prices) & (prices > 0)
    times, prices = times[good], prices[good]
    order = np.argsort(times, kind="stable")
    times, prices = times[order], prices[order]
    # of several prices at one time the last one stays
    keep = np.append(np.diff(times) > 0, True) if len(times) else np.zeros(0, dtype=bool)
    times, prices = times[keep], prices[keep]
    return PriceSeries(series.factor, times, prices, series.source) if len(times) >= 2 else None


def by_factor(history: Iterable[PriceSeries]) -> dict[str, PriceSeries]:
    """The longest usable series of each factor; equal spans are decided by the source's name."""
    best: dict[str, PriceSeries] = {}
    for raw in history:
        series = clean(raw)
        if series is None:
            continue
        held = best.get(series.factor)
        if held is None or (span(series), series.source) > (span(held), held.source):
            best[series.factor] = series
    return best


def span(series: PriceSeries) -> float:
    """Seconds from the first to the last point."""
    return float(series.timestamps[-1] - series.timestamps[0])


def step_for(series: PriceSeries) -> float:
    """Grid step in seconds: an hour for histories under ten days, four hours under sixty, else a day, but never finer than the data."""
    days = span(series) / DAY
    wanted = _STEPS[0] if days < 10 else _STEPS[1] if days < 60 else _STEPS[2]
    spacing = float(np.median(np.diff(series.timestamps)))
    return next((step for step in _STEPS if step >= wanted and step >= spacing), max(DAY, spacing))


def resample(series: PriceSeries, step: float, end: float | None = None) -> Array:
    """Prices on a grid of `step` seconds that ends at the last point (or at `end`), each the last one known at its time."""
    last = float(series.timestamps[-1]) if end is None else end
    count = int((last - float(series.timestamps[0])) // step)
    grid = last - step * np.arange(count, -1, -1)
    index = np.searchsorted(series.timestamps, grid, side="right") - 1
    return np.asarray(series.prices[np.maximum(index, 0)])


def robust_daily(series: PriceSeries) -> tuple[float, int] | None:
    """Robust daily volatility and the number of bars it rests on; None with fewer than MINIMUM_BARS bars."""
    step = step_for(series)
    returns = np.diff(np.log(resample(series, step)))
    if len(returns) < MINIMUM_BARS:
        return None
    sizes = np.abs(returns)
    decay = DECAY_PER_DAY ** (step / DAY)
    # start from the first bars, whose plain mean cannot be clipped against anything yet
    mean = max(float(np.mean(sizes[: min(len(sizes), 20)])), 1e-12)
    for size in sizes.tolist():
        mean = decay * mean + (1.0 - decay) * min(size, CLIP * max(mean, 1e-12))
    variance = (1.0 - LONG_RUN_WEIGHT) * (ABSOLUTE_TO_STANDARD * mean) ** 2 + LONG_RUN_WEIGHT * float(np.mean(returns**2))
    return float(np.sqrt(variance * DAY / step)), len(returns)


def volatilities(factors: Sequence[str], classes: Mapping[str, FactorClass], history: Mapping[str, PriceSeries]) -> dict[str, Volatility]:
    """Volatility of every factor; `history` as `by_factor` gives it."""
    found = {factor: volatility(factor, classes[factor], history.get(factor)) for factor in factors}
    paths = path_quantiles({factor: history[factor] for factor in factors if factor in history})
    return {factor: replace(one, path=believed_path(paths.get(factor), one)) for factor, one in found.items()}


def believed_path(own: float | None, moving: Volatility) -> float | None:
    """The path quantile of a history: below its class's it is credited with n/(n+60) of the difference after n days."""
    if own is None:
        return None
    usual = DEFAULT.path_quantile * FACTORS[moving.factor_class].daily_volatility
    credit = moving.days / (moving.days + CREDIT_DAYS)
    return own if own >= usual else max(credit * own + (1.0 - credit) * usual, FLOOR * usual)


def volatility(factor: str, factor_class: FactorClass, series: PriceSeries | None) -> Volatility:
    """Volatility of one factor from its history and its class."""
    usual = FACTORS[factor_class].daily_volatility
    estimate = robust_daily(series) if series is not None else None
    if series is None or estimate is None:
        return Volatility(factor, factor_class, usual, VolatilitySource.CLASS, 0.0, 0)
    own, bars = estimate
    days = span(series) / DAY
    if own >= usual:
        return Volatility(factor, factor_class, own, VolatilitySource.HISTORY, days, bars, series.source)
    credit = days / (days + CREDIT_DAYS)
    blended = float(np.sqrt(credit * own**2 + (1.0 - credit) * usual**2))
    if blended < FLOOR * usual:
        return Volatility(factor, factor_class, FLOOR * usual, VolatilitySource.FLOOR, days, bars, series.source)
    return Volatility(factor, factor_class, blended, VolatilitySource.BLENDED, days, bars, series.source)
