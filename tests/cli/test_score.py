"""`crossmargin score backtest`: its record in JSON and as a table, plots, and what it says to files it cannot use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.cli.main import main
from tests.risk.score_backtest.histories import FIRST, closes

HOUR = 3_600
MODELS = ["crossmargin", "crossmargin-daily", "health-factor", "ewma-barrier", "ewma-isotonic", "fhs"]
FIGURES = {
    "accounts",
    "observed",
    "expected",
    "reference_rate",
    "brier",
    "brier_skill",
    "brier_skill_interval",
    "observed_over_expected",
    "observed_over_expected_interval",
    "calibration_error",
    "calibration_error_interval",
}
BANDS = ["1.01-1.05", "1.05-1.10", "1.10-1.20", "1.20-2.00"]


def hourly_file(folder: Path, days: int = 120, symbols: tuple[str, ...] = ("BTC", "FOO"), step: int = HOUR) -> Path:
    prices = closes(days, len(symbols), seed=2, sigma=0.014)[:: step // HOUR]
    lines = ["symbol,timestamp,close,low,high,volume"]
    for column, symbol in enumerate(symbols):
        lines += [f"{symbol},{FIRST + step * row},{price:.8g},{0.99 * price:.8g},," for row, price in enumerate(prices[:, column].tolist())]
    path = folder / "hourly.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["score", *words])
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return code, captured.err


def test_the_record_has_every_horizon_model_band_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "backtest", "--history", str(hourly_file(tmp_path)), "--accounts", "3", "--json"]) == 0
    captured = capsys.readouterr()
    found: dict[str, Any] = json.loads(captured.out)
    assert captured.err == "" and found["schema"] == "crossmargin/score-backtest/1"
    assert found["outlook_version"] == "outlook/1" and found["score_version"] == "score/1"
    history = found["history"]
    assert history["symbols"] == ["BTC", "FOO"] and history["own_split"] is True and history["pegged"] == []
    assert history["first"] < history["split"] < history["test_begins"] < history["last"]
    assert list(found["horizons"]) == ["1h", "1d", "7d"]
    for horizon in found["horizons"].values():
        assert list(horizon["models"]) == MODELS
        assert horizon["comparison"]["rival"] in ("ewma-isotonic", "fhs")
        for model in horizon["models"].values():
            assert set(model["overall"]) == FIGURES and list(model["bands"]) == BANDS and len(model["risk_fifths"]) == 5
            assert len(model["worst_days"]["days"]) <= 10
            observed = [day["observed"] for day in model["worst_days"]["days"]]
            assert observed == sorted(observed, reverse=True)
            assert 0 <= model["overall"]["calibration_error"] <= 1
    week = found["horizons"]["7d"]["models"]["crossmargin"]["overall"]
    low, high = week["brier_skill_interval"]
    assert week["observed"] > 20 and low <= week["brier_skill"] <= high


def test_the_table_and_the_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from aggregator.cli.common import console
    from aggregator.cli.score_report import print_score_backtest
    from aggregator.engine.history_file import read_history
    from aggregator.engine.score_backtest import score_backtest

    path = hourly_file(tmp_path, 110, ("FOO",))
    assert main(["score", "backtest", "--history", str(path), "--accounts", "2", "--plot", str(tmp_path / "plots")]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in (*MODELS, *BANDS, "within 1 hour", "within 7 days", "trained before"))
    written = sorted(plot.name for plot in (tmp_path / "plots").iterdir())
    assert written == ["reliability-1d.png", "reliability-1h.png", "reliability-7d.png"]
    assert all(plot.stat().st_size > 10_000 for plot in (tmp_path / "plots").iterdir())
    record = score_backtest(read_history(path), 2)
    for width in (60, 100):
        print_score_backtest(record, "x" * 300, console(width))
        assert max(map(len, capsys.readouterr().out.splitlines())) <= width


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "score backtest --history FILE"),
        (("backtest",), "needs --history"),
        (("forwards", "--history", "x.csv"), "score backtest"),
        (("backtest", "--history", "nowhere.csv"), "no such file"),
        (("backtest", "--history", "x.csv", "--accounts", "0"), "--accounts: 0 is not between 1 and 1000"),
        (("backtest", "--history", "x.csv", "--seed", "-4"), "--seed"),
    ],
)
def test_a_wrong_command_is_one_line(words: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, *words)
    assert code == 2 and part in said


def test_bars_of_a_day_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "backtest", "--history", str(hourly_file(tmp_path, 200, step=24 * HOUR)))
    assert code == 2 and "needs hourly bars" in said and "24 hours long" in said


@pytest.mark.parametrize("days", [1, 20, 60])
def test_a_short_file_is_said_to_be_too_short(days: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "backtest", "--history", str(hourly_file(tmp_path, days)))
    assert code == 3 and f"{days} days of history" in said and "about 150 days" in said


def test_a_single_row_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.csv"
    path.write_text("symbol,timestamp,close\nETH,2024-01-01T00:00:00Z,2000\n", encoding="utf-8")
    code, said = refused(capsys, "backtest", "--history", str(path))
    assert code == 2 and "one row a symbol" in said


def test_holes_and_dollars_do_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = hourly_file(tmp_path, 115, ("FOO",))
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for number, line in enumerate(lines) if number % 40 or number == 0]
    del kept[1500:1560]
    kept += [f"USDC,{FIRST + HOUR * row},{1 + 0.001 * np.sin(row):.6f},,," for row in range(24 * 115)]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert main(["score", "backtest", "--history", str(path), "--accounts", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["history"]["pegged"] == ["USDC"] and found["history"]["filled_hours"] > 60
    assert found["horizons"]["1d"]["accounts"] > 50
