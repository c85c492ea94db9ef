"""`GET /v1/owners/{owner}/health`: the health document, always of the newest blocks that touched the owner."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.operation import OWNER_PARAMETER, Operation, Query, query_of
from aggregator.api.owners import current, document_response, named_owner
from aggregator.engine.schema import HealthDocument


class HealthQuery(Query):
    """Nothing can be chosen."""


async def health(request: web.Request) -> web.StreamResponse:
    if request.query_string:
        query_of(request, HealthQuery)
    _, assessed = await current(request, await named_owner(request))
    return document_response(request, assessed)


routes = (
    Operation(
        "GET",
        "/v1/owners/{owner}/health",
        "health",
        "The portfolio of an owner and its unified health",
        health,
        answer=HealthDocument,
        query=HealthQuery,
        tagged=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
