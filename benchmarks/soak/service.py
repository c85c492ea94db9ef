"""The service as a process of its own, as the command runs it, but by the clock of chains that live in another time.

Takes one JSON object on stdin: `settings`, `owners`, and `late`, by how many seconds the chains' time is behind ours. Prints its URL.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

from aiohttp import web

from aggregator.cli.serve import service
from aggregator.cli.service_log import Redaction, begin
from aggregator.engine.settings import load_settings


async def main() -> None:
    given = json.loads(await asyncio.to_thread(sys.stdin.readline))
    settings = load_settings(**{name: tuple(value) if isinstance(value, list) else value for name, value in given["settings"].items()})
    begin(settings.log, Redaction.of_environment())
    late = float(given["late"])
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with service(settings, tuple(given["owners"]), lambda: time.time() - late) as runner:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
