"""`crossmargin contagion replay` as a user runs it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from aggregator.cli.main import main
from tests.engine.test_replay_laws import RECORDED, recorded
from tests.publish.alerts.histories import CHAIN

Captured = pytest.CaptureFixture[str]


def row(hour: int, supply: float | None, borrow: float | None) -> dict[str, object]:
    moment = f"2026-01-{5 + hour // 24:02d}T{hour % 24:02d}:00:00Z"
    names = {"protocol": "morpho-blue", "chain": CHAIN, "market": "0xaa", "collateral": "a\x1bUSD\u202e", "loan": "USDC"}
    return {"t": moment, "kind": "market", **names, "supply_usd": supply, "borrow_usd": borrow}


@pytest.fixture
def run_on_a_market(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    rows = [row(hour, 10e6 if hour < 30 else 5e6, 5e6 if hour < 30 else 4e6) for hour in range(40)]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def test_alerts_on_stdout_and_the_report_on_stderr(run_on_a_market: Path, capsys: Captured) -> None:
    assert main(["contagion", "replay", str(run_on_a_market)]) == 0
    out, err = capsys.readouterr()
    alerts = [json.loads(line) for line in out.splitlines()]
    assert [(one["rule"], one["state"], one["t"]) for one in alerts] == [("market-outflow", "opened", "2026-01-06T06:00:00Z")]
    needed = {"t", "severity", "rule", "subject", "path", "evidence", "clears_when", "episode", "state"}
    assert needed <= set(alerts[0])
    assert "1 incidents" in err and "price-only" not in err and "utilisation-only" in err
    assert "\x1b" not in err and "\u202e" not in err


def test_json_alone(run_on_a_market: Path, tmp_path: Path, capsys: Captured) -> None:
    report = tmp_path / "report.json"
    assert main(["contagion", "replay", str(run_on_a_market), "--json", "--report", str(report)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(json.loads(line) for line in out.splitlines())
    names = [one["name"] for one in json.loads(report.read_text())["records"]]
    assert names == ["crossmargin", "tvl-only", "utilisation-only"]


def test_two_runs_and_standard_input_give_the_same_bytes(run_on_a_market: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    main(["contagion", "replay", str(run_on_a_market), "--json"])
    first = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(run_on_a_market.read_bytes())))
    assert main(["contagion", "replay", "-", "--json"]) == 0
    assert capsys.readouterr().out == first


def test_an_event_that_prices_do_not_tell(run_on_a_market: Path, capsys: Captured) -> None:
    words = [
        "contagion",
        "replay",
        str(run_on_a_market),
        "--event",
        "a\x1bUSD\u202e=2026-01-06T18:00:00Z",
        "--control",
        "2026-01-05/2026-01-05",
    ]
    assert main(words) == 0
    assert "12 h ahead; 0 false of 0 alarms" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--event", "2026-01-06T18:00:00Z"], "expected TOKEN=TIME"),
        (["--event", "a=yesterday"], "RFC 3339"),
        (["--control", "2026-01-05"], "RFC 3339"),
        (["--control", "2026-01-06/2026-01-05"], "ends before it begins"),
        (["--plot", "strip.gif"], ".png or .svg"),
        (["--report", "/nonexistent/folder/report.json"], "No such file"),
    ],
)
def test_bad_options(run_on_a_market: Path, words: list[str], says: str, capsys: Captured) -> None:
    assert main(["contagion", "replay", str(run_on_a_market), *words]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


def test_bad_rows_give_one_line_and_no_alerts(run_on_a_market: Path, capsys: Captured) -> None:
    run_on_a_market.write_text(run_on_a_market.read_text() + '{"t": "2026-01-09T00:00:00Z", "kind": "rumour"}\n')
    assert main(["contagion", "replay", str(run_on_a_market)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"crossmargin: {run_on_a_market}:41: kind: expected one of") and err.count("\n") == 1


def test_too_little_to_say_anything(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "blind.jsonl"
    path.write_text("".join(json.dumps(row(hour, None, None)) + "\n" for hour in range(5)))
    assert main(["contagion", "replay", str(path)]) == 3
    assert "too little is known" in capsys.readouterr().err.splitlines()[-1]


@recorded
def test_the_strip_over_time(tmp_path: Path, capsys: Captured) -> None:
    for name in ("strip.png", "strip.svg"):
        path = tmp_path / name
        assert main(["contagion", "replay", str(RECORDED), "--plot", str(path), "--json"]) == 0
        assert path.stat().st_size > 10_000
    assert "xUSD" in capsys.readouterr().out


def test_help_names_the_subcommands(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["contagion", "--help"])
    assert "replay" in capsys.readouterr().out
