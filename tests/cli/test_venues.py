"""Trading venues on the command line: options, the table for people, and the list of what is supported."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from aggregator.cli import main as command_line
from aggregator.cli.venue_report import venue_section
from aggregator.engine.schema import VenueAccountDocument
from aggregator.engine.snapshot import Picture, SnapshotRequest
from aggregator.engine.venue_document import venue_account_document
from aggregator.engine.venues import venue_work
from aggregator.model.errors import InputError
from aggregator.reading.venue_kit import read_venue
from aggregator.reading.venue_manifest import venue
from tests.adapters import test_derive, test_dydx_v4
from tests.adapters.hyperliquid_venue import USER, Account, hyperliquid
from tests.adapters.test_hyperliquid import FLX, MAIN, SPOT
from tests.builders import OWNER, book, portfolio


def test_options_reach_the_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    requests: list[SnapshotRequest] = []

    async def take(request: SnapshotRequest, progress: object = None) -> Picture:
        requests.append(request)
        return Picture(portfolio(), book(), (), {}, {})

    monkeypatch.setattr("aggregator.engine.snapshot.take", take)
    words = ["health", OWNER, "--json", "--venues", "--venue", "derive=http://x", "--venue-account", "derive=1"]
    assert command_line.main([*words, "--venue-account", "dydx-v4=dydx1x", "--record", "made"]) == 0
    assert json.loads(capsys.readouterr().out)["venue_accounts"] == []
    assert requests == [
        SnapshotRequest(
            (OWNER,),
            venues=True,
            venue_urls=("derive=http://x",),
            venue_accounts=("derive=1", "dydx-v4=dydx1x"),
            record=Path("made"),
        )
    ]


async def accounts() -> list[VenueAccountDocument]:
    found = [
        await read_venue(venue("hyperliquid"), hyperliquid(Account({"": MAIN, "flx": FLX}, {"balances": SPOT})), USER),
        await read_venue(venue("dydx-v4"), test_dydx_v4.script(test_dydx_v4.CROSS, test_dydx_v4.CHILD), test_dydx_v4.OWNER),
        await read_venue(venue("derive"), test_derive.script(test_derive.STANDARD, test_derive.PORTFOLIO), test_derive.WALLET),
    ]
    return [venue_account_document(one) for holdings in found for one in holdings.venue_accounts]


@pytest.mark.parametrize("width", [50, 70, 100, 160])
async def test_the_table_for_people(width: int) -> None:
    shown = io.StringIO()
    section = venue_section(await accounts(), width < 76)
    assert section is not None
    Console(file=shown, width=width, highlight=False, markup=False).print(section)
    lines = shown.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    # the thinnest first: 420 of 500
    first = next(line for line in lines if line.startswith(("dydx-v4", "derive", "hyperliqu")))
    assert first.startswith("dydx-v4") and "$500.00" in first and "$420.00" in first
    if width >= 100:
        assert "$9,000.00" in shown.getvalue() and "ETH −28.4 %" in shown.getvalue()


async def test_what_can_be_liquidated_comes_first_and_many_are_counted() -> None:
    below = test_dydx_v4.subaccount(0, "400", "-300", "-13600", test_dydx_v4.position("SOL-USD", "LONG", "100", "150", "-1000"))
    found = await read_venue(venue("dydx-v4"), test_dydx_v4.script(below), test_dydx_v4.OWNER)
    shown = io.StringIO()
    section = venue_section([*await accounts(), *await accounts(), venue_account_document(found.venue_accounts[0])], False)
    assert section is not None
    Console(file=shown, width=140).print(section)
    lines = shown.getvalue().splitlines()
    assert "can be liquidated now" in lines[1] and "more" in lines[-1]
    assert venue_section([], True) is None


def test_what_is_supported(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["adapters", "--json"]) == 0
    listed = {one["slug"]: one for one in json.loads(capsys.readouterr().out)["venues"]}
    assert sorted(listed) == ["derive", "dydx-v4", "hyperliquid"]
    assert listed["hyperliquid"]["limits"]["weight"] == 1_200
    assert command_line.main(["adapters"]) == 0
    assert "a dydx1… address" in capsys.readouterr().out


def test_a_recording_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no venue is asked"):
        venue_work((), False, (), Path("made"))
