"""`/healthz`, `/readyz`, `/metrics`: for whoever runs the service."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.collectors import look
from aggregator.api.context import app_of
from aggregator.api.operation import Operation, json_response
from aggregator.api.readiness import readiness
from aggregator.api.schema import AliveDocument, ReadyDocument

METRICS_TYPE = "text/plain"


async def healthz(request: web.Request) -> web.StreamResponse:
    return json_response(AliveDocument(alive=True))


async def readyz(request: web.Request) -> web.StreamResponse:
    ready = await readiness(app_of(request))
    document = ReadyDocument(ready=ready.why is None, share=f"{ready.share:.4f}", why=ready.why)
    return json_response(document, 200 if ready.why is None else 503)


async def metrics(request: web.Request) -> web.StreamResponse:
    app = app_of(request)
    body = app.metrics.text(await look(app))
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=1.0.0; charset=utf-8"})


routes = (
    Operation("GET", "/healthz", "healthz", "Whether the process answers", healthz, answer=AliveDocument),
    Operation("GET", "/readyz", "readyz", "Whether enough is known to serve", readyz, answer=ReadyDocument, problems=(503,)),
    Operation("GET", "/metrics", "metrics", "Prometheus metrics", metrics, media=METRICS_TYPE),
)
