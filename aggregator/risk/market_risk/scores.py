"""How good a series of haircuts was, out of sample: coverage, cost, calm, and the quantile loss that weighs coverage and cost as one.

| figure | definition over the days that count |
|---|---|
| days | days with a haircut and a known loss at the horizon's end |
| violation_rate_close | share of days with 1 − P(t+k)/P(t) above the haircut |
| violation_rate_path | the same with the worst price on the way |
| kupiec_p, christoffersen_p | on close; for k > 1 the median of the k series of days that do not overlap |
| kupiec_path_p, christoffersen_path_p | the same on the worst price on the way |
| mean_haircut | |
| peak_to_trough | largest ratio of highest to lowest haircut within 365 days |
| max_5d_rise | largest rise above the lowest haircut of the five days before, in parts of 1 |
| worst_shortfall | largest loss at close beyond the haircut, in parts of 1; 0 without any |
| quantile_loss_bp | 10⁴ · mean of max(0.99·(loss − h), −0.01·(loss − h)) |

Pooled: rates, means and quantile loss over all asset-days, tests on summed counts, the median of peak-to-trough, the worst of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.risk.market_risk.coverage_tests import Transitions, christoffersen, kupiec
from aggregator.risk.shapes import Array

CONFIDENCE = 0.99
SIGNIFICANCE = 0.05
YEAR = 365
RISE_DAYS = 5


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One asset's days that count, in order: what was posted and what came. NaN haircuts and losses are no days."""

    haircut: Array
    close_loss: Array
    path_loss: Array

    @property
    def known(self) -> Outcomes:
        """The days with a haircut and a loss."""
        keep = np.isfinite(self.haircut) & np.isfinite(self.close_loss)
        return Outcomes(self.haircut[keep], self.close_loss[keep], self.path_loss[keep])


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of the table above."""

    days: int
    violation_rate_close: float
    violation_rate_path: float
    kupiec_p: float
    christoffersen_p: float
    mean_haircut: float
    peak_to_trough: float
    max_5d_rise: float
    worst_shortfall: float
    quantile_loss_bp: float
    kupiec_path_p: float
    christoffersen_path_p: float

    @property
    def passes(self) -> bool:
        """Neither test rejects at 5 %, on close."""
        return self.kupiec_p >= SIGNIFICANCE and self.christoffersen_p >= SIGNIFICANCE

    @property
    def passes_on_path(self) -> bool:
        """The same on the path."""
        return self.kupiec_path_p >= SIGNIFICANCE and self.christoffersen_path_p >= SIGNIFICANCE


@dataclass(frozen=True, slots=True)
class _Sums:
    """What pools by adding: of each of the k non-overlapping series its days, violations and transitions."""

    days: tuple[int, ...]
    violations: tuple[int, ...]
    transitions: tuple[Transitions, ...]


def score(outcomes: Outcomes, horizon: int) -> Scores | None:
    """One asset's figures; None without a day."""
    own = outcomes.known
    if len(own.haircut) == 0:
        return None
    return _scores(own, [outcomes], horizon, peak_to_trough(outcomes.haircut), largest_rise(outcomes.haircut))


def pooled(every: Sequence[Outcomes], horizon: int) -> Scores | None:
    """Of all assets together; None without a day."""
    used = [one for one in every if len(one.known.haircut)]
    if not used:
        return None
    known = [one.known for one in used]
    own = Outcomes(
        np.concatenate([one.haircut for one in known]),
        np.concatenate([one.close_loss for one in known]),
        np.concatenate([one.path_loss for one in known]),
    )
    ratio = float(np.median([peak_to_trough(one.haircut) for one in used]))
    return _scores(own, used, horizon, ratio, max(largest_rise(one.haircut) for one in used))


def quantile_losses(haircut: Array, loss: Array, confidence: float = CONFIDENCE) -> Array:
    """Of each day, in basis points."""
    beyond = loss - haircut
    return np.asarray(1e4 * np.maximum(confidence * beyond, (confidence - 1.0) * beyond))


def peak_to_trough(haircut: Array) -> float:
    """Largest ratio of the highest to the lowest haircut within a year; haircuts of zero are left out."""
    posted = np.where(haircut > 0, haircut, np.nan)
    if not np.isfinite(posted).any():
        return 1.0
    span = min(YEAR, len(posted))
    windows = np.lib.stride_tricks.sliding_window_view(posted, span)
    return float(
        np.max(np.fmax.reduce(windows, axis=1) / np.fmin.reduce(windows, axis=1), initial=1.0, where=np.isfinite(windows).any(axis=1))
    )


def largest_rise(haircut: Array) -> float:
    """Largest rise above the lowest haircut of the five days before."""
    rises = [0.0]
    for back in range(1, min(RISE_DAYS, len(haircut) - 1) + 1):
        step = haircut[back:] - haircut[:-back]
        rises.append(float(np.max(step, initial=0.0, where=np.isfinite(step))))
    return max(rises)


def _sums(haircut: Array, loss: Array, horizon: int) -> _Sums:
    """Over all days of the calendar, so that a phase keeps its distance of k days."""
    days, violations, transitions = [], [], []
    for phase in range(horizon):
        posted, came = haircut[phase::horizon], loss[phase::horizon]
        known = np.isfinite(posted) & np.isfinite(came)
        hits = came[known] > posted[known]
        days.append(len(hits))
        violations.append(int(hits.sum()))
        transitions.append(Transitions.of(hits))
    return _Sums(tuple(days), tuple(violations), tuple(transitions))


def _tests(sums: Sequence[_Sums]) -> tuple[float, float]:
    """Kupiec's and Christoffersen's p-values of the summed counts, each the median of the phases."""
    coverage, independence = [], []
    for phase in range(len(sums[0].days)):
        coverage.append(kupiec(sum(one.days[phase] for one in sums), sum(one.violations[phase] for one in sums), 1.0 - CONFIDENCE))
        independence.append(christoffersen(sum((one.transitions[phase] for one in sums), Transitions())))
    return float(np.median(coverage)), float(np.median(independence))


def _scores(own: Outcomes, every: Sequence[Outcomes], horizon: int, ratio: float, rise: float) -> Scores:
    at_close = _tests([_sums(one.haircut, one.close_loss, horizon) for one in every])
    on_path = _tests([_sums(one.haircut, one.path_loss, horizon) for one in every])
    return Scores(
        days=len(own.haircut),
        violation_rate_close=float(np.mean(own.close_loss > own.haircut)),
        violation_rate_path=float(np.mean(own.path_loss > own.haircut)),
        kupiec_p=at_close[0],
        christoffersen_p=at_close[1],
        mean_haircut=float(np.mean(own.haircut)),
        peak_to_trough=ratio,
        max_5d_rise=rise,
        worst_shortfall=float(np.max(own.close_loss - own.haircut, initial=0.0)),
        quantile_loss_bp=float(np.mean(quantile_losses(own.haircut, own.close_loss))),
        kupiec_path_p=on_path[0],
        christoffersen_path_p=on_path[1],
    )
