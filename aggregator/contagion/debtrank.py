"""DebtRank: distress that is passed on before anybody defaults, h in 0…1 the share of a node's equity that is lost.

impact[i, j] is the loss of i when j is lost whole, as a share of i's equity (`leverage_matrix` of a network). Battiston et al., "DebtRank",
Scientific Reports 2 (2012); Bardoscia et al., PLoS ONE 10 (2015) for the linear, 11 (2016) for the non-linear dynamics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.sparse.linalg import spsolve

from aggregator.contagion.network import spectral_radius
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

TOLERANCE = 1e-13
MAXIMUM_ROUNDS = 100_000


@dataclass(frozen=True, slots=True)
class Distress:
    """`loss`: share of equity lost (n) or (n × shocks), the shock included; `rounds` until it stood still."""

    loss: Floats
    rounds: int
    converged: bool


def linear_debtrank(impact: csr_array[np.float64], shock: Floats) -> Distress:
    """h(t+1) = min(1, h(t) + impact·(h(t) − h(t−1))) from h(1) = shock: every loss is passed on, again and again."""
    return _spread(impact, shock, lambda loss: loss)


def linear_response(impact: csr_array[np.float64], shock: Floats) -> Floats:
    """min(1, (I − impact)⁻¹·shock): the limit of linear DebtRank where no node is lost whole on the way.

    Beyond that it goes on passing losses that a lost node no longer has, and is an upper bound. InputError where the spectral radius is
    1 or more: then losses grow without end and there is no such limit.
    """
    first = _checked(impact, shock)
    radius = spectral_radius(impact)
    if radius >= 1.0:
        raise InputError(f"losses passed on grow without end: the spectral radius of the impacts is {radius:.6g}, expected below 1")
    return np.minimum(1.0, spsolve(csc_array(eye_array(impact.shape[0]) - impact), first))


def non_linear_debtrank(impact: csr_array[np.float64], shock: Floats, alpha: float) -> Distress:
    """The same with the default probability h·exp(alpha·(h − 1)) passed on instead of h; alpha ≥ 0."""
    if not (np.isfinite(alpha) and alpha >= 0.0):
        raise InputError(f"alpha of non-linear DebtRank is {alpha:g}; expected 0 or more")
    return _spread(impact, shock, lambda loss: loss * np.exp(alpha * (loss - 1.0)))


def original_debtrank(impact: csr_array[np.float64], shock: Floats) -> Distress:
    """The algorithm of 2012: every node passes its distress on once, in the round after it was first distressed."""
    loss = _checked(impact, shock).copy()
    active, spent = loss > 0.0, np.zeros(loss.shape, dtype=np.bool_)
    rounds = 0
    while active.any():
        rounds += 1
        loss = np.minimum(1.0, loss + impact @ np.where(active, loss, 0.0))
        spent |= active
        active = (loss > 0.0) & ~spent
    return Distress(loss, rounds, True)


def stable(impact: csr_array[np.float64]) -> bool:
    """Whether small losses die out as they are passed on: the spectral radius of the impacts is below 1."""
    return spectral_radius(impact) < 1.0


def _spread(impact: csr_array[np.float64], shock: Floats, passed_on: Callable[[Floats], Floats]) -> Distress:
    """h = min(1, shock + impact·f(h)) from below: the increments of the definition, added up."""
    first = _checked(impact, shock)
    loss, previous = first, np.inf
    for rounds in range(1, MAXIMUM_ROUNDS + 1):
        following = np.minimum(1.0, first + impact @ passed_on(loss))
        change = float(np.max(following - loss))
        loss = following
        ratio = change / previous
        if change <= 0.0 or (ratio < 1.0 and change / (1.0 - ratio) <= TOLERANCE):
            return Distress(loss, rounds, True)
        previous = change
    return Distress(loss, MAXIMUM_ROUNDS, False)


def _checked(impact: csr_array[np.float64], shock: Floats) -> Floats:
    loss = np.asarray(shock, dtype=np.float64)
    if loss.shape[0] != impact.shape[0]:
        raise InputError(f"a shock for {loss.shape[0]} nodes; the network has {impact.shape[0]}")
    if not ((loss >= 0.0) & (loss <= 1.0)).all():
        raise InputError("a shock is the share of equity lost, 0 to 1 for every node")
    return loss
