"""`crossmargin health` as a process: what it prints and with which code it ends, over real contracts and endpoints that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aggregator.cli.main import main
from aggregator.engine.document import HealthDocument
from aggregator.localnet.world import World
from tests.faults import Delay, html
from tests.faulty_endpoint import FaultyEndpoint

pytestmark = pytest.mark.localnet

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-m", "aggregator.cli.main", "health")
OWNER = "0x00000000000000000000000000000000000a11ce"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the command to its end."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """What it says on stderr: exactly one line."""
        assert self.err.startswith("crossmargin: ") and self.err.endswith("\n") and self.err.count("\n") == 1, self.err
        return self.err.removeprefix("crossmargin: ").strip()

    @property
    def json(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(self.out)
        HealthDocument.model_validate_json(self.out)
        return made


async def run(*words: str, **environment: str) -> Run:
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR") and "CROSSMARGIN" not in name}
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=inherited | environment,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    done = Run(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in done.out + done.err
    return done


def run_here(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Run:
    """The same in this process, for what ends before anything is read."""
    code = main(["health", *words])
    return Run(code, *capsys.readouterr())


async def run_all(commands: Sequence[Sequence[str]]) -> list[Run]:
    """As many at once as there are cores."""
    free = asyncio.Semaphore(2)

    async def one(words: Sequence[str]) -> Run:
        async with free:
            return await run(*words)

    return await asyncio.gather(*map(one, commands))


def through(urls: Mapping[int, str]) -> list[str]:
    return [word for number, url in urls.items() for word in ("--chain", str(number), "--rpc", f"{number}={url}")]


@pytest.fixture
async def proxies(deployed: World) -> AsyncIterator[Mapping[int, FaultyEndpoint]]:
    async with AsyncExitStack() as stack:
        yield {
            number: await stack.enter_async_context(FaultyEndpoint(upstream=chain.url, chain=number))
            for number, chain in deployed.chains.items()
        }


@pytest.fixture
def urls(proxies: Mapping[int, FaultyEndpoint]) -> dict[int, str]:
    return {number: proxy.url for number, proxy in proxies.items()}


CHAINS_FILE = """\
chains:
  "eip155:1":
    name: Ethereum
    short_name: eth
    native: {symbol: ETH, decimals: 18, slip44: 60, factor: ETH}
    block_time_seconds: %s
    finality: {tag: finalized}
    endpoints:
      - url: https://rpc.example
"""

BAD: dict[str, tuple[list[str], str]] = {
    "too short": (["0x1234"], "'0x1234' is not an address; expected 0x and 40 hex digits"),
    "bad checksum": (["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"], "checksum"),
    "no owner at all": (["me"], "'me' is not an owner; expected 0x and 40 hex digits, CHAIN:0x…, or a name such as example.eth"),
    "nothing": ([], "the following arguments are required: OWNER (see crossmargin health --help)"),
    "unknown chain": ([OWNER, "--chain", "atlantis"], "unknown chain 'atlantis'; expected one of eth (eip155:1), arb1 (eip155:42161)"),
    "owner on an unknown chain": ([f"eip155:5:{OWNER}"], "unknown chain 'eip155:5'"),
    "rpc without a chain": ([OWNER, "--rpc", "https://rpc.example"], "--rpc: expected CHAIN=URL, for example eth=https://rpc.example"),
    "rpc that is no URL": (
        [OWNER, "--rpc", "eth=rpc.example/KEY"],
        "--rpc eth=…: expected an http:// or https:// URL after the equals sign",
    ),
    "block without a number": ([OWNER, "--block", "eth"], "--block 'eth': expected CHAIN=NUMBER, for example eth=21000000"),
    "block that is no number": ([OWNER, "--block", "eth=-1"], "--block 'eth=-1': expected a block number after the equals sign"),
    "block of a chain that is not read": ([OWNER, "--chain", "eth", "--block", "base=1"], "--block names eip155:8453, which is not read"),
    "chains file that is not there": ([OWNER, "--chains", "nowhere.yaml"], "nowhere.yaml"),
    "chains file that is a folder": ([OWNER, "--chains", "docs"], "docs"),
    "unknown option": ([OWNER, "--fast"], "unrecognized arguments: --fast"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_that_says_what_was_expected(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = BAD[name]
    done = run_here([*words, "--json"], capsys)
    assert (done.code, done.out) == (2, "")
    assert expected in done.line
    assert "KEY" not in done.err


def test_an_invalid_chains_file_is_named_by_file_line_field_and_what_was_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {
        "negative": (CHAINS_FILE % "-12", ":6: chains.eip155:1.block_time_seconds: "),
        "text": (CHAINS_FILE % "soon", ":6: chains.eip155:1.block_time_seconds: "),
        "unquoted": (
            CHAINS_FILE % "12" + "    wrapped_native: 0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n",
            ":10: chains.eip155:1.wrapped_native: ",
        ),
        "unknown": (CHAINS_FILE % "12" + "    colour: red\n", ":10: chains.eip155:1.colour: "),
        "broken": (CHAINS_FILE % "[", ":"),
        "empty": ("", ":"),
    }
    for name, (text, _) in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "latin.yaml").write_bytes(b"chains: \xff\xfe")
    names = [*texts, "latin"]
    for name in names:
        done = run_here([OWNER, "--chains", str(tmp_path / f"{name}.yaml")], capsys)
        assert (done.code, done.out) == (2, ""), name
        where = texts[name][1] if name in texts else ":"
        assert done.line.startswith(str(tmp_path / f"{name}.yaml") + where), (name, done.line)
        assert len(done.line.partition(where)[2]) > 5, (name, done.line)


async def test_bad_input_to_the_process_itself() -> None:
    words, expected = BAD["too short"]
    done = await run(*words)
    assert (done.code, done.out) == (2, "")
    assert expected in done.line


async def test_a_chain_that_fails_is_one_gap_and_success(
    deployed: World, proxies: Mapping[int, FaultyEndpoint], urls: dict[int, str]
) -> None:
    proxies[8453].inject(html(503))
    done, report = await run_all([[deployed.owner("three-chains").address, *through(urls), *more] for more in (["--json"], [])])
    assert (done.code, done.err) == (report.code, report.err) == (0, "")
    document = done.json
    ((gap),) = document["coverage"]["missing"]
    assert (gap["chain"], gap["protocol"], gap["what"]) == ("eip155:8453", "*", "everything on this chain")
    assert gap["why"] == f"{urls[8453]}: HTTP 503 Service Unavailable"
    assert document["health"]["margin_ratio"] is None
    assert {account["chain"] for account in document["margin_accounts"]} == {"eip155:1", "eip155:42161"}
    shown = " ".join(report.out.split())
    assert "Base" in shown and "HTTP 503" in shown and "2 of 3 chains read" in shown


async def test_nothing_that_can_be_read_is_code_3(proxies: Mapping[int, FaultyEndpoint], urls: dict[int, str]) -> None:
    for proxy in proxies.values():
        await proxy.refuse()
    done, report = await run_all([[OWNER, *through(urls), *more] for more in (["--json"], [])])
    assert (done.code, report.code, report.out) == (3, 3, "")
    assert done.line.startswith("no chain could be read: ") and done.line.count("the connection was refused") == 3
    document = done.json
    assert {snapshot["status"] for snapshot in document["snapshots"]} == {"unreachable"}
    assert document["health"]["equity_usd"] is None and document["coverage"]["complete"] is False


async def test_a_pinned_block_is_the_same_text_every_time(deployed: World, urls: dict[int, str]) -> None:
    pins = [word for number, chain in deployed.chains.items() for word in ("--block", f"{number}={await chain.head()}")]
    command = [deployed.owner("three-chains").address, *through(urls), *pins, "--json"]
    once, again = await run_all([command, command])
    assert (once.code, once.err) == (0, "")
    assert once.out == again.out
    assert {snapshot["status"] for snapshot in once.json["snapshots"]} == {"ok"}


async def interrupted(words: Sequence[str], endpoint: FaultyEndpoint, requests: int) -> tuple[Run, float, int]:
    """Ctrl-C once the endpoint has had so many requests: the run, how long it took to end, and its process group."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    try:
        async with asyncio.timeout(60):
            while endpoint.requests < requests:  # noqa: ASYNC110 - the requests come from another process
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Run(process.returncode, out.decode(), err.decode()), time.monotonic() - begin, process.pid


def alive(group: int) -> bool:
    """Whether anything of a process group is still running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("more", [["--json"], []])
async def test_an_interrupt_while_reading_leaves_nothing(
    more: list[str], deployed: World, proxies: Mapping[int, FaultyEndpoint], urls: dict[int, str]
) -> None:
    """While one chain is slow to tell its state and the others are done."""
    proxies[1].inject(Delay(60), after=1)
    done, seconds, group = await interrupted([deployed.owner("whale").address, *through(urls), *more], proxies[1], 2)
    assert (done.code, done.out, done.err) == (130, "", "crossmargin: interrupted\n")
    assert seconds < 2
    assert not alive(group)


async def on_terminal(words: Sequence[str], **environment: str) -> str:
    """What the command writes to a terminal of 60 columns."""
    ours, theirs = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=theirs,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=inherited | {"COLUMNS": "60", "TERM": "xterm-256color"} | environment,
    )
    os.close(theirs)
    written = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65_536):
                written.extend(piece)
        except OSError:
            # the other side is closed
            pass

    try:
        await asyncio.to_thread(read)
        _, err = await process.communicate()
    finally:
        os.close(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert (process.returncode, err.decode()) == (0, "")
    return written.decode()


async def test_a_narrow_terminal_and_no_colour(deployed: World, urls: dict[int, str]) -> None:
    words = [deployed.owner("three-chains").address, *through(urls)]
    coloured = await on_terminal(words)
    plain = await on_terminal(words, NO_COLOR="1")
    assert COLOUR.search(coloured) and "\x1b[3" in coloured
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", plain)
    for text in (coloured, plain):
        lines = COLOUR.sub("", text).splitlines()
        assert max(len(line.rstrip()) for line in lines) <= 60
        shown = " ".join(" ".join(lines).split())
        assert all(word in shown for word in ("Score", "Margin ratio", "aave-v3", "Owned", "Isolated")), shown
