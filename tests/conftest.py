"""Fixtures for all rooms. Local chains are started once for the whole run and end with it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import settings

from aggregator.localnet.network import local_network
from aggregator.localnet.node import LocalChain
from aggregator.localnet.packages import PackageStore, cache_directory
from aggregator.localnet.world import World

# The same examples in every run, so that a red run is about the change; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session")
async def bare_chain() -> AsyncIterator[LocalChain]:
    """An empty local chain with id 1, for contracts that a test places itself."""
    chain = await LocalChain.start(await PackageStore(cache_directory()).anvil(), 1)
    try:
        yield chain
    finally:
        await chain.stop()


@pytest.fixture(scope="session")
async def inhabited() -> AsyncIterator[World]:
    """The local network with its owners after a month of market life, as it was booted."""
    async with local_network() as world:
        yield world


@pytest.fixture(scope="session")
def deployed(inhabited: World) -> World:
    """The network that a test that only reads is given."""
    return inhabited


@pytest.fixture
async def world(deployed: World) -> AsyncIterator[World]:
    """The same for tests that change it: chains, prices and feeds are put back afterwards."""
    async with put_back(deployed) as same:
        yield same


@pytest.fixture
async def lived(inhabited: World) -> AsyncIterator[World]:
    """The inhabited network for tests that change it, put back afterwards."""
    async with put_back(inhabited) as same:
        yield same


@asynccontextmanager
async def put_back(world: World) -> AsyncIterator[World]:
    """Chains, prices and feeds afterwards as before."""
    prices, feeds = dict(world.prices), dict(world.feeds)
    snapshots = {chain_id: await chain.snapshot() for chain_id, chain in world.chains.items()}
    try:
        yield world
    finally:
        world.prices, world.feeds = prices, feeds
        for chain_id, snapshot in snapshots.items():
            await world.chains[chain_id].revert(snapshot)
