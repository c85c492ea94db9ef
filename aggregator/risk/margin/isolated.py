"""Isolated margin: every position by itself, nothing netted; what netting by other methods is measured against.

    perpetual, future   rate·notional                     long option    its value
    short option        Derive Standard's rule for one position alone (a put never more than its strike)
    asset held          backs nothing else: its value     borrowed asset   the perpetual's rate on its value

The rates are parameters; those shipped are Derive Standard's for its large markets, and the least that venues of 10× leverage ask.
Source: derivexyz/v2-core@7736900d `scripts/config-mainnet.sol`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aggregator.risk.margin import derive_standard as standard
from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse, values_of
from aggregator.risk.margin.derive_standard import MarketTerms, OptionTerms, StandardParameters
from aggregator.risk.margin.interface import (
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import Quotes, each_alone, quotes


@dataclass(frozen=True, slots=True)
class IsolatedParameters:
    """Fractions of notional, by underlying where they differ: initial and maintenance."""

    initial_rate: float = 0.10
    maintenance_rate: float = 0.065
    rates: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    options: OptionTerms = field(default_factory=OptionTerms)
    source: str = "derivexyz/v2-core@7736900d scripts/config-mainnet.sol getSRMParams"


def evaluate(book: MarginBook, quoted: Quotes, market: Market, parameters: IsolatedParameters, kind: Kind) -> Array:
    """(n,) requirement of each holding, USD."""
    columns, initial = book.columns, kind is Kind.INITIAL
    default = (parameters.initial_rate, parameters.maintenance_rate)
    pairs = [parameters.rates.get(one.instrument.underlying, default) for one in book.holdings]
    rate = np.array([initial_rate if initial else maintenance for initial_rate, maintenance in pairs], dtype=np.float64)
    value = columns.units * np.where(columns.inverse, 1.0, quoted.price)
    parts = np.where(columns.spot & (columns.units > 0), value, rate * np.abs(value))
    rows = np.flatnonzero(columns.option)
    if len(rows):
        terms = StandardParameters({}, MarketTerms(options=parameters.options), 0.0, 0.0, parameters.source, True)
        options = book.take(rows)
        alone = standard.evaluate(options, quoted.take(rows.astype(np.int64)), market, terms, kind, each_alone(options))
        scale = np.where(columns.inverse[rows], quoted.spot[rows] / quoted.price[rows], 1.0)
        parts[rows] = alone.amounts() * scale
    return parts


@dataclass(frozen=True, slots=True)
class Isolated:
    """See the module."""

    id: str = "isolated"
    version: str = "1"
    source: str = "each position alone, by the rates of derivexyz/v2-core@7736900d scripts/config-mainnet.sol"

    def default_parameters(self) -> IsolatedParameters:
        return IsolatedParameters()

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return None if len(book) else "there is no position to margin"

    def requirement(self, book: MarginBook, market: Market, parameters: IsolatedParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        parts = evaluate(book, quoted, market, parameters, kind)
        columns = book.columns
        kinds = (("assets", columns.spot), ("perpetuals", columns.perpetual), ("futures", columns.future), ("options", columns.option))
        result = Found(
            amount=float(parts.sum()),
            equity=equity_of(book, values_of(book, quoted)),
            components={name: float(parts[which].sum()) for name, which in kinds},
            scenarios=ScenarioTable(),
            worst_scenario=None,
            parts=parts,
            verified=True,
            notes=(),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: IsolatedParameters, kind: Kind) -> Array:
        return evaluate(book, quotes(book, market), market, parameters, kind)


MODEL = Isolated()
