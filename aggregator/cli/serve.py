"""`crossmargin serve`: the live loop, the API, the stream and the page in one process, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.model.errors import CrossmarginError, InputError

if TYPE_CHECKING:
    from aiohttp import web

    from aggregator.engine.settings import Settings
    from aggregator.localnet.world import World

SHUTDOWN_SECONDS = 10.0
ACTIVITY_SECONDS = 15.0
EXAMPLES = 5
"""seeded owners that the page offers"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="H", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=int, help="port to listen on, 0 for a free one (default 8080)")
    parser.add_argument("--local", action="store_true", help="on local chains with seeded owners, which are watched; ends with them")
    parser.add_argument(
        "--activity",
        metavar="SECONDS",
        type=float,
        nargs="?",
        const=ACTIVITY_SECONDS,
        help=f"let the local chains live: a block, small moves of prices, some trade every so often (default {ACTIVITY_SECONDS:g})",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line on stdout once it listens")
    group = parser.add_argument_group("which chains, and through what")
    group.add_argument("--chains", metavar="FILE", type=Path, help="chains.yaml to use instead of the shipped one")
    group.add_argument("--rpc", metavar="CHAIN=URL", action="append", default=[], help="endpoint of a chain (repeatable)")
    group.add_argument("--chain", metavar="CHAIN", action="append", default=[], help="read only this chain (repeatable)")
    parser.epilog = "Everything else is set by the environment or a settings file: see docs/settings.md."


def run(arguments: argparse.Namespace) -> int:
    """0 once it was ended; InputError (2) for a bad setting; 1 where the port is taken or the database cannot be opened."""
    return asyncio.run(_serve(arguments, time.perf_counter()))


async def _serve(arguments: argparse.Namespace, started: float) -> int:
    from aggregator.cli.service_log import Redaction, begin
    from aggregator.engine.settings import load_settings

    _check(arguments)
    async with AsyncExitStack() as stack:
        given = _given(arguments)
        ended = _ending()
        local: _Local | None = None
        if arguments.local:
            local = await stack.enter_async_context(_local_network())
            given |= local.settings
        settings = load_settings(**given)
        url = settings.database_url.get_secret_value()
        begin(settings.log, Redaction.of_environment(url))
        runner = await stack.enter_async_context(
            service(settings, local.owners, local.clock, local.examples) if local is not None else service(settings)
        )
        address = await _listen(runner, settings)
        _say(arguments, address, time.perf_counter() - started, await local.verifiers(address) if local is not None else {})
        if local is not None and arguments.activity is not None:
            stack.push_async_callback(_cancel, asyncio.create_task(local.live(arguments.activity)))
        await ended.wait()
    return 0


def _check(arguments: argparse.Namespace) -> None:
    seconds = arguments.activity
    if seconds is not None and not arguments.local:
        raise InputError("--activity is for local chains: expected --local beside it")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise InputError(f"--activity {seconds:g}: expected seconds from one step to the next")


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line says comes before the environment."""
    named: dict[str, Any] = {"host": arguments.host, "port": arguments.port, "chains_file": arguments.chains}
    named |= {"rpc": tuple(arguments.rpc) or None, "chains": tuple(arguments.chain) or None}
    return {name: value for name, value in named.items() if value is not None}


def _ending() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; the second ends the process at once."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        ended.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    return ended


@asynccontextmanager
async def service(
    settings: Settings,
    owners: tuple[str, ...] = (),
    clock: Callable[[], float] = time.time,
    examples: Mapping[str, str] | None = None,
) -> AsyncIterator[web.AppRunner]:
    """Everything but the port, running. `owners` are watched from the start; `clock` is what the age of a head is measured by;
    `examples` are offered by the page: an owner's address with a sentence about it."""
    from aiohttp import web

    from aggregator.api.application import application
    from aggregator.api.context import App
    from aggregator.api.limits import RateLimiter
    from aggregator.api.metrics import Metrics
    from aggregator.chains.arguments import rpc_overrides
    from aggregator.chains.configuration import load_chains
    from aggregator.chains.network import Network
    from aggregator.cli.page_assets import echarts_directory
    from aggregator.engine.live import allocator
    from aggregator.engine.live.alerting import alerting
    from aggregator.engine.live.assess import Workers
    from aggregator.engine.live.attesting import attester
    from aggregator.engine.live.haircuts import ListedHaircuts
    from aggregator.engine.live.live import Live
    from aggregator.engine.live.stream import StreamHub
    from aggregator.engine.live.systemic import Systemic
    from aggregator.engine.settings import journal_folder
    from aggregator.engine.snapshot import Engine
    from aggregator.model.identifiers import parse_address
    from aggregator.store.database import Database

    allocator.restrain()
    configuration = load_chains(settings.chains_file)
    database = Database.at(settings.database_url.get_secret_value())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(database)
        network = await stack.enter_async_context(Network(configuration, rpc_overrides=rpc_overrides(settings.rpc, configuration)))
        hub = StreamHub(database)
        live = Live(Engine(network, clock=clock), database, hub, Workers(settings.workers), settings)
        haircuts = ListedHaircuts(live.engine, live.chains, live.workers, settings.haircuts_seconds, live.feeds)
        systemic = Systemic(settings.population, network, live.chains, settings.population_seconds, live.population_read, clock)
        app = App(
            live=live,
            database=database,
            hub=hub,
            systemic=systemic,
            haircuts=haircuts,
            settings=settings,
            metrics=Metrics(),
            reads=RateLimiter("reads", settings.reads_per_minute, time.monotonic),
            writes=RateLimiter("writes", settings.writes_per_minute, time.monotonic),
            now=lambda: time.time_ns() // 1_000,
            attester=await attester(live, settings),
        )
        app.metrics.observe(live)
        await hub.open()
        desk = await stack.enter_async_context(
            alerting(journal_folder(settings), database, live.tell_alerts, settings.allow_private_webhooks, clock)
        )
        live.judge = desk
        live.replaced_listeners += [systemic.replaced, haircuts.replaced]
        systemic.listeners.append(desk.population)
        await live.start()
        stack.push_async_callback(live.stop)
        stack.push_async_callback(_cancel, asyncio.create_task(allocator.give_back_always()))
        for work in (systemic.run(), haircuts.run()):
            stack.push_async_callback(_cancel, asyncio.create_task(work))
        if app.attester is not None:
            stack.push_async_callback(_cancel, asyncio.create_task(app.attester.run()))
        if owners:
            await live.watch([parse_address(owner) for owner in owners], "local")
        runner = web.AppRunner(
            application(app, echarts=echarts_directory(), configuration=configuration, examples=examples),
            access_log=None,
            shutdown_timeout=SHUTDOWN_SECONDS,
            handle_signals=False,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        # streams end before the server waits for its connections
        stack.callback(hub.close)
        yield runner


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _listen(runner: web.AppRunner, settings: Settings) -> str:
    from aiohttp import web

    site = web.TCPSite(runner, settings.host, settings.port, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        raise CrossmarginError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}") from None
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _say(arguments: argparse.Namespace, address: str, seconds: float, verifiers: Mapping[str, str]) -> None:
    if arguments.json:
        line = {"schema": "crossmargin/serve/1", "url": address, "seconds": f"{seconds:.3f}", "verifiers": dict(verifiers)}
        sys.stdout.write(json.dumps(line) + "\n")
    else:
        sys.stdout.write(f"Crossmargin is at {address} ({seconds:.1f} s; API {address}/openapi.json). Ctrl-C ends it.\n")
        for chain, verifier in verifiers.items():
            sys.stdout.write(f"  scores on {chain}: {verifier}\n")
    sys.stdout.flush()


class _Local:
    """Local chains as settings, and their owners."""

    def __init__(self, world: World, folder: str, late: float) -> None:
        """`late`: how many seconds the chains' time is behind ours."""
        self._world, self._late = world, late
        self._key = secrets.token_bytes(32)
        self.owners = tuple(owner.address for owner in world.owners)
        self.examples = {owner.address: owner.story for owner in world.owners[:EXAMPLES]}
        self.settings: dict[str, Any] = {
            "rpc": tuple(f"eip155:{number}={chain.url}" for number, chain in world.chains.items()),
            "chains": tuple(f"eip155:{number}" for number in world.chains),
            "database_url": f"sqlite:///{folder}/crossmargin.db",
            "population": "live",
            "signing_key": self._key.hex(),
        }

    def clock(self) -> float:
        """The chains' time, seconds since the epoch."""
        return time.time() - self._late

    async def live(self, every_seconds: float) -> None:
        """The chains live in small steps, until cancelled."""
        from aggregator.localnet.activity import Activity

        await Activity(self._world, self.clock, every_seconds).run()

    async def verifiers(self, address: str) -> dict[str, str]:
        """Put the verifying contract on every chain, for this service's key and gateway; where it stands, by chain."""
        from aggregator.localnet.node import DEPLOYER
        from aggregator.model.identifiers import parse_address
        from aggregator.publish.attestation.contract import verifying_contract
        from aggregator.publish.attestation.signer import KeySigner

        signer = KeySigner.of(self._key).address
        code = verifying_contract().deployment(parse_address(DEPLOYER), signer, (f"{address}/v1/ccip/{{sender}}/{{data}}",))
        return {f"eip155:{number}": await chain.deploy(code) for number, chain in self._world.chains.items()}


@asynccontextmanager
async def _local_network() -> AsyncIterator[_Local]:
    """The chains of `crossmargin localnet`. Their database is kept in memory's place: a folder that goes with them."""
    import tempfile

    from aggregator.cli.localnet import BuildProgress
    from aggregator.localnet.network import local_network

    progress = BuildProgress()
    try:
        async with local_network(progress=progress.tell, lives_on=True) as world:
            progress.stop()
            with tempfile.TemporaryDirectory(prefix="crossmargin-serve-") as folder:
                late = time.time() - max([await chain.now() for chain in world.chains.values()])
                yield _Local(world, folder, late)
    finally:
        progress.stop()
