"""Fixtures for all rooms. Local chains are started once for the whole run and end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aggregator.localnet.node import LocalChain
from aggregator.localnet.packages import PackageStore, cache_directory


@pytest.fixture(scope="session")
async def bare_chain() -> AsyncIterator[LocalChain]:
    """An empty local chain with id 1, for contracts that a test places itself."""
    chain = await LocalChain.start(await PackageStore(cache_directory()).anvil(), 1)
    try:
        yield chain
    finally:
        await chain.stop()
