"""The shapes of `crossmargin haircuts --json`, `crossmargin/haircuts/1`, and of `crossmargin haircuts backtest --json`,
`crossmargin/haircuts-backtest/1`. Haircuts are decimal strings as in the health document, a record's figures are numbers; all parts of 1.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from pydantic import Field

from aggregator.engine.document import snapshot_document
from aggregator.engine.figures import fraction, plain, up
from aggregator.engine.haircuts import HaircutRun
from aggregator.engine.haircuts_backtest import Backtest, ModelRecord, symbols_in_order
from aggregator.engine.haircuts_judgement import AssetHaircut
from aggregator.engine.history_file import instant
from aggregator.engine.schema import CoverageDocument, Document, GapDocument, HaircutDocument, SnapshotDocument
from aggregator.risk.haircut_depth import STRESS
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


class LiquidationTimeDocument(Document):
    """In days. `route`: sold on its chain (market), brought elsewhere first (bridge), or given back to its issuer (redemption)."""

    total: float
    reaction: float
    oracle: float
    inclusion: float
    way_out: float
    route: Literal["market", "bridge", "redemption"]


class VolatilityDocument(Document):
    """`path_quantile`: 99 % quantile of the next day's worst fall, −ln(1 − fall); null where the class stands in for a history."""

    factor: str
    factor_class: str
    daily: float
    source: str
    history_days: float
    path_quantile: float | None


class DepthDocument(Document):
    """Of the token's pools on its chain: what can be sold before the price is 5 % lower, and how much of that is counted on."""

    usd_within_edge: float
    counted_usd: float
    pools: int


class AssetHaircutDocument(Document):
    """`haircut` = 1 − (1−market)(1−liquidity)(1−basis)(1−structure), rounded up. `notes`: what was not known and what stood in for it.

    `price_quality`: fresh, stale, bounded (held at the feed's minimum or maximum) or missing.
    """

    asset: str
    symbol: str
    chain: str
    haircut: str
    parts: HaircutDocument
    liquidation_days: LiquidationTimeDocument
    volatility: VolatilityDocument
    price_age_seconds: int | None
    price_quality: str
    depth: DepthDocument | None
    notes: list[str]


class HaircutsDocument(Document):
    """Haircuts of a holding of `size_usd` each."""

    schema_: Literal["crossmargin/haircuts/1"] = Field(alias="schema")
    size_usd: str
    snapshots: list[SnapshotDocument]
    haircuts: list[AssetHaircutDocument]
    coverage: CoverageDocument


def haircuts_document(run: HaircutRun) -> HaircutsDocument:
    """The document of a run."""
    missing = tuple(GapDocument(chain=gap.chain, protocol=gap.protocol, what=gap.what, why=gap.why) for gap in run.gaps)
    return HaircutsDocument(
        schema="crossmargin/haircuts/1",
        size_usd=plain(run.size_usd),
        snapshots=[snapshot_document(one) for one in run.snapshots],
        haircuts=[asset_document(one) for one in run.haircuts],
        coverage=CoverageDocument(complete=not missing, missing=missing),
    )


def asset_document(one: AssetHaircut) -> AssetHaircutDocument:
    """One asset's part of it."""
    facts, cut, time, moving = one.facts, one.haircut, one.time, one.volatility
    return AssetHaircutDocument(
        asset=facts.token.asset,
        symbol=facts.token.symbol,
        chain=facts.token.chain,
        haircut=fraction(cut.share, 6),
        parts=HaircutDocument(
            market=up(cut.market, 6), liquidity=up(cut.liquidity, 6), basis=up(cut.basis, 6), structure=up(cut.structure, 6)
        ),
        liquidation_days=LiquidationTimeDocument(
            total=time.total,
            reaction=time.reaction,
            oracle=time.oracle,
            inclusion=time.inclusion,
            way_out=time.way_out,
            route=time.route.value,
        ),
        volatility=VolatilityDocument(
            factor=moving.factor,
            factor_class=moving.factor_class.value,
            daily=moving.daily,
            source=moving.source.value,
            history_days=moving.days,
            path_quantile=moving.path,
        ),
        price_age_seconds=facts.age_seconds,
        price_quality=facts.quality.value,
        depth=DepthDocument(usd_within_edge=facts.depth.usd, counted_usd=STRESS * facts.depth.usd, pools=facts.depth.pools)
        if facts.depth
        else None,
        notes=list(one.notes),
    )


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
