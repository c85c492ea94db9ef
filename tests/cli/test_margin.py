"""crossmargin margin: exit codes, one line of error, every method in one table and one document, isolated against cross."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from aggregator.cli import main as command_line
from aggregator.cli.margin_report import print_margin
from aggregator.engine.margin_schema import MarginDocument
from aggregator.risk.margin.registry import models

HEAD = """\
schema: crossmargin/portfolio/1
as_of: 2026-01-01T00:00:00Z
cash: 20000
markets:
  ETH: {spot: 2600, perpetual: 2601, volatility: 0.6, expiries: [{expiry: 2026-02-01T08:00:00Z, price: 2612}]}
  BTC: {spot: 60000, volatility: 0.5, perpetual: 60010}
positions:
"""
CALL = "  - {kind: call, underlying: ETH, size: -10, strike: 2800, expiry: 2026-02-01T08:00:00Z}\n"
PUT = "  - {kind: put, underlying: ETH, size: 5, strike: 2400, expiry: 2026-02-01T08:00:00Z}\n"
PERPETUALS = """\
  - {kind: perpetual, underlying: BTC, size: 0.5, entry_price: 59000}
  - {kind: perpetual, underlying: ETH, size: 3, unrealised: 0}
"""
MIXED = HEAD + CALL + PUT + PERPETUALS
UNPRICED = "  - {kind: perpetual, underlying: DOGE, size: 3}\n"


def run(folder: Path, text: str, *options: str) -> int:
    path = folder / "book.yaml"
    path.write_text(text, encoding="utf-8")
    return command_line.main(["margin", "--portfolio", str(path), *options])


def document(folder: Path, text: str, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert run(folder, text, "--json", *options) == 0
    output = capsys.readouterr()
    assert output.err == ""
    found: dict[str, Any] = json.loads(output.out)
    return found


def test_every_method_has_a_row_or_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(tmp_path, MIXED, capsys)
    assert [one["method"] for one in found["methods"]] == list(models())
    for one in found["methods"]:
        assert (one["initial"] is None) == (one["reason"] is not None)
        if one["initial"] is not None:
            assert float(one["initial"]["requirement_usd"]) >= float(one["maintenance"]["requirement_usd"]) >= 0
            parts = sum(float(part["usd"]) for part in one["initial"]["attribution"])
            assert parts == pytest.approx(float(one["initial"]["requirement_usd"]), abs=1e-3)
    assert not re.search(r"\bnan\b|\binf(inity)?\b", json.dumps(found), re.IGNORECASE)


def test_the_unified_row_and_isolated_against_cross(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(tmp_path, MIXED, capsys, "--method", "unified")
    row = found["methods"][0]
    assert float(row["initial"]["isolated_usd"]) > float(row["initial"]["requirement_usd"]) > 0
    assert float(row["initial"]["netted_usd"]) > 0
    assert row["initial"]["worst_scenario"]
    compared = found["isolated_versus_cross"]
    assert compared["of_covered"] is False
    assert {one["underlying"] for one in compared["delta"]} == {"BTC", "ETH"}
    assert [one["underlying"] for one in compared["vega"]] == ["ETH"]
    for one in (*compared["delta"], *compared["vega"], compared["initial"], compared["maintenance"]):
        assert float(one["isolated_usd"]) >= float(one["cross_usd"])
    assert compared["initial"]["cross_usd"] == row["initial"]["requirement_usd"]
    trigger = compared["liquidation_trigger"]
    assert trigger["isolated"]["position"] == "ETH 2026-02-01 2800 call"
    assert abs(float(trigger["cross"]["move"])) > abs(float(trigger["isolated"]["move"]))
    contagion = compared["contagion"]
    assert contagion["isolated"]["positions_closed"] == 1 and contagion["cross"]["positions_closed"] == 4
    assert float(contagion["cross"]["dragged_equity_usd"]) > float(contagion["isolated"]["dragged_equity_usd"]) == 0


def test_correlations_in_the_file_reach_the_unified_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = "correlations: {names: [BTC, ETH], matrix: [[1, -1], [-1, 1]]}\n"
    one, other = (document(tmp_path, text, capsys, "--method", "unified") for text in (MIXED, given + MIXED))

    def losses(found: dict[str, Any]) -> dict[str, str]:
        return {one["name"]: one["pnl_usd"] for one in found["methods"][0]["initial"]["scenarios"]}

    changed = {name for name, loss in losses(one).items() if losses(other)[name] != loss}
    assert changed
    assert all(name.startswith("expected shortfall") for name in changed)


def test_what_is_missing_withholds_figures_and_shows_those_of_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(tmp_path, MIXED + UNPRICED, capsys)
    assert found["coverage"] == {
        "complete": False,
        "missing": [{"what": "positions.4 DOGE perpetual", "why": "spot price of DOGE is missing"}],
    }
    assert found["book"]["positions"] == 5 and found["book"]["covered"] == 4
    unified = next(one for one in found["methods"] if one["method"] == "unified")
    assert unified["initial"] is None and "DOGE" in unified["reason"]
    assert float(unified["initial_of_covered"]["requirement_usd"]) > 0
    assert found["isolated_versus_cross"]["of_covered"] is True


def test_nothing_to_cover_is_too_incomplete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, HEAD + UNPRICED, "--json") == 3
    output = capsys.readouterr()
    assert json.loads(output.out)["isolated_versus_cross"] is None
    assert output.err.count("\n") == 1 and "spot price of DOGE is missing" in output.err


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (HEAD + CALL.replace("-10", ".nan"), (), "finite number"),
        (HEAD + CALL.replace("-10", "1, fee: 2"), (), "field not permitted"),
        (HEAD + CALL.replace("2026-02", "2025-02"), (), "expired"),
        (HEAD + "  - {kind: spot, underlying: ETH, size: -1}\n", (), "greater than or equal to 0"),
        (MIXED, ("--method", "span", "nosuch"), "no margin method 'nosuch'"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, options: tuple[str, ...], message: str
) -> None:
    assert run(tmp_path, text, *options) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1 and message in output.err


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples" / "portfolios").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_portfolios_are_complete(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["margin", "--portfolio", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["coverage"]["complete"] is True
    assert next(one for one in found["methods"] if one["method"] == "unified")["initial"] is not None
    assert found["isolated_versus_cross"]["equity_usd"] is not None


def test_owners_or_a_file_but_not_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["margin"]) == 2
    assert run(tmp_path, MIXED, "0x" + "1" * 40) == 2
    assert capsys.readouterr().err.count("expected either owners or --portfolio FILE") == 2


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_report_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str], width: int) -> None:
    found = MarginDocument.model_validate(document(tmp_path, MIXED + UNPRICED, capsys), strict=False)
    output = io.StringIO()
    print_margin(found, Console(file=output, width=width, no_color=True))
    text = output.getvalue()
    assert max(cell_len(line) for line in text.splitlines()) <= width
    for word in ("unified", "isolated versus cross", "liquidated at", "equity dragged", "DOGE"):
        assert word in text or width == 60


def test_ten_thousand_positions_are_a_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How long it takes is for the benchmark to say."""
    lines = [
        f"  - {{kind: {kind}, underlying: ETH, size: {n % 7 - 3.5}, strike: {1500 + 10 * (n % 250)}, expiry: 2026-02-01T08:00:00Z}}\n"
        for n in range(5_000)
        for kind in ("call", "put")
    ]
    found = document(tmp_path, HEAD + "".join(lines), capsys, "--method", "unified", "isolated", "greeks")
    assert found["book"]["covered"] == 10_000
    assert all(one["initial"] is not None for one in found["methods"])
