"""A market laid out along a book: one number a holding, or the name of what is missing; and sums over groups of holdings."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from aggregator.model.instrument import Holding, InstrumentKind
from aggregator.risk.margin.interface import IntArray, MarginBook, MissingInput
from aggregator.risk.margin.market import SECONDS_PER_YEAR, Array, Market, Quote


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """Arrays of length n in the order of the holdings; NaN (confidence 1) where the kind of holding has no such quote."""

    spot: Array
    """of the underlying"""
    spot_confidence: Array
    price: Array
    """of what is held: the asset of a SPOT, the mark of a perpetual, the forward of a future or an option"""
    confidence: Array
    """of that price; for what expires, of the forward and the rate"""
    variable: Array
    """part of the forward that still moves"""
    fixed: Array
    rate: Array
    volatility: Array
    volatility_confidence: Array
    seconds: Array
    """to expiry, ≥ 0; infinite without one"""
    years: Array

    def take(self, rows: IntArray) -> Quotes:
        """Those of some holdings."""
        return Quotes(*(getattr(self, one.name)[rows] for one in fields(self)))


def lacking(holding: Holding, market: Market) -> str | None:
    """What the market does not say of a holding, in words; None where every quote is there."""
    instrument = holding.instrument
    if instrument.kind is InstrumentKind.SPOT:
        return None if _asset(holding, market) is not None else f"price of {instrument.symbol or instrument.underlying}"
    if instrument.underlying not in market.spot:
        return f"spot price of {instrument.underlying}"
    if instrument.kind is InstrumentKind.PERPETUAL:
        return None if instrument.underlying in market.perpetuals else f"mark price of the {instrument.underlying} perpetual"
    key = (instrument.underlying, instrument.expiry or 0)
    if key not in market.forwards:
        return f"forward price of {instrument.underlying} for {instrument.expiry}"
    if instrument.kind.is_option and (*key, float(instrument.strike or 0)) not in market.volatilities:
        return f"volatility of {instrument.label}"
    return None


def quotes(book: MarginBook, market: Market) -> Quotes:
    """Lay the market out. MissingInput naming the first thing that is not there."""
    rows = [_row(book.holdings[row], market) for row in book.quoted]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 9)[book.columns.quote_group]
    seconds = np.maximum(book.columns.expiry - market.as_of, 0.0)
    spot, spot_confidence, price, confidence, variable, fixed, rate, volatility, volatility_confidence = table.T
    return Quotes(
        spot,
        spot_confidence,
        price,
        confidence,
        variable,
        fixed,
        rate,
        volatility,
        volatility_confidence,
        seconds,
        seconds / SECONDS_PER_YEAR,
    )


def unrealised(book: MarginBook, quoted: Quotes) -> Array:
    """Profit of perpetuals and futures not yet in cash, USD: the venue's figure, else from entry and mark; NaN where neither is known.

    0 for spot and options, which are worth what they are worth.
    """
    columns = book.columns
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = columns.units * (quoted.price - columns.entry)
        inverse = columns.units * (1.0 / columns.entry - 1.0 / quoted.price) * quoted.spot
    derived = np.where(columns.inverse, inverse, linear)
    stated = np.where(np.isnan(columns.profit), derived, columns.profit)
    return np.where(columns.perpetual | columns.future, stated, 0.0)


def total(values: Array) -> float | None:
    """Sum, None where a part is not known."""
    result = float(values.sum())
    return None if np.isnan(result) else result


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Rows by key. Every group has a row; groups are numbered in the order of their keys."""

    index: IntArray
    """group of each row"""
    count: int
    first: IntArray
    """one row of each group"""
    _order: IntArray
    _starts: IntArray

    @staticmethod
    def of(keys: IntArray) -> Groups:
        """Group equal keys."""
        _, first, index = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(index, kind="stable")
        starts = np.searchsorted(index[order], np.arange(len(first)))
        return Groups(index.astype(np.int64), len(first), first.astype(np.int64), order.astype(np.int64), starts.astype(np.int64))

    def sum(self, values: Array) -> Array:
        """Sums of rows, shape (count, …)."""
        return self._reduce(np.add, values)

    def min(self, values: Array) -> Array:
        """Least of rows, shape (count, …)."""
        return self._reduce(np.minimum, values)

    def _reduce(self, how: np.ufunc, values: Array) -> Array:
        if self.count == 0:
            return np.zeros((0, *values.shape[1:]))
        return np.asarray(how.reduceat(values[self._order], self._starts, axis=0), dtype=np.float64)


def pair(first: NDArray[np.int64], second: NDArray[np.int64]) -> IntArray:
    """One key of two: equal only where both are."""
    width = int(second.max(initial=0)) + 2
    return first * width + second


def account_keys(book: MarginBook, accounts: IntArray | None) -> IntArray:
    """(n,) key of what is netted: the underlying, within its account where `accounts` numbers them; each holding by `each_alone`."""
    underlying = book.columns.underlying
    return underlying if accounts is None else pair(accounts, underlying)


def each_alone(book: MarginBook) -> IntArray:
    """Every holding in an account of its own."""
    return np.arange(len(book), dtype=np.int64)


def _row(holding: Holding, market: Market) -> tuple[float, ...]:
    found = _quoted(holding, market)
    if found is None:
        raise MissingInput(f"{lacking(holding, market)} is missing")
    return found


def _quoted(holding: Holding, market: Market) -> tuple[float, ...] | None:
    """A row of the table; None where the market lacks something."""
    instrument = holding.instrument
    nothing = float("nan")
    spot = market.spot.get(instrument.underlying)
    if instrument.kind is InstrumentKind.SPOT:
        asset = _asset(holding, market)
        if asset is None:
            return None
        spot = spot or asset
        return spot.value, spot.confidence, asset.value, asset.confidence, nothing, 0.0, 0.0, nothing, 1.0
    if spot is None:
        return None
    if instrument.kind is InstrumentKind.PERPETUAL:
        mark = market.perpetuals.get(instrument.underlying)
        return None if mark is None else (spot.value, spot.confidence, mark.value, mark.confidence, nothing, 0.0, 0.0, nothing, 1.0)
    forward = market.forwards.get((instrument.underlying, instrument.expiry or 0))
    if forward is None:
        return None
    known = (spot.value, spot.confidence, forward.price, forward.confidence, forward.variable, forward.fixed, forward.rate)
    if not instrument.kind.is_option:
        return (*known, nothing, 1.0)
    volatility = market.volatilities.get((instrument.underlying, instrument.expiry or 0, float(instrument.strike or 0)))
    return None if volatility is None else (*known, volatility.value, volatility.confidence)


def _asset(holding: Holding, market: Market) -> Quote | None:
    instrument = holding.instrument
    own = market.assets.get(instrument.symbol)
    if own is not None or instrument.symbol not in ("", instrument.underlying):
        return own
    return market.spot.get(instrument.underlying)
