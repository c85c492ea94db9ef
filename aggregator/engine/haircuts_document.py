"""From judged haircuts to their document."""

from __future__ import annotations

from aggregator.engine.document import snapshot_document
from aggregator.engine.figures import fraction, plain, up
from aggregator.engine.haircuts import HaircutRun
from aggregator.engine.haircuts_judgement import AssetHaircut
from aggregator.engine.haircuts_schema import (
    AssetHaircutDocument,
    DepthDocument,
    HaircutsDocument,
    LiquidationTimeDocument,
    VolatilityDocument,
)
from aggregator.engine.schema import CoverageDocument, GapDocument, HaircutDocument
from aggregator.risk.haircut_depth import STRESS


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
