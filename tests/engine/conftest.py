"""Endpoints in front of the local chains, and what is read through them when nothing goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from aggregator.localnet.world import World
from tests.engine.support import Proxies, Sight, look_once, time_of
from tests.faulty_endpoint import FaultyEndpoint

WITNESS = "three-chains"
"""the owner that faults are shown on: debts on all three chains, and nearly every protocol"""


@pytest.fixture
async def proxies(deployed: World) -> AsyncIterator[Proxies]:
    """An endpoint in front of each chain: it counts, and spoils on command."""
    async with AsyncExitStack() as stack:
        yield {
            chain_id: await stack.enter_async_context(FaultyEndpoint(upstream=chain.url, chain=chain_id))
            for chain_id, chain in deployed.chains.items()
        }


@pytest.fixture(scope="session")
def witness(deployed: World) -> str:
    return deployed.owner(WITNESS).address


@pytest.fixture(scope="session")
async def now(deployed: World) -> float:
    return await time_of(deployed)


@pytest.fixture(scope="session")
async def whole(deployed: World, witness: str, now: float) -> Sight:
    """What a single command sees of the witness without any fault."""
    sight = await look_once({chain_id: (chain.url,) for chain_id, chain in deployed.chains.items()}, [witness], now=now)
    assert sight.document.coverage.complete
    assert all(snapshot.status == "ok" for snapshot in sight.document.snapshots)
    return sight


@pytest.fixture(scope="session")
async def everybody(deployed: World, now: float) -> Sight:
    """All owners at once, with what logs and interfaces tell beyond the registry."""
    urls = {chain_id: (chain.url,) for chain_id, chain in deployed.chains.items()}
    return await look_once(urls, [owner.address for owner in deployed.owners], now=now, discover=True)
