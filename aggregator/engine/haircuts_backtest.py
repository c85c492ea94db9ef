"""The record of the market haircut on a recorded history, beside the plain models. Pure.

Every model forecasts at the end of each day from what was known then; the first days of an asset, its warm-up, are not scored. All models
are scored on the same days, as far as they have a forecast for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType

import numpy as np

from aggregator.engine.haircuts_panel import daily_panel
from aggregator.engine.history_file import HistoryColumns
from aggregator.model.errors import IncompleteError
from aggregator.risk.market_risk import baselines, dynamic, gjr_garch
from aggregator.risk.market_risk.dynamic import Target
from aggregator.risk.market_risk.panel import Panel, close_losses, path_losses
from aggregator.risk.market_risk.scores import Outcomes, Scores, pooled, score
from aggregator.risk.shapes import Array

HORIZONS = (1, 3)
OURS = "crossmargin"
GARCH = "gjr-garch"
WARM_UP_DAYS = 250
SHORT_HISTORY = 300
"""an asset with fewer closes gets half of them as its warm-up"""
LEAST_CLOSES = 60
NEARLY = 0.95
"""share of our days that a plain model must have forecasts for before its pooled figures are comparable"""
BASELINES: Mapping[str, Callable[[Panel, int], Array]] = MappingProxyType(
    {
        "aave-static": baselines.aave_static,
        "historical-simulation": baselines.historical_simulation,
        "ewma-t4": baselines.ewma_student,
        "fhs": baselines.filtered_historical_simulation,
        "robust-g1": baselines.robust,
    }
)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model's figures at one horizon."""

    pooled: Scores | None
    assets: Mapping[str, Scores]
    """by symbol, those it has a forecast for"""


@dataclass(frozen=True, slots=True)
class HorizonRecord:
    """All models at one horizon."""

    models: Mapping[str, ModelRecord]
    """`crossmargin` first"""
    variants: Mapping[str, ModelRecord]
    """our model aimed at the other loss"""
    forecasts: Mapping[str, Array]
    """T×A haircuts by model"""
    close_loss: Array
    path_loss: Array


@dataclass(frozen=True, slots=True)
class Backtest:
    """The record of one history."""

    history: HistoryColumns
    panel: Panel
    target: Target
    warm_up: Mapping[str, int]
    """days that are not scored, by symbol"""
    left_out: Mapping[str, str]
    """symbols that are not scored, and why"""
    horizons: Mapping[int, HorizonRecord]
    warnings: tuple[str, ...]


def aim(history: HistoryColumns) -> Target:
    """The path where most assets have bars within the day, whose closes an oracle follows; else the close.

    A daily bar's low is one venue's wick in part, too uncertain to promise anything about.
    """
    return Target.PATH if 2 * sum(bars.hourly for bars in history.bars) > len(history.bars) else Target.CLOSE


def backtest(
    history: HistoryColumns, target: Target | None = None, warm_up: int = WARM_UP_DAYS, progress: Progress | None = None
) -> Backtest:
    """IncompleteError where no asset has enough history; `warm_up` in days with a close."""
    say = progress if progress is not None else _silent
    panel = daily_panel(history)
    aimed = target if target is not None else aim(history)
    scored_from, left_out = _warm_ups(panel, warm_up)
    if not scored_from:
        symbol, why = next(iter(left_out.items()))
        raise IncompleteError(f"{history.source}: no asset has enough history to be scored ({symbol}: {why})")
    other = Target.CLOSE if aimed is Target.PATH else Target.PATH
    warnings = _warnings(history)
    garch: dict[int, Array] = {}
    if find_spec("arch") is not None:
        garch = gjr_garch.forecasts(panel, HORIZONS, lambda symbol: say(f"fitting GJR-GARCH to {symbol}"))
    else:
        warnings.append("gjr-garch is left out: it needs arch (pip install 'crossmargin[backtest]')")
    records = {}
    for horizon in HORIZONS:
        say(f"forecasting {horizon} d ahead")
        forecasts = {OURS: dynamic.forecast(panel, horizon, aimed)}
        forecasts |= {name: model(panel, horizon) for name, model in BASELINES.items()}
        if garch:
            forecasts[GARCH] = garch[horizon]
        judge = partial(_record, panel, horizon, scored_from)
        records[horizon] = HorizonRecord(
            {name: judge(haircuts) for name, haircuts in forecasts.items()},
            {f"{OURS}-{other.value}": judge(dynamic.forecast(panel, horizon, other))},
            forecasts,
            close_losses(panel, horizon),
            path_losses(panel, horizon),
        )
    warm_ups = {panel.symbols[asset]: first for asset, (first, _) in scored_from.items()}
    return Backtest(history, panel, aimed, warm_ups, left_out, records, tuple(warnings))


def _warm_ups(panel: Panel, wanted: int) -> tuple[dict[int, tuple[int, int]], dict[str, str]]:
    """By asset: the closes that are not scored and the day from which it is; and why others are not."""
    found, left_out = {}, {}
    for asset, symbol in enumerate(panel.symbols):
        days = np.flatnonzero(np.isfinite(panel.close[:, asset]))
        first = wanted if len(days) >= wanted + (SHORT_HISTORY - WARM_UP_DAYS) else len(days) // 2
        if len(days) < LEAST_CLOSES:
            left_out[symbol] = f"{len(days)} days with a close, {LEAST_CLOSES} are the least"
        else:
            found[asset] = (first, int(days[first]))
    return found, left_out


def _record(panel: Panel, horizon: int, scored_from: Mapping[int, tuple[int, int]], haircuts: Array) -> ModelRecord:
    close, path = close_losses(panel, horizon), path_losses(panel, horizon)
    outcomes = {
        panel.symbols[asset]: Outcomes(haircuts[day:, asset], close[day:, asset], path[day:, asset])
        for asset, (_, day) in scored_from.items()
    }
    each = {symbol: score(own, horizon) for symbol, own in outcomes.items()}
    return ModelRecord(
        pooled(list(outcomes.values()), horizon), {symbol: figures for symbol, figures in each.items() if figures is not None}
    )


def _warnings(history: HistoryColumns) -> list[str]:
    found = []
    for bars in history.bars:
        what = [f"{bars.empty} rows without a close"] if bars.empty else []
        what += [f"{bars.repeated} repeated rows"] if bars.repeated else []
        what += ["rows out of order"] if bars.unordered else []
        what += [f"{bars.inconsistent} rows whose low or high is on the wrong side of the close"] if bars.inconsistent else []
        what += [f"{bars.missing} bars missing, the longest gap {bars.longest_gap_seconds / 86_400:.3g} d"] if bars.missing else []
        if what:
            found.append(f"{bars.symbol}: {', '.join(what)}")
    return found


def best_baseline(record: HorizonRecord) -> tuple[str, Scores]:
    """The plain model with the lowest pooled quantile loss among those that have a forecast for nearly as many days as ours."""
    ours = record.models[OURS].pooled
    rivals = [
        (name, model.pooled)
        for name, model in record.models.items()
        if name != OURS and model.pooled is not None and (ours is None or model.pooled.days >= NEARLY * ours.days)
    ]
    return min(rivals, key=lambda one: one[1].quantile_loss_bp)


def symbols_in_order(one: Backtest) -> Sequence[str]:
    """Those that are scored."""
    return [symbol for symbol in one.panel.symbols if symbol in one.warm_up]


def _silent(_: str) -> None:
    """No progress is wanted."""
