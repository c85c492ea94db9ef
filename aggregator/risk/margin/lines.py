"""A book netted by what is held, for methods that require something of each net position and add up; and the form of what they require."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

import numpy as np

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import (
    MarginBook,
    MissingInput,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import lacking, quotes, total, unrealised

P = TypeVar("P")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Line:
    """One instrument, netted: `units` of the underlying (signed, exact) that stand in these rows of the book."""

    instrument: Instrument
    units: Decimal
    rows: tuple[int, ...]

    @property
    def key(self) -> str:
        """What parameters are looked up by: the asset's symbol for SPOT, else the underlying."""
        return asset(self.instrument)


def asset(instrument: Instrument) -> str:
    """Name of what a SPOT holds; the underlying of everything else."""
    if instrument.kind is InstrumentKind.SPOT:
        return instrument.symbol or instrument.underlying
    return instrument.underlying


def net_lines(book: MarginBook) -> tuple[Line, ...]:
    """The book netted by kind, underlying, expiry, strike and asset, whatever the venue calls them; sorted: order does not matter."""
    found: dict[tuple[str, str, int, Decimal, bool], list[int]] = {}
    for row, holding in enumerate(book.holdings):
        one = holding.instrument
        key = (one.kind.value, asset(one), one.expiry or 0, one.strike or Decimal(0), one.inverse)
        found.setdefault(key, []).append(row)
    return tuple(
        Line(book.holdings[rows[0]].instrument, sum((book.holdings[row].units for row in rows), Decimal(0)), tuple(rows))
        for _, rows in sorted(found.items())
    )


def by_row(book: MarginBook, lines: Sequence[Line], amounts: Sequence[float] | Array) -> Array:
    """Amounts of lines given back to their holdings in proportion to size (n,): negative for a holding that offsets others of its line."""
    parts = np.zeros(len(book))
    for line, amount in zip(lines, amounts, strict=True):
        rows = list(line.rows)
        if line.units != 0:
            parts[rows] = book.columns.units[rows] / float(line.units) * amount
        elif amount:
            parts[rows] = amount / len(rows)
    return parts


def exact(value: float) -> Decimal:
    """The shortest decimal that the float stands for: what the venue printed."""
    return Decimal(repr(float(value)))


def parameter(known: Mapping[str, V], key: str, what: str) -> V:
    """The parameter of a market or an asset; MissingInput naming it where there is none."""
    if key not in known:
        raise MissingInput(f"{what} of {key} are missing")
    return known[key]


def refuse_other_than(book: MarginBook, allowed: Callable[[Instrument], bool], reason: str) -> str | None:
    """`reason`, where the book is empty or holds anything that is not allowed."""
    if book.empty:
        return "there is nothing to margin"
    return None if all(allowed(holding.instrument) for holding in book.holdings) else reason


def refuse_loans(book: MarginBook, reason: str) -> str | None:
    """`reason`, where an asset is owed."""
    return reason if bool(np.any(book.columns.spot & (book.columns.units < 0))) else None


def asset_or_perpetual(instrument: Instrument) -> bool:
    return instrument.kind is InstrumentKind.SPOT or linear_perpetual(instrument)


def linear_perpetual(instrument: Instrument) -> bool:
    return instrument.kind is InstrumentKind.PERPETUAL and not instrument.inverse


def mark(instrument: Instrument, market: Market) -> float:
    """Price of a SPOT, of a perpetual (its mark), or of a future (its forward), in USD. MissingInput where it is not there."""
    holding = Holding(instrument, Decimal(1))
    missing = lacking(holding, market)
    if missing is not None:
        raise MissingInput(f"{missing} is missing")
    return float(quotes(MarginBook((holding,)), market).price[0])


def at_oracle(market: Market) -> Market:
    """The market where perpetuals are worth what the oracle says of their underlying, for venues that margin at that price."""
    return replace(market, perpetuals=market.spot)


def value(book: MarginBook, market: Market) -> tuple[float | None, Array]:
    """Cash, spot at its price and derivatives' unrealised profit, USD (None where a profit is not known); and it by holding (n,).

    For books of spot, perpetuals and futures.
    """
    quoted = quotes(book, market)
    each = np.where(book.columns.spot, book.columns.units * quoted.price, unrealised(book, quoted))
    known = total(each)
    return None if known is None else known + book.cash, each
