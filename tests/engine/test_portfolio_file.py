"""Portfolio files: what is wrong is refused in one line, what is missing stands in the coverage, what is doubtful in a warning."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from aggregator.engine.margin_input import MarginInput
from aggregator.engine.portfolio_file import read_portfolio_file
from aggregator.model.errors import ConfigurationError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = """\
schema: crossmargin/portfolio/1
as_of: 2026-01-01T00:00:00Z
cash: 20000
markets:
  ETH: {spot: 2600, volatility: 0.6}
"""
CALL = "{kind: call, underlying: ETH, size: -10, strike: 2800, expiry: 2026-02-01T08:00:00Z}"


def written(folder: Path, *positions: str, head: str = HEAD) -> Path:
    path = folder / "book.yaml"
    body = "positions:\n" + "".join(f"  - {one}\n" for one in positions) if positions else ""
    path.write_text(head + body, encoding="utf-8")
    return path


def read(folder: Path, *positions: str, head: str = HEAD) -> MarginInput:
    return read_portfolio_file(written(folder, *positions, head=head), NOW)


@pytest.mark.parametrize(
    ("positions", "head", "message"),
    [
        ((CALL.replace("}", ", foo: 1}"),), HEAD, r"book\.yaml:7: positions\.0\.call\.foo: field not permitted"),
        ((CALL,), HEAD + "fees: 1\n", r"book\.yaml:6: fees: field not permitted"),
        (("{kind: spot, underlying: ETH, size: -1}",), HEAD, r"positions\.0\.spot\.size: .*greater than or equal to 0"),
        ((CALL.replace("2800", "-2800"),), HEAD, r"positions\.0\.call\.strike: "),
        ((CALL.replace("2026-02-01", "2025-02-01"),), HEAD, r"positions\.0\.expiry: expired: 2025-02-01T08:00:00Z is not after"),
        ((CALL.replace("2026-02-01T08", "2026-01-01T00"),), HEAD, r"expired: 2026-01-01T00:00:00Z is not after"),
        ((CALL.replace("-10", ".nan"),), HEAD, r"positions\.0\.call\.size: .*finite number, got nan"),
        ((CALL.replace("-10", '"NaN"'),), HEAD, r"finite number"),
        ((CALL.replace("-10", "-.inf"),), HEAD, r"finite number"),
        ((CALL.replace("-10", "1e400"),), HEAD, r"less than or equal to"),
        ((CALL,), HEAD.replace("2600", ".inf"), r"book\.yaml:5: markets\.ETH\.spot: .*finite number"),
        ((CALL,), HEAD.replace("2600", "0"), r"markets\.ETH\.spot: "),
        ((CALL,), HEAD.replace("2600", "1e-300"), r"markets\.ETH\.spot: "),
        ((CALL,), HEAD.replace("0.6", "-0.6"), r"markets\.ETH\.volatility: "),
        ((CALL,), HEAD.replace("20000", ".nan"), r"cash: .*finite number"),
        ((CALL.replace("call", "swap"),), HEAD, r"positions\.0: "),
        (("{kind: call, underlying: ETH, size: 1, strike: 2000}",), HEAD, r"positions\.0\.call\.expiry: required"),
        ((CALL.replace("}", ", size: 3}"),), HEAD, r"size: stands twice"),
        ((CALL,), HEAD + "  ETH: {spot: 2500}\n", r"ETH: stands twice"),
        (
            (CALL,),
            HEAD.replace("0.6}", "0.6, expiries: [{expiry: 2026-02-01T08:00:00Z}, {expiry: 2026-02-01T08:00:00Z}]}"),
            r"stands twice, first in 0",
        ),
        (
            (CALL.replace("}", ", volatility: 0.5}"), CALL.replace("}", ", volatility: 0.9}")),
            HEAD,
            r"positions\.1\.volatility: 0\.9, but positions\.0 says 0\.5",
        ),
        (
            tuple(f"{{kind: spot, underlying: ETH, symbol: weETH, size: 1, price: {price}}}" for price in (2700, 2900)),
            HEAD,
            r"positions\.1\.price: 2900, but positions\.0 says 2700",
        ),
        ((CALL,), HEAD + "correlations: {names: [ETH, BTC], matrix: [[1, 0.9], [0.8, 1]]}\n", r"symmetric"),
        ((CALL,), HEAD + "correlations: {names: [ETH, BTC], matrix: [[1, 1.9], [1.9, 1]]}\n", r"less than or equal to 1"),
        ((CALL,), HEAD + "correlations: {names: [ETH, ETH], matrix: [[1, 0.9], [0.9, 1]]}\n", r"stands twice"),
        ((CALL,), HEAD.replace("portfolio/1", "portfolio/9"), r"schema: "),
        ((), "", r"the file is empty"),
        ((), "{{{", r"not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, positions: tuple[str, ...], head: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(tmp_path, *positions, head=head)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("position", "head", "why"),
    [
        (CALL.replace("ETH", "SOL"), HEAD, "spot price of SOL is missing"),
        (CALL, HEAD.replace(", volatility: 0.6", ""), "volatility of ETH 2026-02-01 2800 call is missing"),
        ("{kind: spot, underlying: ETH, symbol: weETH, size: 1}", HEAD, "price of weETH is missing"),
        ("{kind: perpetual, underlying: SOL, size: 1}", HEAD, "spot price of SOL is missing"),
    ],
)
def test_what_is_missing_stands_in_the_coverage(tmp_path: Path, position: str, head: str, why: str) -> None:
    found = read(tmp_path, "{kind: spot, underlying: ETH, size: 2}", position, head=head)
    assert len(found.book) == 1 and len(found.left_out) == 1
    assert [one.why for one in found.missing] == [why]
    assert found.missing[0].what.startswith("positions.1 ")


def codes(found: MarginInput) -> set[str]:
    return {one.code for one in found.warnings}


def test_what_may_be_a_slip_is_warned_of(tmp_path: Path) -> None:
    assert codes(read(tmp_path, CALL, CALL)) == {"duplicate-position", "forward-assumed"}
    assert len(read(tmp_path, CALL, CALL).book) == 2
    marks = [f"{{kind: future, underlying: ETH, size: 1, expiry: 2026-02-01T08:00:00Z, mark_price: {price}}}" for price in (2610, 2650)]
    found = read(tmp_path, *marks)
    assert codes(found) == {"marks-differ"}
    assert next(iter(found.market.forwards.values())).price == 2610
    assert "mark-implausible" in codes(read(tmp_path, CALL.replace("}", ", mark_price: 9000}")))
    assert codes(read(tmp_path, "{kind: perpetual, underlying: ETH, size: 1}")) == {"mark-assumed"}


def test_correlations_that_cannot_hold_are_repaired_and_said(tmp_path: Path) -> None:
    head = HEAD + "correlations: {names: [ETH, BTC, SOL], matrix: [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]}\n"
    found = read(tmp_path, CALL, head=head)
    assert "correlation-repaired" in codes(found)
    assert found.correlation is not None
    assert np.linalg.eigvalsh(found.correlation.matrix)[0] >= -1e-12
    assert np.diag(found.correlation.matrix) == pytest.approx(np.ones(3))
    sound = read(tmp_path, CALL, head=HEAD + "correlations: {names: [ETH, BTC], matrix: [[1, 0.9], [0.9, 1]]}\n")
    assert "correlation-repaired" not in codes(sound)


def test_a_volatility_is_the_most_particular_one(tmp_path: Path) -> None:
    """Stated by a position, behind its mark, of the expiry, of the market: in this order, whichever position says it."""
    expiry = HEAD.replace("0.6}", "0.6, expiries: [{expiry: 2026-02-01T08:00:00Z, price: 2620, volatility: 0.7}]}")

    def volatility(*positions: str, head: str = HEAD) -> float:
        return next(iter(read(tmp_path, *positions, head=head).market.volatilities.values())).value

    assert volatility(CALL) == 0.6
    assert volatility(CALL, head=expiry) == 0.7
    marked = CALL.replace("}", ", mark_price: 150}")
    assert volatility(marked) == pytest.approx(volatility(CALL, marked))
    assert volatility(marked) not in (0.6, 0.7)
    assert volatility(marked, CALL.replace("}", ", volatility: 0.5}"), head=expiry) == 0.5


def test_every_digit_is_kept_and_times_default_to_now(tmp_path: Path) -> None:
    found = read(
        tmp_path, '{kind: spot, underlying: ETH, size: "1.000000000000000001"}', head=HEAD.replace("as_of: 2026-01-01T00:00:00Z\n", "")
    )
    assert str(found.book.holdings[0].size) == "1.000000000000000001"
    assert found.market.as_of == NOW.timestamp()
    borrowed = read(tmp_path, "{kind: spot, underlying: ETH, size: 3, borrowed: true}")
    assert borrowed.book.holdings[0].size == -3
