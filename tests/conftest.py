"""Fixtures for all rooms. Local chains are started once for the whole run and end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aggregator.localnet.network import local_network
from aggregator.localnet.node import LocalChain
from aggregator.localnet.packages import PackageStore, cache_directory
from aggregator.localnet.world import World


@pytest.fixture(scope="session")
async def bare_chain() -> AsyncIterator[LocalChain]:
    """An empty local chain with id 1, for contracts that a test places itself."""
    chain = await LocalChain.start(await PackageStore(cache_directory()).anvil(), 1)
    try:
        yield chain
    finally:
        await chain.stop()


@pytest.fixture(scope="session")
async def deployed() -> AsyncIterator[World]:
    """The local network with its owners, as it was booted: for tests that only read."""
    async with local_network() as world:
        yield world


@pytest.fixture
async def world(deployed: World) -> AsyncIterator[World]:
    """The same for tests that change it: chains and prices are put back afterwards."""
    prices = dict(deployed.prices)
    snapshots = {chain_id: await chain.snapshot() for chain_id, chain in deployed.chains.items()}
    yield deployed
    deployed.prices = prices
    for chain_id, snapshot in snapshots.items():
        await deployed.chains[chain_id].revert(snapshot)
