"""Equities that agree with the claims valued at them: the greatest solution of E = A_ext − L_ext − L_net + Σ A·V(E).

The map is monotone, so iterating from face value comes down to the greatest solution. Where a piecewise linear model comes down slowly
(a cycle with little loss), the pieces that hold are solved as one linear system and checked: if the solution lies in the same pieces it
is the limit, because between it and the current point the map is affine and has one solution only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.contagion.evidence import Evidence
from aggregator.contagion.network import ExposureNetwork
from aggregator.contagion.pieces import Failure, Model, solve_pieces
from aggregator.contagion.valuation import Sheet, Valuation
from aggregator.model.book import Floats, Mask
from aggregator.model.errors import InputError

TOLERANCE = 1e-13
"""largest change of an equity between rounds, relative to the node's own balance sheet, estimated to the limit"""
MAXIMUM_ROUNDS = 20_000
LOOK_EVERY = 8
"""rounds between looks at whether the pieces have stopped changing: then they are solved for"""


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """`equity`, `value` of a claim on each node: arrays (n) or (n × shocks). `rounds` until the slowest shock settled."""

    equity: Floats
    value: Floats
    face_equity: Floats
    rounds: int
    converged: bool
    evidence: Evidence

    @property
    def defaults(self) -> Mask:
        """Nodes without equity."""
        return self.equity <= 0.0

    @property
    def loss(self) -> Floats:
        """Equity lost by each node against its face value."""
        return (self.face_equity if self.equity.ndim == 1 else self.face_equity[:, None]) - self.equity


def equilibrium(
    network: ExposureNetwork,
    valuation: Valuation,
    shock: Floats | None = None,
    *,
    senior: bool = False,
    failure: Failure | None = None,
) -> Equilibrium:
    """Solve for one shock (n) or several side by side (n × k): USD taken off the nodes' external assets. With a `failure`, the result
    has a column for each of its shocks, one shock for all of them or as many.

    `senior`: external creditors are paid before the network's; otherwise all rank equally. Nodes whose balance sheet is not known are
    taken at their worst, without external assets; the evidence says so. InputError for a shock of another size or not finite.
    """
    taken = np.zeros(len(network)) if shock is None else np.asarray(shock, dtype=np.float64)
    if taken.shape[0] != len(network) or not np.isfinite(taken).all():
        raise InputError(f"a shock is a finite amount for each of the {len(network)} nodes")
    wide = taken if taken.ndim == 2 else taken[:, None]
    columns = wide.shape[1] if failure is None else len(failure.nodes)
    if wide.shape[1] not in (1, columns):
        raise InputError(f"{wide.shape[1]} shocks for {columns} failures")
    assets, external = np.nan_to_num(network.external_assets), np.nan_to_num(network.external_liabilities)
    owed = network.interbank_liabilities
    # summed like one round of the iteration: without a shock nothing moves, not even by rounding, which an unstable network would blow up
    face = (assets - (external + owed)) + network.claims
    first = external if senior else np.zeros(len(network))
    sheet = Sheet.of(face[:, None], assets[:, None] - wide, (owed + external - first)[:, None], first[:, None])
    base = sheet.external_assets - (external + owed)[:, None]
    model = Model(valuation, sheet, failure)
    start = np.repeat(base + network.claims[:, None], columns // wide.shape[1], axis=1)
    equity, rounds, converged = _descend(network, model, base, start)
    value = model.value(equity)
    if taken.ndim == 1 and failure is None:
        equity, value = equity[:, 0], value[:, 0]
    return Equilibrium(equity, value, face, rounds, converged, network.evidence())


def _descend(network: ExposureNetwork, model: Model, base: Floats, start: Floats) -> tuple[Floats, int, bool]:
    """(equities, rounds, whether they settled), iterating from face value after the shock; `start` is used up."""
    exposures = network.exposures
    size = (np.abs(base).max(axis=1) + network.claims)[:, None]
    per_size = 1.0 / np.where(size > 0.0, size, 1.0)
    equity = start
    previous, pieces, tried = np.inf, -1, -1
    for rounds in range(1, MAXIMUM_ROUNDS + 1):
        following = base + exposures @ model.value(equity)
        equity -= following
        equity *= per_size
        change = float(max(equity.max(), -equity.min()))
        equity = following
        if change == 0.0 or _to_the_limit(change, previous) <= TOLERANCE:
            return equity, rounds, True
        previous = change
        if rounds % LOOK_EVERY == 0:
            before, pieces = pieces, model.moving(equity)
            if pieces == before and pieces not in (tried, 0):
                tried = pieces
                solved = solve_pieces(exposures, model, base, equity, per_size)
                if solved is not None:
                    equity, previous = solved, np.inf
    return equity, MAXIMUM_ROUNDS, False


def _to_the_limit(change: float, previous: float) -> float:
    """Distance left if changes keep shrinking as they did last; a change that does not shrink is still far."""
    ratio = change / previous
    return change / (1.0 - ratio) if ratio < 1.0 else np.inf
