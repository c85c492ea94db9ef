"""Reading one owner and a hundred owners on three chains: this project, naive web3.py and viem's multicall, same calls, same run.

    .venv/bin/python -m benchmarks.reading [--owners 100] [--repeats 5]

The calls are recorded from a snapshot of ours (target and calldata of every call that was made) and repeated by the peers at the same
block: web3.py one after the other and 32 at once, viem through the automatic Multicall3 batching of its public client. The peers are
given what is hard to find out (which calls, in which order) and make nothing of the answers, so the ratios favour them. Measured directly,
where only processor time counts, and with the latency of a distant endpoint, where round trips do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aggregator.chains.arguments import rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.chains.plain import plain_call
from aggregator.chains.rounds import RoundRunner
from aggregator.engine.snapshot import Engine, SnapshotRequest
from aggregator.localnet.network import local_network
from aggregator.localnet.packages import PackageStore, cache_directory, node_command, npm_command
from aggregator.localnet.world import World
from aggregator.model.identifiers import ChainId, evm_reference
from aggregator.model.outcome import Reason, Unknown, Value
from aggregator.reading.reads import CallRequest, Read
from tests.faults import Delay
from tests.faulty_endpoint import FaultyEndpoint

VIEM = "2.57.20"
DEEPEST = 12
"""levels of dependent calls that are told apart"""


@dataclass
class Recording:
    """Calls of one snapshot by chain: level of dependence, target, calldata."""

    calls: dict[ChainId, list[tuple[int, str, bytes]]] = field(default_factory=dict)
    blocks: dict[ChainId, int] = field(default_factory=dict)

    def rounds(self, chain: ChainId) -> list[list[tuple[str, bytes]]]:
        levels = [[(target, data) for level, target, data in self.calls[chain] if level == wanted] for wanted in range(DEEPEST)]
        return [level for level in levels if level]


def record(into: Recording) -> Callable[[], None]:
    """Note every call that rounds make from now on; the returned function stops it."""
    original = RoundRunner.run
    level: dict[int, int] = {}
    kept: list[Read[Any]] = []

    async def run(self: RoundRunner, reads: Sequence[Read[Any]]) -> None:
        await original(self, reads)
        into.blocks[self.place.chain] = self.place.block.number
        for read in reads:
            kept.append(read)
            level[id(read)] = 1 + max((level.get(id(word.read), 0) for word in read.words), default=-1)
            made = isinstance(read.raw, Value) or (isinstance(read.raw, Unknown) and read.raw.reason is Reason.REVERTED)
            if made and isinstance(read.request, CallRequest):
                target, data = plain_call(read)
                into.calls.setdefault(self.place.chain, []).append((min(level[id(read)], DEEPEST - 1), target, data))

    RoundRunner.run = run  # type: ignore[method-assign]

    def stop() -> None:
        RoundRunner.run = original  # type: ignore[method-assign]

    return stop


async def median_seconds(repeats: int, work: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        await work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


async def with_web3(endpoints: Mapping[int, str], recording: Recording, at_once: int) -> int:
    """The recorded calls through AsyncWeb3.eth.call, level by level, chains side by side; how many answered."""
    from web3 import AsyncHTTPProvider, AsyncWeb3

    async def chain(chain_id: ChainId) -> int:
        provider = AsyncHTTPProvider(endpoints[evm_reference(chain_id)])
        web3 = AsyncWeb3(provider)
        web3.eth.to_checksum_address = web3.to_checksum_address  # type: ignore[attr-defined]
        places = asyncio.Semaphore(at_once)

        async def one(target: str, data: bytes) -> bool:
            async with places:
                try:
                    await web3.eth.call({"to": web3.to_checksum_address(target), "data": "0x" + data.hex()}, recording.blocks[chain_id])  # type: ignore[typeddict-item]
                except Exception:
                    return False
                return True

        answered = 0
        for calls in recording.rounds(chain_id):
            answered += sum(await asyncio.gather(*(one(target, data) for target, data in calls)))
        await provider.disconnect()
        return answered

    return sum(await asyncio.gather(*(chain(chain_id) for chain_id in recording.calls)))


async def viem_directory() -> Path:
    """An installed viem; fetched once through npm into the cache."""
    root = cache_directory() / f"viem-{VIEM}"
    if not (root / "node_modules" / "viem").is_dir():
        root.mkdir(parents=True, exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *npm_command(), "install", "--silent", "--ignore-scripts", "--prefix", str(root), f"viem@{VIEM}"
        )
        if await process.wait():
            raise SystemExit("viem could not be fetched")
    return root / "node_modules" / "viem"


async def with_viem(endpoints: Mapping[int, str], recording: Recording, multicall3: str, repeats: int) -> float:
    """Median seconds of viem for the recorded calls, level by level."""
    work = [
        {
            "chain": evm_reference(chain),
            "url": endpoints[evm_reference(chain)],
            "block": recording.blocks[chain],
            "multicall3": multicall3,
            "rounds": [[(target, "0x" + data.hex()) for target, data in level] for level in recording.rounds(chain)],
        }
        for chain in recording.calls
    ]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "calls.json"
        file.write_text(json.dumps(work), encoding="utf-8")
        script = Path(__file__).with_name("viem_multicall.mjs")
        process = await asyncio.create_subprocess_exec(
            *node_command(), str(script), str(await viem_directory()), str(file), str(repeats), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        seconds: list[float] = json.loads(output)["seconds"]
        return statistics.median(seconds)


async def measure(world: World, owners: tuple[str, ...], repeats: int, latency_seconds: float) -> None:
    """One group of owners, through a proxy that adds the latency to every request, or directly where that is zero."""
    async with AsyncExitStack() as stack:
        endpoints = {chain_id: chain.url for chain_id, chain in world.chains.items()}
        if latency_seconds:
            for chain_id, url in endpoints.items():
                proxy = await stack.enter_async_context(FaultyEndpoint(upstream=url))
                proxy.inject(Delay(latency_seconds))
                endpoints[chain_id] = proxy.url
        await compare(endpoints, owners, repeats, latency_seconds)


async def compare(endpoints: Mapping[int, str], owners: tuple[str, ...], repeats: int, latency_seconds: float) -> None:
    configuration = load_chains()
    overrides = rpc_overrides([f"{chain_id}={url}" for chain_id, url in endpoints.items()], configuration)
    request = SnapshotRequest(owners, only_chains=tuple(map(str, endpoints)))
    recording = Recording()

    async def cold() -> None:
        async with Network(configuration, rpc_overrides=overrides) as network:
            picture = await Engine(network).take(request)
            costs.append((dict(picture.requests), dict(picture.rounds)))

    costs: list[tuple[dict[ChainId, int], dict[ChainId, int]]] = []
    stop = record(recording)
    await cold()
    stop()
    ours_cold = await median_seconds(repeats, cold)
    async with Network(configuration, rpc_overrides=overrides) as network:
        engine = Engine(network)
        await engine.take(request)
        ours_warm = await median_seconds(repeats, lambda: engine.take(request))
        warm = await engine.take(request)
    multicall3 = next(str(chain.multicall3_address) for chain in configuration.chains.values() if chain.multicall3 is not None)
    calls = sum(map(len, recording.calls.values()))
    rows = [
        ("crossmargin, cold", ours_cold),
        ("crossmargin, warm", ours_warm),
        ("viem, automatic multicall", await with_viem(endpoints, recording, multicall3, repeats)),
        ("web3.py, 32 calls at once", await median_seconds(1, lambda: with_web3(endpoints, recording, 32))),
    ]
    if not latency_seconds:
        rows.append(("web3.py, one after the other", await median_seconds(1, lambda: with_web3(endpoints, recording, 1))))
    print(f"\n{len(owners)} owner(s), {calls} calls on {len(recording.calls)} chains, {latency_seconds * 1000:.0f} ms latency")
    for name, seconds in rows:
        print(f"  {name:30} {seconds * 1000:10.1f} ms   {seconds / ours_cold:7.2f} × cold")
    for chain, count in sorted(costs[0][0].items()):
        print(f"  {chain:14} cold {count} requests in {costs[0][1][chain]} rounds, warm {warm.requests[chain]} in {warm.rounds[chain]}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--owners", type=int, default=100, help="size of the larger group")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds that a distant endpoint takes per request")
    arguments = parser.parse_args()
    await PackageStore(cache_directory()).anvil()
    async with local_network() as world:
        seeded = [owner.address for owner in world.owners]
        strangers = [f"0x{number:040x}" for number in range(10**30, 10**30 + arguments.owners)]
        busiest = max(world.owners, key=lambda owner: len(owner.chains)).address
        group = tuple([*seeded, *strangers][: arguments.owners])
        for latency in (0.0, arguments.latency / 1000):
            await measure(world, (busiest,), arguments.repeats, latency)
            await measure(world, group, arguments.repeats, latency)


if __name__ == "__main__":
    asyncio.run(main())
