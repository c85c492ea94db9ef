"""The haircuts' history as plots: what was posted each day, what came, and where it was not enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aggregator.cli.plot_style import BLUE, GREY, INK, ORANGE, RED, legend_below, one_figure, plain, slug, titled, written
from aggregator.engine.haircuts_backtest import OURS, Backtest, HorizonRecord, symbols_in_order
from aggregator.risk.market_risk.dynamic import Target
from aggregator.risk.market_risk.panel import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BESIDE = "ewma-t4"
"""the plain model drawn beside ours"""
MOST = 60
"""plots of one run"""


def write_histories(record: Backtest, folder: Path, form: str) -> list[Path]:
    """One file an asset and horizon, named `haircut-SYMBOL-1d`."""
    made: dict[str, Figure] = {}
    for days, horizon in record.horizons.items():
        for symbol in symbols_in_order(record)[: MOST // len(record.horizons)]:
            name = f"haircut-{slug(symbol) or 'asset'}-{days}d"
            while name in made:
                name += "-again"
            made[name] = history(record, horizon, symbol, days)
    return written(made, folder, form)


def history(record: Backtest, horizon: HorizonRecord, symbol: str, days: int) -> Figure:
    """Haircut of our model and of a plain one over time, and the losses that came."""
    panel, asset = record.panel, record.panel.symbols.index(symbol)
    dates = _dates(panel)
    ours, beside = horizon.forecasts[OURS][:, asset], horizon.forecasts[BESIDE][:, asset]
    losses = (horizon.path_loss if record.target is Target.PATH else horizon.close_loss)[:, asset]
    here = np.flatnonzero(np.isfinite(ours))
    figure, axes = one_figure(9.6, 4.6)
    axes.vlines(dates, 0, 100 * np.maximum(np.nan_to_num(losses), 0.0), color=GREY, linewidth=0.6, alpha=0.7, label="loss that came")
    axes.plot(dates, 100 * beside, color=ORANGE, linewidth=1.0, label="EWMA × t4")
    axes.plot(dates, 100 * ours, color=BLUE, linewidth=1.8, label="dynamic haircut")
    missed = np.isfinite(ours) & np.isfinite(losses) & (losses > ours)
    axes.plot(
        dates[missed], 100 * losses[missed], linestyle="none", marker="v", markersize=6, color=RED, markeredgecolor=INK, label="not enough"
    )
    axes.set_ylim(
        0,
        min(105.0, 100 * float(np.nanmax([0.1, np.nanmax(ours[here]), np.nanmax(losses, initial=0.0, where=np.isfinite(losses))])) * 1.08),
    )
    axes.set_xlim(dates[here[0]], dates[here[-1]])
    axes.set_ylabel("% of the price")
    which = "worst price on the way" if record.target is Target.PATH else "close at the end"
    scored = record.horizons[days].models[OURS].assets.get(symbol)
    rate = scored.violation_rate_path if scored and record.target is Target.PATH else scored.violation_rate_close if scored else None
    said = f"not enough on {100 * rate:.2f} % of the days scored" if rate is not None else "not scored"
    titled(axes, f"Haircut of {plain(symbol)} for {days} day{'s' if days > 1 else ''}", f"against the {which}; {said}")
    legend_below(figure, axes, 4)
    return figure


def _dates(panel: Panel) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return np.asarray(panel.days.astype("datetime64[D]"))
