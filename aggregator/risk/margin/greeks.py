"""Greeks: delta, gamma and vega netted, on the same scan as a full revaluation and labelled with the difference.

    P&L_s ≈ w_s·( Δ·dS + ½·Γ·dS² + Σ vega·dσ ) ;  requirement = max_s −P&L_s

A second-order expansion is not a margin model: it is right for small moves of a book without far options, and worthless beyond. The row
therefore carries what the full revaluation of the same scenarios requires, and the error against it. The scan is that of `paradex`
without its floor. Source: definitions; E. Haug, The Complete Guide to Option Pricing Formulas, chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.paradex import PUBLISHED, ScanScenario
from aggregator.risk.margin.quotes import Groups, Quotes, account_keys, each_alone, quotes
from aggregator.risk.pricing.black76 import CALL, PUT, greeks


@dataclass(frozen=True, slots=True)
class GreeksParameters:
    scenarios: tuple[ScanScenario, ...]
    maintenance_share: float
    short_term_power: float
    long_term_power: float
    floor_days: float


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivities:
    """(n,) of each holding: USD value for 1 USD of spot, for 1 USD squared, and for a volatility 1.0 higher."""

    delta: Array
    gamma: Array
    vega: Array


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One row an underlying, or a holding."""

    groups: Groups
    pnl: Array
    full: Array
    """(groups, scenarios) full revaluation"""
    worst: IntArray
    parts: Array
    """(n,)"""
    sensitivities: Sensitivities


def sensitivities(book: MarginBook, quoted: Quotes) -> Sensitivities:
    """Delta in units of the underlying, gamma a USD, vega: signed, size included. A forward moves with its underlying in proportion."""
    columns = book.columns
    years = np.where(columns.option, quoted.years, 0.0)
    unit = greeks(quoted.price, columns.strike, years, quoted.volatility, np.where(columns.call, CALL, PUT))
    # the forward moves by its moving part over the spot
    lever = np.where(columns.option, quoted.variable / quoted.spot, quoted.price / quoted.spot)
    linear = np.where(columns.inverse, columns.units / quoted.price, columns.units)
    return Sensitivities(
        delta=np.where(columns.option, columns.units * unit.delta, linear) * lever,
        gamma=np.where(columns.option, columns.units * unit.gamma * lever * lever, 0.0),
        vega=np.where(columns.option, columns.units * unit.vega, 0.0),
    )


def evaluate(book: MarginBook, quoted: Quotes, parameters: GreeksParameters, accounts: IntArray | None) -> Evaluation:
    """The expansion and the full revaluation by underlying, within each numbered account."""
    columns, p = book.columns, parameters
    groups = Groups.of(account_keys(book, accounts))
    moves = np.array([one.move for one in p.scenarios])
    shocks = np.array([one.volatility for one in p.scenarios])
    weights = np.array([one.weight for one in p.scenarios])
    stretch = term_shock(np.where(columns.option, quoted.seconds, np.inf), p.short_term_power, p.long_term_power, p.floor_days)
    shocked = quoted.volatility[:, None] * np.maximum(1.0 + shocks * stretch[:, None], 0.0)
    full = groups.sum(profits(book, quoted, moves, shocked) * weights)
    own = sensitivities(book, quoted)
    change = quoted.spot[:, None] * moves
    volatility_change = np.where(columns.option[:, None], shocked - quoted.volatility[:, None], 0.0)
    expansion = own.delta[:, None] * change + 0.5 * own.gamma[:, None] * change**2 + own.vega[:, None] * volatility_change
    weighted = expansion * weights
    pnl = groups.sum(weighted)
    worst = pnl.argmin(axis=1).astype(np.int64)
    loses = (pnl.min(axis=1) < 0)[groups.index]
    parts = np.where(loses, -weighted[np.arange(len(book)), worst[groups.index]], 0.0)
    return Evaluation(groups, pnl, full, worst, parts, own)


@dataclass(frozen=True, slots=True)
class GreeksNetting:
    """See the module."""

    id: str = "greeks"
    version: str = "1"
    source: str = "second-order expansion on the scan of docs.paradex.trade/risk/portfolio-margin"

    def default_parameters(self) -> GreeksParameters:
        return GreeksParameters(
            PUBLISHED.scenarios,
            PUBLISHED.maintenance_share,
            PUBLISHED.short_term_power,
            PUBLISHED.long_term_power,
            PUBLISHED.floor_days,
        )

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return None if len(book) else "there is nothing to margin"

    def requirement(self, book: MarginBook, market: Market, parameters: GreeksParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, parameters, None)
        share = 1.0 if kind is Kind.INITIAL else parameters.maintenance_share
        parts = share * found.parts
        amount = float(parts.sum())
        full = share * float(np.maximum(-found.full.min(axis=1), 0.0).sum())
        names = [one.name for one in parameters.scenarios]
        labels = [f"{name}: " if found.groups.count > 1 else "" for name in book.underlyings]
        own = found.sensitivities
        greek = {
            f"{name}-{underlying}": float(values[book.columns.underlying == number].sum())
            for name, values in (("delta", own.delta), ("gamma", own.gamma), ("vega", own.vega))
            for number, underlying in enumerate(book.underlyings)
        }
        driven = [number for number in range(found.groups.count) if found.pnl[number, found.worst[number]] < -1e-6]
        result = Found(
            amount=amount,
            equity=equity_of(book, values_of(book, quoted)),
            components={"full-revaluation": full, "error": amount - full, **greek},
            scenarios=ScenarioTable(tuple(label + name for label in labels for name in names), found.pnl.reshape(-1)),
            worst_scenario="; ".join(labels[number] + names[found.worst[number]] for number in driven) or None,
            parts=parts,
            verified=True,
            notes=(_error(amount, full),),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: GreeksParameters, kind: Kind) -> Array:
        return self.parts(book, market, parameters, kind, each_alone(book))

    def parts(self, book: MarginBook, market: Market, parameters: GreeksParameters, kind: Kind, accounts: IntArray) -> Array:
        """(n,) parts of the requirement of every numbered account; their sum over an account is its amount."""
        refuse(self.id, self.refusal(book, market))
        share = 1.0 if kind is Kind.INITIAL else parameters.maintenance_share
        return share * evaluate(book, quotes(book, market), parameters, accounts).parts


def _error(amount: float, full: float) -> str:
    if full < 0.005:
        return f"not a margin model: full revaluation of the same scan requires nothing, the expansion {amount:.2f} USD"
    return f"not a margin model: {100 * (amount / full - 1):+.0f} % against full revaluation of the same scan ({full:.0f} USD)"


MODEL = GreeksNetting()
