"""Paradex portfolio margin: a scan of 24 weighted scenarios with a floor on delta.

    net = max( max_s −w_s·P&L_s , minimum delta ) ;  IM = net + provisions, MM = half of net + provisions
    minimum delta = (net charge·|Δ| + hedged charge·hedged Δ)·S ,  hedged Δ = (Σ|Δ| − |Σ Δ|)/2
    shocked volatility = σ·(1 + shock·(30/max(floor, d))^p), p by days below or from 30
    provisions = funding expected over 8 hours where it is paid + fees

An underlying is margined by itself. Everything settles in USDC, so perpetuals and options are linear. Funding and fees are inputs; the
page gives the rule, not the rates. Source: docs.paradex.trade/risk/portfolio-margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse, values_of
from aggregator.risk.margin.grid import profits, term_shock
from aggregator.risk.margin.interface import (
    IntArray,
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.lines import refuse_loans
from aggregator.risk.margin.market import Array, BoolArray, Market
from aggregator.risk.margin.quotes import Groups, Quotes, account_keys, each_alone, quotes
from aggregator.risk.pricing.black76 import CALL, PUT, greeks


@dataclass(frozen=True, slots=True)
class ScanScenario:
    """Relative move of the spot, relative move of a 30-day volatility, and the share of a loss that counts."""

    move: float
    volatility: float
    weight: float = 1.0

    @property
    def name(self) -> str:
        return f"spot {100 * self.move:+.4g} %, volatility {100 * self.volatility:+.4g} %"


@dataclass(frozen=True, slots=True)
class ParadexParameters:
    scenarios: tuple[ScanScenario, ...]
    net_delta_charge: float
    hedged_delta_charge: float
    maintenance_share: float
    short_term_power: float
    long_term_power: float
    floor_days: float
    source: str
    confirmed: bool
    funding_usd: Mapping[str, float] = field(default_factory=dict)
    """funding expected over 8 hours for one unit of a long perpetual, by underlying; positive is received"""
    fee_rate: float = 0.0
    """of the notional of every derivative"""


_UP, _DOWN = 0.40, -0.22

PUBLISHED = ParadexParameters(
    scenarios=(
        ScanScenario(0.16, _UP),
        *(ScanScenario(round(move, 2), shock) for move in (0.12, 0.08, 0.04, 0.0, -0.04, -0.08, -0.12) for shock in (_UP, _DOWN)),
        ScanScenario(-0.16, _UP),
        *(
            ScanScenario(move, _UP, weight)
            for move, weight in (
                *((-0.66, 0.24), (-0.33, 0.48), (0.5, 0.32), (1.0, 0.16)),
                *((2.0, 0.08), (3.0, 0.0533), (4.0, 0.04), (5.0, 0.032)),
            )
        ),
    ),
    net_delta_charge=0.02,
    hedged_delta_charge=0.01,
    maintenance_share=0.5,
    short_term_power=0.3,
    long_term_power=0.13,
    floor_days=1.0,
    source="docs.paradex.trade/risk/portfolio-margin",
    confirmed=True,
)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One row an underlying, or a holding; (n,) for parts."""

    groups: Groups
    pnl: Array
    """(groups, scenarios), weighted, gains too"""
    scan: Array
    minimum_delta: Array
    worst: IntArray
    net_parts: Array
    provision_parts: Array

    def amounts(self, share: float) -> Array:
        """(n,) parts of the requirement: every piece is homogeneous of degree one."""
        return share * self.net_parts + self.provision_parts


def minimum_delta(deltas: Array, spot: float, parameters: ParadexParameters) -> float:
    """Charge on net and hedged delta of one underlying, USD."""
    net = abs(float(deltas.sum()))
    hedged = (float(np.abs(deltas).sum()) - net) / 2.0
    return (parameters.net_delta_charge * net + parameters.hedged_delta_charge * hedged) * spot


def evaluate(book: MarginBook, quoted: Quotes, parameters: ParadexParameters, accounts: IntArray | None) -> Evaluation:
    """Scan, floor and provisions by underlying, within each numbered account. Assets held take no part."""
    columns, p = book.columns, parameters
    derivative = ~columns.spot
    groups = Groups.of(account_keys(book, accounts))
    moves = np.array([one.move for one in p.scenarios])
    shocks = np.array([one.volatility for one in p.scenarios])
    stretch = term_shock(np.where(columns.option, quoted.seconds, np.inf), p.short_term_power, p.long_term_power, p.floor_days)
    volatility = quoted.volatility[:, None] * np.maximum(1.0 + shocks * stretch[:, None], 0.0)
    weighted = profits(book, quoted, moves, volatility) * np.array([one.weight for one in p.scenarios])
    weighted = np.where(derivative[:, None], weighted, 0.0)
    pnl = groups.sum(weighted)
    worst = pnl.argmin(axis=1).astype(np.int64)
    scan = np.maximum(-pnl.min(axis=1), 0.0)

    delta = _deltas(book, quoted)
    net = groups.sum(delta)
    half = 0.5 * p.hedged_delta_charge
    floor_parts = (delta * np.sign(net)[groups.index] * (p.net_delta_charge - half) + np.abs(delta) * half) * quoted.spot
    floor = groups.sum(floor_parts)
    by_floor = (floor > scan)[groups.index]
    scan_parts = np.where((scan > 0)[groups.index], -weighted[np.arange(len(book)), worst[groups.index]], 0.0)
    funding = np.array([p.funding_usd.get(one.instrument.underlying, 0.0) for one in book.holdings], dtype=np.float64)
    paid = -funding * np.where(columns.perpetual, columns.units, 0.0)
    paid = np.where((groups.sum(paid) > 0)[groups.index], paid, 0.0)
    fees = p.fee_rate * np.abs(columns.units) * quoted.spot * derivative
    return Evaluation(groups, pnl, scan, floor, worst, np.where(by_floor, floor_parts, scan_parts), paid + fees)


def _deltas(book: MarginBook, quoted: Quotes) -> Array:
    """Units of the underlying; 0 for assets."""
    columns = book.columns
    years = np.where(columns.option, quoted.years, 0.0)
    unit = greeks(quoted.price, columns.strike, years, quoted.volatility, np.where(columns.call, CALL, PUT)).delta
    return np.where(columns.option, columns.units * unit, np.where(columns.spot, 0.0, columns.units))


@dataclass(frozen=True, slots=True)
class Paradex:
    """See the module."""

    id: str = "paradex"
    version: str = "1"
    source: str = "docs.paradex.trade/risk/portfolio-margin"

    def default_parameters(self) -> ParadexParameters:
        return PUBLISHED

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        columns = book.columns
        if bool(np.any(columns.inverse)):
            return "everything settles in USDC: coin-settled contracts are not listed"
        if bool(np.any(columns.future)):
            return "dated futures are not listed"
        if not bool(np.any(~columns.spot)):
            return "there is no perpetual or option to margin"
        return refuse_loans(book, "the venue lends no assets: a borrowed one cannot be held")

    def requirement(self, book: MarginBook, market: Market, parameters: ParadexParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, parameters, None)
        share = 1.0 if kind is Kind.INITIAL else parameters.maintenance_share
        assets = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
        parts = found.amounts(share) + assets
        names = [one.name for one in parameters.scenarios]
        several = found.groups.count > 1
        labels = [f"{name}: " if several else "" for name in book.underlyings]
        driven = [number for number in range(found.groups.count) if max(found.scan[number], found.minimum_delta[number]) > 0]
        worst = "; ".join(
            labels[number] + ("minimum delta" if found.minimum_delta[number] > found.scan[number] else names[found.worst[number]])
            for number in driven
        )
        result = Found(
            amount=float(parts.sum()),
            equity=equity_of(book, values_of(book, quoted)),
            components={
                "scan": float(found.scan.sum()),
                "minimum-delta": float(found.minimum_delta.sum()),
                "factor": share,
                "provisions": float(found.provision_parts.sum()),
                "not-accepted": float(assets.sum()),
            },
            scenarios=ScenarioTable(tuple(label + name for label in labels for name in names), found.pnl.reshape(-1)),
            worst_scenario=worst or None,
            parts=parts,
            verified=parameters.confirmed and _provided(parameters),
            notes=_notes(parameters, book.columns.spot),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: ParadexParameters, kind: Kind) -> Array:
        return self.parts(book, market, parameters, kind, each_alone(book))

    def parts(self, book: MarginBook, market: Market, parameters: ParadexParameters, kind: Kind, accounts: IntArray) -> Array:
        """(n,) parts of the requirement of every numbered account; their sum over an account is its amount."""
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        share = 1.0 if kind is Kind.INITIAL else parameters.maintenance_share
        assets = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
        return evaluate(book, quoted, parameters, accounts).amounts(share) + assets


def _provided(parameters: ParadexParameters) -> bool:
    """Whether anything is known of the provisions."""
    return bool(parameters.funding_usd) or parameters.fee_rate > 0


def _notes(parameters: ParadexParameters, spot: BoolArray) -> tuple[str, ...]:
    notes = [] if parameters.confirmed else [f"parameters not confirmed: {parameters.source}"]
    if not _provided(parameters):
        notes.append("funding and fee provisions are not in the figure: their rates were not given")
    if spot.any():
        notes.append("only USDC is collateral: other assets count nothing")
    return tuple(notes)


MODEL = Paradex()
