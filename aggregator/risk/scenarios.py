"""The joint scenario set: one array of named moves, and correlated draws for the expected shortfall.

Named scenarios: everything down, up, down with every discount at once; each factor alone; the largest factors against one another
and against the rest; days on record; breaks of each peg and discount; failures of
every issuer, bridge, protocol and oracle. Sizes come from the volatilities (down 1−e^(−qσ√k), up e^(qσ√k)−1
with q = 3.02 over k days) and from the jump table of the classes.

Opposite moves are scaled so that exactly the netting credit is left that survived on record: long x against short y of equal size keeps
1−θ of its gross charge, with θ .5 between BTC and ETH, .7 for an altcoin held against BTC or ETH owed, .9 where an altcoin is owed
(small caps squeeze), 1 for anything unlike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from aggregator.risk.classes import BASES, FACTORS, BasisClass, FactorClass
from aggregator.risk.correlation import decoupled, root
from aggregator.risk.crises import CRISES
from aggregator.risk.exposure import Exposures, basis_of
from aggregator.risk.failures import OTHERS, DependencyKind, counted
from aggregator.risk.filtered import Filtered
from aggregator.risk.policy import Policy
from aggregator.risk.shapes import Array, Curve
from aggregator.risk.volatility import Volatility

UNCHANGED = "unchanged"
TAIL_FREEDOM = 4
"""degrees of freedom of the Student-t tail that all factors share"""


@dataclass(frozen=True, slots=True)
class Moves:
    """Joint moves as multipliers of lots, shape (scenarios, lots)."""

    names: tuple[str, ...]
    lots: Array
    hit: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """by scenario the margin accounts that are liquidated in it whatever their health"""
    volatility: tuple[int, ...] = ()
    """by scenario what implied volatilities do: −1 down, 0 nothing, 1 up; where it ends, nothing"""


@dataclass(frozen=True, slots=True)
class ScenarioSet:
    """Named scenarios and, per correlation regime, equally likely draws."""

    named: Moves
    draws: tuple[Moves, ...]
    """one a regime; `names` holds the regime's name only"""


def down(volatility: Volatility, policy: Policy, days: float) -> float:
    """Size of the down move over `days`, a fraction; a peg's is at least its class's worst break."""
    diffusive = 1.0 - float(np.exp(-policy.path_quantile * volatility.daily * np.sqrt(days)))
    return max(diffusive, FACTORS[volatility.factor_class].jump.worst)


def up(volatility: Volatility, policy: Policy, days: float) -> float:
    """Size of the up move over `days`, a fraction."""
    diffusive = float(np.exp(policy.path_quantile * volatility.daily * np.sqrt(days))) - 1.0
    return max(diffusive, FACTORS[volatility.factor_class].jump.worst_premium)


def opposite_scale(held: FactorClass, owed: FactorClass) -> float:
    """θ: the part of the single moves by which a held factor falls while an owed one rises."""
    majors = (FactorClass.BTC, FactorClass.ETH)
    if held in majors and owed in majors:
        return 0.5
    if held is FactorClass.VOLATILE and owed in majors:
        return 0.7
    return 0.9 if owed is FactorClass.VOLATILE and held in (*majors, FactorClass.VOLATILE) else 1.0


class _Table:
    """Rows of factor and discount multipliers, 1 where nothing moves."""

    def __init__(self, exposures: Exposures) -> None:
        self.factor = {name: number for number, name in enumerate(exposures.factors)}
        self.basis = {name: number for number, name in enumerate(exposures.bases)}
        self.names: list[str] = []
        self.rows: list[tuple[Array, Array]] = []
        self.volatility: list[int] = []

    def add(self, name: str, factors: Mapping[str, float], bases: Mapping[str, float] | None = None, volatility: int = 0) -> None:
        """One scenario of relative moves, with implied volatilities down (−1), as they are, or up (1)."""
        moves, discounts = np.ones(len(self.factor)), np.ones(len(self.basis))
        for factor, move in factors.items():
            moves[self.factor[factor]] += move
        for basis, move in (bases or {}).items():
            discounts[self.basis[basis]] += move
        self.names.append(name)
        self.volatility.append(volatility)
        self.rows.append((moves, discounts))


def scenario_set(
    exposures: Exposures, volatilities: Mapping[str, Volatility], correlation: Array, policy: Policy, history: Filtered | None = None
) -> ScenarioSet:
    """All scenarios for these exposures; `history` as `filtered` gives it. Deterministic: same inputs, same numbers."""
    table = _Table(exposures)
    downs = {factor: -down(volatilities[factor], policy, policy.horizon_days) for factor in exposures.factors}
    ups = {factor: up(volatilities[factor], policy, policy.horizon_days) for factor in exposures.factors}
    market = [factor for factor in exposures.factors if exposures.classes[factor].volatile]
    worst = {basis: -BASES[basis_of(basis)].jump.worst for basis in exposures.bases}
    table.add(UNCHANGED, {})
    table.add("all-down", {factor: downs[factor] for factor in market}, volatility=1)
    table.add("all-up", {factor: ups[factor] for factor in market})
    table.add("all-down-with-discounts", {factor: downs[factor] for factor in market}, worst, volatility=1)
    for factor in exposures.factors:
        label = "break" if FACTORS[exposures.classes[factor]].jump.worst else "down"
        table.add(f"{factor}-{label}", {factor: downs[factor]})
        table.add(f"{factor}-up", {factor: ups[factor]})
    _opposites(table, exposures, _material(exposures, policy), downs, ups)
    for crisis in CRISES:
        moves = {f: crisis.factors.get(f, crisis.classes.get(exposures.classes[f], 0.0)) for f in exposures.factors}
        table.add(crisis.name, moves, {basis: crisis.bases.get(basis_of(basis), 0.0) for basis in exposures.bases}, volatility=1)
    for basis in exposures.bases:
        table.add(f"{basis}-discount", {}, {basis: worst[basis]})
    for kind in BasisClass:
        members = {basis: worst[basis] for basis in exposures.bases if basis_of(basis) is kind}
        if len(members) > 1:
            table.add(f"{kind.value}-discounts", {}, members)
    _option_grid(table, exposures, downs, ups)
    lots = lot_multipliers(exposures, np.array([row[0] for row in table.rows]), np.array([row[1] for row in table.rows]))
    named = _with_failures(Moves(tuple(table.names), lots, volatility=tuple(table.volatility)), exposures, policy)
    regimes = (("stressed", correlation), ("decoupled", decoupled(correlation)))
    draws = [_draws(name, exposures, volatilities, matrix, policy) for name, matrix in regimes]
    if history is not None:
        draws.append(_historical(exposures, volatilities, history, policy))
    return ScenarioSet(named, tuple(draws))


def _option_grid(table: _Table, exposures: Exposures, downs: Mapping[str, float], ups: Mapping[str, float]) -> None:
    """For each underlying of options, thirds of its moves with volatilities down, as they are and up: `ETH-down-2/3-volatility-up`."""
    optional = {shape.lot for line in exposures.venues for _, _, shape in line.equity if isinstance(shape, Curve)}
    for factor in sorted({exposures.lots[lot].factor for lot in optional}):
        for state, volatility in (("down", -1), ("unchanged", 0), ("up", 1)):
            table.add(f"{factor}-unchanged-volatility-{state}", {}, volatility=volatility)
            for direction, size in (("down", downs[factor]), ("up", ups[factor])):
                for thirds in (1, 2, 3):
                    table.add(f"{factor}-{direction}-{thirds}/3-volatility-{state}", {factor: size * thirds / 3}, volatility=volatility)


def _with_failures(named: Moves, exposures: Exposures, policy: Policy) -> Moves:
    """The named scenarios and one for each dependency that is likely enough to count, named `bridge:eip155:10-fails`."""
    names, rows, hit = list(named.names), [], {}
    for name, failure in counted(exposures.failures, policy.failure_floor).items():
        rows.append([failure.recovery if name in lot.depends else 1.0 for lot in exposures.lots])
        names.append(f"{name}-fails")
    if OTHERS[DependencyKind.ORACLE].per_year >= policy.failure_floor:
        for name, accounts in exposures.oracles.items():
            hit[len(names)] = accounts
            rows.append([1.0] * len(exposures.lots))
            names.append(f"{name}-fails")
    failing = np.array(rows).reshape(len(rows), len(exposures.lots))
    return Moves(tuple(names), np.concatenate([named.lots, failing]), hit, named.volatility)


def lot_multipliers(exposures: Exposures, factors: Array, bases: Array) -> Array:
    """Multipliers of lots (…, lots) from those of factors (…, factors) and discounts (…, bases)."""
    factor = {name: number for number, name in enumerate(exposures.factors)}
    basis = {name: number for number, name in enumerate(exposures.bases)}
    result: Array = factors[..., [factor[lot.factor] for lot in exposures.lots]]
    for number, lot in enumerate(exposures.lots):
        for name in lot.bases:
            result[..., number] *= bases[..., basis[name]]
    return result


def _material(exposures: Exposures, policy: Policy) -> list[str]:
    gross = exposures.gross()
    pegless = [f for f in exposures.factors if exposures.classes[f].volatile or exposures.classes[f] is FactorClass.GOLD]
    return sorted(sorted(pegless, key=lambda f: (-gross[f], f))[: policy.material_factors])


def _opposites(table: _Table, exposures: Exposures, factors: Sequence[str], downs: Mapping[str, float], ups: Mapping[str, float]) -> None:
    classes = exposures.classes
    for falling in factors:
        for rising in factors:
            if falling != rising:
                scale = opposite_scale(classes[falling], classes[rising])
                table.add(f"{falling}-down/{rising}-up", {falling: scale * downs[falling], rising: scale * ups[rising]})
    if len(factors) < 3:
        return
    for one in factors:
        rest = [factor for factor in factors if factor != one]
        against = {factor: opposite_scale(classes[factor], classes[one]) * downs[factor] for factor in rest}
        table.add(f"{one}-up/rest-down", against | {one: ups[one] * max(opposite_scale(classes[f], classes[one]) for f in rest)})
        against = {factor: opposite_scale(classes[one], classes[factor]) * ups[factor] for factor in rest}
        table.add(f"{one}-down/rest-up", against | {one: downs[one] * max(opposite_scale(classes[one], classes[f]) for f in rest)})


def _draws(name: str, exposures: Exposures, volatilities: Mapping[str, Volatility], matrix: Array, policy: Policy) -> Moves:
    shocks = standard_shocks(exposures.factors, policy) @ root(matrix, [exposures.classes[factor] for factor in exposures.factors]).T
    scale = (tail_scale(policy) * np.sqrt(policy.horizon_days))[:, None]
    sigma = np.array([volatilities[factor].daily for factor in exposures.factors])
    basis_sigma = np.array([BASES[basis_of(basis)].daily_volatility for basis in exposures.bases])
    basis_shocks = standard_shocks(exposures.bases, policy)
    # ±12 in logs is a factor of 160,000: beyond it nothing changes but the risk of an overflow
    moves = np.exp(np.clip(scale * sigma * shocks, -12.0, 12.0))
    discounts = np.exp(np.clip(scale * basis_sigma * basis_shocks, -12.0, 12.0))
    return Moves((name,), lot_multipliers(exposures, moves, discounts))


def _historical(exposures: Exposures, volatilities: Mapping[str, Volatility], history: Filtered, policy: Policy) -> Moves:
    """Days on record at today's volatility; what has no history of its own moves by itself."""
    count = len(history.shocks)
    rows = np.arange(count) % (2 * (policy.draws // 2))
    tail = tail_scale(policy)[rows, None]
    shocks = standard_shocks(exposures.factors, policy)[rows] * tail
    shocks[:, [exposures.factors.index(name) for name in history.factors]] = history.shocks
    discounts = standard_shocks(exposures.bases, policy)[rows] * tail
    sigma = np.array([volatilities[factor].daily for factor in exposures.factors])
    basis_sigma = np.array([BASES[basis_of(basis)].daily_volatility for basis in exposures.bases])
    moved, discounted = (
        np.exp(np.clip(one * np.sqrt(policy.horizon_days), -12.0, 12.0)) for one in (sigma * shocks, basis_sigma * discounts)
    )
    return Moves(("filtered-history",), lot_multipliers(exposures, moved, discounted))


def standard_shocks(names: Sequence[str], policy: Policy) -> Array:
    """Independent standard normal draws (draws, names), antithetic. A name's draws do not depend on which other names there are."""
    half = policy.draws // 2
    result = np.empty((2 * half, len(names)))
    for column, name in enumerate(names):
        draws = _draws_of(name, policy.seed, half)
        result[:half, column], result[half:, column] = draws, -draws
    return result


@lru_cache(maxsize=1024)
def _draws_of(name: str, seed: int, count: int) -> Array:
    """The draws that belong to a name; they are what costs most, and always the same."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")
    return _fixed(np.random.Generator(np.random.Philox(key)).standard_normal(count))


def _fixed(values: Array) -> Array:
    values.flags.writeable = False
    return values


def tail_scale(policy: Policy) -> Array:
    """The common factor √(2/χ²₄) that makes normal draws Student-t with unit variance: evenly spread quantiles in a fixed random order."""
    return _tail_scale(policy.draws // 2, policy.seed)


@lru_cache(maxsize=64)
def _tail_scale(half: int, seed: int) -> Array:
    probabilities = (np.arange(half) + 0.5) / half
    quantiles = chi_square_4_quantile(probabilities)
    key = int.from_bytes(hashlib.sha256(f"{seed}/tail".encode()).digest()[:8], "big")
    order = np.random.Generator(np.random.Philox(key)).permutation(half)
    scale = np.sqrt((TAIL_FREEDOM - 2) / quantiles[order])
    return _fixed(np.concatenate([scale, scale]))


def chi_square_4_quantile(probabilities: Array) -> Array:
    """Inverse of 1 − e^(−x/2)·(1 + x/2), by bisection to double precision."""
    low, high = np.zeros_like(probabilities), np.full_like(probabilities, 200.0)
    for _ in range(80):
        middle = (low + high) / 2.0
        below = 1.0 - np.exp(-middle / 2.0) * (1.0 + middle / 2.0) < probabilities
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2.0)
