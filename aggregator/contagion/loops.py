"""Leverage that looks like a deposit: accounts that owe what their collateral is made of, borrowed and deposited again and again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from aggregator.model.book import Book, Floats, Mask
from aggregator.model.errors import InputError

MAJORITY = 0.5
"""share of an account's collateral, and of its debt, that must have the same underlying"""


@dataclass(frozen=True, slots=True)
class LoopedAccounts:
    """By account; USD at oracle prices, NaN and −1 where an account is not looped.

    `underlying`: what both its collateral and its debt are made of; `loan_to_value` and `leverage` (collateral over equity) of the whole
    account; `turns`: the fewest times of borrowing up to the threshold and depositing again that give this leverage; `drop`: fall of the
    collateral against the debt that brings health to 1; `equity_lost`: what that fall takes of the equity.
    """

    underlying: NDArray[np.int64]
    collateral: Floats
    debt: Floats
    loan_to_value: Floats
    leverage: Floats
    turns: Floats
    drop: Floats
    equity_lost: Floats

    @property
    def looped(self) -> Mask:
        result: Mask = self.underlying >= 0
        return result

    @property
    def gross(self) -> float:
        """Collateral in loops, USD: what deposits look like."""
        return float(self.collateral[self.looped].sum())

    @property
    def real(self) -> float:
        """Equity in loops, USD: what was brought."""
        return float((self.collateral - self.debt)[self.looped].sum())


def looped_accounts(book: Book, underlying: NDArray[np.integer], oracle_prices: Floats | None = None) -> LoopedAccounts:
    """Accounts in a loop. `underlying`: by asset code, the code of what it is made of in the end (its own for a plain asset)."""
    if len(underlying) != len(book.assets):
        raise InputError(f"underlyings are given for {len(underlying)} of {len(book.assets)} assets")
    reserves = book.reserves
    oracle = reserves.oracle_price if oracle_prices is None else oracle_prices
    groups = int(underlying.max()) + 1 if len(underlying) else 0
    into = csr_array((np.ones(len(reserves)), (np.arange(len(reserves)), underlying[reserves.asset])), shape=(len(reserves), groups))
    worth = csr_array(book.collateral.matrix(book.size).tocsr().multiply(reserves.seizable(oracle)[None, :]) @ into)
    owed = csr_array(book.debt.matrix(book.size).tocsr().multiply(oracle[None, :]) @ into)
    health = book.health(oracle)
    debt, collateral = health.debt, book.sums(book.collateral, reserves.seizable(oracle))
    group = _common(worth, owed, collateral, debt)
    looped = (group >= 0) & (debt > 0.0) & (collateral > debt) & ~health.unknown
    with np.errstate(divide="ignore", invalid="ignore"):
        ltv, threshold = debt / collateral, health.weighted / collateral
        leverage = collateral / (collateral - debt)
        turns = np.log1p(-leverage * (1.0 - threshold)) / np.log(threshold) - 1.0
        drop = 1.0 - ltv / threshold
    columns = [np.where(looped, column, np.nan) for column in (ltv, leverage, np.maximum(turns, 0.0), drop, leverage * drop)]
    return LoopedAccounts(np.where(looped, group, -1), collateral, debt, columns[0], columns[1], columns[2], columns[3], columns[4])


def _common(worth: csr_array[np.float64], owed: csr_array[np.float64], collateral: Floats, debt: Floats) -> NDArray[np.int64]:
    """The underlying that makes up most of both sides of each account, −1 where none does."""
    result = np.full(len(collateral), -1, dtype=np.int64)
    sides = []
    for matrix, total in ((worth, collateral), (owed, debt)):
        entries = matrix.tocoo()
        with np.errstate(invalid="ignore"):
            most = entries.data > MAJORITY * total[entries.row]
        main = np.full(len(total), -1, dtype=np.int64)
        main[entries.row[most]] = entries.col[most]
        sides.append(main)
    same = (sides[0] == sides[1]) & (sides[0] >= 0)
    result[same] = sides[0][same]
    return result
