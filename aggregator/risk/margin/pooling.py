"""Isolated against cross: what pooling positions behind one equity does to delta, vega, requirement and liquidation, and what it adds.

    delta, vega      apart Σ |each|, together |Σ| by underlying; USD, vega for one point of volatility
    requirement      Σ of the positions alone and of the book, by the unified method
    trigger          the smallest move at which equity falls below maintenance, by full revaluation, maintenance as it is now
    contagion        equity that separate accounts would have kept where the pool is liquidated as a whole
    cascade          forced trades against a day's volume: impact = daily volatility·√(traded / volume), and what it costs

Apart, assets and long options are paid in full and cannot be liquidated; what equity is left stands behind the other positions in
proportion to their initial requirement. Where nothing is left, because assets are bought on debt, equity stands behind everything so.
A position that is closed moves its underlying, which can close the next one. Together, one breach closes everything: positions that
lose nothing go with the one that does. Volatility and volume are those of the underlying's class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aggregator.risk.classes import FACTORS
from aggregator.risk.margin.greeks import sensitivities
from aggregator.risk.margin.grid import option_value, profits
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import Array, BoolArray, Market
from aggregator.risk.margin.quotes import Quotes, quotes
from aggregator.risk.margin.unified import MODEL
from aggregator.risk.margin.unified_scenarios import Scene, UnifiedParameters

MOVES = np.concatenate([-np.linspace(0.0, 0.99, 199)[::-1], np.linspace(0.0, 1.0, 201)[1:], np.geomspace(1.02, 6.0, 40)])
NOW = 198
"""the column without a move"""
ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure of separate accounts and of one pool, USD ≥ 0."""

    isolated: float
    cross: float

    @property
    def netted(self) -> float:
        return self.isolated - self.cross


@dataclass(frozen=True, slots=True)
class Trigger:
    """The first breach: of a holding, or of the pool (None); of every underlying together (None) or of one. 0: breached already."""

    move: float
    underlying: str | None
    holding: int | None


@dataclass(frozen=True, slots=True)
class Cascade:
    """What a first breach closes, in the end."""

    closed: int
    """positions; assets that are sold with them count"""
    traded: float
    """USD that must be traded, net by underlying"""
    impact: float
    """largest relative move that the trades make"""
    cost: float
    """USD, Σ traded·impact"""
    dragged: float
    """USD equity of positions that would have kept it, had they stood alone"""
    rounds: int


@dataclass(frozen=True, slots=True)
class Pooling:
    """`equity` and what follows from it are None where a position's profit is not known; a trigger where no move breaches."""

    equity: float | None
    delta: dict[str, Pair]
    vega: dict[str, Pair]
    initial: Pair
    maintenance: Pair
    isolated_trigger: Trigger | None = None
    cross_trigger: Trigger | None = None
    isolated_cascade: Cascade | None = None
    cross_cascade: Cascade | None = None


def pooling(book: MarginBook, market: Market, parameters: UnifiedParameters | None = None) -> Pooling:
    """All of it for a book that is not empty. MissingInput where the market lacks something."""
    p = parameters or MODEL.default_parameters()
    quoted = quotes(book, market)
    own = sensitivities(book, quoted)
    alone = {kind: MODEL.isolated(book, market, p, kind) for kind in Kind}
    whole = {kind: MODEL.requirement(book, market, p, kind) for kind in Kind}
    initial, maintenance = (Pair(float(alone[kind].sum()), whole[kind].amount) for kind in (Kind.INITIAL, Kind.MAINTENANCE))
    equity = whole[Kind.INITIAL].equity
    delta = _by_underlying(book, own.delta * quoted.spot)
    vega = _by_underlying(book, own.vega / 100.0)
    if equity is None:
        return Pooling(None, delta, vega, initial, maintenance)
    scene = Scene.of(book, quoted, market, p)
    each = profits(book, quoted, MOVES, np.repeat(quoted.volatility[:, None], len(MOVES), axis=1))
    silos = _Silos.of(book, quoted, equity, alone[Kind.INITIAL], alone[Kind.MAINTENANCE], each)
    first = silos.first()
    pool = _pool(scene, each, equity, maintenance.cross)
    spent = own.delta * quoted.spot
    return Pooling(
        equity,
        delta,
        vega,
        initial,
        maintenance,
        first,
        pool,
        None if first is None else _one_after_another(scene, silos, spent, first),
        None if pool is None else _all_at_once(scene, silos, spent, pool),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Silos:
    """Every holding in an account of its own."""

    book: MarginBook
    paid: BoolArray
    """(n,) what is paid in full and cannot be liquidated"""
    equity: Array
    """(n,) USD behind each"""
    gap: Array
    """(n, moves) equity beyond maintenance after a move of its underlying; infinite of what is paid"""

    @staticmethod
    def of(book: MarginBook, quoted: Quotes, equity: float, initial: Array, maintenance: Array, each: Array) -> _Silos:
        columns = book.columns
        paid = (columns.spot | columns.option) & (columns.units >= 0)
        value = np.where(columns.spot, columns.units * quoted.price, option_value(book, quoted))
        left = equity - float(value[paid].sum())
        if left < 0:
            # more is owed than what is not paid in full: nothing is
            paid, left = np.zeros(len(book), dtype=np.bool_), equity
        behind = np.where(paid, 0.0, initial)
        share = behind / behind.sum() if behind.sum() > 0 else behind
        own = np.where(paid, value, left * share)
        gap = np.where(paid[:, None], np.inf, (own - maintenance)[:, None] + each)
        return _Silos(book, paid, own, gap)

    def first(self) -> Trigger | None:
        """The holding that breaches at the smallest move of its underlying; of equal ones the first."""
        found = [(abs(move), row, move) for row in np.flatnonzero(~self.paid) if (move := _crossing(self.gap[row])) is not None]
        if not found:
            return None
        _, row, move = min(found)
        return Trigger(move, self.book.underlyings[self.book.columns.underlying[row]], int(row))

    def breached(self, underlying: int, move: float) -> BoolArray:
        """(n,) which holdings of an underlying stand below maintenance after a move."""
        at = min(max(int(np.searchsorted(MOVES, move, side="right")) - 1, 0), len(MOVES) - 2)
        share = (move - MOVES[at]) / (MOVES[at + 1] - MOVES[at])
        rows = (self.book.columns.underlying == underlying) & ~self.paid
        result = np.zeros(len(self.book), dtype=np.bool_)
        result[rows] = self.gap[rows, at] * (1.0 - share) + self.gap[rows, at + 1] * share <= 1e-9
        return result


def _pool(scene: Scene, each: Array, equity: float, maintenance: float) -> Trigger | None:
    """The smallest move at which the book breaches: of everything that is not pegged together, or of one underlying."""
    table = scene.groups.sum(each)
    moving = scene.moving
    found: list[tuple[float, int, float, str | None]] = []
    together = _crossing(equity - maintenance + table[moving].sum(axis=0)) if len(moving) else None
    if together is not None:
        found.append((abs(together), -1, together, None if len(moving) > 1 else scene.book.underlyings[moving[0]]))
    for number in range(len(table)):
        move = _crossing(equity - maintenance + table[number])
        if move is not None:
            found.append((abs(move), number, move, scene.book.underlyings[number]))
    if not found:
        return None
    _, _, move, underlying = min(found, key=lambda one: one[:2])
    return Trigger(move, underlying, None)


def _one_after_another(scene: Scene, silos: _Silos, delta: Array, first: Trigger) -> Cascade:
    """Separate accounts: each that is closed moves its underlying, which may close the next."""
    number = scene.book.underlyings.index(first.underlying or "")
    closed = silos.breached(number, first.move)
    if first.holding is not None:
        closed[first.holding] = True
    rounds, traded, impact = 0, 0.0, 0.0
    while rounds < ROUNDS:
        rounds += 1
        traded = float(delta[closed].sum())
        impact = _impact(scene, number, abs(traded))
        move = max((1.0 + first.move) * (1.0 - np.sign(traded) * impact) - 1.0, MOVES[0])
        more = closed | silos.breached(number, move)
        if bool((more == closed).all()):
            break
        closed = more
    return Cascade(int(closed.sum()), abs(traded), impact, abs(traded) * impact, 0.0, rounds)


def _all_at_once(scene: Scene, silos: _Silos, delta: Array, pool: Trigger) -> Cascade:
    """One pool: everything is closed, whatever it would have done by itself."""
    names = scene.book.underlyings
    traded = np.abs(scene.groups.sum(delta))
    impacts = np.array([_impact(scene, number, amount) for number, amount in enumerate(traded.tolist())])
    moved = range(len(names)) if pool.underlying is None else [names.index(pool.underlying)]
    fallen = np.zeros(len(scene.book), dtype=np.bool_)
    for number in moved:
        fallen |= silos.breached(number, pool.move)
    kept = np.where(fallen, 0.0, np.maximum(silos.equity, 0.0))
    worst = float(impacts.max(initial=0.0))
    return Cascade(len(scene.book), float(traded.sum()), worst, float((traded * impacts).sum()), float(kept.sum()), 1)


def _impact(scene: Scene, underlying: int, traded: float) -> float:
    """Square-root impact of a trade against a day's volume of its class, at most 1."""
    terms = FACTORS[scene.classes[underlying]]
    return float(min(terms.daily_volatility * np.sqrt(traded / terms.daily_volume_usd), 1.0))


def _crossing(gap: Array) -> float | None:
    """The smallest move, either way, at which a gap is no longer positive, on straight lines between; None where it always is."""
    if gap[NOW] <= 0:
        return 0.0
    found = [move for side in (-1, 1) if (move := next(_reached(gap, side), None)) is not None]
    return min(found, key=lambda one: (abs(one), one)) if found else None


def _reached(gap: Array, side: int) -> Iterator[float]:
    outward = gap[NOW::side] if side > 0 else gap[NOW::-1]
    moves = MOVES[NOW::side] if side > 0 else MOVES[NOW::-1]
    for at in np.flatnonzero(outward <= 0)[:1]:
        before, after = outward[at - 1], outward[at]
        yield float(moves[at - 1] + (moves[at] - moves[at - 1]) * before / (before - after))


def _by_underlying(book: MarginBook, values: Array) -> dict[str, Pair]:
    """Σ |each| and |Σ| by underlying; those that have none of it are left out."""
    found = {}
    for number, name in enumerate(book.underlyings):
        own = values[book.columns.underlying == number]
        if np.abs(own).sum() > 0:
            found[name] = Pair(float(np.abs(own).sum()), abs(float(own.sum())))
    return found
