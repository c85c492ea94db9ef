"""`GET /v1/stream` (server-sent events) and `/v1/ws` (WebSocket): what changes, as it is published, from where the client left off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import orjson
from aiohttp import WSMsgType, web
from pydantic import Field, ValidationError

from aggregator.api.context import App, app_of
from aggregator.api.identity import Identity, identify, identity_of
from aggregator.api.middleware import client_address
from aggregator.api.operation import Body, Operation, Query, query_of
from aggregator.api.owners import LONGEST_OWNER, parsed_owner
from aggregator.api.problem import Problem
from aggregator.chains.arguments import resolve_chain
from aggregator.engine.live.events import KINDS
from aggregator.engine.live.owner import owner_key
from aggregator.engine.live.stream import Filter, Lagging, Subscriber
from aggregator.model.identifiers import Address
from aggregator.store.chronicle import Event

KEEPALIVE_SECONDS = 15.0
GONE_SECONDS = 2.5
"""how often it is looked whether a client is still there"""
RETRY_MILLISECONDS = 1_000
LARGEST_MESSAGE = 64 * 1024
MOST_OWNERS = 100
_LIST = r"^[^,\s]+(,[^,\s]+)*$"

Severity = Literal["info", "warning", "critical"]
Listed = Annotated[str, Field(max_length=8_000, pattern=_LIST)]


class StreamQuery(Query):
    """Filters; several owners, chains or kinds stand between commas. `severity`: the least grave alert, and nothing but alerts.

    `last_event_id`: for clients that cannot send the header Last-Event-ID.
    """

    owner: Listed | None = None
    chain: Listed | None = None
    kind: Listed | None = None
    severity: Severity | None = None
    last_event_id: Annotated[int, Field(ge=0, le=2**62)] | None = None


class Subscribe(Body):
    """What a WebSocket client sends, at any time, to choose anew. `token`: a session, for an owner's private alerts."""

    owners: Annotated[tuple[str, ...], Field(max_length=MOST_OWNERS, strict=False)] = ()
    chains: Annotated[tuple[str, ...], Field(max_length=MOST_OWNERS, strict=False)] = ()
    kinds: Annotated[tuple[str, ...], Field(max_length=len(KINDS), strict=False)] = ()
    severity: Severity | None = None
    last_event_id: Annotated[int, Field(ge=0, le=2**62)] | None = None
    token: Annotated[str, Field(max_length=200)] | None = None


async def stream(request: web.Request) -> web.StreamResponse:
    query = query_of(request, StreamQuery)
    who = await identify(request)
    wanted = await _filter(request, _parts(query.owner), _parts(query.chain), _parts(query.kind), query.severity, _wallet(who))
    last = _last_id(request, query.last_event_id)
    app = app_of(request)
    async with _slot(request, app):
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        subscriber = await app.hub.subscribe(wanted, last)
        try:
            await response.prepare(request)
            await response.write(f"retry: {RETRY_MILLISECONDS}\n\n".encode())
            quiet = 0.0
            while not (subscriber.closed and not subscriber.queue) and not _gone(request):
                events = await subscriber.take(GONE_SECONDS)
                quiet = 0.0 if events else quiet + GONE_SECONDS
                if events or quiet >= KEEPALIVE_SECONDS:
                    quiet = 0.0
                    app.live.asked_again(wanted.owners)
                    await response.write(b"".join(map(_sse, events)) or b": still here\n\n")
        except (Lagging, ConnectionResetError):
            pass  # it comes back with the last id that it saw
        finally:
            app.hub.leave(subscriber)
        with contextlib.suppress(ConnectionResetError):
            await response.write_eof()
    return response


async def socket(request: web.Request) -> web.StreamResponse:
    query = query_of(request, StreamQuery)
    who = await identify(request)
    wanted = await _filter(request, _parts(query.owner), _parts(query.chain), _parts(query.kind), query.severity, _wallet(who))
    app = app_of(request)
    connection = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=KEEPALIVE_SECONDS)
    if not connection.can_prepare(request).ok:
        raise Problem(426, "upgrade-required", "expected a WebSocket", {"Upgrade": "websocket"})
    async with _slot(request, app):
        subscriber = await app.hub.subscribe(wanted, _last_id(request, query.last_event_id))
        talk = _Talk(request, connection, subscriber)
        try:
            await connection.prepare(request)
            await talk.run()
        finally:
            app.hub.leave(talk.subscriber)
    return connection


class _Talk:
    """One WebSocket: a task that tells, while this one listens."""

    def __init__(self, request: web.Request, connection: web.WebSocketResponse, subscriber: Subscriber) -> None:
        self.request, self.connection, self.subscriber = request, connection, subscriber

    async def run(self) -> None:
        telling = asyncio.create_task(self._tell())
        try:
            async for message in self.connection:
                if message.type is not WSMsgType.TEXT:
                    break
                try:
                    await self._choose(Subscribe.model_validate_json(message.data))
                except ValidationError as error:
                    first = error.errors(include_input=False, include_url=False)[0]
                    await self._say({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"})
                except Problem as problem:
                    await self._say({"error": problem.detail})
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling

    async def _choose(self, chosen: Subscribe) -> None:
        who = await identity_of(self.request, chosen.token) if chosen.token is not None else await identify(self.request)
        wanted = await _filter(self.request, chosen.owners, chosen.chains, chosen.kinds, chosen.severity, _wallet(who))
        hub = app_of(self.request).hub
        former, self.subscriber = self.subscriber, await hub.subscribe(wanted, chosen.last_event_id)
        hub.leave(former)
        former.closed = True
        former.news.set()
        await self._say({"subscribed": sorted(wanted.owners)})

    async def _tell(self) -> None:
        app = app_of(self.request)
        with contextlib.suppress(ConnectionResetError):
            while True:
                listening = self.subscriber
                try:
                    events = await listening.take(KEEPALIVE_SECONDS)
                except Lagging:
                    await self.connection.close(code=1013, message=b"too far behind")
                    return
                app.live.asked_again(listening.wanted.owners)
                for event in events:
                    await self.connection.send_str(_message(event))
                if listening.closed and listening is self.subscriber:
                    await self.connection.close(code=1001, message=b"the service ends")
                    return

    async def _say(self, document: object) -> None:
        await self.connection.send_str(orjson.dumps(document).decode())


def _sse(event: Event) -> bytes:
    """Bodies are JSON on one line."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.body}\n\n".encode()


def _message(event: Event) -> str:
    return orjson.dumps({"id": event.id, "event": event.kind, "data": orjson.Fragment(event.body)}).decode()


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _wallet(who: Identity | None) -> Address | None:
    return who.address if who is not None else None


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text is not None else ()


def _last_id(request: web.Request, given: int | None) -> int | None:
    """The header that browsers send comes before the parameter."""
    header = request.headers.get("Last-Event-ID")
    if header is None or header == "":
        return given
    if not (header.isascii() and header.isdigit() and len(header) <= 18):
        raise Problem(400, "bad-event-id", "Last-Event-ID: expected an id that this stream gave")
    return int(header)


async def _filter(
    request: web.Request,
    owners: Sequence[str],
    chains: Sequence[str],
    kinds: Sequence[str],
    severity: Severity | None,
    wallet: Address | None,
) -> Filter:
    """Problem 400 for owners, chains and kinds that do not exist."""
    if len(owners) > MOST_OWNERS or any(len(owner) > LONGEST_OWNER for owner in owners):
        raise Problem(400, "bad-owner", f"expected {MOST_OWNERS} owners at most, of {LONGEST_OWNER} characters at most")
    configuration = app_of(request).live.engine.network.configuration
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise Problem(400, "bad-kind", f"{unknown[0]}: expected kinds among {', '.join(KINDS)}")
    return Filter(
        owners=frozenset([owner_key(await parsed_owner(request, text)) for text in owners]),
        chains=frozenset(resolve_chain(text, configuration) for text in chains),
        severity=severity,
        kinds=frozenset(kinds),
        private=frozenset([wallet] if wallet is not None else []),
    )


@asynccontextmanager
async def _slot(request: web.Request, app: App) -> AsyncIterator[None]:
    """A place among the open streams. Problem 429 where this address has its share, 503 where all are taken."""
    address = client_address(request, app.settings.trusted_proxies)
    if app.streams.get(address, 0) >= app.settings.maximum_streams_per_address:
        raise Problem(429, "too-many-streams", "this address has as many streams open as it may", {"Retry-After": "30"})
    if sum(app.streams.values()) >= app.settings.maximum_streams:
        raise Problem(503, "too-many-streams", "all streams are taken", {"Retry-After": "30"})
    app.streams[address] = app.streams.get(address, 0) + 1
    try:
        yield
    finally:
        app.streams[address] -= 1
        if not app.streams[address]:
            del app.streams[address]


routes = (
    Operation(
        "GET",
        "/v1/stream",
        "stream",
        "What changes, as server-sent events",
        stream,
        query=StreamQuery,
        media="text/event-stream",
        problems=(401, 503),
    ),
    Operation(
        "GET",
        "/v1/ws",
        "socket",
        "The same over a WebSocket",
        socket,
        query=StreamQuery,
        media="text/plain",
        status=101,
        problems=(401, 426, 503),
    ),
)
