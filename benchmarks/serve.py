"""The service under load, beside a bare aiohttp handler on the same machine in the same run.

    .venv/bin/python -m benchmarks.serve            # everything; several minutes
    .venv/bin/python -m benchmarks.serve --quick    # a third of it

Read the ratios: two shared cores serve, load and run the chains.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from aggregator.localnet.network import local_network
from aggregator.localnet.world import World
from aggregator.model.identifiers import parse_address

CONNECTIONS = 16
WITNESS = "three-chains"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def line(what: str, figure: str, aim: str = "") -> None:
    print(f"{what:<58}{figure:>22}   {aim}")


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  what is waited for has no event
        await asyncio.sleep(0.02)


# -- load, from a process of its own ------------------------------------------------------------------------------------


async def _flood(url: str, seconds: float, rate: float | None) -> tuple[int, list[float]]:
    """Requests done, and their latencies in seconds; as many as go, or `rate` a second at fixed times."""
    latencies: list[float] = []
    clock = time.perf_counter
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        started = clock()

        async def one(number: int) -> None:
            place = number
            while clock() - started < seconds:
                due = clock()
                if rate is not None:
                    due = started + place / rate
                    place += CONNECTIONS
                    await asyncio.sleep(max(0.0, due - clock()))
                async with client.get(url, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as response:
                    await response.read()
                    assert response.status == 200
                latencies.append(clock() - due)

        await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    return len(latencies), latencies


def _flooding(url: str, seconds: float, rate: float | None, out: multiprocessing.Queue[tuple[int, list[float]]]) -> None:
    out.put(asyncio.run(_flood(url, seconds, rate)))


async def load(url: str, seconds: float, rate: float | None = None) -> tuple[float, list[float]]:
    """Requests a second, and latencies."""
    context = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[tuple[int, list[float]]] = context.Queue()
    process = context.Process(target=_flooding, args=(url, seconds, rate, out))
    process.start()
    count, latencies = await asyncio.to_thread(out.get)
    process.join()
    return count / seconds, latencies


# -- servers, each in a process of its own ------------------------------------------------------------------------------


def _bare(body: bytes, port: multiprocessing.Queue[int]) -> None:
    async def serve() -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body, content_type="application/json", headers={"Content-Encoding": "gzip"})

        application = web.Application()
        application.router.add_get("/v1/owners/{owner}/health", answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())


async def served(world: World, folder: str, work: Callable[[str], Awaitable[None]]) -> float:
    """Run `work` against a service process; seconds from its start until it was ready."""
    options = [part for number, chain in world.chains.items() for part in ("--chain", str(number), "--rpc", f"{number}={chain.url}")]
    limits = {f"CROSSMARGIN_{name}": "1000000000" for name in ("READS_PER_MINUTE", "WRITES_PER_MINUTE", "MAXIMUM_STREAMS_PER_ADDRESS")}
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aggregator.cli.main", "serve", "--port", "0", "--json", *options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **limits, "CROSSMARGIN_DATABASE_URL": f"sqlite:///{folder}/service.db", "CROSSMARGIN_LOG": "ERROR"},
    )
    try:
        assert process.stdout is not None
        url = json.loads(await process.stdout.readline())["url"]
        async with aiohttp.ClientSession() as client:
            ready = False
            while not ready:
                async with client.get(f"{url}/readyz") as response:
                    ready = response.status == 200
        seconds = time.perf_counter() - started
        await work(url)
    finally:
        process.terminate()
        await process.wait()
    return seconds


# -- what is measured ---------------------------------------------------------------------------------------------------


async def cached_health(url: str, owner: str, seconds: float) -> None:
    path = f"/v1/owners/{owner}/health"
    async with aiohttp.ClientSession() as client, client.get(url + path, auto_decompress=False) as response:
        body = await response.read()
    context = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = context.Queue()
    bare = context.Process(target=_bare, args=(body, ports), daemon=True)
    bare.start()
    try:
        bare_url = f"http://127.0.0.1:{await asyncio.to_thread(ports.get)}{path}"
        ratios, ours_best = [], 0.0
        for _ in range(3):
            plain, _ = await load(bare_url, seconds)
            ours, _ = await load(url + path, seconds)
            ratios.append(ours / plain)
            ours_best = max(ours_best, ours)
            line("cached health, requests a second (bare aiohttp)", f"{ours:.0f} ({plain:.0f})")
        line("cached health against the bare handler", f"{100 * statistics.median(ratios):.0f} %", "aim: 70 %")
    finally:
        bare.kill()
        bare.join()
    _, latencies = await load(url + path, seconds, ours_best / 2)
    p50, p99 = (1e3 * percentile(latencies, share) for share in (0.5, 0.99))
    line("cached health at half that load, p50 / p99", f"{p50:.1f} / {p99:.1f} ms", "aim: p99 < 10 ms")


async def block_to_publish(world: World, url: str, owner: str, rounds: int) -> None:
    """From the answer to the transaction's mining until the changed health is on the stream."""
    lags: list[float] = []
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{url}/v1/owners/{owner}/health") as response:
            await response.read()
        async with client.get(f"{url}/v1/stream?owner={owner}", timeout=aiohttp.ClientTimeout(None)) as stream:
            for number in range(rounds):
                await asyncio.sleep(0.2)
                await world.mint(1, "USDC", owner, 1_000_000 + number)
                mined = time.perf_counter()
                while not (await stream.content.readline()).startswith(b"data:"):
                    pass
                lags.append(time.perf_counter() - mined)
    figures = f"{1e3 * percentile(lags, 0.5):.0f} / {1e3 * percentile(lags, 0.99):.0f} ms"
    line("block mined until its health is published, p50 / p99", figures, "aim: 150 / 500 ms")


async def subscribers(world: World, url: str, owner: str, count: int, rounds: int) -> None:
    """From the first of the subscribers who heard of a change to the last."""
    arrivals: list[list[float]] = [[] for _ in range(rounds)]
    opened = 0
    everybody = asyncio.Event()

    async def listen(client: aiohttp.ClientSession) -> None:
        nonlocal opened
        async with client.get(f"{url}/v1/stream?owner={owner}") as stream:
            opened += 1
            if opened == count:
                everybody.set()
            heard = 0
            async for raw in stream.content:
                if raw.startswith(b"data:"):
                    arrivals[heard].append(time.perf_counter())
                    heard += 1
                    if heard == rounds:
                        return

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as client:
        tasks = [asyncio.create_task(listen(client)) for _ in range(count)]
        await asyncio.wait_for(everybody.wait(), 120)
        for number in range(rounds):
            await world.mint(1, "USDC", owner, 2_000_000 + number)
            await until(partial(_full, arrivals[number], count))
        await asyncio.gather(*tasks)
    spreads = [1e3 * (max(one) - min(one)) for one in arrivals]
    line(f"{count} subscribers, first to last of an update, worst", f"{max(spreads):.0f} ms", "aim: 250 ms")


def _full(heard: list[float], count: int) -> bool:
    return len(heard) == count


async def many_owners(world: World, folder: str, count: int, touched: int) -> None:
    """Of very many watched owners only those that a block touches are read again."""
    from tests.engine.living import living, urls_of

    strangers = [parse_address(f"0x{number:040x}") for number in range(10**9, 10**9 + count)]
    given = {"batch_owners": 100, "workers": 0, "maximum_watched": count}
    async with living({1: urls_of(world)[1]}, f"sqlite:///{folder}/many.db", [], **given) as one:
        started = time.perf_counter()
        await one.live.watch(strangers, "benchmark")
        await until(lambda: not one.live.states()[0].waiting and all(o.assessed is not None for o in one.live.followed.values()))
        line(f"{count} owners read and assessed for the first time", f"{time.perf_counter() - started:.0f} s")
        before = sum(one.reads().values())
        async with world.chains[1].block():
            for owner in strangers[:touched]:
                await world.mint(1, "USDC", owner, 5_000_000)
        mined = time.perf_counter()
        await until(lambda: sum(one.reads().values()) >= before + touched and not one.live.states()[0].waiting)
        line(f"a block that touches {touched} of them: published after", f"{1e3 * (time.perf_counter() - mined):.0f} ms")
        await asyncio.sleep(1)
        line("owners that were read again for it", f"{sum(one.reads().values()) - before}", f"aim: {touched}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--owners", type=int, help="watched owners (default 10,000; quick 500)")
    arguments = parser.parse_args()
    quick = arguments.quick
    async with local_network() as world:
        owner = world.owner(WITNESS).address
        with tempfile.TemporaryDirectory() as folder:

            async def work(url: str) -> None:
                await block_to_publish(world, url, owner, 15 if quick else 60)
                await cached_health(url, owner, 2 if quick else 6)
                await subscribers(world, url, owner, 1_000, 2 if quick else 5)

            seconds = await served(world, str(Path(folder)), work)
            line("start until ready", f"{seconds:.1f} s", "aim: 3 s")
            await many_owners(world, folder, arguments.owners or (500 if quick else 10_000), 50)


if __name__ == "__main__":
    asyncio.run(main())
