"""GJR-GARCH(1,1) with Student-t innovations through the `arch` package, its quantile by filtered historical simulation.

    σ²(t+1) = ω + (α + γ·[r(t) < 0])·r(t)² + β·σ²(t)

Fitted anew every REFIT_DAYS returns on all that was known, filtered in between with the last parameters. The variance of k days is the sum
of the expected ones; the quantile is that of all known standardised k-day losses. `arch` is imported only when this model runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aggregator.risk.market_risk.baselines import filtered
from aggregator.risk.market_risk.panel import Panel, returns
from aggregator.risk.shapes import Array

FIRST_FIT = 200
REFIT_DAYS = 60
PERCENT = 100.0
"""the optimiser is at home with returns in per cent"""


@dataclass(frozen=True, slots=True)
class Garch:
    """Fitted parameters, variance in squared per cent."""

    omega: float
    alpha: float
    gamma: float
    beta: float

    def next(self, variance: float, value: float) -> float:
        """Variance of the day after a return in per cent."""
        return self.omega + (self.alpha + (self.gamma if value < 0 else 0.0)) * value * value + self.beta * variance

    def over(self, variance: float, horizon: int) -> float:
        """Expected variance of `horizon` days, the first of which has `variance`."""
        persistence, total = self.alpha + self.gamma / 2.0 + self.beta, 0.0
        for _ in range(horizon):
            total += variance
            variance = self.omega + persistence * variance
        return total


def forecast(panel: Panel, horizon: int, progress: Callable[[str], None] | None = None) -> Array:
    """T×A haircuts; `progress` is told each asset."""
    daily = returns(panel.close)
    sigma = np.full(panel.shape, np.nan)
    for asset, symbol in enumerate(panel.symbols):
        if progress is not None:
            progress(symbol)
        days = np.flatnonzero(np.isfinite(daily[:, asset]))
        sigma[days, asset] = horizon_volatilities(daily[days, asset], horizon)
    return filtered(panel, horizon, sigma)


def horizon_volatilities(values: Array, horizon: int) -> Array:
    """After each of one asset's returns: volatility of the next `horizon` days; NaN before the first fit."""
    result = np.full(len(values), np.nan)
    model: Garch | None = None
    variance = 0.0
    percent = PERCENT * values
    for day in range(len(values)):
        if day + 1 >= FIRST_FIT and (day + 1 - FIRST_FIT) % REFIT_DAYS == 0:
            model = fit(percent[: day + 1]) or model
            if model is not None:
                variance = float(np.mean(percent[:FIRST_FIT] ** 2))
                for value in percent[:day].tolist():
                    variance = model.next(variance, value)
        if model is not None:
            variance = model.next(variance, float(percent[day]))
            result[day] = np.sqrt(model.over(variance, horizon)) / PERCENT
    return result


def fit(percent: Array) -> Garch | None:
    """Maximum likelihood; None where the series does not move."""
    from arch import arch_model

    scale = float(np.std(percent))
    if not scale > 1e-12:
        return None
    # a peg moves by thousandths of a per cent, which the optimiser takes for nothing at all
    found = arch_model(percent / scale, mean="Zero", vol="GARCH", p=1, o=1, q=1, dist="t", rescale=False).fit(
        disp="off", show_warning=False
    )
    values = found.params
    return Garch(
        *(float(values[name]) * factor for name, factor in (("omega", scale**2), ("alpha[1]", 1), ("gamma[1]", 1), ("beta[1]", 1)))
    )
