"""Made-up hourly histories for the calibration record."""

from __future__ import annotations

import numpy as np

from aggregator.risk.score_backtest.panel import HOUR, Panel, panel
from aggregator.risk.shapes import Array

FIRST = 1_650_000_000 // HOUR * HOUR


def closes(days: int, assets: int, seed: int = 0, sigma: float = 0.009) -> Array:
    """(hours, assets): prices with a common part and clustered volatility."""
    generator = np.random.default_rng(seed)
    hours = 24 * days
    loud = np.exp(0.4 * np.sin(np.arange(hours) / 400.0))[:, None]
    common = generator.standard_t(4, (hours, 1))
    moves = sigma * loud * (0.8 * common + 0.6 * generator.standard_t(4, (hours, assets))) / 2**0.5
    return np.asarray(100.0 * np.exp(np.cumsum(moves, axis=0)))


def drawn(days: int = 160, symbols: tuple[str, ...] = ("BTC", "ETH", "FOO"), seed: int = 0, sigma: float = 0.009) -> Panel:
    prices = closes(days, len(symbols), seed, sigma)
    return of_prices(symbols, prices)


def of_prices(symbols: tuple[str, ...], prices: Array) -> Panel:
    """Panel of prices, NaN where there is no bar."""
    opened = FIRST + HOUR * np.arange(len(prices), dtype=np.float64)
    return panel({symbol: (opened, prices[:, column]) for column, symbol in enumerate(symbols)})
