"""What each leg is worth at market or look-through prices, in exact decimals. Missing is never zero.

A price is believed when it has a finite, non-negative value and does not sit at an aggregator's bound; a debt is never valued at a
price of zero. Where a token has no believed price of its own, its components give one, if every one of them has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext

from aggregator.model.identifiers import AssetId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Component, Leg, Position, Side
from aggregator.model.price import Price, PriceBook, PriceQuality
from aggregator.model.units import to_decimal

EXACT = Context(prec=120)
"""enough digits for any 256-bit amount times any price"""


@dataclass(frozen=True, slots=True)
class ComponentValue:
    """A component with its USD value, None where it or one of its own parts has no believed price."""

    component: Component
    value: Decimal | None
    low: Decimal | None
    high: Decimal | None
    parts: tuple[ComponentValue, ...]


@dataclass(frozen=True, slots=True)
class LegValue:
    """USD values of a leg, uncollected fees included; all None together where there is no believed price for an amount above zero.

    `low` and `high` are the values at the bounds of the price: assets are stressed from the low one, debts from the high one.
    """

    leg: Leg
    price: Decimal | None
    """of one whole token"""
    value: Decimal | None
    fees_value: Decimal | None
    low: Decimal | None
    high: Decimal | None
    age_seconds: int
    """of the oldest price used; 0 where the price states no age"""
    components: tuple[ComponentValue, ...]
    why: str = ""
    """why there is no value"""


@dataclass(frozen=True, slots=True)
class PositionValue:
    """A position with its legs' values, in the same order."""

    position: Position
    legs: tuple[LegValue, ...]


@dataclass(frozen=True, slots=True)
class Valuation:
    """The portfolio with values: `accounts[i][j]` is position j of margin account i; `positions` are the free ones."""

    accounts: tuple[tuple[PositionValue, ...], ...]
    positions: tuple[PositionValue, ...]


def believed(price: Price | None, side: Side = Side.IDLE) -> bool:
    """Whether a price may value something on this side."""
    if price is None or price.value is None or price.quality in (PriceQuality.MISSING, PriceQuality.BOUNDED):
        return False
    return price.value.is_finite() and (price.value > 0 if side.sign < 0 else price.value >= 0)


def value_portfolio(portfolio: Portfolio, prices: PriceBook) -> Valuation:
    """Values of all legs, exactly: amount · price, never rounded."""
    with localcontext(EXACT):
        return Valuation(
            tuple(tuple(_position(position, prices) for position in account.positions) for account in portfolio.margin_accounts),
            tuple(_position(position, prices) for position in portfolio.positions),
        )


def total(values: Iterable[Decimal | None]) -> Decimal:
    """Exact sum of the values that are known."""
    with localcontext(EXACT):
        return sum((value for value in values if value is not None), Decimal(0))


def _position(position: Position, prices: PriceBook) -> PositionValue:
    return PositionValue(position, tuple(value_leg(leg, prices) for leg in position.legs))


def value_leg(leg: Leg, prices: PriceBook) -> LegValue:
    """Value of one leg: at its own price, else through its components."""
    with localcontext(EXACT):
        components = tuple(_component(component, prices, leg.side) for component in leg.look_through)
        units = to_decimal(leg.amount + leg.fees, leg.decimals)
        fees = to_decimal(leg.fees, leg.decimals)
        price = prices.get(leg.asset)
        if price is not None and price.value is not None and believed(price, leg.side):
            low, high = _bounds(price)
            return LegValue(
                leg, price.value, units * price.value, fees * price.value, units * low, units * high, price.age_seconds or 0, components
            )
        value, low_sum, high_sum = _sums(components)
        if components and value is not None and units > 0:
            age = max((prices[asset].age_seconds or 0 for asset in _leaves(leg.look_through) if asset in prices), default=0)
            return LegValue(leg, value / units, value, value * fees / units, low_sum, high_sum, age, components)
        if units == 0:  # nothing of it is worth nothing, whatever its price
            return LegValue(leg, None, *(Decimal(0),) * 4, 0, components)
        return LegValue(leg, None, None, None, None, None, 0, components, _why(price))


def _component(component: Component, prices: PriceBook, side: Side) -> ComponentValue:
    parts = tuple(_component(part, prices, side) for part in component.parts)
    price = prices.get(component.asset)
    if price is not None and price.value is not None and believed(price, side):
        units = to_decimal(component.amount, component.decimals)
        low, high = _bounds(price)
        return ComponentValue(component, units * price.value, units * low, units * high, parts)
    value, low_sum, high_sum = _sums(parts)
    return ComponentValue(component, value, low_sum, high_sum, parts)


def _sums(parts: tuple[ComponentValue, ...]) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    if not parts:
        return None, None, None
    sums = [Decimal(0), Decimal(0), Decimal(0)]
    for part in parts:
        if part.value is None or part.low is None or part.high is None:
            return None, None, None
        sums = [sums[0] + part.value, sums[1] + part.low, sums[2] + part.high]
    return sums[0], sums[1], sums[2]


def _leaves(components: Iterable[Component]) -> Iterable[AssetId]:
    for component in components:
        yield component.asset
        yield from _leaves(component.parts)


def _bounds(price: Price) -> tuple[Decimal, Decimal]:
    """Low and high around the value; a bound that is absent or on the wrong side is the value itself."""
    value = price.value if price.value is not None else Decimal(0)
    low = price.low if price.low is not None and price.low.is_finite() and Decimal(0) <= price.low <= value else value
    high = price.high if price.high is not None and price.high.is_finite() and price.high >= value else value
    return low, high


def _why(price: Price | None) -> str:
    if price is None:
        return "no price source"
    if price.quality is PriceQuality.BOUNDED:
        return price.detail or "the price sits at its feed's bound and is not believed"
    return price.detail or "no believed price"
