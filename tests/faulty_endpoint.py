"""A JSON-RPC endpoint on the loopback interface that misbehaves on command.

It answers by itself (`handler`), or passes everything on to `upstream` and spoils what comes back:

    async with FaultyEndpoint(upstream="http://127.0.0.1:8545") as endpoint:
        endpoint.inject(Delay(0.05))                      # every request
        endpoint.inject(Status(503), every=3)             # every third
        endpoint.inject(BlockHash("0x" + "ab" * 32))      # lies
        ... --rpc eth={endpoint.url} ...
        assert endpoint.requests <= 4 and endpoint.largest_request_bytes < 500_000
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
import orjson
from aiohttp import web

Json = Any
Handler = Callable[[str, list[Json]], Json]


class RpcFailure(Exception):
    """Raised by a handler: the call is answered with this error object."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({} if data is None else {"data": data})


@dataclass(slots=True)
class Exchange:
    """One HTTP request on its way. `calls` are its JSON-RPC requests; `batched` says whether they came as an array."""

    request: web.Request
    body: bytes
    calls: list[dict[str, Json]]
    batched: bool

    def concerns(self, method: str | None) -> bool:
        return method is None or any(call.get("method") == method for call in self.calls)


class Fault:
    """What can go wrong. `before` may answer in the endpoint's place; `calls` and `answers` may change what is asked and said;
    `body` may spoil the bytes."""

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        return None

    def calls(self, calls: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return calls

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        return answers

    def body(self, body: bytes) -> bytes:
        return body


@dataclass(frozen=True)
class Delay(Fault):
    seconds: float

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        await asyncio.sleep(self.seconds)
        return None


@dataclass(frozen=True)
class Status(Fault):
    """An HTTP status with any body; `Retry-After` goes into `headers`."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/plain"

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        return web.Response(status=self.status, text=self.text, headers=dict(self.headers), content_type=self.content_type)


def html(status: int = 200) -> Status:
    return Status(status, "<!doctype html><html><body>Checking your browser</body></html>", content_type="text/html")


class Reset(Fault):
    """The connection is cut without an answer."""

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        if exchange.request.transport is not None:
            exchange.request.transport.abort()
        return web.Response()


@dataclass(frozen=True)
class CutOff(Fault):
    """More bytes are announced than are sent."""

    sent: int = 40

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"Content-Length": str(self.sent * 2), "Content-Type": "application/json"})
        await response.prepare(exchange.request)
        await response.write(b"[" + b" " * (self.sent - 1))
        if exchange.request.transport is not None:
            exchange.request.transport.close()
        return response


@dataclass(frozen=True)
class Endless(Fault):
    """Bytes for ever, `piece_bytes` every `pause_seconds`."""

    piece_bytes: int = 65_536
    pause_seconds: float = 0.0

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(exchange.request)
        piece = b"[" + b" " * (self.piece_bytes - 1)
        while True:
            await response.write(piece)
            await asyncio.sleep(self.pause_seconds)


@dataclass(frozen=True)
class Raw(Fault):
    """Other bytes in place of the answer."""

    data: bytes

    def body(self, body: bytes) -> bytes:
        return self.data


@dataclass(frozen=True)
class Truncate(Fault):
    """Only the first part of the answer, with a matching Content-Length."""

    share: float = 0.5

    def body(self, body: bytes) -> bytes:
        return body[: int(len(body) * self.share)]


@dataclass(frozen=True)
class Change(Fault):
    """Any change to the list of answers."""

    change: Callable[[list[dict[str, Json]]], Sequence[Json]]

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        return list(self.change(answers))


def shuffled(seed: int = 1) -> Change:
    def shuffle(answers: list[dict[str, Json]]) -> list[Json]:
        return random.Random(seed).sample(answers, len(answers))

    return Change(shuffle)


@dataclass(frozen=True)
class BatchLimit(Fault):
    """Refuses arrays of more than `most` calls; `status` and `array` say in which of the ways that nodes have."""

    most: int
    status: int = 200
    array: bool = False
    message: str = "batch too large"

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        if not exchange.batched or len(exchange.calls) <= self.most:
            return None
        answer: Json = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": self.message}}
        if self.array:
            answer = [answer | {"id": exchange.calls[0]["id"]}]
        return web.json_response(answer, status=self.status)


@dataclass(frozen=True)
class BodyLimit(Fault):
    """Refuses bodies above `most` bytes: with HTTP 413, or as anvil does with 200 and an error without id."""

    most: int
    status: int = 413

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        if len(exchange.body) <= self.most:
            return None
        answer = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Invalid request"}}
        return web.json_response(answer if self.status == 200 else {}, status=self.status)


@dataclass(frozen=True)
class Refuse(Fault):
    """An error object for the calls of `method`, or for all."""

    code: int
    message: str
    method: str | None = None
    data: Json = None

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        methods = {call.get("id"): call.get("method") for call in exchange.calls}
        error = {"code": self.code, "message": self.message} | ({} if self.data is None else {"data": self.data})
        return [
            {"jsonrpc": "2.0", "id": answer.get("id"), "error": error}
            if self.method is None or methods.get(answer.get("id")) == self.method
            else answer
            for answer in answers
        ]


@dataclass(frozen=True)
class Rewrite(Fault):
    """Another result for the calls of methods that start with `prefix`."""

    prefix: str
    change: Callable[[Json], Json]

    def answers(self, exchange: Exchange, answers: list[dict[str, Json]]) -> list[Json]:
        methods = {call.get("id"): str(call.get("method")) for call in exchange.calls}
        return [
            answer | {"result": self.change(answer["result"])}
            if "result" in answer and methods.get(answer.get("id"), "").startswith(self.prefix)
            else answer
            for answer in answers
        ]


def chain_id(number: int) -> Rewrite:
    """Claims to serve another chain."""
    return Rewrite("eth_chainId", lambda _: hex(number))


def block_hash(value: str) -> Rewrite:
    """Gives blocks a hash that they do not have."""
    return Rewrite("eth_getBlockBy", lambda block: block | {"hash": value} if isinstance(block, dict) else block)


@dataclass(frozen=True)
class Stuck(Fault):
    """Serves block `number` as its latest."""

    number: int

    def calls(self, calls: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return [call | {"params": [hex(self.number) if p == "latest" else p for p in call.get("params", [])]} for call in calls]


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
