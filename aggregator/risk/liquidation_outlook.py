"""What awaits a margin account: how long it lives at today's rates, and what a liquidation at its line would take and is expected to.

At the line: collateral has fallen in proportion until health is 1, or stands as it does where the account is below already. Expected:
that loss times the probability of a liquidation within each horizon.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from aggregator.model.identifiers import AssetId
from aggregator.model.position import Side
from aggregator.risk.account_terms import AccountTerms, account_terms
from aggregator.risk.accrual import Growing, Lifetime, lifetime
from aggregator.risk.claims import owes_nothing
from aggregator.risk.exposure import Exposures, Key
from aggregator.risk.haircuts import liquidity_part
from aggregator.risk.liquidation_loss import Liquidated, LiquidationCosts, LiquidationLoss, liquidation_loss
from aggregator.risk.prepared import Prepared
from aggregator.risk.shapes import delta_weights
from aggregator.risk.shocked import Shocked
from aggregator.risk.valuation import LegValue
from aggregator.risk.venue_exposure import VenueSums
from aggregator.risk.volatility import Volatility


@dataclass(frozen=True, slots=True)
class LiquidationOutlook:
    """Of one margin account. USD; None where nothing is owed or something has no value."""

    lifetime: Lifetime
    loss: LiquidationLoss | None
    """of a liquidation at the line"""


def liquidation_outlooks(ready: Prepared, costs: LiquidationCosts) -> tuple[LiquidationOutlook, ...]:
    """Of all margin accounts, in their order."""
    legs = legs_by_key(ready)
    still = Shocked({}, {}, ready.exposures, ready.claims, VenueSums(Decimal(0), Decimal(0)))
    return tuple(_outlook(number, legs, still, ready, costs) for number in range(len(ready.portfolio.margin_accounts)))


def legs_by_key(ready: Prepared) -> dict[Key, LegValue]:
    """Every leg with its value."""
    return {
        (account, number, index): leg
        for account, positions in [*enumerate(ready.valuation.accounts), (None, ready.valuation.positions)]
        for number, position in enumerate(positions)
        for index, leg in enumerate(position.legs)
    }


def _outlook(number: int, legs: Mapping[Key, LegValue], still: Shocked, ready: Prepared, costs: LiquidationCosts) -> LiquidationOutlook:
    own = account_terms(number, legs, ready)
    terms = [(term.key, term.signed) for term in own.native]
    debts = [leg.value or Decimal(0) for key, leg in legs.items() if key[0] == number and leg.leg.side is Side.DEBT]
    loss = None
    if terms and own.debts_priced:
        loss = account_loss(own, terms, legs, still, ready.volatilities, float(sum(debts)), costs, at_the_line=True)
    return LiquidationOutlook(account_lifetime(own, terms, legs, {}), loss)


def account_lifetime(
    own: AccountTerms, terms: Sequence[tuple[Key, Decimal]], legs: Mapping[Key, LegValue], shifts: Mapping[AssetId, Fraction]
) -> Lifetime:
    """Time until health is 1 at today's rates; `shifts` are added to borrow rates, by asset."""
    if not (own.by_oracle and terms) and not owes_nothing(own.account):
        return Lifetime(None, "the account's values at its protocol's oracle could not be read")
    return lifetime([_growing(legs[key], signed, shifts) for key, signed in terms])


def _growing(value: LegValue, signed: Decimal, shifts: Mapping[AssetId, Fraction]) -> Growing:
    leg = value.leg
    rate = None if leg.terms is None or leg.terms.yearly_rate is None else float(leg.terms.yearly_rate)
    if leg.side is Side.DEBT and rate is not None:
        rate += float(shifts.get(leg.asset, 0))
    return Growing(float(signed), rate, leg.symbol)


def account_loss(
    own: AccountTerms,
    terms: Iterable[tuple[Key, Decimal]],
    legs: Mapping[Key, LegValue],
    shocked: Shocked,
    moving: Mapping[str, Volatility],
    debt_usd: float,
    costs: LiquidationCosts,
    at_the_line: bool = False,
) -> LiquidationLoss | None:
    """Loss of a liquidation after a shock; `at_the_line` first lets collateral fall to health 1. None where collateral has no value."""
    collateral = debt = counted = bonus = collateral_usd = impact = 0.0
    for key, signed in terms:
        leg = legs[key]
        if leg.leg.side is Side.DEBT:
            debt -= float(signed)
            continue
        stated = leg.leg.terms
        if stated is None or leg.value is None:
            return None
        oracle, value = float(signed / stated.liquidation_threshold), float(leg.value) * float(shocked.claim_multiplier(key))
        collateral, counted, collateral_usd = collateral + oracle, counted + float(signed), collateral_usd + value
        bonus += oracle * float(stated.liquidation_bonus)
        impact += value * _impact(shocked.exposures, key, moving, value)
    fallen = min(debt / counted, 1.0) if at_the_line and counted > 0 else 1.0
    return liquidation_loss(
        Liquidated(
            own.account.chain,
            collateral * fallen,
            debt,
            collateral_usd * fallen,
            debt_usd,
            threshold=counted / collateral if collateral else 0.0,
            bonus=bonus / collateral if collateral else 0.0,
            close_factor=float(own.account.close_factor),
            impact=impact / collateral_usd if collateral_usd else 0.0,
        ),
        costs,
    )


def _impact(exposures: Exposures, key: Key, moving: Mapping[str, Volatility], value: float) -> float:
    """Share lost on selling this much at once."""
    parts = delta_weights(exposures.leg_shapes[key])
    return sum(weight * liquidity_part(moving[exposures.lots[lot].factor], value * weight) for lot, weight in parts.items())
