"""`POST /v1/owners/{owner}/what-if`: the same portfolio after actions and a shock."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.middleware import spend
from aggregator.api.operation import JSON, OWNER_PARAMETER, Body, Operation, body_of
from aggregator.api.owners import COLD_COST, current, named_owner
from aggregator.chains.arguments import resolve_chain
from aggregator.engine.what_if_schema import WhatIfDocument

Word = Annotated[str, Field(min_length=1, max_length=120)]
Words = Annotated[tuple[Word, ...], Field(max_length=20, strict=False)]


class WhatIfBody(Body):
    """As the command line's `--shock`, `--action`, `--restore` and `--method`."""

    shocks: Words = ()
    actions: Words = ()
    restore: Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,18})?$")] | None = None
    methods: Words = ()


async def what_if(request: web.Request) -> web.StreamResponse:
    from aggregator.engine.live.answers import WhatIfQuestion, what_if_json

    body = await body_of(request, WhatIfBody)
    live = app_of(request).live
    configuration = live.engine.network.configuration
    question = WhatIfQuestion(body.shocks, body.actions, body.restore, body.methods)
    asked = question.request(lambda text: resolve_chain(text, configuration))
    one, _ = await current(request, await named_owner(request))
    spend(request, COLD_COST // 2 - 1)
    assert one.picture is not None
    response = web.Response(body=await live.workers.run(what_if_json, one.picture, asked), content_type=JSON)
    response.enable_compression()
    return response


routes = (
    Operation(
        "POST",
        "/v1/owners/{owner}/what-if",
        "what_if",
        "The portfolio of an owner after actions and a shock",
        what_if,
        answer=WhatIfDocument,
        body=WhatIfBody,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
