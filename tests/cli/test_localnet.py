"""`crossmargin localnet` as people and programs use it: what it prints, how it ends, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aggregator.cli.main import main
from aggregator.localnet.world import World

COMMAND = str(Path(sys.executable).with_name("crossmargin"))
PROCESSES = Path("/proc")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--port-base", "0"], "--port-base 0: expected 1 to 65533"),
        (["--port-base", "65534"], "--port-base 65534: expected 1 to 65533"),
        (["--port-base", "many"], "argument --port-base: invalid int value: 'many'"),
        (["--exit-after", "-1"], "--exit-after -1: expected seconds from now"),
        (["--demo", "--json"], "--demo prints for people: use it without --json"),
    ],
)
def test_bad_input_is_one_line(words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["localnet", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"crossmargin: {line}")
    assert said.err.count("\n") == 1


@asynccontextmanager
async def running(*words: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "localnet", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def children(pid: int) -> list[int]:
    """Processes that were started by `pid` and still live."""
    found: list[int] = []
    for entry in PROCESSES.iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


async def ready(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    document: dict[str, Any] = json.loads(await process.stdout.readline())
    return document


@pytest.mark.localnet
@pytest.mark.skipif(not PROCESSES.is_dir(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_runs_until_it_is_ended_and_leaves_nothing(inhabited: World, how: signal.Signals) -> None:
    """``inhabited`` is there so that the network is in the cache."""
    async with running("--json") as process:
        document = await ready(process)
        assert set(document) == {"schema", "seed", "rpc", "owners"}
        assert list(document["rpc"]) == ["eip155:1", "eip155:42161", "eip155:8453"]
        assert len(document["owners"]) == len(inhabited.owners)
        assert document["owners"][0] == {
            "name": "three-chains",
            "address": inhabited.owner("three-chains").address,
            "story": inhabited.owner("three-chains").story,
            "chains": ["eip155:1", "eip155:42161", "eip155:8453"],
        }
        nodes = children(process.pid)
        assert len(nodes) == 3
        for url in document["rpc"].values():
            _, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
            writer.close()
        process.send_signal(how)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert out == b"", "one object and nothing else"
        assert not any((PROCESSES / str(node)).exists() for node in nodes)


@pytest.mark.localnet
@pytest.mark.skipif(not PROCESSES.is_dir(), reason="processes are looked up in /proc")
async def test_an_interruption_while_it_builds_leaves_nothing(inhabited: World, tmp_path: Path) -> None:
    async with running("--fresh", "--seed", "5") as process:
        async with asyncio.timeout(60):
            while len(nodes := children(process.pid)) < 3:
                assert process.returncode is None
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 130
        assert said.decode().splitlines()[-1] == "crossmargin: interrupted"
        assert not any((PROCESSES / str(node)).exists() for node in nodes)


@pytest.mark.localnet
async def test_chosen_ports_and_an_end_by_itself(inhabited: World) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        base = min(listener.getsockname()[1], 65_000)
    async with running("--port-base", str(base), "--exit-after", "0", COLUMNS="90") as process:
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        text = out.decode()
        assert process.returncode == 0
        for index, chain in enumerate(("eip155:1", "eip155:42161", "eip155:8453")):
            assert f"--rpc {chain}=http://127.0.0.1:{base + index} --chain {chain}\n" in text
        for owner in inhabited.owners:
            assert owner.address in text
        assert max(map(len, text.splitlines())) <= 90


@pytest.mark.localnet
async def test_a_taken_port_is_said(inhabited: World) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        base = listener.getsockname()[1]
        async with running("--port-base", str(min(base, 65_533)), "--exit-after", "0") as process:
            _, said = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 2
            line = said.decode().splitlines()[-1]
            assert line.startswith("crossmargin: anvil for chain 1 did not start")
            assert line.endswith("(see --port-base)")


@pytest.mark.localnet
async def test_the_demonstration_shows_three_owners_and_ends(inhabited: World) -> None:
    async with running("--demo", NO_COLOR="1") as process:
        out, said = await asyncio.wait_for(process.communicate(), 120)
        text = out.decode()
        assert process.returncode == 0, said.decode()
        for name in ("three-chains", "aave-liquidatable", "treasury-desk"):
            assert name in text
            assert inhabited.owner(name).address in text
        assert text.count("Unified health of") == 3
        assert "LIQUIDATABLE" in text
        assert "3 of 3 chains read" in text
        assert "Traceback" not in said.decode()
