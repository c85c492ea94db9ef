"""Customer portfolio margin (FINRA 4210(g), the clearing corporation's TIMS): ten price moves, full revaluation, a floor a contract.

    a class (an underlying, and what stands for it) loses or gains at each of ten equally spaced moves within its range
    product group: at each move, losses count in full and another class's gain with the group's offset
    requirement = Σ_group max( worst move's loss , minimum · option units )

Ranges: equities ±15 %, broad indices +6/−8 %, other indices ±10 %; minimum $37.50 for a contract of 100. Volatility and time stand still.
The clearing house's own theoretical values are not public: values here are Black-76 at the market's or the premium's implied volatility,
so that figures come near the published ones and are unverified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aggregator.model.instrument import InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import (
    IntArray,
    Kind,
    MarginBook,
    MissingInput,
    Requirement,
    ScenarioTable,
    one_by_one,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.securities import premium, refusal, stock_price
from aggregator.risk.pricing.black76 import CALL, PUT, implied_volatility, price

POINTS = 10


@dataclass(frozen=True, slots=True)
class ClassRange:
    """How far a class may move, as fractions of its price; both positive."""

    up: float
    down: float
    group: str = ""
    """product group; empty: a group of its own"""

    def moves(self) -> Array:
        """Ten relative moves, from the largest fall to the largest rise."""
        steps = np.arange(1, POINTS // 2 + 1) / (POINTS // 2)
        return np.concatenate([-self.down * steps[::-1], self.up * steps])


EQUITY = ClassRange(0.15, 0.15)
BROAD_INDEX = ClassRange(0.06, 0.08, "broad-index")
OTHER_INDEX = ClassRange(0.10, 0.10)


@dataclass(frozen=True, slots=True)
class TimsParameters:
    """Ranges by underlying; offsets by product group, as the part of another class's gain that counts."""

    ranges: Mapping[str, ClassRange] = field(default_factory=lambda: {"SPX": BROAD_INDEX, "NDX": BROAD_INDEX, "RUT": OTHER_INDEX})
    other: ClassRange = EQUITY
    offsets: Mapping[str, float] = field(default_factory=lambda: {"broad-index": 0.90})
    minimum: float = 0.375
    """for each unit of an option: $37.50 for a contract of 100"""
    source: str = "FINRA 4210(g); theoretical values by Black-76 instead of the clearing house's own"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """`parts` by holding; the profit of each group at each move."""

    amount: float
    parts: Array
    groups: tuple[str, ...]
    pnl: Array
    """(groups, moves)"""
    minimum: float


def evaluate(book: MarginBook, market: Market, parameters: TimsParameters) -> Evaluation:
    """MissingInput where neither a volatility nor a premium is there."""
    ranges = [parameters.ranges.get(name, parameters.other) for name in book.underlyings]
    names = [one.group or name for one, name in zip(ranges, book.underlyings, strict=True)]
    groups = tuple(sorted(set(names)))
    profit = np.zeros((len(book), POINTS))
    for row in range(len(book)):
        profit[row] = _profit(book, row, market, ranges[book.columns.underlying[row]].moves())
    owner: IntArray = book.columns.underlying
    floor = np.where(book.columns.option, np.abs(book.columns.units) * parameters.minimum, 0.0)
    parts, totals, minimum = np.zeros(len(book)), np.zeros((len(groups), POINTS)), 0.0
    for number, group in enumerate(groups):
        classes = [index for index, name in enumerate(names) if name == group]
        by_class = np.array([profit[owner == index].sum(axis=0) for index in classes])
        # with one class there is nothing to offset, and its gains are its own
        offset = parameters.offsets.get(group, 1.0) if len(classes) > 1 else 1.0
        counted = np.where(by_class < 0, by_class, offset * by_class)
        totals[number] = counted.sum(axis=0)
        worst = int(totals[number].argmin())
        loss = max(-float(totals[number, worst]), 0.0)
        rows = np.isin(owner, classes)
        least = float(floor[rows].sum())
        minimum += least
        if least > loss:
            parts[rows] = floor[rows]
        elif loss > 0:
            weight = np.where(by_class[:, worst] < 0, 1.0, offset)
            for index, share in zip(classes, weight, strict=True):
                parts[owner == index] = -share * profit[owner == index, worst]
    return Evaluation(float(parts.sum()), parts, groups, totals, minimum)


def _profit(book: MarginBook, row: int, market: Market, moves: Array) -> Array:
    """USD profit of a holding at relative moves of its underlying."""
    holding = book.holdings[row]
    instrument, units = holding.instrument, float(book.columns.units[row])
    if instrument.kind is InstrumentKind.SPOT:
        return units * stock_price(holding, market) * moves
    name, expiry, strike = instrument.underlying, instrument.expiry or 0, float(instrument.strike or 0)
    if name not in market.spot:
        raise MissingInput(f"spot price of {name} is missing")
    forward = market.forwards[name, expiry].price if (name, expiry) in market.forwards else market.spot[name].value
    side, years = CALL if instrument.kind is InstrumentKind.CALL else PUT, market.years(expiry)
    known = market.volatilities.get((name, expiry, strike))
    now = premium(holding, market)
    volatility = known.value if known is not None else float(implied_volatility(now, forward, strike, years, side))
    # a premium below the intrinsic value has no volatility: such an option is worth what it pays
    level = volatility if np.isfinite(volatility) else 0.0
    moved = price(forward * np.concatenate([[1.0], 1.0 + moves]), strike, years, level, side)
    return np.asarray(units * (moved[1:] - moved[0]), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Tims:
    """See the module. Initial and maintenance margin are the same."""

    id: str = "tims"
    version: str = "1"
    source: str = "FINRA 4210(g), OCC TIMS"

    def default_parameters(self) -> TimsParameters:
        return TimsParameters()

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refusal(book)

    def requirement(self, book: MarginBook, market: Market, parameters: TimsParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        found = evaluate(book, market, parameters)
        several = len(found.groups) > 1
        names = tuple(
            f"{group + ': ' if several else ''}{'fall' if point < POINTS // 2 else 'rise'} {_step(point)} of 5"
            for group in found.groups
            for point in range(POINTS)
        )
        pnl = found.pnl.reshape(-1)
        values = sum(
            float(book.columns.units[row]) * (stock_price(one, market) if book.columns.spot[row] else premium(one, market))
            for row, one in enumerate(book.holdings)
        )
        result = Found(
            amount=found.amount,
            equity=float(values) + book.cash,
            components={"worst-loss": float(np.maximum(-found.pnl.min(axis=1), 0.0).sum()), "minimum": found.minimum},
            scenarios=ScenarioTable(names, pnl.copy()),
            worst_scenario=names[int(pnl.argmin())] if pnl.min(initial=0.0) < 0 else None,
            parts=found.parts,
            verified=False,
            notes=(parameters.source,),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: TimsParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


def _step(point: int) -> int:
    return POINTS // 2 - point if point < POINTS // 2 else point - POINTS // 2 + 1


MODEL = Tims()
