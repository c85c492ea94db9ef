"""The command as a process of its own on the local chains."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aggregator.localnet.world import World

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


def chain_options(world: World, rpc: Mapping[int, str] | None = None) -> list[str]:
    """`--chain` and `--rpc` of every local chain, some of them through another endpoint."""
    urls = {number: chain.url for number, chain in world.chains.items()} | dict(rpc or {})
    return [part for number, url in urls.items() for part in ("--chain", str(number), "--rpc", f"{number}={url}")]


async def crossmargin(world: World, *words: str, rpc: Mapping[int, str] | None = None, columns: int = 80) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `crossmargin WORDS` with the local chains' endpoints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aggregator.cli.main", *words, *chain_options(world, rpc)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"},
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def document(world: World, *words: str, rpc: Mapping[int, str] | None = None) -> dict[str, Any]:
    """The same with `--json`, which must succeed and say nothing else."""
    code, out, err = await crossmargin(world, *words, "--json", rpc=rpc)
    assert (code, err) == (0, "")
    made: dict[str, Any] = json.loads(out)
    return made
