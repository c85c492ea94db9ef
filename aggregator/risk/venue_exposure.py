"""Venue accounts among the exposures: groups of their own, in a place of their own, with the line at which each is liquidated.

In its own liquidation rule a venue takes the dollars that it settles in for dollars, so they are fixed there; in the loss of the owner
they can break like any other. A breached account loses what is left of its maintenance margin at most: venues return what liquidation
leaves above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from aggregator.model.identifiers import AssetId
from aggregator.model.position import Side
from aggregator.risk.shapes import Array, Curve, Fixed, Linear, Shape, multiplier
from aggregator.risk.venue_book import DOLLARS, LOGS, MARGIN_LOGS, OptionSet, VenueBook, VenuePart

Part: TypeAlias = tuple[str, float, Shape]
"""name, signed USD, and how it moves"""
UNCHANGED = Fraction(1)


@dataclass(frozen=True, slots=True)
class VenueLine:
    """What equity and maintenance margin of one account are made of, each a sum of signed parts."""

    group: int
    account: int
    """number of the account: those of the portfolio's margin accounts come first"""
    venue: str
    equity: tuple[Part, ...]
    maintenance: tuple[Part, ...]
    options: Mapping[str, OptionSet]
    """by the name of their part"""
    group_at_risk: bool = True
    """whether it can be liquidated"""

    @property
    def cushion(self) -> tuple[Part, ...]:
        """Equity less maintenance margin: below 0 is liquidatable."""
        return (*self.equity, *((name, -value, shape) for name, value, shape in self.maintenance))


@dataclass(frozen=True, slots=True)
class VenueSums:
    """USD: balances owned and owed, and what positions gained since before a shock."""

    collateral: Decimal
    debt: Decimal
    profit: float = 0.0


def shape_of(part: VenuePart, lot: int) -> Shape:
    """How a part's value moves."""
    return Linear(((lot, 1.0),)) if part.options is None else _curve(part.options, lot)


def line_of(book: VenueBook, group: int, account: int, lots: Sequence[int], plain: Mapping[str, int]) -> VenueLine:
    """The line of an account; `lots` in the order of its parts, `plain` the lot of each underlying by itself."""
    parts = list(zip(book.parts, lots, strict=True))
    start = book.equity - sum(part.side.sign * part.value for part in book.parts)
    equity: list[Part] = [("cash and profit", start, Fixed())]
    for part, lot in parts:
        settled = part.side in (Side.COLLATERAL, Side.DEBT) and part.label.upper() in DOLLARS
        equity.append((part.label, part.side.sign * part.value, Fixed() if settled else shape_of(part, lot)))
    maintenance: list[Part] = []
    for name, growth in book.margin_curves.items():
        maintenance.append((name, book.maintenance, Curve(plain[name], MARGIN_LOGS, np.tile(growth, (3, 1)))))
    for name, share in book.margin_shares.items():
        maintenance.append((name, book.maintenance * share, Linear(((plain[name], 1.0),))))
    if not maintenance:
        maintenance.append(("maintenance margin", book.maintenance, Fixed()))
    options = {part.label: part.options for part in book.parts if part.options is not None}
    return VenueLine(group, account, book.venue, tuple(equity), tuple(maintenance), options, book.at_risk)


def _curve(options: OptionSet, lot: int) -> Curve:
    return Curve(lot, LOGS, 1.0 + options.gains() / options.gross)


@dataclass(frozen=True, slots=True)
class LotMoves:
    """Multipliers of lots, and of volatilities by lot; what is not there does not move."""

    prices: Mapping[int, Fraction]
    volatilities: Mapping[int, float]

    def price(self, lot: int) -> Fraction:
        return self.prices.get(lot, UNCHANGED)


def moved_part(part: Part, moves: LotMoves, options: OptionSet | None) -> Part:
    """A part of a line after the moves: the same sum at every price from there on."""
    name, value, shape = part
    match shape:
        case Linear(((lot, _),)):
            return name, value * float(moves.price(lot)), shape
        case Curve(lot):
            return name, value, _revalued(shape, moves, options).moved(float(moves.price(lot)), 0.0)
        case _:
            return part


def moved_holding(value: float, shape: Shape, moves: LotMoves, options: OptionSet | None) -> tuple[float, Shape, float]:
    """(value, shape, multiplier) of a position after the moves; an option book keeps its notional and gains what its curve says."""
    match shape:
        case Linear(((lot, _),)):
            change = float(moves.price(lot))
            return value * change, shape, change
        case Curve(lot):
            by, curve = float(moves.price(lot)), _revalued(shape, moves, options)
            level = float(curve.at(np.array([by]))[0])
            return value, curve.moved(by, 1.0 - level), level
        case _:
            return value, shape, 1.0


def _revalued(curve: Curve, moves: LotMoves, options: OptionSet | None) -> Curve:
    """The curve at other volatilities, still against today's value."""
    times = moves.volatilities.get(curve.lot, 1.0)
    if options is None or times == 1.0:
        return curve
    louder, spot = options.with_volatility(times), np.array([options.spot])
    step = float(louder.value(spot)[0] - options.value(spot)[0])
    return replace(curve, rows=1.0 + (louder.gains() + step) / options.gross)


def equity_at(line: VenueLine, lots: Array) -> Array:
    """Equity of an account at lot multipliers (…, lots)."""
    return _sum(line.equity, lots)


def maintenance_at(line: VenueLine, lots: Array) -> Array:
    """Maintenance margin of an account at lot multipliers (…, lots)."""
    return _sum(line.maintenance, lots)


def _sum(parts: Sequence[Part], lots: Array) -> Array:
    result = np.zeros(lots.shape[:-1])
    for _, value, shape in parts:
        result = result + value * multiplier(shape, lots)
    return np.asarray(result)


def asset_of(venue: str, name: str) -> AssetId:
    """How a part of a venue account is called where an asset is asked for."""
    return AssetId(f"{venue}:{name}")


def signed_terms(line: VenueLine) -> Iterator[tuple[str, Decimal, Shape]]:
    """The cushion's parts, exact decimals of their floats."""
    for name, value, shape in line.cushion:
        if value:
            yield name, Decimal(repr(value)), shape
