"""What rules for securities accounts share: which books they speak of, and what stock and options are worth in them."""

from __future__ import annotations

from decimal import Decimal

from aggregator.model.instrument import Holding, InstrumentKind
from aggregator.risk.margin.grid import option_value
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.lines import mark
from aggregator.risk.margin.market import Market
from aggregator.risk.margin.quotes import quotes


def refusal(book: MarginBook) -> str | None:
    """Why a securities account holds no such book; None where it could."""
    if book.empty:
        return "there is nothing to margin"
    columns = book.columns
    if bool((columns.perpetual | columns.future).any()):
        return "futures and perpetuals are margined by their clearing house, not in a securities account"
    return "options settled in the underlying are not securities" if bool(columns.inverse.any()) else None


def stock_price(holding: Holding, market: Market) -> float:
    """Of one unit: the holding's own mark, else the market's. MissingInput where there is neither."""
    return float(holding.mark_price) if holding.mark_price is not None else mark(holding.instrument, market)


def premium(holding: Holding, market: Market) -> float:
    """Of one unit of the underlying: the holding's own mark, else Black-76 at the market's volatility. MissingInput without either."""
    if holding.mark_price is not None:
        return float(holding.mark_price)
    if holding.instrument.kind is InstrumentKind.SPOT:
        return stock_price(holding, market)
    one = MarginBook((Holding(holding.instrument, Decimal(1)),))
    return float(option_value(one, quotes(one, market))[0]) / float(holding.instrument.contract_size)
