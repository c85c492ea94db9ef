"""The terminal reports of haircuts: assets with the parts of theirs; and of a record: the models side by side, then our model by asset."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aggregator.cli.wording import money
from aggregator.engine.haircuts_backtest import OURS, Backtest, HorizonRecord, best_baseline, symbols_in_order
from aggregator.engine.haircuts_schema import HaircutsDocument
from aggregator.reading.text import clean_text
from aggregator.risk.market_risk.dynamic import Target
from aggregator.risk.market_risk.scores import Scores

NARROW = 92
WARNINGS = 12
LEGEND = (
    "close, path: share of days with a loss beyond the haircut, at the end and on the way; Kupiec, Christ.: p-values at the close; "
    "haircut: mean; p/t: highest over lowest in a year; rise: largest in five days; short: worst loss beyond; "
    "loss: 99 % quantile loss in basis points"
)


def print_haircuts(document: HaircutsDocument, console: Console) -> None:
    """Print the haircuts."""
    narrow = console.width < NARROW
    console.print(Text(f"Haircuts of {money(document.size_usd)} each", "bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("asset", no_wrap=True, overflow="ellipsis")
    table.add_column("chain", no_wrap=True)
    names = ["haircut", "market", "liquid.", "basis", "struct."] + ([] if narrow else ["days", "by", "depth"])
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for one in document.haircuts:
        parts = one.parts
        cells = [_share(one.haircut), *(_share(part) for part in (parts.market, parts.liquidity, parts.basis, parts.structure))]
        if not narrow:
            cells += [
                f"{one.liquidation_days.total:.2f}",
                one.liquidation_days.route,
                money(str(one.depth.usd_within_edge)) if one.depth else "–",
            ]
        table.add_row(Text(clean_text(one.symbol, 18)), Text(one.chain), *cells)
    console.print(table)
    notes: dict[str, list[str]] = {}
    for one in document.haircuts:
        for note in one.notes:
            notes.setdefault(note, []).append(f"{clean_text(one.symbol, 18)} on {one.chain}")
    lines = [f"{note} ({', '.join(who[:3])}{f' and {len(who) - 3} more' if len(who) > 3 else ''})" for note, who in notes.items()]
    lines += [f"missing on {gap.chain}: {gap.what}: {gap.why}" for gap in document.coverage.missing]
    if lines:
        _section(console, "Not known, so taken to be worse")
        for line in lines:
            console.print(Text(clean_text(line, 300)))


def _share(text: str) -> str:
    return f"{100 * float(text):.2f}%"


def print_backtest(record: Backtest, console: Console) -> None:
    """Print the report."""
    first, last = min(one.first for one in record.history.bars), max(one.last for one in record.history.bars)
    assets = len(symbols_in_order(record))
    loss = "the close" if record.target is Target.CLOSE else "the path: the worst price on the way"
    console.print(Text("Haircuts out of sample", "bold"))
    span = f"{assets} asset{'s' if assets != 1 else ''}, {_day(first)} to {_day(last)}"
    console.print(Text(f"  {clean_text(record.history.source, 80)}: {span}; 99 % of days, aimed at {loss}"))
    for days, horizon in record.horizons.items():
        _section(console, f"{days} day{'s' if days > 1 else ''} ahead, all assets")
        console.print(
            _table("model", {name: one.pooled for name, one in {**horizon.models, **horizon.variants}.items()}, console.width < NARROW)
        )
        if days == min(record.horizons):
            console.print(Text(LEGEND, "dim"))
        for line in _verdict(horizon):
            console.print(Text(line))
    for days, horizon in record.horizons.items():
        _section(console, f"{OURS}, {days} day{'s' if days > 1 else ''} ahead, by asset")
        console.print(_table("asset", horizon.models[OURS].assets, console.width < NARROW))
    notes = [f"{symbol}: not scored, {why}" for symbol, why in record.left_out.items()] + list(record.warnings)
    if notes:
        _section(console, "Warnings")
        for note in notes[:WARNINGS]:
            console.print(Text(clean_text(note, 200)))
        if len(notes) > WARNINGS:
            console.print(Text(f"and {len(notes) - WARNINGS} more (--json has all)"))


def _verdict(horizon: HorizonRecord) -> list[str]:
    """What the comparison comes to, in words."""
    own = horizon.models[OURS]
    if own.pooled is None:
        return []
    passing = sum(one.passes for one in own.assets.values())
    on_path = sum(one.passes_on_path for one in own.assets.values())
    lines = [f"both tests pass on {passing} of {len(own.assets)} assets at the close, on {on_path} of {len(own.assets)} on the path"]
    try:
        name, best = best_baseline(horizon)
    except ValueError:
        return lines
    if best.quantile_loss_bp <= 0:
        return lines
    better = 1.0 - own.pooled.quantile_loss_bp / best.quantile_loss_bp
    word = "below" if better >= 0 else "above"
    lines.append(f"quantile loss {abs(100 * better):.1f} % {word} the best plain model, {name}")
    for variant, one in horizon.variants.items():
        if one.pooled is not None:
            share = 1.0 - one.pooled.quantile_loss_bp / best.quantile_loss_bp
            lines[-1] += f" ({variant}: {abs(100 * share):.1f} % {'below' if share >= 0 else 'above'})"
    return lines


def _table(first: str, rows: Mapping[str, Scores | None], narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    names = ["days", "close", "path", "Kupiec", "Christ.", "haircut", "p/t", "rise", "short", "loss"]
    if narrow:
        names = ["days", "close", "path", "Kup.", "Chr.", "haircut", "loss"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for label, scores in rows.items():
        table.add_row(Text(clean_text(label, 28)), *(_cells(scores, narrow) if scores is not None else ["–"] * len(names)))
    return table


def _cells(one: Scores, narrow: bool) -> list[str]:
    start = [f"{one.days:,}", _percent(one.violation_rate_close, 2), _percent(one.violation_rate_path, 2)]
    start += [f"{one.kupiec_p:.3f}", f"{one.christoffersen_p:.3f}", _percent(one.mean_haircut, 1)]
    middle = [f"{one.peak_to_trough:.2f}", f"{100 * one.max_5d_rise:.1f} pp", _percent(one.worst_shortfall, 1)]
    return [*start, *([] if narrow else middle), f"{one.quantile_loss_bp:.2f}"]


def _percent(value: float, places: int) -> str:
    return f"{100 * value:.{places}f}%"


def _day(seconds: int) -> str:
    from aggregator.engine.history_file import instant

    return instant(seconds)[:10]


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
