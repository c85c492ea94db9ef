"""The legs of a population while a simulation changes them, and the accounts that could be liquidated next.

A full pass is made now and then. Between passes only accounts near the line are looked at: the others cannot be liquidated before
prices have moved by more than their distance from it, and then the next full pass is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from aggregator.model.book import Book, BookHealth, Floats, Legs, Mask

MARGIN = 1.15
"""health up to which accounts are looked at between full passes"""
SLACK = 1e-9
"""what rounding may hide of the distance"""


@dataclass(frozen=True, slots=True)
class LegRows:
    """Legs of some accounts, in rows: `owner` is the index into the rows asked for, `place` the leg in the side, `reserve` its reserve."""

    owner: NDArray[np.intp]
    place: NDArray[np.intp]
    reserve: NDArray[np.intp]


class _Near:
    """One side's legs of the accounts near the line: columns for sums by account, rows for single accounts."""

    def __init__(self, side: Legs, amounts: Floats, number: NDArray[np.int32], count: int) -> None:
        rows = number[side.accounts]
        kept = np.flatnonzero(rows >= 0)
        pointers = np.searchsorted(kept, side.pointers).astype(np.int32)
        reserves = len(pointers) - 1
        self.kept, self.amounts = kept, amounts[kept]
        self.columns = csc_array((self.amounts, rows[kept], pointers), shape=(count, reserves), copy=False)
        by_row = csc_array((np.arange(len(kept), dtype=np.int64), rows[kept], pointers), shape=(count, reserves)).tocsr()
        self.pointers, self.places, self.reserves = by_row.indptr.astype(np.intp), by_row.data, by_row.indices

    def sums(self, weights: Floats) -> Floats:
        return np.asarray(self.columns @ weights)

    def legs(self, rows: NDArray[np.intp]) -> LegRows:
        starts = self.pointers[rows]
        lengths = self.pointers[rows + 1] - starts
        owner = np.repeat(np.arange(len(rows)), lengths)
        at = np.arange(len(owner)) - (np.cumsum(lengths) - lengths)[owner] + starts[owner]
        return LegRows(owner, self.places[at].astype(np.intp), self.reserves[at].astype(np.intp))


class Positions:
    """All legs with their current amounts. `accounts`: those near the line, by which results of `near` are indexed."""

    def __init__(self, book: Book, oracle: Floats) -> None:
        self.book = book
        self._sides = (book.collateral, book.debt)
        self._amounts = [side.amounts.copy() for side in self._sides]
        self._used = [np.diff(side.pointers) > 0 for side in self._sides]
        self._used[0] &= book.reserves.threshold > 0.0
        self.accounts: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self.unknown = 0
        self._near: list[_Near] = []
        self._look(oracle)

    @property
    def collateral(self) -> Legs:
        """All collateral as it is now."""
        return self._current(0)

    @property
    def debt(self) -> Legs:
        """All debts as they are now."""
        return self._current(1)

    def _current(self, side: int) -> Legs:
        self._write_back()
        return Legs(self._sides[side].pointers, self._sides[side].accounts, self._amounts[side])

    def _write_back(self) -> None:
        for near, amounts in zip(self._near, self._amounts, strict=False):
            amounts[near.kept] = near.amounts

    def _look(self, oracle: Floats) -> None:
        """A full pass: who is near the line at these prices."""
        self._write_back()
        book, sides = self.book, [self._current(0), self._current(1)]
        health = BookHealth(book.sums(sides[0], book.reserves.counted(oracle)), book.sums(sides[1], oracle))
        self.unknown = int(np.count_nonzero(health.unknown))
        self.accounts = np.flatnonzero((health.debt > 0.0) & ~(health.weighted >= MARGIN * health.debt) & ~health.unknown)
        number = np.full(book.size, -1, dtype=np.int32)
        number[self.accounts] = np.arange(len(self.accounts), dtype=np.int32)
        self._near = [_Near(side, side.amounts, number, len(self.accounts)) for side in sides]
        self._looked_at = oracle.copy()

    def near(self, oracle: Floats) -> BookHealth:
        """Health of `accounts` at these prices; nobody else can be below 1."""
        if not self._clear(oracle):
            self._look(oracle)
        weighted = self._near[0].sums(self.book.reserves.counted(oracle))
        return BookHealth(weighted, self._near[1].sums(oracle))

    def _clear(self, oracle: Floats) -> bool:
        """Whether no account beyond the margin can have come to the line since the last full pass."""
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = np.where(oracle == self._looked_at, 1.0, oracle / self._looked_at)
        if (np.isnan(moves) & (np.isnan(oracle) != np.isnan(self._looked_at))).any():
            return False
        lowest = np.nanmin(np.where(self._used[0], moves, 1.0), initial=1.0)
        highest = np.nanmax(np.where(self._used[1], moves, 1.0), initial=1.0)
        return bool(MARGIN * lowest >= highest * (1.0 + SLACK))

    def exactly_below(self, rows: NDArray[np.intp], oracle: Floats) -> Mask:
        """Which of some of `accounts` (by their index) owe more than their weighted collateral, exact over the columns' own values."""
        sides = (self.collateral_legs(rows), self.debt_legs(rows))
        margins = [Fraction(0)] * len(rows)
        for (legs, amounts), sign in zip(sides, (1, -1), strict=True):
            threshold = self.book.reserves.threshold[legs.reserve] if sign > 0 else np.ones(len(amounts))
            columns = (legs.owner.tolist(), amounts.tolist(), oracle[legs.reserve].tolist(), threshold.tolist())
            for owner, amount, price, share in zip(*columns, strict=True):
                if share:
                    margins[owner] += sign * Fraction(amount) * Fraction(price) * Fraction(share)
        return np.array([margin < 0 for margin in margins], dtype=np.bool_)

    def collateral_legs(self, rows: NDArray[np.intp]) -> tuple[LegRows, Floats]:
        """Collateral of some of `accounts` (by their index), and the amounts it stands for."""
        legs = self._near[0].legs(rows)
        return legs, self._near[0].amounts[legs.place]

    def debt_legs(self, rows: NDArray[np.intp]) -> tuple[LegRows, Floats]:
        """Debts of some of `accounts` (by their index), and their amounts."""
        legs = self._near[1].legs(rows)
        return legs, self._near[1].amounts[legs.place]

    def set_collateral(self, legs: LegRows, amounts: Floats) -> None:
        """Change collateral that `collateral_legs` gave."""
        self._near[0].amounts[legs.place] = amounts

    def set_debt(self, legs: LegRows, amounts: Floats) -> None:
        """Change debts that `debt_legs` gave."""
        self._near[1].amounts[legs.place] = amounts

    def totals(self, side: Legs) -> Floats:
        """Σ of amounts by reserve."""
        return np.bincount(side.reserves(), side.amounts, len(self.book.reserves)).astype(np.float64, copy=False)
