"""The calibration record: one history, cut in time, and every model's forecasts of what became of its made-up accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.outlook import HOURS, Tier
from aggregator.risk.score_backtest.baselines import EWMA_HALF_LIVES, barrier, ewma_variances, historical_simulation, isotonic
from aggregator.risk.score_backtest.foretelling import foretell
from aggregator.risk.score_backtest.measures import (
    BANDS,
    WORST_DAYS,
    Group,
    Interval,
    Measures,
    Weeks,
    WorstDay,
    fifths_of_risk,
    measure,
    paired_difference,
    reliability,
    worst_days,
)
from aggregator.risk.score_backtest.outcome import worst_health
from aggregator.risk.score_backtest.panel import HOUR, Panel, pegged
from aggregator.risk.score_backtest.population import ACCOUNTS_A_START, SEED, Accounts, population, starts
from aggregator.risk.shapes import Array

SPLIT = 1_672_531_200
"""2023-01-01: what begins before is training"""
EMBARGO_HOURS = 168
LEAST_SIDE_DAYS = 180
OWN_SPLIT = 0.4
"""where a history that does not reach over the split is cut instead, as a part of its span"""

SCORE, SCORE_DAILY = "crossmargin", "crossmargin-daily"
HEALTH, EWMA, EWMA_ISOTONIC, SIMULATION = "health-factor", "ewma-barrier", "ewma-isotonic", "fhs"
MODELS = (SCORE, SCORE_DAILY, HEALTH, EWMA, EWMA_ISOTONIC, SIMULATION)
RIVALS = (EWMA_ISOTONIC, SIMULATION)
"""the score is compared with the better of these"""
CUTS = (0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0000001)
"""of the reliability groups"""


class TooShort(ValueError):
    """The history does not hold enough for a record; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model at one horizon."""

    overall: Measures
    bands: tuple[Measures, ...]
    """in the order of BANDS"""
    fifths: tuple[float | None, ...]
    worst: tuple[WorstDay, ...]
    worst_ratio: float | None
    """observed over expected on the worst days together"""
    reliability: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class HorizonRecord:
    """All models at one horizon, on the same accounts."""

    hours: int
    accounts: int
    training_accounts: int
    ewma_half_life: float
    models: Mapping[str, ModelRecord]
    rival: str
    difference: float
    """skill of the score less the rival's"""
    difference_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Record:
    """The whole record. Times in seconds since the epoch."""

    symbols: tuple[str, ...]
    pegged: tuple[str, ...]
    first: int
    last: int
    filled_hours: int
    split: int
    test_begins: int
    own_split: bool
    """the history does not reach over 2023-01-01 on both sides, so it was cut at 40 % of its span"""
    weeks: int
    seed: int
    horizons: Mapping[str, HorizonRecord]


def split_row(one: Panel) -> tuple[int, bool]:
    """Row at which the training part ends, and whether it is the history's own cut."""
    row, margin = one.row(SPLIT), 24 * LEAST_SIDE_DAYS
    if margin <= row <= one.hours - margin:
        return row, False
    return int(one.hours * OWN_SPLIT), True


def record(one: Panel, each: int = ACCOUNTS_A_START, seed: int = SEED, report: Callable[[str], None] = lambda stage: None) -> Record:
    """The calibration record of a history. TooShort where no account can be followed for a day on either side of the split."""
    split, own = split_row(one)
    begins = split + EMBARGO_HOURS
    pegs = pegged(one, split)
    report("making up accounts")
    training = population(one, pegs, starts(one, 0, split), each, seed)
    test = population(one, pegs, starts(one, begins, one.hours), each, seed)
    horizons = tuple(HOURS.values())
    report("following them")
    before, after = worst_health(one, training, horizons), worst_health(one, test, horizons)
    _require(one, before, after)
    report("EWMA barriers")
    variances = ewma_variances(one, training), ewma_variances(one, test)
    hourly = foretell(one, test, report=lambda part: report(f"the score's probabilities, {part:.0%}"))
    daily = foretell(one, test, Tier.DAILY, report=lambda part: report(f"the same from daily prices, {part:.0%}"))
    half_life = _best_half_life(training, before[:, 1], variances[0])
    simulated = historical_simulation(one, test, horizons, half_life, lambda part: report(f"filtered historical simulation, {part:.0%}"))
    report("resampling weeks")
    times = one.start + HOUR * test.row
    found = {}
    for place, (name, hours) in enumerate(HOURS.items()):
        known, valid = np.isfinite(before[:, place]), np.isfinite(after[:, place]) & np.isfinite(simulated[:, place])
        if not (known.any() and valid.any()):
            continue
        best = EWMA_HALF_LIVES.index(_best_half_life(training, before[:, place], variances[0], hours))
        happened = (before[known, place] < 1.0).astype(np.float64)
        past = barrier(training.health[known], variances[0][known, best], hours)
        raw = barrier(test.health[valid], variances[1][valid, best], hours)
        forecasts = {
            SCORE: hourly[valid, place],
            SCORE_DAILY: daily[valid, place],
            HEALTH: isotonic(-training.health[known], happened, -test.health[valid]),
            EWMA: raw,
            EWMA_ISOTONIC: isotonic(past, happened, raw),
            SIMULATION: simulated[valid, place],
        }
        outcome = (after[valid, place] < 1.0).astype(np.float64)
        found[name] = _horizon(hours, training.health[known], happened, test.health[valid], outcome, forecasts, times[valid], seed, best)
    return Record(
        one.symbols,
        tuple(sorted(pegs)),
        one.time(0),
        one.time(one.hours - 1),
        one.filled,
        one.time(split),
        one.time(begins),
        own,
        Weeks(times, seed).count,
        seed,
        found,
    )


def _require(one: Panel, before: Array, after: Array) -> None:
    """TooShort unless both sides of the split have accounts that were followed for a day."""
    for side, worst in (("before", before), ("after", after)):
        if not np.isfinite(worst[:, 1]).any():
            raise TooShort(
                f"{one.hours / 24:.0f} days of history leave no account {side} the split that can be followed for a day: a record needs an "
                f"hourly history with 30 days of warm-up, a training part and a test part, about 150 days in all"
            )


def _best_half_life(training: Accounts, worst: Array, variances: Array, hours: int = 24) -> float:
    """The half-life whose barrier, through an isotonic map, has the least squared error in the training part."""
    known = np.isfinite(worst)
    happened = (worst[known] < 1.0).astype(np.float64)
    errors = []
    for place in range(len(EWMA_HALF_LIVES)):
        raw = barrier(training.health[known], variances[known, place], hours)
        errors.append(float(np.square(isotonic(raw, happened, raw) - happened).sum()))
    return EWMA_HALF_LIVES[int(np.argmin(errors))]


def _horizon(
    hours: int,
    known_health: Array,
    known_outcome: Array,
    health: Array,
    outcome: Array,
    forecasts: Mapping[str, Array],
    times: NDArray[np.int64],
    seed: int,
    best: int,
) -> HorizonRecord:
    weeks = Weeks(times, seed)
    rate = float(known_outcome.mean())
    masks = [_band(health, number) for number in range(len(BANDS))]
    rates = []
    for number in range(len(BANDS)):
        inside = _band(known_health, number)
        rates.append(float(known_outcome[inside].mean()) if inside.any() else rate)
    models = {}
    for name, forecast in forecasts.items():
        worst = worst_days(forecast, outcome, times)
        expected = sum(day.expected for day in worst)
        models[name] = ModelRecord(
            measure(forecast, outcome, rate, weeks),
            tuple(measure(forecast, outcome, band_rate, weeks, mask) for band_rate, mask in zip(rates, masks, strict=True)),
            fifths_of_risk(forecast, outcome),
            worst[:WORST_DAYS],
            sum(day.observed for day in worst) / expected if expected > 0 else None,
            reliability(forecast, outcome, weeks, CUTS),
        )
    rival = min(RIVALS, key=lambda name: models[name].overall.brier)
    difference, interval = paired_difference(forecasts[SCORE], forecasts[rival], outcome, rate, weeks)
    return HorizonRecord(hours, len(outcome), len(known_outcome), EWMA_HALF_LIVES[best], models, rival, difference, interval)


def _band(health: Array, number: int) -> NDArray[np.bool_]:
    low, high = BANDS[number]
    last = number == len(BANDS) - 1
    return np.asarray((health >= low) & ((health <= high) if last else (health < high)))
