"""crossmargin margin of owners on the local chains: lending and wallets as one book, the same debts and assets as their health."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

ROOT = Path(__file__).parents[2]


async def said(world: World, command: str, owner: str) -> dict[str, Any]:
    chains = [word for number, chain in world.chains.items() for word in ("--chain", str(number), "--rpc", f"{number}={chain.url}")]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("crossmargin")),
        command,
        world.owner(owner).address,
        *chains,
        "--json",
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.mark.parametrize("owner", ["three-chains", "whale", "aave-tight"])
async def test_the_book_is_worth_what_health_says(deployed: World, owner: str) -> None:
    margin, health = await said(deployed, "margin", owner), await said(deployed, "health", owner)
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
