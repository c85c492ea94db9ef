"""Netting that transfers can deliver: the least capital, placed silo by silo, that survives every scenario.

    minimise Σ_k x_k,  x ≥ 0, such that in every scenario s there are transfers f ≥ 0 with, for every silo k,
        x_k − loss_k(s) + Σ_j f_jk·success·(1 − cost) − Σ_j f_kj ≥ 0
        Σ_j f_kj ≤ x_k + what k gains in s                 nobody passes on what has not arrived yet
        Σ of the transfers over one route ≤ its capacity;  f_jk only where keeper's reaction + lag < time to liquidation of k in s

Losses are signed: a gain is a surplus, already revalued in its scenario, that may be sent; each unit once. Without routes this is
Σ_k max_s loss_k⁺, the isolated figure; with free and instant ones (max_s Σ_k loss_k)⁺, the pooled one; and since capacity, success, speed
or another route only widen what is feasible, it falls in each of them.
It is a linear programme, solved exactly (HiGHS); scenarios that another one dominates are left out first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from aggregator.risk.margin.market import Array, BoolArray


@dataclass(frozen=True, slots=True)
class Route:
    """A way from one place to another. `lag` in hours; `capacity` in dollars over the horizon; `success` and `cost` are fractions."""

    source: str
    target: str
    lag: float
    capacity: float = np.inf
    success: float = 1.0
    cost: float = 0.0

    def __post_init__(self) -> None:
        if not (self.lag >= 0 and self.capacity >= 0 and 0 <= self.success <= 1 and 0 <= self.cost <= 1):
            raise ValueError(f"route from {self.source} to {self.target} makes no sense: {self}")

    @staticmethod
    def limited(source: str, target: str, lag: float, bucket: float, refill: float, hours: float) -> Route:
        """Over a rate limiter that starts full: what the bucket holds and what `refill` an hour adds within `hours`, in dollars."""
        return Route(source, target, lag, bucket + refill * max(hours - lag, 0.0))

    @property
    def delivered(self) -> float:
        """Expected part of a dollar that arrives."""
        return self.success * (1.0 - self.cost)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Whoever moves collateral: how many hours pass until it acts. None in its place: nobody does."""

    reaction: float = 0.0
    least_success: float = 0.0
    """routes less sure than this count as nothing: expected rescue only where it is confident enough"""


@dataclass(frozen=True, slots=True, eq=False)
class Silos:
    """Silos or idle wallets and what scenarios do to them. Arrays of shape (silos, scenarios)."""

    names: tuple[str, ...]
    places: tuple[str, ...]
    """chain or venue of each; within one place collateral moves at once and without limit"""
    losses: Array
    """dollars, signed: negative is a gain, at the scenario's own prices"""
    scenarios: tuple[str, ...]
    deadlines: Array | None = None
    """hours to liquidation; None: no silo is ever liquidated within the horizon"""
    released: tuple[float, ...] = ()
    """hours until what a silo holds can leave it (redemption, unbonding); empty: at once"""

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.scenarios))
        if self.losses.shape != shape or (self.deadlines is not None and self.deadlines.shape != shape):
            raise ValueError(f"losses and deadlines are of shape {shape}")
        if len(self.places) != shape[0] or len(self.released) not in (0, shape[0]):
            raise ValueError("every silo has a place and a time of release")
        if not np.isfinite(self.losses).all():
            raise ValueError("a loss is not finite")


@dataclass(frozen=True, slots=True, eq=False)
class Transferable:
    """Isolated ≥ transfer-aware ≥ pooled ≥ 0, USD, each with what sets it."""

    isolated: float
    transfer_aware: float
    pooled: float
    placed: Array
    """(silos,) where the transfer-aware capital has to stand"""
    isolated_worst: tuple[str | None, ...]
    """by silo"""
    worst: str | None
    """the scenario that binds most at the transfer-aware level"""
    pooled_worst: str | None
    binding: tuple[str, ...] = field(default=())
    """all scenarios that bind"""

    @property
    def benefit(self) -> float:
        """What netting saves that transfers can deliver."""
        return self.isolated - self.transfer_aware

    @property
    def illusion(self) -> float:
        """What pooling promises and transfers cannot deliver."""
        return self.transfer_aware - self.pooled


def transferable(silos: Silos, routes: Sequence[Route], keeper: Keeper | None) -> Transferable:
    """The three levels. RuntimeError should the programme not solve, which no finite input makes it do."""
    losses = silos.losses
    count, scenarios = losses.shape
    if count == 0 or scenarios == 0:
        return Transferable(0.0, 0.0, 0.0, np.zeros(count), (None,) * count, None, None)
    alone = np.maximum(losses.max(axis=1), 0.0)
    totals = losses.sum(axis=0)
    pooled = max(float(totals.max()), 0.0)
    isolated_worst = tuple(silos.scenarios[at] if losses[row, at] > 0 else None for row, at in enumerate(losses.argmax(axis=1)))
    pooled_worst = silos.scenarios[int(totals.argmax())] if pooled > 0 else None
    isolated = float(alone.sum())
    edges = _edges(silos, routes, keeper)
    if not edges or isolated <= pooled:
        # nothing to deliver, or nothing to gain
        largest = int(np.maximum(losses, 0.0).sum(axis=0).argmax())
        return Transferable(
            isolated,
            isolated,
            min(pooled, isolated),
            alone,
            isolated_worst,
            silos.scenarios[largest] if isolated > 0 else None,
            pooled_worst,
        )
    kept = _undominated(losses, np.array([one.open for one in edges]))
    placed, weights = _solve(losses[:, kept], [edge.only(kept) for edge in edges], routes)
    figure = min(max(float(placed.sum()), pooled), isolated)
    binding = [(weight, silos.scenarios[at]) for weight, at in zip(weights, kept, strict=True) if weight > 1e-9]
    worst = max(binding, default=(0.0, pooled_worst), key=lambda one: one[0])[1]
    return Transferable(isolated, figure, pooled, placed, isolated_worst, worst, pooled_worst, tuple(sorted(name for _, name in binding)))


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    source: int
    target: int
    route: int
    """index of the route whose capacity it shares; −1 within a place"""
    delivered: float
    open: BoolArray
    """(scenarios,)"""

    def only(self, kept: Sequence[int]) -> _Edge:
        return _Edge(self.source, self.target, self.route, self.delivered, self.open[list(kept)])


def _edges(silos: Silos, routes: Sequence[Route], keeper: Keeper | None) -> list[_Edge]:
    """Pairs of silos between which something can arrive in time in at least one scenario. Liquidation wins ties."""
    if keeper is None:
        return []
    count, scenarios = silos.losses.shape
    deadlines = silos.deadlines if silos.deadlines is not None else np.full((count, scenarios), np.inf)
    released = silos.released or (0.0,) * count
    found = []
    for source in range(count):
        for target in range(count):
            if source == target:
                continue
            local = [(-1, 0.0, 1.0)] if silos.places[source] == silos.places[target] else []
            across = [
                (number, route.lag, route.delivered)
                for number, route in enumerate(routes)
                if (route.source, route.target) == (silos.places[source], silos.places[target])
                and route.success >= keeper.least_success
                and route.capacity > 0
                and route.delivered > 0
            ]
            for number, lag, delivered in (*local, *across):
                is_open = max(keeper.reaction, released[source]) + lag < deadlines[target]
                if is_open.any():
                    found.append(_Edge(source, target, number, delivered, is_open))
    return found


def _undominated(losses: Array, is_open: BoolArray) -> list[int]:
    """Scenarios that no other one is at least as bad as everywhere: losses as large, and no way open that is closed here."""
    order = np.argsort(-losses.sum(axis=0), kind="stable")
    kept: list[int] = []
    for at in order:
        rows = np.array(kept, dtype=np.int64)
        worse = (losses[:, rows] >= losses[:, [at]]).all(axis=0) & ~(is_open[:, rows] & ~is_open[:, [at]]).any(axis=0)
        if not worse.any():
            kept.append(int(at))
    return sorted(kept)


def _solve(losses: Array, edges: Sequence[_Edge], routes: Sequence[Route]) -> tuple[Array, Array]:
    """Placement, and how much each scenario binds (sum of the shadow prices of its silos).

    Rows: for each scenario and silo its balance, then what it sends against what it has, then the routes' capacities.
    """
    count, scenarios = losses.shape
    size = count * scenarios
    scale = float(np.abs(losses).max())
    rows, columns, values = list(range(2 * size)), list(range(count)) * (2 * scenarios), [-1.0] * (2 * size)

    def entry(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    limits: dict[tuple[int, int], int] = {}
    flows = [(edge, int(at)) for edge in edges for at in np.flatnonzero(edge.open)]
    for variable, (edge, at) in enumerate(flows, start=count):
        entry(at * count + edge.target, variable, -edge.delivered)
        entry(at * count + edge.source, variable, 1.0)
        entry(size + at * count + edge.source, variable, 1.0)
        if edge.route >= 0 and np.isfinite(routes[edge.route].capacity):
            entry(limits.setdefault((edge.route, at), 2 * size + len(limits)), variable, 1.0)
    flat = losses.T.reshape(-1)
    capacities = np.array([routes[route].capacity for route, _ in limits])
    matrix: Any = csr_array((values, (rows, columns)), shape=(2 * size + len(limits), count + len(flows)))
    found = linprog(
        np.concatenate([np.ones(count), np.zeros(len(flows))]),
        A_ub=matrix,
        b_ub=np.concatenate([-flat, np.maximum(-flat, 0.0), capacities]) / scale,
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"transfer programme: {found.message}")
    duals = -np.asarray(found.ineqlin.marginals)[:size].reshape(scenarios, count)
    placed = np.asarray(found.x, dtype=np.float64)[:count] * scale
    return placed, np.asarray(duals.sum(axis=1))
