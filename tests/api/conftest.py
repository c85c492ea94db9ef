"""The service on the local network: one for tests that only ask, and keys for those that write."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from aggregator.cli import page_assets
from aggregator.localnet.world import World
from aggregator.store import access
from tests.api.serving import Served, serving

WITNESS = "three-chains"


@pytest.fixture(scope="session")
async def served(deployed: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    await page_assets.fetch()
    folder = tmp_path_factory.mktemp("service")
    witness = deployed.owner(WITNESS).address
    async with serving(deployed, folder, (witness,), population="live") as one:
        await one.until(lambda: all(owner.assessed is not None for owner in one.app.live.followed.values()))
        await one.until(lambda: one.app.systemic.population is not None)
        yield one


@pytest.fixture(scope="session")
def witness(deployed: World) -> str:
    return deployed.owner(WITNESS).address


async def bearer(served: Served, *scopes: str) -> dict[str, str]:
    """Header fields of a new key."""
    async with served.app.database.writing() as connection:
        _, secret = await access.create_key(connection, "test", frozenset(scopes), 1)
    return {"Authorization": f"Bearer {secret}"}
