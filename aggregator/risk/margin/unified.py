"""The unified method on a book: full revaluation of positions and collateral in the same joint scenarios, the worst of three families.

    core = max( grid , crises , ES_99 over three correlation regimes ) ; requirement = max(core, floor) + basis
    grid    each underlying alone, all together, and the two that hurt most against each other, over the second PMRM's
            moves scaled by class
    crises  days on record as joint moves, volatility up; a peg that breaks; an asset (weETH, cbBTC) that falls 12 % behind its underlying
    ES_99   of the loss over the horizon: t₄ moves scaled to each underlying's volatility, in the order of draws whose correlations are
            as given (stressed table where nothing is given), lowered by .3, or all 1; repaired to be positive semidefinite
    floor   2 % of net and 1 % of hedged delta ;  basis Σ_expiry min(V(up) − V, V(down) − V, 0)·(½ + 2τ)
    maintenance = .8 · initial

Long-only diversification is granted by no scenario that decides: all together is always one. Every piece is homogeneous and subadditive,
so Σ of the positions alone ≥ requirement is a theorem. This is the pooled level of a book; what transfers between places can deliver is
another question, see the transfer page. Own method; families and figures from the project's scenario page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse, values_of
from aggregator.risk.margin.greeks import sensitivities
from aggregator.risk.margin.grid import profits
from aggregator.risk.margin.interface import (
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import Groups, Quotes, each_alone, quotes
from aggregator.risk.margin.unified_scenarios import Scene, UnifiedParameters, alone, families


def _floor_and_basis(book: MarginBook, quoted: Quotes, p: UnifiedParameters, groups: Groups, expiries: Groups) -> tuple[Array, Array]:
    """(n,) parts of the delta floor by group, and of the basis contingency by group of options (in the order of their rows)."""
    columns = book.columns
    delta = sensitivities(book, quoted).delta * quoted.spot
    half = 0.5 * p.hedged_delta_charge
    net = groups.sum(delta)
    floor = delta * np.sign(net)[groups.index] * (p.net_delta_charge - half) + np.abs(delta) * half
    basis = np.zeros(len(book))
    rows = np.flatnonzero(columns.option).astype(np.int64)
    if len(rows):
        moves = np.array([p.scan.basis_up - 1.0, p.scan.basis_down - 1.0])
        each = profits(book, quoted, moves, np.repeat(quoted.volatility[:, None], 2, axis=1))[rows]
        by_expiry = expiries.sum(each)
        side = by_expiry.argmin(axis=1)
        counts = by_expiry.min(axis=1) < 0
        chosen = each[np.arange(len(rows)), side[expiries.index]] * counts[expiries.index]
        basis[rows] = -chosen * (p.scan.basis_addition + p.scan.basis_multiple * quoted.years[rows])
    return floor, basis


@dataclass(frozen=True, slots=True)
class Unified:
    """See the module."""

    id: str = "unified"
    version: str = "1"
    source: str = "own method: joint grid, days on record, expected shortfall under correlation regimes"

    def default_parameters(self) -> UnifiedParameters:
        return UnifiedParameters()

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return None if len(book) else "there is nothing to margin"

    def requirement(self, book: MarginBook, market: Market, parameters: UnifiedParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        scene = Scene.of(book, quoted, market, parameters)
        found = families(scene)
        options = book.columns.expiry_group[book.columns.option]
        floor, basis = _floor_and_basis(book, quoted, parameters, scene.groups, Groups.of(options))
        driver = max(found, key=lambda one: one.worst)
        by_floor = float(floor.sum()) > driver.worst
        share = 1.0 if kind is Kind.INITIAL else parameters.maintenance_share
        core = floor if by_floor else -driver.worst_parts * (driver.worst > 0)
        parts = share * (core + basis)
        name = driver.names[int(driver.pnl.argmin())] if driver.worst > 0 else None
        result = Found(
            amount=max(float(parts.sum()), 0.0),
            equity=equity_of(book, values_of(book, quoted)),
            components={
                **{label: one.worst for label, one in zip(("grid", "crises", "expected-shortfall"), found, strict=True)},
                "delta-floor": float(floor.sum()),
                "basis": float(basis.sum()),
                "factor": share,
            },
            scenarios=ScenarioTable(tuple(name for one in found for name in one.names), np.concatenate([one.pnl for one in found])),
            worst_scenario="delta floor" if by_floor else name,
            parts=parts,
            verified=True,
            notes=(),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: UnifiedParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        each, options = each_alone(book), np.flatnonzero(book.columns.option).astype(np.int64)
        floor, basis = _floor_and_basis(book, quoted, parameters, Groups.of(each), Groups.of(options))
        share = 1.0 if kind is Kind.INITIAL else parameters.maintenance_share
        return share * (np.maximum(alone(Scene.of(book, quoted, market, parameters)), floor) + basis)


MODEL = Unified()
