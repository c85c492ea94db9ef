"""The shapes of `crossmargin haircuts --json`, `crossmargin/haircuts/1`. Haircuts are decimal strings, parts of 1."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aggregator.engine.schema import CoverageDocument, Document, HaircutDocument, SnapshotDocument


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
