"""The document of a record: `crossmargin haircuts backtest --json`, `crossmargin/haircuts-backtest/1`. Figures are numbers, parts of 1."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import Field

from aggregator.engine.haircuts_backtest import Backtest, ModelRecord, symbols_in_order
from aggregator.engine.history_file import instant
from aggregator.engine.schema import Document
from aggregator.risk.market_risk.scores import CONFIDENCE


class ScoresDocument(Document):
    """Figures of one model on one asset, or on all; docs/methods/dynamic-haircut.md defines each."""

    days: int
    violation_rate_close: float
    violation_rate_path: float
    kupiec_p: float
    christoffersen_p: float
    mean_haircut: float
    peak_to_trough: float
    max_5d_rise: float
    worst_shortfall: float
    quantile_loss_bp: float
    kupiec_path_p: float
    christoffersen_path_p: float


class ModelDocument(Document):
    """`pooled` is null for a model that has no forecast at all."""

    pooled: ScoresDocument | None
    assets: dict[str, ScoresDocument]


class HorizonDocument(Document):
    """`variants`: our model aimed at the other of close and path."""

    models: dict[str, ModelDocument]
    variants: dict[str, ModelDocument]


class AssetHistoryDocument(Document):
    """`warm_up_days` are not scored; null with the reason in `left_out` for an asset that is not scored at all."""

    symbol: str
    rows: int
    bar_seconds: int
    first: str
    last: str
    missing_bars: int
    warm_up_days: int | None
    left_out: str | None


class HaircutsBacktestDocument(Document):
    """The whole record; `aimed_at` says which loss `crossmargin` promises to cover on `confidence` of the days."""

    schema_: Literal["crossmargin/haircuts-backtest/1"] = Field(alias="schema")
    source: str
    confidence: float
    aimed_at: Literal["close", "path"]
    assets: list[AssetHistoryDocument]
    horizons: dict[str, HorizonDocument]
    warnings: list[str]


def backtest_document(record: Backtest) -> HaircutsBacktestDocument:
    """The document of a record."""
    scored = set(symbols_in_order(record))
    return HaircutsBacktestDocument(
        schema="crossmargin/haircuts-backtest/1",
        source=record.history.source,
        confidence=CONFIDENCE,
        aimed_at=record.target.value,
        assets=[
            AssetHistoryDocument(
                symbol=bars.symbol,
                rows=bars.rows,
                bar_seconds=bars.step_seconds,
                first=instant(bars.first),
                last=instant(bars.last),
                missing_bars=bars.missing,
                warm_up_days=record.warm_up[bars.symbol] if bars.symbol in scored else None,
                left_out=record.left_out.get(bars.symbol),
            )
            for bars in record.history.bars
        ],
        horizons={
            f"{days}d": HorizonDocument(
                models={name: _model(one) for name, one in horizon.models.items()},
                variants={name: _model(one) for name, one in horizon.variants.items()},
            )
            for days, horizon in record.horizons.items()
        },
        warnings=list(record.warnings),
    )


def _model(record: ModelRecord) -> ModelDocument:
    return ModelDocument(
        pooled=ScoresDocument(**asdict(record.pooled)) if record.pooled is not None else None,
        assets={symbol: ScoresDocument(**asdict(scores)) for symbol, scores in record.assets.items()},
    )
