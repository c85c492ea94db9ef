"""Full revaluation of a book on a grid of price moves and volatilities: the kernel of every scan that is not a contract's own.

A scenario moves an underlying by a relative amount; perpetuals, forwards and the asset itself move alike, the part of a forward that a
settlement average has fixed does not.
"""

from __future__ import annotations

import numpy as np

from aggregator.risk.margin.interface import IntArray, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, Array
from aggregator.risk.margin.quotes import Quotes
from aggregator.risk.pricing.black76 import CALL, PUT, price


def term_shock(seconds: Array, short_power: Array | float, long_power: Array | float, floor_days: float) -> Array:
    """(30 d / max(T, floor))^p with p by T below or from 30 days: how much a volatility moves against one of 30 days."""
    days = np.maximum(seconds / SECONDS_PER_DAY, floor_days)
    return np.asarray((30.0 / days) ** np.where(days < 30.0, short_power, long_power), dtype=np.float64)


def profits(book: MarginBook, quoted: Quotes, moves: Array, volatility: Array) -> Array:
    """USD profit of each holding, shape (n, scenarios): assets and linear contracts at the moved price, coin-settled ones in USD there.

    `moves` are relative, shape (scenarios,) or (n, scenarios); `volatility` is absolute, shape (n, scenarios).
    """
    columns = book.columns
    moves = np.broadcast_to(moves, volatility.shape)
    notional = columns.units * np.where(columns.inverse, 1.0, quoted.price)
    result = notional[:, None] * moves
    rows = np.flatnonzero(columns.option).astype(np.int64)
    if len(rows):
        # a coin-settled option is worth its forward value over the forward, in coins that are worth the spot
        scale = columns.units[rows] * np.where(columns.inverse[rows], quoted.spot[rows] / quoted.price[rows], 1.0)
        result[rows] = scale[:, None] * (_values(book, quoted, rows, moves[rows], volatility[rows]) - _now(book, quoted, rows)[:, None])
    return np.asarray(result, dtype=np.float64)


def coin_profits(book: MarginBook, quoted: Quotes, moves: Array, volatility: Array) -> Array:
    """Profit of coin-settled contracts in coins of the underlying, shape (n, scenarios); 0 for everything else.

    A contract of N quote units with mark P: N/P·x/(1 + x). An option: the change of its value over its forward.
    """
    columns = book.columns
    moves = np.broadcast_to(moves, volatility.shape)
    coins = np.where(columns.inverse, columns.units, 0.0) / quoted.price
    result = coins[:, None] * moves / (1.0 + moves)
    rows = np.flatnonzero(columns.option & columns.inverse).astype(np.int64)
    if len(rows):
        forward = quoted.variable[rows, None] * (1.0 + moves[rows]) + quoted.fixed[rows, None]
        shocked = _values(book, quoted, rows, moves[rows], volatility[rows]) / forward
        result[rows] = columns.units[rows, None] * (shocked - (_now(book, quoted, rows) / quoted.price[rows])[:, None])
    result[~columns.inverse] = 0.0
    return np.asarray(result, dtype=np.float64)


def option_value(book: MarginBook, quoted: Quotes) -> Array:
    """(n,) mark-to-market of the options in USD by Black-76, undiscounted; 0 for everything else."""
    columns = book.columns
    result = np.zeros(len(book))
    rows = np.flatnonzero(columns.option).astype(np.int64)
    scale = np.where(columns.inverse[rows], quoted.spot[rows] / quoted.price[rows], 1.0)
    result[rows] = columns.units[rows] * scale * _now(book, quoted, rows)
    return result


def _values(book: MarginBook, quoted: Quotes, rows: IntArray, moves: Array, volatility: Array) -> Array:
    side = np.where(book.columns.call[rows], CALL, PUT)[:, None]
    forward = quoted.variable[rows, None] * (1.0 + moves) + quoted.fixed[rows, None]
    return price(forward, book.columns.strike[rows, None], quoted.years[rows, None], volatility, side)


def _now(book: MarginBook, quoted: Quotes, rows: IntArray) -> Array:
    side = np.where(book.columns.call[rows], CALL, PUT)
    return price(quoted.price[rows], book.columns.strike[rows], quoted.years[rows], quoted.volatility[rows], side)
