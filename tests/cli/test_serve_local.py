"""`crossmargin serve --local --activity`: whoever looks sees it live, by the clock of its chains."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.world import World
from tests.api.serving import ROOT

EXAMPLE = "three-chains"
AHEAD_SECONDS = 120
"""of the clock, that blocks may be: contracts are placed at the start, a block each"""


async def ended(*words: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aggregator.cli.main", "serve", *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, err.decode()


@pytest.mark.parametrize("words", [("--activity",), ("--local", "--activity", "0"), ("--local", "--activity", "nan")])
async def test_activity_is_for_local_chains_and_takes_time(words: tuple[str, ...]) -> None:
    code, err = await ended(*words)
    assert code == 2 and "--activity" in err and len(err.splitlines()) == 1


@pytest.mark.localnet
async def test_it_lives_and_its_ages_are_right(deployed: World) -> None:
    """`deployed` only says whom to ask: the command starts chains of its own, from the same cache."""
    owner = deployed.owner(EXAMPLE).address
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aggregator.cli.main", "serve", "--local", "--activity", "1", "--port", "0", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "CROSSMARGIN_READS_PER_MINUTE": "1000000"},
    )
    try:
        assert process.stdout is not None
        url = json.loads(await asyncio.wait_for(process.stdout.readline(), 120))["url"]
        async with aiohttp.ClientSession() as client:

            async def get(path: str) -> Any:
                async with client.get(url + path) as response:
                    assert response.status == 200
                    return await response.json()

            health = f"/v1/owners/{owner}/health"
            before, coverage = await get(health), await get("/v1/coverage")
            heads = {one["chain"]: one["block"] for one in coverage["chains"]}
            snapshots, behind = set[str](), True
            async with asyncio.timeout(180):
                while len(snapshots) < 2 or behind:
                    await asyncio.sleep(0.2)
                    snapshots = {one["snapshot"] for one in (await get(f"/v1/owners/{owner}/history"))["points"]}
                    coverage = await get("/v1/coverage")
                    behind = any(one["block"] <= heads[one["chain"]] for one in coverage["chains"])
            after = await get(health)
        assert after["health"]["equity_usd"] != before["health"]["equity_usd"]
        now = moment(coverage["now"])
        assert abs(now - GENESIS_TIME) < 40 * 86_400, "in the chains' time, not in ours"
        for one in (*coverage["chains"], *after["snapshots"]):
            assert one["status"] == "ok" and one["detail"] is None
            assert -AHEAD_SECONDS <= now - moment(one["timestamp"]) <= AHEAD_SECONDS
        assert not any(one["code"] == "head-stale" for one in after["warnings"])
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0 and b'"error"' not in log, log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
