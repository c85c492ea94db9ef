"""The live loop on local chains, without HTTP in front of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aggregator.chains.arguments import rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.engine.judgement import judge
from aggregator.engine.live.assess import Workers
from aggregator.engine.live.live import Live
from aggregator.engine.live.stream import Filter, StreamHub, Subscriber
from aggregator.engine.settings import load_settings
from aggregator.engine.snapshot import Engine, SnapshotRequest
from aggregator.localnet.world import World
from aggregator.store.database import Database
from tests.engine.support import QUICK


@dataclass(slots=True)
class Living:
    live: Live
    hub: StreamHub
    database: Database
    everything: Subscriber
    """hears all events"""

    async def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Every followed owner is read, and nothing waits."""

        def still() -> bool:
            read = all(one.assessed is not None for one in self.live.followed.values())
            return read and all(state.head is not None and not state.waiting for state in self.live.states())

        await self.until(still)
        await asyncio.sleep(0.3)
        await self.until(still)

    def document(self, owner: str) -> dict[str, Any]:
        assessed = self.live.followed[owner.lower()].assessed
        assert assessed is not None
        return plain(json.loads(assessed.body))

    def reads(self) -> dict[str, int]:
        return {chain: loop.reads for chain, loop in self.live.loops.items()}

    async def told(self, seconds: float = 0.5) -> list[tuple[str, str | None]]:
        return [(event.kind, event.owner) for event in await self.everything.take(seconds)]


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the second at which a head is looked at."""
    for snapshot in document["snapshots"]:
        snapshot["status"] = snapshot["detail"] = None
    document["warnings"] = [warning for warning in document["warnings"] if warning["code"] != "head-stale"]
    return document


def urls_of(world: World) -> dict[int, str]:
    return {number: chain.url for number, chain in world.chains.items()}


@asynccontextmanager
async def living(urls: Mapping[int, str], database_url: str, owners: list[str], **given: Any) -> AsyncIterator[Living]:
    configuration = load_chains()
    chains = tuple(f"eip155:{number}" for number in urls)
    settings = load_settings(**{"database_url": database_url, "chains": chains, "workers": 0, "sweep_seconds": 3_600.0} | given)
    overrides = rpc_overrides([f"{number}={url}" for number, url in urls.items()], configuration)
    async with Network(configuration, rpc_overrides=overrides, policy=QUICK) as network, Database.at(database_url) as database:
        hub = StreamHub(database)
        live = Live(Engine(network), database, hub, Workers(settings.workers), settings)
        everything = await hub.subscribe(Filter())
        await live.start()
        try:
            if owners:
                await live.watch([address.lower() for address in owners], "test")  # type: ignore[misc]  # addresses of the local owners
            yield Living(live, hub, database, everything)
        finally:
            await live.stop()


async def commanded(world: World, owner: str, at: dict[str, Any]) -> dict[str, Any]:
    """What a single command says at the blocks of a document."""
    configuration = load_chains()
    overrides = rpc_overrides([f"{number}={url}" for number, url in urls_of(world).items()], configuration)
    async with Network(configuration, rpc_overrides=overrides, policy=QUICK) as network:
        pins = tuple(f"{snapshot['chain']}={snapshot['block']}" for snapshot in at["snapshots"])
        request = SnapshotRequest((owner,), only_chains=tuple(str(number) for number in world.chains), blocks=pins)
        _, document = judge(await Engine(network).take(request))
    return plain(json.loads(document.model_dump_json(by_alias=True)))
