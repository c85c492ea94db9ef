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

from aggregator.model.position import Side
from aggregator.risk.claims import Claim, Claims, venue_claim
from aggregator.risk.exposure import Exposures, Holding, Key, Lot, Tree
from aggregator.risk.prepared import Prepared
from aggregator.risk.shapes import Linear, Pair, Range, Shape, blend, range_multiplier, relabelled
from aggregator.risk.shock import Moves
from aggregator.risk.valuation import EXACT
from aggregator.risk.venue_exposure import LotMoves, VenueLine, VenueSums, moved_holding, moved_part

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
    venues: VenueSums
    """of venue accounts"""

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
        self._venue_groups = frozenset(line.group for line in exposures.venues)
        known = [book for book in prepared.venues if not book.why]
        self._still = VenueSums(sum((one.collateral_usd for one in known), Decimal(0)), sum((one.debt_usd for one in known), Decimal(0)))

    def apply(self, moves: Moves) -> Shocked:
        """Everything after the moves."""
        exposures, claims = self._prepared.exposures, self._prepared.claims
        names = moves.names
        moved = {key: key for key, own in self._names.items() if own & names}
        venue_moves = self._lot_moves(moves) if exposures.venues else LotMoves({}, {})
        stirred = bool(venue_moves.prices or venue_moves.volatilities)
        if not (moved or stirred):
            return Shocked({}, {}, exposures, claims, self._still)
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
        holdings, sums = [], self._still
        for one in exposures.holdings:
            if one.group not in self._venue_groups:
                holdings.append(_holding(one, legs, ranges, shapes, followed))
            elif stirred:
                at_venue, sums = self._venue_holding(one, venue_moves, sums)
                holdings.append(at_venue)
            else:
                holdings.append(one)
        lines = tuple(_line(line, venue_moves) for line in exposures.venues) if stirred else exposures.venues
        after = replace(exposures, holdings=tuple(holdings), leg_shapes=shapes, leg_values=values, venues=lines)
        result = Shocked(legs, ranges, after, claims, sums)
        return replace(result, claims=self._claims(result, stirred))

    def _lot_moves(self, moves: Moves) -> LotMoves:
        """What the moves do to each lot, and to the volatility of what follows it."""
        prices, volatilities = {}, {}
        for number, lot in enumerate(self._prepared.exposures.lots):
            change = moves.factors.get(lot.factor, ONE)
            for basis in lot.bases:
                change *= moves.bases.get(basis, ONE)
            if change != 1:
                prices[number] = change
            if moves.volatilities.get(lot.factor, ONE) != 1:
                volatilities[number] = float(moves.volatilities[lot.factor])
        return LotMoves(prices, volatilities)

    def _venue_holding(self, one: Holding, moves: LotMoves, sums: VenueSums) -> tuple[Holding, VenueSums]:
        account, _, index = one.source
        options = self._prepared.venues[(account or 0) - len(self._prepared.portfolio.margin_accounts)].parts[index or 0].options
        value, shape, change = moved_holding(one.value, one.shape, moves, options)
        difference = Decimal(repr(one.value * (change - 1.0)))
        match one.side:
            case Side.COLLATERAL:
                sums = replace(sums, collateral=sums.collateral + difference)
            case Side.DEBT:
                sums = replace(sums, debt=sums.debt + difference)
            case _:
                sums = replace(sums, profit=sums.profit + one.side.sign * float(difference))
        return replace(one, value=value, low=value, high=value, shape=shape), sums

    def _claims(self, shocked: Shocked, stirred: bool) -> Claims:
        at_venues = {line.account: venue_claim(line) for line in shocked.exposures.venues} if stirred else {}
        claims, touched = self._prepared.claims, {key[:2] for key in shocked.legs} | set(shocked.ranges)
        return replace(
            claims,
            by_account={
                number: self._narrowed(at_venues[number])
                if number in at_venues
                else self._claim(claim, shocked)
                if any(term.key[:2] in touched for term in claim.terms)
                else claim
                for number, claim in claims.by_account.items()
            },
        )

    def _narrowed(self, claim: Claim) -> Claim:
        return replace(claim, terms=tuple(replace(term, shape=relabelled(term.shape, self._narrow)) for term in claim.terms))

    def _claim(self, claim: Claim, shocked: Shocked) -> Claim:
        terms = []
        for term in claim.terms:
            change = shocked.claim_multiplier(term.key)
            shape = relabelled(shocked.exposures.leg_shapes[term.key], self._narrow)
            price = scaled(term.price, change) if term.price is not None else None
            terms.append(replace(term, signed=scaled(term.signed, change), price=price, shape=shape))
        return replace(claim, terms=tuple(terms))


def _line(line: VenueLine, moves: LotMoves) -> VenueLine:
    return replace(
        line,
        equity=tuple(moved_part(part, moves, line.options.get(part[0])) for part in line.equity),
        maintenance=tuple(moved_part(part, moves, None) for part in line.maintenance),
    )


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
