"""Drawn price histories: a market that all follow, calm and wild times, and what an asset does alone."""

from __future__ import annotations

import numpy as np

from aggregator.risk.market_risk.panel import Panel
from aggregator.risk.shapes import Array

FIRST_DAY = 18_000


def panel_of(close: Array, symbols: tuple[str, ...] = (), low: Array | None = None) -> Panel:
    """T×A closes as a panel; the lows are the closes where none are given."""
    names = symbols or tuple(f"A{number}" for number in range(close.shape[1]))
    lows = close if low is None else low
    return Panel(names, np.arange(FIRST_DAY, FIRST_DAY + len(close), dtype=np.int64), close, np.minimum(lows, close))


def drawn(days: int, assets: int, seed: int, volatility: float = 0.045) -> Panel:
    """Student-t returns with one common factor and slowly changing volatility; every asset has the same law."""
    random = np.random.default_rng(seed)
    level = np.exp(0.35 * np.convolve(random.normal(size=days + 60), np.full(60, 60**-0.5), mode="valid")[:days])
    common = random.standard_t(5, size=days) * (3 / 5) ** 0.5
    own = random.standard_t(5, size=(days, assets)) * (3 / 5) ** 0.5
    returns = volatility * level[:, None] * (0.8 * common[:, None] + 0.6 * own)
    close = 100.0 * np.exp(np.cumsum(returns, axis=0))
    dips = np.abs(random.normal(size=close.shape)) * 0.3 * volatility
    return panel_of(close, low=close * np.exp(-dips))
