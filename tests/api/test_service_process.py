"""The service as a process: started, killed in the middle of writing, started again; its database stopped under it; ended well."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from aggregator.localnet.world import World
from aggregator.store import chronicle, watch
from aggregator.store.database import Database
from tests.api.process import Process, begin, call, key_for, running, until
from tests.api.serving import ROOT
from tests.store.postgres import ABSENT, Postgres, binaries

pytestmark = pytest.mark.localnet
KILLS = 3


async def test_killed_while_writing_it_loses_nothing_that_was_acknowledged(lived: World, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    key = await key_for(url)
    acknowledged: list[str] = []
    heard: list[int] = []
    witness = lived.owner("three-chains").address
    for round_number in range(KILLS):
        one = await begin(lived, url)
        async with aiohttp.ClientSession() as client:
            await call(client, "POST", f"{one.url}/v1/watch", {"owners": [witness]}, key)

            async def write(service: Process, session: aiohttp.ClientSession, first: int) -> None:
                for number in range(first, first + 10_000):
                    owner = f"0x{number:040x}"
                    body = {"labels": [f"number {number}"]}
                    status, _ = await call(session, "PUT", f"{service.url}/v1/owners/{owner}/labels", body, key)
                    if status == 200:
                        acknowledged.append(owner)

            async def listen(service: Process, session: aiohttp.ClientSession) -> None:
                async with session.get(f"{service.url}/v1/stream") as response:
                    async for line in response.content:
                        heard.extend([int(line[4:])] if line.startswith(b"id: ") else [])

            tasks = [asyncio.create_task(write(one, client, 100_000 * (round_number + 1))), asyncio.create_task(listen(one, client))]
            await asyncio.sleep(0.5)
            await lived.mint(1, "USDC", witness, 1_000_000 + round_number)
            await asyncio.sleep(1.0 + 0.17 * round_number)
            await one.kill()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert len(acknowledged) > KILLS
    async with running(lived, url) as one, aiohttp.ClientSession() as client:
        for owner in acknowledged[:: max(1, len(acknowledged) // 200)]:
            _, found = await call(client, "GET", f"{one.url}/v1/owners/{owner}/labels", None, key)
            assert found["labels"] == [f"number {int(owner, 16)}"]
        assert (await call(client, "GET", f"{one.url}/v1/watch", None, key))[1]["owners"] == [witness.lower()]
        code, log = await one.end()
        assert code == 0, log
    async with Database.at(url) as database, database.reading() as connection:
        kept = {event.id for event in await chronicle.newest_events(connection, 100_000)}
        assert heard and set(heard) <= kept, "what was told had been stored"
        assert sorted(heard) == sorted(set(heard)), "ids never come twice, also over restarts"
        assert await watch.watched(connection) == (witness.lower(),)


async def test_it_is_ready_soon_and_ends_well(deployed: World, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    async with running(deployed, url) as one, aiohttp.ClientSession() as client:
        await until(client, f"{one.url}/readyz", lambda found: found["ready"])
        async with client.get(f"{one.url}/v1/stream") as stream:
            code, log = await one.end()
            rest = await asyncio.wait_for(stream.content.read(), 10)
        assert code == 0 and rest.startswith(b"retry:"), log
        for line in log.splitlines():
            json.loads(line)
        assert '"error"' not in log


async def test_postgresql_may_stop_and_start_under_it(lived: World) -> None:
    programs = binaries()
    if programs is None:
        pytest.skip(ABSENT)
    server = await asyncio.to_thread(Postgres.start, programs)
    try:
        key = await key_for(server.url)
        witness = lived.owner("three-chains").address
        async with running(lived, server.url) as one, aiohttp.ClientSession() as client:
            path = f"{one.url}/v1/owners/{witness}/health"
            await call(client, "POST", f"{one.url}/v1/watch", {"owners": [witness]}, key)
            status, before = await call(client, "GET", path)
            assert status == 200
            await asyncio.to_thread(server.stop)
            await lived.mint(1, "USDC", witness, 9_000_000)
            await asyncio.sleep(1)
            # figures are served from memory, and writes say that they are not taken
            assert (await call(client, "GET", path))[0] == 200
            labels = f"{one.url}/v1/owners/{witness}/labels"
            writing = asyncio.create_task(call(client, "PUT", labels, {"labels": ["after"]}, key))
            assert (await call(client, "GET", f"{one.url}/readyz"))[0] == 503
            assert (await call(client, "GET", f"{one.url}/v1/owners/{witness}/history"))[0] == 503
            await asyncio.to_thread(server.resume)
            assert (await writing)[0] in (200, 503)
            await until(client, path, lambda found: found["health"]["collateral_usd"] != before["health"]["collateral_usd"])
            assert (await call(client, "GET", f"{one.url}/readyz"))[0] == 200
            code, log = await one.end()
            assert code == 0, log
    finally:
        await asyncio.to_thread(server.end)


async def test_a_taken_port_and_a_bad_database_are_one_line_each(tmp_path: Path) -> None:
    async def fails(*words: str, **environment: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aggregator.cli.main", "serve", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "CROSSMARGIN_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", **environment},
        )
        _, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, err.decode()

    code, err = await fails(CROSSMARGIN_DATABASE_URL="mysql://u:hidden@x/y")
    assert code == 2 and "hidden" not in err and len(err.splitlines()) == 1
    code, err = await fails("--chain", "nowhere")
    assert code == 2 and "unknown chain" in err and len(err.splitlines()) == 1
    code, err = await fails("--port", "70000")
    assert code == 2 and "CROSSMARGIN_PORT" in err and len(err.splitlines()) == 1
