"""The terminal report of a what-if document: what was done and what happened, the figures side by side, who is liquidated, the way back.

Names that chains give are cleaned and never read as markup. Nothing is wider than the console. Colour only repeats what words say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aggregator.cli.wording import amount, money, name_of, share, short_owner, unknown
from aggregator.engine.what_if_schema import (
    BookWhatIfDocument,
    RemedyDocument,
    WhatIfAccount,
    WhatIfDocument,
    WhatIfFigures,
    WhatIfMethod,
    WhatIfVenueAccount,
)
from aggregator.model.identifiers import ChainId
from aggregator.reading.text import clean_text

NARROW = 80
LISTED = 8
PLACE = 22

Names = Mapping[ChainId, str]


def print_what_if(document: WhatIfDocument, console: Console, names: Names | None = None) -> None:
    """Print the report; `names` gives chains' names by CAIP-2 id."""
    known, narrow = names or {}, console.width < NARROW
    owners = ", ".join(short_owner(owner) for owner in document.owners[:4])
    console.print(Text(f"What if: {owners}", "bold"))
    for action in document.actions:
        paid = Decimal(action.from_outside_raw)
        outside = f" ({amount(int(paid), action.decimals)} {name_of(action.symbol)} from outside)" if paid else ""
        console.print(Text(f"  first  {clean_text(action.action, 120)}{outside}"))
    for shock in document.shocks:
        console.print(Text(f"  then   {clean_text(shock, 120)}"))
    sections: list[tuple[str, RenderableType | None]] = [
        ("Before and after", _figures(document, narrow)),
        ("Margin accounts", _accounts(document, known, narrow)),
        ("Liquidated, in this order", _order(document, known)),
        ("The way back", _ways(document, known)),
        ("Margin methods", _methods(document.methods)),
        ("Missing", _missing(document.coverage.missing)),
        ("Warnings", _warnings(document)),
    ]
    for title, body in sections:
        if body is not None:
            console.print()
            console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
            console.print(body)


def print_book(document: BookWhatIfDocument, console: Console) -> None:
    """Print the report of a portfolio file."""
    console.print(Text(f"What if: portfolio at {document.as_of}", "bold"))
    for action in document.actions:
        console.print(Text(f"  first  {clean_text(action, 120)}"))
    for shock in document.shocks:
        console.print(Text(f"  then   {clean_text(shock, 120)}"))
    missing = [Text(f"{clean_text(one.what, 80)}: {clean_text(one.why, 120)}") for one in document.coverage.missing]
    sections = (("Maintenance margin", _methods(document.methods)), ("Missing", _listed(missing)), ("Warnings", _warnings(document)))
    for title, body in sections:
        if body is not None:
            console.print()
            console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
            console.print(body)


def _table(*columns: str) -> Table:
    """A plain table; `>` begins a column of figures, which never wraps."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in columns:
        table.add_column(title.lstrip(">"), justify="right" if title[:1] == ">" else "left", overflow="fold", no_wrap=title[:1] == ">")
    return table


def _figures(document: WhatIfDocument, narrow: bool) -> RenderableType:
    states: list[tuple[str, WhatIfFigures]] = [("Before", document.before)]
    if document.after_actions is not None:
        states.append(("Acted", document.after_actions))
    states.append(("After", document.after))
    table = _table("", *(f">{title}" for title, _ in states))
    rows = (
        ("Equity", [_money(one.equity_usd) for _, one in states]),
        ("Owned", [_money(one.collateral_usd) for _, one in states]),
        ("Owed", [_money(one.debt_usd) for _, one in states]),
        *([("Hedges", [_money(one.hedge_profit_usd) for _, one in states])] if Decimal(document.after.hedge_profit_usd) else []),
        ("Requirement", [_money(one.requirement_usd) for _, one in states]),
        ("Margin ratio", [_ratio(one) for _, one in states]),
        ("Score", [_score(one.score) for _, one in states]),
        ("Liquidation in a day", [_chance(one) for _, one in states]),
        ("Accounts liquidatable", [Text(str(one.liquidatable), "bold red" if one.liquidatable else "") for _, one in states]),
        ("Loss by liquidation", [_money(one.expected_loss_usd) for _, one in states]),
    )
    if narrow:
        return Group(*(Text.assemble((f"{label}: ", "dim"), Text(" → ").join(cells)) for label, cells in rows))
    for label, cells in rows:
        table.add_row(Text(label), *cells)
    return table


def _accounts(document: WhatIfDocument, names: Names, narrow: bool) -> RenderableType | None:
    if not document.margin_accounts and not document.venue_accounts:
        return None
    table = _table("Account", ">Before", ">After", ">At market", ">Debt", ">Days left")
    table.columns[0].min_width = PLACE
    lines: list[Text] = []
    for account in document.margin_accounts:
        place, after = _place(account, names), account.after
        before = _health(account.before.health_factor, account.before.liquidatable, account.before.debt_usd)
        native = _health(after.health_factor, after.liquidatable, after.debt_usd)
        market = _health(after.shadow_health_factor, False, after.debt_usd)
        days = "" if after.days_to_liquidation is None else f"{Decimal(after.days_to_liquidation):,.0f}"
        table.add_row(Text(place), before, native, market, _money(after.debt_usd), Text(days or "–", "dim"))
        lines += [Text(place, "bold"), Text.assemble("  health ", before, " → ", native, ", at market ", market)]
    for venue in document.venue_accounts:
        before, native = _cover(venue, before=True), _cover(venue, before=False)
        table.add_row(Text(_venue(venue)), before, native, Text(""), Text(""), Text(""))
        lines += [Text(_venue(venue), "bold"), Text.assemble("  equity over margin ", before, " → ", native)]
    return Group(*lines) if narrow else table


def _order(document: WhatIfDocument, names: Names) -> RenderableType | None:
    places = [(one.order, _liquidation(one, names)) for one in document.margin_accounts if one.order is not None]
    places += [
        (one.order, Text(f"{one.order}. {_venue(one)}: {_moment(one.breach_at)}"))
        for one in document.venue_accounts
        if one.order is not None
    ]
    if not places:
        return None if not document.shocks else Text("No margin account is liquidated.", "green")
    return Group(*(text for _, text in sorted(places, key=lambda one: one[0])))


def _liquidation(account: WhatIfAccount, names: Names) -> Text:
    line = Text.assemble((f"{account.order}. {_place(account, names)}", "bold"), f": {_moment(account.breach_at)}")
    loss = account.loss
    if account.blocked is not None:
        line.append(f"; blocked: {clean_text(account.blocked, 80)}", "yellow")
    if loss is None:
        return line
    line.append(f"; {money(loss.repaid_usd)} repaid, {money(loss.seized_usd)} seized, the owner loses ")
    line.append(money(loss.owner_usd), "bold red")
    if Decimal(loss.bad_debt_usd) > 0:
        line.append(f"; {money(loss.bad_debt_usd)} of debt without collateral is left", "red")
    if not loss.pays:
        line.append("; it does not pay, so it may wait", "yellow")
    return line


def _moment(at: str | None) -> str:
    part = Decimal(at or 0)
    return "already" if part == 0 else f"after {share(part)} of the shock"


def _ways(document: WhatIfDocument, names: Names) -> RenderableType | None:
    lines: list[Text] = []
    for account in document.margin_accounts:
        if account.restore is None:
            continue
        lines.append(Text(f"{_place(account, names)}, back to a health of {Decimal(account.restore.health_factor):f}:", "bold"))
        if account.restore.cheapest is None:
            lines.append(Text(f"  {clean_text(account.restore.reason or '', 120)}", "yellow"))
            continue
        lines.append(Text.assemble("  ", _way(account.restore.cheapest)))
        others = len(account.restore.alternatives)
        if others:
            lines.append(Text(f"  {others} dearer way{'s' * (others != 1)} in --json", "dim"))
    return Group(*lines) if lines else None


def _way(remedy: RemedyDocument) -> Text:
    words = " then ".join(clean_text(action, 160) for action in remedy.actions)
    parts = [f"{money(remedy.capital_usd)} and {money(remedy.fees_usd)} of fees"]
    if Decimal(remedy.lag_hours):
        parts.append(f"arrives in about {Decimal(remedy.lag_hours):f} h")
    if remedy.from_outside:
        parts.append("from outside: nothing that is free can pay for it")
    return Text.assemble((words, "bold"), f": {'; '.join(parts)}")


def _methods(methods: Sequence[WhatIfMethod]) -> RenderableType | None:
    if not methods:
        return None
    table = _table("Method", ">Equity", ">Required", ">Ratio", ">After: equity", ">Required", ">Ratio")
    reasons: list[Text] = []
    for one in methods:
        if one.before is None or one.after is None:
            reasons.append(Text(f"{one.method}: {clean_text(one.reason or '', 160)}", "dim"))
            continue
        before, after = one.before, one.after
        ratios = [Text("" if each.ratio is None else f"{Decimal(each.ratio):,.2f}", _style(each.ratio)) for each in (before, after)]
        cells = [_money(before.equity_usd), _money(before.requirement_usd), ratios[0]]
        table.add_row(Text(one.method), *cells, _money(after.equity_usd), _money(after.requirement_usd), ratios[1])
    return Group(*([table] if table.row_count else []), *reasons)


def _missing(gaps: Sequence[object]) -> RenderableType | None:
    lines = []
    for gap in gaps:
        chain, protocol, what, why = (getattr(gap, name) for name in ("chain", "protocol", "what", "why"))
        lines.append(Text(f"{chain} {'' if protocol == '*' else protocol + ': '}{clean_text(what, 100)}: {clean_text(why, 160)}"))
    return _listed(lines)


def _warnings(document: WhatIfDocument | BookWhatIfDocument) -> RenderableType | None:
    return _listed([Text.assemble((one.code, "yellow"), f" {clean_text(one.detail, 240)}") for one in document.warnings])


def _listed(lines: Sequence[Text]) -> RenderableType | None:
    if not lines:
        return None
    rest = len(lines) - LISTED
    return Group(*lines[:LISTED], *([Text(f"… {rest} more in --json", "dim")] if rest > 0 else []))


def _place(account: WhatIfAccount, names: Names) -> str:
    label = clean_text(account.label, 40) or (account.market if len(account.market) <= 20 else f"{account.market[:8]}…")
    return f"{account.protocol} {label}, {names.get(ChainId(account.chain), account.chain)}"


def _venue(venue: WhatIfVenueAccount) -> str:
    return f"{venue.venue} {clean_text(venue.label, 30) or short_owner(venue.account)}"


def _money(value: str | None) -> Text:
    return unknown() if value is None else Text(money(value))


def _health(health: str | None, liquidatable: bool | None, debt: str | None) -> Text:
    if health is None:
        return Text("no debt", "green") if debt is not None and Decimal(debt) == 0 else unknown()
    value = Decimal(health)
    style = "bold red" if liquidatable else "red" if value < Decimal("1.1") else "yellow" if value < Decimal("1.3") else "green"
    return Text((f"{value:.4f}" if value < 100 else ">100") + (" !" if liquidatable else ""), style)


def _cover(venue: WhatIfVenueAccount, before: bool) -> Text:
    """A venue account's equity over its maintenance margin."""
    one = venue.before if before else venue.after
    if one.equity_usd is None or one.maintenance_margin_usd is None:
        return unknown()
    needed = Decimal(one.maintenance_margin_usd)
    if needed <= 0:
        return Text("no margin", "green")
    return _health(f"{Decimal(one.equity_usd) / needed:f}", one.liquidatable, None)


def _ratio(one: WhatIfFigures) -> Text:
    if one.margin_ratio is None:
        return unknown() if one.requirement_usd is None else Text("nothing at risk", "dim")
    return Text(f"{Decimal(one.margin_ratio):,.2f}", _style(one.margin_ratio))


def _style(ratio: str | None) -> str:
    if ratio is None:
        return ""
    value = Decimal(ratio)
    return "bold green" if value >= Decimal("1.5") else "bold yellow" if value >= 1 else "bold red"


def _score(score: str | None) -> Text:
    if score is None:
        return unknown()
    value = float(score)
    return Text(f"{score} of 100", "bold green" if value >= 80 else "bold yellow" if value >= 60 else "bold red")


def _chance(one: WhatIfFigures) -> Text:
    return unknown() if one.liquidation_probability is None else Text(share(one.liquidation_probability["1d"]))
