"""A JSON-RPC endpoint on the loopback interface that misbehaves on command.

It answers by itself (`handler`), or passes everything on to `upstream` and spoils what comes back:

    from tests.faults import Delay, Status, block_hash

    async with FaultyEndpoint(upstream="http://127.0.0.1:8545") as endpoint:
        endpoint.inject(Delay(0.05))                      # every request
        endpoint.inject(Status(503), every=3)             # every third
        endpoint.inject(block_hash("0x" + "ab" * 32))     # lies
        ... --rpc eth={endpoint.url} ...
        assert endpoint.requests <= 4 and endpoint.largest_request_bytes < 500_000
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import aiohttp
import orjson
from aiohttp import web

from tests.faults import Exchange, Fault, Json

Handler = Callable[[str, list[Json]], Json]


class RpcFailure(Exception):
    """Raised by a handler: the call is answered with this error object."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


@dataclass(slots=True)
class Rule:
    """A fault and when it strikes: every `every`-th request that concerns `method`, `times` times at most, after `after` requests."""

    fault: Fault
    every: int = 1
    times: int | None = None
    method: str | None = None
    after: int = 0
    seen: int = 0
    struck: int = 0

    def strikes(self, exchange: Exchange) -> bool:
        if not exchange.concerns(self.method):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.seen - self.after) % self.every or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


@dataclass(frozen=True, slots=True)
class Recorded:
    """One HTTP request that was served."""

    methods: tuple[str, ...]
    request_bytes: int
    response_bytes: int
    status: int


def echo(method: str, params: list[Json]) -> Json:
    """The handler without an upstream: gives back the first parameter."""
    return params[0] if params else None


class FaultyEndpoint:
    """See the module. `record` holds every request that was read; `url` is where it listens."""

    def __init__(self, *, upstream: str | None = None, chain: int = 1, handler: Handler = echo) -> None:
        self.upstream = upstream
        self.chain = chain
        self.handler = handler
        self.record: list[Recorded] = []
        self.rules: list[Rule] = []
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> int:
        return len(self.record)

    @property
    def largest_request_bytes(self) -> int:
        return max((entry.request_bytes for entry in self.record), default=0)

    def inject(self, fault: Fault, *, every: int = 1, times: int | None = None, method: str | None = None, after: int = 0) -> None:
        self.rules.append(Rule(fault, every, times, method, after))

    def heal(self) -> None:
        self.rules.clear()

    async def __aenter__(self) -> FaultyEndpoint:
        self._session = aiohttp.ClientSession() if self.upstream is not None else None
        await self.listen()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.refuse()
        if self._session is not None:
            await self._session.close()

    async def listen(self) -> None:
        """Accept connections; after `refuse`, on the same port as before."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def refuse(self) -> None:
        """Close the port: connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        parsed = orjson.loads(body)
        calls = parsed if isinstance(parsed, list) else [parsed]
        exchange = Exchange(request, body, calls, isinstance(parsed, list))
        faults = [rule.fault for rule in self.rules if rule.strikes(exchange)]
        position = len(self.record)
        methods = tuple(str(call.get("method")) for call in calls)
        self.record.append(Recorded(methods, len(body), 0, 0))
        response: web.StreamResponse | None = None
        for fault in faults:
            response = await fault.before(exchange)
            if response is not None:
                break
        if response is None:
            response = await self._answer(exchange, faults)
        size = len(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else 0
        self.record[position] = Recorded(methods, len(body), size, response.status)
        return response

    async def _answer(self, exchange: Exchange, faults: list[Fault]) -> web.Response:
        calls = exchange.calls
        for fault in faults:
            calls = fault.calls(calls)
        answers: list[Json] = await self._forward(exchange, calls) if self.upstream is not None else [self._call(call) for call in calls]
        for fault in faults:
            answers = fault.answers(exchange, answers)
        body = orjson.dumps(answers if exchange.batched else answers[0])
        for fault in faults:
            body = fault.body(body)
        return web.Response(body=body, content_type="application/json")

    async def _forward(self, exchange: Exchange, calls: list[dict[str, Json]]) -> list[Json]:
        assert self._session is not None and self.upstream is not None
        data = orjson.dumps(calls if exchange.batched else calls[0])
        async with self._session.post(self.upstream, data=data, headers={"Content-Type": "application/json"}) as response:
            parsed = orjson.loads(await response.read())
        return parsed if isinstance(parsed, list) else [parsed]

    def _call(self, call: dict[str, Json]) -> dict[str, Json]:
        answer: dict[str, Json] = {"jsonrpc": "2.0", "id": call["id"]}
        try:
            result = hex(self.chain) if call["method"] == "eth_chainId" else self.handler(call["method"], list(call.get("params", [])))
        except RpcFailure as failure:
            return answer | {"error": failure.error}
        return answer | {"result": result}
