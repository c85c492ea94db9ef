"""`crossmargin serve` as a process on the local chains, and talking to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from aggregator.localnet.world import World
from aggregator.store import access
from aggregator.store.database import Database
from tests.api.serving import ROOT
from tests.api.wallets import Wallet


@dataclass(slots=True)
class Process:
    process: asyncio.subprocess.Process
    url: str
    seconds: float

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def end(self) -> tuple[int, str]:
        """Exit code and log after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(self.process.communicate(), 30)
        assert self.process.returncode is not None
        return self.process.returncode, log.decode()


async def begin(world: World, database_url: str, **environment: str) -> Process:
    options = [part for number, chain in world.chains.items() for part in ("--chain", str(number), "--rpc", f"{number}={chain.url}")]
    named = {
        "CROSSMARGIN_DATABASE_URL": database_url,
        "CROSSMARGIN_WRITES_PER_MINUTE": "1000000",
        "CROSSMARGIN_WORKERS": "0",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aggregator.cli.main", "serve", "--port", "0", "--json", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **named, **environment},
    )
    assert process.stdout is not None and process.stderr is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    if not line:
        raise AssertionError((await process.stderr.read()).decode())
    said = json.loads(line)
    return Process(process, said["url"], float(said["seconds"]))


@asynccontextmanager
async def running(world: World, database_url: str, **environment: str) -> AsyncIterator[Process]:
    one = await begin(world, database_url, **environment)
    try:
        yield one
    finally:
        if one.process.returncode is None:
            await one.kill()


async def key_for(url: str) -> dict[str, str]:
    async with Database.at(url) as database, database.writing() as connection:
        _, secret = await access.create_key(connection, "test", frozenset(access.SCOPES), 1)
    return {"Authorization": f"Bearer {secret}"}


async def call(client: aiohttp.ClientSession, method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Any:
    async with client.request(method, url, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def until(client: aiohttp.ClientSession, url: str, holds: Callable[[Any], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not holds((await call(client, "GET", url))[1]):  # noqa: ASYNC110  it is another process
            await asyncio.sleep(0.05)


async def signed_in(client: aiohttp.ClientSession, url: str, wallet: Wallet) -> dict[str, str]:
    """Header fields of a wallet's new session (EIP-4361)."""
    _, given = await call(client, "POST", f"{url}/v1/sign-in/nonce")
    message = wallet.message(given["domain"], given["nonce"], time.time())
    status, session = await call(client, "POST", f"{url}/v1/sign-in", {"message": message, "signature": wallet.sign(message)})
    assert status == 200 and session["address"] == wallet.address.lower(), session
    return {"Authorization": f"Bearer {session['token']}"}
