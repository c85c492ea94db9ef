"""How good probabilities were: Brier skill, observed over expected, calibration error, and their intervals over whole weeks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.shapes import Array

BANDS = ((1.01, 1.05), (1.05, 1.10), (1.10, 1.20), (1.20, 2.0))
"""health factors, from and below (the last one including its end)"""
GROUPS = 20
"""equally large groups by probability over which the calibration error is taken"""
FIFTHS = 5
WORST_DAYS = 10
RESAMPLES = 2_000
DAY = 86_400
WEEK = 7 * DAY
MONDAY = 4 * DAY
"""seconds from the epoch, a Thursday, to a week's beginning"""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of one set of forecasts. Where nothing is expected or nothing happened a ratio is None."""

    accounts: int
    observed: int
    expected: float
    reference: float
    """rate of the training part that the skill is measured against"""
    brier: float
    skill: float | None
    skill_interval: Interval | None
    ratio: float | None
    """observed over expected"""
    ratio_interval: Interval | None
    calibration_error: float
    calibration_interval: Interval


@dataclass(frozen=True, slots=True)
class Group:
    """Accounts of similar probability."""

    accounts: int
    mean: float
    rate: float
    rate_interval: Interval


@dataclass(frozen=True, slots=True)
class WorstDay:
    """A day with many liquidations."""

    day: int
    """days since the epoch"""
    observed: int
    expected: float


class Weeks:
    """Calendar weeks, and the same resamples of them for every figure, so that differences are paired."""

    def __init__(self, times: NDArray[np.int64], seed: int) -> None:
        weeks, self.place = np.unique((times + WEEK - MONDAY) // WEEK, return_inverse=True)
        self.count = len(weeks)
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, 7], dtype=np.uint64)))
        self._drawn = generator.multinomial(self.count, np.full(self.count, 1.0 / max(self.count, 1)), RESAMPLES).astype(np.float64)

    def resampled(self, values: Array, chosen: NDArray[np.bool_] | None = None) -> Array:
        """Sum of a value over each resample, (RESAMPLES,)."""
        place = self.place if chosen is None else self.place[chosen]
        return np.asarray(self._drawn @ np.bincount(place, weights=values, minlength=self.count))

    def resampled_groups(self, values: Array, groups: NDArray[np.int64], count: int) -> Array:
        """The same by group, (RESAMPLES, count)."""
        table = np.bincount(self.place * count + groups, weights=values, minlength=self.count * count)
        return np.asarray(self._drawn @ table.reshape(self.count, count))


def measure(probability: Array, happened: Array, reference: float, weeks: Weeks, chosen: NDArray[np.bool_] | None = None) -> Measures:
    """Figures of the forecasts, or of the chosen ones. `happened`: 0 or 1."""
    p, y = (probability, happened) if chosen is None else (probability[chosen], happened[chosen])
    errors, plain = np.square(p - y), np.square(reference - y)
    observed, expected = float(y.sum()), float(p.sum())
    group = quantile_groups(p, GROUPS)
    gap = np.abs(np.bincount(group, weights=p - y, minlength=GROUPS)).sum() / max(len(p), 1)
    mask = np.ones(len(probability), dtype=bool) if chosen is None else chosen
    everywhere = np.zeros(len(probability), dtype=np.int64)
    everywhere[mask] = group
    gaps = np.abs(weeks.resampled_groups(np.where(mask, probability - happened, 0.0), everywhere, GROUPS)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        skills = 1.0 - weeks.resampled(errors, chosen) / weeks.resampled(plain, chosen)
        ratios = weeks.resampled(y, chosen) / weeks.resampled(p, chosen)
        sizes = gaps / weeks.resampled(np.ones(len(p)), chosen)
    return Measures(
        len(p),
        int(observed),
        expected,
        reference,
        float(errors.mean()) if len(p) else 0.0,
        1.0 - float(errors.sum() / plain.sum()) if plain.sum() > 0 and observed > 0 else None,
        _interval(skills) if observed > 0 else None,
        observed / expected if expected > 0 else None,
        _interval(ratios) if expected > 0 and observed > 0 else None,
        float(gap),
        _interval(sizes) or (0.0, 0.0),
    )


def quantile_groups(probability: Array, count: int) -> NDArray[np.int64]:
    """Group of each forecast when they are cut by rank into equally large ones; equal forecasts in the order they come."""
    ranks = np.empty(len(probability), dtype=np.int64)
    ranks[np.argsort(probability, kind="stable")] = np.arange(len(probability))
    return np.asarray(ranks * count // max(len(probability), 1))


def reliability(probability: Array, happened: Array, weeks: Weeks, cuts: Sequence[float]) -> tuple[Group, ...]:
    """Forecasts between consecutive cuts, with the rate that followed; empty ones are left out."""
    place = np.clip(np.searchsorted(np.asarray(cuts), probability, side="right") - 1, 0, len(cuts) - 2).astype(np.int64)
    count = len(cuts) - 1
    sizes, sums = weeks.resampled_groups(np.ones(len(place)), place, count), weeks.resampled_groups(happened, place, count)
    found = []
    for number in range(count):
        inside = place == number
        if inside.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                rates = sums[:, number] / sizes[:, number]
            mean, rate = float(probability[inside].mean()), float(happened[inside].mean())
            found.append(Group(int(inside.sum()), mean, rate, _interval(rates) or (0.0, 0.0)))
    return tuple(found)


def fifths_of_risk(probability: Array, happened: Array) -> tuple[float | None, ...]:
    """Observed over expected in five parts of the accounts, by rank of probability, that carry a fifth of the expected number each."""
    order = np.argsort(probability, kind="stable")
    total = np.cumsum(probability[order])
    if not len(total) or total[-1] <= 0:
        return (None,) * FIFTHS
    part = np.minimum((total / total[-1] * FIFTHS).astype(np.int64), FIFTHS - 1)
    observed = np.bincount(part, weights=happened[order], minlength=FIFTHS)
    expected = np.bincount(part, weights=probability[order], minlength=FIFTHS)
    return tuple(float(o / e) if e > 0 else None for o, e in zip(observed.tolist(), expected.tolist(), strict=True))


def worst_days(probability: Array, happened: Array, times: NDArray[np.int64]) -> tuple[WorstDay, ...]:
    """The UTC days on which most accounts began that were liquidated, the worst first."""
    days, place = np.unique(times // DAY, return_inverse=True)
    observed, expected = np.bincount(place, weights=happened), np.bincount(place, weights=probability)
    worst = np.argsort(-observed, kind="stable")[:WORST_DAYS]
    return tuple(WorstDay(int(days[day]), int(observed[day]), float(expected[day])) for day in worst.tolist() if observed[day] > 0)


def paired_difference(first: Array, second: Array, happened: Array, reference: float, weeks: Weeks) -> tuple[float, Interval | None]:
    """Brier skill of the first less that of the second, and its interval over the same resampled weeks."""
    gain, plain = np.square(second - happened) - np.square(first - happened), np.square(reference - happened)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = weeks.resampled(gain) / weeks.resampled(plain)
    return float(gain.sum() / plain.sum()) if plain.sum() > 0 else 0.0, _interval(differences)


def _interval(values: Array) -> Interval | None:
    """The middle 95 %; None where no resample gives a figure."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)
