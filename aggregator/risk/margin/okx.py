"""OKX portfolio margin: risk units by underlying, nine charges each, nothing netted between units.

    MMR of a unit = max( max(MR1, MR2, MR6) + MR3 + MR4 + MR5 + MR9 , MR7 ) ;  account: Σ units + MR8 ;  IMR = 1.3·Σ units + borrowing
    MR1 spot shock: greatest loss over moves 0, ±a/3, ±2a/3, ±a and three volatility states       MR2 loss of 24 hours' passing
    MR3 vega term structure   MR4 basis: Σ_expiry |delta cash|·max(floor, annual·T)               MR5 interest rate
    MR6 extreme move: half of the loss at ±b    MR7 minimum charge: tiered multiple of fees and slippage
    MR8 borrowing    MR9 stable-coin depeg on legs settled in different coins

Assets of a unit join it and hedge. Sources: OKX help and API documentation (`position-builder`), notice of 2025-01-02 (MR1, MR4, MR6).
Not published, therefore inputs: volatility states, MR3, MR5, MR7's rates, MR9's tiers. Profits are in the settlement coin, MR1, MR2 and MR6
in USD through its price; MR4 and MR7 are charged on delta cash as it stands, which reproduces the published response.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from aggregator.risk.margin.grid import option_value, profits, term_shock
from aggregator.risk.margin.interface import (
    Attribution,
    AttributionMethod,
    Inapplicable,
    Inputs,
    IntArray,
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
    scaled,
)
from aggregator.risk.margin.market import SECONDS_PER_DAY, SECONDS_PER_YEAR, Array, Market
from aggregator.risk.margin.quotes import Groups, Quotes, quotes, total, unrealised
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


_MAJOR = UnitTerms(0.12, 0.24, 0.05, 0.002)
_MIDDLE_BOTH = UnitTerms(0.18, 0.36, 0.15, 0.008)
_MIDDLE_SPOT = UnitTerms(0.18, 0.50, 0.30, 0.008)
_MIDDLE_EXTREME = UnitTerms(0.25, 0.36, 0.15, 0.008)

PUBLISHED = OkxParameters(
    units={
        **dict.fromkeys(("BTC", "ETH"), _MAJOR),
        **dict.fromkeys(("LTC", "BCH", "ADA", "XRP"), _MIDDLE_BOTH),
        **dict.fromkeys(("EOS", "OKB", "DOT", "BSV", "LINK", "FIL", "TRX", "UNI"), _MIDDLE_SPOT),
        **dict.fromkeys(("SOL", "DOGE", "PEPE", "BNB", "SHIB", "ORDI", "WLD"), _MIDDLE_EXTREME),
    },
    other=UnitTerms(0.25, 0.50, 0.30, 0.008),
    volatility_up=0.5,
    volatility_down=0.25,
    short_term_power=0.3,
    long_term_power=0.13,
    extreme_share=0.5,
    initial_factor=1.3,
    tiers=((10_000.0, 1.0), (70_000.0, 2.0), (170_000.0, 4.0), (300_000.0, 6.0), (470_000.0, 8.0), (700_000.0, 10.0), (np.inf, 12.0)),
    depeg_rate=0.0,
    source="OKX notice of 2025-01-02; position-builder response example",
    confirmed_linear=True,
    discounts={"BTC": 1.0, "ETH": 1.0, "USDT": 1.0, "USDC": 1.0},
)
"""Volatility states, MR7's rate and tiers, basis floors and discounts are observed or assumed, not published."""


@dataclass(frozen=True, slots=True)
class Okx:
    """See the module."""

    id: str = "okx"
    version: str = "1"
    source: str = "OKX help and API documentation, notice of 2025-01-02"

    def default_parameters(self) -> OkxParameters:
        return PUBLISHED

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return None if bool(np.any(~book.columns.spot)) else "there is no future, perpetual or option to margin"

    def requirement(self, book: MarginBook, market: Market, parameters: OkxParameters, kind: Kind) -> Requirement:
        reason = self.refusal(book, market)
        if reason is not None:
            raise Inapplicable(f"{self.id} does not apply: {reason}")
        quoted = quotes(book, market)
        factor = parameters.initial_factor if kind is Kind.INITIAL else 1.0
        parts, units = np.zeros(len(book)), self.units(book, quoted, market, parameters)
        for rows, found in units:
            parts[rows] = factor * found.parts
        assets, haircut = _collateral(book, quoted, parameters)
        borrowing = parameters.borrowing_initial if kind is Kind.INITIAL else parameters.borrowing_maintenance
        parts = parts + haircut + (borrowing / len(book) if len(book) else 0.0)
        value = total(assets + option_value(book, quoted) + unrealised(book, quoted))
        several, options = len(units) > 1, bool(book.columns.option.any())
        names, pnl = _table(units, several)
        return Requirement(
            model=self.id,
            version=self.version,
            kind=kind,
            amount=float(parts.sum()),
            equity=None if value is None else value + book.cash,
            components={
                **{
                    f"{found.underlying}-{name}": getattr(found.charges, name)
                    for _, found in units
                    for name in ("mr1", "mr2", "mr3", "mr4", "mr5", "mr6", "mr7", "mr9")
                },
                "mr8": borrowing,
                "factor": factor,
                "collateral-discount": float(haircut.sum()),
            },
            scenarios=ScenarioTable(names, pnl),
            worst_scenario="; ".join(_worst(found, several) for _, found in units if found.charges.maintenance > 0) or None,
            attribution=Attribution(AttributionMethod.PROPORTIONAL, parts),
            inputs=Inputs(book, market, parameters),
            verified=parameters.confirmed_linear and not options and not bool(np.any(assets != 0)),
            notes=_notes(parameters, options),
        )

    def units(self, book: MarginBook, quoted: Quotes, market: Market, parameters: OkxParameters) -> list[tuple[IntArray, Unit]]:
        """Rows of the book and charges of every unit with a derivative."""
        result: list[tuple[IntArray, Unit]] = []
        for number in range(len(book.underlyings)):
            rows = np.flatnonzero(book.columns.underlying == number).astype(np.int64)
            if bool(np.any(~book.columns.spot[rows])):
                result.append((rows, unit(book.take(rows), quoted.take(rows), market, parameters)))
        return result

    def isolated(self, book: MarginBook, market: Market, parameters: OkxParameters, kind: Kind) -> Array:
        quoted = quotes(book, market)
        factor = parameters.initial_factor if kind is Kind.INITIAL else 1.0
        parts = _collateral(book, quoted, parameters)[1].copy()
        for row in range(len(book)):
            rows = np.array([row], dtype=np.int64)
            if not book.columns.spot[row]:
                parts[row] = factor * unit(book.take(rows), quoted.take(rows), market, parameters).charges.maintenance
        return parts


def _collateral(book: MarginBook, quoted: Quotes, parameters: OkxParameters) -> tuple[Array, Array]:
    """(n,) value of the assets held, and what of it does not count."""
    assets = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
    counted = [parameters.discounts.get(one.instrument.symbol or one.instrument.underlying, 0.0) for one in book.holdings]
    return assets, np.where(assets > 0, assets * (1.0 - np.array(counted, dtype=np.float64)), 0.0)


def _table(units: list[tuple[IntArray, Unit]], several: bool) -> tuple[tuple[str, ...], Array]:
    names = tuple(
        f"{found.underlying + ': ' if several else ''}spot {100 * move:+.4g} %, volatility {state}"
        for _, found in units
        for move in found.moves
        for state in STATES
    )
    return names, np.concatenate([found.grid.reshape(-1) for _, found in units]) if units else np.zeros(0)


def _worst(found: Unit, several: bool) -> str:
    label, charges = f"{found.underlying}: " if several else "", found.charges
    if charges.maintenance == charges.mr7:
        return f"{label}minimum charge"
    if charges.mr6 > charges.mr1:
        return f"{label}extreme move"
    if charges.mr2 > charges.mr1:
        return f"{label}24 hours"
    step, state = np.unravel_index(int(found.grid.argmin()), found.grid.shape)
    return f"{label}spot {100 * found.moves[step]:+.4g} %, volatility {STATES[state]}"


def _notes(parameters: OkxParameters, options: bool) -> tuple[str, ...]:
    notes = ["MR7's rates and tiers are observed, not published"]
    if options:
        notes.append(
            "volatility states are assumed, vega term structure (MR3) and interest rate (MR5) are not in the figure: not published"
        )
    return tuple(notes)


MODEL = Okx()
