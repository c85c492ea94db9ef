"""A prepared portfolio after moves: every leg's multiplier, exactly, and the exposures and claims from which all figures follow.

A leg moves as it is made: its own token's move, times the value-weighted moves of what is inside, down to factors and discounts. Weights
are ratios of exact values, so a multiplier is a rational; only √ (pairs) and concentrated ranges leave the rationals. Scenarios compose:
the value after a shock and then a scenario is the value times both, weights of a mixture shifted by the shock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from aggregator.risk.claims import Claim, Claims
from aggregator.risk.exposure import Exposures, Holding, Key, Lot, Tree
from aggregator.risk.prepared import Prepared
from aggregator.risk.shapes import Linear, Pair, Range, Shape, blend, range_multiplier, relabelled
from aggregator.risk.shock import Moves
from aggregator.risk.valuation import EXACT

ONE = Fraction(1)
ROOT_DIGITS = 60
"""decimals of a square root: it decides nothing nearer to the line than that"""


@dataclass(frozen=True, slots=True)
class Followed:
    """What moves do to one leg: the multiplier of its value, and the shape with which it goes on from there."""

    multiplier: Fraction
    shape: Shape


@dataclass(frozen=True, slots=True)
class Shocked:
    """`legs`: multipliers of the legs that move, by key; of a concentrated position's legs those of their tokens. `ranges`: of the
    principal of concentrated positions, by margin account or None and position. What stands in neither has not moved."""

    legs: Mapping[Key, Fraction]
    ranges: Mapping[tuple[int | None, int], Fraction]
    exposures: Exposures
    claims: Claims
    """with every oracle following the market"""

    def claim_multiplier(self, key: Key) -> Fraction:
        """By how much a leg's value moves inside its margin account."""
        account, position, _ = key
        return self.ranges.get((account, position), self.legs.get(key, ONE))


class Shocking:
    """What a portfolio's legs follow, looked up once; `apply` then costs only what moves."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared, exposures = prepared, prepared.exposures
        self._names = {key: frozenset(_names(tree)) for key, tree in exposures.trees.items()}
        self.names = frozenset(name for own in self._names.values() for name in own)
        """assets, factors and discounts that any leg follows"""
        self._ranges = {
            key[:2]: shape for key, shape in exposures.leg_shapes.items() if isinstance(shape, Range) and key in exposures.trees
        }
        narrow = {lot: number for number, lot in enumerate(prepared.claims.exposures.lots)}
        self._narrow = {number: narrow[lot] for lot, number in exposures.lot_numbers.items() if lot in narrow}

    def apply(self, moves: Moves) -> Shocked:
        """Everything after the moves."""
        exposures, claims = self._prepared.exposures, self._prepared.claims
        names = moves.names
        moved = {key: key for key, own in self._names.items() if own & names}
        if not moved:
            return Shocked({}, {}, exposures, claims)
        follower = _Follower(moves, exposures.lot_numbers)
        followed = {key: follower.follow(exposures.trees[key]) for key in moved}
        legs = {key: one.multiplier for key, one in followed.items() if one.multiplier != 1}
        shapes = {**exposures.leg_shapes, **{key: one.shape for key, one in followed.items()}}
        ranges: dict[tuple[int | None, int], Fraction] = {}
        for where, span in self._ranges.items():
            first, second = ((*where, leg) for leg in (0, 1))
            if first in followed or second in followed:
                ranges[where], principal = _range(span, followed.get(first), followed.get(second))
                shapes[first] = shapes[second] = principal
        values = dict(exposures.leg_values)
        for key in legs.keys() | {key for key in values if key[:2] in ranges}:
            if key in values:
                values[key] *= float(ranges.get(key[:2], legs.get(key, ONE)))
        holdings = tuple(_holding(one, legs, ranges, shapes, followed) for one in exposures.holdings)
        after = replace(exposures, holdings=holdings, leg_shapes=shapes, leg_values=values)
        result = Shocked(legs, ranges, after, claims)
        return replace(result, claims=self._claims(result))

    def _claims(self, shocked: Shocked) -> Claims:
        claims, touched = self._prepared.claims, {key[:2] for key in shocked.legs} | set(shocked.ranges)
        return replace(
            claims,
            by_account={
                number: self._claim(claim, shocked) if any(term.key[:2] in touched for term in claim.terms) else claim
                for number, claim in claims.by_account.items()
            },
        )

    def _claim(self, claim: Claim, shocked: Shocked) -> Claim:
        terms = []
        for term in claim.terms:
            change = shocked.claim_multiplier(term.key)
            shape = relabelled(shocked.exposures.leg_shapes[term.key], self._narrow)
            price = scaled(term.price, change) if term.price is not None else None
            terms.append(replace(term, signed=scaled(term.signed, change), price=price, shape=shape))
        return replace(claim, terms=tuple(terms))


def scaled(value: Decimal, change: Fraction) -> Decimal:
    """value · change, exact where it has at most 120 digits."""
    if change is ONE or change == 1:
        return value
    return EXACT.divide(EXACT.multiply(value, Decimal(change.numerator)), Decimal(change.denominator))


class _Follower:
    """Walks trees under one set of moves."""

    def __init__(self, moves: Moves, lot_numbers: Mapping[Lot, int]) -> None:
        self._moves, self._lots = moves, lot_numbers

    def follow(self, tree: Tree) -> Followed:
        moves, own = self._moves, self._moves.tokens.get(tree.asset, ONE)
        if tree.lot is not None:
            change = own * moves.factors.get(tree.lot.factor, ONE)
            for basis in tree.lot.bases:
                change *= moves.bases.get(basis, ONE)
            return Followed(change, Linear(((self._lots[tree.lot], 1.0),)))
        children = [self.follow(child) for _, child in tree.children]
        shapes = [child.shape for child in children]
        changes = [child.multiplier for child in children]
        together = all(change == changes[0] for change in changes)
        if tree.pair:
            inside = changes[0] if together else _root(changes[0] * changes[1])
            return Followed(own * inside, Pair(shapes[0], shapes[1]))
        weights = [weight for weight, _ in tree.children]
        if together:
            return Followed(own * changes[0], blend(list(zip(weights, shapes, strict=True))))
        values = [Fraction(value) for value in tree.values]
        after = [value * change for value, change in zip(values, changes, strict=True)]
        inside = sum(after, Fraction(0)) / sum(values, Fraction(0))
        total = sum(after, Fraction(0))
        if total > 0:
            weights = [float(one / total) for one in after]
        return Followed(own * inside, blend(list(zip(weights, shapes, strict=True))))


def _names(tree: Tree) -> Iterator[str]:
    yield tree.asset
    if tree.lot is not None:
        yield tree.lot.factor
        yield from tree.lot.bases
    for _, child in tree.children:
        yield from _names(child)


def _root(value: Fraction) -> Fraction:
    with localcontext(prec=ROOT_DIGITS):
        return Fraction((Decimal(value.numerator) / Decimal(value.denominator)).sqrt())


def _range(span: Range, first: Followed | None, second: Followed | None) -> tuple[Fraction, Range]:
    """Multiplier of the principal, and the range at the prices after."""
    one, other = (float(leg.multiplier) if leg is not None else 1.0 for leg in (first, second))
    change = float(range_multiplier(span, np.asarray(one), np.asarray(other)))
    # a worthless token drives the pool beyond the range, and it stays there
    sqrt = span.range.sqrt_price_x96 * (one / other) ** 0.5 if other > 0 else float(span.range.sqrt_upper_x96) if one > 0 else None
    return Fraction(change), Range(
        first.shape if first is not None else span.first,
        second.shape if second is not None else span.second,
        replace(span.range, sqrt_price_x96=max(int(sqrt), 1)) if sqrt is not None else span.range,
        span.price0 * one,
        span.price1 * other,
    )


def _holding(
    holding: Holding,
    legs: Mapping[Key, Fraction],
    ranges: Mapping[tuple[int | None, int], Fraction],
    shapes: Mapping[Key, Shape],
    followed: Mapping[Key, Followed],
) -> Holding:
    account, position, leg = holding.source
    if leg is None:
        change = ranges.get((account, position))
        if change is None:
            return holding
        shape = shapes[account, position, 0]
    else:
        key = (account, position, leg)
        if key not in followed:
            return holding
        change, shape = legs.get(key, ONE), followed[key].shape
    by = float(change)
    return replace(holding, value=holding.value * by, low=holding.low * by, high=holding.high * by, shape=shape)
