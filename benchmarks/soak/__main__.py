"""The service for half an hour under a mixture of everything: does it stay as it is?

    .venv/bin/python -m benchmarks.soak                           # 30 minutes, the first third of them warm-up
    .venv/bin/python -m benchmarks.soak --minutes 8 --csv soak.csv --plot soak.png

A real service process on local chains that live, with all seeded owners watched, their population, SQLite and signed scores; an
endpoint that flaps, a reorganisation every minute, and another process that asks, listens, stalls and vanishes. Every ten seconds it is
sampled. Exit 1 where memory of the service or its worker, its descriptors or its tasks grow: where the slope after the warm-up
(Theil–Sen over the minutes' medians) is 1 (MB, or one) in ten minutes or more and zero is not in its 95 % interval; also where the
service logged a fault of its own, or did not end well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from aggregator.localnet.network import local_network
from aggregator.localnet.world import World
from benchmarks.soak.flatness import BLOCK_SECONDS, FEWEST_BLOCKS, Slope, slope_of
from benchmarks.soak.sample import Sample, take
from benchmarks.soak.surroundings import Receiver, flap, live, prepare, receiver
from tests.faulty_endpoint import FaultyEndpoint

EVERY_SECONDS = 10.0
FLAPPING = 42161
JUDGED = ("service_pss", "worker_pss", "descriptors", "tasks")
SHOWN = ("service_rss", *JUDGED, "streams", "owners", "answer_ms", "database_mb", "log_mb", "journals_mb")
READY_SECONDS = 120.0
LAST_SECONDS = 5.0
"""for those who are still answered when everybody leaves"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`told`: what the load process counted; `log`: what the service logged, warnings and worse."""

    samples: tuple[Sample, ...]
    told: dict[str, Any]
    log: str
    exit_code: int

    @property
    def faults(self) -> Counter[str]:
        """Faults of the service's own, by the last line of what happened."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        grave = [line for line in lines if line["level"] in ("error", "critical")]
        return Counter(f"{line['logger']}: {line.get('error', line['message']).strip().splitlines()[-1]}" for line in grave)


def settings_of(world: World, database_url: str, flapping: str) -> dict[str, object]:
    """Periods are short, so that everything that comes round does so many times."""
    urls = {number: flapping if number == FLAPPING else chain.url for number, chain in world.chains.items()}
    return {
        "database_url": database_url,
        "rpc": [f"eip155:{number}={url}" for number, url in urls.items()],
        "chains": [f"eip155:{number}" for number in urls],
        "population": "live",
        "population_seconds": 120,
        "sweep_seconds": 120,
        "guests": 40,
        "guest_seconds": 300,
        "epoch_seconds": 30,
        "signing_key": secrets.token_hex(32),
        "reads_per_minute": 10**9,
        "writes_per_minute": 10**9,
        "maximum_streams_per_address": 10**6,
        "allow_private_webhooks": True,
        "log": "WARNING",
    }


@asynccontextmanager
async def process(module: str, given: dict[str, object], errors: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of ours, given one JSON object; ended with the block. `errors`: where its stderr goes."""
    with errors.open("wb") as log:
        one = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=1 << 24,
            env={**os.environ},
        )
    try:
        assert one.stdin is not None
        one.stdin.write(json.dumps(given).encode() + b"\n")
        await one.stdin.drain()
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            one.terminate()
        await one.wait()


async def ready(client: aiohttp.ClientSession, url: str, owners: int) -> None:
    """Until everybody who is watched has been read."""
    async with asyncio.timeout(READY_SECONDS):
        while True:
            async with client.get(f"{url}/v1/coverage") as response:
                if (await response.json())["complete_owners"] >= owners // 2:
                    return
            await asyncio.sleep(1.0)


async def soak(world: World, folder: Path, seconds: float, rate: float, heard: Receiver) -> Outcome:
    database = folder / "service.db"
    owners = tuple(owner.address for owner in world.owners)
    key = await prepare(f"sqlite:///{database}", owners)
    late = time.time() - max([await chain.now() for chain in world.chains.values()])
    samples: list[Sample] = []
    async with FaultyEndpoint(upstream=world.chains[FLAPPING].url) as flapping, aiohttp.ClientSession() as client:
        settings = settings_of(world, f"sqlite:///{database}", flapping.url)
        log = folder / "service.log"
        async with process("benchmarks.soak.service", {"settings": settings, "owners": owners, "late": late}, log) as service:
            assert service.stdout is not None
            url = (await asyncio.wait_for(service.stdout.readline(), READY_SECONDS)).decode().strip()
            if not url:
                raise SystemExit(log.read_text(encoding="utf-8")[-2_000:])
            await ready(client, url, len(owners))
            around = [asyncio.create_task(live(world, late)), asyncio.create_task(flap(flapping))]
            given = {"url": url, "owners": owners, "key": key, "receiver": heard.url, "rate": rate}
            try:
                async with process("benchmarks.soak.load", given, folder / "load.log") as load:
                    started = time.monotonic()
                    while time.monotonic() - started < seconds:
                        await asyncio.sleep(EVERY_SECONDS - (time.monotonic() - started) % EVERY_SECONDS)
                        samples.append(await take(client, url, service.pid, database, started))
                        show(samples)
                    load.terminate()
                    said, _ = await load.communicate()
                    await asyncio.sleep(LAST_SECONDS)
            finally:
                for task in around:
                    task.cancel()
                await asyncio.gather(*around, return_exceptions=True)
            service.terminate()
            exit_code = await asyncio.wait_for(service.wait(), 60)
    if not said:
        raise SystemExit(f"the load ended by itself:\n{(folder / 'load.log').read_text(encoding='utf-8')[-2_000:]}")
    return Outcome(tuple(samples), json.loads(said), log.read_text(encoding="utf-8"), exit_code)


def show(samples: Sequence[Sample]) -> None:
    """Progress for people, on stderr."""
    last = samples[-1]
    if len(samples) % 3 == 1:
        figures = f"service {last.service_pss:.1f} MB, worker {last.worker_pss:.1f} MB, {last.descriptors} descriptors, {last.tasks} tasks"
        print(f"{last.seconds / 60:5.1f} min  {figures}, {last.requests} requests", file=sys.stderr, flush=True)


def table(outcome: Outcome, warm_up_seconds: float, heard: Receiver) -> bool:
    """Print it; whether everything that is judged is flat."""
    samples = outcome.samples
    first = next(one for one in samples if one.seconds >= warm_up_seconds)
    last = samples[-1]
    rate = (last.requests - samples[0].requests) / (last.seconds - samples[0].seconds)
    print(f"{last.seconds / 60:.1f} minutes, {last.requests} requests ({rate:.0f} a second), warm-up {warm_up_seconds / 60:.1f} minutes\n")
    print(f"{'':<14}{'start':>10}{'warm':>10}{'end':>10}{'a minute':>12}{'95 % interval':>24}{'a day':>12}")
    flat = True
    for name in SHOWN:
        slope = slope_of([one.seconds for one in samples], [float(getattr(one, name)) for one in samples], warm_up_seconds)
        verdict = _verdict(slope) if name in JUDGED else ""
        flat &= verdict != "GROWS"
        figures = "".join(f"{float(getattr(one, name)):>10.1f}" for one in (samples[0], first, last))
        print(f"{name:<14}{figures}{slope.per_minute:>12.3f}{f'{slope.low:.3f} … {slope.high:.3f}':>24}{slope.per_day:>12.0f}  {verdict}")
    health = outcome.told["health_ms"]
    if health:
        print(f"\ncached health, p50 / p99: {health['p50']:.1f} / {health['p99']:.1f} ms")
    print(f"alerts delivered {heard.delivered}, refused at first {heard.refused}")
    print("answers: " + ", ".join(f"{name} {count}" for name, count in outcome.told["answers"].items()))
    for fault, count in outcome.faults.items():
        print(f"fault, {count} times: {fault}")
    print(f"exit code {outcome.exit_code}")
    return flat


def _verdict(slope: Slope) -> str:
    return "flat" if slope.flat else "GROWS"


def write_csv(samples: Sequence[Sample], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Sample.names())
        writer.writerows(one.row() for one in samples)


def write_plot(samples: Sequence[Sample], path: Path, warm_up_seconds: float) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    minutes = [one.seconds / 60 for one in samples]
    figure, axes = pyplot.subplots(2, 1, figsize=(9, 7), sharex=True, layout="constrained")
    for name, label in (("service_pss", "service"), ("worker_pss", "worker")):
        axes[0].plot(minutes, [getattr(one, name) for one in samples], label=label)
    axes[0].set_ylabel("MB (PSS)")
    axes[0].set_ylim(bottom=0)
    for name in ("descriptors", "tasks", "streams", "owners"):
        axes[1].plot(minutes, [getattr(one, name) for one in samples], label=name)
    axes[1].set_xlabel("minutes")
    for one in axes:
        one.axvspan(0, warm_up_seconds / 60, alpha=0.1, color="grey")
        one.legend(loc="lower right")
    figure.savefig(path)


async def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description="Does the service stay as it is?")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm-up", type=float, metavar="MINUTES", help="before slopes are taken (default: a third of the time)")
    parser.add_argument("--rate", type=float, default=200.0, help="cached answers asked for a second, beside everything else")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep what the service logged")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw memory and counts")
    arguments = parser.parse_args()
    warm_up = 60 * (arguments.warm_up if arguments.warm_up is not None else arguments.minutes / 3)
    if 60 * arguments.minutes - warm_up < FEWEST_BLOCKS * BLOCK_SECONDS:
        parser.error(f"expected {FEWEST_BLOCKS} minutes at least after the warm-up")
    this = asyncio.current_task()
    assert this is not None
    # ended by another, it ends what it began
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    with tempfile.TemporaryDirectory(prefix="crossmargin-soak-") as folder:
        async with local_network(lives_on=True) as world, receiver() as heard:
            outcome = await soak(world, Path(folder), 60 * arguments.minutes, arguments.rate, heard)
    if arguments.log is not None:
        arguments.log.write_text(outcome.log, encoding="utf-8")
    if arguments.csv is not None:
        write_csv(outcome.samples, arguments.csv)
    if arguments.plot is not None:
        write_plot(outcome.samples, arguments.plot, warm_up)
    flat = table(outcome, warm_up, heard)
    return 0 if flat and not outcome.faults and outcome.exit_code == 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
