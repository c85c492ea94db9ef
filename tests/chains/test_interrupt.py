"""Ctrl-C in the middle of a request: the process ends at once and says nothing of tasks, sessions or connections left open."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.faults import Delay
from tests.faulty_endpoint import FaultyEndpoint

PROGRAM = """
import asyncio, sys
from aggregator.chains.client import RpcCall
from aggregator.chains.network import Network
from tests.chains.support import CHAIN, one_chain

async def main(url):
    async with Network(one_chain(url, concurrency=2), environment={}) as network:
        client = network.client(CHAIN)
        await asyncio.gather(*(client.batch([RpcCall("test_echo", (n,))]) for n in range(50)))

try:
    asyncio.run(main(sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted")
"""


async def test_an_interrupted_process_leaves_nothing_open() -> None:
    async with FaultyEndpoint() as endpoint:
        endpoint.inject(Delay(60))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning", "-c", PROGRAM, endpoint.url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        try:
            async with asyncio.timeout(30):
                while endpoint.requests < 2:  # noqa: ASYNC110 - the requests come from another process
                    await asyncio.sleep(0.01)
                process.send_signal(signal.SIGINT)
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert (output.decode().strip(), errors.decode().strip(), process.returncode) == ("interrupted", "", 0)
