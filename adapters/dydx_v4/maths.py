"""dYdX's margin rules in decimals, at the oracle price.

    notional = |size|·oracle          maintenance = Σ notional·maintenance fraction (of the tier, never scaled by open interest)
    equity   = USDC + Σ size·oracle   liquidatable: maintenance > 0 and equity < maintenance
    initial fraction = min(1, base + (1 − base)·(open notional − lower)/(upper − lower)) between the caps

The chain rounds each margin up to a millionth of a USDC; that is left out here. Source: dydxprotocol/v4-chain@84d4664b,
`protocol/x/perpetuals/types/liquidity_tier.go`, `protocol/x/perpetuals/lib/lib.go`, `protocol/x/clob/keeper/liquidations.go`.
"""

from __future__ import annotations

from decimal import Context, Decimal

PLAIN = Context(prec=28)
"""what quotients are rounded to, half even"""


def initial_fraction(base: Decimal, open_notional: Decimal, lower_cap: Decimal, upper_cap: Decimal) -> Decimal:
    """Initial margin fraction at an open interest in USD. An upper cap of 0 switches the scaling off."""
    if upper_cap == 0 or open_notional <= lower_cap:
        return base
    if open_notional >= upper_cap:
        return Decimal(1)
    return PLAIN.plus(base + (1 - base) * (open_notional - lower_cap) / (upper_cap - lower_cap))


def liquidation_price(size: Decimal, price: Decimal, fraction: Decimal, equity: Decimal, maintenance: Decimal) -> Decimal | None:
    """Oracle price of one market at which equity meets the maintenance margin, all other prices unchanged.

    `equity` and `maintenance` are the subaccount's at `price`. None where no price above 0 does it.
    """
    slope = size - abs(size) * fraction
    if slope == 0:
        return None
    found = PLAIN.plus(price - (equity - maintenance) / slope)
    return found if found > 0 else None


def liquidatable(equity: Decimal, maintenance: Decimal) -> bool:
    """Strictly below the maintenance margin, and something to liquidate."""
    return maintenance > 0 and equity < maintenance
