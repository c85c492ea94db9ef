"""The shapes of what `crossmargin contagion curve|simulate|rank --json` gives. Money and ratios are decimal strings; null is not known.

`level` is `unknown` and `lower_bounds` true where too little is known: figures are then at least what they say, and never low.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aggregator.engine.schema import Document, SnapshotDocument


class EvidenceDocument(Document):
    known_share: str | None
    sufficient: bool
    missing: tuple[str, ...]


class SourceDocument(Document):
    """Where a population or network is from: `file` or `chains`."""

    kind: Literal["file", "chains"]
    name: str
    accounts: int | None
    snapshots: tuple[SnapshotDocument, ...]
    gaps: tuple[str, ...]


class MoveDocument(Document):
    asset: str
    symbol: str
    beta: str


class GroupDocument(Document):
    """A column by fall."""

    name: str
    liquidatable_debt_usd: tuple[str, ...]
    collateral_at_risk_usd: tuple[str, ...]
    bad_debt_usd: tuple[str, ...]
    accounts: tuple[int, ...]


class WorstDocument(Document):
    fall: str
    bad_debt_usd: str


class CascadeCurveDocument(Document):
    """With what sales do to prices, at its own falls: finer around the worst."""

    falls: tuple[str, ...]
    bad_debt_usd: tuple[str, ...]
    repaid_usd: tuple[str, ...]
    sold_usd: tuple[str, ...]
    accounts: tuple[int, ...]
    amplification: tuple[str | None, ...]
    settled: bool
    worst: WorstDocument
    distance_to_spiral: str | None
    """smallest fall searched at which sales bring about more sales without end; null where there is none"""


class ConcentrationDocument(Document):
    herfindahl: str | None
    effective_number: str | None
    largest: str | None
    top_10: str | None
    gini: str | None
    holders: int


class GapDocument(Document):
    """A reserve whose oracle says more, or less, than what the asset is worth."""

    market: str
    asset: str
    oracle_usd: str
    shadow_usd: str
    gap: str
    held_usd: str
    """what accounts hold there, at the oracle's price"""


class ShadowDocument(Document):
    """Accounts at the oracles' prices and at the market's. `blind`: healthy only because an oracle says so."""

    liquidatable_accounts: int
    shadow_liquidatable_accounts: int
    blind_accounts: int
    blind_bad_debt_usd: str | None
    oracle_gaps: tuple[GapDocument, ...]


class CurveDocument(Document):
    schema_: Literal["crossmargin/contagion-curve/1"] = Field(alias="schema")
    source: SourceDocument
    collateral_usd: str
    debt_usd: str
    basket: tuple[MoveDocument, ...]
    by: str
    falls: tuple[str, ...]
    total: GroupDocument
    groups: tuple[GroupDocument, ...]
    worst: WorstDocument
    cascade: CascadeCurveDocument | None
    concentration: dict[str, ConcentrationDocument]
    shadow: ShadowDocument
    level: str
    lower_bounds: bool
    evidence: EvidenceDocument


class ModelCurveDocument(Document):
    model: str
    loss: tuple[str | None, ...]


class NetworkCurveDocument(Document):
    """Share of all face equity that is lost when every node's external assets fall, by model."""

    schema_: Literal["crossmargin/contagion-network-curve/1"] = Field(alias="schema")
    source: SourceDocument
    nodes: int
    claims_usd: str
    falls: tuple[str, ...]
    models: tuple[ModelCurveDocument, ...]
    gain: str
    """spectral radius of claims over equity: from 1 on, losses grow as they are passed on, until all is lost"""
    level: str
    lower_bounds: bool
    evidence: EvidenceDocument


class RoundDocument(Document):
    liquidated: int
    repaid_usd: str
    seized_usd: str
    bad_debt_usd: str
    sold_usd: str


class PriceDocument(Document):
    asset: str
    symbol: str
    before_usd: str | None
    shocked_usd: str | None
    after_usd: str | None


class LossDocument(Document):
    who: str
    usd: str


class AccountLossDocument(Document):
    owner: str
    market: str
    first_round: int
    repaid_usd: str
    seized_usd: str
    bad_debt_usd: str


class PathDocument(Document):
    subject: str
    usd: str
    steps: tuple[str, ...]


class SimulationDocument(Document):
    """`parties` add up to nothing with the outside; `borne` adds up to `bad_debt_usd`."""

    schema_: Literal["crossmargin/contagion-simulation/1"] = Field(alias="schema")
    source: SourceDocument
    shocks: tuple[str, ...]
    settled: bool
    direct_loss_usd: str
    final_loss_usd: str
    amplification: str | None
    liquidated_accounts: int
    repaid_usd: str
    seized_usd: str
    bad_debt_usd: str
    waiting_debt_usd: str
    """liquidatable at the end, and nobody gains by it or can"""
    blind_bad_debt_usd: str | None
    rounds: tuple[RoundDocument, ...]
    prices: tuple[PriceDocument, ...]
    parties: tuple[LossDocument, ...]
    lines: tuple[LossDocument, ...]
    borne: tuple[LossDocument, ...]
    accounts: tuple[AccountLossDocument, ...]
    """those that lose most, at most 100"""
    paths: tuple[PathDocument, ...]
    level: str
    lower_bounds: bool
    evidence: EvidenceDocument


class ModelLossDocument(Document):
    model: str
    loss: str | None
    defaults: tuple[str, ...]


class NodeLossDocument(Document):
    name: str
    kind: str
    equity_usd: str | None
    loss: dict[str, str | None]
    """share of the node's face equity, by model"""


class NetworkSimulationDocument(Document):
    schema_: Literal["crossmargin/contagion-network-simulation/1"] = Field(alias="schema")
    source: SourceDocument
    shocks: tuple[str, ...]
    equity_usd: str
    loss_low: str | None
    loss_high: str | None
    models: tuple[ModelLossDocument, ...]
    nodes: tuple[NodeLossDocument, ...]
    gain: str
    level: str
    lower_bounds: bool
    evidence: EvidenceDocument


class BandDocument(Document):
    low: str | None
    middle: str | None
    high: str | None
    by_model: dict[str, str | None]


class RankedDocument(Document):
    rank: int
    name: str
    kind: str
    impact: BandDocument
    """share of the others' equity that is lost if this node fails"""
    rank_low: int
    rank_high: int
    vulnerability: BandDocument
    """mean share of its equity that it loses when another fails"""


class RankDocument(Document):
    schema_: Literal["crossmargin/contagion-rank/1"] = Field(alias="schema")
    source: SourceDocument
    nodes: tuple[RankedDocument, ...]
    models: tuple[str, ...]
    stability: str
    """mean rank correlation between models"""
    top_10_overlap: str
    gain: str
    level: str
    lower_bounds: bool
    evidence: EvidenceDocument
