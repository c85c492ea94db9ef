"""A population whose every asset has a market price to move from: the oracle's where no market gave one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.evidence import Evidence
from aggregator.model.book import Book


def own_reserve(book: Book) -> NDArray[np.intp]:
    """A reserve of each asset, to take an oracle price from; 0 for an asset that only prices others."""
    result = np.zeros(len(book.assets), dtype=np.intp)
    result[book.reserves.asset[::-1]] = np.arange(len(book.reserves))[::-1]
    return result


def priced(book: Book) -> Book:
    """The book with missing market prices filled by oracles'; itself where none is missing, or none can be filled."""
    missing = np.isnan(book.prices)
    if not missing.any() or len(book.reserves) == 0:
        return book
    place = own_reserve(book)
    oracle = np.where(book.reserves.asset[place] == np.arange(len(book.assets)), book.reserves.oracle_price[place], np.nan)
    return replace(book, prices=np.where(missing, oracle, book.prices))


def priced_by_oracles(before: Book) -> Evidence:
    """Which market prices an oracle's stand for: named, without taking from what is known."""
    missing = np.flatnonzero(np.isnan(before.prices) & ~np.isnan(priced(before).prices))
    return Evidence(1.0, tuple(f"market price of {before.assets[int(code)].symbol}, for which its oracle's was taken" for code in missing))
