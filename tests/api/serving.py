"""The whole service on local chains, on a free port, for the length of a block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from aggregator.api.context import APP, App
from aggregator.cli.serve import service
from aggregator.engine.settings import load_settings
from aggregator.localnet.world import World

ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Served:
    """A running service and a client of it."""

    app: App
    url: str
    client: aiohttp.ClientSession

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON."""
        async with self.client.get(self.url + path, **options) as response:
            return response.status, await response.json(content_type=None)

    async def send(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        async with self.client.request(method, self.url + path, json=body, **options) as response:
            return response.status, await response.json(content_type=None)

    async def until(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.02)


def chain_settings(urls: Mapping[int, str]) -> dict[str, Any]:
    return {
        "rpc": tuple(f"eip155:{number}={url}" for number, url in urls.items()),
        "chains": tuple(f"eip155:{number}" for number in urls),
    }


@asynccontextmanager
async def serving(
    world: World, folder: Path, owners: tuple[str, ...] = (), clock: Callable[[], float] = time.time, **given: Any
) -> AsyncIterator[Served]:
    """`clock`: what the age of a head is measured by. `given`: settings beyond the chains'; limits are out of the way unless they are
    given."""
    chains = chain_settings({number: chain.url for number, chain in world.chains.items()})
    base: dict[str, Any] = {"database_url": f"sqlite:///{folder / 'service.db'}", "reads_per_minute": 10**6, "writes_per_minute": 10**6}
    settings = load_settings(**(base | chains | given))
    async with service(settings, owners, clock, {one.address: one.story for one in world.owners[:2]}) as runner:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        assert runner.app is not None
        async with aiohttp.ClientSession() as client:
            yield Served(runner.app[APP], f"http://{host}:{port}", client)
