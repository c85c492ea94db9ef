"""What every scenario costs, by group and by place: holdings are summed up once into columns, then multiplied out for all scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side
from aggregator.risk.exposure import Exposures, Holding
from aggregator.risk.scenarios import ScenarioSet
from aggregator.risk.shapes import Array, Curve, IntArray, Linear, Shape, multiplier
from aggregator.risk.venue_exposure import VenueLine

BLOCK = 1024
"""scenarios at a time: few enough to stay in a processor's cache"""
FEW_ACCOUNTS = 6
"""up to which comparing every two is faster than sorting"""
SMALLEST_NEED_USD = 1e-9
"""what is needed at all is needed at least so much, so that no ratio overflows"""


@dataclass(frozen=True, slots=True)
class Lots:
    """Lot multipliers (scenarios, lots), and what each shape that bends makes of them, looked up once."""

    values: Array
    known: dict[int, tuple[Shape, Array]]
    """by the shape's id; the shape is held so that its id stays its own"""
    volatility: IntArray
    """−1, 0 or 1 by scenario: what implied volatilities do"""

    def bent(self, shape: Shape) -> Array:
        if id(shape) not in self.known:
            self.known[id(shape)] = shape, multiplied(shape, self.values, self.volatility)
        return self.known[id(shape)][1]

    def some(self, scenarios: IntArray) -> Lots:
        """Those of some scenarios."""
        if len(scenarios) == len(self.values):
            return self
        known = {key: (shape, one[scenarios]) for key, (shape, one) in self.known.items()}
        return Lots(self.values[scenarios], known, self.volatility[scenarios])


def multiplied(shape: Shape, values: Array, volatility: IntArray) -> Array:
    """Value multiplier of a shape by scenario; an option book also follows what implied volatilities do."""
    return shape.at(values[:, shape.lot], volatility) if isinstance(shape, Curve) else multiplier(shape, values)


def blocks(scenarios: ScenarioSet) -> tuple[Lots, ...]:
    """All scenarios, named ones first, cut into blocks. Whoever weighs several portfolios of the same shapes uses them again."""
    values = np.concatenate([scenarios.named.lots, *(moves.lots for moves in scenarios.draws)])
    volatility = np.zeros(len(values), dtype=np.int64)
    volatility[: len(scenarios.named.volatility)] = scenarios.named.volatility
    return tuple(Lots(values[at : at + BLOCK], {}, volatility[at : at + BLOCK]) for at in range(0, len(values), BLOCK))


@dataclass(frozen=True, slots=True)
class Sums:
    """Σ value · multiplier by row: everything linear as one matrix over the lots, what bends beside it."""

    linear: Array
    """(rows, lots)"""
    bent: list[tuple[int, float, Shape]]

    @staticmethod
    def of(rows: int, lots: int) -> Sums:
        return Sums(np.zeros((rows, lots)), [])

    def add(self, row: int, value: float, shape: Shape) -> None:
        if isinstance(shape, Linear):
            for lot, weight in shape.weights:
                self.linear[row, lot] += value * weight
        elif value:
            self.bent.append((row, value, shape))

    def at(self, lots: Lots) -> Array:
        """(rows, scenarios) at these lot multipliers."""
        result: Array = self.linear @ lots.values.T
        for row, value, shape in self.bent:
            result[row] += value * lots.bent(shape)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """USD by scenario: groups (n, s) and places (p, s) by themselves, everything pooled (s,), and what the pool is made of."""

    groups: Array
    places: Array
    pooled: Array
    net: Array
    """signed losses of places (p, s)"""
    breach: IntArray
    """scenarios in which an account breaches (b,)"""
    needs: Array
    costs: Array
    """of the owing groups (m, b)"""
    resources: Array
    """free in places (p, b)"""
    forced: Array
    """liquidation that nothing rescues, by owing group (m, s)"""


@dataclass(frozen=True, slots=True)
class Columns:
    """What the losses of every scenario are made of, summed up once: rows are groups (n,) or groups that owe (m,)."""

    base: Array
    moving: Sums
    free: Sums
    lacking: Sums
    """what the owing groups lack for their health"""
    parts: Sums
    """their debt, collateral and liquidation bonus, three rows each"""
    owing: IntArray
    indebted: Array
    """(n,) 1 where it owes something"""
    places: tuple[ChainId, ...]
    on_chain: Array
    """(places, n) 1 where it stands there"""

    @staticmethod
    def of(portfolio: Portfolio, exposures: Exposures) -> Columns:
        groups, width = exposures.groups, len(exposures.lots)
        chains = tuple(sorted({group.chain for group in groups}))
        owing = [number for number, group in enumerate(groups) if group.indebted and group.account is not None]
        columns = Columns(
            np.zeros(len(groups)),
            Sums.of(len(groups), width),
            Sums.of(len(groups), width),
            Sums.of(len(owing), width),
            Sums.of(3 * len(owing), width),
            np.array(owing, dtype=np.int64),
            np.array([float(group.indebted) for group in groups]),
            chains,
            np.array([[float(group.chain == chain) for group in groups] for chain in chains]).reshape(len(chains), len(groups)),
        )
        for holding in exposures.holdings:
            columns._add_holding(holding, groups[holding.group].indebted)
        venues = {line.group: line for line in exposures.venues}
        for row, number in enumerate(owing):
            if number in venues:
                columns._add_venue(row, venues[number])
            else:
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

    def _add_venue(self, row: int, line: VenueLine) -> None:
        """What cures it is maintenance margin less equity; what it loses the smaller of both, as a bonus of 1 on half of twice equity."""
        for _, value, shape in line.cushion:
            self.lacking.add(row, -value, shape)
        for _, value, shape in line.maintenance:
            self.parts.add(3 * row, value, shape)
        for _, value, shape in line.equity:
            self.parts.add(3 * row + 1, 2.0 * value, shape)
            self.parts.add(3 * row + 2, 2.0 * value, shape)

    def free_now(self, lots: int) -> Array:
        """USD that is free in each place today."""
        return np.asarray((self.on_chain @ self.free.at(Lots(np.ones((1, lots)), {}, np.zeros(1, dtype=np.int64))))[:, 0])

    def tables(self, scenarios: Sequence[Lots], hit: Mapping[int, frozenset[int]]) -> Tables:
        """Losses in all scenarios; `hit` names accounts that are liquidated in a scenario whatever their health."""
        count, owing = sum(len(lots.values) for lots in scenarios), len(self.owing)
        groups, net = np.empty((len(self.base), count)), np.empty((len(self.places), count))
        breaches: list[tuple[IntArray, Array, Array, Array]] = []
        forced = np.zeros((owing if hit else 0, count))
        start = 0
        for lots in scenarios:
            size = len(lots.values)
            block = slice(start, start + size)
            losses = self.moving.at(lots)
            losses += self.base[:, None]
            np.matmul(self.on_chain, losses, out=net[:, block])
            np.maximum(losses, 0.0, out=groups[:, block])
            breach, needs, costs = self._liquidations(
                lots, {at - start: rows for at, rows in hit.items() if 0 <= at - start < size}, forced, start
            )
            breaches.append((breach + start, needs, costs, self.on_chain @ self.free.at(lots.some(breach))))
            start += size
        breach = np.concatenate([one[0] for one in breaches]) if breaches else np.zeros(0, dtype=np.int64)
        needs, costs, resources = (
            (np.concatenate([one[part] for one in breaches], axis=1) for part in (1, 2, 3))
            if breaches
            else (np.zeros((rows, 0)) for rows in (owing, owing, len(self.places)))
        )
        places, pooled = np.maximum(net, 0.0), np.maximum(net.sum(axis=0), 0.0)
        if len(breach):
            groups[np.ix_(self.owing, breach)] += costs
            pooled[breach] += unsaved(needs, costs, resources.sum(axis=0))
            for row, members in enumerate(self.on_chain[:, self.owing] > 0):
                places[row, breach] += unsaved(needs[members], costs[members], resources[row])
        if len(forced):
            groups[self.owing] += forced
            places += self.on_chain[:, self.owing] @ forced
            pooled += forced.sum(axis=0)
        return Tables(groups, places, pooled, net, breach, needs, costs, resources, forced)

    def _liquidations(self, lots: Lots, hit: Mapping[int, frozenset[int]], forced: Array, start: int) -> tuple[IntArray, Array, Array]:
        """Scenarios in which an account breaches (b,); USD that cures each there, and what liquidation takes, (m, b).

        At market prices. The whole debt counts as closable, because a gap through health .95 opens it in the protocols that limit it
        before. What an account that is hit loses is written to `forced` instead.
        """
        needs = np.maximum(self.lacking.at(lots), 0.0)
        for at, accounts in hit.items():
            rows = np.flatnonzero(np.isin(self.owing, list(accounts)))
            needs[rows, at] = 0.0
            forced[rows, start + at] = self._cost(lots.some(np.array([at])))[rows, 0]
        breach = np.flatnonzero(needs.any(axis=0))
        needs = needs[:, breach]
        return breach, needs, np.where(needs > 0, self._cost(lots.some(breach)), 0.0)

    def _cost(self, lots: Lots) -> Array:
        """What liquidating each owing group would take from its owner (m, scenarios)."""
        there = self.parts.at(lots)
        debt, collateral, bonus = (there[part::3] for part in range(3))
        share = np.divide(bonus, collateral, out=np.zeros_like(bonus), where=collateral > 0)
        return np.asarray(share * np.minimum(debt, np.maximum(collateral, 0.0) / (1.0 + share)))


def unsaved(needs: Array, costs: Array, resources: Array) -> Array:
    """Least liquidation cost with these resources, shape (scenarios,)."""
    return np.asarray(unsaved_by_account(needs, costs, resources).sum(axis=0))


def unsaved_by_account(needs: Array, costs: Array, resources: Array) -> Array:
    """The same of each account, shape (accounts, scenarios): those that cost most per dollar are cured first.

    Curing a part of a need saves that part of the cost, which makes it a fractional knapsack, solved exactly by the greedy order.
    """
    if len(needs) == 0:
        return np.zeros((0, len(resources)))
    needs = np.where(needs > 0, np.maximum(needs, SMALLEST_NEED_USD), 0.0)
    worth = np.divide(costs, needs, out=np.zeros_like(costs), where=needs > 0)
    before = _needed_before(needs, worth) if len(needs) <= FEW_ACCOUNTS else _sorted_before(needs, worth)
    cured = np.clip(resources - before, 0.0, needs)
    return np.asarray(costs - worth * cured)


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
