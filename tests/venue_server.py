"""An HTTP venue on the loopback interface that answers by script and misbehaves on command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web

from aggregator.model.outcome import Absent, Outcome, Unknown, Value
from aggregator.reading.venue import VenueRequest


@dataclass(frozen=True, slots=True)
class Said:
    """A raw HTTP answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False


def spoken(outcome: Outcome[bytes]) -> Said:
    """How a venue says an outcome."""
    match outcome:
        case Value(body):
            return Said(body=body)
        case Absent():
            return Said(404, b'{"errors":[{"msg":"No subaccounts found"}]}')
        case Unknown() as unknown:
            return Said(400, orjson.dumps({"error": {"code": -32000, "message": str(unknown)}}))


class VenueServer:
    """`handler` gives the answer to each request, below the prefix `/api`."""

    def __init__(self, handler: Callable[[VenueRequest], Said]) -> None:
        self.handler = handler
        self.requests: list[VenueRequest] = []
        self.under_way = 0
        self.most_at_once = 0
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api"

    async def __aenter__(self) -> VenueServer:
        app = web.Application()
        app.router.add_route("*", "/api/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body: dict[str, Any] = orjson.loads(raw) if raw else {}
        asked = VenueRequest("POST" if request.method == "POST" else "GET", request.path.removeprefix("/api"), body)
        self.requests.append(asked)
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            said = self.handler(asked)
            if said.delay:
                await asyncio.sleep(said.delay)
            if said.hang_up and request.transport is not None:
                request.transport.abort()
            return web.Response(status=said.status, body=said.body, headers={"Content-Type": "application/json", **said.headers})
        finally:
            self.under_way -= 1
