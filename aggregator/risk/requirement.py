"""The unified maintenance requirement at three netting levels: isolated ≥ transfer-aware ≥ pooled ≥ 0, as a theorem.

In scenario s a group k (a margin account, or what is free in a place: a chain, a venue) loses L_k(s): assets fall from their value now
to the stressed value at the low bound of their price, debts rise to that at the high bound; collateral and debt are stressed in the same
scenario. A margin account that breaches its own rule in s also loses c_k(s), its liquidation bonus, unless free collateral saves a part
of it; U is what rescue leaves of those costs, f_k(s) what nothing can rescue (an oracle that fails).

    R(x)            = max( max_s x(s) , ES_99(x) over each regime of draws )              monotone and subadditive for x ≥ 0
    isolated        = Σ_k R( L_k⁺ + c_k + f_k )
    of a place p    = R_p = R( (Σ_{k in p} L_k)⁺ + U_p + f_p )                           within a place collateral moves at once
    transfer-aware  = Σ_p (1 − a_p)·R_p + R( (Σ_p a_p·L_p)⁺ + U(a) + Σ_p a_p·f_p )       a_p: the part that transfers join to the others
    pooled          = R( (Σ_k L_k)⁺ + U + Σ f )

The part a_p of every place stands in one pool, the rest stands alone. U(a) has needs, costs and resources of each place times a_p. More
transferability never raises the figure: R((x + δ·L_p)⁺) ≤ R(x⁺) + δ·R_p. All a = 1 is pooled, all a = 0 Σ R_p; without a keeper nothing
nets, and the figure is the isolated one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Side
from aggregator.risk.expected_shortfall import Tail, expected_shortfalls, tail_weights
from aggregator.risk.exposure import Exposures, Holding
from aggregator.risk.policy import Policy
from aggregator.risk.scenario_losses import Columns, Lots, Tables, blocks, multiplied, unsaved
from aggregator.risk.scenarios import UNCHANGED, ScenarioSet
from aggregator.risk.shapes import Array, IntArray
from aggregator.risk.transfer import pooled_shares

LOWER_LEVEL, HIGHER_LEVEL = 0.975, 0.99
"""levels of the expected shortfalls that are always shown"""


@dataclass(frozen=True, slots=True)
class ScenarioLoss:
    """What one scenario costs in USD: at the transfer-aware level, and pooled."""

    name: str
    loss: float
    pooled_loss: float


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """Which scenarios set a measure: weights (scenarios,) of the whole table, 1 in total, and their common name."""

    scenario: str
    measure: float
    """USD: Σ weight · integrand"""
    weights: Array


@dataclass(frozen=True, slots=True)
class Requirement:
    """USD floats ≥ 0."""

    isolated: float
    transfer_aware: float
    pooled: float
    worst: ScenarioLoss
    """the scenario, or the expected shortfall, that costs most at the transfer-aware level; where everything stands in one place its
    loss is the requirement, else parts of the requirement can be set by other scenarios"""
    scenarios: tuple[ScenarioLoss, ...]
    """every named scenario, worst first"""
    expected_shortfall_975: float
    expected_shortfall_99: float
    """transfer-aware, the largest of all regimes"""

    @property
    def netting_benefit(self) -> float:
        return self.isolated - self.transfer_aware

    @property
    def illusion(self) -> float:
        """What pooling promises beyond what transfers can deliver."""
        return self.transfer_aware - self.pooled


def requirement(portfolio: Portfolio, exposures: Exposures, scenarios: ScenarioSet, policy: Policy) -> Requirement:
    """Requirement of everything that has a value. A portfolio without holdings requires nothing."""
    return levels(portfolio, exposures, scenarios, policy).requirement(policy)


def levels(
    portfolio: Portfolio, exposures: Exposures, scenarios: ScenarioSet, policy: Policy, lots: Sequence[Lots] | None = None
) -> Levels:
    """Integrands of all levels in every scenario. `lots`: the `blocks` of the same scenarios, where somebody has them already."""
    lots = blocks(scenarios) if lots is None else lots
    columns = Columns.of(portfolio, exposures)
    table = columns.tables(lots, scenarios.named.hit)
    ends = np.cumsum([len(scenarios.named.names), *(len(moves.lots) for moves in scenarios.draws)]).tolist()
    measure = _Measure(scenarios.named.names, tuple(moves.names[0] for moves in scenarios.draws), tuple(ends), policy.shortfall_level)
    measures = measure.of(np.concatenate([table.groups, table.places, table.pooled[None, :]]))
    count = len(exposures.groups)
    shares = pooled_shares(
        columns.places,
        columns.on_chain @ columns.indebted > 0,
        columns.free_now(len(exposures.lots)),
        measures[count:-1],
        policy,
    )
    return Levels(exposures, columns, tuple(lots), table, measure, measures, shares, _pool(columns, table, shares))


@dataclass(frozen=True, slots=True)
class _Measure:
    """R over a table whose first columns are named scenarios and whose next ones are the draws of each regime."""

    names: tuple[str, ...]
    regimes: tuple[str, ...]
    ends: tuple[int, ...]
    level: float

    def of(self, table: Array) -> Array:
        """R of every row; no expected shortfall is taken where even the worst draw is no worse than a named scenario."""
        result = table[:, : self.ends[0]].max(axis=1, initial=0.0)
        for start, end in itertools.pairwise(self.ends):
            open_still = np.flatnonzero(table[:, start:end].max(axis=1, initial=0.0) > result)
            if len(open_still):
                result[open_still] = np.maximum(result[open_still], expected_shortfalls(table[open_still, start:end], self.level))
        return np.asarray(result)

    def shortfalls(self, table: Array, level: float) -> list[Array]:
        """Of every row, by regime."""
        return [expected_shortfalls(table[..., start:end], level) for start, end in itertools.pairwise(self.ends)]

    def tails(self, row: Array) -> list[Tail]:
        """The worst draws of one row, by regime."""
        return [Tail.of(row[start:end], min(LOWER_LEVEL, self.level)) for start, end in itertools.pairwise(self.ends)]

    def shortfall_name(self, regime: int) -> str:
        return f"expected-shortfall-{100 * self.level:g}-{self.regimes[regime]}"

    def weigh(self, row: Array) -> Weighing:
        """The scenarios that set R of one row (scenarios,); of equally bad ones `unchanged` gives way, then the first name counts."""
        weights = np.zeros(len(row))
        named = row[: self.ends[0]]
        worst, best = None, 0.0
        if len(named):
            best = float(named.max())
            equal = np.flatnonzero(named == best).tolist()
            worst = max(equal, key=lambda n: (self.names[n] != UNCHANGED, _backwards(self.names[n])))
        shortfalls = [float(one) for one in self.shortfalls(row, self.level)]
        regime = max(range(len(shortfalls)), key=lambda n: shortfalls[n], default=None)
        if regime is not None and shortfalls[regime] > best:
            start, end = self.ends[regime], self.ends[regime + 1]
            weights[start:end] = tail_weights(row[start:end], self.level)
            return Weighing(self.shortfall_name(regime), shortfalls[regime], weights)
        if worst is not None:
            weights[worst] = 1.0
        return Weighing(self.names[worst] if worst is not None else UNCHANGED, best, weights)


def _backwards(name: str) -> tuple[int, ...]:
    """A key under which the alphabetically first name is the largest."""
    return tuple(-ord(letter) for letter in name)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Integrands, measures and shares, from which the requirement and its explanation follow."""

    exposures: Exposures
    columns: Columns
    lots: tuple[Lots, ...]
    """the scenarios themselves"""
    table: Tables
    measure: _Measure
    measures: Array
    """R of groups, places and of everything pooled"""
    shares: Array
    """a of each place"""
    pool: Array
    """integrand of the joint part (s,)"""

    @property
    def places(self) -> tuple[ChainId, ...]:
        return self.columns.places

    @property
    def moves(self) -> Lots:
        """All scenarios in one piece."""
        return Lots(np.concatenate([one.values for one in self.lots]), {}, np.concatenate([one.volatility for one in self.lots]))

    def transfer_aware(self, policy: Policy) -> float:
        """That figure alone, USD."""
        return self._figures(policy)[1]

    def _figures(self, policy: Policy) -> tuple[float, float, float]:
        """Isolated, transfer-aware and pooled. Their order holds exactly in real numbers; what is done to it here only removes the last
        bits of floating point."""
        count, places = len(self.exposures.groups), len(self.places)
        own, by_place, pooled = self.measures[:count], self.measures[count : count + places], float(self.measures[-1])
        isolated = aware = float(own.sum())
        if policy.keeper:
            joint = self.measure.of(self.pool[None, :])[0] if self.shares.any() else 0.0
            aware = float(((1.0 - self.shares) * by_place).sum() + joint)
        aware = max(aware, pooled)
        return max(isolated, aware), aware, pooled

    def requirement(self, policy: Policy) -> Requirement:
        """All figures."""
        isolated, aware, pooled = self._figures(policy)
        aware_row = (1.0 - self.shares) @ self.table.places + self.pool if policy.keeper else self.table.groups.sum(axis=0)
        named = len(self.measure.names)
        losses = sorted(
            (
                ScenarioLoss(*one)
                for one in zip(self.measure.names, aware_row[:named].tolist(), self.table.pooled[:named].tolist(), strict=True)
            ),
            key=lambda one: (-one.loss, -one.pooled_loss, one.name != UNCHANGED, one.name),
        )
        tails = self.measure.tails(aware_row)
        shortfalls = [tail.shortfall(self.measure.level) for tail in tails]
        worst = losses[0]
        regime = max(range(len(shortfalls)), key=lambda n: float(shortfalls[n]), default=None)
        if regime is not None and float(shortfalls[regime]) > worst.loss:
            pooled_tail = float(self.measure.shortfalls(self.table.pooled, self.measure.level)[regime])
            worst = ScenarioLoss(
                self.measure.shortfall_name(regime), float(shortfalls[regime]), min(pooled_tail, float(shortfalls[regime]))
            )
        return Requirement(
            isolated,
            aware,
            pooled,
            worst,
            tuple(losses),
            max((tail.shortfall(LOWER_LEVEL) for tail in tails), default=0.0),
            max((tail.shortfall(HIGHER_LEVEL) for tail in tails), default=0.0),
        )


def loss_of(holding: Holding, values: Array, volatility: IntArray) -> Array:
    """What one holding adds to the loss of its group, signed, by scenario."""
    times = multiplied(holding.shape, values, volatility)
    match holding.side:
        case Side.DEBT:
            return np.asarray(holding.high * times - holding.value)
        case Side.SHORT:
            return np.asarray(holding.value * times - holding.value)
        case Side.LONG:
            return np.asarray(holding.value - holding.value * times)
        case _:
            return np.asarray(holding.value - holding.low * times)


def _pool(columns: Columns, table: Tables, shares: Array) -> Array:
    """Integrand of what transfers join (s,)."""
    pool = np.maximum(shares @ table.net, 0.0)
    owing = shares @ columns.on_chain[:, columns.owing]
    if len(table.breach):
        scaled = owing[:, None]
        pool[table.breach] += unsaved(scaled * table.needs, scaled * table.costs, shares @ table.resources)
    if len(table.forced):
        pool += owing @ table.forced
    return np.asarray(pool)
