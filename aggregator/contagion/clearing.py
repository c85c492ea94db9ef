"""Clearing payments after Eisenberg and Noe, and with default costs after Rogers and Veraart.

Everybody pays what is due, or what there is shared out by what is owed; of several solutions the greatest is taken. The exact way is
fictitious default: whoever could not pay even if all others did defaults; what the defaulters pay then is one linear system; whoever
that drags along defaults next; after at most n systems nobody new does.

Eisenberg, Noe, "Systemic risk in financial systems", Management Science 47 (2001); Rogers, Veraart, "Failure and rescue in an interbank
network", Management Science 59 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, diags_array, eye_array
from scipy.sparse.linalg import splu

from aggregator.contagion.equilibrium import equilibrium
from aggregator.contagion.evidence import Evidence
from aggregator.contagion.network import ExposureNetwork
from aggregator.contagion.valuation import EisenbergNoe, RogersVeraart, Valuation
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

SYSTEM_UP_TO = 1_000
"""defaulters up to which fictitious default solves its linear systems; above that the iteration's own fixed point is used"""
SETTLED = 1e-14
"""distance to the limit, relative to the largest payment, at which the iteration ends"""
AGREEMENT = 1e-9
"""relative distance within which a solution of a linear system has to solve it: one that is nearly singular gives anything"""
ROUNDING = 1e-15
"""share of what is added up within which a node counts as able to pay: less than any cent of it is rounding"""


@dataclass(frozen=True, slots=True)
class Clearing:
    """`payments`: USD that each node pays in all, to the network and to others; `defaults`: codes of those that pay less than is due;
    `waves`: the round of fictitious default in which each node fails, 0 for those that never do."""

    payments: Floats
    due: Floats
    defaults: NDArray[np.intp]
    waves: NDArray[np.intp]
    rounds: int
    evidence: Evidence

    @property
    def shortfall(self) -> Floats:
        """What creditors of each node do not get."""
        return self.due - self.payments


def clear(
    network: ExposureNetwork, shock: Floats | None = None, alpha: float = 1.0, beta: float = 1.0, *, senior: bool = False
) -> Clearing:
    """Greatest clearing payments; `alpha`, `beta` are what a default leaves of external and of network assets.

    With `senior`, external creditors are paid first and `payments` are to the network alone. InputError for a share outside 0…1 or an
    unfit shock.
    """
    if not (0.0 <= alpha <= 1.0 and 0.0 <= beta <= 1.0):
        raise InputError(f"what a default leaves is a share of 0 to 1, not {alpha:g} and {beta:g}")
    taken = np.zeros(len(network)) if shock is None else np.asarray(shock, dtype=np.float64)
    if taken.shape != (len(network),) or not np.isfinite(taken).all():
        raise InputError(f"a shock is a finite amount for each of the {len(network)} nodes")
    assets, external = np.nan_to_num(network.external_assets) - taken, np.nan_to_num(network.external_liabilities)
    network_due = network.interbank_liabilities
    due = network_due if senior else network_due + external
    first = external if senior else np.zeros(len(network))
    return _fictitious_default(network, assets, first, due, alpha, beta)


def _fictitious_default(network: ExposureNetwork, assets: Floats, first: Floats, due: Floats, alpha: float, beta: float) -> Clearing:
    """Waves of defaults, each with what its defaulters pay; `first` is paid out of assets before the rest."""
    count = len(network)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_due = np.where(due > 0.0, 1.0 / due, 0.0)
    waves = np.zeros(count, dtype=np.intp)
    paid = due.copy()
    for wave in range(1, count + 2):
        inflow = np.asarray(network.exposures @ (paid * per_due))
        fresh = (waves == 0) & (assets - first + inflow < due - ROUNDING * (np.abs(assets) + inflow + due))
        if not fresh.any():
            return Clearing(paid, due, np.flatnonzero(waves), waves, wave - 1, network.evidence())
        waves[fresh] = wave
        failed = np.flatnonzero(waves)
        own = alpha * assets[failed] - first[failed]
        paid[failed] = _paid_by(network, failed, own, beta, paid, per_due, due)
    raise AssertionError("more waves of defaults than nodes")


def _paid_by(
    network: ExposureNetwork, failed: NDArray[np.intp], own: Floats, beta: float, paid: Floats, per_due: Floats, due: Floats
) -> Floats:
    """What the failed nodes pay: max(0, own + beta · what comes in), the greatest solution; the others pay what is due."""
    rows = network.exposures[failed]
    others = paid * per_due
    others[failed] = 0.0
    own = own + beta * (rows @ others)
    among = rows[:, failed] @ diags_array(per_due[failed] * beta)
    if len(failed) > SYSTEM_UP_TO:
        return _iterated(among, own, paid[failed])
    found = _solved(among, own, np.ones(len(failed), dtype=np.bool_))
    if found is None:
        # a closed circle leaves that without a solution: look upwards, from those that pay out of their own
        found = _solved(among, own, own > 0.0)
        found = found if found is not None and _only(among, own, found) else None
    if found is None or (found > due[failed] * (1.0 + AGREEMENT)).any():
        return _iterated(among, own, paid[failed])
    return np.minimum(found, due[failed])


def _only(among: csr_array[np.float64], own: Floats, found: Floats) -> bool:
    """Whether a solution of x = max(0, own + among·x) is the only one: a larger one would have to circulate among nodes that pass
    everything on to one another and that are held at nothing by no shortage."""
    left = np.flatnonzero(found - (own + among @ found) <= AGREEMENT * (np.abs(own) + among @ found))
    while len(left):
        passed_on: Floats = np.asarray(among[left][:, left].sum(axis=0)).ravel()
        kept = passed_on >= 1.0 - AGREEMENT
        if kept.all():
            return False
        left = left[kept]
    return True


def _solved(among: csr_array[np.float64], own: Floats, paying: NDArray[np.bool_]) -> Floats | None:
    """A solution of x = max(0, own + among·x) by linear systems on those that pay; None where there is none on the way, or it does not
    solve what it should."""
    for _ in range(len(own) + 2):
        kept = np.flatnonzero(paying)
        found = np.zeros(len(own))
        if len(kept):
            try:
                found[kept] = splu(csc_array(eye_array(len(kept)) - among[kept][:, kept])).solve(own[kept])
            except RuntimeError:
                return None
        there = own + among @ found
        paying = there > 0.0
        if np.array_equal(np.flatnonzero(paying), kept):
            found = np.maximum(found, 0.0)
            off = np.abs(found - np.maximum(own + among @ found, 0.0))
            return found if (off <= AGREEMENT * (np.abs(own) + among @ found + found)).all() else None
    return None


def _iterated(among: csr_array[np.float64], own: Floats, start: Floats) -> Floats:
    """The same by descent from what was paid before: each step loses less than the last."""
    current, previous = start, 0.0
    scale = float(np.abs(start).max()) or 1.0
    while True:
        following = np.maximum(own + among @ current, 0.0)
        change = float(np.abs(following - current).max())
        current = following
        shrinking = change < previous
        if change == 0.0 or (shrinking and change * change / (previous - change) <= SETTLED * scale):
            return current
        if not shrinking and change <= SETTLED * scale:  # only rounding is left
            return current
        previous = change


def clear_quickly(
    network: ExposureNetwork, shock: Floats | None = None, alpha: float = 1.0, beta: float = 1.0, *, senior: bool = False
) -> Clearing:
    """The same payments by iteration from face value, to 1e-12: for large networks. Waves are not told apart (1 for every default)."""
    model: Valuation = EisenbergNoe() if alpha == beta == 1.0 else RogersVeraart(alpha, beta)
    found = equilibrium(network, model, shock, senior=senior)
    external = np.nan_to_num(network.external_liabilities)
    due = network.interbank_liabilities + (0.0 if senior else external)
    failed = found.equity < -ROUNDING * (found.face_equity + 2.0 * (due + external))
    return Clearing(
        np.where(failed, found.value, 1.0) * due, due, np.flatnonzero(failed), failed.astype(np.intp), found.rounds, found.evidence
    )
