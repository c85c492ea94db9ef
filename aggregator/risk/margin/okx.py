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

from dataclasses import dataclass

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse, values_of
from aggregator.risk.margin.interface import (
    AttributionMethod,
    IntArray,
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.okx_units import STATES, OkxParameters, Unit, UnitTerms, alone, unit
from aggregator.risk.margin.quotes import Quotes, quotes

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
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        factor = parameters.initial_factor if kind is Kind.INITIAL else 1.0
        parts, units = np.zeros(len(book)), self.units(book, quoted, market, parameters)
        for rows, found in units:
            parts[rows] = factor * found.parts
        assets, haircut = _collateral(book, quoted, parameters)
        borrowing = parameters.borrowing_initial if kind is Kind.INITIAL else parameters.borrowing_maintenance
        parts = parts + haircut + (borrowing / len(book) if len(book) else 0.0)
        several, options = len(units) > 1, bool(book.columns.option.any())
        names, pnl = _table(units, several)
        result = Found(
            amount=float(parts.sum()),
            equity=equity_of(book, values_of(book, quoted)),
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
            method=AttributionMethod.PROPORTIONAL,
            parts=parts,
            verified=parameters.confirmed_linear and not options and not bool(np.any(assets != 0)),
            notes=_notes(parameters, options),
        )
        return assemble(self, book, market, parameters, kind, result)

    def units(self, book: MarginBook, quoted: Quotes, market: Market, parameters: OkxParameters) -> list[tuple[IntArray, Unit]]:
        """Rows of the book and charges of every unit with a derivative."""
        result: list[tuple[IntArray, Unit]] = []
        for number in range(len(book.underlyings)):
            rows = np.flatnonzero(book.columns.underlying == number).astype(np.int64)
            if bool(np.any(~book.columns.spot[rows])):
                result.append((rows, unit(book.take(rows), quoted.take(rows), market, parameters)))
        return result

    def isolated(self, book: MarginBook, market: Market, parameters: OkxParameters, kind: Kind) -> Array:
        factor = parameters.initial_factor if kind is Kind.INITIAL else 1.0
        quoted = quotes(book, market)
        parts = _collateral(book, quoted, parameters)[1]
        return np.where(book.columns.spot, parts, factor * alone(book, quoted, market, parameters))


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
