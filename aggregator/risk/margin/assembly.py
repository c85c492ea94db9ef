"""From what a method found to the common form of a requirement; what a book is worth; and how a method refuses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from aggregator.risk.margin.grid import option_value
from aggregator.risk.margin.interface import (
    Attribution,
    AttributionMethod,
    Inapplicable,
    Inputs,
    Kind,
    MarginBook,
    MarginModel,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import Quotes, total, unrealised

P = TypeVar("P")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A requirement before it is put into its common form; fields as there."""

    amount: float
    parts: Array
    """(n,) by holding, USD; they sum to the amount"""
    equity: float | None
    components: Mapping[str, float]
    verified: bool
    notes: tuple[str, ...] = ()
    method: AttributionMethod = AttributionMethod.EULER
    scenarios: ScenarioTable = field(default_factory=ScenarioTable)
    worst_scenario: str | None = None


def assemble(model: MarginModel[P], book: MarginBook, market: Market, parameters: P, kind: Kind, found: Found) -> Requirement:
    """The common form, with everything that the figure was computed from."""
    return Requirement(
        model=model.id,
        version=model.version,
        kind=kind,
        amount=found.amount,
        equity=found.equity,
        components=found.components,
        scenarios=found.scenarios,
        worst_scenario=found.worst_scenario,
        attribution=Attribution(found.method, found.parts),
        inputs=Inputs(book, market, parameters),
        verified=found.verified,
        notes=found.notes,
    )


def refuse(model: str, reason: str | None) -> None:
    """Raise Inapplicable with a reason."""
    if reason is not None:
        raise Inapplicable(f"{model} does not apply: {reason}")


def equity_of(book: MarginBook, values: Array) -> float | None:
    """Values of the holdings (n,) and cash; None where a value is not known."""
    known = total(values)
    return None if known is None else known + book.cash


def values_of(book: MarginBook, quoted: Quotes) -> Array:
    """(n,) USD: assets at their price, options at Black-76, everything else its unrealised profit (NaN where that is not known)."""
    assets = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
    return np.asarray(assets + option_value(book, quoted) + unrealised(book, quoted), dtype=np.float64)
