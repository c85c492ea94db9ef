"""`crossmargin contagion record` as a user runs it, on the local network."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from aggregator.cli.main import main
from aggregator.engine.replay.file import read_history
from aggregator.localnet.world import World

COMMAND = Path(sys.executable).with_name("crossmargin")
NOTHING = "http://127.0.0.1:9"


async def crossmargin(*words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, "contagion", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.localnet
async def test_record_and_replay(deployed: World, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    chain = ("--rpc", f"eip155:1={deployed.chains[1].url}")
    code, out, err = await crossmargin("record", str(path), *chain, "--ticks", "1", "--json", "--wallets")
    assert (code, err) == (0, "")
    (tick,) = [json.loads(line) for line in out.splitlines()]
    assert tick["rows"] == len(read_history(path)) > 50
    code, out, err = await crossmargin("replay", str(path))
    assert code == 0
    assert all(json.loads(line)["state"] == "opened" for line in out.splitlines())
    assert f"{tick['rows']} rows" in err


@pytest.mark.localnet
async def test_to_standard_output(deployed: World) -> None:
    code, out, err = await crossmargin("record", "-", "--rpc", f"8453={deployed.chains[8453].url}", "--ticks", "1")
    assert code == 0
    assert {json.loads(line)["kind"] for line in out.splitlines()} == {"market", "price", "protocol", "curve"}
    assert f"{len(out.splitlines())} rows" in err


@pytest.mark.localnet
async def test_interrupting_it_is_how_it_ends(deployed: World, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    words = ("record", str(path), "--rpc", f"1={deployed.chains[1].url}", "--every", "0.2")
    process = await asyncio.create_subprocess_exec(COMMAND, "contagion", *words, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    assert b"rows" in await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = await process.stderr.read()
    assert (await process.wait(), rest) == (0, b"")
    assert read_history(path)


async def test_nothing_reached_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    code, out, err = await crossmargin("record", str(path), "--rpc", f"1={NOTHING}", "--ticks", "1")
    assert (code, out) == (3, "")
    assert "nothing was recorded" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to record"),
        (["--rpc", f"1={NOTHING}", "--block", "1=5"], "follows the heads"),
        (["--rpc", f"1={NOTHING}", "--discover"], "follows the heads"),
        (["--rpc", f"1={NOTHING}", "--every", "0"], "--every is a number of seconds above 0"),
        (["--rpc", f"1={NOTHING}", "--every", "nan"], "--every is a number of seconds above 0"),
        (["--rpc", f"1={NOTHING}", "--ticks", "0"], "--ticks is a number of moments"),
        (["--rpc", "nonsense"], "expected CHAIN=URL"),
    ],
)
def test_bad_options(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contagion", "record", str(tmp_path / "h.jsonl"), *words]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
