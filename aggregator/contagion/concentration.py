"""How much hangs on how few: by wallet, protocol, oracle, bridge, curator or ultimate underlying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.model.book import Book, Floats
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class Concentration:
    """`herfindahl`: Σ of squared shares, 1/n for n equal parts and 1 for a single one. `top_shares`: share of the largest 1, 2, 3 …

    `holders` counts those with something. NaN and an empty tuple where nobody has anything.
    """

    herfindahl: float
    top_shares: tuple[float, ...]
    gini: float
    holders: int

    @property
    def effective_number(self) -> float:
        """Number of equal parts with the same Herfindahl index."""
        return 1.0 / self.herfindahl


def concentration(amounts: Floats, codes: NDArray[np.integer] | None = None, top: int = 10) -> Concentration:
    """Concentration of amounts ≥ 0, summed by code first where codes are given; what is NaN is left out. InputError for a negative one."""
    if (amounts < 0.0).any():
        raise InputError("concentration of an amount below zero has no meaning")
    known = np.nan_to_num(amounts)
    held = known if codes is None else np.bincount(codes, known).astype(np.float64, copy=False)
    held = np.sort(held[held > 0.0])[::-1]
    if len(held) == 0:
        return Concentration(np.nan, (), np.nan, 0)
    shares = held / held.sum()
    ranks = np.arange(len(held), 0, -1)
    gini = float((2.0 * (ranks * shares).sum() - (len(held) + 1)) / len(held))
    return Concentration(float((shares * shares).sum()), tuple(np.cumsum(shares)[:top].tolist()), gini, len(held))


def lorenz(amounts: Floats) -> Floats:
    """Share of the total that the smallest k of n hold, k = 0 … n."""
    held = np.sort(np.nan_to_num(amounts))
    running = np.concatenate([[0.0], np.cumsum(held)])
    return running / running[-1] if running[-1] > 0.0 else running


def debt_concentration(book: Book, top: int = 10) -> Concentration:
    """Concentration of debt over owners, all their accounts together; over accounts where the book carries no owners."""
    debt = book.health().debt
    if book.owners is None:
        return concentration(debt, top=top)
    width = book.owners.dtype.itemsize
    _, codes = np.unique(np.ascontiguousarray(book.owners).view(f"S{width}"), return_inverse=True)
    return concentration(debt, codes, top)
