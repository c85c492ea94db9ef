"""An adapter's manifest: data, checked when it is loaded. A fork of a known protocol is a manifest and no Python."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from aggregator.reading.data import Caip2, Data, QuotedAddress, load_data

__all__ = ["Caip2", "Capability", "Data", "Deployment", "Manifest", "QuotedAddress", "Support", "Tier", "load_data"]


class Support(StrEnum):
    EXACT = "exact"
    """equal to the protocol's own figure to the last unit"""
    PARTIAL = "partial"
    NONE = "none"


class Tier(StrEnum):
    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    PLATINUM = "platinum"


class Capability(StrEnum):
    POSITIONS = "positions"
    HEALTH = "health"
    LIQUIDATION = "liquidation"
    LOOK_THROUGH = "look-through"
    FEES = "fees"
    TOTALS = "totals"


class Deployment(Data):
    """One instance of the protocol on one chain. `contracts` by role, as the family names them."""

    market: str = ""
    """label where a chain has several, for example `Core`, `Horizon`; empty for the only one"""
    contracts: dict[str, QuotedAddress]
    deployed_at: Annotated[int, Field(ge=0)] | None = None
    """block of deployment: where log searches begin"""
    holds: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """roles in `contracts` that are tokens whose balances this adapter reads, so that no other adapter reads them"""
    parameters: dict[str, str | int | bool] = Field(default_factory=dict)
    """what else the family needs, by the names it documents"""
    source: str
    """where the addresses were taken from"""


class Manifest(Data):
    """One adapter: who, what, where."""

    slug: str
    """DefiLlama's slug"""
    name: str
    family: str
    """the slug of the folder whose code reads it; its own slug where it has code of its own"""
    documentation: str
    tier: Annotated[Tier, Field(strict=False)]
    capabilities: dict[Annotated[Capability, Field(strict=False)], Annotated[Support, Field(strict=False)]]
    reveals: str | None = None
    """the event that reveals accounts, as `Name(types)`"""
    deployments: dict[Caip2, tuple[Deployment, ...]] = Field(strict=False)
