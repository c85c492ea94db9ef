"""The score's calibration record on a history file."""

from __future__ import annotations

from collections.abc import Callable

from aggregator.engine.history_file import HistoryColumns
from aggregator.model.errors import IncompleteError, InputError
from aggregator.risk.score_backtest.panel import HOUR, Panel, panel
from aggregator.risk.score_backtest.population import SEED
from aggregator.risk.score_backtest.record import Record, TooShort, record

MOST_ASSETS = 200
LONGEST_BAR = HOUR


def score_backtest(history: HistoryColumns, each: int, seed: int = SEED, report: Callable[[str], None] = lambda stage: None) -> Record:
    """Record of a history. InputError where its bars are longer than an hour; IncompleteError where it is too short for a record."""
    try:
        return record(hourly_panel(history), each, seed, report)
    except TooShort as error:
        raise IncompleteError(f"{history.source}: {error}") from None


def hourly_panel(history: HistoryColumns) -> Panel:
    """The closes on an hourly grid, of every symbol whose bars are an hour or less. InputError where there is none, or too many."""
    fine = [number for number, bars in enumerate(history.bars) if 0 < bars.step_seconds <= LONGEST_BAR]
    if not fine:
        steps = sorted({bars.step_seconds for bars in history.bars if bars.step_seconds > 0})
        what = f"its bars are {steps[0] // HOUR} hours long" if steps else "it has one row a symbol"
        raise InputError(f"{history.source}: the score's record needs hourly bars; {what}")
    if len(fine) > MOST_ASSETS:
        raise InputError(f"{history.source}: {len(fine)} symbols are more than {MOST_ASSETS}")
    series = {}
    for number in fine:
        rows = history.rows(number)
        # a bar shorter than an hour is known before the hour it falls in is over
        series[history.symbols[number]] = (history.timestamps[rows].astype(float), history.close[rows])
    return panel(series)
