"""crossmargin what-if: exit codes, one line of error, a document that reads, a report that fits, plots that are written."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from aggregator.cli import main as command_line
from aggregator.cli.what_if_report import print_what_if
from aggregator.engine.snapshot import Picture, SnapshotRequest
from aggregator.engine.what_if import WhatIfRequest, WhatIfRun, run_what_if
from aggregator.engine.what_if_document import what_if_document
from aggregator.model.identifiers import AccountId, ChainId
from aggregator.model.instrument import Holding, Instrument, InstrumentKind, MarginMode, VenueAccount, VenueBalance, VenueFigures
from aggregator.model.portfolio import Portfolio
from aggregator.risk.action import parse_action
from aggregator.risk.shock import shock_of
from tests.builders import (
    ARBITRUM,
    ETHEREUM,
    OWNER,
    SPAM,
    USDC,
    WBTC,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    concentrated,
    leg,
    on,
    portfolio,
    price,
    supplied,
    walk,
    wallet,
)
from tests.risk.strategies import QUICK, portfolios
from tests.risk.venue_accounts import at_venues, cash, perp
from tests.risk.venue_accounts import venue as venue_account

NAMES = {ETHEREUM: "Ethereum", ARBITRUM: "Arbitrum One"}
HISTORY = (walk("ETH", 0.03, 90),)
VENUE = VenueAccount(
    "hyperliquid",
    OWNER,
    AccountId(ETHEREUM, OWNER),
    MarginMode.CROSS,
    (VenueBalance("USDC", Decimal(9000), Decimal(1)),),
    (Holding(Instrument(InstrumentKind.PERPETUAL, "ETH"), Decimal(10), Decimal(2000), Decimal(1900), Decimal(1000)),),
    1_700_000_000_000,
    VenueFigures(equity=Decimal(10_000), maintenance_margin=Decimal(500), liquidatable=False),
)
RICH = portfolio(
    [
        account(supplied(WETH, 10), borrowed(USDC, 11_200)),
        account(supplied(WSTETH, 5, "0.93"), borrowed(WETH, 4.8), market="prime"),
        account(supplied(on(ARBITRUM, WBTC), 1, usd="60000"), borrowed(on(ARBITRUM, USDC), 41_000, usd="1"), chain=ARBITRUM),
        account(supplied(USDC, 10), market="horizon"),
    ],
    [*wallet(leg(WETH, 3), leg(USDC, 50_000)), concentrated(WETH, USDC, 1800, 2200, 2000, 10**16)],
)
STRADDLE = """\
schema: crossmargin/portfolio/1
as_of: 2025-01-02T08:00:00Z
cash: 12000
markets:
  ETH: {spot: 2600, perpetual: 2601.5, volatility: 0.6}
positions:
  - {kind: call, underlying: ETH, expiry: 2025-01-31T08:00:00Z, strike: 2600, size: -5}
  - {kind: perpetual, underlying: ETH, size: 2, entry_price: 2500}
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Portfolio], list[SnapshotRequest]]:
    """Makes the engine answer with a portfolio; the requests it was given."""

    def answer(result: Portfolio) -> list[SnapshotRequest]:
        requests: list[SnapshotRequest] = []

        async def take(request: SnapshotRequest, progress: object = None) -> Picture:
            requests.append(request)
            return Picture(result, book(), HISTORY, {}, {})

        monkeypatch.setattr("aggregator.engine.snapshot.take", take)
        return requests

    return answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "straddle.yaml"
    path.write_text(STRADDLE)
    return path


def ran(one: Portfolio, *shocks: str, actions: tuple[str, ...] = (), health: str | None = None, **more: Any) -> WhatIfRun:
    request = WhatIfRequest(
        shock_of(shocks), tuple(parse_action(text) for text in actions), None if health is None else Fraction(health), **more
    )
    return run_what_if(Picture(one, book(), HISTORY, {}, {}), request, QUICK)


def document(engine: Callable[[Portfolio], object], capsys: pytest.CaptureFixture[str], one: Portfolio, *words: str) -> dict[str, Any]:
    engine(one)
    assert command_line.main(["what-if", OWNER, "--json", *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    made: dict[str, Any] = json.loads(out)
    return made


def test_the_document_of_a_shock(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    made = document(engine, capsys, RICH, "--shock", "ETH=-35%", "--shock", "USDC:rate=+10%", "--restore", "1.2")
    assert made["schema"] == "crossmargin/what-if/1" and made["shocks"] == ["ETH=-35%", "USDC:rate=+10%"]
    first, second, third, free = made["margin_accounts"]
    assert first["before"]["health_factor"] == "1.428571428571428571" and first["after"]["health_factor"] == "0.928571428571428571"
    assert (first["after"]["liquidatable"], first["order"]) == (True, 1) and Decimal(first["breach_at"]) == Decimal("0.857142857143")
    assert Decimal(first["loss"]["owner_usd"]) == Decimal("560") and first["loss"]["pays"] is True
    assert first["restore"]["cheapest"]["actions"] == ["repay:aave-v3@eip155:1:USDC=2533.333334"]
    assert second["after"]["liquidatable"] is False and third["after"] == third["before"] and free["after"]["health_factor"] is None
    before, after = made["before"], made["after"]
    assert after["liquidatable"] == 1 and after["score"] == "0.0" and after["expected_loss_usd"] == first["loss"]["owner_usd"]
    assert Decimal(after["equity_usd"]) < Decimal(before["equity_usd"]) and made["after_actions"] is None
    assert made["coverage"]["complete"] and made["assumptions"]["liquidation_gas_usd"]["eip155:1"] == "15"


def test_before_is_what_health_says(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    engine(RICH)
    assert command_line.main(["health", OWNER, "--json"]) == 0
    health = json.loads(capsys.readouterr().out)
    made = document(engine, capsys, RICH, "--shock", "ETH=+0%")
    for state in (made["before"], made["after"]):
        for name in ("equity_usd", "collateral_usd", "debt_usd", "requirement_usd", "margin_ratio", "score", "liquidation_probability"):
            assert state[name] == health["health"][name], name
    for ours, theirs in zip(made["margin_accounts"], health["margin_accounts"], strict=True):
        for state in (ours["before"], ours["after"]):
            assert state["health_factor"] == theirs["health_factor"]
            assert state["shadow_health_factor"] == theirs["shadow_health_factor"]
            assert (state["collateral_usd"], state["debt_usd"]) == (theirs["collateral_usd"], theirs["debt_usd"])


def test_actions_stand_between_before_and_after(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--action", "repay:aave-v3@eth/core:USDC=5000", "--action", "hedge:ETH=-5", "--shock", "ETH=-35%"]
    made = document(engine, capsys, RICH, *words)
    first = made["margin_accounts"][0]
    assert first["after_actions"]["health_factor"] == "2.580645161290322580" and first["after"]["liquidatable"] is False
    assert [one["action"] for one in made["actions"]] == ["repay:aave-v3@eip155:1/core:USDC=5000", "hedge:ETH=-5"]
    assert made["actions"][0]["from_outside_raw"] == "0" and made["after"]["hedge_profit_usd"] == "3500.000000"
    assert made["after_actions"]["equity_usd"] == made["before"]["equity_usd"]


def test_the_way_back_works_when_it_is_typed_in(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    shock = ["--shock", "ETH=-35%", "--shock", "BTC=-30%"]
    named = document(engine, capsys, RICH, *shock, "--restore", "1.25")
    for number, one in enumerate(named["margin_accounts"]):
        if one["restore"] is not None:
            words = [word for action in one["restore"]["cheapest"]["actions"] for word in ("--action", action)]
            again = document(engine, capsys, RICH, *words, *shock)
            assert Decimal(again["margin_accounts"][number]["after"]["health_factor"]) >= Decimal("1.25")
    assert sum(one["restore"] is not None for one in named["margin_accounts"]) == 3


def test_options_reach_the_engine(engine: Callable[..., Any]) -> None:
    requests = engine(RICH)
    words = ["--rpc", "eth=http://x", "--chain", "eth", "--block", "eth=5", "--discover", "--venues", "--json"]
    assert command_line.main(["what-if", OWNER, "--shock", "ETH=-1%", *words]) == 0
    assert requests == [SnapshotRequest((OWNER,), None, ("eth=http://x",), ("eth",), ("eth=5",), True, venues=True)]


def test_chains_may_be_written_as_people_write_them(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    made = document(engine, capsys, RICH, "--shock", "bridge:arb1=down", "--shock", "oracle:aave-v3@eth=frozen")
    assert made["shocks"] == ["bridge:eip155:42161=down", "oracle:aave-v3@eip155:1=frozen"]


def test_surfaces_are_in_the_document_where_they_are_asked_for(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    made = document(engine, capsys, RICH, "--shock", "ETH=-1%", "--surface", "--axes", "ETH")
    shown = [one["surface"] for one in made["margin_accounts"]]
    assert shown[0]["horizontal"]["name"] == "ETH" and shown[0]["vertical"]["name"] == "USDC"
    assert len(shown[0]["health"]) == len(shown[0]["up"]) and len(shown[0]["health"][0]) == len(shown[0]["across"])
    assert Decimal(shown[0]["distance_days"]) > 0 and shown[0]["nearest"] is not None
    assert shown[2] is None and shown[3] is None, "an account without ETH has no such surface"


def test_a_venue_account_is_judged_too(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    one = replace(RICH, venue_accounts=(VENUE,))
    made = document(engine, capsys, one, "--shock", "ETH=-50%", "--method", "isolated")
    venue = made["venue_accounts"][0]
    assert venue["after"] == {"equity_usd": "0.000000", "maintenance_margin_usd": "250.000000", "liquidatable": True}
    assert (venue["order"], made["margin_accounts"][0]["order"]) == (2, 1)
    assert [row["method"] for row in made["methods"]] == ["isolated"] and made["methods"][0]["after"] is not None


def test_a_portfolio_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["what-if", "--portfolio", str(file), "--shock", "ETH=-30%", "--shock", "ETH:vol=+50%", "--action", "hedge:ETH=1"]
    assert command_line.main([*words, "--json", "--method", "derive-pmrm2", "reg-t"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["schema"] == "crossmargin/what-if-book/1" and made["as_of"] == "2025-01-02T08:00:00Z"
    pmrm, reg_t = made["methods"]
    assert Decimal(pmrm["before"]["equity_usd"]) - Decimal(pmrm["after"]["equity_usd"]) > 900 and reg_t["reason"]
    assert command_line.main(words) == 0
    out = capsys.readouterr().out
    assert "derive-pmrm2" in out and "ETH:vol=+50%" in out and max(map(cell_len, out.splitlines())) <= 100


BAD = [
    [],
    [OWNER],
    ["--shock", "ETH=-30%"],
    [OWNER, "--portfolio", "x.yaml", "--shock", "ETH=-30%"],
    [OWNER, "--shock", "ETH"],
    [OWNER, "--shock", "ETH=-30"],
    [OWNER, "--shock", "ETH=nan%"],
    [OWNER, "--shock", "EHT=-30%"],
    [OWNER, "--shock", "bridge:atlantis=down"],
    [OWNER, "--shock", "oracle:aave-v3@atlantis=frozen"],
    [OWNER, "--action", "sell:ETH=1"],
    [OWNER, "--action", "repay:aave-v3:LINK=1"],
    [OWNER, "--action", "move:USDC:eth/atlantis=1"],
    [OWNER, "--restore", "healthy"],
    [OWNER, "--restore", "-1"],
    [OWNER, "--restore", "0.5"],
    [OWNER, "--restore", "nan"],
    [OWNER, "--shock", "ETH=-1%", "--method", "alchemy"],
    [OWNER, "--shock", "ETH=-1%", "--axes", "ETH", "USDC", "BTC"],
    [OWNER, "--shock", "ETH=-1%", "--surface", "--axes", "GOLD"],
    [OWNER, "--shock", "ETH=-1%", "--plot", "/dev/null/nowhere"],
    ["--portfolio", "/nowhere.yaml", "--shock", "ETH=-1%"],
    ["--portfolio", "FILE", "--shock", "ETH=-1%", "--restore", "1.2"],
    ["--portfolio", "FILE", "--shock", "ETH=-1%", "--surface"],
    ["--portfolio", "FILE", "--shock", "USDC:rate=+1%"],
    ["--portfolio", "FILE", "--shock", "bridge:eip155:1=down"],
    ["--portfolio", "FILE", "--action", "repay:aave-v3:USDC=1"],
    ["--portfolio", "FILE", "--shock", "EHT=-1%"],
]


@pytest.mark.parametrize("words", BAD, ids=lambda words: " ".join(words) or "nothing")
def test_bad_input_is_one_clear_line_and_code_2(
    words: list[str], engine: Callable[..., Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(RICH)
    assert command_line.main(["what-if", *(str(file) if word == "FILE" else word for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("crossmargin: ") and err.count("\n") == 1 and len(err) > 40


def test_nothing_read_at_all_is_too_incomplete(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    engine(portfolio(unreachable=[ETHEREUM, ARBITRUM]))
    assert command_line.main(["what-if", OWNER, "--shock", "ETH=-30%", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["after"]["equity_usd"] is None and "no chain could be read" in err


def test_partial_data_withholds_and_judges_what_was_read(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    one = portfolio([account(supplied(WETH, 10), borrowed(USDC, 11_200))], unreachable=[ARBITRUM])
    made = document(engine, capsys, one, "--shock", "ETH=-35%")
    assert made["after"]["equity_usd"] is None and made["after"]["score"] is None and not made["coverage"]["complete"]
    assert made["margin_accounts"][0]["after"]["liquidatable"] is True
    assert {"score-withheld", "chain-unreachable"} <= {one["code"] for one in made["warnings"]}


def test_a_name_that_exists_but_is_not_held_is_remarked(engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    made = document(engine, capsys, RICH, "--shock", "LINK=-30%")
    assert [one for one in made["warnings"] if one["code"] == "shock-touches-nothing"]
    assert made["after"] == made["before"]


def test_an_account_that_only_its_frozen_oracle_keeps_alive_is_named(
    engine: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    made = document(engine, capsys, RICH, "--shock", "ETH=-50%", "--shock", "oracle:aave-v3=frozen")
    warning = next(one for one in made["warnings"] if one["code"] == "unhealthy-at-market")
    assert "core" in warning["detail"] and "0.7143" in warning["detail"] and made["after"]["liquidatable"] == 0


def printed(run: WhatIfRun, width: int) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, highlight=False, emoji=False)
    print_what_if(what_if_document(run), console, NAMES)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_the_report_says_what_matters_and_fits(width: int) -> None:
    run = ran(replace(RICH, venue_accounts=(VENUE,)), "ETH=-35%", "BTC=-30%", actions=("hedge:ETH=-1",), health="1.2")
    text = printed(run, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    words = " ".join(text.split())
    for needed in (
        "hedge:ETH=-1",
        "ETH=-35%",
        "Margin ratio",
        "0.0 of 100",
        "Hedges",
        "Ethereum",
        "hyperliquid",
        "after 48.6 % of the shock",
        "$560.00",
    ):
        assert needed in words, needed
    if width >= 60:
        assert "repay:aave-v3@eip155:1:USDC=2533.333334" in words


@settings(max_examples=20, deadline=None)
@given(portfolios(), st.integers(40, 140), st.integers(-100, 100))
def test_no_portfolio_breaks_the_width(one: Portfolio, width: int, move: int) -> None:
    run = ran(one, f"ETH={move:+d}%", health="1.5")
    assert max(cell_len(line) for line in printed(run, width).splitlines()) <= width


def test_hostile_names_do_nothing() -> None:
    odd = replace(SPAM, symbol="[red]x[/red]\x1b]0;owned\x07‮evil​\n\nrow")
    one = portfolio([account(supplied(WETH, 1), borrowed(USDC, 10))], wallet(leg(odd, 5)), tokens=[odd])
    request = WhatIfRequest(shock_of([f"{odd.asset}=-50%"]))
    run = run_what_if(Picture(one, {**book(), odd.asset: price(odd, "1")}, (), {}, {}), request, QUICK)
    assert not any(ord(character) < 32 and character != "\n" for character in printed(run, 100))


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_plots_of_owners_are_written(engine: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine(RICH)
    folder = tmp_path / "plots" / "deep"
    assert command_line.main(["what-if", OWNER, "--shock", "ETH=-35%", "--plot", str(folder)]) == 0
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "before-and-after.png",
        "payoff.png",
        "scenarios.png",
        "surface-1-aave-v3-eip155-1.png",
        "surface-2-aave-v3-eip155-1.png",
        "surface-3-aave-v3-eip155-42161.png",
    }
    assert all(size(path)[0] > 800 and size(path)[1] > 500 for path in folder.iterdir())
    assert all(str(folder / name) in capsys.readouterr().out for name in list(names)[:1])


def test_plots_as_vectors_say_what_they_show(tmp_path: Path) -> None:
    from aggregator.cli.plots import what_if_plots

    paths = what_if_plots(ran(RICH, "ETH=-35%", surfaces=True), tmp_path, "svg", NAMES)
    texts = {path.stem: path.read_text() for path in paths}
    assert all(text.lstrip().startswith("<?xml") for text in texts.values())
    comments = "".join(texts["surface-1-aave-v3-eip155-1"].split("<!-- ")[1:])
    for needed in ("move of ETH, %", "move of USDC, %", "health factor", "nearest liquidation", "after the shock"):
        assert needed in comments, needed
    for needed in ("before", "requirement", "USD"):
        assert needed in texts["before-and-after"]


def test_plots_of_a_book_are_written(file: Path, tmp_path: Path) -> None:
    words = [
        "what-if",
        "--portfolio",
        str(file),
        "--shock",
        "ETH=-30%",
        "--method",
        "derive-pmrm2",
        "isolated",
        "--plot",
        str(tmp_path / "p"),
    ]
    assert command_line.main(words) == 0
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"methods.png", "payoff-eth.png", "scenarios-derive-pmrm2.png"}


def test_plots_of_a_portfolio_that_owes_nothing(tmp_path: Path) -> None:
    from aggregator.cli.plots import what_if_plots

    paths = what_if_plots(ran(portfolio((), wallet(leg(WETH, 1))), "ETH=-35%", surfaces=True), tmp_path, "png", {})
    assert [path.name for path in paths] == ["before-and-after.png", "scenarios.png", "payoff.png"]


def test_names_are_never_read_as_formulas(tmp_path: Path) -> None:
    from aggregator.cli.plots import what_if_plots

    odd = replace(account(supplied(WETH, 10), borrowed(USDC, 11_200)), market_label=r"$\frac{$ \x1b% _^")
    assert what_if_plots(ran(portfolio([odd]), "ETH=-35%", surfaces=True), tmp_path, "png", {ChainId("eip155:1"): "$x"})


def test_without_matplotlib_one_line_says_what_to_install(
    engine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = engine(RICH)
    monkeypatch.setattr("aggregator.cli.plots.find_spec", lambda _: None)
    assert command_line.main(["what-if", OWNER, "--shock", "ETH=-35%", "--plot", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "matplotlib" in err and err.count("\n") == 1 and not requests, "nothing is read before that is known"


def test_matplotlib_is_loaded_for_plots_only() -> None:
    import subprocess
    import sys

    code = "import sys; from aggregator.cli import main; main.main(['what-if', '--help'])"
    found = subprocess.run(
        [sys.executable, "-c", f"import atexit, sys\natexit.register(lambda: print('matplotlib' in sys.modules))\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip().endswith("False")


def test_an_account_at_a_venue_is_part_of_everything(tmp_path: Path) -> None:
    """Its equity moves with the shock, it has a surface and a plot, and stands in the order of liquidations."""
    from aggregator.cli.plots import what_if_plots

    both = at_venues(RICH, venue_account(perp(4), balances=(cash(2_500),), equity=2_500, maintenance=300))
    run = ran(both, "ETH=-35%", surfaces=True)
    made = what_if_document(run)
    alone = what_if_document(ran(RICH, "ETH=-35%"))
    assert made.before.equity_usd is not None and alone.before.equity_usd is not None
    assert made.after.equity_usd is not None and alone.after.equity_usd is not None
    assert Decimal(made.before.equity_usd) - Decimal(alone.before.equity_usd) == 2_500
    assert float(made.after.equity_usd) - float(alone.after.equity_usd) == pytest.approx(2_500 - 2_800)
    (own,) = made.venue_accounts
    assert own.after.liquidatable is True and own.order is not None and own.surface is not None
    assert {one.order for one in made.margin_accounts if one.order} & {own.order} == set()
    paths = what_if_plots(run, tmp_path, "svg", NAMES)
    (picture,) = [path for path in paths if path.stem.endswith("hyperliquid")]
    assert "hyperliquid" in picture.read_text() and any(path.stem == "payoff" for path in paths)
