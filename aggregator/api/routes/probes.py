"""`/healthz`, `/readyz`, `/metrics`: for whoever runs the service."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.context import app_of
from aggregator.api.operation import Operation, json_response
from aggregator.api.schema import AliveDocument, ReadyDocument

METRICS_TYPE = "text/plain"


async def healthz(request: web.Request) -> web.StreamResponse:
    return json_response(AliveDocument(alive=True))


async def readyz(request: web.Request) -> web.StreamResponse:
    app = app_of(request)
    share = app.live.coverage()
    why = None
    if not await app.database.answers():
        why = "the database does not answer"
    elif share < app.settings.minimum_coverage:
        why = f"coverage is {share:.4f}, below {app.settings.minimum_coverage:g}: see /v1/coverage"
    return json_response(ReadyDocument(ready=why is None, share=f"{share:.4f}", why=why), 200 if why is None else 503)


async def metrics(request: web.Request) -> web.StreamResponse:
    return web.Response(body=app_of(request).metrics.text(), headers={"Content-Type": "text/plain; version=1.0.0; charset=utf-8"})


routes = (
    Operation("GET", "/healthz", "healthz", "Whether the process answers", healthz, answer=AliveDocument),
    Operation("GET", "/readyz", "readyz", "Whether enough is known to serve", readyz, answer=ReadyDocument, problems=(503,)),
    Operation("GET", "/metrics", "metrics", "Prometheus metrics", metrics, media=METRICS_TYPE),
)
