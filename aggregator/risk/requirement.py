"""The unified maintenance requirement at three netting levels: isolated ≥ transfer-aware ≥ pooled ≥ 0, as a theorem.

In scenario s a group g (a margin account, or what is free on a chain) loses L_g(s): assets fall from their value now to the stressed
value at the low bound of their price, debts rise to that at the high bound; collateral and debt are stressed in the same scenario.
A margin account that breaches its own rule in s also loses its liquidation bonus, unless free collateral reaches it in time.

    R(x)            = max( max_s x(s) , ES_99(x) over each correlation regime )          monotone and subadditive for x ≥ 0
    isolated        = Σ_g R( L_g⁺ + cost_g )
    transfer-aware  = R( Σ_g L_g⁺ − credit + cost with rescue from the same chain, and from others as far as the transfer lag lets it )
    pooled          = R( (Σ_g L_g)⁺ + cost with rescue from everywhere )

`credit(s)`: what a margin account loses is offset by gains of free holdings on its own chain only: across chains both legs would have to
be closed within the horizon. What free holdings lose calls for no transfer, so every gain that is left offsets it. 0 ≤ credit ≤ gains and
credit ≤ losses, and what may rescue is nested, so the three integrands are ordered in every s.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side
from aggregator.risk.exposure import Exposures, Holding
from aggregator.risk.policy import Policy
from aggregator.risk.scenarios import UNCHANGED, ScenarioSet
from aggregator.risk.shapes import Array, Linear, Shape, multiplier
from aggregator.risk.transfer import arrival

IntArray: TypeAlias = NDArray[np.int64]

BLOCK = 1024
"""scenarios at a time: few enough to stay in a processor's cache"""
LOWER_LEVEL, HIGHER_LEVEL = 0.975, 0.99
"""levels of the expected shortfalls that are always shown"""
FEW_ACCOUNTS = 6
"""up to which comparing every two is faster than sorting"""
SMALLEST_NEED_USD = 1e-9
"""what is needed at all is needed at least so much, so that no ratio overflows"""


@dataclass(frozen=True, slots=True)
class ScenarioLoss:
    """What one scenario costs in USD: at the transfer-aware level, and pooled."""

    name: str
    loss: float
    pooled_loss: float


@dataclass(frozen=True, slots=True)
class Requirement:
    """USD floats ≥ 0."""

    isolated: float
    transfer_aware: float
    pooled: float
    worst: ScenarioLoss
    """the scenario, or the expected shortfall, that sets the transfer-aware figure"""
    scenarios: tuple[ScenarioLoss, ...]
    """every named scenario, worst first"""
    expected_shortfall_975: float
    expected_shortfall_99: float
    """transfer-aware, the larger of both correlation regimes"""

    @property
    def netting_benefit(self) -> float:
        return self.isolated - self.transfer_aware


@dataclass(frozen=True, slots=True)
class _Sums:
    """Σ value · multiplier by row: everything linear as one matrix over the lots, what bends beside it."""

    linear: Array
    """(rows, lots)"""
    bent: list[tuple[int, float, Shape]]

    @staticmethod
    def of(rows: int, lots: int) -> _Sums:
        return _Sums(np.zeros((rows, lots)), [])

    def add(self, row: int, value: float, shape: Shape) -> None:
        if isinstance(shape, Linear):
            for lot, weight in shape.weights:
                self.linear[row, lot] += value * weight
        elif value:
            self.bent.append((row, value, shape))

    def at(self, lots: _Lots) -> Array:
        """(rows, scenarios) at these lot multipliers."""
        result: Array = self.linear @ lots.values.T
        for row, value, shape in self.bent:
            result[row] += value * lots.bent(shape)
        return result


@dataclass(frozen=True, slots=True)
class _Lots:
    """Lot multipliers (scenarios, lots), and what each shape that bends makes of them, looked up once."""

    values: Array
    known: dict[int, Array]

    def bent(self, shape: Shape) -> Array:
        if id(shape) not in self.known:
            self.known[id(shape)] = multiplier(shape, self.values)
        return self.known[id(shape)]

    def some(self, scenarios: IntArray) -> _Lots:
        """Those of some scenarios."""
        if len(scenarios) == len(self.values):
            return self
        return _Lots(self.values[scenarios], {key: one[scenarios] for key, one in self.known.items()})


def expected_shortfall(losses: Array, level: float) -> float:
    """Mean of the worst (1−level) of equally likely losses, the last one in part: coherent for every number of draws."""
    return float(expected_shortfalls(losses[None, :], level)[0])


def expected_shortfalls(losses: Array, level: float) -> Array:
    """The same of every row: (…, draws) → (…)."""
    count = losses.shape[-1]
    if count == 0:
        return np.zeros(losses.shape[:-1])
    tail = (1.0 - level) * count
    whole = min(int(tail + 1e-9), count)
    part = max(tail - whole, 0.0) if whole < count else 0.0
    if whole == count:
        return np.asarray(losses.sum(axis=-1) / tail)
    worst = np.partition(losses, count - whole - 1, axis=-1)[..., count - whole - 1 :]
    return np.asarray((worst[..., 1:].sum(axis=-1) + part * worst[..., 0]) / tail)


def requirement(portfolio: Portfolio, exposures: Exposures, scenarios: ScenarioSet, policy: Policy) -> Requirement:
    """Requirement of everything that has a value. A portfolio without holdings requires nothing."""
    groups, named = len(exposures.groups), len(scenarios.named.names)
    # rows: every group by itself, then the transfer-aware and the pooled level; columns: named scenarios, then each regime's draws
    table = _integrands(portfolio, exposures, np.concatenate([scenarios.named.lots, *(moves.lots for moves in scenarios.draws)]), policy)
    ends = np.cumsum([named, *(len(moves.lots) for moves in scenarios.draws)])
    draws = [table[:, start:end] for start, end in itertools.pairwise(ends.tolist())]
    shortfalls = [expected_shortfalls(one, policy.shortfall_level) for one in draws]
    measures = np.max([table[:, :named].max(axis=1, initial=0.0), *shortfalls], axis=0)
    aware, pooled = table[groups], table[groups + 1]
    losses = sorted(
        (ScenarioLoss(*one) for one in zip(scenarios.named.names, aware[:named].tolist(), pooled[:named].tolist(), strict=True)),
        key=lambda one: (-one.loss, -one.pooled_loss, one.name != UNCHANGED, one.name),
    )
    transfer_aware, pooled_figure = float(measures[groups]), float(measures[groups + 1])
    same = policy.shortfall_level == HIGHER_LEVEL
    higher = [one[groups] for one in shortfalls] if same else [expected_shortfall(one[groups], HIGHER_LEVEL) for one in draws]
    worst = losses[0]
    if transfer_aware > worst.loss:
        number = max(range(len(draws)), key=lambda n: shortfalls[n][groups])
        name = f"expected-shortfall-{100 * policy.shortfall_level:g}-{scenarios.draws[number].names[0]}"
        worst = ScenarioLoss(name, float(shortfalls[number][groups]), float(shortfalls[number][groups + 1]))
    # the order holds exactly in real numbers; the clamps only remove the last bits of floating point
    transfer_aware = max(transfer_aware, pooled_figure)
    return Requirement(
        max(float(measures[:groups].sum()), transfer_aware),
        transfer_aware,
        pooled_figure,
        worst,
        tuple(losses),
        max((expected_shortfall(one[groups], LOWER_LEVEL) for one in draws), default=0.0),
        float(max(higher, default=0.0)),
    )


def _integrands(portfolio: Portfolio, exposures: Exposures, values: Array, policy: Policy) -> Array:
    """Losses by scenario, shape (groups + 2, scenarios): each group by itself, transfer-aware, pooled."""
    sums, count = _Columns.of(portfolio, exposures, policy), len(values)
    table = np.empty((len(exposures.groups) + 2, count))
    for start in range(0, count, BLOCK):
        sums.fill(_Lots(values[start : start + BLOCK], {}), table[:, start : start + BLOCK])
    return table


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the losses of every scenario are made of, summed up once: rows are groups (n,) or groups that owe (m,)."""

    base: Array
    moving: _Sums
    free: _Sums
    lacking: _Sums
    """what the owing groups lack for their health"""
    parts: _Sums
    """their debt, collateral and liquidation bonus, three rows each"""
    owing: IntArray
    indebted: Array
    """(n,) 1 where it owes something"""
    on_chain: Array
    """(chains, n) 1 where it stands there"""
    arrival: Array

    @staticmethod
    def of(portfolio: Portfolio, exposures: Exposures, policy: Policy) -> _Columns:
        groups, width = exposures.groups, len(exposures.lots)
        chains = sorted({group.chain for group in groups})
        owing = [number for number, group in enumerate(groups) if group.indebted and group.account is not None]
        columns = _Columns(
            np.zeros(len(groups)),
            _Sums.of(len(groups), width),
            _Sums.of(len(groups), width),
            _Sums.of(len(owing), width),
            _Sums.of(3 * len(owing), width),
            np.array(owing, dtype=np.int64),
            np.array([float(group.indebted) for group in groups]),
            np.array([[float(group.chain == chain) for group in groups] for chain in chains]).reshape(len(chains), len(groups)),
            arrival(chains, policy),
        )
        for holding in exposures.holdings:
            columns._add_holding(holding, groups[holding.group].indebted)
        for row, number in enumerate(owing):
            columns._add_account(row, number, portfolio.margin_accounts[number], exposures)
        return columns

    def _add_holding(self, holding: Holding, indebted: bool) -> None:
        group = holding.group
        match holding.side:
            case Side.DEBT:
                self.base[group] -= holding.value
                self.moving.add(group, holding.high, holding.shape)
            case Side.SHORT:
                self.base[group] -= holding.value
                self.moving.add(group, holding.value, holding.shape)
            case Side.LONG:
                self.base[group] += holding.value
                self.moving.add(group, -holding.value, holding.shape)
            case _:
                self.base[group] += holding.value
                self.moving.add(group, -holding.low, holding.shape)
                if not indebted:
                    self.free.add(group, holding.redeemable * holding.low, holding.shape)

    def _add_account(self, row: int, number: int, account: MarginAccount, exposures: Exposures) -> None:
        for p, position in enumerate(account.positions):
            for n, leg in enumerate(position.legs):
                key = (number, p, n)
                if key not in exposures.leg_values:
                    continue
                value, follows = exposures.leg_values[key], exposures.leg_shapes[key]
                if leg.side is Side.DEBT:
                    self.lacking.add(row, value, follows)
                    self.parts.add(3 * row, value, follows)
                elif leg.side is Side.COLLATERAL and leg.terms is not None and leg.terms.liquidation_threshold > 0:
                    self.lacking.add(row, -float(leg.terms.liquidation_threshold) * value, follows)
                    self.parts.add(3 * row + 1, value, follows)
                    self.parts.add(3 * row + 2, float(leg.terms.liquidation_bonus) * value, follows)

    def fill(self, lots: _Lots, table: Array) -> None:
        """Write the losses in these scenarios."""
        losses = self.moving.at(lots)
        losses += self.base[:, None]
        plain = np.maximum(losses, 0.0, out=table[:-2])
        gains = plain - losses
        # sums by chain as products: what accounts lose and what free holdings gain on each
        lost, gained = (self.on_chain * self.indebted) @ plain, (self.on_chain * (1.0 - self.indebted)) @ gains
        credit = np.minimum(lost, gained).sum(axis=0)
        credit += np.minimum((1.0 - self.indebted) @ plain, gains.sum(axis=0) - credit)
        np.subtract(plain.sum(axis=0), credit, out=table[-2])
        np.maximum(losses.sum(axis=0), 0.0, out=table[-1])
        breach, needs, costs = self._liquidations(lots)
        if not len(breach):
            return
        resources = self.on_chain @ self.free.at(lots.some(breach))
        # what can arrive on a chain: all that is free there, and a part of what is free elsewhere
        arriving = self.arrival @ resources
        everywhere, unsaved = _unsaved(needs, costs, resources.sum(axis=0)), np.zeros(len(breach))
        for here, members in zip(arriving, self.on_chain[:, self.owing] > 0, strict=True):
            unsaved += _unsaved(needs[members], costs[members], here)
        table[np.ix_(self.owing, breach)] += costs
        # several chains may not count on the same free collateral: never better than having all of it at hand
        table[-2, breach] += np.maximum(unsaved, everywhere)
        table[-1, breach] += everywhere

    def _liquidations(self, lots: _Lots) -> tuple[IntArray, Array, Array]:
        """Scenarios in which an account breaches (s,); USD that cures each there, and what liquidation takes, (m, s).

        At market prices. The whole debt counts as closable, because a gap through health .95 opens it in the protocols that limit it
        before.
        """
        needs = np.maximum(self.lacking.at(lots), 0.0)
        breach = np.flatnonzero(needs.any(axis=0))
        needs, there = needs[:, breach], self.parts.at(lots.some(breach))
        debt, collateral, bonus = (there[part::3] for part in range(3))
        share = np.divide(bonus, collateral, out=np.zeros_like(bonus), where=collateral > 0)
        return breach, needs, np.where(needs > 0, share * np.minimum(debt, collateral / (1.0 + share)), 0.0)


def _unsaved(needs: Array, costs: Array, resources: Array) -> Array:
    """Least liquidation cost with these resources, shape (scenarios,): the accounts that cost most per dollar are cured first.

    Curing a part of a need saves that part of the cost, which makes it a fractional knapsack, solved exactly by the greedy order.
    """
    if len(needs) == 0:
        return np.zeros_like(resources)
    needs = np.where(needs > 0, np.maximum(needs, SMALLEST_NEED_USD), 0.0)
    worth = np.divide(costs, needs, out=np.zeros_like(costs), where=needs > 0)
    before = _needed_before(needs, worth) if len(needs) <= FEW_ACCOUNTS else _sorted_before(needs, worth)
    cured = np.clip(resources - before, 0.0, needs)
    return np.asarray(costs.sum(axis=0) - (worth * cured).sum(axis=0))


def _needed_before(needs: Array, worth: Array) -> Array:
    """Σ of the needs that are cured before each, by comparing every two: faster than sorting where there are few."""
    before = np.zeros_like(needs)
    for one in range(1, len(needs)):
        for other in range(one):
            # of two that are worth the same the first goes first
            first = worth[other] >= worth[one]
            before[one] += np.where(first, needs[other], 0.0)
            before[other] += np.where(first, 0.0, needs[one])
    return before


def _sorted_before(needs: Array, worth: Array) -> Array:
    """The same by sorting, for many."""
    order = np.argsort(-worth, axis=0, kind="stable")
    ordered = np.take_along_axis(needs, order, axis=0)
    before = np.empty_like(needs)
    np.put_along_axis(before, order, np.cumsum(ordered, axis=0) - ordered, axis=0)
    return before
