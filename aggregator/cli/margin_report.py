"""The terminal report of a margin document: a row a method, isolated against cross, and below what the figures do not say.

Names that come from elsewhere are cleaned and never read as markup. Nothing is wider than the console.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregator.cli.wording import money, move, share, short_owner
from aggregator.engine.margin_schema import (
    IsolatedVersusCrossDocument,
    MarginDocument,
    MethodDocument,
    RequirementDocument,
    TriggerDocument,
)
from aggregator.reading.text import clean_text

NARROW = 90
LISTED = 8
SCENARIO_LENGTH = 60


def print_margin(document: MarginDocument, console: Console) -> None:
    """Print the report."""
    owners = ", ".join(short_owner(owner) for owner in document.owners[:4]) or "portfolio"
    book = document.book
    names = ", ".join(clean_text(name, 16) for name in book.underlyings[:6]) + ("…" if len(book.underlyings) > 6 else "")
    console.print(Text(f"Margin of {owners} at {document.as_of}", "bold"))
    console.print(f"{book.positions:,} positions ({names}), cash {money(book.cash_usd)}; {book.covered:,} of them in the figures")
    console.print(_table(document, console.width < NARROW))
    if document.isolated_versus_cross is not None:
        _comparison(document.isolated_versus_cross, console)
    _refusals(document, console)
    _notes(document, console)
    _list(console, "Missing", [f"{one.what}: {one.why}" for one in document.coverage.missing])
    _list(console, "Warnings", [one.detail for one in document.warnings])


def _table(document: MarginDocument, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    for name in ("method", "initial", "maintenance", "equity", "ratio", "netted"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True, overflow="ellipsis")
    if not narrow:
        table.add_column("worst", overflow="fold")
    for method in document.methods:
        shown = method.initial or method.initial_of_covered
        if shown is not None:
            table.add_row(*_row(method, shown, narrow))
    return table


def _row(method: MethodDocument, shown: RequirementDocument, narrow: bool) -> list[Text]:
    partial = method.initial is None
    maintenance = method.maintenance or method.maintenance_of_covered
    style = "magenta" if partial else ""
    breached = shown.net_usd is not None and shown.net_usd.startswith("-")
    mark = "" if method.verified else " ?"
    cells = [
        Text(method.method + mark),
        Text(("≈ " if partial else "") + money(shown.requirement_usd), style),
        Text(money(maintenance.requirement_usd if maintenance is not None else None), style),
        Text(money(shown.equity_usd), style),
        Text("–" if shown.ratio is None else f"{float(shown.ratio):.2f}", "bold red" if breached else style),
        Text(money(shown.netted_usd), style),
    ]
    if not narrow:
        cells.append(Text(_short(shown.worst_scenario or "–"), "dim"))
    return cells


def _comparison(found: IsolatedVersusCrossDocument, console: Console) -> None:
    """The same positions in accounts of their own and in one pool."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    for name in ("isolated versus cross" + (" (≈ covered positions)" if found.of_covered else ""), "each alone", "one pool"):
        table.add_column(name, justify="left" if name.startswith("isolated") else "right", overflow="fold")
    for name, rows in (("delta", found.delta), ("vega a point", found.vega)):
        for one in rows:
            table.add_row(f"{name} {clean_text(one.underlying, 16)}", money(one.isolated_usd), money(one.cross_usd))
    for name, pair in (("initial margin", found.initial), ("maintenance margin", found.maintenance)):
        table.add_row(name, money(pair.isolated_usd), money(pair.cross_usd))
    trigger, contagion = found.liquidation_trigger, found.contagion
    known = found.equity_usd is not None
    table.add_row("liquidated at", _trigger(trigger.isolated, known), _trigger(trigger.cross, known))
    if contagion.isolated is not None or contagion.cross is not None:
        each = (contagion.isolated, contagion.cross)
        table.add_row("positions closed then", *("0" if one is None else f"{one.positions_closed:,}" for one in each))
        table.add_row("forced trades", *(money("0" if one is None else one.traded_usd) for one in each))
        table.add_row("price impact", *("0 %" if one is None else share(one.impact) for one in each))
        table.add_row("cost of the impact", *(money("0" if one is None else one.cost_usd) for one in each))
        table.add_row("equity dragged along", *(money("0" if one is None else one.dragged_equity_usd) for one in each))
    console.print(table)


def _trigger(found: TriggerDocument | None, known: bool) -> str:
    if found is None:
        return "no move" if known else "unknown"
    if found.position is not None:
        return f"{clean_text(found.underlying or '', 16)} {move(found.move)}: {clean_text(found.position, 40)}"
    return f"{clean_text(found.underlying or 'everything', 16)} {move(found.move)}"


def _refusals(document: MarginDocument, console: Console) -> None:
    refused = [one for one in document.methods if one.initial is None and one.initial_of_covered is None]
    if refused:
        console.print(Text("Without a figure", "bold"))
        for one in refused:
            console.print(Text(f"  {one.method}: {clean_text(one.reason or '', 200)}"))


def _notes(document: MarginDocument, console: Console) -> None:
    """Notes by method; `?` in the table marks what is not verified, `≈` what covers only a part."""
    noted = [one for one in document.methods if one.notes]
    if noted:
        console.print(Text("Notes (? not verified, ≈ of the covered positions only)", "bold"))
        for one in noted:
            console.print(Text(f"  {one.method}: {clean_text('; '.join(one.notes), 400)}"))


def _list(console: Console, title: str, lines: list[str]) -> None:
    if not lines:
        return
    console.print(Text(title, "bold"))
    for line in lines[:LISTED]:
        console.print(Text(f"  {clean_text(line, 200)}"))
    if len(lines) > LISTED:
        console.print(Text(f"  and {len(lines) - LISTED:,} more"))


def _short(text: str) -> str:
    return text if len(text) <= SCENARIO_LENGTH else text[: SCENARIO_LENGTH - 1] + "…"
