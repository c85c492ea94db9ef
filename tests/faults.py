"""What can go wrong at an endpoint; `tests.faulty_endpoint` makes it happen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Json = Any


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
