"""Hyperliquid's margin rules in decimals.

    maintenance  = Σ over tiers of the notional inside each / (2·its leverage)
    liquidation  = price − side·available/|size| / (1 − rate·side),  rate = 1/(2·leverage of the tier)
                   available = account value − maintenance (cross), margin − maintenance (isolated)
    portfolio    : ratio = (M + D) / (C + max(E, M)),  D = max(M − E, 0);  liquidated above .95
                   E net dollars less isolated margins, M maintenance of all cross positions, C Σ supplied·oracle·(½ + ½·LTV)

The portfolio ratio is what the documented formula comes to on recorded accounts: what maintenance lacks in dollars is borrowed, and the
documented minimum of 20 borrowed dollars does not show there. Source: hyperliquid.gitbook.io, trading: margining, margin tiers,
liquidations, portfolio margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

PLAIN = Context(prec=28)
"""what quotients are rounded to, half even"""
LIQUIDATED_ABOVE = Decimal("0.95")


@dataclass(frozen=True, slots=True)
class MarginTable:
    """Lower bounds of notional and the most leverage from there on; ValueError unless it starts at 0 and rises."""

    tiers: tuple[tuple[Decimal, int], ...]

    def __post_init__(self) -> None:
        bounds = [bound for bound, _ in self.tiers]
        if not bounds or bounds[0] != 0 or sorted(set(bounds)) != bounds or any(leverage < 1 for _, leverage in self.tiers):
            raise ValueError("tiers start at 0 and rise")

    @staticmethod
    def flat(leverage: int) -> MarginTable:
        return MarginTable(((Decimal(0), leverage),))

    def leverage(self, notional: Decimal) -> int:
        """The most that a position of this notional may have."""
        return next(leverage for bound, leverage in reversed(self.tiers) if bound <= notional)

    def maintenance(self, notional: Decimal) -> Decimal:
        """Of a notional ≥ 0, in its unit."""
        total = Decimal(0)
        for number, (bound, leverage) in enumerate(self.tiers):
            upper = self.tiers[number + 1][0] if number + 1 < len(self.tiers) else notional
            total += max(min(notional, upper) - bound, Decimal(0)) / (2 * leverage)
        return total


def liquidation_price(size: Decimal, price: Decimal, available: Decimal, leverage: int) -> Decimal | None:
    """Price at which a signed position is liquidated, all else unchanged; None where no price above 0 does it."""
    side = 1 if size > 0 else -1
    slope = 1 - Decimal(side) / (2 * leverage)
    if size == 0 or slope == 0:
        return None
    found = PLAIN.plus(price - side * available / abs(size) / slope)
    return found if found > 0 else None


@dataclass(frozen=True, slots=True)
class Support:
    """Supplied collateral: what it is worth at the lending oracle, and its loan-to-value."""

    value: Decimal
    ltv: Decimal

    @property
    def counted(self) -> Decimal:
        return self.value * (1 + self.ltv) / 2


def portfolio_ratio(dollars: Decimal, maintenance: Decimal, support: Sequence[Support]) -> Decimal | None:
    """Portfolio margin ratio; None where there is nothing to liquidate."""
    borrowed = max(maintenance - dollars, Decimal(0))
    value = sum((one.counted for one in support), Decimal(0)) + max(dollars, maintenance)
    return PLAIN.divide(maintenance + borrowed, value) if value > 0 else None
