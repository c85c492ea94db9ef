"""Which option strategies a book is margined as: the pairing of its legs that needs least, as a linear programme.

Requirements are those of FINRA 4210(f)(2), the CBOE margin manual and Regulation T, stated against equity that counts every option at its
premium p. S is the underlying's price, K a strike, OTM how far an option is out of the money.

    short option            max(base·S − OTM, floor·S)         a put's floor is on K
    long option             p, or 75 % of it from nine months on
    short call and put      the short requirement of the side whose requirement with its premium is greater
    spread of any shape     largest loss at expiry over all strikes + Σ long p − Σ short p; longs expire no earlier than shorts
    stock                   rate·S, short rate·S
    covered call            S − (1 − rate)·min(S, K) − p       covered put: short rate·S + (K − S)⁺ − p
    long box, European      half its width, where that is less than its debit
    maintenance only: protective put or call min(10 %·K + OTM, rate·S) + p, collar min(10 %·K_put + OTM, 25 %·K_call) + (S − K_call)⁺ and
                      premiums, conversion and reverse conversion 10 %·K + what the short option is in the money, and premiums

Any combination with a bounded loss is a spread here (verticals, calendars, butterflies, condors, boxes), so one block of legs an expiry
covers them all. The optimum over all pairings is subadditive: what is margined together never needs more than apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from aggregator.risk.margin.market import Array

EXHAUSTIVE = 2_500
"""pairs up to which every short call is tried with every short put; beyond, only pairs of one expiry, the largest first"""


SECONDS = 5.0
"""after which a search for whole contracts settles for what it has"""


@dataclass(frozen=True, slots=True)
class Leg:
    """An option: `units` of the underlying, signed; premium of one unit; `long_rate` is the part of the premium a long one needs."""

    units: float
    strike: float
    call: bool
    expiry: int
    premium: float
    long_rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Stock:
    """The underlying, or what stands for it: in units of the underlying, signed, and the price of as much."""

    units: float
    price: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Fractions. `maintenance` switches the rules for hedged stock on."""

    base: float
    floor: float
    stock: float
    short_stock: float
    maintenance: bool
    hedged: float = 0.10
    collar: float = 0.25
    european: bool = False
    """cash-settled and European: a long box has loan value"""

    def short(self, leg: Leg, spot: float) -> float:
        """Of one unit sold, beyond its premium."""
        out = max(leg.strike - spot, 0.0) if leg.call else max(spot - leg.strike, 0.0)
        return max(self.base * spot - out, self.floor * (spot if leg.call else leg.strike))


@dataclass(frozen=True, slots=True)
class Pairing:
    """Least requirement, ≥ 0 whatever the premiums, and what it is made of by kind of strategy, USD."""

    amount: float
    by_strategy: Mapping[str, float]
    exhaustive: bool


@dataclass(slots=True)
class _Programme:
    """Columns with a cost; rows that exhaust legs and stock, and rows that bound the blocks' losses from below."""

    costs: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    contracts: list[bool] = field(default_factory=list)
    """whether a column counts contracts"""
    used: list[tuple[int, int, float]] = field(default_factory=list)
    bounds: list[tuple[int, int, float]] = field(default_factory=list)
    height: int = 0

    def add(self, name: str, cost: float, legs: Sequence[int], contracts: bool = True) -> int:
        """One unit of a strategy that takes one unit of each of these."""
        column = len(self.costs)
        self.costs.append(cost)
        self.names.append(name)
        self.contracts.append(contracts)
        self.used.extend((leg, column, 1.0) for leg in legs)
        return column

    def at_least_zero(self, terms: Sequence[tuple[int, float]]) -> None:
        """Σ value·column ≥ 0."""
        self.bounds.extend((self.height, column, -value) for column, value in terms)
        self.height += 1


def least(legs: Sequence[Leg], stocks: Sequence[Stock], spot: float, rates: Rates, whole: float | None = None) -> Pairing:
    """The least requirement. `whole` is the size of a contract where options are paired by whole contracts only, None for any fraction.

    A book so large that the search runs out of time is margined leg by leg, and the pairing is not exhaustive.
    """
    programme = _Programme()
    stock_at = len(legs)
    shorts = {number: rates.short(leg, spot) for number, leg in enumerate(legs) if leg.units < 0}
    for number, leg in enumerate(legs):
        if leg.units < 0:
            programme.add("naked", shorts[number], [number])
        else:
            programme.add("long", leg.long_rate * leg.premium, [number])
    for number, stock in enumerate(stocks):
        rate = rates.stock if stock.units > 0 else rates.short_stock
        programme.add("stock", rate * stock.price, [stock_at + number], contracts=False)
    if len(legs) + len(stocks) == 1:
        size = abs(legs[0].units if legs else stocks[0].units)
        return Pairing(size * programme.costs[0], {programme.names[0]: size * programme.costs[0]}, True)
    exhaustive = _straddles(programme, legs, shorts)
    for expiry in sorted({leg.expiry for leg in legs if leg.units < 0}):
        _block(programme, legs, expiry)
    for number, stock in enumerate(stocks):
        if stock.units > 0:
            _long_stock(programme, legs, stock_at + number, stock, spot, rates)
        else:
            _short_stock(programme, legs, stock_at + number, stock, spot, rates)
    if rates.european:
        _boxes(programme, legs)
    amounts = np.abs(np.array([*(leg.units for leg in legs), *(stock.units for stock in stocks)], dtype=np.float64))
    taken = _solve(programme, amounts, whole)
    if taken is None:
        exhaustive, taken = False, np.concatenate([amounts, np.zeros(len(programme.costs) - len(amounts))])
    shares = taken * np.array(programme.costs)
    by_strategy: dict[str, float] = {}
    for name, share, amount in zip(programme.names, shares, taken, strict=True):
        if amount > 0:
            by_strategy[name] = by_strategy.get(name, 0.0) + float(share)
    return Pairing(max(float(shares.sum()), 0.0), by_strategy, exhaustive)


def _straddles(programme: _Programme, legs: Sequence[Leg], shorts: Mapping[int, float]) -> bool:
    """Pairs of a short call and a short put: the side with the greater requirement, premium included, is held for both."""
    calls = [number for number in shorts if legs[number].call]
    puts = [number for number in shorts if not legs[number].call]
    pairs = [(call, put) for call in calls for put in puts]
    exhaustive = len(pairs) <= EXHAUSTIVE
    if not exhaustive:
        same = [pair for pair in pairs if legs[pair[0]].expiry == legs[pair[1]].expiry]
        pairs = sorted(same, key=lambda pair: -min(shorts[pair[0]], shorts[pair[1]]))[:EXHAUSTIVE]
    for call, put in pairs:
        greater = call if shorts[call] + legs[call].premium >= shorts[put] + legs[put].premium else put
        programme.add("straddle", shorts[greater], [call, put])
    return exhaustive


def _block(programme: _Programme, legs: Sequence[Leg], expiry: int) -> None:
    """Everything that is margined as spreads of one expiry: the largest loss at any strike, premiums netted."""
    members = [
        number for number, leg in enumerate(legs) if (leg.units < 0 and leg.expiry == expiry) or (leg.units > 0 and leg.expiry >= expiry)
    ]
    if not any(legs[number].units > 0 for number in members):
        return
    loss = programme.add("spread", 1.0, [], contracts=False)
    columns = {}
    for number in members:
        leg = legs[number]
        columns[number] = programme.add("spread", leg.premium if leg.units > 0 else -leg.premium, [number])
    for level in sorted({0.0, *(legs[number].strike for number in members)}):
        programme.at_least_zero(
            [(loss, 1.0), *((columns[number], _sign(legs[number]) * _intrinsic(legs[number], level)) for number in members)]
        )
    # beyond the highest strike nothing may be lost without bound
    programme.at_least_zero([(columns[number], _sign(legs[number])) for number in members if legs[number].call])


def _long_stock(programme: _Programme, legs: Sequence[Leg], at: int, stock: Stock, spot: float, rates: Rates) -> None:
    price = stock.price
    calls = [number for number, leg in enumerate(legs) if leg.call and leg.units < 0]
    puts = [number for number, leg in enumerate(legs) if not leg.call and leg.units > 0]
    for call in calls:
        short = legs[call]
        programme.add("covered", price - (1.0 - rates.stock) * min(price, short.strike) - short.premium, [at, call])
    if not rates.maintenance:
        return
    for put in puts:
        long = legs[put]
        floor = rates.hedged * long.strike + max(spot - long.strike, 0.0)
        programme.add("hedged", min(floor, rates.stock * price) + long.premium, [at, put])
        for call in calls:
            short = legs[call]
            if short.expiry != long.expiry or long.strike > short.strike:
                continue
            need = rates.hedged * long.strike if long.strike == short.strike else min(floor, rates.collar * short.strike)
            programme.add("hedged", need + max(price - short.strike, 0.0) + long.premium - short.premium, [at, put, call])


def _short_stock(programme: _Programme, legs: Sequence[Leg], at: int, stock: Stock, spot: float, rates: Rates) -> None:
    price = stock.price
    puts = [number for number, leg in enumerate(legs) if not leg.call and leg.units < 0]
    calls = [number for number, leg in enumerate(legs) if leg.call and leg.units > 0]
    for put in puts:
        short = legs[put]
        programme.add("covered", rates.short_stock * price + max(short.strike - spot, 0.0) - short.premium, [at, put])
    if not rates.maintenance:
        return
    for call in calls:
        long = legs[call]
        floor = rates.hedged * long.strike + max(long.strike - spot, 0.0)
        programme.add("hedged", min(floor, rates.short_stock * price) + long.premium, [at, call])
        for put in puts:
            short = legs[put]
            if short.expiry == long.expiry and short.strike == long.strike:
                need = rates.hedged * long.strike + max(short.strike - spot, 0.0)
                programme.add("hedged", need + long.premium - short.premium, [at, call, put])


def _boxes(programme: _Programme, legs: Sequence[Leg]) -> None:
    """Long boxes: long call and short put at the lower strike, short call and long put at the higher one."""
    at = {(leg.expiry, leg.strike, leg.call, leg.units > 0): number for number, leg in enumerate(legs)}
    for (expiry, low, call, long), lower in at.items():
        put = at.get((expiry, low, False, False))
        if not (call and long) or put is None:
            continue
        for (other, high, is_call, is_long), upper in at.items():
            hedge = at.get((expiry, high, False, True))
            if other == expiry and high > low and is_call and not is_long and hedge is not None:
                programme.add("box", (high - low) / 2, [lower, put, upper, hedge])


def _solve(programme: _Programme, amounts: Array, whole: float | None) -> Array | None:
    """Units of every column; None where none was found in time. Whole contracts are asked for only where the best answer splits one."""
    width = len(programme.costs)
    unit = float(amounts.max(initial=0.0)) if whole is None else whole
    if width == 0 or unit <= 0:
        return np.zeros(width)
    contracts = np.array(programme.contracts, dtype=np.int64)
    taken = _search(programme, amounts / unit, np.zeros(width, dtype=np.int64))
    if taken is None:
        return None
    if whole is not None and np.abs(taken - np.round(taken))[contracts == 1].max(initial=0.0) > 1e-6:
        # within its time it finds a pairing of whole contracts, or the one that splits some stands
        found = _search(programme, amounts / unit, contracts)
        taken = taken if found is None else found
    return np.where(taken > 1e-9, taken, 0.0) * unit


def _search(programme: _Programme, amounts: Array, integrality: NDArray[np.int64]) -> Array | None:
    width = len(programme.costs)
    money = max(1.0, float(np.abs(programme.costs).max()))
    legs, columns, values = zip(*programme.used, strict=True)
    exhaust: Any = csr_array((values, (legs, columns)), shape=(len(amounts), width))
    bound: Any = None
    if programme.height:
        rows, at, weights = zip(*programme.bounds, strict=True) if programme.bounds else ((), (), ())
        bound = csr_array((weights, (rows, at)), shape=(programme.height, width))
    found = linprog(
        np.array(programme.costs) / money,
        A_ub=bound,
        b_ub=None if bound is None else np.zeros(programme.height),
        A_eq=exhaust,
        b_eq=amounts,
        method="highs",
        integrality=integrality,
        options={"time_limit": SECONDS},
    )
    return None if found.x is None else np.asarray(found.x, dtype=np.float64)


def _sign(leg: Leg) -> float:
    return 1.0 if leg.units > 0 else -1.0


def _intrinsic(leg: Leg, level: float) -> float:
    return max(level - leg.strike, 0.0) if leg.call else max(leg.strike - level, 0.0)
