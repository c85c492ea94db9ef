"""What the service stands in: living chains that are reorganised, one endpoint that flaps, a receiver of alerts, a store with a past."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from aiohttp import web

from aggregator.engine.live.stream import BACKLOG
from aggregator.localnet.activity import EVERY_SECONDS, Activity
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address, ChainId
from aggregator.store import access, chronicle
from aggregator.store.chronicle import Entry, Event
from aggregator.store.database import Database
from tests.faults import Delay, Status
from tests.faulty_endpoint import FaultyEndpoint

log = logging.getLogger(__name__)

REORGANISE_SECONDS = 60.0
DEEPEST = 4
FLAP_SECONDS, FLAP_LASTS = 40.0, 6.0


async def prepare(database_url: str, owners: tuple[str, ...]) -> str:
    """A store in which the stream's memory is full, as after hours, so that its filling is not taken for a leak; a key that may write."""
    body = '{"owner":"' + "0" * 42 + '","snapshot":"' + "0" * 64 + '","blocks":"' + "0" * 400 + '"}'
    now = time.time_ns() // 1_000
    events = tuple(Event("health", now, body, Address(owners[n % len(owners)].lower()), ChainId("eip155:1")) for n in range(BACKLOG))
    async with Database.at(database_url) as database, database.writing() as connection:
        await chronicle.record(connection, Entry(events=events))
        _, secret = await access.create_key(connection, "soak", frozenset(access.SCOPES), now)
    return secret


async def live(world: World, late: float) -> None:
    """The chains live in their small steps, and one of them is reorganised every minute, until cancelled."""
    activity, source, chains = Activity(world, lambda: time.time() - late), Random(1), cycle(sorted(world.chains))
    reorganised = time.monotonic()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await activity.step()
            if time.monotonic() - reorganised >= REORGANISE_SECONDS:
                reorganised = time.monotonic()
                await world.chains[next(chains)].reorg(source.randint(1, DEEPEST))
        except LocalChainError as error:
            log.warning("the chains missed a step: %s", error)


async def flap(endpoint: FaultyEndpoint) -> None:
    """Every so often it refuses, answers 503 or is slow for some seconds, until cancelled."""
    for number in cycle(range(3)):
        await asyncio.sleep(FLAP_SECONDS)
        if number == 0:
            await endpoint.refuse()
        else:
            endpoint.inject(Status(503) if number == 1 else Delay(1.5))
        await asyncio.sleep(FLAP_LASTS)
        endpoint.heal()
        if number == 0:
            await endpoint.listen()


@dataclass(slots=True)
class Receiver:
    """Takes what is delivered, and refuses a part of it at first."""

    url: str = ""
    delivered: int = 0
    refused: int = 0
    _source: Random = field(default_factory=lambda: Random(1))

    async def handle(self, request: web.Request) -> web.Response:
        await request.read()
        if self._source.random() < 0.1:
            self.refused += 1
            return web.Response(status=503)
        self.delivered += 1
        return web.Response(status=204)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    application = web.Application()
    application.router.add_post("/hook", made.handle)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield made
    finally:
        await runner.cleanup()
