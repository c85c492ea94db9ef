"""crossmargin contagion curve, simulate and rank: exit codes, one line of error, documents that add up, files and plots."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import csv, parquet

from aggregator.cli import main as command_line
from aggregator.contagion.curves import basket, static_curve
from aggregator.contagion.system import System
from aggregator.engine.systemic import analysis
from aggregator.localnet.world import World
from aggregator.model.book import Book
from aggregator.model.identifiers import AssetId, evm_chain
from aggregator.reading.registry import registry
from aggregator.store.book_file import read_book, table_of
from tests.contagion.books import random_book, small_book
from tests.contagion.networks import random_network

LEVELS = {"low", "elevated", "high", "unknown"}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = command_line.main(["contagion", *words])
    out, err = capsys.readouterr()
    return code, out, err


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """The document on stdout, and nothing else there."""
    done, out, err = run(capsys, *words, "--json")
    assert done == code, err
    found: dict[str, Any] = json.loads(out)
    assert found["level"] in LEVELS
    return found


@pytest.fixture
def book(tmp_path: Path) -> tuple[Book, str]:
    made = random_book(11, accounts=150)
    path = tmp_path / "book.parquet"
    parquet.write_table(table_of(made), path)
    return read_book(path), str(path)


def network_file(folder: Path, nodes: list[dict[str, Any]], claims: list[dict[str, Any]], name: str = "network.json") -> str:
    path = folder / name
    path.write_text(json.dumps({"nodes": nodes, "claims": claims}))
    return str(path)


@pytest.fixture
def network(tmp_path: Path) -> str:
    given = random_network(3, 24)
    edges = given.exposures.tocoo()
    kinds = ("protocol", "token", "oracle", "bridge", "curator", "vault")
    nodes = [
        {
            "name": name,
            "kind": kinds[place % 6],
            "external_assets": float(given.external_assets[place]),
            "external_liabilities": float(given.external_liabilities[place]),
        }
        for place, name in enumerate(given.names)
    ]
    claims = [
        {"creditor": given.names[i], "debtor": given.names[j], "usd": float(v)}
        for i, j, v in zip(edges.row.tolist(), edges.col.tolist(), edges.data.tolist(), strict=True)
    ]
    return network_file(tmp_path, nodes, claims)


def test_a_curve_is_the_static_curve(capsys: pytest.CaptureFixture[str], book: tuple[Book, str]) -> None:
    made, path = book
    found = asked(capsys, "curve", "--book", path, "--asset", "A2", "--asset", "A3=0.5", "--by", "protocol", "--to", "40", "--step", "2")
    betas = basket(made, {AssetId("eip155:1/slip44:3"): 1.0, AssetId("eip155:1/slip44:4"): 0.5})
    truth = static_curve(made, betas, np.linspace(0.0, 0.4, 21))
    assert [float(fall) for fall in found["falls"]] == pytest.approx(truth.moves.tolist())
    assert [float(usd) for usd in found["total"]["bad_debt_usd"]] == pytest.approx(truth.bad_debt[0].tolist(), abs=0.01)
    assert found["total"]["accounts"] == truth.accounts[0].tolist()
    assert len(found["groups"]) == 2 and found["source"]["accounts"] == made.size
    for place in range(21):
        parts = sum(Decimal(group["liquidatable_debt_usd"][place]) for group in found["groups"])
        assert abs(parts - Decimal(found["total"]["liquidatable_debt_usd"][place])) < Decimal("0.05")
    assert not found["lower_bounds"] and found["cascade"] is None


def test_a_curve_with_sales_shows_both_and_its_worst_point_is_searched(capsys: pytest.CaptureFixture[str], book: tuple[Book, str]) -> None:
    found = asked(capsys, "curve", "--book", book[1], "--asset", "A1", "--depth", "A1=2e5", "--depth", "*=inf")
    cascade = found["cascade"]
    bad = dict(zip(cascade["falls"], map(float, cascade["bad_debt_usd"]), strict=True))
    assert float(cascade["worst"]["bad_debt_usd"]) == max(bad.values())
    assert set(found["falls"]) <= set(cascade["falls"]) and len(cascade["falls"]) > len(found["falls"])


def test_a_simulation_adds_up_to_the_last_micro_dollar(capsys: pytest.CaptureFixture[str], book: tuple[Book, str], tmp_path: Path) -> None:
    table = tmp_path / "ledger.parquet"
    words = ("simulate", "--book", book[1], "--shock", "price:A1=-40%", "--shock", "price:A2=-30%", "--depth", "*=1e6", "--out", str(table))
    found = asked(capsys, *words)
    assert abs(sum((Decimal(one["usd"]) for one in found["parties"]), Decimal(0))) <= Decimal("0.04")
    assert abs(sum((Decimal(one["usd"]) for one in found["borne"]), Decimal(0)) - Decimal(found["bad_debt_usd"])) <= Decimal("0.5")
    assert found["liquidated_accounts"] > 0 and found["settled"]
    rows = parquet.read_table(table).to_pylist()
    net: dict[str, int] = {}
    for row in rows:
        net[row["loser"]] = net.get(row["loser"], 0) + row["micro_usd"]
        net[row["gainer"]] = net.get(row["gainer"], 0) - row["micro_usd"]
        assert row["cause"], "every amount has a cause"
    assert sum(net.values()) == 0
    for one in found["parties"]:
        assert Decimal(one["usd"]) == pytest.approx(Decimal(net.get(one["who"], 0)) / 10**6, abs=Decimal("0.01"))


def test_what_surrounds_a_population_comes_from_a_file(capsys: pytest.CaptureFixture[str], book: tuple[Book, str], tmp_path: Path) -> None:
    system = tmp_path / "system.json"
    tokens = {"A1": {"real_assets": 5e9}, "vault": {"real_assets": 1e6, "claimed": 2e6}}
    holdings = [{"holder": "vault", "held": "A1", "share": 0.001}]
    system.write_text(json.dumps({"tokens": tokens, "holdings": holdings, "depth": {"A1": 1e6}, "assets": {"A2": "vault"}}))
    words = ("simulate", "--book", book[1], "--system", str(system), "--depth", "*=inf", "--shock", "loss:vault=50%")
    found = asked(capsys, *words)
    (fallen,) = (one for one in found["prices"] if one["symbol"] == "A2")
    assert float(fallen["shocked_usd"]) < 0.9 * float(fallen["before_usd"])
    system.write_text('{"tokens": 3}')
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "") and "system.json" in err and err.count("\n") == 1


def test_without_a_depth_nothing_is_called_calm(capsys: pytest.CaptureFixture[str], book: tuple[Book, str]) -> None:
    found = asked(capsys, "simulate", "--book", book[1], "--shock", "price:A1=-40%", code=3)
    assert found["level"] in ("unknown", "high") and found["lower_bounds"]
    assert any(missing.startswith("depth of A") for missing in found["evidence"]["missing"])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_results_go_to_files(capsys: pytest.CaptureFixture[str], book: tuple[Book, str], network: str, tmp_path: Path, suffix: str) -> None:
    for words, rows in (
        (("curve", "--book", book[1], "--asset", "A1", "--by", "chain"), 2 * 51),
        (("rank", "--network", network), 24),
        (("curve", "--network", network), 5 * 51),
        (("simulate", "--network", network, "--shock", "*=-10%"), 24),
    ):
        path = tmp_path / f"out.{suffix}"
        code, out, _ = run(capsys, *words, "--out", str(path))
        assert code == 0 and out
        if suffix == "json":
            assert json.loads(path.read_text())["schema"].startswith("crossmargin/contagion-")
        else:
            table = parquet.read_table(path) if suffix == "parquet" else csv.read_csv(path)
            assert table.num_rows == rows


def test_plots_are_written(capsys: pytest.CaptureFixture[str], book: tuple[Book, str], network: str, tmp_path: Path) -> None:
    expected = {
        ("curve", "--book", book[1], "--asset", "A1", "--depth", "*=1e6", "--by", "market"): {"curve", "curve-by-group", "exposure-matrix"},
        ("simulate", "--book", book[1], "--shock", "price:A1=-50%", "--depth", "*=1e5"): {"waterfall", "rounds", "causal-graph"},
        ("rank", "--book", book[1]): {"ranking", "exposure-matrix"},
        ("rank", "--network", network): {"ranking", "exposure-matrix"},
        ("curve", "--network", network): {"curve", "exposure-matrix"},
        ("simulate", "--network", network, "--shock", "n3=-100%"): {"losses", "exposure-matrix"},
    }
    for number, (words, names) in enumerate(expected.items()):
        folder = tmp_path / f"plots {number}"
        code, out, err = run(capsys, *words, "--plot", str(folder))
        assert code == 0, err
        assert {path.stem for path in folder.iterdir()} == names
        for path in folder.iterdir():
            assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 8_000
            assert str(path) in out


def test_a_plot_of_nothing_is_still_a_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    calm = small_book([({"ETH": 10.0}, {"USD": 100.0})], {"ETH": 2000.0, "USD": 1.0})
    path = tmp_path / "calm.csv"
    from aggregator.cli.contagion_out import write_arrow

    write_arrow(table_of(calm), path, "--save-book")
    folder = tmp_path / "plots"
    words = ("--book", str(path), "--depth", "*=1e6", "--plot", str(folder))
    assert run(capsys, "simulate", "--shock", "price:ETH=-1%", *words)[0] == 0
    assert run(capsys, "curve", "--asset", "ETH", *words)[0] == 0


def test_a_ranking_is_a_band(capsys: pytest.CaptureFixture[str], network: str) -> None:
    found = asked(capsys, "rank", "--network", network)
    assert [one["rank"] for one in found["nodes"]] == list(range(1, 25))
    assert {one["kind"] for one in found["nodes"]} == {"protocol", "token", "oracle", "bridge", "curator", "vault"}
    for one in found["nodes"]:
        band = one["impact"]
        assert float(band["low"]) <= float(band["middle"]) <= float(band["high"]) <= 1.0
        assert one["rank_low"] <= one["rank_high"] and set(band["by_model"]) == set(found["models"])
    assert -1.0 <= float(found["stability"]) <= 1.0


def test_lenders_of_a_population_lose_what_the_account_by_account_sum_says(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """ETH's failure costs what no other collateral covers; the protocol's failure costs all that is lent."""
    wallets = [({"ETH": 1.0}, {"USD": 1000.0}), ({"ETH": 1.0, "BTC": 0.05}, {"USD": 1500.0}), ({"BTC": 1.0}, {"USD": 500.0})]
    made = small_book(wallets, {"ETH": 2000.0, "BTC": 60_000.0, "USD": 1.0}, bonus=0.0)
    path = tmp_path / "book.parquet"
    parquet.write_table(table_of(made), path)
    found = {one["name"]: float(one["impact"]["low"]) for one in asked(capsys, "rank", "--book", str(path))["nodes"]}
    assert found["ETH"] == pytest.approx(1000.0 / 3000.0, rel=1e-4)  # the second is covered by its bitcoin
    assert found["BTC"] == pytest.approx(500.0 / 3000.0, rel=1e-4)  # and by its ether
    (protocol,) = (name for name in found if " on eip155" in name and not name.startswith("lenders"))
    assert found[protocol] == pytest.approx(1.0, rel=1e-4)


def test_a_network_as_two_csv_files_is_the_network(capsys: pytest.CaptureFixture[str], network: str, tmp_path: Path) -> None:
    given = json.loads(Path(network).read_text())
    claims, nodes = tmp_path / "claims.csv", tmp_path / "nodes.csv"
    claims.write_text("creditor,debtor,usd\n" + "".join(f"{c['creditor']},{c['debtor']},{c['usd']!r}\n" for c in given["claims"]))
    columns = ("name", "kind", "external_assets", "external_liabilities")
    nodes.write_text(",".join(columns) + "\n" + "".join(",".join(str(n[c]) for c in columns) + "\n" for n in given["nodes"]))
    one = asked(capsys, "rank", "--network", network)
    other = asked(capsys, "rank", "--network", str(claims), "--nodes", str(nodes))
    assert one["nodes"] == other["nodes"]


GOOD = [{"name": "a", "external_assets": 10.0}, {"name": "b", "external_assets": 10.0}]


@pytest.mark.parametrize(
    ("nodes", "claims", "words"),
    [
        (GOOD, [{"creditor": "a", "debtor": "b", "usd": -1.0}], "exposure of a to b is -1; expected 0 or more"),
        (GOOD, [{"creditor": "a", "debtor": "b", "usd": float("nan")}], "exposure of a to b is nan"),
        (GOOD, [{"creditor": "a", "debtor": "b", "usd": float("inf")}], "is inf"),
        (GOOD, [{"creditor": "a", "debtor": "z", "usd": 1.0}], "claim 1: z is not one of the 2 nodes"),
        (GOOD, [{"creditor": "a", "debtor": "a", "usd": 1.0}], "a has a claim on itself"),
        (GOOD, [{"creditor": "a", "debtor": "b", "usd": "1"}], "claims.0.usd"),
        (GOOD, [{"creditor": "a", "debtor": "b", "usd": 1.0, "note": ""}], "claims.0.note"),
        ([], [], "the network is empty: no node"),
        ([*GOOD, GOOD[0]], [], "node a stands twice"),
        ([{"name": "a", "external_assets": float("nan")}], [], "external assets of a are nan"),
        ([{"name": "a", "external_assets": -3.0}, GOOD[1]], [], "external assets of a are -3"),
        ([{"name": "a", "kind": "planet"}], [], "nodes.0.kind"),
    ],
)
def test_bad_networks_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, nodes: list[dict[str, Any]], claims: list[dict[str, Any]], words: str
) -> None:
    path = network_file(tmp_path, nodes, claims)
    for command in (("rank",), ("curve",), ("simulate", "--shock", "*=-5%")):
        code, out, err = run(capsys, *command, "--network", path, "--json")
        assert (code, out) == (2, "") and words in err and err.count("\n") == 1 and "network.json" in err


def test_bad_network_tables_name_the_row(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    claims, nodes = tmp_path / "claims.csv", tmp_path / "nodes.csv"
    nodes.write_text("name,external_assets\na,10\nb,\n")
    for text, words in (
        ("creditor,debtor,usd\na,b,nan\n", "row 1: usd is nan"),
        ("creditor,debtor,usd\na,b,-2\n", "exposure of a to b is -2"),
        ("creditor,debtor,usd\na,q,2\n", "claim 1: q is not one of the 2 nodes"),
        ("creditor,debtor\na,b\n", "column usd is missing"),
        ("creditor,debtor,usd,x\na,b,1,2\n", "there is no column x"),
        ("creditor,debtor,usd\na,b,lots\n", "claims.csv"),
    ):
        claims.write_text(text)
        code, out, err = run(capsys, "rank", "--network", str(claims), "--nodes", str(nodes))
        assert (code, out) == (2, "") and words in err and err.count("\n") == 1
    assert "--nodes" in run(capsys, "rank", "--network", str(claims))[2]


def test_an_unstable_network_says_so_and_stays_bounded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nodes = [{"name": name, "external_assets": 0.5, "external_liabilities": 0.0} for name in "abc"]
    claims = [{"creditor": x, "debtor": y, "usd": 5.0} for x, y in ("ab", "bc", "ca")]
    path = network_file(tmp_path, nodes, claims)
    found = asked(capsys, "simulate", "--network", path, "--shock", "a=-20%")
    assert float(found["gain"]) == pytest.approx(10.0)
    losses = {one["model"]: float(one["loss"]) for one in found["models"]}
    assert losses["linear-debtrank"] == pytest.approx(1.0) and 0.0 < losses["eisenberg-noe"] < 0.2
    code, out, _ = run(capsys, "simulate", "--network", path, "--shock", "a=-20%")
    assert code == 0 and "unstable" in out


def test_half_of_the_sheets_unknown_is_unknown_with_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    nodes = [{"name": f"n{i}", "external_assets": 10.0 if i % 2 else None} for i in range(6)]
    path = network_file(tmp_path, nodes, [{"creditor": "n1", "debtor": "n3", "usd": 1.0}])
    for command in (("rank",), ("curve",), ("simulate", "--shock", "n1=-1%")):
        found = asked(capsys, *command, "--network", path, code=3)
        assert found["level"] in ("unknown", "high") and found["lower_bounds"]
        assert "balance sheet of n0" in found["evidence"]["missing"]
        code, out, err = run(capsys, *command, "--network", path)
        assert code == 3 and err.count("\n") == 1 and "balance sheet of n0" in err and "lower bounds" in out


def test_an_empty_population_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("owner,chain,protocol,market,asset,side,amount,oracle_price_usd\n")
    for command in (("rank",), ("curve",), ("simulate", "--shock", "price:A=-1%")):
        code, out, err = run(capsys, *command, "--book", str(path))
        assert (code, out) == (2, "") and "the population is empty" in err and err.count("\n") == 1


def test_half_the_rows_missing_is_never_low(capsys: pytest.CaptureFixture[str], book: tuple[Book, str], tmp_path: Path) -> None:
    """Missing cells make accounts unknown; missing rows count when one says how many accounts there should be."""
    table = parquet.read_table(book[1])
    amounts = table["amount"].to_pylist()
    holes = tmp_path / "holes.csv"
    table = table.set_column(table.column_names.index("amount"), "amount", [[a if i % 2 else None for i, a in enumerate(amounts)]])
    from aggregator.cli.contagion_out import write_arrow

    write_arrow(table, holes, "--out")
    for words in (("--book", str(holes)), ("--book", book[1], "--accounts", "300")):
        for command in (("rank",), ("curve", "--asset", "A1"), ("simulate", "--shock", "price:A1=-1%", "--depth", "*=inf")):
            found = asked(capsys, *command, *words, code=3)
            assert found["level"] != "low" and found["lower_bounds"] and found["evidence"]["missing"]
            assert run(capsys, *command, *words)[2].count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("curve",), "nothing to look at"),
        (("curve", "--book", "nowhere.csv"), "there is no such file"),
        (("rank", "--network", "nowhere.json"), "there is no such file"),
        (("rank", "--network", "x.json", "--book", "y.csv"), "either --book or --network"),
        (("rank", "--nodes", "x.csv"), "--nodes goes with --network"),
        (("rank", "--network", "x.json", "--save-book", "y.csv"), "--save-book goes with a population"),
        (("curve", "--chain", "1", "--discover"), "--discover is for owners' tokens"),
        (("curve", "--network", "x.json", "--pools"), "--pools reads live chains"),
        (("curve", "--book", "x.csv", "--to", "0"), "expected falls in per cent"),
        (("curve", "--book", "x.csv", "--out", "x.txt"), "expected a name that ends in"),
        (("simulate", "--book", "x.csv"), "nothing happens: expected --shock"),
        (("rank", "--network", "x.json", "--pays", "2"), "--pays 2: expected a share"),
        (("curve", "--book", "x.csv", "--by", "colour"), "invalid choice"),
        (("spread",), "invalid choice"),
    ],
)
def test_what_makes_no_sense_is_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "") and expected in err and err.count("\n") == 1


def test_what_a_population_does_not_have_is_named(capsys: pytest.CaptureFixture[str], book: tuple[Book, str], network: str) -> None:
    for words, expected in (
        (("curve", "--book", book[1], "--asset", "DOGE"), "DOGE is not an asset or a risk factor"),
        (("curve", "--book", book[1], "--asset", "A1=x"), "'x' is not a number"),
        (("curve", "--book", book[1], "--asset", "A1=3"), "would fall below zero"),
        (("simulate", "--book", book[1], "--shock", "price:DOGE=-3%"), "DOGE is not an asset"),
        (("simulate", "--book", book[1], "--shock", "rain"), "is no shock"),
        (("simulate", "--book", book[1], "--shock", "price:A1=-3%", "--depth", "A1"), "expected NAME=USD"),
        (("simulate", "--book", book[1], "--shock", "price:A1=-3%", "--depth", "A1=-5"), "positive value"),
        (("simulate", "--network", network, "--shock", "n99=-3%"), "n99 is not one of the 24 nodes"),
        (("simulate", "--network", network, "--shock", "n1=+3%"), "fall by 0 % to 100 %"),
        (("simulate", "--network", network, "--shock", "n1"), "no shock of a network"),
        (("curve", "--network", network, "--asset", "A1"), "are for populations"),
        (("curve", "--book", book[1], "--rpc", "1=http://127.0.0.1:1"), "does not go with a file"),
    ):
        code, out, err = run(capsys, *words)
        assert (code, out) == (2, ""), words
        assert expected in err and err.count("\n") == 1


def test_a_price_needs_no_kind_and_moves_all_that_follow_it(book: tuple[Book, str]) -> None:
    made = analysis.load_book(book[1])
    short, whole = (analysis.simulate(made, [text]) for text in ("A1=-30%", "price:A1=-30%"))
    assert np.array_equal(short.cascade.prices, whole.cascade.prices)
    listed = [one for one in registry().tokens(evm_chain(42161)).values() if one.factor == "USDC" and one.symbol in ("USDC", "USDC.e")]
    assets = tuple(replace(made.assets[place], asset=one.asset, symbol=one.symbol) for place, one in enumerate(listed))
    both = replace(made, assets=(*assets, *made.assets[2:]))
    shocks = analysis.shocks_of(System(both, analysis.impact(both)), ["USDC=-5%"])
    assert [getattr(one, "name", None) for one in shocks] == ["USDC", "USDC.e"]


def test_functions_for_notebooks_give_arrays(book: tuple[Book, str], network: str) -> None:
    made = analysis.load_book(book[1])
    study = analysis.curve(made, ["A1"], impact=analysis.impact(made, {"A1": 1e6}, np.inf))
    assert study.total.bad_debt.shape == (1, 51) and study.cascade is not None and study.cascade.bad_debt.ndim == 1
    assert analysis.simulate(made, ["price:A1=-30%"], analysis.impact(made, otherwise=np.inf)).cascade.prices.shape[1] == len(made.assets)
    given = analysis.load_network(network)
    assert analysis.rank(given).impact.shape == (5, 24)
    assert analysis.network_curve(given, np.array([0.0, 0.1])).loss.shape == (5, 2)
    assert analysis.lender_network(made).exposures.shape[0] > 2


@pytest.mark.localnet
async def test_everybody_on_live_chains(deployed: World, tmp_path: Path) -> None:
    """Through the command in a process of its own: the population is read, kept in a file, and gives the same from there."""
    import asyncio
    import sys

    saved = tmp_path / "everybody.parquet"
    words = [w for i, chain in deployed.chains.items() for w in ("--chain", str(evm_chain(i)), "--rpc", f"{evm_chain(i)}={chain.url}")]
    command = [sys.executable, "-m", "aggregator.cli.main", "contagion", "curve", "--asset", "ETH", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, *words, "--save-book", str(saved), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = json.loads(out)
    assert found["source"]["accounts"] > 100 and len(found["source"]["snapshots"]) == 3
    assert {one["symbol"] for one in found["basket"]} >= {"WETH", "wstETH", "weETH"}
    again = analysis.curve(analysis.load_book(saved), ["ETH"])
    assert [float(usd) for usd in found["total"]["liquidatable_debt_usd"]] == pytest.approx(
        again.total.liquidatable_debt[0].tolist(), abs=1
    )


@pytest.mark.localnet
async def test_depths_come_from_pools_where_none_are_given(deployed: World) -> None:
    import asyncio
    import sys

    chain = ("--chain", "eip155:1", "--rpc", f"eip155:1={deployed.chains[1].url}", "--pools", "--json")
    documents = []
    for more in ((), ("--depth", "WETH=inf", "--depth", "wstETH=inf", "--depth", "*=inf")):
        command = [sys.executable, "-m", "aggregator.cli.main", "contagion", "simulate", "--shock", "price:ETH=-15%", *chain, *more]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        assert process.returncode in (0, 3), err.decode()
        documents.append(json.loads(out))
    pools, still = documents
    assert float(pools["amplification"]) > 1.05 * float(still["amplification"])
    assert not any("WETH" in missing or "wstETH" in missing for missing in pools["evidence"]["missing"])
    assert not still["lower_bounds"]
