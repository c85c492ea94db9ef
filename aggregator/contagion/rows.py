"""Some accounts of a book as rows: the other order of the same legs, for work on few accounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

from aggregator.model.book import Floats, Legs


@dataclass(frozen=True, slots=True)
class Rows:
    """One side's legs of chosen accounts, in rows: `matrix` has a row an account and a column a reserve."""

    matrix: csr_array[np.float64]

    @staticmethod
    def of(side: Legs, accounts: NDArray[np.integer], count: int) -> Rows:
        """Legs of the accounts (ascending) out of a side of `count` accounts."""
        return Rows(chosen(side, accounts, count).tocsr())

    def legs(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(row index into `rows`, place in the matrix's data) of all legs of some rows, in order."""
        pointers = self.matrix.indptr
        starts = pointers[rows].astype(np.intp)
        lengths = pointers[rows + 1].astype(np.intp) - starts
        owner = np.repeat(np.arange(len(rows)), lengths)
        before = np.cumsum(lengths) - lengths
        return owner, np.arange(len(owner)) - before[owner] + starts[owner]

    def sums(self, rows: NDArray[np.integer], weights: Floats) -> Floats:
        """Σ amount · weight of the reserve for some rows."""
        owner, place = self.legs(rows)
        return np.bincount(owner, self.matrix.data[place] * weights[self.matrix.indices[place]], len(rows)).astype(np.float64, copy=False)


def chosen(side: Legs, accounts: NDArray[np.integer], count: int) -> csc_array[np.float64]:
    """A side's columns restricted to some accounts (ascending), renumbered 0, 1, 2 …"""
    if len(accounts) == count:
        return side.matrix(count)
    number = np.full(count, -1, dtype=np.int32)
    number[accounts] = np.arange(len(accounts), dtype=np.int32)
    rows = number[side.accounts]
    kept = rows >= 0
    ends = np.concatenate([[0], np.cumsum(kept)])[side.pointers]
    return csc_array((side.amounts[kept], rows[kept], ends.astype(np.int32)), shape=(len(accounts), len(side.pointers) - 1))
