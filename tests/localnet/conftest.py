"""Tests of the deployments run on the network as it was deployed, before anybody lived on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aggregator.localnet.network import local_network
from aggregator.localnet.world import World


@pytest.fixture(scope="session")
async def deployed() -> AsyncIterator[World]:
    async with local_network(populated=False) as world:
        yield world
