"""Populations from and to files: nothing is lost, nothing unknown becomes zero, and every mistake is one clear line."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from pyarrow import parquet

from aggregator.model.book import HALF_IF_MILD, WHOLE, Book, LiquidationRule
from aggregator.model.errors import InputError
from aggregator.store.book_file import book_from_table, read_book, table_of
from tests.contagion.books import random_book, seeds

A, B = "0x" + "aA" * 20, "0x" + "bb" * 20
HEADER = "owner,chain,protocol,market,asset,side,amount,oracle_price_usd,liquidation_threshold,liquidation_bonus,close_factor\n"
ROWS = (
    f"{A},eip155:1,pool,0x1,eip155:1/slip44:60,collateral,2.5,2000,0.8,0.05,1\n"
    f"{A},eip155:1,pool,0x1,usdc,debt,1000,1,,,\n"
    f"{B},eip155:1,pool,0x1,usdc,debt,,1,,,\n"
    f"{B},eip155:1,pool,0x1,eip155:1/slip44:60,collateral,1,2000,0.8,0.05,\n"
    f"{A.lower()},eip155:10,pool,0x1,usdc,collateral,7,1,0.9,0.01,\n"
)


def same_accounts(one: Book, other: Book) -> bool:
    """Every account has the same health, owner and market in both, whatever the order of rows."""

    def listed(book: Book) -> list[tuple[str, str, str, float, float]]:
        health, markets = book.health(), [book.markets[int(code)] for code in book.account_market]
        rows = zip(markets, range(book.size), health.weighted.tolist(), health.debt.tolist(), strict=True)
        return sorted((m.market, m.protocol, book.owner(row), weighted, debt) for m, row, weighted, debt in rows)

    def close(a: Sequence[object], b: Sequence[object]) -> bool:
        return a[:3] == b[:3] and all(x == pytest.approx(y, rel=1e-12) for x, y in zip(a[3:], b[3:], strict=True))

    return all(close(a, b) for a, b in zip(listed(one), listed(other), strict=True))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_a_book_survives_its_table(seed: int) -> None:
    book = random_book(seed, accounts=40, rule=LiquidationRule(0.9, 0.4, 0.97, 1500.0))
    back = book_from_table(table_of(book), "table")
    assert same_accounts(book, back)
    assert {market.rule for market in back.markets} == {market.rule for market in book.markets}
    assert sorted(back.prices.tolist()) == sorted(book.prices[np.isin(np.arange(6), book.reserves.asset[used(book)])].tolist())


def used(book: Book) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (np.diff(book.collateral.pointers) > 0) | (np.diff(book.debt.pointers) > 0)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_of_both_kinds(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"population{suffix}"
    if suffix == ".csv":
        path.write_text(HEADER + ROWS)
    else:
        (tmp_path / "rows.csv").write_text(HEADER + ROWS)
        parquet.write_table(table_of(read_book(tmp_path / "rows.csv")), path)
    book = read_book(path)
    assert book.size == 3
    health = {(book.owner(row), str(book.markets[int(book.account_market[row])].chain)): row for row in range(3)}
    assert book.health().factor[health[A.lower(), "eip155:1"]] == 4.0
    assert book.health().unknown[health[B, "eip155:1"]]
    assert book.health().factor[health[A.lower(), "eip155:10"]] == np.inf
    rules = {str(market.chain): market.rule for market in book.markets}
    assert rules["eip155:1"] == WHOLE
    if suffix == ".csv":
        assert rules["eip155:10"] == HALF_IF_MILD


def test_owners_that_are_no_addresses_are_kept_as_text(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(HEADER + ROWS.replace(A, "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU").replace(B, "vault"))
    owners = {book_owner for book in [read_book(path)] for book_owner in map(book.owner, range(book.size))}
    assert owners == {"7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU", "vault", A.lower()}


def test_an_oracle_of_another_asset(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "owner,chain,protocol,market,asset,side,amount,oracle_price_usd,price_usd,liquidation_threshold,priced_by,symbol\n"
        f"{A},eip155:1,pool,0x1,wst,collateral,1,2400,2390,0.8,steth,wstETH\n"
        f"{A},eip155:1,pool,0x1,steth,debt,0.5,2000,1990,,steth,stETH\n"
    )
    book = read_book(path)
    assert [asset.symbol for asset in book.assets] == ["wstETH", "stETH"]
    assert book.prices.tolist() == [2390.0, 1990.0]
    assert book.oracle_prices(np.array([1.0, 995.0])).tolist() == [1200.0, 1000.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER, "the population is empty"),
        (HEADER.replace("owner,", "holder,") + ROWS, "column owner is missing"),
        (HEADER + ROWS.replace(",2.5,", ",-2.5,"), "row 1: amount is -2.5; expected 0 to inf"),
        (HEADER + ROWS.replace(",2.5,", ",nan,"), "row 1: amount is nan; .*leave the cell empty"),
        (HEADER + ROWS.replace(",2.5,", ",lots,"), "lots"),
        (HEADER + ROWS.replace("collateral,1,", "asset,1,"), "row 4: side is 'asset'; expected collateral or debt"),
        (HEADER + ROWS.replace("2.5,2000,0.8", "2.5,2000,"), "row 1: liquidation_threshold is empty"),
        (HEADER + ROWS.replace("2.5,2000,0.8", "2.5,2000,80"), "row 1: liquidation_threshold is 80; expected 0 to 1"),
        (HEADER + ROWS + f"{A},eip155:1,pool,0x1,usdc,debt,5,1,,,\n", "row 6: this account has the asset on this side already"),
        (HEADER + ROWS.replace(f"{B},eip155:1", ",eip155:1"), "row 3: owner is empty"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_book(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_what_is_no_population_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_book(tmp_path / "nothing.parquet")
    (tmp_path / "p.txt").write_text("x")
    with pytest.raises(InputError, match=r"\.parquet or \.csv"):
        read_book(tmp_path / "p.txt")
    (tmp_path / "p.parquet").write_text("not parquet")
    with pytest.raises(InputError, match=r"p\.parquet"):
        read_book(tmp_path / "p.parquet")


def test_without_the_package_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr("aggregator.store.book_file.import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'crossmargin\[population\]'"):
        read_book(tmp_path / "p.parquet")


def test_columns_are_read_without_an_object_a_row() -> None:
    """Memory at the peak stays at some columns of numbers; a row of objects would take ten times as much."""
    count = 100_000
    random = np.random.default_rng(3)
    pairs = np.arange(count, dtype=np.int32) // 2
    texts = {"chain": "eip155:1", "protocol": "p", "market": "m"}
    columns = {
        "owner": pa.array([f"0x{number:040x}" for number in range(count // 2)]).take(pa.array(pairs)),
        **{name: pa.array([text]).take(pa.array(np.zeros(count, dtype=np.int32))) for name, text in texts.items()},
        "asset": pa.DictionaryArray.from_arrays(random.integers(0, 50, count).astype(np.int32), [f"a{number}" for number in range(50)]),
        "side": pa.DictionaryArray.from_arrays(np.tile([0, 1], count // 2).astype(np.int32), ["collateral", "debt"]),
        "amount": random.random(count),
        "oracle_price_usd": np.ones(count),
        "liquidation_threshold": np.full(count, 0.8),
    }
    table = pa.table(columns)
    tracemalloc.start()
    try:
        book = book_from_table(table, "table")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert book.size == count // 2
    assert peak < 200 * count


def test_closed_reserves_come_back(tmp_path: Path) -> None:
    book = random_book(3, accounts=20)
    closed = np.arange(len(book.reserves)) % 5 == 0
    path = tmp_path / "book.parquet"
    parquet.write_table(table_of(replace(book, reserves=replace(book.reserves, closed=closed))), path)
    back = read_book(path)
    assert back.reserves.closed is not None
    told = {
        (back.reserves.market[row], str(back.assets[back.reserves.asset[row]].asset)): bool(back.reserves.closed[row])
        for row in range(len(back.reserves))
    }
    markets = {market.market: code for code, market in enumerate(back.markets)}
    for row in np.unique(book.collateral.reserves()).tolist():
        market = markets[book.markets[int(book.reserves.market[row])].market]
        assert told[market, str(book.assets[int(book.reserves.asset[row])].asset)] == closed[row]
