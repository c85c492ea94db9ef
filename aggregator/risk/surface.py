"""The liquidation surface of a margin account: its health over the moves of two drivers, where the line runs, and how far away it is.

A driver is a risk factor with every token that follows it, or a discount that several tokens share. Health is at the protocol's oracle, at
a venue its equity over its maintenance margin.
The boundary is where health first reaches 1 in each direction from today, directions measured in each driver's own days:

    moves (e^(r·σx·cos φ) − 1, e^(r·σy·sin φ) − 1),  σ the daily volatility, at least one per cent so that a peg is no wall

and the distance is the smallest r: how many typical days away the nearest liquidation is. Grid points within 1e-9 of the line are decided
exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.model.errors import InputError
from aggregator.risk.claims import Claim
from aggregator.risk.classes import BASES
from aggregator.risk.exposure import Exposures, basis_of
from aggregator.risk.scenarios import lot_multipliers
from aggregator.risk.shapes import Array, delta_weights, multiplier
from aggregator.risk.shock import Shock
from aggregator.risk.venue_exposure import equity_at, maintenance_at
from aggregator.risk.volatility import Volatility
from aggregator.risk.what_if import WhatIf

BoolArray: TypeAlias = NDArray[np.bool_]

SMALLEST_DAY = 0.01
FARTHEST_DAYS = 60.0
DIRECTIONS = 72
FARTHEST_MOVE = 0.9
NEAR_THE_LINE = 1e-9
_BISECTIONS = 50
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Driver:
    """What one axis moves; `daily` is the length of its unit step in logarithms."""

    name: str
    is_basis: bool
    daily: float


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """Points at health 1 as seen from today, one a direction in which there is one; moves, shape (points, 2), and days, shape (points,)."""

    moves: Array
    days: Array

    @property
    def nearest(self) -> tuple[float, float] | None:
        """Moves of the nearest point."""
        if not len(self.days):
            return None
        first, second = self.moves[int(np.argmin(self.days))].tolist()
        return first, second

    @property
    def distance(self) -> float | None:
        """Typical days to the nearest point: 0 where the account is below its line, None where no direction reaches it."""
        return float(self.days.min()) if len(self.days) else None


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Health by moves of `across` (n,) and `up` (m,), shape (m, n); infinite where the debt is worth nothing."""

    account: int
    horizontal: Driver
    vertical: Driver | None
    """None where the account follows a single driver: then there is one row, at no move"""
    across: Array
    up: Array
    health: Array
    liquidatable: BoolArray
    boundary: Boundary


def drivers(what_if: WhatIf, account: int) -> tuple[Driver, ...]:
    """Factors and discounts that an account follows, the one that matters most first: those that move with the market before pegs."""
    claim, exposures = _claim(what_if, account), what_if.prepared.claims.exposures
    factors: dict[str, float] = {}
    bases: dict[str, float] = {}
    for term in claim.terms:
        for lot, weight in delta_weights(term.shape).items():
            part = weight * float(term.signed)
            factors[exposures.lots[lot].factor] = factors.get(exposures.lots[lot].factor, 0.0) + part
            for basis in exposures.lots[lot].bases:
                bases[basis] = bases.get(basis, 0.0) + part
    moving = what_if.prepared.volatilities
    ordered = sorted(factors, key=lambda name: (not exposures.classes[name].volatile, -abs(factors[name]), name))
    found = [Driver(name, False, _day(moving[name])) for name in ordered]
    return (*found, *(Driver(name, True, max(BASES[basis_of(name)].daily_volatility, SMALLEST_DAY)) for name in sorted(bases)))


def driver(what_if: WhatIf, account: int, name: str) -> Driver:
    """One of the account's drivers by name; InputError naming them where it has no such one."""
    there = drivers(what_if, account)
    found = next((one for one in there if one.name.lower() == name.lower()), None)
    if found is None:
        raise InputError(f"the account does not follow {name!r}; it follows {', '.join(one.name for one in there)}")
    return found


def surface(
    what_if: WhatIf,
    account: int,
    horizontal: str | None = None,
    vertical: str | None = None,
    across: Sequence[float] | None = None,
    up: Sequence[float] | None = None,
    points: int = 61,
    show: Mapping[str, float] = MappingProxyType({}),
) -> Surface:
    """Surface of an account over two of its drivers, by default those that matter most, over a range that shows the line.

    `show`: moves by driver that the range should hold as well, as far as it goes.
    """
    there = drivers(what_if, account)
    first = driver(what_if, account, horizontal) if horizontal is not None else there[0]
    rest = [one for one in there if one != first]
    second = driver(what_if, account, vertical) if vertical is not None else rest[0] if rest else None
    if second == first:
        raise InputError(f"{first.name} cannot stand on both axes")
    line = boundary(what_if, account, first, second)
    xs = np.array(across, dtype=np.float64) if across is not None else _span(line, 0, first, points, show)
    ys = np.array(up, dtype=np.float64) if up is not None else _span(line, 1, second, points, show) if second is not None else np.zeros(1)
    if (xs < -1.0).any() or (ys < -1.0).any() or not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise InputError("moves on an axis are finite and not below −100 %")
    moves = {first.name: 1.0 + xs[None, :], **({second.name: 1.0 + ys[:, None]} if second is not None else {})}
    counted, debt = _sides(what_if, account, moves, (len(ys), len(xs)))
    with np.errstate(divide="ignore", invalid="ignore"):
        health = np.where(debt > 0, counted / debt, np.inf)
    liquidatable = counted < debt
    on_chain = account < len(what_if.prepared.portfolio.margin_accounts)
    for row, column in np.argwhere(np.abs(counted - debt) <= NEAR_THE_LINE * debt).tolist() if on_chain else ():
        prices = {first.name: 1 + _exactly(xs[column]), **({second.name: 1 + _exactly(ys[row])} if second is not None else {})}
        liquidatable[row, column] = bool(what_if.after(Shock(prices)).accounts[account].liquidatable)
    return Surface(account, first, second, xs, ys, health, liquidatable, line)


def boundary(what_if: WhatIf, account: int, horizontal: Driver, vertical: Driver | None) -> Boundary:
    """Where health first reaches 1 in each direction, within FARTHEST_DAYS typical days."""
    claim, exposures = _claim(what_if, account), what_if.prepared.claims.exposures
    count = DIRECTIONS if vertical is not None else 2
    angles = 2.0 * np.pi * np.arange(count) / count
    steps = np.concatenate([[0.0], np.geomspace(1e-3, FARTHEST_DAYS, 240)])

    def at(days: Array) -> tuple[dict[str, Array], Array]:
        """Multipliers, and the cushion, at so many days in each direction; `days` of shape (directions, …)."""
        shape = (count,) + (1,) * (days.ndim - 1)
        moves = {horizontal.name: np.exp(days * horizontal.daily * np.cos(angles).reshape(shape))}
        if vertical is not None:
            moves[vertical.name] = np.exp(days * vertical.daily * np.sin(angles).reshape(shape))
        counted, debt = _sums(claim, _lots(exposures, moves, days.shape))
        return moves, counted - debt

    _, cushions = at(np.broadcast_to(steps, (count, len(steps))))
    below = cushions < 0
    hit = below.any(axis=1)
    index = np.argmax(below, axis=1)
    low, high = steps[np.maximum(index - 1, 0)], steps[index]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        inside = at(middle)[1] < 0
        low, high = np.where(inside, low, middle), np.where(inside, middle, high)
    moves, _ = at(high)
    second = moves[vertical.name] - 1.0 if vertical is not None else np.zeros(count)
    return Boundary(np.stack([moves[horizontal.name] - 1.0, second], axis=1)[hit], high[hit])


def _claim(what_if: WhatIf, account: int) -> Claim:
    claim = what_if.prepared.claims.by_account.get(account)
    if claim is None:
        raise InputError("the account owes nothing, or a debt of it could not be valued: there is no line to reach")
    return claim


def _sides(what_if: WhatIf, account: int, moves: Mapping[str, Array], shape: tuple[int, int]) -> tuple[Array, Array]:
    """What health is the ratio of: counted collateral and debt; at a venue equity and maintenance margin."""
    exposures = what_if.prepared.exposures
    line = next((one for one in exposures.venues if one.account == account), None)
    if line is not None:
        lots = _lots(exposures, moves, shape)
        return equity_at(line, lots), maintenance_at(line, lots)
    return _sums(_claim(what_if, account), _lots(what_if.prepared.claims.exposures, moves, shape))


def _sums(claim: Claim, lots: Array) -> tuple[Array, Array]:
    """Counted collateral and debt, of the shape of the grid."""
    counted, debt = np.zeros(lots.shape[:-1]), np.zeros(lots.shape[:-1])
    for term in claim.terms:
        if term.signed < 0:
            debt -= float(term.signed) * multiplier(term.shape, lots)
        else:
            counted += float(term.signed) * multiplier(term.shape, lots)
    return counted, debt


def _lots(exposures: Exposures, moves: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    """Lot multipliers when some factors and discounts take these multipliers, broadcast to `shape`."""
    factors, bases = np.ones((*shape, len(exposures.factors))), np.ones((*shape, len(exposures.bases)))
    for name, values in moves.items():
        target, names = (factors, exposures.factors) if name in exposures.factors else (bases, exposures.bases)
        target[..., names.index(name)] = np.broadcast_to(values, shape)
    return lot_multipliers(exposures, factors, bases)


def _span(line: Boundary, axis: int, one: Driver, points: int, show: Mapping[str, float]) -> Array:
    """Moves that show today, the line where it is near, and some way beyond; round numbers, today among them."""
    typical = float(np.expm1(4.0 * one.daily))
    nearest = np.abs(line.moves[np.argsort(line.days)[: max(len(line.days) // 3, 1)], axis]).max(initial=0.0) if len(line.days) else 0.0
    reach = min(max(typical, 1.5 * float(nearest), 1.1 * abs(show.get(one.name, 0.0)), 0.05), FARTHEST_MOVE)
    half = points // 2
    return np.round(np.linspace(-reach, reach, 2 * half + 1), _DIGITS)


def _day(volatility: Volatility) -> float:
    return max(volatility.daily, SMALLEST_DAY)


def _exactly(move: float) -> Fraction:
    """The decimal that a float on the grid stands for."""
    return Fraction(repr(float(move)))
