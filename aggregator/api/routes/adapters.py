"""`GET /v1/adapters`: what is supported where, and each adapter's quality tier."""

from __future__ import annotations

from functools import lru_cache

from aiohttp import web

from aggregator.api.operation import Operation, json_response
from aggregator.engine.schema import Document
from aggregator.reading.catalogue import adapters
from aggregator.reading.venue_manifest import venues


class AdapterDeployment(Document):
    market: str
    contracts: dict[str, str]
    source: str


class AdapterDocument(Document):
    slug: str
    name: str
    family: str
    tier: str
    documentation: str
    capabilities: dict[str, str]
    deployments: dict[str, tuple[AdapterDeployment, ...]]


class VenueDocument(Document):
    slug: str
    name: str
    tier: str
    documentation: str
    account: str
    capabilities: dict[str, str]


class AdaptersDocument(Document):
    adapters: tuple[AdapterDocument, ...]
    venues: tuple[VenueDocument, ...]


async def listed(request: web.Request) -> web.StreamResponse:
    return json_response(_document())


@lru_cache(maxsize=1)
def _document() -> AdaptersDocument:
    return AdaptersDocument(
        adapters=tuple(
            AdapterDocument(
                slug=one.slug,
                name=one.manifest.name,
                family=one.manifest.family,
                tier=one.manifest.tier.value,
                documentation=one.manifest.documentation,
                capabilities={name.value: support.value for name, support in one.manifest.capabilities.items()},
                deployments={
                    chain: tuple(AdapterDeployment(market=d.market, contracts=dict(d.contracts), source=d.source) for d in found)
                    for chain, found in one.manifest.deployments.items()
                },
            )
            for one in adapters()
        ),
        venues=tuple(
            VenueDocument(
                slug=one.slug,
                name=one.manifest.name,
                tier=one.manifest.tier.value,
                documentation=one.manifest.documentation,
                account=one.manifest.account,
                capabilities={name.value: support.value for name, support in one.manifest.capabilities.items()},
            )
            for one in venues()
        ),
    )


routes = (Operation("GET", "/v1/adapters", "adapters", "What is supported where", listed, answer=AdaptersDocument),)
