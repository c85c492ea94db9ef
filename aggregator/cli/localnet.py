"""`crossmargin localnet`: local chains with the real protocol contracts and seeded owners, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from typing import TYPE_CHECKING

from aggregator.cli.common import PROGRESS_DELAY_SECONDS, add_json_option, console, run_async
from aggregator.model.errors import CrossmarginError, InputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.status import Status

    from aggregator.localnet.world import Owner, World

CHAIN_NAMES = {1: "Ethereum", 42161: "Arbitrum", 8453: "Base"}
DEMO_OWNERS = ("three-chains", "aave-liquidatable", "treasury-desk")
HIGHEST_PORT = 65_535
ONE_LINE = 150
"""from this width on an owner fits on one line"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="another past, other prices and other blocks (default 1)")
    parser.add_argument("--port-base", metavar="N", type=int, help="listen on ports N, N+1 and N+2 instead of free ones")
    parser.add_argument("--fresh", action="store_true", help="build the chains anew even when this network is in the cache")
    parser.add_argument("--exit-after", metavar="SECONDS", type=float, help="end by itself after that many seconds")
    parser.add_argument("--demo", action="store_true", help="show the health of three very different owners and end")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 once ended by Ctrl-C, SIGTERM or time. Whatever is missing to build the network is one line and exit code 1."""
    _check(arguments)
    return run_async(_interruptible(arguments))


def _check(arguments: argparse.Namespace) -> None:
    base = arguments.port_base
    if base is not None and not 1 <= base <= HIGHEST_PORT - 2:
        raise InputError(f"--port-base {base}: expected 1 to {HIGHEST_PORT - 2}")
    if arguments.exit_after is not None and arguments.exit_after < 0:
        raise InputError(f"--exit-after {arguments.exit_after:g}: expected seconds from now")
    if arguments.demo and arguments.json:
        raise InputError("--demo prints for people: use it without --json")


async def _interruptible(arguments: argparse.Namespace) -> int:
    try:
        return await _boot(arguments, _Ending(arguments.exit_after))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _Ending:
    """SIGINT and SIGTERM: while the command waits they end it well, before that they cancel it, and it cleans up."""

    def __init__(self, seconds: float | None) -> None:
        self._ended, self._waiting, self._seconds = asyncio.Event(), False, seconds
        self._work = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._end)

    def _end(self) -> None:
        if self._waiting:
            self._ended.set()
        elif self._work is not None:
            self._work.cancel()

    async def wait(self) -> None:
        """Until a signal, or until the time is over where there is one."""
        self._waiting = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), self._seconds)


async def _boot(arguments: argparse.Namespace, ending: _Ending) -> int:
    from aggregator.localnet.anvil import AnvilError
    from aggregator.localnet.compiling import CompileError
    from aggregator.localnet.network import local_network
    from aggregator.localnet.node import LocalChainError
    from aggregator.localnet.packages import PackageError
    from aggregator.localnet.world import CHAINS

    base = arguments.port_base
    ports = {chain_id: base + index for index, chain_id in enumerate(CHAINS)} if base is not None else None
    progress = BuildProgress()
    started = time.perf_counter()
    try:
        async with local_network(arguments.seed, ports=ports, fresh=arguments.fresh, progress=progress.tell) as world:
            progress.stop()
            await _present(arguments, world, ending, time.perf_counter() - started)
    except AnvilError as error:
        raise InputError(f"{error} (see --port-base)") if ports else CrossmarginError(str(error)) from None
    except (PackageError, CompileError, LocalChainError) as error:
        raise CrossmarginError(str(error)) from None
    finally:
        progress.stop()
    return 0


async def _present(arguments: argparse.Namespace, world: World, ending: _Ending, seconds: float) -> None:
    if arguments.demo:
        await _demonstrate(world, seconds)
        return
    if arguments.json:
        sys.stdout.write(json.dumps(document(world)) + "\n")
    else:
        print_network(world, console(), seconds)
    sys.stdout.flush()
    await ending.wait()


def document(world: World) -> dict[str, object]:
    """What `--json` prints: endpoints by chain, and the owners."""
    return {
        "schema": "crossmargin/localnet/1",
        "seed": world.seed,
        "rpc": {f"eip155:{chain_id}": chain.url for chain_id, chain in world.chains.items()},
        "owners": [
            {
                "name": owner.name,
                "address": owner.address,
                "story": owner.story,
                "chains": [f"eip155:{chain_id}" for chain_id in owner.chains],
            }
            for owner in world.owners
        ],
    }


def chain_options(world: World) -> list[str]:
    """The options that make another command read these chains and no others."""
    given = [(f"eip155:{chain_id}", chain.url) for chain_id, chain in world.chains.items()]
    return [word for chain, url in given for word in ("--rpc", f"{chain}={url}", "--chain", chain)]


def print_network(world: World, console: Console, seconds: float) -> None:
    """Endpoints ready to paste, and the owners with their stories."""
    from rich.text import Text

    console.print(
        Text(f"The local network is ready: {len(world.chains)} chains, {len(world.owners)} owners, {seconds:.1f} s.", style="bold")
    )
    console.print()
    for chain_id, chain in world.chains.items():
        console.print(f"  {CHAIN_NAMES.get(chain_id, ''):<10}{chain.url}")
    console.print()
    console.print("To read them, add this to a command such as crossmargin health OWNER:")
    console.print()
    for chain_id, chain in world.chains.items():
        # Never wrapped: it is for pasting.
        console.print(f"  --rpc eip155:{chain_id}={chain.url} --chain eip155:{chain_id}", soft_wrap=True)
    console.print()
    console.print("Owners to try:")
    console.print()
    for owner in world.owners:
        console.print(_entry(owner, console.width))
    console.print()
    console.print(Text("Ctrl-C ends it.", style="dim"))


def _entry(owner: Owner, width: int) -> RenderableType:
    """One line where there is room, otherwise the story below name and address."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    where = "+".join(CHAIN_NAMES.get(chain_id, str(chain_id)) for chain_id in owner.chains) or "nowhere"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=26, no_wrap=True)
    grid.add_column(width=42, no_wrap=True)
    grid.add_column(width=22 if width >= ONE_LINE else None, overflow="fold")
    name, address = Text(owner.name, style="bold"), Text(owner.address)
    if width >= ONE_LINE:
        grid.add_column()
        grid.add_row(name, address, Text(where, style="dim"), Text(owner.story))
        return Padding(grid, (0, 0, 0, 2), expand=False)
    grid.add_row(name, address, Text(where, style="dim"))
    return Group(Padding(grid, (0, 0, 0, 2), expand=False), Padding(Text(owner.story, style="italic"), (0, 0, 0, 4), expand=False))


async def _demonstrate(world: World, seconds: float) -> None:
    """The health of three owners, through the very command that anybody would use."""
    from rich.rule import Rule
    from rich.text import Text

    from aggregator.cli import health, main

    out = console()
    chains = ", ".join(CHAIN_NAMES[chain_id] for chain_id in world.chains)
    out.print(f"Local chains for {chains} with the protocols' own contracts are up ({seconds:.1f} s).")
    for name in DEMO_OWNERS:
        owner = world.owner(name)
        out.print()
        out.print(Rule(Text(owner.name, style="bold")))
        out.print(Text(owner.story, style="italic"))
        words = ["health", owner.address, *chain_options(world)]
        out.print(Text(f"crossmargin health {owner.address} --rpc …", style="dim"))
        out.print()
        sys.stdout.flush()
        # The command brings its own event loop.
        await asyncio.to_thread(health.run, main.parser("health").parse_args(words))
        sys.stdout.flush()


class BuildProgress:
    """Says on stderr what is being done, once a second as long as it changes; nothing about what is done within one.

    A line that stays in its place on a terminal, plain lines otherwise. Made inside a running event loop; ends with `stop`.
    """

    def __init__(self) -> None:
        self._line = self._shown = ""
        self._status: Status | None = None
        self._timer = asyncio.get_running_loop().call_later(PROGRESS_DELAY_SECONDS, self._show)

    def tell(self, stage: str, detail: str) -> None:
        """What `local_network` reports."""
        self._line = f"local network: {stage} {detail}"

    def _show(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PROGRESS_DELAY_SECONDS, self._show)
        if self._line == self._shown:
            return
        self._shown = self._line
        if not sys.stderr.isatty():
            sys.stderr.write(self._line + "\n")
            sys.stderr.flush()
        elif self._status is not None:
            self._status.update(self._line)
        else:
            from rich.console import Console
            from rich.status import Status

            self._status = Status(self._line, console=Console(stderr=True, markup=False, highlight=False))
            self._status.start()

    def stop(self) -> None:
        """Take the line away; harmless when there is none."""
        self._timer.cancel()
        if self._status is not None:
            self._status.stop()
            self._status = None
