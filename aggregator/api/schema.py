"""Shapes of the API's own answers. Decimals are strings, times RFC 3339 UTC; a figure that is not known is null."""

from __future__ import annotations

from aggregator.engine.haircuts_schema import AssetHaircutDocument
from aggregator.engine.schema import CoverageDocument, Document, GapDocument, SnapshotDocument


class BlockDocument(Document):
    chain: str
    block: int
    block_hash: str


class HistoryPoint(Document):
    """`withdrawn`: why the figures no longer stand, because a block under them was replaced; null while they do."""

    timestamp: str
    snapshot: str
    score: str | None
    margin_ratio: str | None
    equity_usd: str | None
    collateral_usd: str
    debt_usd: str | None
    requirement_usd: str | None
    complete: bool
    blocks: tuple[BlockDocument, ...]
    withdrawn_at: str | None
    withdrawn: str | None


class HistoryDocument(Document):
    """Oldest first; `before` is the cursor of the next older page, null on the last."""

    owner: str
    points: tuple[HistoryPoint, ...]
    before: str | None


class ScoreDocument(Document):
    """An owner's score with what it stands on; `error` where the owner could not be read, and then everything else is null or empty."""

    owner: str
    snapshot: str | None
    score: str | None
    liquidation_probability: dict[str, str] | None
    margin_ratio: str | None
    health_factor: str | None
    equity_usd: str | None
    complete: bool
    blocks: tuple[BlockDocument, ...]
    model: str | None
    error: str | None = None


class ScoresDocument(Document):
    scores: tuple[ScoreDocument, ...]


class CurveSeries(Document):
    """Figures in USD at each fall of `asset`; moves are negative shares."""

    asset: str
    moves: tuple[str, ...]
    liquidatable_debt_usd: tuple[str, ...]
    collateral_at_risk_usd: tuple[str, ...]
    bad_debt_usd: tuple[str, ...]
    accounts: tuple[int, ...]
    lower_bounds: bool


class CurvesDocument(Document):
    source: str | None
    curves: tuple[CurveSeries, ...]
    snapshots: tuple[SnapshotDocument, ...]
    coverage: CoverageDocument


class RankRow(Document):
    """`low` and `high`: share of the others' equity that is lost if this node fails, over the models."""

    rank: int
    name: str
    kind: str
    low: str | None
    high: str | None
    best_rank: int
    worst_rank: int


class RankingDocument(Document):
    source: str | None
    rows: tuple[RankRow, ...]
    models: tuple[str, ...]
    stability: str | None
    snapshots: tuple[SnapshotDocument, ...]
    coverage: CoverageDocument


class NodeDocument(Document):
    id: str
    name: str
    kind: str


class EdgeDocument(Document):
    """`source` would lose `amount_usd` if `target` paid nothing."""

    source: str
    target: str
    amount_usd: str


class GraphDocument(Document):
    source: str | None
    nodes: tuple[NodeDocument, ...]
    edges: tuple[EdgeDocument, ...]
    snapshots: tuple[SnapshotDocument, ...]
    coverage: CoverageDocument


class AlertItem(Document):
    """A message of an alert's life. `path`: the cause first, then what it reaches."""

    id: str
    episode: str
    timestamp: str
    severity: str
    state: str
    rule: str
    subject: str
    path: tuple[str, ...]
    clears_when: str


class AlertsDocument(Document):
    """Newest first; `before` is the cursor of the next older page."""

    alerts: tuple[AlertItem, ...]
    before: str | None
    coverage: CoverageDocument


class HaircutsDocument(Document):
    """Haircuts of a holding of `size_usd` each, by chain and symbol; `after` is the cursor of the next page, null on the last."""

    size_usd: str
    snapshots: tuple[SnapshotDocument, ...]
    haircuts: tuple[AssetHaircutDocument, ...]
    after: str | None
    coverage: CoverageDocument


class ChainStatus(Document):
    """`waiting`: owners to be read again; `silent_seconds`: since a head was heard of."""

    chain: str
    block: int | None
    block_hash: str | None
    timestamp: str | None
    status: str
    detail: str | None
    follows: str
    waiting: int
    silent_seconds: str | None


class ServiceCoverage(Document):
    """`share`: the smaller of the chains' whose head is known and the watched owners' who have been read.

    `now`: the time by which ages are to be taken. It is not yours where the chains are local ones that live in another time.
    """

    now: str
    share: str
    chains: tuple[ChainStatus, ...]
    watched: int
    guests: int
    complete_owners: int
    coverage: CoverageDocument


class ReadyDocument(Document):
    ready: bool
    share: str
    why: str | None


class AliveDocument(Document):
    alive: bool


def missing(gaps: tuple[GapDocument, ...]) -> CoverageDocument:
    return CoverageDocument(complete=not gaps, missing=gaps)
