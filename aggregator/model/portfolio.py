"""One owner's (or several owners') whole picture at pinned blocks, before and without any judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aggregator.model.composition import Composition
from aggregator.model.identifiers import AccountId, AssetId
from aggregator.model.instrument import VenueAccount
from aggregator.model.position import MarginAccount, Position
from aggregator.model.snapshot import Gap, Remark, Snapshot
from aggregator.model.token import Token


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Margin accounts hold what protocols liquidate together; everything else stands in `positions`. Nothing stands twice."""

    owners: tuple[AccountId, ...]
    snapshots: tuple[Snapshot, ...]
    margin_accounts: tuple[MarginAccount, ...]
    positions: tuple[Position, ...]
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[Remark, ...] = ()
    tokens: Mapping[AssetId, Token] = field(default_factory=dict)
    """every token that occurs, look-through included"""
    compositions: Mapping[AssetId, Composition] = field(default_factory=dict)
    venue_accounts: tuple[VenueAccount, ...] = ()
    """margin accounts at trading venues: perpetuals, futures, options and the collateral behind them"""
