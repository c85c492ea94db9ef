"""What figures are made of, and what liquidations would cost, in the terminal report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aggregator.cli.wording import money, share, unknown
from aggregator.engine.schema import ExplainDocument, MarginAccountDocument, PartDocument
from aggregator.reading.text import clean_text

ROWS = 12
YEAR_DAYS = 365
SMALLEST_USD = Decimal("0.005")
"""what rounds to nothing is not shown"""


def liquidation_section(
    accounts: Sequence[MarginAccountDocument], name: Callable[[MarginAccountDocument], str], narrow: bool
) -> RenderableType | None:
    """Time at today's rates, loss at the line and expected loss of every account that owes something; None where none does."""
    owing = [account for account in accounts if account.liquidation.loss is not None or account.liquidation.expected_loss_usd is not None]
    if not owing:
        return None
    table = _table("Account", ">Rates", ">Loss", *(() if narrow else (">Slippage", ">Gas, MEV")), ">Expected 7d")
    for account in owing[:ROWS]:
        loss, expected = account.liquidation.loss, account.liquidation.expected_loss_usd
        spared = ("", "") if loss is None else (money(loss.slippage_usd), money(Decimal(loss.gas_usd) + Decimal(loss.builders_usd)))
        table.add_row(
            Text(name(account)),
            _days(account),
            Text("") if loss is None else Text(money(loss.owner_usd), "" if loss.pays else "dim"),
            *(() if narrow else (Text(one) for one in spared)),
            unknown() if expected is None else Text(money(expected.get("7d"))),
        )
    return table


def _days(account: MarginAccountDocument) -> Text:
    days = account.liquidation.days
    if days is None:
        return Text("–", "dim")
    value = Decimal(days)
    return Text(f"{value / YEAR_DAYS:.1f} years" if value > 2 * YEAR_DAYS else f"{value:.0f} days", "" if value > YEAR_DAYS else "yellow")


def explain_sections(explain: ExplainDocument | None, named: Callable[[str], str]) -> list[tuple[str, RenderableType | None]]:
    """Titles and tables; `named` gives chains their names."""
    if explain is None:
        return [("Explained", Text("coverage does not support the figures", "dim"))]
    return [
        ("Requirement, part by part", _levels(explain, named)),
        ("Requirement, holding by holding", _contributions(explain, named)),
        ("Requirement without one account", _left_out(explain, named)),
        ("Haircuts", _haircuts(explain)),
        ("Chance of a liquidation", _probability(explain, named)),
    ]


def _levels(explain: ExplainDocument, named: Callable[[str], str]) -> RenderableType:
    table = _table("Level", "Part", ">Share", ">USD", "Set by")
    levels: list[tuple[str, Sequence[PartDocument]]] = [
        ("isolated", explain.isolated),
        ("transfer-aware", explain.transfer_aware),
        ("pooled", (explain.pooled,)),
    ]
    for level, parts in levels:
        shown = [one for one in parts if abs(Decimal(one.usd)) >= SMALLEST_USD] or list(parts[:1])
        for number, one in enumerate(shown[:ROWS]):
            table.add_row(
                Text(level if number == 0 else ""),
                Text(named(one.name)),
                Text(share(one.share)),
                Text(money(one.usd)),
                Text(named(one.scenario)),
            )
    return table


def _contributions(explain: ExplainDocument, named: Callable[[str], str]) -> RenderableType | None:
    found = [one for one in explain.contributions if abs(Decimal(one.usd)) >= SMALLEST_USD]
    if not found:
        return None
    table = _table("What", "Where", ">USD")
    for one in found[:ROWS]:
        what = "liquidation" if one.kind == "liquidation" else clean_text(one.what, 24)
        table.add_row(Text(what), Text(named(one.where)), _signed(one.usd))
    rest = sum((Decimal(one.usd) for one in found[ROWS:]), Decimal(0))
    if len(found) > ROWS:
        table.add_row(Text(f"{len(found) - ROWS} smaller ones", "dim"), Text(""), _signed(str(rest)))
    table.add_row(Text("together", "bold"), Text(""), _signed(str(sum((Decimal(one.usd) for one in explain.contributions), Decimal(0)))))
    return table


def _left_out(explain: ExplainDocument, named: Callable[[str], str]) -> RenderableType | None:
    if not explain.left_out:
        return None
    table = _table("Without", ">Less required")
    for one in sorted(explain.left_out, key=lambda one: -abs(Decimal(one.usd)))[:ROWS]:
        table.add_row(Text(named(one.where)), _signed(one.usd))
    table.add_row(Text("joint", "dim"), _signed(explain.joint_usd))
    return table


def _haircuts(explain: ExplainDocument) -> RenderableType:
    table = _table("Part", ">USD")
    for name, usd in explain.haircuts.items():
        table.add_row(Text(name), Text(money(usd)))
    return table


def _probability(explain: ExplainDocument, named: Callable[[str], str]) -> RenderableType | None:
    if not explain.probability:
        return None
    table = _table("Account", *(f">{horizon}" for horizon in explain.probability[0].own), ">Share of 1d")
    for one in sorted(explain.probability, key=lambda one: -Decimal(one.own.get("1d", "0")))[:ROWS]:
        mark = " ←" if one.where == explain.driver else ""
        table.add_row(
            Text(named(one.where) + mark), *(Text(share(value)) for value in one.own.values()), Text(share(one.share.get("1d", "0")))
        )
    return table


def _signed(usd: str) -> Text:
    value = Decimal(usd)
    return Text(f"−{money(-value)}", "green") if value < 0 else Text(money(value))


def _table(*columns: str) -> Table:
    """A plain table; a title that begins with `>` is of figures."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in columns:
        right = title[:1] == ">"
        table.add_column(
            title.lstrip(">"), justify="right" if right else "left", overflow="fold", no_wrap=right and "Expected" not in title
        )
    return table
