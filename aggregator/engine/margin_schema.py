"""The shape of the margin document, `crossmargin/margin/1`: one row a method. Money and ratios are decimal strings, times RFC 3339 UTC.

A figure that coverage does not support is null; what the covered positions alone require stands beside it, under `of_covered`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aggregator.engine.schema import Document


class ScenarioLossDocument(Document):
    name: str
    pnl_usd: str


class AttributionDocument(Document):
    position: str
    usd: str


class RequirementDocument(Document):
    """`netted_usd`: every position alone minus the requirement; `net_usd` is below zero, `ratio` below 1 where the book breaches."""

    requirement_usd: str
    equity_usd: str | None
    net_usd: str | None
    ratio: str | None
    isolated_usd: str
    netted_usd: str
    worst_scenario: str | None
    components: dict[str, str]
    scenarios: tuple[ScenarioLossDocument, ...]
    attribution_method: str
    attribution: tuple[AttributionDocument, ...]
    inputs_hash: str


class MethodDocument(Document):
    """`reason` says why a method does not apply, or why it has no figure."""

    method: str
    version: str
    source: str
    applies: bool
    reason: str | None
    verified: bool | None
    notes: tuple[str, ...]
    initial: RequirementDocument | None
    maintenance: RequirementDocument | None
    initial_of_covered: RequirementDocument | None
    maintenance_of_covered: RequirementDocument | None


class BookDocument(Document):
    positions: int
    covered: int
    underlyings: tuple[str, ...]
    cash_usd: str


class MissingDocument(Document):
    what: str
    why: str


class MarginCoverageDocument(Document):
    complete: bool
    missing: tuple[MissingDocument, ...]


class MarginWarningDocument(Document):
    code: str
    detail: str


class ApartAndTogetherDocument(Document):
    """USD of separate accounts, and of one pool."""

    isolated_usd: str
    cross_usd: str


class ExposureDocument(ApartAndTogetherDocument):
    underlying: str


class TriggerDocument(Document):
    """`move` is relative, 0 where it is breached already. Without `underlying` everything that is not pegged moves alike."""

    move: str
    underlying: str | None
    position: str | None


class CascadeDocument(Document):
    """What the first breach closes. `dragged_equity_usd` would have been kept by separate accounts."""

    positions_closed: int
    traded_usd: str
    impact: str
    cost_usd: str
    dragged_equity_usd: str
    rounds: int


class TriggersDocument(Document):
    isolated: TriggerDocument | None
    cross: TriggerDocument | None


class ContagionDocument(Document):
    isolated: CascadeDocument | None
    cross: CascadeDocument | None


class IsolatedVersusCrossDocument(Document):
    """By the unified method; vega for one point of volatility. `equity_usd`, triggers and contagion are null where profits are not known.

    A trigger is null where no move breaches. `of_covered`: positions are missing, these figures are of the rest.
    """

    of_covered: bool
    equity_usd: str | None
    delta: tuple[ExposureDocument, ...]
    vega: tuple[ExposureDocument, ...]
    initial: ApartAndTogetherDocument
    maintenance: ApartAndTogetherDocument
    liquidation_trigger: TriggersDocument
    contagion: ContagionDocument


class MarginDocument(Document):
    schema_: Literal["crossmargin/margin/1"] = Field(alias="schema")
    as_of: str
    owners: tuple[str, ...]
    book: BookDocument
    methods: tuple[MethodDocument, ...]
    isolated_versus_cross: IsolatedVersusCrossDocument | None
    coverage: MarginCoverageDocument
    warnings: tuple[MarginWarningDocument, ...]
