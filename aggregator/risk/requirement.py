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
from aggregator.model.position import Side
from aggregator.risk.exposure import Exposures
from aggregator.risk.policy import Policy
from aggregator.risk.scenarios import UNCHANGED, ScenarioSet
from aggregator.risk.shapes import Array, Linear, Shape, multiplier
from aggregator.risk.transfer import arrival

IntArray: TypeAlias = NDArray[np.int64]

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

    def at(self, lots: Array) -> Array:
        """(rows, scenarios) at lot multipliers of shape (scenarios, lots)."""
        result: Array = self.linear @ lots.T
        for row, value, shape in self.bent:
            result[row] += value * multiplier(shape, lots)
        return result


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
        max((expected_shortfall(one[groups], 0.975) for one in draws), default=0.0),
        max((expected_shortfall(one[groups], 0.99) for one in draws), default=0.0),
    )


def _integrands(portfolio: Portfolio, exposures: Exposures, lots: Array, policy: Policy) -> Array:
    """Losses by scenario, shape (groups + 2, scenarios): each group by itself, transfer-aware, pooled."""
    groups, count = exposures.groups, len(lots)
    base, moving, free = np.zeros(len(groups)), _Sums.of(len(groups), lots.shape[1]), _Sums.of(len(groups), lots.shape[1])
    for holding in exposures.holdings:
        group = holding.group
        match holding.side:
            case Side.DEBT:
                base[group] -= holding.value
                moving.add(group, holding.high, holding.shape)
            case Side.SHORT:
                base[group] -= holding.value
                moving.add(group, holding.value, holding.shape)
            case Side.LONG:
                base[group] += holding.value
                moving.add(group, -holding.value, holding.shape)
            case _:
                base[group] += holding.value
                moving.add(group, -holding.low, holding.shape)
                if not groups[group].indebted:
                    free.add(group, holding.redeemable * holding.low, holding.shape)
    losses = moving.at(lots)
    losses += base[:, None]
    table = np.empty((len(groups) + 2, count))
    plain = np.maximum(losses, 0.0, out=table[: len(groups)])
    gains = plain - losses
    chains = sorted({group.chain for group in groups})
    on_chain = np.array([[group.chain == chain for group in groups] for chain in chains], dtype=np.bool_).reshape(len(chains), len(groups))
    indebted = np.array([group.indebted for group in groups], dtype=np.bool_)
    credit = np.zeros(count)
    for members in on_chain:
        if (members & indebted).any() and (members & ~indebted).any():
            credit += np.minimum(plain[members & indebted].sum(axis=0), gains[members & ~indebted].sum(axis=0))
    credit += np.minimum(plain[~indebted].sum(axis=0), gains.sum(axis=0) - credit)
    np.subtract(plain.sum(axis=0), credit, out=table[-2])
    np.maximum(losses.sum(axis=0), 0.0, out=table[-1])
    owing, breach, needs, costs = _liquidations(portfolio, exposures, lots)
    if len(breach):
        resources = on_chain.astype(np.float64) @ free.at(lots[breach])
        # what can arrive on a chain: all that is free there, and a part of what is free elsewhere
        arriving = arrival(chains, policy) @ resources
        everywhere, unsaved = _unsaved(needs, costs, resources.sum(axis=0)), np.zeros(len(breach))
        for row, members in enumerate(on_chain[:, owing]):
            unsaved += _unsaved(needs[members], costs[members], arriving[row])
        table[np.ix_(owing, breach)] += costs
        # several chains may not count on the same free collateral: never better than having all of it at hand
        table[-2, breach] += np.maximum(unsaved, everywhere)
        table[-1, breach] += everywhere
    return table


def _liquidations(portfolio: Portfolio, exposures: Exposures, lots: Array) -> tuple[IntArray, IntArray, Array, Array]:
    """Groups that owe (n,), scenarios in which one of them breaches (s,); USD that cures each there, and what liquidation takes (n, s).

    At market prices. The whole debt counts as closable, because a gap through health .95 opens it in the protocols that limit it before.
    """
    owing = np.array([number for number, group in enumerate(exposures.groups) if group.indebted and group.account is not None], np.int64)
    lacking, parts = _Sums.of(len(owing), lots.shape[1]), _Sums.of(3 * len(owing), lots.shape[1])
    for row, number in enumerate(owing.tolist()):
        for p, position in enumerate(portfolio.margin_accounts[number].positions):
            for n, leg in enumerate(position.legs):
                key = (number, p, n)
                if key not in exposures.leg_values:
                    continue
                value, follows = exposures.leg_values[key], exposures.leg_shapes[key]
                if leg.side is Side.DEBT:
                    lacking.add(row, value, follows)
                    parts.add(3 * row, value, follows)
                elif leg.side is Side.COLLATERAL and leg.terms is not None and leg.terms.liquidation_threshold > 0:
                    lacking.add(row, -float(leg.terms.liquidation_threshold) * value, follows)
                    parts.add(3 * row + 1, value, follows)
                    parts.add(3 * row + 2, float(leg.terms.liquidation_bonus) * value, follows)
    needs = np.maximum(lacking.at(lots), 0.0)
    breach = np.flatnonzero(needs.any(axis=0))
    needs, there = needs[:, breach], parts.at(lots[breach])
    debt, collateral, bonus = (there[part::3] for part in range(3))
    share = np.divide(bonus, collateral, out=np.zeros_like(bonus), where=collateral > 0)
    return owing, breach, needs, np.where(needs > 0, share * np.minimum(debt, collateral / (1.0 + share)), 0.0)


def _unsaved(needs: Array, costs: Array, resources: Array) -> Array:
    """Least liquidation cost with these resources, shape (scenarios,): the accounts that cost most per dollar are cured first.

    Curing a part of a need saves that part of the cost, which makes it a fractional knapsack, solved exactly by the greedy order.
    """
    if len(needs) == 0:
        return np.zeros_like(resources)
    needs = np.where(needs > 0, np.maximum(needs, SMALLEST_NEED_USD), 0.0)
    worth = np.divide(costs, needs, out=np.zeros_like(costs), where=needs > 0)
    order = np.argsort(-worth, axis=0, kind="stable")
    ordered = np.take_along_axis(needs, order, axis=0)
    before = np.cumsum(ordered, axis=0) - ordered
    cured = np.clip(resources - before, 0.0, ordered)
    return np.asarray(costs.sum(axis=0) - (np.take_along_axis(worth, order, axis=0) * cured).sum(axis=0))
