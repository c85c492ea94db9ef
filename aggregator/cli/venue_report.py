"""Accounts at trading venues in the terminal report: one line each, with the position that comes closest to liquidation."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from aggregator.cli.wording import money, move, short_owner, unknown
from aggregator.engine.schema import HoldingDocument, VenueAccountDocument
from aggregator.reading.text import clean_text

ACCOUNTS = 12


def venue_section(accounts: Sequence[VenueAccountDocument], narrow: bool) -> RenderableType | None:
    """A table of the accounts, the least covered first; None where there are none."""
    if not accounts:
        return None
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    table.add_column("Account", overflow="fold")
    for heading in ("Equity", "Maintenance") if narrow else ("Equity", "Initial", "Maintenance"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Liquidation", overflow="fold")
    for account in sorted(accounts, key=_cover)[:ACCOUNTS]:
        figures = [account.equity_usd, account.initial_margin_usd, account.maintenance_margin_usd]
        cells = [_figure(figure) for figure in (figures[::2] if narrow else figures)]
        table.add_row(Text(_name(account)), *cells, _nearest(account))
    if len(accounts) > ACCOUNTS:
        table.add_row(Text(f"and {len(accounts) - ACCOUNTS} more", "dim"))
    return table


def _name(account: VenueAccountDocument) -> str:
    parts = (clean_text(account.venue, 16), short_owner(account.account.partition("/")[0]), clean_text(account.label, 36))
    return " ".join(part for part in parts if part)


def _cover(account: VenueAccountDocument) -> tuple[bool, Decimal]:
    """Maintenance margin over equity, the most first; accounts without either last."""
    if account.equity_usd is None or account.maintenance_margin_usd is None or Decimal(account.equity_usd) <= 0:
        return not account.liquidatable, Decimal(0)
    return False, -Decimal(account.maintenance_margin_usd) / Decimal(account.equity_usd)


def _figure(value: str | None) -> Text:
    return Text("–", "dim") if value is None else Text(money(value))


def _nearest(account: VenueAccountDocument) -> Text:
    if account.liquidatable:
        return Text("can be liquidated now", "bold red")
    moves = {one.instrument: found for one in account.holdings if (found := _move(one)) is not None}
    if moves:
        name = min(moves, key=lambda one: abs(moves[one]))
        return Text(f"{clean_text(name, 32)} {move(moves[name])}")
    return unknown() if account.holdings and account.liquidatable is None else Text("–", "dim")


def _move(holding: HoldingDocument) -> Decimal | None:
    """From the mark to the liquidation price, relative; options state theirs on another scale."""
    if holding.liquidation_price is None or holding.mark_price is None or holding.strike is not None or not Decimal(holding.mark_price):
        return None
    return Decimal(holding.liquidation_price) / Decimal(holding.mark_price) - 1
