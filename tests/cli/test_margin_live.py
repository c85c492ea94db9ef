"""crossmargin margin of owners on the local chains: lending and wallets as one book, the same debts and assets as their health."""

from __future__ import annotations

import pytest

from aggregator.localnet.world import World
from tests.cli.live import document

pytestmark = pytest.mark.localnet


@pytest.mark.parametrize("owner", ["three-chains", "whale", "aave-tight"])
async def test_the_book_is_worth_what_health_says(deployed: World, owner: str) -> None:
    address = deployed.owner(owner).address
    margin, health = await document(deployed, "margin", address), await document(deployed, "health", address)
    assert margin["coverage"]["complete"] is True
    rows = {one["method"]: one for one in margin["methods"]}
    unified, isolated = rows["unified"], rows["isolated"]
    assert unified["initial"] is not None, unified["reason"]
    assert float(unified["initial"]["isolated_usd"]) >= float(unified["initial"]["requirement_usd"]) > 0
    assert float(isolated["initial"]["netted_usd"]) == 0
    equity = float(health["health"]["equity_usd"])
    assert float(unified["initial"]["equity_usd"]) == pytest.approx(equity, rel=2e-3)
    compared = margin["isolated_versus_cross"]
    assert compared["of_covered"] is False
    for one in compared["delta"]:
        assert float(one["isolated_usd"]) >= float(one["cross_usd"])
