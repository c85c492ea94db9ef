"""A venue's manifest, and which venues there are: folders of the adapter packages that hold a `venue.yaml`."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from aggregator.model.errors import ConfigurationError, InputError
from aggregator.reading.catalogue import folders
from aggregator.reading.manifest import Caip2, Capability, Data, Support, Tier, load_data

if TYPE_CHECKING:
    from aggregator.reading.venue import VenueAdapter

FILE = "venue.yaml"


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or value.endswith("/"):
        raise ValueError("an https:// URL without query, fragment and final slash")
    return value


class Limits(Data):
    """What the venue allows one address: `weight` in any `period_seconds`, and what we keep under way at once."""

    weight: Annotated[int, Field(ge=1)]
    period_seconds: Annotated[float, Field(gt=0)]
    concurrency: Annotated[int, Field(ge=1)] = 8
    source: str


class VenueManifest(Data):
    """One venue: who, what, where, and how much may be asked of it."""

    slug: str
    """DefiLlama's slug"""
    name: str
    transport: Literal["http"]
    base_url: Annotated[str, AfterValidator(_base_url)]
    """public API that needs no key"""
    chain: Caip2
    """the chain it settles on, or its own"""
    account: str
    """what its accounts are named by, for people"""
    documentation: str
    tier: Annotated[Tier, Field(strict=False)]
    capabilities: dict[Annotated[Capability, Field(strict=False)], Annotated[Support, Field(strict=False)]]
    limits: Limits
    source: str
    """where host and paths were taken from"""


@lru_cache(maxsize=1)
def venues() -> tuple[VenueAdapter, ...]:
    """All venue adapters, by slug. ConfigurationError for a bad manifest, a slug twice, or a folder without a `VENUE`."""
    from aggregator.reading.venue import VenueAdapter

    found: dict[str, VenueAdapter] = {}
    for package, folder in folders(FILE):
        manifest: VenueManifest = load_data(folder / FILE, VenueManifest)
        if manifest.slug in found:
            raise ConfigurationError(folder / FILE, None, "slug", f"{manifest.slug} is taken")
        kind = getattr(importlib.import_module(f"{package}.{folder.name}.adapter"), "VENUE", None)
        if not (isinstance(kind, type) and issubclass(kind, VenueAdapter)):
            raise ConfigurationError(folder / "adapter.py", None, "VENUE", "must be a class derived from VenueAdapter")
        found[manifest.slug] = kind(manifest)
    return tuple(found[slug] for slug in sorted(found))


def venue(name: str) -> VenueAdapter:
    """The adapter of a slug; InputError naming those there are."""
    for one in venues():
        if one.slug == name:
            return one
    raise InputError(f"unknown venue {name[:80]!r}; expected one of {', '.join(one.slug for one in venues())}")
