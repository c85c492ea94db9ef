"""Isolated against cross margin in one table: delta, vega, requirement and what triggers a liquidation.

Isolated: every margin account and every chain's free holdings by themselves. Cross: all of them as one, with the transfer-aware
requirement. Delta is first-order USD exposure to market factors (pegs left out), Σ of absolute values: per group when isolated,
netted by factor over all groups when crossed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from aggregator.model.portfolio import Portfolio
from aggregator.risk.exposure import Exposures
from aggregator.risk.liquidation import MAXIMUM_UP, Trigger
from aggregator.risk.requirement import Requirement
from aggregator.risk.scenarios import lot_multipliers
from aggregator.risk.shapes import multiplier
from aggregator.risk.venue_book import VenueBook


@dataclass(frozen=True, slots=True)
class FactorDelta:
    """USD per 100 % move of one factor: Σ of the groups' absolute exposures, and the absolute value of their sum."""

    factor: str
    isolated: float
    cross: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`vega`: USD for one point of volatility; 0 for a portfolio without options."""

    deltas: tuple[FactorDelta, ...]
    """market factors, largest first"""
    vega_isolated: float
    vega_cross: float
    requirement_isolated: float
    requirement_cross: float
    trigger_isolated: Trigger | None
    """the first margin account to breach, None where none can"""
    trigger_cross: float | None
    """the common market move at which equity falls to the requirement of today; 0 where it already is below, None where no move does"""

    @property
    def delta_isolated(self) -> float:
        return sum(delta.isolated for delta in self.deltas)

    @property
    def delta_cross(self) -> float:
        return sum(delta.cross for delta in self.deltas)


def compare(
    portfolio: Portfolio,
    exposures: Exposures,
    order: Sequence[Trigger],
    equity: Decimal | None,
    needed: Requirement,
    venues: Sequence[VenueBook] = (),
) -> Comparison:
    """The table. `order` as `triggers` gives it."""
    alone, netted = _vega(venues)
    groups = [exposures.delta(group) for group in range(len(exposures.groups))]
    market = [factor for factor in exposures.factors if exposures.classes[factor].volatile]
    deltas = [
        FactorDelta(factor, sum(abs(one.get(factor, 0.0)) for one in groups), abs(sum(one.get(factor, 0.0) for one in groups)))
        for factor in market
    ]
    first = min(
        (trigger for trigger in order if trigger.nearest is not None),
        key=lambda trigger: (abs(trigger.nearest or 0.0), trigger.account),
        default=None,
    )
    return Comparison(
        tuple(sorted(deltas, key=lambda one: (-one.isolated, one.factor))),
        alone,
        netted,
        needed.isolated,
        needed.transfer_aware,
        first,
        None if equity is None else common_trigger(exposures, float(equity), needed.transfer_aware),
    )


def _vega(venues: Sequence[VenueBook]) -> tuple[float, float]:
    """USD a point of volatility: Σ of absolute values by account and underlying, and by underlying over all accounts."""
    alone, netted = 0.0, dict[str, float]()
    for book in venues:
        for part in book.parts:
            if part.options is not None:
                alone += abs(part.options.vega)
                netted[part.factor] = netted.get(part.factor, 0.0) + part.options.vega
    return alone, sum(abs(one) for one in netted.values())


def common_trigger(exposures: Exposures, equity: float, needed: float) -> float | None:
    """The nearest common move of all market factors that takes equity below `needed`: 0 if it is there, None if no move does."""
    if equity < needed:
        return 0.0
    market = [exposures.classes[factor].volatile for factor in exposures.factors]
    found: list[float] = []
    for direction, largest in ((-1.0, 1.0), (1.0, MAXIMUM_UP)):
        sizes = np.concatenate([[0.0], np.geomspace(1e-6, largest, 400)])
        factors = np.where(np.array(market, dtype=bool), 1.0 + direction * sizes[:, None], 1.0)
        lots = lot_multipliers(exposures, factors, np.ones((len(sizes), len(exposures.bases))))
        change = np.zeros(len(sizes))
        for holding in exposures.holdings:
            change += holding.side.sign * holding.value * (multiplier(holding.shape, lots) - 1.0)
        after = equity + change
        below = after < needed
        if below.any():
            index = int(np.argmax(below))
            # linear between two neighbours of the grid, half a per cent apart or less
            span = after[index - 1] - after[index]
            part = (after[index - 1] - needed) / span if span > 0 else 1.0
            found.append(direction * float(sizes[index - 1] + part * (sizes[index] - sizes[index - 1])))
    return min(found, key=abs, default=None)
