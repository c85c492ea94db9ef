"""A price under construction: value, bounds, age, quality, confidence, and what it is made of; with the arithmetic that combines them.

Exact decimal arithmetic, 50 significant digits, no binary floating point on the way of a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

from aggregator.model.price import PriceQuality

P = ParamSpec("P")
R = TypeVar("R")

CONTEXT = Context(prec=50, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])

RANK = {PriceQuality.FRESH: 0, PriceQuality.STALE: 1, PriceQuality.BOUNDED: 2, PriceQuality.MISSING: 3}


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function in the room's decimal context, whatever the caller's is."""

    @wraps(function)
    def inside(*arguments: P.args, **named: P.kwargs) -> R:
        with localcontext(CONTEXT):
            return function(*arguments, **named)

    return inside


@dataclass(frozen=True, slots=True)
class Estimate:
    """0 ≤ low ≤ value ≤ high, in some quote unit. `age_seconds` None: no source stated a time. `notes` are for people."""

    value: Decimal
    low: Decimal
    high: Decimal
    age_seconds: int | None
    quality: PriceQuality
    confidence: float
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        return RANK[self.quality]

    def noted(self, *notes: str, confidence: float = 1.0) -> Estimate:
        """The same with remarks added and the confidence multiplied."""
        return replace(self, notes=merged(self.notes, notes), confidence=self.confidence * confidence)

    def scaled(self, factor: Decimal) -> Estimate:
        """Times an exact factor ≥ 0."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)

    def covering(self, low: Decimal, high: Decimal) -> Estimate:
        """With bounds moved outwards to include `low` and `high`."""
        return replace(self, low=min(self.low, low), high=max(self.high, high))


def product(first: Estimate, second: Estimate) -> Estimate:
    """A price in B times the price of B. As old as the older, as good as the worse."""
    return Estimate(
        first.value * second.value,
        first.low * second.low,
        first.high * second.high,
        oldest((first, second)),
        worst((first, second)),
        first.confidence * second.confidence,
        merged(first.sources, second.sources),
        merged(first.notes, second.notes),
    )


def total(parts: Iterable[Estimate]) -> Estimate:
    """Sum of at least one part; the confidence is the least of the parts'."""
    terms = tuple(parts)
    return Estimate(
        sum((term.value for term in terms), Decimal(0)),
        sum((term.low for term in terms), Decimal(0)),
        sum((term.high for term in terms), Decimal(0)),
        oldest(terms),
        worst(terms),
        min(term.confidence for term in terms),
        merged(*(term.sources for term in terms)),
        merged(*(term.notes for term in terms)),
    )


def lower(market: Estimate, canonical: Estimate) -> Estimate:
    """Market and canonical value of a claim: the lower value, bounds around both, all sources named."""
    chosen = market if market.value <= canonical.value else canonical
    return Estimate(
        chosen.value,
        min(market.low, canonical.low),
        max(market.high, canonical.high),
        oldest((market, canonical)),
        worst((market, canonical)),
        min(market.confidence, canonical.confidence),
        merged(market.sources, canonical.sources),
        merged(market.notes, canonical.notes),
    )


def oldest(parts: Iterable[Estimate]) -> int | None:
    """Greatest age; None as soon as one is unknown."""
    ages = [part.age_seconds for part in parts]
    known = [age for age in ages if age is not None]
    return max(known) if known and len(known) == len(ages) else None


def worst(parts: Iterable[Estimate]) -> PriceQuality:
    return max((part.quality for part in parts), key=RANK.__getitem__)


def merged(*groups: Iterable[str]) -> tuple[str, ...]:
    """All texts once, in order of first occurrence."""
    return tuple(dict.fromkeys(text for group in groups for text in group))
