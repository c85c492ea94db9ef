"""How a holding's value follows the prices of what it is made of: linear, as a full-range pair, or as a concentrated range.

A *lot* is a risk factor together with the discounts on the way to it (`ETH` behind the discount of `lst:stETH`). A shape turns an
array of lot multipliers (last axis: lots) into the multiplier of the holding's value; with all lots at 1 it is exactly 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.model.position import ConcentratedRange

Array: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
IntArray: TypeAlias = NDArray[np.int64]

Q96 = 2.0**96
SLOPE_STEP = 1e-3
"""relative move over which the slope of a curve is taken"""


@dataclass(frozen=True, slots=True)
class Linear:
    """Σ weight · lot; the weights sum to 1."""

    weights: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A full-range constant-product pair: value follows √(first · second), whatever the pool's price was."""

    first: Shape
    second: Shape


@dataclass(frozen=True, slots=True)
class Mixed:
    """Σ weight · shape, where a part is itself not linear."""

    parts: tuple[tuple[float, Shape], ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A concentrated position: amounts follow the pool's price, which follows the two tokens' prices.

    `price0`, `price1`: USD per raw unit now. Uncollected fees are not part of it.
    """

    first: Shape
    second: Shape
    range: ConcentratedRange
    price0: float
    price1: float


@dataclass(frozen=True, slots=True)
class Fixed:
    """What no price moves: cash in the currency that a venue counts in."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """An option book on one underlying, over the logarithm of its move; straight lines between the points, flat beyond them.

    `rows`: multipliers with volatility down, as it is, and up; 1 where nothing moves, unless the curve stands for a sum of its own.
    """

    lot: int
    logs: Array
    rows: Array
    """(3, points)"""

    def at(self, moves: Array, volatility: IntArray | None = None) -> Array:
        """Multipliers at lot multipliers of any shape; `volatility` of the same shape is −1, 0 or 1, None for 0 everywhere."""
        where = np.log(np.maximum(moves, 1e-12))
        result = np.interp(where, self.logs, self.rows[1])
        if volatility is not None:
            for row, state in ((0, -1), (2, 1)):
                there = volatility == state
                if there.any():
                    result[there] = np.interp(where[there], self.logs, self.rows[row])
        return np.asarray(result)

    def moved(self, by: float, level: float) -> Curve:
        """The curve seen from a price `by` times as high; `level` is added to every multiplier."""
        return Curve(self.lot, self.logs - float(np.log(max(by, 1e-12))), self.rows + level)


Shape: TypeAlias = Linear | Pair | Mixed | Range | Fixed | Curve


def multiplier(shape: Shape, lots: Array) -> Array:
    """Value multiplier for lot multipliers of shape (…, lots); result of shape (…)."""
    match shape:
        case Linear(weights):
            index = [lot for lot, _ in weights]
            result: Array = lots[..., index] @ np.array([weight for _, weight in weights])
            return result
        case Pair(first, second):
            return np.asarray(np.sqrt(np.maximum(multiplier(first, lots) * multiplier(second, lots), 0.0)))
        case Mixed(parts):
            return np.asarray(sum((weight * multiplier(part, lots) for weight, part in parts), np.zeros(lots.shape[:-1])))
        case Fixed():
            return np.ones(lots.shape[:-1])
        case Curve(lot):
            return shape.at(lots[..., lot])
        case Range():
            return range_multiplier(shape, multiplier(shape.first, lots), multiplier(shape.second, lots))


def range_amounts(position: ConcentratedRange, sqrt_price: Array) -> tuple[Array, Array]:
    """Raw amounts (token0, token1) that the range holds at √price, as floats; inside, below and above its bounds."""
    lower, upper = position.sqrt_lower_x96 / Q96, position.sqrt_upper_x96 / Q96
    inside = np.clip(sqrt_price, lower, upper)
    return position.liquidity * (1.0 / inside - 1.0 / upper), position.liquidity * (inside - lower)


def range_multiplier(shape: Range, first: Array, second: Array) -> Array:
    """Value multiplier of a concentrated position when its tokens' prices move by these multipliers, all of one shape."""
    sqrt_now = np.float64(shape.range.sqrt_price_x96 / Q96)
    now0, now1 = range_amounts(shape.range, np.asarray(sqrt_now))
    value_now = float(now0) * shape.price0 + float(now1) * shape.price1
    if value_now <= 0.0:
        return np.ones(first.shape)
    # token0's price in token1 moves by first/second; a worthless token1 drives it beyond every bound
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(second > 0, first / np.where(second > 0, second, 1.0), np.where(first > 0, np.inf, 1.0))
    amount0, amount1 = range_amounts(shape.range, sqrt_now * np.sqrt(ratio))
    return np.asarray((amount0 * shape.price0 * first + amount1 * shape.price1 * second) / value_now)


def delta_weights(shape: Shape) -> dict[int, float]:
    """First-order weights by lot: the relative change of value per relative change of the lot; they sum to 1 where it is an asset."""
    weights: dict[int, float] = {}
    match shape:
        case Linear(own):
            _add(weights, dict(own), 1.0)
        case Pair(first, second):
            _add(weights, delta_weights(first), 0.5)
            _add(weights, delta_weights(second), 0.5)
        case Mixed(parts):
            for weight, part in parts:
                _add(weights, delta_weights(part), weight)
        case Fixed():
            pass
        case Curve(lot):
            low, high = shape.at(np.array([1.0 - SLOPE_STEP, 1.0 + SLOPE_STEP])).tolist()
            weights[lot] = (high - low) / (2.0 * SLOPE_STEP)
        case Range(first, second, position, price0, price1):
            amount0, amount1 = range_amounts(position, np.asarray(position.sqrt_price_x96 / Q96))
            value0, value1 = float(amount0) * price0, float(amount1) * price1
            share = value0 / (value0 + value1) if value0 + value1 > 0 else 0.5
            # the amounts are at their optimum for the price (envelope), so their own change is of second order
            _add(weights, delta_weights(first), share)
            _add(weights, delta_weights(second), 1.0 - share)
    return weights


def lots_it_grows_with(shape: Shape) -> frozenset[int | None] | None:
    """The lots between whose moves the shape's own always lies, None standing for what does not move; None where that is not so.

    It is so of whatever rises with every price and scales with all of them together: sums, pairs and ranges, not option books.
    """
    match shape:
        case Linear(weights):
            return frozenset(lot for lot, _ in weights) if all(weight >= 0 for _, weight in weights) else None
        case Fixed():
            return frozenset([None])
        case Curve():
            return None
        case Mixed(parts):
            shapes: tuple[Shape, ...] = tuple(part for _, part in parts) if all(weight >= 0 for weight, _ in parts) else ()
        case Pair(first, second) | Range(first, second):
            shapes = (first, second)
    found = [lots_it_grows_with(one) for one in shapes]
    known = [one for one in found if one is not None]
    return frozenset().union(*known) if known and len(known) == len(found) else None


def relabelled(shape: Shape, lots: Mapping[int, int]) -> Shape:
    """The same shape over lots with other numbers."""
    match shape:
        case Linear(weights):
            return Linear(tuple((lots[lot], weight) for lot, weight in weights))
        case Pair(first, second):
            return Pair(relabelled(first, lots), relabelled(second, lots))
        case Mixed(parts):
            return Mixed(tuple((weight, relabelled(part, lots)) for weight, part in parts))
        case Fixed():
            return shape
        case Curve(lot):
            return replace(shape, lot=lots[lot])
        case Range(first, second):
            return replace(shape, first=relabelled(first, lots), second=relabelled(second, lots))


def blend(parts: list[tuple[float, Shape]]) -> Shape:
    """Σ weight · shape, kept linear where every part is."""
    if all(isinstance(shape, Linear) for _, shape in parts):
        weights: dict[int, float] = {}
        for weight, shape in parts:
            if isinstance(shape, Linear):
                _add(weights, dict(shape.weights), weight)
        return Linear(tuple(sorted(weights.items())))
    return Mixed(tuple(parts))


def _add(weights: dict[int, float], more: dict[int, float], scale: float) -> None:
    for lot, weight in more.items():
        weights[lot] = weights.get(lot, 0.0) + scale * weight
