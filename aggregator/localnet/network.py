"""Starting and ending the local network.

::

    async with local_network(seed=1) as world:
        print(world.chains[1].url)

The first time, everything is fetched, compiled and deployed, and the three chains' states are kept in the cache under
a hash of all that they depend on; afterwards the same world starts from there in a few seconds. Nothing keeps running
when the block is left, whatever the reason.
"""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aggregator.localnet.anvil import STATES_KEPT, STATES_KEPT_RUNNING
from aggregator.localnet.artifacts import Artifacts
from aggregator.localnet.node import LocalChain, LocalChainError
from aggregator.localnet.packages import ANVIL_VERSION, cache_directory
from aggregator.localnet.progress import Progress, Timings, silent
from aggregator.localnet.stages import Stage, all_stages
from aggregator.localnet.together import together
from aggregator.localnet.world import CHAINS, World

_SOURCES = Path(__file__).parent
_WORLDS_KEPT = 4
_RECORD = "world.json"
_AFTERWARDS = frozenset({"activity.py"})
"""sources that act on running chains only, and have no part in how a world is built"""
# A loaded state has no past: blocks on top of it give "safe" (32 back) and "finalized" (64 back) a state to read.
_BLOCKS_TO_FINALITY = 65


@dataclass(frozen=True, slots=True)
class _Kept:
    """One world in the cache: a directory with a state a chain and the record of what is deployed."""

    directory: Path

    @property
    def complete(self) -> bool:
        return (self.directory / _RECORD).is_file()

    def state(self, chain_id: int) -> Path:
        return self.directory / f"{chain_id}.json"


@asynccontextmanager
async def local_network(
    seed: int = 1,
    *,
    progress: Progress = silent,
    ports: Mapping[int, int] | None = None,
    cache: Path | None = None,
    fresh: bool = False,
    populated: bool = True,
    lives_on: bool = False,
) -> AsyncIterator[World]:
    """Run the local network for the length of an ``async with``.

    ``ports``: fixed ports by chain id, free ones otherwise; ``cache``: another cache directory than the usual one;
    ``fresh``: build anew even when this world is kept; ``populated``: with owners and a month of market life, otherwise
    the protocols as they were deployed at the beginning of 2026; ``lives_on``: chains that are to run for days keep
    fewer of their old states. Raises PackageError, CompileError, AnvilError or
    LocalChainError with one clear line when something it needs is missing.
    """
    timings = Timings(progress)
    artifacts = Artifacts(cache or cache_directory(), progress)
    with timings.stage("packages and compilers"):
        binary = await artifacts.prepare()
    stages = all_stages(populated=populated)
    kept = _Kept(artifacts.root / "worlds" / world_key(seed, stages))
    async with _exclusive(kept.directory.with_suffix(".lock")):
        if fresh or not kept.complete:
            await _build(seed, stages, artifacts, binary, kept, timings)
    chains: dict[int, LocalChain] = {}
    try:
        with timings.stage("start"):
            states = STATES_KEPT_RUNNING if lives_on else STATES_KEPT
            world = await _start(seed, artifacts, binary, kept, ports or {}, chains, states)
        world.progress = progress
        yield world
    finally:
        await _stop(chains)


def world_key(seed: int, stages: tuple[Stage, ...]) -> str:
    """The name of a world in the cache: the seed, the node, the stages, and every source file of this folder that builds it."""
    digest = hashlib.sha256(f"{seed}/{ANVIL_VERSION}".encode())
    for stage in stages:
        digest.update(stage.name.encode())
    for path in sorted(_SOURCES.rglob("*")):
        if path.suffix in {".py", ".sol"} and path.name not in _AFTERWARDS:
            digest.update(str(path.relative_to(_SOURCES)).encode() + b"\0" + path.read_bytes())
    return f"{seed}-{digest.hexdigest()[:16]}"


async def _build(seed: int, stages: tuple[Stage, ...], artifacts: Artifacts, binary: Path, kept: _Kept, timings: Timings) -> None:
    """Build the world on empty chains and keep it."""
    chains: dict[int, LocalChain] = {}
    try:
        await _open(binary, chains)
        world = World({chain_id: chains[chain_id] for chain_id in CHAINS}, artifacts, seed, timings.progress)
        _name_errors(world)
        for stage in stages:
            with timings.stage(stage.name):
                await stage.run(world)
        with timings.stage("keep"):
            await _keep(world, kept)
    finally:
        await _stop(chains)


async def _open(
    binary: Path,
    chains: dict[int, LocalChain],
    ports: Mapping[int, int] | None = None,
    kept: _Kept | None = None,
    states: int = STATES_KEPT,
) -> None:
    """Start all nodes at the same time into ``chains``, so that those that did start can be ended."""

    async def one(chain_id: int) -> None:
        state = kept.state(chain_id) if kept is not None else None
        chains[chain_id] = await LocalChain.start(binary, chain_id, port=(ports or {}).get(chain_id), state=state, states=states)

    await together(*(one(chain_id) for chain_id in CHAINS))


async def _start(
    seed: int,
    artifacts: Artifacts,
    binary: Path,
    kept: _Kept,
    ports: Mapping[int, int],
    chains: dict[int, LocalChain],
    states: int,
) -> World:
    await _open(binary, chains, ports, kept, states)
    world = World({chain_id: chains[chain_id] for chain_id in CHAINS}, artifacts, seed)
    _name_errors(world)
    document = json.loads(await asyncio.to_thread((kept.directory / _RECORD).read_text, encoding="utf-8"))
    world.restore(document["world"])
    for chain_id, chain in world.chains.items():
        number, block_hash = document["heads"][str(chain_id)]
        block = await chain.rpc("eth_getBlockByNumber", hex(number), False)
        if not isinstance(block, dict) or block["hash"] != block_hash:
            raise LocalChainError(f"the kept state of chain {chain_id} is not the one that was written")
        await chain.mine(_BLOCKS_TO_FINALITY - 1)
    times = [await chain.now() + chain.spacing for chain in world.chains.values()]
    for chain in world.chains.values():
        await chain.set_time(max(times))
    return world


def _name_errors(world: World) -> None:
    names = world.artifacts.error_names()
    for chain in world.chains.values():
        chain.errors.update(names)


async def _keep(world: World, kept: _Kept) -> None:
    """Write states and record beside each other, then move them into place at once."""
    heads: dict[str, tuple[int, str]] = {}
    kept.directory.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".keeping-", dir=kept.directory.parent))
    try:
        for chain_id, chain in world.chains.items():
            block = await chain.rpc("eth_getBlockByNumber", "latest", False)
            assert isinstance(block, dict)
            heads[str(chain_id)] = (int(block["number"], 16), block["hash"])
            # Without history: with it the dump takes minutes and gigabytes.
            dump = str(await chain.rpc("anvil_dumpState"))
            state = await asyncio.to_thread(gzip.decompress, bytes.fromhex(dump[2:]))
            await asyncio.to_thread((scratch / f"{chain_id}.json").write_bytes, state)
        document = {"heads": heads, "world": world.document()}
        text = json.dumps(document, indent=1, sort_keys=True)
        await asyncio.to_thread((scratch / _RECORD).write_text, text, encoding="utf-8")
        await asyncio.to_thread(_replace, scratch, kept.directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    await asyncio.to_thread(_forget_old, kept)


def _replace(made: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    made.rename(target)


def _forget_old(kept: _Kept) -> None:
    worlds = [path for path in kept.directory.parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in sorted(worlds, key=lambda path: path.stat().st_mtime, reverse=True)[_WORLDS_KEPT:]:
        if path != kept.directory:
            shutil.rmtree(path, ignore_errors=True)
    for lock in kept.directory.parent.glob("*.lock"):
        if lock.stem != kept.directory.name and not lock.with_suffix("").is_dir():
            lock.unlink(missing_ok=True)


async def _stop(chains: dict[int, LocalChain]) -> None:
    await asyncio.gather(*(chain.stop() for chain in chains.values()), return_exceptions=True)
    chains.clear()


@asynccontextmanager
async def _exclusive(path: Path) -> AsyncIterator[None]:
    """Hold a file lock, so that several processes build a world once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
