"""`crossmargin contagion replay HISTORY.jsonl`: a recorded history through the alert rules, and how good they were."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.common import add_json_option
from aggregator.model.errors import IncompleteError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from aggregator.publish.alerts.alert import Alert
    from aggregator.publish.alerts.monitor import Monitor
    from aggregator.publish.alerts.observations import Observed
    from aggregator.publish.alerts.quality import Break, QualityReport

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

SUMMARY = "a recorded history through the alert rules, and how good they were"
SHOWN_UNKNOWN = 8


def add_replay(subparsers: Subparsers) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "replay",
        help=SUMMARY,
        description="Feeds the rows of a history in the order of time to the rules that run live. Alerts go to stdout as JSON lines, the "
        "quality report to stderr.",
        allow_abbrev=False,
    )
    parser.add_argument("history", metavar="HISTORY", type=Path, help="JSON lines (see docs/alerts.md); - reads standard input")
    parser.add_argument(
        "--event", metavar="TOKEN=TIME", action="append", default=[], help="when a token broke, where its prices do not tell (repeatable)"
    )
    parser.add_argument("--control", metavar="FROM/TO", help="count false alarms only between these times or days")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the quality report to this file, as JSON")
    parser.add_argument("--plot", metavar="FILE", type=Path, help="write the history as a strip over time to this file (.png or .svg)")
    add_json_option(parser)
    parser.set_defaults(contagion_run=run_replay)


def run_replay(arguments: argparse.Namespace) -> int:
    """0 when all could be judged or was said to be unknown; IncompleteError (3) where no rule had anything to stand on."""
    from aggregator.engine.replay.file import read_history
    from aggregator.engine.replay.replay import replay
    from aggregator.publish.alerts.monitor import Monitor
    from aggregator.publish.alerts.quality import judge

    events, control = [_event(text) for text in arguments.event], _control(arguments.control)
    if arguments.plot is not None:
        from aggregator.cli.plots import require_matplotlib

        require_matplotlib()
        if arguments.plot.suffix not in (".png", ".svg"):
            raise InputError(f"--plot {arguments.plot}: expected a name that ends in .png or .svg")
    history = read_history(arguments.history)
    monitor = Monitor()
    alerts: list[Alert] = []
    for alert in replay(history, monitor):
        alerts.append(alert)
        sys.stdout.write(alert.line() + "\n")
    sys.stdout.flush()
    report = judge(history, alerts, events, control)
    if arguments.report is not None:
        _write(arguments.report, json.dumps(report.document(), indent=2) + "\n")
    if arguments.plot is not None:
        from aggregator.cli.replay_plot import replay_plot

        replay_plot(history, alerts, report, arguments.plot)
    if not arguments.json:
        _summary(report, monitor, alerts, history)
    if not monitor.judged:
        raise IncompleteError(f"{arguments.history}: too little is known for any rule: {len(history)} rows, no figure that could be judged")
    return 0


def _event(text: str) -> Break:
    from aggregator.publish.alerts.quality import Break

    token, _, moment = text.rpartition("=")
    if not token:
        raise InputError(f"--event {text[:80]!r}: expected TOKEN=TIME, such as xUSD=2025-11-03T13:00:00Z")
    return Break(token, _moment(moment, "--event"))


def _control(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, last = text.partition("/")
    span = _moment(first, "--control"), _moment(last, "--control", end_of_day=True)
    if span[1] < span[0]:
        raise InputError(f"--control {text[:80]!r}: ends before it begins")
    return span


def _moment(text: str, option: str, end_of_day: bool = False) -> int:
    from aggregator.publish.alerts.instant import DAY, parse_instant

    try:
        if len(text) == len("2025-10-01"):
            return parse_instant(f"{text}T00:00:00Z") + (DAY - 1 if end_of_day else 0)
        return parse_instant(text)
    except ValueError as error:
        raise InputError(f"{option} {text[:80]!r}: {error}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be written'}") from None


def _summary(report: QualityReport, monitor: Monitor, alerts: list[Alert], history: list[Observed]) -> None:
    """What a person wants to know afterwards, on stderr: stdout holds the alerts and nothing else."""
    from rich.console import Console

    from aggregator.publish.alerts.instant import show_instant

    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    opened = sum(alert.state == "opened" for alert in alerts)
    span = f"{show_instant(history[0].t)} to {show_instant(history[-1].t)}"
    console.print(f"{len(history)} rows, {span}: {opened} incidents, {len(alerts)} messages")
    _print_report(report, console)
    still = [one for one in monitor.incidents.open if one.told is not None]
    for incident in still:
        console.print(
            f"open at the end: {incident.told} {_plain(incident.root.name)}, {incident.rule} since {show_instant(incident.opened)}"
        )
    if monitor.unknown:
        names = [f"{rule} at {_plain(str(place))}" for rule, place in sorted(monitor.unknown)]
        more = f" and {len(names) - SHOWN_UNKNOWN} more" if len(names) > SHOWN_UNKNOWN else ""
        console.print(f"unknown at the end: {'; '.join(names[:SHOWN_UNKNOWN])}{more}")


def _print_report(report: QualityReport, console: Console) -> None:
    from aggregator.publish.alerts.instant import show_instant

    for one in report.breaks:
        prices = f" ({one.price_usd:g} USD after {one.high_usd:g})" if one.price_usd is not None and one.high_usd is not None else ""
        console.print(f"break: {_plain(one.token)} at {show_instant(one.t)}{prices}")
    if not report.breaks:
        console.print("no price broke that had stood still before")
    for record in report.records:
        leads = ", ".join(f"{_plain(token)} {'missed' if lead is None else f'{lead:.0f} h ahead'}" for token, lead in record.leads.items())
        rate = record.false_per_30_market_days
        per = "" if rate is None else f", {rate:.2f} in 30 market-days"
        late = f", {record.undecided} undecided" if record.undecided else ""
        console.print(f"{record.name:<17} {leads or '-'}; {record.false_alarms} false of {record.alarms} alarms{per}{late}")


def _plain(text: str) -> str:
    """A name from a file as it may stand on a terminal."""
    from aggregator.publish.alerts.escaping import plain

    return plain(text)
