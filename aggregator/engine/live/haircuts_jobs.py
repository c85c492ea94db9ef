"""The parts of judging all listed assets, each short enough for a worker that others wait for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from aggregator.engine.haircuts_document import asset_document
from aggregator.engine.haircuts_judgement import AssetFacts, Movements, asset_facts, judge_asset
from aggregator.engine.haircuts_reading import ChainFacts
from aggregator.model.identifiers import AssetId
from aggregator.model.price import PriceSeries
from aggregator.model.token import Token
from aggregator.risk.classes import FactorClass
from aggregator.risk.volatility import Volatility

Known = Mapping[tuple[str, FactorClass], Volatility]


@dataclass(frozen=True, slots=True)
class Judged:
    """An asset's haircut: its document as JSON, and how its factor moves, which holds for every size."""

    asset: AssetId
    body: bytes
    volatility: Volatility


def look_at(tokens: Sequence[Token], facts: Sequence[ChainFacts]) -> tuple[AssetFacts, ...]:
    """Prices and depths."""
    return asset_facts(tokens, facts)


def judge(assets: Sequence[AssetFacts], size_usd: Decimal, series: Mapping[str, PriceSeries], known: Known) -> tuple[Judged, ...]:
    """Each as a holding of `size_usd`. `series`: histories of the factors that are not `known`."""
    movements = Movements(series, known=known)
    found = (judge_asset(one, size_usd, movements) for one in assets)
    return tuple(
        Judged(one.facts.token.asset, asset_document(one).model_dump_json(by_alias=True).encode(), one.volatility) for one in found
    )
