"""A venue's margin account after a shock: the equity that it states, carried along position by position, against its maintenance margin.

    equity      as stated, plus what every position and balance gains or loses (options by full revaluation)
    maintenance as stated, in proportion to Σ |notional| where all positions are linear (exact for margin that is a share of notional);
                with options in the proportion by which Derive's rules for such an account grow

The stated figures hold all that a venue knows and we do not (tiers, fees, accruals), so an account that does not move keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from aggregator.model.errors import CrossmarginError
from aggregator.model.instrument import Holding, Instrument, InstrumentKind, MarginMode, VenueAccount
from aggregator.risk.book_shock import SETTLEMENT, BookMoves, shocked_book, shocked_market
from aggregator.risk.margin.grid import option_value
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import Market, Quote
from aggregator.risk.margin.quotes import lacking, quotes, unrealised
from aggregator.risk.margin.registry import model

LINEAR = "in proportion to notional"


@dataclass(frozen=True, slots=True)
class VenueState:
    """USD; None where the venue states nothing or something has no price, with the reason."""

    equity_usd: float | None
    maintenance_usd: float | None
    liquidatable: bool | None
    breach: float | None
    """part of the shock after which equity is below maintenance: 0 where it already is, None where it is not"""
    method: str
    """how the maintenance margin was carried along"""
    why: str = ""


def venue_state(account: VenueAccount, market: Market, moves: BookMoves) -> VenueState:
    """One account after the moves."""
    figures = account.figures
    equity, needed = figures.equity, figures.maintenance_margin
    before = _stated(account)
    if before.why or moves.empty or equity is None or needed is None:
        return before
    holdings, market, why = _book(account, market)
    if why:
        return replace(before, equity_usd=None, maintenance_usd=None, liquidatable=None, breach=None, why=why)
    book = MarginBook(holdings)
    after_market = shocked_market(market, book, moves)
    after = shocked_book(book, market, after_market, moves)
    gained = _value(after, after_market) - _value(book, market)
    ratio, method = _growth(account, book, market, after, after_market)
    equity_after, needed_after = float(equity) + gained, float(needed) * ratio
    unmoved = gained == 0.0 and ratio == 1.0
    liquidatable = before.liquidatable if unmoved else equity_after < needed_after
    start, end = float(equity) - float(needed), equity_after - needed_after
    breach = None if not liquidatable else 0.0 if before.liquidatable or start <= 0 else start / (start - end)
    return VenueState(equity_after, needed_after, liquidatable, breach, method)


def _stated(account: VenueAccount) -> VenueState:
    figures = account.figures
    equity, needed = figures.equity, figures.maintenance_margin
    liquidatable = figures.liquidatable
    if liquidatable is None and equity is not None and needed is not None:
        liquidatable = equity < needed
    missing = "equity" if equity is None else "maintenance margin" if needed is None else ""
    return VenueState(
        None if equity is None else float(equity),
        None if needed is None else float(needed),
        liquidatable,
        0.0 if liquidatable else None,
        "as the venue states it",
        f"the venue states no {missing}" if missing else "",
    )


def _book(account: VenueAccount, market: Market) -> tuple[tuple[Holding, ...], Market, str]:
    """Positions and balances as holdings, profits stated from zero: only their change is asked for."""
    assets, holdings = dict(market.assets), []
    for holding in account.holdings:
        missing = lacking(holding, market)
        if missing is not None:
            return (), market, f"{missing} is missing"
        derivative = holding.instrument.kind in (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
        holdings.append(replace(holding, unrealised=holding.unrealised or Decimal(0)) if derivative else holding)
    for balance in account.balances if account.shares_collateral_with is None else ():
        price = balance.price_usd if balance.price_usd is not None else Decimal(1) if balance.symbol == SETTLEMENT else None
        if price is None and balance.amount:
            return (), market, f"price of {balance.symbol} is missing"
        assets[balance.symbol] = Quote(float(price or 0))
        underlying = (
            balance.symbol if balance.symbol in market.spot or balance.symbol == SETTLEMENT else _underlying(balance.symbol, market)
        )
        holdings.append(Holding(Instrument(InstrumentKind.SPOT, underlying, symbol=balance.symbol), balance.amount))
    return tuple(holdings), replace(market, assets=assets), ""


def _underlying(symbol: str, market: Market) -> str:
    """The factor behind a wrapped coin that venues take as collateral, by its name; the symbol itself where none is alike."""
    alike = [name for name in market.spot if len(name) >= 3 and symbol.upper().endswith(name.upper())]
    return max(alike, key=lambda name: (len(name), name), default=symbol)


def _value(book: MarginBook, market: Market) -> float:
    quoted = quotes(book, market)
    assets = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
    return float((assets + option_value(book, quoted) + unrealised(book, quoted)).sum())


def _growth(account: VenueAccount, book: MarginBook, market: Market, after: MarginBook, after_market: Market) -> tuple[float, str]:
    """By how much the maintenance margin grows, and by which rule."""
    if not book.columns.option.any():
        old, new = (_notional(one, there) for one, there in ((book, market), (after, after_market)))
        return (new / old if old > 0 else 1.0), LINEAR
    name = "derive-pmrm2" if account.mode is MarginMode.PORTFOLIO else "derive-standard"
    method = model(name)
    parameters = method.default_parameters()
    derivatives = [row for row, holding in enumerate(book.holdings) if holding.instrument.kind.is_derivative]
    try:
        old, new = (
            method.requirement(one.take(derivatives), there, parameters, Kind.MAINTENANCE).amount
            for one, there in ((book, market), (after, after_market))
        )
    except CrossmarginError:
        old, new = (_notional(one, there) for one, there in ((book, market), (after, after_market)))
        return (new / old if old > 0 else 1.0), LINEAR
    return (new / old if old > 0 else 1.0), name


def _notional(book: MarginBook, market: Market) -> float:
    """Σ |notional| of derivatives in USD; an inverse contract's is fixed in the quote currency."""
    columns, quoted = book.columns, quotes(book, market)
    size: Sequence[float] = np.where(columns.inverse, np.abs(columns.units), np.abs(columns.units) * quoted.spot)[~columns.spot].tolist()
    return float(sum(size))
