"""`GET /v1/owners/{owner}/alerts`: alerts about an owner, for that owner's wallet alone, the newest first."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.context import app_of
from aggregator.api.identity import require
from aggregator.api.operation import OWNER_PARAMETER, Operation, json_response, query_of
from aggregator.api.owners import named_owner
from aggregator.api.problem import Problem
from aggregator.api.routes.systemic_alerts import AlertsQuery, alert_item
from aggregator.api.schema import AlertsDocument, missing
from aggregator.api.times import cursor, place
from aggregator.engine.live.owner import owner_key
from aggregator.engine.schema import GapDocument
from aggregator.store import watch


async def alerts(request: web.Request) -> web.StreamResponse:
    query = query_of(request, AlertsQuery)
    who = await require(request)
    owner = await named_owner(request)
    if who.address != owner.address:
        raise Problem(403, "forbidden", "an owner's own alerts are for the owner: sign in with that wallet")
    app = app_of(request)
    async with app.database.reading() as connection:
        found, before = await watch.alerts_page(connection, query.limit, place(query.before), query.graver, owner.address)
    followed = app.live.followed.get(owner_key(owner))
    gaps = () if followed is not None and followed.watched else (_UNWATCHED,)
    return json_response(
        AlertsDocument(
            alerts=tuple(alert_item(one) for one in found),
            before=cursor(before) if before is not None else None,
            coverage=missing(gaps),
        )
    )


_UNWATCHED = GapDocument(chain="*", protocol="*", what="alerts at every block", why="this owner is on no watch list")

routes = (
    Operation(
        "GET",
        "/v1/owners/{owner}/alerts",
        "owner_alerts",
        "Your own alerts",
        alerts,
        answer=AlertsDocument,
        query=AlertsQuery,
        writes=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
