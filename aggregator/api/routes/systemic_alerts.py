"""`GET /v1/systemic/alerts`: alerts that concern everybody, the newest first. An owner's own alerts are not among them."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import Operation, Query, json_response, query_of
from aggregator.api.schema import AlertItem, AlertsDocument
from aggregator.api.systemic import basis
from aggregator.api.times import cursor, place, shown
from aggregator.engine.live.stream import SEVERITIES
from aggregator.store import watch
from aggregator.store.watch import StoredAlert


class AlertsQuery(Query):
    """`severity`: the least grave. `before`: the cursor that the newer page gave."""

    severity: Literal["info", "warning", "critical"] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    before: Annotated[str, Field(max_length=32)] | None = None

    @property
    def graver(self) -> tuple[str, ...]:
        """All severities that are wanted; none where every one is."""
        return SEVERITIES[SEVERITIES.index(self.severity) :] if self.severity is not None else ()


async def alerts(request: web.Request) -> web.StreamResponse:
    query = query_of(request, AlertsQuery)
    app = app_of(request)
    async with app.database.reading() as connection:
        found, before = await watch.alerts_page(connection, query.limit, place(query.before), query.graver)
    population = app.systemic.population
    _, _, coverage = basis(app.systemic, "systemic alerts", population.evidence if population else None)
    return json_response(
        AlertsDocument(
            alerts=tuple(alert_item(one) for one in found), before=cursor(before) if before is not None else None, coverage=coverage
        )
    )


def alert_item(one: StoredAlert) -> AlertItem:
    """A stored alert as it is listed."""
    body = orjson.loads(one.body)
    return AlertItem(
        id=one.identifier,
        episode=one.episode,
        timestamp=str(body.get("t") or shown(one.at)),
        severity=one.severity,
        state=one.state,
        rule=one.rule,
        subject=str(body.get("subject", "")),
        path=tuple(str(step) for step in body.get("path", ())),
        clears_when=str(body.get("clears_when", "")),
    )


routes = (
    Operation(
        "GET",
        "/v1/systemic/alerts",
        "systemic_alerts",
        "Alerts that concern everybody",
        alerts,
        answer=AlertsDocument,
        query=AlertsQuery,
        problems=(503,),
    ),
)
