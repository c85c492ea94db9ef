"""GJR-GARCH(1,1) with Student-t innovations through the `arch` package, its quantile by filtered historical simulation.

    σ²(t+1) = ω + (α + γ·[r(t) < 0])·r(t)² + β·σ²(t)

Fitted anew every REFIT_DAYS returns on all that was known, filtered in between with the last parameters. The variance of k days is the sum
of the expected ones; the quantile is that of all known standardised k-day losses. `arch` is imported only when this model runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.risk.market_risk.baselines import filtered
from aggregator.risk.market_risk.panel import Panel, returns
from aggregator.risk.shapes import Array

FIRST_FIT = 140
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


def forecasts(panel: Panel, horizons: Sequence[int], progress: Callable[[str], None] | None = None) -> dict[int, Array]:
    """T×A haircuts by horizon, all from the same fits; `progress` is told each asset."""
    daily = returns(panel.close)
    sigma = {horizon: np.full(panel.shape, np.nan) for horizon in horizons}
    for asset, symbol in enumerate(panel.symbols):
        if progress is not None:
            progress(symbol)
        days = np.flatnonzero(np.isfinite(daily[:, asset]))
        for horizon, own in horizon_volatilities(daily[days, asset], horizons).items():
            sigma[horizon][days, asset] = own
            carried = sigma[horizon][:, asset]
            for day in np.flatnonzero(np.isnan(daily[:, asset]) & np.isfinite(panel.close[:, asset])):
                carried[day] = carried[day - 1] if day else np.nan
    return {horizon: filtered(panel, horizon, own) for horizon, own in sigma.items()}


def horizon_volatilities(values: Array, horizons: Sequence[int]) -> dict[int, Array]:
    """After each of one asset's returns: volatility of the next days by horizon; NaN before the first fit."""
    result = {horizon: np.full(len(values), np.nan) for horizon in horizons}
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
            for horizon, own in result.items():
                own[day] = np.sqrt(model.over(variance, horizon)) / PERCENT
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
