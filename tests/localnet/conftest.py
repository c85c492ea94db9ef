"""One deployed world for the run; every test starts from the same state and leaves none behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aggregator.localnet.artifacts import Artifacts
from aggregator.localnet.deploy import (
    feeds,
    lido,
    morpho,
    rates,
    rwa,
    tokens,
    uniswap_v2,
    uniswap_v3,
    uniswap_v4,
    vaults,
)
from aggregator.localnet.node import LocalChain
from aggregator.localnet.world import CHAINS, World


@pytest.fixture(scope="session")
async def deployed() -> AsyncIterator[World]:
    artifacts = Artifacts()
    binary = await artifacts.prepare()
    chains: dict[int, LocalChain] = {}
    try:
        for chain_id in CHAINS:
            chains[chain_id] = await LocalChain.start(binary, chain_id)
        world = World(chains, artifacts)
        for chain in chains.values():
            chain.errors.update(artifacts.error_names())
        for module in (tokens, feeds, lido, rates, vaults, uniswap_v2, uniswap_v3, uniswap_v4, morpho, rwa):
            await module.deploy(world)
        await vaults.deploy_nested(world)
        yield world
    finally:
        for chain in chains.values():
            await chain.stop()


@pytest.fixture
async def world(deployed: World) -> AsyncIterator[World]:
    """The deployed world, put back after the test: chains and prices."""
    prices = dict(deployed.prices)
    snapshots = {chain_id: await chain.snapshot() for chain_id, chain in deployed.chains.items()}
    yield deployed
    deployed.prices = prices
    for chain_id, snapshot in snapshots.items():
        await deployed.chains[chain_id].revert(snapshot)
