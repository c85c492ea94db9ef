"""The dynamic market haircut: the 99 % quantile of the worst loss until a liquidation is done, calm before and quick in a collapse.

    σ        = σ_now^p · (σ_usual^(1−w') · 5 %^w')^(1−p)          w' = 0.8·w, w: how far the asset belongs to the volatile class
    q        = κ·σ·T^0.52 · path · exp(0.25·w·fall + 0.4·misses + offset)
    ordinary = max(1 − e^(−q), 4.2 % or, for the close, 2.1 %)  pegs break and do not diffuse: nothing stands below a break
    haircut  = max(min(ordinary, lowest of the last five days + 8 points), collapse floor)

`fall` is minus the market's direction, `misses` the excitement, `offset` the recalibration, each in its own module. Volatility is drawn
in logs towards the class (p = 0.6 for volatile assets, 0.7 for calm ones) because a quantile so far out follows an asset's present
volatility only part of the way: calm days are followed by worse falls than they promise, wild ones by milder.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aggregator.risk.market_risk.collapse import CollapseFloor, week_falls
from aggregator.risk.market_risk.market_direction import MarketDirection, OwnDirection
from aggregator.risk.market_risk.panel import Panel, close_losses, path_losses, returns
from aggregator.risk.market_risk.recalibration import Excitement, Offset
from aggregator.risk.market_risk.robust_volatility import RobustVolatility
from aggregator.risk.shapes import Array


@dataclass(frozen=True, slots=True)
class Parameters:
    """Every constant of the model; chosen on the training part of docs/methods/dynamic-haircut.md."""

    miss_rate: float = 0.01
    decay: float = 0.97
    """of the present volatility, a day"""
    present: float = 0.6
    """how far, in logs, the quantile of volatile assets follows the present volatility"""
    present_calm: float = 0.7
    """the same for calm ones"""
    class_volatility: float = 0.05
    """usual daily volatility of volatile assets"""
    class_weight: float = 0.8
    """how far the anchor of a volatile asset is its class's volatility and not its own usual one"""
    calm_volatility: float = 0.01
    """assets below it are no part of the volatile class, those above twice it are wholly"""
    scale: float = 2.5
    """κ: quantile of the standardised loss"""
    path_scale: float = 0.08
    """how much further the worst hour of the window lies than its end"""
    horizon_power: float = 0.52
    market: float = 0.25
    market_half_life: float = 2.0
    market_lowest: float = -1.5
    market_highest: float = 0.25
    excitement: float = 0.4
    excitement_keep: float = 0.8
    recalibration: float = 0.04
    recalibration_shared: float = 0.3
    least_path: float = 0.042
    """no haircut for the path is below it: a third and a little more of the worst hour on record of a redeemable dollar, 12.2 %"""
    least_close: float = 0.021
    """nor one for the close: half, because a break is half over when the day ends"""
    rise: float = 0.08
    """most that the haircut may rise above its lowest of the last `rise_days` days, collapses apart"""
    rise_days: int = 5
    first_forecast: int = 20
    settled: int = 60
    """returns before an asset's misses count"""


DEFAULT = Parameters()


def volatile_share(usual: Array, calm: float) -> Array:
    """0 below the calm volatility, 1 above twice it, by logs between; NaN stays."""
    return np.asarray(np.clip(np.log2(np.maximum(usual, 1e-9) / calm), 0.0, 1.0))


class Target(StrEnum):
    """Which loss is to stay within the haircut on 99 of 100 days."""

    CLOSE = "close"
    """the one at the end of the window"""
    PATH = "path"
    """the worst one on the way, which is what liquidates"""


def stretched(quantile: float, days: float, parameters: Parameters = DEFAULT) -> float:
    """A path quantile of one day, −ln(1 − haircut), for a window of `days`; it grows with the window."""
    p = parameters
    return (
        quantile * float(days**p.horizon_power) * (1.0 + p.path_scale * float(np.log1p(days))) / (1.0 + p.path_scale * float(np.log(2.0)))
    )


def forecast(panel: Panel, horizon: int, target: Target = Target.CLOSE, parameters: Parameters = DEFAULT, *, alone: bool = False) -> Array:
    """T×A haircuts in 0…1 posted at the end of each day for the `horizon` days after it; NaN without a close or with too short a history.

    Row t depends on rows 0…t of the panel only. `alone`: each asset as if it were the only one.
    """
    p = parameters
    count, assets = panel.shape
    result = np.full((count, assets), np.nan)
    daily, falls = returns(panel.close), week_falls(panel)
    losses = path_losses if target is Target.PATH else close_losses
    covered, next_day = losses(panel, horizon), losses(panel, 1)
    least = p.least_path if target is Target.PATH else p.least_close
    further = 1.0 + p.path_scale * float(np.log1p(horizon)) if target is Target.PATH else 1.0
    volatility = RobustVolatility(assets, p.decay)
    bounds = (p.market_half_life, p.market_lowest, p.market_highest)
    market = OwnDirection(assets, *bounds) if alone else MarketDirection(*bounds)
    offset = Offset(assets, p.miss_rate, p.recalibration / horizon, 0.0 if alone else p.recalibration_shared)
    excitement = Excitement(assets, p.excitement_keep)
    collapse = CollapseFloor(assets, alone)
    posted: list[Array] = []
    for day in range(count):
        market.update(daily[day], volatility.usual, volatility.count)
        volatility.update(daily[day])
        if day >= 1:
            excitement.update(result[day - 1], next_day[day - 1])
        if day >= horizon:
            offset.update(result[day - horizon], covered[day - horizon], volatility.count >= p.settled)
        usual, now = volatility.usual, volatility.now
        share = volatile_share(usual, p.calm_volatility)
        towards = share * p.class_weight
        anchor = usual ** (1.0 - towards) * p.class_volatility**towards
        present = share * p.present + (1.0 - share) * p.present_calm
        sigma = now**present * anchor ** (1.0 - present)
        tilt = -p.market * share * market.value + p.excitement * excitement.value + offset.value
        quantile = p.scale * sigma * horizon**p.horizon_power * further * np.exp(tilt)
        ordinary = np.maximum(1.0 - np.exp(-quantile), least)
        if posted:
            lowest = np.fmin.reduce(posted[-p.rise_days :])
            ordinary = np.fmin(ordinary, lowest + p.rise)
        collapse.update(falls[day], usual, share)
        haircut = np.maximum(ordinary, collapse.value)
        ready = np.isfinite(panel.close[day]) & (volatility.count >= p.first_forecast)
        result[day] = np.where(ready, haircut, np.nan)
        posted.append(result[day])
    return result
