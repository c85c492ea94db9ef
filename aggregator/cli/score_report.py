"""The terminal report of a calibration record: the models side by side a horizon, then the score by health, and the worst days."""

from __future__ import annotations

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aggregator.engine.score_schema import BAND_NAMES, day_text
from aggregator.reading.text import clean_text
from aggregator.risk.score_backtest.measures import DAY, Interval, Measures
from aggregator.risk.score_backtest.record import SCORE, HorizonRecord, Record

NARROW = 80
WORDS = {"1h": "1 hour", "1d": "1 day", "7d": "7 days"}
LEGEND = (
    "skill: Brier skill against the training part's rate, with its 95 % interval over resampled weeks; O/E: observed over expected; "
    "error: mean distance of probability and rate in twenty groups; worst: O/E on the ten worst days, above 1 by their choice alone"
)


def print_score_backtest(record: Record, source: str, console: Console) -> None:
    """Print the report."""
    console.print(Text("Liquidation probabilities out of sample", "bold"))
    assets = len(record.symbols) - len(record.pegged)
    console.print(Text(f"  {clean_text(source, 80)}: {assets} volatile assets, {_day(record.first)} to {_day(record.last)}"))
    why = "at 40 % of the history" if record.own_split else "as fixed"
    console.print(Text(f"  trained before {_day(record.split)} ({why}), tested from {_day(record.test_begins)}, {record.weeks} weeks"))
    if record.pegged:
        console.print(Text(f"  no volatile collateral: {', '.join(clean_text(name, 20) for name in record.pegged)}"))
    for name, horizon in record.horizons.items():
        _horizon(console, name, horizon)
    console.print()
    console.print(Text(LEGEND, "dim"))


def _horizon(console: Console, name: str, horizon: HorizonRecord) -> None:
    console.print()
    console.print(Rule(f"within {WORDS[name]}: {horizon.accounts} accounts", align="left", style="dim"))
    narrow = console.width < NARROW
    table = _table("model", narrow, "worst")
    for model, one in horizon.models.items():
        worst = "—" if one.worst_ratio is None else f"{one.worst_ratio:.2f}"
        table.add_row(model, *_cells(one.overall, narrow), worst, style="bold" if model == SCORE else None)
    console.print(table)
    bands = _table("health", narrow, "accounts")
    for label, band in zip(BAND_NAMES, horizon.models[SCORE].bands, strict=True):
        bands.add_row(label, *_cells(band, narrow), str(band.accounts))
    console.print(bands)
    for line in _verdict(horizon):
        console.print(Text(line))


def _verdict(horizon: HorizonRecord) -> list[str]:
    """What the comparison comes to, in words."""
    lines = []
    interval = horizon.difference_interval
    if interval is not None:
        if interval[0] > 0:
            said = "better than"
        elif interval[1] < 0:
            said = "worse than"
        else:
            said = "not distinguishable from"
        lines.append(
            f"{SCORE} is {said} {horizon.rival}: skill {horizon.difference:+.4f}, 95 % between {interval[0]:+.4f} and {interval[1]:+.4f}"
        )
    worst = horizon.models[SCORE].worst
    if worst:
        shown = ", ".join(f"{day_text(day.day)} {day.observed}/{day.expected:.0f}" for day in worst[:3])
        lines.append(f"worst days, observed/expected: {shown}")
    return lines


def _table(first: str, narrow: bool, last: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    middle = ("events", "skill", "O/E", "error") if narrow else ("events", "skill", "95 %", "O/E", "error")
    for number, column in enumerate((first, *middle, last)):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    return table


def _cells(one: Measures, narrow: bool) -> tuple[str, ...]:
    skill = "—" if one.skill is None else f"{one.skill:+.3f}"
    ratio = "—" if one.ratio is None else f"{one.ratio:.2f}"
    interval = () if narrow else (_between(one.skill_interval),)
    return str(one.observed), skill, *interval, ratio, f"{one.calibration_error:.4f}"


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:+.2f}…{interval[1]:+.2f}"


def _day(seconds: int) -> str:
    return day_text(seconds // DAY)
