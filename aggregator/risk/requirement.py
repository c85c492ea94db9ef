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

import numpy as np

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Side
from aggregator.risk.exposure import Exposures
from aggregator.risk.policy import Policy
from aggregator.risk.scenarios import UNCHANGED, ScenarioSet
from aggregator.risk.shapes import Array, Linear, Shape, multiplier
from aggregator.risk.transfer import arrival

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
    base, sums = np.zeros(2 * len(groups)), _Sums.of(2 * len(groups), lots.shape[1])
    for holding in exposures.holdings:
        match holding.side:
            case Side.DEBT:
                base[holding.group] -= holding.value
                sums.add(holding.group, holding.high, holding.shape)
            case Side.SHORT:
                base[holding.group] -= holding.value
                sums.add(holding.group, holding.value, holding.shape)
            case Side.LONG:
                base[holding.group] += holding.value
                sums.add(holding.group, -holding.value, holding.shape)
            case _:
                base[holding.group] += holding.value
                sums.add(holding.group, -holding.low, holding.shape)
                if not groups[holding.group].indebted:
                    sums.add(len(groups) + holding.group, holding.redeemable * holding.low, holding.shape)
    moved = base[:, None] + sums.at(lots)
    losses, free = moved[: len(groups)], moved[len(groups) :]
    needs, costs = _liquidations(portfolio, exposures, lots)
    plain, gains = np.maximum(losses, 0.0), np.maximum(-losses, 0.0)
    chains = sorted({group.chain for group in groups})
    on_chain = np.array([[group.chain == chain for group in groups] for chain in chains], dtype=np.bool_).reshape(len(chains), len(groups))
    indebted = np.array([group.indebted for group in groups], dtype=np.bool_)
    resources = on_chain.astype(np.float64) @ free
    # what can arrive on a chain: all that is free there, and a part of what is free elsewhere
    arriving = arrival(chains, policy) @ resources
    credit = np.zeros(count)
    for members in on_chain:
        credit += np.minimum(plain[members & indebted].sum(axis=0), gains[members & ~indebted].sum(axis=0))
    credit += np.minimum(plain[~indebted].sum(axis=0), gains.sum(axis=0) - credit)
    unsaved, everywhere = np.zeros(count), np.zeros(count)
    breach = np.flatnonzero((needs > 0).any(axis=0))
    if len(breach):
        few_needs, few_costs = needs[:, breach], costs[:, breach]
        everywhere[breach] = _unsaved(few_needs, few_costs, resources[:, breach].sum(axis=0))
        for row, members in enumerate(on_chain):
            unsaved[breach] += _unsaved(few_needs[members], few_costs[members], arriving[row, breach])
    # several chains may not count on the same free collateral: never better than having all of it at hand
    unsaved = np.maximum(unsaved, everywhere)
    return np.vstack([plain + costs, plain.sum(axis=0) - credit + unsaved, np.maximum(losses.sum(axis=0), 0.0) + everywhere])


def _liquidations(portfolio: Portfolio, exposures: Exposures, lots: Array) -> tuple[Array, Array]:
    """USD needed to cure each account, and what liquidation takes from it, shape (groups, scenarios); 0 where it stays healthy.

    At market prices. The whole debt counts as closable, because a gap through health .95 opens it in the protocols that limit it before.
    """
    shape = (len(exposures.groups), len(lots))
    needs, costs = np.zeros(shape), np.zeros(shape)
    owing = [number for number, group in enumerate(exposures.groups) if group.indebted and group.account is not None]
    sums = _Sums.of(4 * len(owing), lots.shape[1])
    for row, number in enumerate(owing):
        for p, position in enumerate(portfolio.margin_accounts[number].positions):
            for n, leg in enumerate(position.legs):
                key = (number, p, n)
                if key not in exposures.leg_values:
                    continue
                value, follows = exposures.leg_values[key], exposures.leg_shapes[key]
                if leg.side is Side.DEBT:
                    sums.add(4 * row, value, follows)
                elif leg.side is Side.COLLATERAL and leg.terms is not None and leg.terms.liquidation_threshold > 0:
                    sums.add(4 * row + 1, float(leg.terms.liquidation_threshold) * value, follows)
                    sums.add(4 * row + 2, value, follows)
                    sums.add(4 * row + 3, float(leg.terms.liquidation_bonus) * value, follows)
    moved = sums.at(lots)
    debt, counted, collateral, bonus = (moved[part::4] for part in range(4))
    need = np.maximum(debt - counted, 0.0)
    share = np.divide(bonus, collateral, out=np.zeros_like(bonus), where=collateral > 0)
    needs[owing] = need
    costs[owing] = np.where(need > 0, share * np.minimum(debt, collateral / (1.0 + share)), 0.0)
    return needs, costs


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
