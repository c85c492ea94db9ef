"""Health of a whole population as prices move: one change at a time, and many scenarios at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from aggregator.contagion.rows import Rows
from aggregator.model.book import Book, BookHealth, Codes, Floats, Legs
from aggregator.model.errors import InputError

REFRESH_AFTER = 10_000
"""price changes after which sums are taken afresh, so that rounding of single steps cannot add up"""
ROW_BLOCK = 1_024
SCENARIO_BLOCK = 128
"""block sizes that keep a block's sums in the second-level cache"""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one price change did. `accounts`: those that hold or owe the asset, ascending, with their health before and after."""

    accounts: Codes
    before: Floats
    after: Floats

    @property
    def breached(self) -> Codes:
        """Accounts that became liquidatable."""
        return self.accounts[(self.after < 1.0) & ~(self.before < 1.0)]

    @property
    def recovered(self) -> Codes:
        """Accounts that are no longer liquidatable."""
        return self.accounts[(self.before < 1.0) & (self.after >= 1.0)]


class HealthTracker:
    """Health of all accounts, kept current price by price.

    A change costs what the accounts that touch the asset cost. Sums are corrected by differences and taken afresh every REFRESH_AFTER
    changes; against a full pass they stay within 1e-12 of an account's own collateral and debt.
    """

    def __init__(self, book: Book, oracle_prices: Floats | None = None) -> None:
        self._book = book
        self._prices = np.array(book.reserves.oracle_price if oracle_prices is None else oracle_prices, dtype=np.float64)
        self._by_price = [np.flatnonzero(book.reserves.priced_by == code) for code in range(len(book.assets))]
        self._accounts: dict[bytes, Codes] = {}
        self._changes = 0
        self._health = book.health(self._prices)

    @property
    def health(self) -> BookHealth:
        """The current state; the arrays are the tracker's own and change with the next price."""
        return self._health

    @property
    def prices(self) -> Floats:
        """Current oracle price of every reserve (a copy)."""
        return self._prices.copy()

    def move_asset(self, asset: int, factor: float) -> Tick:
        """Multiply the oracle price of every reserve that follows this asset; InputError for a factor that is not a positive number."""
        if not (np.isfinite(factor) and factor >= 0.0):
            raise InputError(f"a price move of {self._book.assets[asset].symbol} is {factor:g}; expected a factor of 0 or more")
        reserves = self._by_price[asset]
        return self.set_reserves(reserves, self._prices[reserves] * factor)

    def set_reserves(self, reserves: NDArray[np.intp], prices: Floats) -> Tick:
        """Give some reserves new oracle prices, NaN for one that is not known any more."""
        book, old = self._book, self._prices[reserves]
        accounts = self._touched(reserves)
        before = self._factors(accounts)
        self._prices[reserves] = prices
        self._changes += len(reserves)
        if self._changes >= REFRESH_AFTER or np.isnan(old).any() or np.isnan(prices).any():
            self._changes = 0
            self._health = book.health(self._prices)
        else:
            threshold = book.reserves.threshold
            for reserve, step in zip(reserves.tolist(), (prices - old).tolist(), strict=True):
                _add(self._health.weighted, book.collateral, reserve, step * float(threshold[reserve]))
                _add(self._health.debt, book.debt, reserve, step)
        return Tick(accounts, before, self._factors(accounts))

    def _touched(self, reserves: NDArray[np.intp]) -> Codes:
        """Accounts with a leg in any of the reserves, each once; kept for the next time."""
        key = reserves.tobytes()
        if key not in self._accounts:
            sides = (self._book.collateral, self._book.debt)
            found = [side.accounts[side.of(reserve)] for reserve in reserves.tolist() for side in sides]
            marked = np.zeros(self._book.size, dtype=np.bool_)
            for accounts in found:
                marked[accounts] = True
            self._accounts[key] = np.flatnonzero(marked).astype(np.int32)
        return self._accounts[key]

    def _factors(self, accounts: Codes) -> Floats:
        return BookHealth(self._health.weighted.take(accounts), self._health.debt.take(accounts)).factor


def _add(sums: Floats, side: Legs, reserve: int, step: float) -> None:
    place = side.of(reserve)
    if step != 0.0 and place.stop > place.start:
        np.add.at(sums, side.accounts[place], side.amounts[place] * step)


@dataclass(frozen=True, slots=True)
class Stress:
    """Totals of each scenario, arrays of length S, in USD at the scenario's oracle prices.

    `unknown` counts accounts that could not be judged in the scenario: where it is not 0, the other figures are lower bounds.
    """

    liquidatable_accounts: NDArray[np.int64]
    liquidatable_debt: Floats
    collateral_at_risk: Floats
    bad_debt: Floats
    unknown: NDArray[np.int64]


def stress(book: Book, oracle_prices: Floats) -> Stress:
    """Static figures of many scenarios: `oracle_prices` has a row a scenario and a column a reserve.

    Liquidatable debt: debt of accounts with health below 1. Collateral at risk: their collateral. Bad debt: what is left of their debt
    when all their collateral is seized at its bonus.
    """
    scenarios = np.ascontiguousarray(np.atleast_2d(oracle_prices).T)
    if scenarios.shape[0] != len(book.reserves):
        raise InputError(f"scenarios give {scenarios.shape[0]} oracle prices; the book has {len(book.reserves)} reserves")
    if (scenarios < 0.0).any() or np.isinf(scenarios).any():
        raise InputError("a scenario has a negative or infinite oracle price")
    threshold, bonus = book.reserves.threshold[:, None], book.reserves.bonus[:, None]
    seizable = np.where(threshold == 0.0, 0.0, scenarios)
    counted = seizable * threshold
    rows = _possible(book, counted, scenarios)
    weights = (counted, seizable / (1.0 + bonus), seizable, scenarios)
    sides = tuple(Rows.of(side, rows, book.size).matrix for side in (book.collateral, book.debt))
    chunks = [slice(first, first + SCENARIO_BLOCK) for first in range(0, scenarios.shape[1], SCENARIO_BLOCK)]
    parts = [(chunk, [np.ascontiguousarray(weight[:, chunk]) for weight in weights]) for chunk in chunks]

    def of_block(start: int) -> Floats:
        collateral, debt = (_slice(side, start) for side in sides)
        return np.concatenate([_block(collateral, debt, own) for _, own in parts], axis=1)

    totals = np.zeros((5, scenarios.shape[1]))
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        for found in workers.map(of_block, range(0, len(rows), ROW_BLOCK)):  # in the order of the blocks, whoever is done first
            totals += found
    counts = np.rint(totals[[0, 4]]).astype(np.int64)
    return Stress(counts[0], totals[1], totals[2], totals[3], counts[1])


def _possible(book: Book, counted: Floats, prices: Floats) -> NDArray[np.intp]:
    """Accounts that some scenario could breach or leave unknown: the worst price of every leg at once does not clear them."""
    health = BookHealth(book.sums(book.collateral, counted.min(axis=1)), book.sums(book.debt, prices.max(axis=1)))
    slack = 1e-12 * health.debt
    return np.flatnonzero(~(health.weighted >= health.debt + slack) & (health.debt != 0.0))


def _slice(matrix: csr_array[np.float64], start: int) -> csr_array[np.float64]:
    pointers = matrix.indptr[start : start + ROW_BLOCK + 1]
    legs = slice(int(pointers[0]), int(pointers[-1]))
    return csr_array((matrix.data[legs], matrix.indices[legs], pointers - pointers[0]), shape=(len(pointers) - 1, matrix.shape[1]))


def _block(collateral: csr_array[np.float64], debt: csr_array[np.float64], weights: list[Floats]) -> Floats:
    """(accounts, debt, collateral, bad debt, unknown) of one block of accounts, a column a scenario."""
    margin, owed = np.asarray(collateral @ weights[0]), np.asarray(debt @ weights[3])
    margin -= owed
    columns = margin.shape[1]
    breached = np.flatnonzero(margin < 0.0)
    column = breached % columns
    short = owed.ravel()[breached]
    totals = np.zeros((5, columns))
    totals[0] = np.bincount(column, minlength=columns)
    totals[1] = np.bincount(column, short, columns)
    totals[2] = np.bincount(column, np.asarray(collateral @ weights[2]).ravel()[breached], columns)
    short -= np.asarray(collateral @ weights[1]).ravel()[breached]
    totals[3] = np.bincount(column, np.maximum(short, 0.0), columns)
    if np.isnan(margin.sum()):
        totals[4] = np.count_nonzero(np.isnan(margin), axis=0)
    return totals
