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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Side
from aggregator.risk.exposure import Exposures
from aggregator.risk.policy import Policy
from aggregator.risk.scenarios import UNCHANGED, Moves, ScenarioSet
from aggregator.risk.shapes import Array, multiplier
from aggregator.risk.transfer import reach

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
class _Integrands:
    """Losses of shape (scenarios,), and per group (groups, scenarios)."""

    groups: Array
    transfer_aware: Array
    pooled: Array


def expected_shortfall(losses: Array, level: float) -> float:
    """Mean of the worst (1−level) of equally likely losses, the last one in part: coherent for every number of draws."""
    count = len(losses)
    if count == 0:
        return 0.0
    tail = (1.0 - level) * count
    ordered = np.sort(losses)[::-1]
    whole = min(int(tail + 1e-9), count)
    part = tail - whole if whole < count else 0.0
    return float((ordered[:whole].sum() + (max(part, 0.0) * ordered[whole] if whole < count else 0.0)) / tail)


def requirement(portfolio: Portfolio, exposures: Exposures, scenarios: ScenarioSet, policy: Policy) -> Requirement:
    """Requirement of everything that has a value. A portfolio without holdings requires nothing."""
    named = _integrands(portfolio, exposures, scenarios.named, policy)
    draws = [_integrands(portfolio, exposures, moves, policy) for moves in scenarios.draws]
    level = policy.shortfall_level
    isolated = sum(_measure(named.groups[g], [one.groups[g] for one in draws], level) for g in range(len(exposures.groups)))
    losses = sorted(
        (ScenarioLoss(*one) for one in zip(scenarios.named.names, named.transfer_aware.tolist(), named.pooled.tolist(), strict=True)),
        key=lambda one: (-one.loss, -one.pooled_loss, one.name != UNCHANGED, one.name),
    )
    transfer_aware = _measure(named.transfer_aware, [one.transfer_aware for one in draws], level)
    worst = losses[0]
    if transfer_aware > worst.loss:
        regime, shortfall, pooled = max(
            (
                (moves.names[0], expected_shortfall(one.transfer_aware, level), expected_shortfall(one.pooled, level))
                for moves, one in zip(scenarios.draws, draws, strict=True)
            ),
            key=lambda one: one[1],
        )
        worst = ScenarioLoss(f"expected-shortfall-{100 * level:g}-{regime}", shortfall, pooled)
    pooled_figure = _measure(named.pooled, [one.pooled for one in draws], level)
    # the order holds exactly in real numbers; the clamps only remove the last bits of floating point
    transfer_aware = max(transfer_aware, pooled_figure)
    return Requirement(
        max(isolated, transfer_aware),
        transfer_aware,
        pooled_figure,
        worst,
        tuple(losses),
        max((expected_shortfall(one.transfer_aware, 0.975) for one in draws), default=0.0),
        max((expected_shortfall(one.transfer_aware, 0.99) for one in draws), default=0.0),
    )


def _measure(named: Array, draws: Sequence[Array], level: float) -> float:
    return max([float(named.max(initial=0.0)), *(expected_shortfall(one, level) for one in draws)])


def _integrands(portfolio: Portfolio, exposures: Exposures, moves: Moves, policy: Policy) -> _Integrands:
    groups, count = exposures.groups, moves.lots.shape[0]
    losses = np.zeros((len(groups), count))
    free = np.zeros((len(groups), count))
    for holding in exposures.holdings:
        change = multiplier(holding.shape, moves.lots)
        match holding.side:
            case Side.DEBT:
                losses[holding.group] += holding.high * change - holding.value
            case Side.SHORT:
                losses[holding.group] += holding.value * (change - 1.0)
            case Side.LONG:
                losses[holding.group] += holding.value * (1.0 - change)
            case _:
                losses[holding.group] += holding.value - holding.low * change
                if not groups[holding.group].indebted:
                    free[holding.group] += holding.redeemable * holding.low * change
    needs, costs = _liquidations(portfolio, exposures, moves)
    plain = np.maximum(losses, 0.0)
    chains = sorted({group.chain for group in groups})
    on_chain = np.array([[float(group.chain == chain) for group in groups] for chain in chains]).reshape(len(chains), len(groups))
    indebted = np.array([group.indebted for group in groups], dtype=np.bool_)
    resources = on_chain @ free
    # what can arrive on a chain: all that is free there, and a part of what is free elsewhere
    arriving = resources + reach(policy.transfer_lag_hours) * (resources.sum(axis=0) - resources)
    gains = np.maximum(-losses, 0.0)
    credit = np.zeros(count)
    unsaved = np.zeros(count)
    for row, members in enumerate(on_chain.astype(bool)):
        credit += np.minimum(plain[members & indebted].sum(axis=0), gains[members & ~indebted].sum(axis=0))
        unsaved += _unsaved(needs[members], costs[members], arriving[row])
    credit += np.minimum(plain[~indebted].sum(axis=0), gains.sum(axis=0) - credit)
    everywhere = _unsaved(needs, costs, resources.sum(axis=0))
    # several chains may not count on the same free collateral: never better than having all of it at hand
    unsaved = np.maximum(unsaved, everywhere)
    return _Integrands(plain + costs, plain.sum(axis=0) - credit + unsaved, np.maximum(losses.sum(axis=0), 0.0) + everywhere)


def _liquidations(portfolio: Portfolio, exposures: Exposures, moves: Moves) -> tuple[Array, Array]:
    """USD needed to cure each account, and what liquidation takes from it, shape (groups, scenarios); 0 where it stays healthy.

    At market prices. The whole debt counts as closable, because a gap through health .95 opens it in the protocols that limit it before.
    """
    shape = (len(exposures.groups), moves.lots.shape[0])
    needs, costs = np.zeros(shape), np.zeros(shape)
    for number, account in enumerate(portfolio.margin_accounts):
        if not exposures.groups[number].indebted:
            continue
        counted, collateral, debt, bonus = (np.zeros(shape[1]) for _ in range(4))
        for p, position in enumerate(account.positions):
            for n, leg in enumerate(position.legs):
                key = (number, p, n)
                if key not in exposures.leg_values:
                    continue
                value = exposures.leg_values[key] * multiplier(exposures.leg_shapes[key], moves.lots)
                if leg.side is Side.DEBT:
                    debt += value
                elif leg.side is Side.COLLATERAL and leg.terms is not None and leg.terms.liquidation_threshold > 0:
                    counted += float(leg.terms.liquidation_threshold) * value
                    collateral += value
                    bonus += float(leg.terms.liquidation_bonus) * value
        need = np.maximum(debt - counted, 0.0)
        share = np.divide(bonus, collateral, out=np.zeros(shape[1]), where=collateral > 0)
        needs[number] = need
        costs[number] = np.where(need > 0, share * np.minimum(debt, collateral / (1.0 + share)), 0.0)
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
