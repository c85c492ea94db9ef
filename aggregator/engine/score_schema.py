"""The shape of `crossmargin score backtest --json`, `crossmargin/score-backtest/1`. Probabilities, rates and skills are parts of 1."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from aggregator.engine.history_file import instant
from aggregator.engine.schema import Document
from aggregator.risk.outlook_parameters import VERSION
from aggregator.risk.policy import SCORE_VERSION
from aggregator.risk.score_backtest.measures import BANDS, DAY, Group, Interval, Measures
from aggregator.risk.score_backtest.record import HorizonRecord, ModelRecord, Record

BAND_NAMES = tuple(f"{low:.2f}-{high:.2f}" for low, high in BANDS)


class MeasuresDocument(Document):
    """Figures of one set of forecasts; docs/methods/score.md defines each. Intervals are 95 %, by resampling weeks; null: no event."""

    accounts: int
    observed: int
    expected: float
    reference_rate: float
    brier: float
    brier_skill: float | None
    brier_skill_interval: tuple[float, float] | None
    observed_over_expected: float | None
    observed_over_expected_interval: tuple[float, float] | None
    calibration_error: float
    calibration_error_interval: tuple[float, float]


class GroupDocument(Document):
    """Accounts of similar probability."""

    accounts: int
    mean_probability: float
    observed_rate: float
    observed_rate_interval: tuple[float, float]


class WorstDayDocument(Document):
    """A day on which many accounts began that were liquidated."""

    day: str
    observed: int
    expected: float


class WorstDaysDocument(Document):
    """The ten worst days, chosen by their outcome: even a perfect forecast is above 1 here."""

    observed_over_expected: float | None
    days: tuple[WorstDayDocument, ...]


class ScoreModelDocument(Document):
    """One model at one horizon; `risk_fifths`: observed over expected where each part carries a fifth of the expected number."""

    overall: MeasuresDocument
    bands: dict[str, MeasuresDocument]
    risk_fifths: tuple[float | None, ...]
    worst_days: WorstDaysDocument
    reliability: tuple[GroupDocument, ...]


class ComparisonDocument(Document):
    """Brier skill of `crossmargin` less that of the better of ewma-isotonic and fhs, over the same resampled weeks."""

    rival: str
    brier_skill_difference: float
    interval: tuple[float, float] | None
    better: bool
    """the whole interval is above 0"""


class ScoreHorizonDocument(Document):
    """All models on the same accounts."""

    hours: int
    accounts: int
    training_accounts: int
    ewma_half_life_hours: float
    models: dict[str, ScoreModelDocument]
    comparison: ComparisonDocument


class HistoryDocument(Document):
    """What was read, and how it was cut."""

    source: str
    symbols: tuple[str, ...]
    pegged: tuple[str, ...]
    first: str
    last: str
    filled_hours: int
    split: str
    test_begins: str
    own_split: bool
    weeks: int


class ScoreBacktestDocument(Document):
    """The whole record."""

    schema_: Literal["crossmargin/score-backtest/1"] = Field(alias="schema")
    outlook_version: str
    score_version: str
    seed: int
    history: HistoryDocument
    horizons: dict[str, ScoreHorizonDocument]


def score_backtest_document(record: Record, source: str) -> ScoreBacktestDocument:
    """The record as its document."""
    return ScoreBacktestDocument(
        schema="crossmargin/score-backtest/1",
        outlook_version=VERSION,
        score_version=SCORE_VERSION,
        seed=record.seed,
        history=HistoryDocument(
            source=source,
            symbols=record.symbols,
            pegged=record.pegged,
            first=instant(record.first),
            last=instant(record.last),
            filled_hours=record.filled_hours,
            split=instant(record.split),
            test_begins=instant(record.test_begins),
            own_split=record.own_split,
            weeks=record.weeks,
        ),
        horizons={name: _horizon(one) for name, one in record.horizons.items()},
    )


def day_text(day: int) -> str:
    """`2023-03-11` of days since the epoch."""
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def _horizon(one: HorizonRecord) -> ScoreHorizonDocument:
    interval = one.difference_interval
    return ScoreHorizonDocument(
        hours=one.hours,
        accounts=one.accounts,
        training_accounts=one.training_accounts,
        ewma_half_life_hours=one.ewma_half_life,
        models={name: _model(model) for name, model in one.models.items()},
        comparison=ComparisonDocument(
            rival=one.rival,
            brier_skill_difference=_digits(one.difference),
            interval=_pair(interval),
            better=interval is not None and interval[0] > 0,
        ),
    )


def _model(one: ModelRecord) -> ScoreModelDocument:
    return ScoreModelDocument(
        overall=_measures(one.overall),
        bands={name: _measures(band) for name, band in zip(BAND_NAMES, one.bands, strict=True)},
        risk_fifths=tuple(_maybe(part) for part in one.fifths),
        worst_days=WorstDaysDocument(
            observed_over_expected=_maybe(one.worst_ratio),
            days=tuple(WorstDayDocument(day=day_text(day.day), observed=day.observed, expected=_digits(day.expected)) for day in one.worst),
        ),
        reliability=tuple(_group(part) for part in one.reliability),
    )


def _measures(one: Measures) -> MeasuresDocument:
    return MeasuresDocument(
        accounts=one.accounts,
        observed=one.observed,
        expected=_digits(one.expected),
        reference_rate=_digits(one.reference),
        brier=_digits(one.brier),
        brier_skill=_maybe(one.skill),
        brier_skill_interval=_pair(one.skill_interval),
        observed_over_expected=_maybe(one.ratio),
        observed_over_expected_interval=_pair(one.ratio_interval),
        calibration_error=_digits(one.calibration_error),
        calibration_error_interval=(_digits(one.calibration_interval[0]), _digits(one.calibration_interval[1])),
    )


def _group(one: Group) -> GroupDocument:
    low, high = one.rate_interval
    return GroupDocument(
        accounts=one.accounts,
        mean_probability=_digits(one.mean),
        observed_rate=_digits(one.rate),
        observed_rate_interval=(_digits(low), _digits(high)),
    )


def _digits(value: float) -> float:
    """Six significant digits: more would be noise."""
    return float(f"{value:.6g}")


def _maybe(value: float | None) -> float | None:
    return None if value is None else _digits(value)


def _pair(values: Interval | None) -> tuple[float, float] | None:
    return None if values is None else (_digits(values[0]), _digits(values[1]))
