"""The plain models that the dynamic haircut is measured against. Each forecasts from rows 0…t what is posted at the end of day t.

| id | haircut for k days |
|---|---|
| aave-static | 1 − LT·(1 + bonus), the buffer before bad debt, from the parameters of 31 October 2023; absent where Aave listed nothing |
| historical-simulation | 99 % quantile of the last 250 known k-day losses |
| ewma-t4 | 1 − exp(−q·σ√k), σ² ← 0.97σ² + 0.03r², q = 2.65: 99 % quantile of Student's t with 4 degrees of freedom and variance 1 |
| filtered-historical-simulation | σ as above times the 99 % quantile of all known −r_k/(σ√k), times √k |
| robust-g1 | m ← 0.97m + 0.03·min(|r|, 4m), σ² = 0.75·(1.35m)² + 0.25·mean(r²), 1 − exp(−2.65·σ√k) |

GJR-GARCH has a module of its own.
"""

from __future__ import annotations

from bisect import insort
from types import MappingProxyType

import numpy as np

from aggregator.risk.market_risk.panel import Panel, close_losses, returns
from aggregator.risk.shapes import Array

CONFIDENCE = 0.99
DECAY = 0.97
STUDENT = 2.65
WINDOW = 250
LEAST = 100
"""known outcomes before a quantile of them is taken"""
SEED_DAYS = 20
CLIP = 4.0
ABSOLUTE_TO_STANDARD = 1.35
LONG_RUN = 0.25

AAVE_PARAMETERS = MappingProxyType(
    {
        **dict.fromkeys(("ETH", "WETH"), (0.83, 0.05)),
        **dict.fromkeys(("BTC", "WBTC"), (0.78, 0.05)),
        **dict.fromkeys(("STETH", "WSTETH"), (0.81, 0.06)),
        **dict.fromkeys(("RETH", "CBETH"), (0.77, 0.075)),
        **dict.fromkeys(("AVAX", "WAVAX"), (0.73, 0.09)),
        **dict.fromkeys(("MATIC", "WMATIC", "POL"), (0.73, 0.07)),
        "LINK": (0.68, 0.07),
        "AAVE": (0.73, 0.075),
        "UNI": (0.77, 0.10),
        "MKR": (0.70, 0.085),
        "CRV": (0.41, 0.083),
        "LDO": (0.50, 0.09),
        "SNX": (0.65, 0.085),
        "ARB": (0.60, 0.10),
        "OP": (0.40, 0.10),
        "BAL": (0.62, 0.083),
        "1INCH": (0.67, 0.075),
        "ENS": (0.49, 0.08),
        "SUSHI": (0.45, 0.10),
        "USDC": (0.80, 0.045),
        "USDT": (0.76, 0.045),
        "DAI": (0.80, 0.05),
        "FRAX": (0.75, 0.06),
        "LUSD": (0.80, 0.045),
    }
)
"""liquidation threshold and bonus of the chain where the asset is at home"""


def aave_static(panel: Panel, horizon: int) -> Array:
    """Constant; the same for every horizon."""
    cuts = []
    for symbol in panel.symbols:
        threshold, bonus = AAVE_PARAMETERS.get(symbol.upper(), (np.nan, np.nan))
        cuts.append(1.0 - threshold * (1.0 + bonus))
    return np.where(np.isfinite(panel.close), np.array(cuts), np.nan)


def historical_simulation(panel: Panel, horizon: int) -> Array:
    """Quantile of the last losses, overlapping where the horizon is longer than a day."""
    losses = close_losses(panel, horizon)
    result = np.full(panel.shape, np.nan)
    for asset in range(panel.shape[1]):
        days = np.flatnonzero(np.isfinite(losses[:, asset]))
        known = losses[days, asset]
        quantiles = np.full(len(known) + 1, np.nan)
        for count in range(LEAST, min(WINDOW, len(known) + 1)):
            quantiles[count] = np.quantile(known[:count], CONFIDENCE)
        if len(known) >= WINDOW:
            quantiles[WINDOW:] = np.quantile(np.lib.stride_tricks.sliding_window_view(known, WINDOW), CONFIDENCE, axis=1)
        here = np.flatnonzero(np.isfinite(panel.close[:, asset]))
        result[here, asset] = np.maximum(quantiles[np.searchsorted(days, here - horizon, side="right")], 0.0)
    return result


def ewma_student(panel: Panel, horizon: int) -> Array:
    """Exponentially weighted variance with fat tails."""
    return _scaled(panel, ewma_volatility(panel), horizon)


def robust(panel: Panel, horizon: int) -> Array:
    """Robust mean of absolute returns with a quarter of the weight on all that was."""
    daily = returns(panel.close)
    count, assets = panel.shape
    seen, total, mean, squares = (np.zeros(assets) for _ in range(4))
    sigma = np.full(panel.shape, np.nan)
    for day in range(count):
        here = np.isfinite(daily[day])
        size = np.abs(np.where(here, daily[day], 0.0))
        seen, total, squares = seen + here, total + size, squares + size**2
        moved = np.where(seen <= SEED_DAYS, total / np.maximum(seen, 1.0), DECAY * mean + (1.0 - DECAY) * np.minimum(size, CLIP * mean))
        mean = np.where(here, moved, mean)
        variance = (1.0 - LONG_RUN) * (ABSOLUTE_TO_STANDARD * mean) ** 2 + LONG_RUN * squares / np.maximum(seen, 1.0)
        sigma[day] = np.where(seen >= SEED_DAYS, np.sqrt(variance), np.nan)
    return _scaled(panel, sigma, horizon)


def filtered_historical_simulation(panel: Panel, horizon: int) -> Array:
    """Quantile of all known standardised losses, brought to today's volatility."""
    return filtered(panel, horizon, ewma_volatility(panel) * np.sqrt(horizon))


def filtered(panel: Panel, horizon: int, sigma: Array) -> Array:
    """Quantile of −r_k/σ over all outcomes known at each day, times that day's σ; `sigma` is T×A over the whole horizon."""
    losses = close_losses(panel, horizon)
    standard = -np.log1p(-losses) / sigma
    result = np.full(panel.shape, np.nan)
    for asset in range(panel.shape[1]):
        known: list[float] = []
        for day in range(panel.shape[0]):
            if day >= horizon and np.isfinite(standard[day - horizon, asset]):
                insort(known, float(standard[day - horizon, asset]))
            if len(known) >= LEAST and np.isfinite(panel.close[day, asset]):
                result[day, asset] = max(0.0, 1.0 - float(np.exp(-sorted_quantile(known, CONFIDENCE) * sigma[day, asset])))
    return result


def sorted_quantile(values: list[float], level: float) -> float:
    """Linear between the two nearest of a sorted list."""
    place = level * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (place - below) * (values[above] - values[below])


def ewma_volatility(panel: Panel) -> Array:
    """T×A daily volatility after each day's return; the plain root mean square of the first SEED_DAYS, NaN before."""
    daily = returns(panel.close)
    count, assets = panel.shape
    seen, squares, variance = np.zeros(assets), np.zeros(assets), np.zeros(assets)
    sigma = np.full(panel.shape, np.nan)
    for day in range(count):
        here = np.isfinite(daily[day])
        square = np.where(here, daily[day], 0.0) ** 2
        seen, squares = seen + here, squares + square
        moved = np.where(seen <= SEED_DAYS, squares / np.maximum(seen, 1.0), DECAY * variance + (1.0 - DECAY) * square)
        variance = np.where(here, moved, variance)
        sigma[day] = np.where(seen >= SEED_DAYS, np.sqrt(variance), np.nan)
    return sigma


def _scaled(panel: Panel, sigma: Array, horizon: int) -> Array:
    return np.where(np.isfinite(panel.close), 1.0 - np.exp(-STUDENT * sigma * np.sqrt(horizon)), np.nan)
