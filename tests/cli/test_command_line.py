"""Exit codes, one line of error, nothing but JSON on stdout, and a quick start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aggregator.cli import main as command_line
from aggregator.cli.common import ProgressDisplay
from aggregator.engine.snapshot import Picture, SnapshotRequest
from aggregator.model.errors import EndpointUnreachable, IncompleteError, InputError
from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from tests.builders import ARBITRUM, ETHEREUM, OWNER, USDC, WETH, account, book, borrowed, leg, portfolio, supplied, wallet

HEALTHY = portfolio([account(supplied(WETH, 10), borrowed(USDC, 9000))], wallet(leg(WETH, 1)))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Portfolio | BaseException], list[SnapshotRequest]]:
    """Makes the engine answer with a portfolio, or fail; the requests it was given."""

    def answer(result: Portfolio | BaseException) -> list[SnapshotRequest]:
        requests: list[SnapshotRequest] = []

        async def take(request: SnapshotRequest, progress: object = None) -> Picture:
            requests.append(request)
            if isinstance(result, BaseException):
                raise result
            return Picture(result, book(), (), {}, {})

        monkeypatch.setattr("aggregator.engine.snapshot.take", take)
        return requests

    return answer


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_json_alone_on_stdout(engine: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    engine(HEALTHY)
    assert command_line.main(["health", OWNER, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["health"]["equity_usd"] == "13000.000000"
    assert err == ""


def test_the_report_for_people(engine: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    engine(HEALTHY)
    assert command_line.main(["health", OWNER]) == 0
    out, err = capsys.readouterr()
    assert "$13,000.00" in out and "Ethereum" in out and "\x1b" not in out
    assert err == ""


def test_options_reach_the_engine(engine: Callable[..., list[SnapshotRequest]]) -> None:
    requests = engine(HEALTHY)
    words = ["health", OWNER, "a.eth", "--json", "--rpc", "eth=http://x", "--rpc", "1=http://y", "--chain", "eth", "--block", "eth=5"]
    assert command_line.main([*words, "--discover", "--chains", "other.yaml"]) == 0
    assert requests == [
        SnapshotRequest((OWNER, "a.eth"), Path("other.yaml"), ("eth=http://x", "1=http://y"), ("eth",), ("eth=5",), True),
    ]


def test_partial_data_is_success(engine: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    engine(portfolio([account(supplied(WETH, 10), borrowed(USDC, 9000))], unreachable=[ARBITRUM]))
    assert command_line.main(["health", OWNER, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["health"]["equity_usd"] is None and made["coverage"]["missing"][0]["chain"] == ARBITRUM


@pytest.mark.parametrize("json_wanted", [True, False])
def test_nothing_read_at_all_is_too_incomplete(
    json_wanted: bool, engine: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    engine(portfolio(unreachable=[ETHEREUM, ARBITRUM]))
    assert command_line.main(["health", OWNER, *(["--json"] if json_wanted else [])]) == 3
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "no chain could be read" in err and "refused" in err
    if json_wanted:
        assert json.loads(out)["health"]["equity_usd"] is None
    else:
        assert out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("bad owner"), 2),
        (IncompleteError("too little"), 3),
        (EndpointUnreachable("refused"), 3),
        (ValueError("two\nlines \x1b[31m"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_failure_is_one_line_and_its_own_code(
    error: BaseException, code: int, engine: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    engine(error)
    assert command_line.main(["health", OWNER, "--json"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("crossmargin: ") and err.count("\n") == 1
    assert "Traceback" not in err and "\x1b" not in err


BAD = [
    [],
    ["--nonsense"],
    [OWNER, "--nonsense"],
    [OWNER, "--rpc"],
    ["0x1234"],
    ["not an owner"],
    [OWNER[:-1] + "g"],
    ["0xABababababababababababababababababababab"],
    [OWNER, "--chain", "atlantis"],
    [OWNER, "--chain", "999999999"],
    [OWNER, "--rpc", "http://127.0.0.1:1"],
    [OWNER, "--rpc", "eth=ftp://x"],
    [OWNER, "--rpc", "atlantis=http://x"],
    [OWNER, "--block", "eth"],
    [OWNER, "--block", "eth=minus"],
    [OWNER, "--chain", "eth", "--block", "base=5"],
    [OWNER, "--chains", "/nowhere/chains.yaml"],
]


@pytest.mark.parametrize("words", BAD, ids=lambda words: " ".join(words) or "nothing")
def test_bad_input_is_one_clear_line_and_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["health", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("crossmargin: ") and err.count("\n") == 1 and len(err) > 30


@pytest.mark.parametrize(
    ("text", "named"),
    [("chains: [", "broken.yaml"), ("eip155:1: 5", "broken.yaml"), ("", "broken.yaml"), ("{chains: {eip155:1: {name: 1}}}", "broken.yaml")],
)
def test_an_unreadable_chains_file_is_named(text: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / named
    path.write_text(text)
    assert command_line.main(["health", OWNER, "--chains", str(path)]) == 2
    err = capsys.readouterr().err
    assert named in err and err.count("\n") == 1


def test_an_unknown_command_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["helth"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in command_line.COMMANDS)


GROUPED = {"contagion": ("curve", "simulate", "rank", "replay", "record")}
"""commands that only have others below them"""
ALONE = [(name,) for name in sorted(command_line.COMMANDS) if name not in GROUPED]
BELOW = [(name, one) for name, below in GROUPED.items() for one in below]


@pytest.mark.parametrize("words", [*ALONE, *BELOW], ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.main([*words, "--help"])
    assert stop.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_a_refusing_endpoint_ends_with_code_3(closed_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["health", OWNER, "--chain", "eth", "--rpc", f"eth=http://127.0.0.1:{closed_port}", "--json"]
    assert command_line.main(words) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["snapshots"][0]["status"] == "unreachable"
    assert err.count("\n") == 1


def test_help_starts_quickly_and_imports_nothing_heavy() -> None:
    script = "\n".join(
        (
            "import sys",
            "from aggregator.cli.main import main",
            "try:",
            "    main(['--help'])",
            "except SystemExit:",
            "    print(sorted(sys.modules), file=sys.stderr)",
        )
    )
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    took = time.perf_counter() - begin
    for heavy in ("numpy", "pydantic", "web3", "aiohttp", "rich", "sqlmodel", "yaml", "asyncio"):
        assert f"'{heavy}'" not in done.stderr, heavy
    assert took < 3.0  # 0.03 s on an idle machine; the list of modules is what keeps it there


def test_ctrl_c_leaves_at_once_with_130(tmp_path: Path) -> None:
    """A server that accepts and never answers; the command is interrupted while it waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        words = ["-m", "aggregator.cli.main", "health", OWNER, "--chain", "eth", "--rpc", f"eth={url}", "--json"]
        with subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        ) as process:
            try:
                server.settimeout(30)
                connection, _ = server.accept()
                with connection:
                    process.send_signal(signal.SIGINT)
                    out, err = process.communicate(timeout=20)
            finally:
                process.kill()
    assert process.returncode == 130
    assert out == "" and err == "crossmargin: interrupted\n"


def test_a_closed_pipe_is_no_error() -> None:
    process = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m aggregator.cli.main adapters --json | head -c 1; exit ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
        check=False,
    )
    assert process.returncode == 0 and "Traceback" not in process.stderr


def test_progress_says_what_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    display = ProgressDisplay()
    assert display.report is None  # no terminal under test
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    async def work() -> None:
        report = display.report
        assert report is not None
        report(ChainId("eip155:1"), "done")
        report(ChainId("eip155:10"), "head")

    import asyncio

    with display:
        asyncio.run(work())
    assert display.line() == "1 of 2 chains read · eip155:10: head"


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch, engine: Callable[..., object]) -> None:
    monkeypatch.setitem(os.environ, "CROSSMARGIN_DEBUG", "1")
    engine(RuntimeError("deep"))
    with pytest.raises(RuntimeError, match="deep"):
        command_line.main(["health", OWNER])


def test_a_reader_who_leaves_is_no_fault() -> None:
    """`crossmargin adapters | head -1` ends with 0, whatever was still to be written."""
    words = [sys.executable, "-m", "aggregator.cli.main", "adapters"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")
