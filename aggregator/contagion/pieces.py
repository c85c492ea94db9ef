"""A valuation bound to its balance sheets, and the linear system of the pieces that its debtors are on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, diags_array, eye_array
from scipy.sparse.linalg import splu

from aggregator.contagion.valuation import Sheet, Valuation
from aggregator.model.book import Floats

DIRECT_UP_TO = 300
"""unknowns up to which a single system is solved directly"""
KRYLOV_STEPS = 60
RESIDUAL = 1e-15
"""of each node's balance sheet, at which the approach ends"""
ON_THE_PIECE = 1e-11
"""difference in value within which a debtor counts as on its piece"""


@dataclass(frozen=True, slots=True)
class Failure:
    """In shock k, claims on node nodes[k] pay at most `pays` of their face value, whatever its equity."""

    nodes: NDArray[np.intp]
    pays: float = 0.0


class Model:
    """A valuation with its balance sheets, and with one claim a shock held down where nodes fail."""

    def __init__(self, valuation: Valuation, sheet: Sheet, failure: Failure | None) -> None:
        self._valuation, self._sheet = valuation, sheet
        self._place = None if failure is None else (failure.nodes, np.arange(len(failure.nodes)))
        self._pays = 1.0 if failure is None else failure.pays

    def value(self, equity: Floats) -> Floats:
        """Value of a claim on each node, a column a shock."""
        values = self._valuation.value(equity, self._sheet)
        if self._place is not None:
            values[self._place] = np.minimum(values[self._place], self._pays)
        return values

    def slope(self, equity: Floats) -> Floats | None:
        """Change of value by equity; None where the model is not piecewise linear."""
        slopes = self._valuation.slope(equity, self._sheet)
        if slopes is not None and self._place is not None:
            held = self._valuation.value(equity, self._sheet)[self._place] > self._pays
            slopes[self._place] = np.where(held, 0.0, slopes[self._place])
        return slopes

    def moving(self, equity: Floats) -> int:
        """How many values move with equity, over all shocks; 0 where the model has no pieces."""
        slopes = self.slope(equity)
        return 0 if slopes is None else int(np.count_nonzero(slopes))


def solve_pieces(exposures: csr_array[np.float64], model: Model, base: Floats, equity: Floats, per_size: Floats) -> Floats | None:
    """The equities of the linear pieces that hold now (n × shocks), for those shocks whose solution lies below and on the same pieces;
    the others as they are. None where no shock's does, or the model has no pieces."""
    slopes = model.slope(equity)
    if slopes is None:
        return None
    values = model.value(equity)
    right = base + exposures @ (values - slopes * equity)
    solved = _direct(exposures, slopes, right) if equity.shape == (len(equity), 1) and len(equity) <= DIRECT_UP_TO else None
    if solved is None:
        solved = _approach(exposures, slopes, right, equity, per_size)
    slopes_there = model.slope(solved)
    assert slopes_there is not None
    off = np.abs(model.value(solved) - (values + slopes * (solved - equity)))
    fits = ((solved - equity) * per_size <= 1e-12) & (slopes_there == slopes) & (off <= ON_THE_PIECE)
    whole = fits.all(axis=0)
    return np.where(whole, solved, equity) if whole.any() else None


def _direct(exposures: csr_array[np.float64], slopes: Floats, right: Floats) -> Floats | None:
    """x = right + exposures·(slope·x), solved on the nodes whose value moves; None where the system is singular (nothing is lost)."""
    moving = np.flatnonzero(slopes[:, 0])
    matrix = exposures[:, moving] @ diags_array(slopes[moving, 0])
    inner = csc_array(eye_array(len(moving)) - matrix[moving])
    try:
        found = splu(inner).solve(right[moving, 0]) if len(moving) else np.zeros(0)
    except RuntimeError:
        return None
    return np.asarray(right[:, 0] + matrix @ found)[:, None]


def _approach(exposures: csr_array[np.float64], slopes: Floats, right: Floats, start: Floats, per_size: Floats) -> Floats:
    """The same for all shocks side by side, by stabilised bi-conjugate gradients (van der Vorst 1992); the best found in KRYLOV_STEPS."""

    def apply(vector: Floats) -> Floats:
        return np.asarray(vector - exposures @ (slopes * vector))

    def dot(one: Floats, other: Floats) -> Floats:
        return np.asarray(np.einsum("ij,ij->j", one, other))

    def ratio(one: Floats, other: Floats) -> Floats:
        return np.divide(one, other, out=np.zeros_like(one), where=other != 0.0)

    solution = start.copy()
    residual = right - apply(solution)
    shadow, direction = residual.copy(), residual.copy()
    strength = dot(shadow, residual)
    for _ in range(KRYLOV_STEPS):
        if float((np.abs(residual) * per_size).max()) <= RESIDUAL:
            break
        moved = apply(direction)
        step = ratio(strength, dot(shadow, moved))
        half = residual - step * moved
        turned = apply(half)
        weight = ratio(dot(turned, half), dot(turned, turned))
        solution = solution + step * direction + weight * half
        residual = half - weight * turned
        following = dot(shadow, residual)
        direction = residual + ratio(following, strength) * ratio(step, weight) * (direction - weight * moved)
        strength = following
    return solution
