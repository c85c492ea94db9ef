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
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aggregator.model.identifiers import ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side
from aggregator.risk.exposure import Exposures, Holding
from aggregator.risk.policy import Policy
from aggregator.risk.scenarios import UNCHANGED, ScenarioSet
from aggregator.risk.shapes import Array, Curve, IntArray, Linear, Shape, multiplier
from aggregator.risk.transfer import pooled_shares
from aggregator.risk.venue_exposure import VenueLine

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
    volatility: IntArray
    """−1, 0 or 1 by scenario: what implied volatilities do"""

    def bent(self, shape: Shape) -> Array:
        if id(shape) not in self.known:
            if isinstance(shape, Curve):
                self.known[id(shape)] = shape.at(self.values[:, shape.lot], self.volatility)
            else:
                self.known[id(shape)] = multiplier(shape, self.values)
        return self.known[id(shape)]

    def some(self, scenarios: IntArray) -> _Lots:
        """Those of some scenarios."""
        if len(scenarios) == len(self.values):
            return self
        known = {key: one[scenarios] for key, one in self.known.items()}
        return _Lots(self.values[scenarios], known, self.volatility[scenarios])


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
    return levels(portfolio, exposures, scenarios, policy).requirement(policy)


def levels(portfolio: Portfolio, exposures: Exposures, scenarios: ScenarioSet, policy: Policy) -> Levels:
    """Integrands of all levels in every scenario."""
    columns = _Columns.of(portfolio, exposures, policy)
    values = np.concatenate([scenarios.named.lots, *(moves.lots for moves in scenarios.draws)])
    volatility = np.zeros(len(values), dtype=np.int64)
    volatility[: len(scenarios.named.volatility)] = scenarios.named.volatility
    table = columns.tables(values, volatility, scenarios.named.hit)
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
    return Levels(exposures, columns, values, volatility, table, measure, measures, shares, _pool(columns, table, shares))


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


@dataclass(frozen=True, slots=True, eq=False)
class _Tail:
    """The worst of equally likely losses, largest first: enough for every expected shortfall from its level on."""

    losses: Array
    count: int

    @staticmethod
    def of(losses: Array, level: float) -> _Tail:
        count = len(losses)
        kept = min(int((1.0 - level) * count) + 2, count)
        return _Tail(np.sort(np.partition(losses, count - kept)[count - kept :])[::-1] if kept else losses, count)

    def shortfall(self, level: float) -> float:
        """The same as `expected_shortfall` of all of them."""
        tail = (1.0 - level) * self.count
        return float(np.clip(tail - np.arange(len(self.losses)), 0.0, 1.0) @ self.losses / tail) if self.count else 0.0


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

    def tails(self, row: Array) -> list[_Tail]:
        """The worst draws of one row, by regime."""
        return [_Tail.of(row[start:end], min(LOWER_LEVEL, self.level)) for start, end in itertools.pairwise(self.ends)]

    def shortfall_name(self, regime: int) -> str:
        return f"expected-shortfall-{100 * self.level:g}-{self.regimes[regime]}"

    def weigh(self, row: Array) -> Weighing:
        """The scenarios that set R of one row (scenarios,); of equally bad ones `unchanged` gives way, then the first name counts."""
        weights = np.zeros(len(row))
        named = row[: self.ends[0]]
        worst = max(range(len(named)), key=lambda n: (named[n], self.names[n] != UNCHANGED, _backwards(self.names[n])), default=None)
        best = 0.0 if worst is None else float(named[worst])
        shortfalls = [float(one) for one in self.shortfalls(row, self.level)]
        regime = max(range(len(shortfalls)), key=lambda n: shortfalls[n], default=None)
        if regime is not None and shortfalls[regime] > best:
            start, end = self.ends[regime], self.ends[regime + 1]
            weights[start:end] = tail_weights(row[start:end], self.level)
            return Weighing(self.shortfall_name(regime), shortfalls[regime], weights)
        if worst is not None:
            weights[worst] = 1.0
        return Weighing(self.names[worst] if worst is not None else UNCHANGED, best, weights)


def tail_weights(losses: Array, level: float) -> Array:
    """Weights under which the mean of the losses is their expected shortfall: one in total, on the worst (1−level) of them."""
    tail = (1.0 - level) * len(losses)
    order = np.argsort(-losses, kind="stable")
    weights = np.zeros(len(losses))
    weights[order] = np.clip(tail - np.arange(len(losses)), 0.0, 1.0) / tail
    return weights


def _backwards(name: str) -> tuple[int, ...]:
    """A key under which the alphabetically first name is the largest."""
    return tuple(-ord(letter) for letter in name)


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Integrands, measures and shares, from which the requirement and its explanation follow."""

    exposures: Exposures
    columns: _Columns
    values: Array
    """lot multipliers (s, lots)"""
    volatility: IntArray
    """−1, 0 or 1 by scenario"""
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

    def requirement(self, policy: Policy) -> Requirement:
        """All figures."""
        count, places = len(self.exposures.groups), len(self.places)
        own, by_place, pooled = self.measures[:count], self.measures[count : count + places], float(self.measures[-1])
        pool = self.measure.of(self.pool[None, :])[0] if self.shares.any() else 0.0
        local = (1.0 - self.shares) * by_place
        aware_row = (1.0 - self.shares) @ self.table.places + self.pool
        isolated = float(own.sum())
        aware = float(local.sum() + pool) if policy.keeper else isolated
        if not policy.keeper:
            aware_row = self.table.groups.sum(axis=0)
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
        # the order holds exactly in real numbers; the clamps only remove the last bits of floating point
        aware = max(aware, pooled)
        return Requirement(
            max(isolated, aware),
            aware,
            pooled,
            worst,
            tuple(losses),
            max((tail.shortfall(LOWER_LEVEL) for tail in tails), default=0.0),
            max((tail.shortfall(HIGHER_LEVEL) for tail in tails), default=0.0),
        )


def loss_of(holding: Holding, values: Array, volatility: IntArray) -> Array:
    """What one holding adds to the loss of its group, signed, by scenario."""
    shape = holding.shape
    times = shape.at(values[:, shape.lot], volatility) if isinstance(shape, Curve) else multiplier(shape, values)
    match holding.side:
        case Side.DEBT:
            return np.asarray(holding.high * times - holding.value)
        case Side.SHORT:
            return np.asarray(holding.value * times - holding.value)
        case Side.LONG:
            return np.asarray(holding.value - holding.value * times)
        case _:
            return np.asarray(holding.value - holding.low * times)


def _pool(columns: _Columns, table: Tables, shares: Array) -> Array:
    """Integrand of what transfers join (s,)."""
    pool = np.maximum(shares @ table.net, 0.0)
    owing = shares @ columns.on_chain[:, columns.owing]
    if len(table.breach):
        scaled = owing[:, None]
        pool[table.breach] += _unsaved(scaled * table.needs, scaled * table.costs, shares @ table.resources)
    if len(table.forced):
        pool += owing @ table.forced
    return np.asarray(pool)


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
    places: tuple[ChainId, ...]
    on_chain: Array
    """(places, n) 1 where it stands there"""

    @staticmethod
    def of(portfolio: Portfolio, exposures: Exposures, policy: Policy) -> _Columns:
        groups, width = exposures.groups, len(exposures.lots)
        chains = tuple(sorted({group.chain for group in groups}))
        owing = [number for number, group in enumerate(groups) if group.indebted and group.account is not None]
        columns = _Columns(
            np.zeros(len(groups)),
            _Sums.of(len(groups), width),
            _Sums.of(len(groups), width),
            _Sums.of(len(owing), width),
            _Sums.of(3 * len(owing), width),
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
        return np.asarray((self.on_chain @ self.free.at(_Lots(np.ones((1, lots)), {}, np.zeros(1, dtype=np.int64))))[:, 0])

    def tables(self, values: Array, volatility: IntArray, hit: Mapping[int, frozenset[int]]) -> Tables:
        """Losses in all scenarios; `hit` names accounts that are liquidated in a scenario whatever their health."""
        count, owing = len(values), len(self.owing)
        groups, net = np.empty((len(self.base), count)), np.empty((len(self.places), count))
        breaches: list[tuple[IntArray, Array, Array, Array]] = []
        forced = np.zeros((owing if hit else 0, count))
        for start in range(0, count, BLOCK):
            block = slice(start, start + BLOCK)
            lots = _Lots(values[block], {}, volatility[block])
            losses = self.moving.at(lots)
            losses += self.base[:, None]
            np.matmul(self.on_chain, losses, out=net[:, block])
            np.maximum(losses, 0.0, out=groups[:, block])
            breach, needs, costs = self._liquidations(
                lots, {at - start: rows for at, rows in hit.items() if 0 <= at - start < BLOCK}, forced, start
            )
            breaches.append((breach + start, needs, costs, self.on_chain @ self.free.at(lots.some(breach))))
        breach = np.concatenate([one[0] for one in breaches]) if breaches else np.zeros(0, dtype=np.int64)
        needs, costs, resources = (
            (np.concatenate([one[part] for one in breaches], axis=1) for part in (1, 2, 3))
            if breaches
            else (np.zeros((rows, 0)) for rows in (owing, owing, len(self.places)))
        )
        places, pooled = np.maximum(net, 0.0), np.maximum(net.sum(axis=0), 0.0)
        if len(breach):
            groups[np.ix_(self.owing, breach)] += costs
            pooled[breach] += _unsaved(needs, costs, resources.sum(axis=0))
            for row, members in enumerate(self.on_chain[:, self.owing] > 0):
                places[row, breach] += _unsaved(needs[members], costs[members], resources[row])
        if len(forced):
            groups[self.owing] += forced
            places += self.on_chain[:, self.owing] @ forced
            pooled += forced.sum(axis=0)
        return Tables(groups, places, pooled, net, breach, needs, costs, resources, forced)

    def _liquidations(self, lots: _Lots, hit: Mapping[int, frozenset[int]], forced: Array, start: int) -> tuple[IntArray, Array, Array]:
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

    def _cost(self, lots: _Lots) -> Array:
        """What liquidating each owing group would take from its owner (m, scenarios)."""
        there = self.parts.at(lots)
        debt, collateral, bonus = (there[part::3] for part in range(3))
        share = np.divide(bonus, collateral, out=np.zeros_like(bonus), where=collateral > 0)
        return np.asarray(share * np.minimum(debt, np.maximum(collateral, 0.0) / (1.0 + share)))


def _unsaved(needs: Array, costs: Array, resources: Array) -> Array:
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
