"""From what was read of a market and a user to positions and margin accounts, in the contract's own integers. Pure but for awaiting."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.erc20 import Missing, idle_leg
from adapters.morpho_blue import maths
from adapters.morpho_blue.maths import MarketState, Stuck
from adapters.morpho_blue.surface import MarketReads, RawPosition
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.position import Leg, MarginAccount, MarginAccountKind, MarginTerms, Position, Side
from aggregator.model.token import Token
from aggregator.model.units import WAD, to_decimal
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import why

FROZEN = "frozen"
SECONDS_PER_YEAR = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Market:
    """One market at the block, interest included."""

    id: str
    loan: Token
    collateral: Token | None
    """None in an idle market"""
    lltv: int
    state: MarketState
    pending_fee_shares: int
    """shares that the fee recipient gets with the next interaction"""
    price: int | None
    price_missing: str
    """why there is no price; empty where there is one"""
    frozen: bool
    """the oracle does not answer anybody: no liquidation, no withdrawal of collateral that carries debt"""
    yearly_rate: Decimal | None
    """borrow rate at this block, None where the interest rate model did not answer"""

    @property
    def label(self) -> str:
        collateral = self.collateral.symbol if self.collateral is not None else "idle"
        return f"{collateral}/{self.loan.symbol} {to_decimal(self.lltv, 16).normalize():f} %"


async def settle(scope: Scope, market: bytes, reads: MarketReads, missing: Missing) -> Market | None:
    """The market from its reads; None, with the reason noted, where its figures cannot be known."""
    name = "0x" + market.hex()
    params, totals = await reads.params, await reads.totals
    price, rate = await reads.price, await reads.rate
    for outcome in (params, totals):
        if not isinstance(outcome, Value):
            missing.note(f"market {name}", why(outcome))
            return None
    assert isinstance(params, Value) and isinstance(totals, Value)
    loan_token, collateral_token, oracle, irm, lltv = params.value
    supply, supply_shares, borrow, borrow_shares, updated, fee = totals.value
    state, fee_shares = MarketState(supply, supply_shares, borrow, borrow_shares, updated, fee), 0
    if irm != ZERO_ADDRESS and state.needs_rate(scope.block.timestamp):
        if not isinstance(rate, Value):
            missing.note(f"market {name}: its borrow rate", why(rate))
            return None
        try:
            state, fee_shares = maths.accrued(state, rate.value, scope.block.timestamp)
        except Stuck as stuck:
            missing.note(f"market {name}: its interest", str(stuck))
            return None
    collateral = await reads.collateral.token(scope, collateral_token) if collateral_token != ZERO_ADDRESS else None
    return Market(
        id=name,
        loan=await reads.loan.token(scope, loan_token),
        collateral=collateral,
        lltv=lltv,
        state=state,
        pending_fee_shares=fee_shares,
        price=price.value if isinstance(price, Value) else None,
        price_missing="" if isinstance(price, Value) else _price_missing(oracle, price),
        frozen=oracle == ZERO_ADDRESS or _answers_nobody(price),
        yearly_rate=_yearly(irm, rate),
    )


def _yearly(irm: Address, rate: Outcome[int]) -> Decimal | None:
    """The rate a second as one a year; a market without an interest rate model charges none."""
    if irm == ZERO_ADDRESS:
        return Decimal(0)
    return to_decimal(rate.value * SECONDS_PER_YEAR, 18) if isinstance(rate, Value) else None


def _price_missing(oracle: Address, price: Outcome[int]) -> str:
    return "the market has no oracle" if oracle == ZERO_ADDRESS else f"its oracle {oracle}: {why(price)}"


def _answers_nobody(price: Outcome[int]) -> bool:
    """Whether the contract's own call of the oracle reverts, rather than only ours being short of something."""
    if isinstance(price, Absent):
        return price.reason is Reason.NO_CODE
    return isinstance(price, Unknown) and price.reason is Reason.REVERTED


def supply_position(scope: Scope, slug: str, market: Market, owner: Address, shares: int) -> Position:
    """What a supplier can claim, rounded down, and how much of it the market could pay out now."""
    state = market.state
    assets = maths.to_assets_down(shares, state.total_supply_assets, state.total_supply_shares)
    leg = idle_leg(market.loan, assets, redeemable=min(assets, state.liquidity))
    return Position(scope.chain, slug, market.id, owner, (leg,), identifiers={"market": market.label})


def margin_account(scope: Scope, slug: str, market: Market, owner: Address, raw: RawPosition, missing: Missing) -> MarginAccount:
    """Collateral and debt of a user in a market, with the health that the contract's `_isHealthy` decides on."""
    state = market.state
    borrowed = maths.to_assets_up(raw.borrow_shares, state.total_borrow_assets, state.total_borrow_shares)
    value, maximum, blocked = _limits(market, raw, missing)
    debt_free = raw.borrow_shares == 0
    factor = None if debt_free or maximum is None else maths.health_factor(maximum, borrowed)
    legs = _legs(market, raw, borrowed, value, withdrawable=raw.collateral if debt_free else 0 if blocked else None)
    lltv = to_decimal(market.lltv, 18)
    return MarginAccount(
        chain=scope.chain,
        protocol=slug,
        market=market.id,
        owner=owner,
        kind=MarginAccountKind.LENDING,
        positions=(Position(scope.chain, slug, market.id, owner, legs, identifiers={"market": market.label}),),
        health_factor=factor,
        debt_free=debt_free,
        liquidatable=False if debt_free else None if maximum is None else borrowed > maximum,
        numeraire=market.loan.asset,
        collateral_value=to_decimal(value, market.loan.decimals) if value is not None else None,
        debt_value=to_decimal(borrowed, market.loan.decimals),
        liquidation_threshold=lltv,
        liquidation_blocked=None if debt_free else blocked,
        market_label=market.label,
    )


def _limits(market: Market, raw: RawPosition, missing: Missing) -> tuple[int | None, int | None, str | None]:
    """Collateral value and maximum borrow in raw loan units, and why nobody can act where the contract itself cannot tell."""
    if market.price is None:
        if raw.collateral == 0 and not raw.borrow_shares:
            return 0, 0, None
        missing.note(f"collateral price of market {market.label} ({market.id})", market.price_missing)
        blocked = f"{FROZEN}: {market.price_missing}; neither liquidation nor withdrawal of collateral works" if market.frozen else None
        return None, None, blocked
    try:
        value = maths.collateral_value(raw.collateral, market.price)
        return value, maths.maximum_borrow(value, market.lltv), None
    except Stuck as stuck:
        missing.note(f"collateral value in market {market.label} ({market.id})", str(stuck))
        return None, None, f"{FROZEN}: {stuck}"


def _legs(market: Market, raw: RawPosition, borrowed: int, value: int | None, withdrawable: int | None) -> tuple[Leg, ...]:
    legs: list[Leg] = []
    loan, collateral, lltv = market.loan, market.collateral, to_decimal(market.lltv, 18)
    if raw.collateral and collateral is not None:
        terms = MarginTerms(
            oracle_value=to_decimal(value, loan.decimals) if value is not None else None,
            loan_to_value=lltv,
            liquidation_threshold=lltv,
            liquidation_bonus=to_decimal(maths.liquidation_incentive_factor(market.lltv) - WAD, 18),
            yearly_rate=Decimal(0),  # collateral is lent to nobody
        )
        asset, symbol, decimals = collateral.asset, collateral.symbol, collateral.decimals
        legs.append(Leg(asset, symbol, decimals, Side.COLLATERAL, raw.collateral, terms=terms, redeemable=withdrawable))
    if borrowed:
        owed = MarginTerms(to_decimal(borrowed, loan.decimals), loan_to_value=Decimal(0), yearly_rate=market.yearly_rate)
        legs.append(Leg(loan.asset, loan.symbol, loan.decimals, Side.DEBT, borrowed, terms=owed))
    return tuple(legs)
