"""The service on the local network: one for tests that only ask, and keys for those that write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from aggregator.cli import page_assets
from aggregator.localnet.node import LocalChain
from aggregator.localnet.world import World
from aggregator.model.identifiers import ChainId
from aggregator.store import access
from tests.api.serving import Served, serving

WITNESS = "three-chains"


@pytest.fixture(scope="session")
async def shared_service(deployed: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    await page_assets.fetch()
    folder = tmp_path_factory.mktemp("service")
    witness = deployed.owner(WITNESS).address
    # other tests put chains back, which no WebSocket tells
    async with serving(deployed, folder, (witness,), population="live", websocket=False, poll_seconds=0.2) as one:
        await one.until(lambda: all(owner.assessed is not None for owner in one.app.live.followed.values()))
        await one.until(lambda: one.app.systemic.population is not None)
        yield one


@pytest.fixture
async def served(shared_service: Served, deployed: World) -> Served:
    """The service that tests share, once it has seen how the tests before have left the chains."""
    live = shared_service.app.live
    states = {state.chain: state for state in live.states()}
    for number, chain in deployed.chains.items():
        known = states[ChainId(f"eip155:{number}")].head
        if known is None or known.hash != (await head_of(chain)):
            # a chain that was put back is a shorter one, which nobody takes for new before it grows
            await chain.mine()

    async def seen() -> bool:
        heads = {f"eip155:{number}": await head_of(chain) for number, chain in deployed.chains.items()}
        there = {state.chain: state.head.hash for state in live.states() if state.head is not None and not state.waiting}
        return heads == there and all(one.assessed is not None for one in live.followed.values() if one.watched)

    async with asyncio.timeout(60):
        while not await seen():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.05)
    return shared_service


async def head_of(chain: LocalChain) -> str:
    """The hash of the newest block."""
    block = await chain.rpc("eth_getBlockByNumber", "latest", False)
    assert isinstance(block, dict)
    return str(block["hash"]).lower()


@pytest.fixture(scope="session")
def witness(deployed: World) -> str:
    return deployed.owner(WITNESS).address


async def bearer(served: Served, *scopes: str) -> dict[str, str]:
    """Header fields of a new key."""
    async with served.app.database.writing() as connection:
        _, secret = await access.create_key(connection, "test", frozenset(scopes), 1)
    return {"Authorization": f"Bearer {secret}"}
