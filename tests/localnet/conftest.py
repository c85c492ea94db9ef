"""The local network, started once for the run; every test finds it as it was and leaves it so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aggregator.localnet.network import local_network
from aggregator.localnet.world import World


@pytest.fixture(scope="session")
async def deployed() -> AsyncIterator[World]:
    async with local_network() as world:
        yield world


@pytest.fixture
async def world(deployed: World) -> AsyncIterator[World]:
    """The deployed world, put back after the test: chains and prices."""
    prices = dict(deployed.prices)
    snapshots = {chain_id: await chain.snapshot() for chain_id, chain in deployed.chains.items()}
    yield deployed
    deployed.prices = prices
    for chain_id, snapshot in snapshots.items():
        await deployed.chains[chain_id].revert(snapshot)
