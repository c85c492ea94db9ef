"""The terminal report of a health document: headline, what is owned and owed, margin accounts, what goes first, what is missing.

Names that chains give are cleaned and never read as markup. Nothing is wider than the console. Colour only repeats what words say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from aggregator.cli.explain_report import explain_sections, liquidation_section
from aggregator.cli.venue_report import venue_section
from aggregator.cli.wording import amount, money, move, name_of, share, short_owner, unknown
from aggregator.engine.schema import HealthDocument, LegDocument, LiquidationPriceDocument, MarginAccountDocument
from aggregator.model.identifiers import ChainId
from aggregator.reading.text import clean_text

NARROW = 76
"""below this, columns that can be spared are left out"""
WIDE = 100
"""from here on a margin account fits on one line"""
HOLDINGS = 12
MISSING = 8
WARNINGS = 8
BAR = 10
ROOMY = 120
"""from here on health bars have their full length"""
ACCOUNT, PRICE = 24, 16
"""cells that an account's place and its liquidation price keep in a table; what is longer wraps"""


@dataclass(frozen=True, slots=True)
class _Page:
    """What every section needs."""

    document: HealthDocument
    names: Mapping[ChainId, str]
    width: int

    @property
    def narrow(self) -> bool:
        return self.width < NARROW

    def named(self, text: str) -> str:
        """A sentence of ours with chains by name instead of by id."""
        return re.sub(r"eip155:\d+", lambda found: self.chain(found[0]), clean_text(text, 200))

    @property
    def wide(self) -> bool:
        return self.width >= WIDE

    def account(self, account: MarginAccountDocument) -> str:
        return _place(self, account)

    def chain(self, chain: str) -> str:
        return self.names.get(ChainId(chain), chain)


def print_report(document: HealthDocument, console: Console, names: Mapping[ChainId, str] | None = None, explained: bool = False) -> None:
    """Print the report; `names` gives chains' names by CAIP-2 id; `explained` adds what every figure is made of."""
    page = _Page(document, names or {}, console.width)
    sections: list[tuple[str, RenderableType | None]] = [
        ("", _headline(page)),
        ("What you own and owe", _balances(page)),
        ("Holdings", _holdings(page)),
        ("Margin accounts", _accounts(page)),
        ("At trading venues", venue_section(document.venue_accounts, page.narrow)),
        ("What would be liquidated first", _order(page)),
        ("What a liquidation would cost", liquidation_section(document.margin_accounts, page.account, page.narrow)),
        ("Isolated and cross margin", _comparison(page)),
        *(explain_sections(document.explain, page.named) if explained else ()),
        ("Missing", _missing(page)),
        ("Warnings", _warnings(page)),
    ]
    for title, body in sections:
        if body is None:
            continue
        if title:
            console.print()
            console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
        console.print(body)


def _headline(page: _Page) -> RenderableType:
    document, health = page.document, page.document.health
    owners = ", ".join(short_owner(owner) for owner in document.owners[:4])
    more = f" and {len(document.owners) - 4} more" if len(document.owners) > 4 else ""
    times = sorted(one.timestamp for one in document.snapshots if one.timestamp is not None)
    reached = [one for one in document.snapshots if one.block is not None]
    as_of = f"as of {times[0].replace('T', ' ').replace('Z', ' UTC')}, " if times else ""
    missing = len(document.coverage.missing)
    coverage = Text("complete", "green") if document.coverage.complete else Text(f"{missing} gap{'s' * (missing != 1)}", "yellow")
    cells = [
        ("Score", _score(health.score)),
        ("Equity", Text(money(health.equity_usd), "bold")),
        ("Margin ratio", _ratio(health.margin_ratio, health.requirement_usd)),
        ("Coverage", coverage),
    ]
    grid = Table.grid(padding=(0, 3))
    per_row = 2 if page.narrow else 4
    for start in range(0, len(cells), per_row):
        grid.add_row(*(Text(label, "dim") for label, _ in cells[start : start + per_row]))
        grid.add_row(*(value for _, value in cells[start : start + per_row]))
    after = money(health.collateral_after_haircuts_usd)
    lines: list[RenderableType] = [
        Text(f"Unified health of {owners}{more}", "bold"),
        Text(f"{as_of}{len(reached)} of {len(document.snapshots)} chains read", "dim"),
        Text(),
        grid,
        Text(),
        Text(f"Owned {money(health.collateral_usd)}, {after} after haircuts; owed {money(health.debt_usd)}."),
    ]
    if health.requirement_usd is not None and health.worst_scenario is not None and Decimal(health.requirement_usd) > 0:
        worst = clean_text(health.worst_scenario.name, 80)
        lines.append(Text(f"Requirement {money(health.requirement_usd)}, set by {worst}; {money(health.netting_benefit_usd)} netted."))
    if health.trapped_collateral_usd is not None and Decimal(health.trapped_collateral_usd) >= 1:
        lines.append(Text(f"{money(health.trapped_collateral_usd)} of free collateral could not arrive in time.", "yellow"))
    if health.liquidation_probability is not None:
        chances = [f"{share(value)} within {name}" for name, value in health.liquidation_probability.items()]
        lines.append(Text(f"Chance of a liquidation when nobody acts: {', '.join(chances)}."))
    return Group(*lines)


def _score(score: str | None) -> Text:
    if score is None:
        return unknown()
    value = float(score)
    style = "bold green" if value >= 80 else "bold yellow" if value >= 60 else "bold red"
    return Text.assemble((f"{score} of 100", style))


def _ratio(ratio: str | None, requirement: str | None) -> Text:
    if ratio is None:
        return unknown() if requirement is None else Text("nothing at risk", "dim")
    value = Decimal(ratio)
    return Text(f"{value:,.2f}", "bold green" if value >= Decimal("1.5") else "bold yellow" if value >= 1 else "bold red")


def _table(*columns: str) -> Table:
    """A plain table. A title that begins with `>` is of figures: right-aligned; with `>` or `=`, never wrapped. The rest may wrap."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in columns:
        table.add_column(
            title.lstrip(">="), justify="right" if title[:1] == ">" else "left", overflow="fold", no_wrap=title[:1] in (">", "=")
        )
    return table


def _everything(document: HealthDocument) -> Iterable[tuple[str, str, LegDocument]]:
    """(chain, protocol, leg) of every leg."""
    for position in document.positions:
        yield from ((position.chain, position.protocol, leg) for leg in position.legs)
    for account in document.margin_accounts:
        for position in account.positions:
            yield from ((account.chain, account.protocol, leg) for leg in position.legs)


def _balances(page: _Page) -> RenderableType | None:
    sums: dict[tuple[str, str], list[Decimal]] = {}
    unvalued: set[tuple[str, str]] = set()
    for chain, protocol, leg in _everything(page.document):
        if leg.side in ("long", "short"):
            continue  # what a position stands for is neither owned nor owed
        pair = sums.setdefault((chain, protocol), [Decimal(0), Decimal(0)])
        if leg.value_usd is None:
            unvalued.add((chain, protocol))
        else:
            pair[leg.side == "debt"] += Decimal(leg.value_usd)
    if not sums:
        return Text("Nothing was found.", "dim")
    table = _table("Chain", "Protocol", ">Owned", ">Owed", *(() if page.narrow else (">Net",)))
    for key, (owned, owed) in sorted(sums.items(), key=lambda item: (-(item[1][0] + item[1][1]), item[0])):
        mark = " +?" if key in unvalued else ""
        row = [
            page.chain(key[0]),
            key[1],
            money(owned) + mark,
            money(owed) if owed else "",
            *(() if page.narrow else (money(owned - owed),)),
        ]
        table.add_row(*(Text(cell) for cell in row))
    note = Text("+? and amounts without a believed price", "dim") if unvalued else Text()
    return Group(table, note) if unvalued else table


def _holdings(page: _Page) -> RenderableType | None:
    legs = [
        (Decimal(leg.value_usd), chain, protocol, leg) for chain, protocol, leg in _everything(page.document) if leg.value_usd is not None
    ]
    legs = sorted((one for one in legs if one[0] > 0), key=lambda one: (-one[0], one[1], one[2], one[3].asset))
    if not legs:
        return None
    table = _table(">Amount", "Asset", ">Value", ">Haircut", *(() if page.narrow else ("Where",)))
    for value, chain, protocol, leg in legs[:HOLDINGS]:
        owed = leg.side in ("debt", "short")
        held = amount(int(leg.amount_raw) + int(leg.fees_raw), leg.decimals)
        inside = f" ({', '.join(name_of(part.symbol) for part in leg.look_through[:3])})" if leg.look_through and not page.narrow else ""
        row = [
            Text(f"−{held}" if owed else held, "red" if owed else ""),
            Text(name_of(leg.symbol) + inside),
            Text(f"−{money(value)}" if owed else money(value), "red" if owed else ""),
            Text("" if leg.haircut is None else share(leg.haircut), "dim"),
        ]
        table.add_row(*row, *(() if page.narrow else (Text(f"{protocol}, {page.chain(chain)}", "dim"),)))
    if len(legs) <= HOLDINGS:
        return table
    return Group(table, Text(f"and {len(legs) - HOLDINGS} smaller ones", "dim"))


def _place(page: _Page, account: MarginAccountDocument) -> str:
    label = clean_text(account.label, 40) or (account.market if len(account.market) <= 20 else f"{account.market[:8]}…")
    return f"{account.protocol} {label}, {page.chain(account.chain)}"


def _accounts(page: _Page) -> RenderableType | None:
    accounts = page.document.margin_accounts
    if not accounts:
        return None
    several = len({account.owner for account in accounts}) > 1
    table = _table("Account", "=Health", ">Collateral", ">Debt", "Liquidated at")
    table.columns[0].min_width = min(ACCOUNT, max(len(_place(page, account)) for account in accounts))
    table.columns[-1].min_width = PRICE
    bar = BAR if page.width >= ROOMY else BAR // 2
    lines: list[Text] = []
    for account in sorted(accounts, key=_urgency):
        where = _place(page, account) + (f" {account.owner[:8]}…" if several else "")
        health, debt = _health(account, bar), money(account.debt_usd)
        table.add_row(Text(where), health, Text(money(account.collateral_usd)), Text(debt), Text(_first_price(account)))
        lines.append(Text(where, "bold"))
        lines.append(Text.assemble("  ", health, f"  {money(account.collateral_usd)} against {debt}"))
        if account.liquidation.prices:
            now = account.liquidation.liquidatable
            lines.append(Text(f"  liquidated {'' if now else 'at '}{_first_price(account)}"))
    return table if page.wide else Group(*lines)


def _urgency(account: MarginAccountDocument) -> tuple[bool, Decimal, str, str]:
    health = account.health_factor
    return health is None, Decimal(health) if health is not None else Decimal(0), account.chain, account.market


def _health(account: MarginAccountDocument, cells: int) -> Text:
    if account.health_factor is None:
        return Text("no debt", "green") if account.liquidation.liquidatable is not None and not _owes(account) else unknown()
    value = Decimal(account.health_factor)
    style = "red" if value < Decimal("1.1") else "yellow" if value < Decimal("1.3") else "green"
    filled = min(cells, max(0, int((value - 1) * cells)))
    shown = f"{value:.4f}" if value < 100 else ">100"
    text = Text.assemble((f"{'█' * filled}{'░' * (cells - filled)} {shown}", style))
    if account.liquidation.liquidatable:
        text.append(" LIQUIDATABLE" if account.liquidation.blocked is None else " BLOCKED", "bold red")
    return text


def _owes(account: MarginAccountDocument) -> bool:
    return any(leg.side == "debt" for position in account.positions for leg in position.legs)


def _nearest(account: MarginAccountDocument) -> LiquidationPriceDocument | None:
    """The nearest price of an asset that moves with the market, else of a peg."""
    return min(account.liquidation.prices, key=lambda price: (not price.volatile, abs(Decimal(price.move)), price.asset), default=None)


def _first_price(account: MarginAccountDocument) -> str:
    nearest = _nearest(account)
    if nearest is None:
        return ""
    at = money(nearest.price_usd, price=True) if nearest.price_usd is not None else "?"
    price = f"{name_of(nearest.symbol)} {at} ({move(nearest.move)})"
    return f"now, until {price}" if account.liquidation.liquidatable else price


def _order(page: _Page) -> RenderableType | None:
    known = [
        (Decimal(one.liquidation.market_move), one) for one in page.document.margin_accounts if one.liquidation.market_move is not None
    ]
    if not known:
        return None
    table = _table(">", ">Market", "Account", "=Liquidated at")
    ordered: Sequence[tuple[Decimal, MarginAccountDocument]] = sorted(known, key=lambda one: (abs(one[0]), one[1].chain, one[1].market))
    for place, (common, account) in enumerate(ordered[:HOLDINGS], start=1):
        when = Text("now", "bold red") if common == 0 else Text(move(common))
        table.add_row(Text(f"{place}."), when, Text(_place(page, account)), Text(_first_price(account)))
    return table


def _comparison(page: _Page) -> RenderableType | None:
    table = page.document.isolated_versus_cross
    if table.requirement.isolated is None or not (page.document.margin_accounts or page.document.positions):
        return None
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "Isolated", "Cross"):
        shown.add_column(title, overflow="fold")
    for label, figure in (("Delta", table.delta), ("Vega", table.vega), ("Requirement", table.requirement)):
        shown.add_row(Text(label), Text(money(figure.isolated)), Text(money(figure.cross)))
    trigger = table.liquidation_trigger
    shown.add_row(Text("Trigger"), Text(page.named(trigger.isolated or "")), Text(page.named(trigger.cross or "")))
    return shown


def _missing(page: _Page) -> RenderableType | None:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for gap in page.document.coverage.missing:
        groups.setdefault((gap.chain, gap.protocol, gap.why), []).append(gap.what)
    if not groups:
        return None
    lines = []
    for (chain, protocol, why), things in sorted(groups.items(), key=lambda item: (item[0][1] != "*", item[0])):
        what = clean_text(things[0], 120) + (f" and {len(things) - 1} more" if len(things) > 1 else "")
        place = page.chain(chain) if protocol == "*" else f"{page.chain(chain)}, {protocol}"
        lines.append(Text(f"{place}: {what}: {clean_text(why, 160)}", "yellow" if protocol == "*" else ""))
    return _shortened(lines, MISSING)


def _warnings(page: _Page) -> RenderableType | None:
    groups: dict[str, list[str]] = {}
    for warning in page.document.warnings:
        groups.setdefault(warning.code, []).append(warning.detail)
    lines = []
    for code, details in sorted(groups.items()):
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        lines.append(Text.assemble((code, "yellow"), f" {clean_text(details[0], 240)}{more}"))
    return _shortened(lines, WARNINGS) if lines else None


def _shortened(lines: Sequence[Text], most: int) -> RenderableType:
    rest = len(lines) - most
    shown = list(lines[:most]) + ([Text(f"… {rest} more in --json", "dim")] if rest > 0 else [])
    return Padding(Group(*shown), (0, 0))
