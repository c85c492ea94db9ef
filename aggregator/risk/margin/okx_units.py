"""The nine charges of an OKX risk unit. See `okx` for the rule and its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aggregator.risk.margin.grid import option_value, profits, term_shock
from aggregator.risk.margin.interface import IntArray, MarginBook, scaled
from aggregator.risk.margin.market import SECONDS_PER_DAY, SECONDS_PER_YEAR, Array, Market
from aggregator.risk.margin.quotes import Groups, Quotes
from aggregator.risk.pricing.black76 import CALL, PUT, greeks

STEPS = (-1.0, -2.0 / 3.0, -1.0 / 3.0, 0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0)
STATES = ("same", "up", "down")


@dataclass(frozen=True, slots=True)
class UnitTerms:
    """Of one underlying; fractions of 1."""

    most_move: float
    extreme_move: float
    annual_basis: float
    least_basis: float
    minimum_rate: float = 0.0045
    """of delta cash: fees and slippage"""


@dataclass(frozen=True, slots=True)
class OkxParameters:
    """`tiers` of MR7: upper bound in USD of the raw charge, and its multiple; each multiple counts for its slice."""

    units: Mapping[str, UnitTerms]
    other: UnitTerms
    volatility_up: float
    volatility_down: float
    short_term_power: float
    long_term_power: float
    extreme_share: float
    initial_factor: float
    tiers: tuple[tuple[float, float], ...]
    depeg_rate: float
    """of the hedge between settlement coins"""
    source: str
    confirmed_linear: bool
    """whether the charges of a unit without options are confirmed"""
    discounts: Mapping[str, float] = field(default_factory=dict)
    """share of value at which an asset counts as collateral, by symbol; what is not listed counts nothing"""
    borrowing_maintenance: float = 0.0
    borrowing_initial: float = 0.0


@dataclass(frozen=True, slots=True)
class UnitCharges:
    """MR1…MR7 and MR9 of a unit, USD."""

    mr1: float
    mr2: float
    mr3: float
    mr4: float
    mr5: float
    mr6: float
    mr7: float
    mr9: float

    @property
    def maintenance(self) -> float:
        return max(max(self.mr1, self.mr2, self.mr6) + self.mr3 + self.mr4 + self.mr5 + self.mr9, self.mr7)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A risk unit's charges and the grid behind MR1: profits in USD, shape (moves, states)."""

    underlying: str
    charges: UnitCharges
    moves: Array
    grid: Array
    parts: Array
    """(n of the unit,) of the maintenance requirement"""


def unit(book: MarginBook, quoted: Quotes, market: Market, parameters: OkxParameters) -> Unit:
    """Charges of a book of one underlying."""
    columns, p = book.columns, parameters
    name = book.underlyings[0]
    terms = p.units.get(name, p.other)
    moves = terms.most_move * np.array(STEPS)
    states = _states(book, quoted, p)
    own = np.stack([profits(book, quoted, moves, _flat(state, len(moves))) for state in states], axis=2) * market.stable
    grid = own.sum(axis=0)
    ends = np.array([-terms.extreme_move, terms.extreme_move])
    far = np.stack([profits(book, quoted, ends, _flat(state, 2)) for state in states], axis=2) * market.stable
    decay = _decay(book, quoted) * market.stable
    delta = _delta_cash(book, quoted)
    expiries = Groups.of(columns.expiry_group + 1)
    years = np.where(np.isfinite(quoted.years), quoted.years, 0.0)
    rate = np.maximum(terms.least_basis, terms.annual_basis * years)
    derivative = np.where(columns.spot, 0.0, delta)
    basis = derivative * np.sign(expiries.sum(derivative))[expiries.index] * rate
    instruments = Groups.of(_instruments(book))
    raw_parts = derivative * np.sign(instruments.sum(derivative))[instruments.index] * terms.minimum_rate
    mr1, mr2, mr6 = max(-float(grid.min()), 0.0), max(-float(decay.sum()), 0.0), max(-float(far.sum(axis=0).min()), 0.0) * p.extreme_share
    charges = UnitCharges(mr1, mr2, 0.0, float(basis.sum()), 0.0, mr6, tiered(float(raw_parts.sum()), p.tiers), _depeg(book, delta, p))
    largest = max(mr1, mr2, mr6)
    if charges.maintenance == charges.mr7 and charges.mr7 > 0:
        parts = scaled(raw_parts, charges.mr7, len(book))
    else:
        if largest == mr1:
            step, state = np.unravel_index(int(grid.argmin()), grid.shape)
            driver = -own[:, step, state] if mr1 > 0 else np.zeros(len(book))
        elif largest == mr6:
            step, state = np.unravel_index(int(far.sum(axis=0).argmin()), grid[:2].shape)
            driver = -far[:, step, state] * p.extreme_share
        else:
            driver = -decay
        parts = driver + basis
        if charges.mr9 > 0:
            parts = parts + scaled(np.abs(derivative), charges.mr9, len(book))
    return Unit(name, charges, moves, grid, parts)


def alone(book: MarginBook, quoted: Quotes, market: Market, parameters: OkxParameters) -> Array:
    """(n,) maintenance requirement of each holding in a unit of its own."""
    p = parameters
    terms = [p.units.get(one.instrument.underlying, p.other) for one in book.holdings]
    most, extreme, annual, least, minimum = (
        np.array(
            [(one.most_move, one.extreme_move, one.annual_basis, one.least_basis, one.minimum_rate) for one in terms], dtype=np.float64
        )
        .reshape(len(book), 5)
        .T
    )
    states, steps = _states(book, quoted, p), np.array(STEPS)
    near = np.min([profits(book, quoted, most[:, None] * steps, _flat(one, len(steps))).min(axis=1) for one in states], axis=0)
    far = np.min([profits(book, quoted, extreme[:, None] * np.array([-1.0, 1.0]), _flat(one, 2)).min(axis=1) for one in states], axis=0)
    worst = np.maximum.reduce([-near, -p.extreme_share * far, -_decay(book, quoted), np.zeros(len(book))]) * market.stable
    delta = np.abs(_delta_cash(book, quoted))
    years = np.where(np.isfinite(quoted.years), quoted.years, 0.0)
    basis = delta * np.maximum(least, annual * years)
    charge = np.array([tiered(raw, p.tiers) for raw in (delta * minimum).tolist()], dtype=np.float64)
    return np.asarray(np.maximum(worst + basis, charge), dtype=np.float64)


def _instruments(book: MarginBook) -> IntArray:
    """(n,) number of each holding's contract, whatever the venue calls it: a long and a short of one contract are one position."""
    keys = [(one.instrument.kind, one.instrument.expiry, one.instrument.strike, one.instrument.settlement) for one in book.holdings]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def tiered(raw: float, tiers: tuple[tuple[float, float], ...]) -> float:
    """A raw charge with each slice times its tier's multiple."""
    charged, below = 0.0, 0.0
    for upto, multiple in tiers:
        charged += max(min(raw, upto) - below, 0.0) * multiple
        below = upto
    return charged


def _states(book: MarginBook, quoted: Quotes, p: OkxParameters) -> tuple[Array, Array, Array]:
    """Volatilities (n,) same, up and down."""
    stretch = term_shock(np.where(book.columns.option, quoted.seconds, np.inf), p.short_term_power, p.long_term_power, 1.0)
    up = quoted.volatility * (1.0 + p.volatility_up * stretch)
    return quoted.volatility, up, quoted.volatility * np.maximum(1.0 - p.volatility_down * stretch, 0.0)


def _flat(volatility: Array, scenarios: int) -> Array:
    return np.repeat(volatility[:, None], scenarios, axis=1)


def _decay(book: MarginBook, quoted: Quotes) -> Array:
    """(n,) what 24 hours take from the options' value."""
    later = replace(quoted, years=np.maximum(quoted.years - SECONDS_PER_DAY / SECONDS_PER_YEAR, 0.0))
    return option_value(book, later) - option_value(book, quoted)


def _delta_cash(book: MarginBook, quoted: Quotes) -> Array:
    """(n,) delta in the settlement coin."""
    columns = book.columns
    years = np.where(columns.option, quoted.years, 0.0)
    delta = greeks(quoted.price, columns.strike, years, quoted.volatility, np.where(columns.call, CALL, PUT)).delta
    linear = np.where(columns.inverse, columns.units, columns.units * quoted.price)
    return np.where(columns.option, columns.units * delta * quoted.price, linear)


def _depeg(book: MarginBook, delta: Array, p: OkxParameters) -> float:
    """Charge on what one settlement coin's legs hedge of another's."""
    if p.depeg_rate == 0:
        return 0.0
    by_coin: dict[str, float] = {}
    for one, amount, spot in zip(book.holdings, delta, book.columns.spot, strict=True):
        if not spot:
            by_coin[one.instrument.settlement] = by_coin.get(one.instrument.settlement, 0.0) + float(amount)
    longs = sum(amount for amount in by_coin.values() if amount > 0)
    shorts = -sum(amount for amount in by_coin.values() if amount < 0)
    return min(longs, shorts) * p.depeg_rate
