"""Haircuts: H = 1 − (1−market)(1−liquidity)(1−basis)(1−structure), every factor reported.

- market: worst move of the horizon plus the price's age, 1 − e^(−qσ√k), by full revaluation of pairs and ranges;
- liquidity: square-root impact σ·√(Q/V) of selling Q, *all* the portfolio holds of the factor, so that splitting changes nothing;
- basis: peg and discount risk of the classes, as a jump and not as a volatility;
- structure: contracts, bridges and issuers on the way down.

Parts of a token made of several are value-weighted. A haircut never falls when age, size or volatility rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import numpy as np

from aggregator.risk.classes import BASES, FACTORS
from aggregator.risk.exposure import Exposures, Lot, basis_of
from aggregator.risk.policy import Policy
from aggregator.risk.shapes import Array, Shape, delta_weights, multiplier
from aggregator.risk.volatility import DAY, Volatility

SHARE = Decimal("0.000001")
IMPACT = 1.0
"""Y of the square-root law"""


@dataclass(frozen=True, slots=True)
class Haircut:
    """The parts, each in 0…1."""

    market: float
    liquidity: float
    basis: float
    structure: float

    @property
    def total(self) -> float:
        """Share taken off, in 0…1."""
        return 1.0 - (1.0 - self.market) * (1.0 - self.liquidity) * (1.0 - self.basis) * (1.0 - self.structure)

    @property
    def share(self) -> Decimal:
        """The same to six decimals, rounded up: what is shown, and what values are multiplied with."""
        return Decimal(self.total).quantize(SHARE, rounding=ROUND_CEILING)


def market_part(volatility: Volatility, age_seconds: float, policy: Policy) -> float:
    """Worst move within the horizon, lengthened by the age of the price."""
    days = policy.horizon_days + max(age_seconds, 0.0) / DAY
    return 1.0 - float(np.exp(-policy.path_quantile * volatility.daily * np.sqrt(days)))


def liquidity_part(volatility: Volatility, size_usd: float) -> float:
    """Cost of selling `size_usd` against the class's daily volume."""
    volume = FACTORS[volatility.factor_class].daily_volume_usd
    return min(1.0, IMPACT * volatility.daily * float(np.sqrt(max(size_usd, 0.0) / volume)))


def basis_part(lot: Lot, volatility: Volatility) -> float:
    """Peg of the factor itself and discounts of the wrappers around it."""
    kept = 1.0 - FACTORS[volatility.factor_class].peg_haircut
    for basis in lot.bases:
        kept *= 1.0 - BASES[basis_of(basis)].haircut
    return 1.0 - kept


def structure_part(lot: Lot, volatility: Volatility) -> float:
    """What wraps the asset, and the issuer of the asset itself."""
    return 1.0 - (1.0 - lot.structure) * (1.0 - FACTORS[volatility.factor_class].structure_haircut)


class HaircutModel:
    """Haircuts of one portfolio's shapes."""

    def __init__(self, exposures: Exposures, volatilities: Mapping[str, Volatility], policy: Policy) -> None:
        self._lots = exposures.lots
        self._of_lot = [volatilities[lot.factor] for lot in exposures.lots]
        self._held = exposures.held()
        self._policy = policy

    def haircut(self, shape: Shape, age_seconds: float) -> Haircut:
        """Haircut of a holding with this shape whose price has this age."""
        fallen: Array = np.ones(len(self._lots))
        for number in delta_weights(shape):
            fallen[number] = 1.0 - market_part(self._of_lot[number], age_seconds, self._policy)
        liquidity = basis = structure = 0.0
        for number, weight in delta_weights(shape).items():
            lot, volatility = self._lots[number], self._of_lot[number]
            liquidity += weight * liquidity_part(volatility, self._held[lot.factor])
            basis += weight * basis_part(lot, volatility)
            structure += weight * structure_part(lot, volatility)
        # the value of every shape rises with every price, so all lots down together is the worst of all combinations
        market = 1.0 - float(multiplier(shape, fallen))
        return Haircut(*(min(1.0, max(0.0, part)) for part in (market, liquidity, basis, structure)))
