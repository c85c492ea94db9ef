"""Contagion on a million accounts and on large networks, against goals and against the same work as plain Python does it.

    .venv/bin/python -m benchmarks.contagion [--accounts 1000000] [--repeats 7]

Medians of one process on whatever cores there are, and beside them the processor time, which says the same on a busy machine. Ratios to
the peers, which run in the same process on a part of the data and are scaled, are what to compare between machines. networkx is measured
where it is installed.
"""

from __future__ import annotations

import argparse
import gc
import io
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from aggregator.contagion.cascade import cascade
from aggregator.contagion.clearing import clear_quickly
from aggregator.contagion.curves import static_curve
from aggregator.contagion.debtrank import linear_debtrank
from aggregator.contagion.health import HealthTracker, stress
from aggregator.contagion.impact import ExponentialImpact
from aggregator.contagion.network import ExposureNetwork, leverage_matrix, network
from aggregator.contagion.ranking import rank
from aggregator.contagion.spiral import fallen
from aggregator.model.book import Book, BookAsset, BookMarket, Legs, Reserves
from aggregator.model.identifiers import AssetId, ChainId

ASSETS = 200
PLAIN_ACCOUNTS = 20_000
NODES, EDGES = 100_000, 1_000_000
SMALL_NODES, SMALL_EDGES = 10_000, 100_000


class Time(NamedTuple):
    """Medians in milliseconds: by the clock, and of the processor over all cores."""

    wall: float
    cpu: float


class Row(NamedTuple):
    """One line; the goal is for the clock."""

    what: str
    time: Time
    goal: float | None
    remark: str


def population(accounts: int, seed: int = 7) -> Book:
    """2.0 collateral and 1.5 debt legs an account, 200 assets of Zipf popularity, health from 1.02 to 2.5, owners of 20 bytes."""
    random = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, ASSETS + 1)
    popularity /= popularity.sum()
    prices = np.exp(random.normal(2.0, 2.0, ASSETS))
    prices[:3] = 1.0
    sides = []
    for mean in (2.0, 1.5):
        number = 1 + random.binomial(2, (mean - 1.0) / 2.0, accounts)
        account = np.repeat(np.arange(accounts, dtype=np.int64), number)
        asset = random.choice(ASSETS, len(account), p=popularity)
        keys = np.unique(account * ASSETS + asset)
        sides.append((keys // ASSETS, keys % ASSETS))
    (account, asset), (debtor, owed) = sides
    threshold = random.uniform(0.6, 0.9, ASSETS)
    amount = random.lognormal(8.0, 1.5, len(account)) / prices[asset]
    debt = random.lognormal(7.0, 1.5, len(debtor)) / prices[owed]
    weighted = np.bincount(account, amount * prices[asset] * threshold[asset], accounts)
    total = np.bincount(debtor, debt * prices[owed], accounts)
    debt *= (weighted / (total * random.uniform(1.02, 2.5, accounts)))[debtor]
    codes = np.arange(ASSETS, dtype=np.int32)
    return Book(
        tuple(BookAsset(AssetId(f"eip155:1/slip44:{code + 1}"), f"A{code}") for code in range(ASSETS)),
        prices,
        (BookMarket(ChainId("eip155:1"), "aave-v3", "0x01"),),
        Reserves(codes, np.zeros(ASSETS, dtype=np.int32), codes.copy(), prices.copy(), threshold, np.full(ASSETS, 0.05)),
        np.zeros(accounts, dtype=np.uint8),
        Legs.build(account, asset, amount, ASSETS),
        Legs.build(debtor, owed, debt, ASSETS),
    )


def claims(nodes: int, edges: int, seed: int = 3) -> ExposureNetwork:
    """Log-normal claims between random nodes; equity 5 to 30 % of assets."""
    random = np.random.default_rng(seed)
    creditors = random.integers(0, nodes, edges)
    debtors = (creditors + random.integers(1, nodes, edges)) % nodes
    amounts = random.lognormal(0.0, 1.0, edges)
    held, owed = np.bincount(creditors, amounts, nodes), np.bincount(debtors, amounts, nodes)
    assets = random.lognormal(2.0, 1.0, nodes) + np.maximum(owed - held, 0.0)
    liabilities = np.maximum(assets + held - owed, 0.0) * (1.0 - random.uniform(0.05, 0.3, nodes))
    return network([f"n{number}" for number in range(nodes)], creditors, debtors, amounts, assets, liabilities)


def timed(work: Callable[[], object], repeats: int) -> Time:
    """Medians of several runs, one to warm up, without collection of garbage in between."""
    work()
    gc.disable()
    try:
        wall, cpu = [], []
        for _ in range(repeats):
            start, spent = time.perf_counter(), time.process_time()
            work()
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - spent)
    finally:
        gc.enable()
    return Time(1000.0 * statistics.median(wall), 1000.0 * statistics.median(cpu))


class PlainAccount:
    """What a health pass looks like with an object an account and prices in a dictionary."""

    __slots__ = ("collateral", "debt")

    def __init__(self) -> None:
        self.collateral: list[tuple[int, float]] = []
        self.debt: list[tuple[int, float]] = []


def plain_accounts(book: Book, count: int) -> list[PlainAccount]:
    accounts = [PlainAccount() for _ in range(count)]
    for side, name in ((book.collateral, "collateral"), (book.debt, "debt")):
        kept = side.accounts < count
        for row, reserve, amount in zip(
            side.accounts[kept].tolist(), side.reserves()[kept].tolist(), side.amounts[kept].tolist(), strict=True
        ):
            getattr(accounts[row], name).append((reserve, amount))
    return accounts


def plain_pass(accounts: list[PlainAccount], prices: dict[int, float], thresholds: dict[int, float]) -> int:
    """How many are liquidatable."""
    found = 0
    for one in accounts:
        weighted = sum(amount * prices[reserve] * thresholds[reserve] for reserve, amount in one.collateral)
        found += weighted < sum(amount * prices[reserve] for reserve, amount in one.debt)
    return found


class Bank:
    """A node as an object with its claims in a dictionary and a valuation asked claim by claim, as network valuation libraries keep it."""

    def __init__(self, external: float) -> None:
        self.external, self.face, self.equity, self.following = external, 0.0, 0.0, 0.0
        self.claims: dict[Bank, float] = {}
        self.liabilities = 0.0

    def valued(self) -> float:
        """Linear DebtRank's value of a claim on this node."""
        return max(0.0, min(1.0, self.equity / self.face))

    def sum_of_claims(self) -> float:
        return sum(amount * debtor.valued() for debtor, amount in self.claims.items())


def plain_banks(given: ExposureNetwork) -> list[Bank]:
    banks = [Bank(float(assets)) for assets in given.external_assets - given.external_liabilities]
    edges = given.exposures.tocoo()
    for creditor, debtor, amount in zip(edges.row.tolist(), edges.col.tolist(), edges.data.tolist(), strict=True):
        banks[creditor].claims[banks[debtor]] = amount
        banks[debtor].liabilities += amount
    for bank in banks:
        bank.face = bank.equity = bank.external + sum(bank.claims.values()) - bank.liabilities
        bank.external *= 0.99
    return banks


def plain_round(banks: list[Bank]) -> None:
    """One round of linear DebtRank over equities."""
    for bank in banks:
        bank.following = bank.external + bank.sum_of_claims() - bank.liabilities
    for bank in banks:
        bank.equity = bank.following


def of_population(accounts: int, repeats: int) -> list[Row]:
    """Rows about accounts; goals are for a million."""
    book = population(accounts)
    legs = len(book.collateral) + len(book.debt)
    scale = accounts / 1_000_000
    rows: list[Row] = []
    whole = timed(book.health, repeats)
    sample = min(PLAIN_ACCOUNTS, accounts)
    plain, prices = plain_accounts(book, sample), dict(enumerate(book.reserves.oracle_price.tolist()))
    thresholds = dict(enumerate(book.reserves.threshold.tolist()))
    slow = timed(lambda: plain_pass(plain, prices, thresholds), 3).cpu * accounts / sample
    rows.append(Row("health of everybody", whole, 15.0 * scale, f"{legs:,} legs; {slow / whole.cpu:,.0f} × plain Python ({slow:,.0f} ms)"))
    tracker = HealthTracker(book)
    for code, name in ((30, "a 30th asset"), (100, "a 100th asset")):
        holders = len(tracker.move_asset(code, 1.0001).accounts)
        tick = timed(lambda code=code: tracker.move_asset(code, 1.0001), 5 * repeats)  # type: ignore[misc]
        rows.append(Row(f"one price tick of {name}", tick, 1.0, f"{holders:,} accounts touched"))
    random = np.random.default_rng(1)
    moves = np.exp(random.normal(-0.1, 0.15, (100, ASSETS)))
    scenarios = book.reserves.oracle_price * moves
    found = timed(lambda: stress(book, scenarios), max(repeats // 2, 2))
    rows.append(Row("100 scenarios × everybody", found, 500.0 * scale, f"{found.wall / 100:.2f} ms each"))
    basket = np.ones(ASSETS)
    basket[:3] = 0.0
    rows.append(Row("static curve, 51 falls", timed(lambda: static_curve(book, basket), 3), None, "exact at every point"))
    impact = ExponentialImpact(np.full(ASSETS, 200.0 * accounts))
    shocked = fallen(book, basket, 0.2)
    done = cascade(book, shocked, impact)
    time_taken = timed(lambda: cascade(book, shocked, impact), max(repeats // 2, 2))
    liquidated = int(np.count_nonzero(done.first_round))
    rows.append(Row("cascade after a fall of 20 %", time_taken, 500.0 * scale, f"{done.rounds} rounds, {liquidated:,} accounts liquidated"))
    megabytes = book.nbytes / 1e6 / scale
    rows.append(Row("memory a million accounts, MB", Time(megabytes, megabytes), 60.0, "columns that an evaluation reads"))
    rows += of_files(book, scale)
    return rows


def of_files(book: Book, scale: float) -> list[Row]:
    """A population out of memory into a file and back, checked."""
    if find_spec("pyarrow") is None:
        return []
    from pyarrow import parquet

    from aggregator.store.book_file import book_from_table, table_of

    buffer = io.BytesIO()
    parquet.write_table(table_of(book), buffer)

    def load() -> Book:
        buffer.seek(0)
        return book_from_table(parquet.read_table(buffer), "memory")

    size = len(buffer.getvalue()) / 1e6 / scale
    return [Row("Parquet to a checked book", timed(load, 2), None, f"{size:.0f} MB a million accounts")]


def of_networks(repeats: int) -> list[Row]:
    """Rows about claims."""
    large, small = claims(NODES, EDGES), claims(SMALL_NODES, SMALL_EDGES)
    rows: list[Row] = []
    shock = large.external_assets * 0.05
    done = clear_quickly(large, shock)
    rows.append(
        Row("Eisenberg–Noe, 100 k nodes", timed(lambda: clear_quickly(large, shock), repeats), 50.0, f"{len(done.defaults):,} defaults")
    )
    impact, first = leverage_matrix(large), np.clip(shock / large.equity, 0.0, 1.0)
    found = linear_debtrank(impact, first)
    rows.append(Row("linear DebtRank, 100 k nodes", timed(lambda: linear_debtrank(impact, first), repeats), 50.0, f"{found.rounds} rounds"))
    banks, sparse = plain_banks(small), leverage_matrix(small)
    loss = np.full(SMALL_NODES, 0.01)
    slow = timed(lambda: plain_round(banks), 5).cpu
    quick = timed(lambda: np.minimum(1.0, loss + sparse @ loss), 20 * repeats)
    rows.append(Row("one round, 10 k nodes", quick, slow / 200.0, f"{slow / quick.cpu:,.0f} × objects in Python ({slow:.1f} ms)"))
    if find_spec("networkx") is not None:
        slower = timed(networkx_round(small), 3)
        rows.append(Row("one round, 10 k nodes, networkx", slower, None, f"{slower.cpu / quick.cpu:,.0f} × slower"))
    thousand = claims(1_000, 10_000)
    rows.append(Row("ranking of 1,000 nodes, 5 models", timed(lambda: rank(thousand), 1), 1_500.0, "every node fails once under each"))
    return rows


def networkx_round(given: ExposureNetwork) -> Callable[[], object]:
    """The same round over a graph's dictionaries."""
    import networkx  # type: ignore[import-untyped, import-not-found, unused-ignore]

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(given)))
    edges = given.exposures.tocoo()
    graph.add_weighted_edges_from(zip(edges.row.tolist(), edges.col.tolist(), edges.data.tolist(), strict=True))
    equity = given.equity.tolist()

    def once() -> dict[int, float]:
        return {
            node: min(1.0, 0.01 + sum(data["weight"] * 0.01 for _, _, data in graph.out_edges(node, data=True)) / equity[node])
            for node in graph
        }

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    print(f"{'milliseconds':<34} {'clock':>10} {'processor':>10} {'goal':>9}")
    for row in [*of_population(given.accounts, given.repeats), *of_networks(given.repeats)]:
        shown = "" if row.goal is None else f"{row.goal:9.2f}"
        late = " !" if row.goal is not None and row.time.wall > row.goal else "  "
        print(f"{row.what:<34} {row.time.wall:10.2f} {row.time.cpu:10.2f} {shown:>9}{late} {row.remark}", flush=True)


if __name__ == "__main__":
    main()
