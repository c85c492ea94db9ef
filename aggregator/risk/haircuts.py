"""Haircuts: H = 1 − (1−market)(1−liquidity)(1−basis)(1−structure), every factor reported.

- market: the dynamic haircut's path quantile over the liquidation time of the asset on its chain, by full revaluation of pairs and
  ranges; what a vault cannot pay out now waits WAIT_DAYS longer;
- liquidity: square-root impact σ·√(Q/V) of selling Q, *all* the portfolio holds of the factor, so that splitting changes nothing; at
  least what the chain's pools would cost, where their depth is known;
- basis: peg and discount risk of the classes, as a jump and not as a volatility: a third of the worst break, the 99.9 % quantile of the
  jumps within the liquidation time, or the yield that buyers want for an exit queue, whichever is most;
- structure: contracts, bridges and issuers on the way down, and the bridge of the chain the asset stands on.

Parts of a token made of several are value-weighted. A haircut never falls when age, size or volatility rises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

import numpy as np

from aggregator.model.identifiers import AssetId, ChainId, asset_chain
from aggregator.risk.classes import BASES, FACTORS, BasisClass, Jump
from aggregator.risk.exposure import Exposures, Lot, basis_of
from aggregator.risk.haircut_depth import Depth
from aggregator.risk.haircut_time import LiquidationTime, bridge_premium, liquidation_time
from aggregator.risk.market_risk.dynamic import stretched
from aggregator.risk.policy import Policy
from aggregator.risk.shapes import Array, Shape, delta_weights, multiplier
from aggregator.risk.valuation import LegValue
from aggregator.risk.volatility import DAY, Volatility

SHARE = Decimal("0.000001")
IMPACT = 1.0
"""Y of the square-root law"""
RARE = 0.001
"""chance of a break beyond the basis part within the liquidation time"""
QUEUE_YIELD = 0.25
"""a year's return that buyers of staking tokens wanted while the exit queue was long, July 2025"""
QUEUE_DAYS = 42.0
"""longest queue on record, October 2025: how long the present one is, no contract says"""
QUEUED = (BasisClass.LST, BasisClass.LRT)
WAIT_DAYS = 7.0
"""until a lending market or vault without free money pays out, at the rates it then charges"""


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


def market_part(volatility: Volatility, days: float, policy: Policy) -> float:
    """Worst move within `days`: the dynamic haircut where there is one, else a multiple of the volatility by √time."""
    if volatility.path is not None:
        return 1.0 - float(np.exp(-stretched(volatility.path, days)))
    return 1.0 - float(np.exp(-policy.path_quantile * volatility.daily * np.sqrt(days)))


def liquidity_part(volatility: Volatility, size_usd: float) -> float:
    """Cost of selling `size_usd` against the class's daily volume."""
    volume = FACTORS[volatility.factor_class].daily_volume_usd
    return min(1.0, IMPACT * volatility.daily * float(np.sqrt(max(size_usd, 0.0) / volume)))


def jump_quantile(jump: Jump, days: float) -> float:
    """Break that comes with a chance of RARE within `days`, at most the worst: λ·days/365·e^(−x/mean) = −ln(1 − RARE)."""
    expected = jump.per_year * max(days, 0.0) / 365.0
    if jump.mean_severity <= 0 or expected <= 0:
        return 0.0
    return min(jump.worst, max(0.0, jump.mean_severity * float(np.log(expected / -np.log1p(-RARE)))))


def basis_part(lot: Lot, volatility: Volatility, days: float = 1.0) -> float:
    """Peg of the factor itself and discounts of the wrappers around it, within `days`."""
    own = FACTORS[volatility.factor_class]
    kept = 1.0 - max(own.peg_haircut, jump_quantile(own.jump, days))
    for name in lot.bases:
        kind = basis_of(name)
        queue = QUEUE_YIELD * QUEUE_DAYS / 365.0 if kind in QUEUED else 0.0
        kept *= 1.0 - max(BASES[kind].haircut, jump_quantile(BASES[kind].jump, days), queue)
    return 1.0 - kept


def structure_part(lot: Lot, volatility: Volatility, chain: ChainId | None = None) -> float:
    """What wraps the asset, the issuer of the asset itself, and the bridge of its chain."""
    kept = (1.0 - lot.structure) * (1.0 - FACTORS[volatility.factor_class].structure_haircut)
    return 1.0 - kept * (1.0 - bridge_premium(chain, lot.factor))


class HaircutModel:
    """Haircuts of one portfolio's shapes."""

    def __init__(
        self,
        exposures: Exposures,
        volatilities: Mapping[str, Volatility],
        policy: Policy,
        depths: Mapping[tuple[ChainId, str], Depth] | None = None,
    ) -> None:
        """`depths`: of the pools of a chain in a factor, where they were read."""
        self._lots = exposures.lots
        self._of_lot = [volatilities[lot.factor] for lot in exposures.lots]
        self._held = exposures.held()
        self._policy = policy
        self._depths = depths if depths is not None else {}

    def haircut(self, shape: Shape, age_seconds: float, asset: AssetId | None = None, redeemable: float = 1.0) -> Haircut:
        """Haircut of a holding with this shape whose price has this age.

        `asset` says on which chain it stands (None: Ethereum's timing), `redeemable` which share of it can be withdrawn now.
        """
        chain = asset_chain(asset) if asset is not None else None
        kept: Array = np.ones(len(self._lots))
        kept_waiting = kept.copy()
        liquidity = basis = structure = 0.0
        for number, weight in delta_weights(shape).items():
            lot, volatility = self._lots[number], self._of_lot[number]
            days = self.time(number, age_seconds, chain).total
            kept[number] = 1.0 - market_part(volatility, days, self._policy)
            kept_waiting[number] = 1.0 - market_part(volatility, days + WAIT_DAYS, self._policy)
            liquidity += weight * self._liquidity(lot, volatility, chain)
            basis += weight * basis_part(lot, volatility, days)
            structure += weight * structure_part(lot, volatility, chain)
        # the value of every shape rises with every price, so all lots down together is the worst of all combinations
        now = min(1.0, max(0.0, redeemable))
        market = 1.0 - now * float(multiplier(shape, kept)) - (1.0 - now) * float(multiplier(shape, kept_waiting))
        return Haircut(*(min(1.0, max(0.0, part)) for part in (market, liquidity, basis, structure)))

    def of_leg(self, shape: Shape, value: LegValue) -> Haircut:
        """Haircut of a leg: on its chain, at the age of its price, with what of it can be withdrawn now."""
        leg = value.leg
        units = leg.amount + leg.fees
        redeemable = 1.0 if leg.redeemable is None or not units else min(1.0, leg.redeemable / units)
        return self.haircut(shape, value.age_seconds, leg.asset, redeemable)

    def time(self, lot: int, age_seconds: float, chain: ChainId | None) -> LiquidationTime:
        """How long liquidating all that is held of a lot's factor takes, if it stands on this chain."""
        volatility = self._of_lot[lot]
        size = self._held[self._lots[lot].factor]
        return liquidation_time(volatility.factor_class, chain, size, self._policy.horizon_days, max(age_seconds, 0.0) / DAY)

    def _liquidity(self, lot: Lot, volatility: Volatility, chain: ChainId | None) -> float:
        size = self._held[lot.factor]
        depth = self._depths.get((chain, lot.factor)) if chain is not None else None
        return max(liquidity_part(volatility, size), depth.cost(size) if depth is not None else 0.0)
