"""`GET /v1/owners/{owner}/margin`: what every margin method requires of the owner."""

from __future__ import annotations

import hashlib
from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.middleware import spend
from aggregator.api.operation import OWNER_PARAMETER, Operation, Query, query_of
from aggregator.api.owners import COLD_COST, current, named_owner, tagged_response, unchanged
from aggregator.engine.margin_schema import MarginDocument


class MarginQuery(Query):
    """`methods`: names between commas; all that apply where it is left out."""

    methods: Annotated[str, Field(max_length=500, pattern=r"^[a-z0-9-]+(,[a-z0-9-]+)*$")] | None = None


async def margin(request: web.Request) -> web.StreamResponse:
    query = query_of(request, MarginQuery)
    methods = tuple(dict.fromkeys(query.methods.split(","))) if query.methods is not None else ()
    one, assessed = await current(request, await named_owner(request))
    tag = hashlib.sha256(f"{assessed.snapshot} margin {methods}".encode()).hexdigest()
    if unchanged(request, tag):
        return tagged_response(request, b"", tag)
    spend(request, COLD_COST - 1)
    from aggregator.engine.live.answers import margin_json

    assert one.picture is not None
    return tagged_response(request, await app_of(request).live.workers.run(margin_json, one.picture, methods), tag)


routes = (
    Operation(
        "GET",
        "/v1/owners/{owner}/margin",
        "margin",
        "What every margin method requires of an owner",
        margin,
        answer=MarginDocument,
        query=MarginQuery,
        tagged=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
