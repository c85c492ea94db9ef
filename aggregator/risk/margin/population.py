"""The same method over many books in one pass: a requirement each, as if they had been asked one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from aggregator.risk.margin.interface import IntArray, Kind, MarginBook, MarginModel
from aggregator.risk.margin.market import Array, Market

P = TypeVar("P")


class PopulationModel(MarginModel[P], Protocol[P]):
    """A method that margins numbered accounts in one pass."""

    def parts(self, book: MarginBook, market: Market, parameters: P, kind: Kind, accounts: IntArray) -> Array:
        """(n,) parts of the requirement of every account."""


def requirements(model: PopulationModel[P], books: Sequence[MarginBook], market: Market, parameters: P, kind: Kind) -> Array:
    """Requirement of each book in USD, shape (len(books),). What the model refuses of one book it refuses of all."""
    holdings = tuple(holding for book in books for holding in book.holdings)
    if not holdings:
        return np.zeros(len(books))
    accounts = np.repeat(np.arange(len(books), dtype=np.int64), [len(book) for book in books])
    parts = model.parts(MarginBook(holdings), market, parameters, kind, accounts)
    return np.asarray(np.bincount(accounts, weights=parts, minlength=len(books)), dtype=np.float64)
