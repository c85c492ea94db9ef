"""Venue accounts in the health document: the venue's figures as it stated them, every digit of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from aggregator.engine.figures import down, fraction, money_down, money_up, plain, probability
from aggregator.engine.schema import (
    GreeksDocument,
    HoldingDocument,
    LegDocument,
    LiquidationDocument,
    LiquidationPriceDocument,
    MarginAccountDocument,
    PositionDocument,
    VenueAccountDocument,
    VenueBalanceDocument,
)
from aggregator.model.instrument import Greeks, Holding, VenueAccount, VenueBalance
from aggregator.model.position import MarginAccountKind, Side
from aggregator.risk.venue_assessment import VenueAssessment
from aggregator.risk.venue_book import SETTLED_AT_ONE, VenueBook

LEG_DECIMALS = 18


def venue_account_document(account: VenueAccount) -> VenueAccountDocument:
    """One account as text."""
    figures, parameters = account.figures, account.parameters
    return VenueAccountDocument(
        venue=account.venue,
        account=account.account,
        owner=str(account.owner),
        label=account.label,
        mode=account.mode.value,
        as_of=_moment(account.as_of_ms),
        collateral=account.collateral_symbol,
        shares_collateral_with=account.shares_collateral_with,
        equity_usd=_text(figures.equity),
        initial_margin_usd=_text(figures.initial_margin),
        maintenance_margin_usd=_text(figures.maintenance_margin),
        margin_ratio=_text(figures.margin_ratio),
        liquidatable=figures.liquidatable,
        balances=tuple(_balance(one) for one in account.balances),
        holdings=tuple(_holding(one) for one in account.holdings),
        parameters={} if parameters is None else {name: _value(one) for name, one in sorted(parameters.values.items())},
    )


def venue_margin_account(account: VenueAccount, own: VenueAssessment) -> MarginAccountDocument:
    """The same account as a margin account like any other: `health_factor` is the venue's equity over its maintenance margin."""
    book, figures = own.book, account.figures
    equity, needed = figures.equity, figures.maintenance_margin
    stated = down(equity / needed, 18) if equity is not None and needed else None
    liquidatable = figures.liquidatable
    if liquidatable is None and equity is not None and needed is not None:
        liquidatable = equity < needed
    options = any(holding.instrument.kind.is_option for holding in account.holdings)
    return MarginAccountDocument(
        chain=account.venue,
        protocol=account.venue,
        market=account.account,
        label=account.label,
        owner=account.owner.address,
        kind=(MarginAccountKind.OPTIONS if options else MarginAccountKind.PERP).value,
        health_factor=stated,
        shadow_health_factor=down(own.health, 18) if own.health is not None else None,
        collateral_usd=money_down(book.collateral_usd),
        debt_usd=None if book.why else money_up(book.debt_usd),
        liquidation_threshold=None,
        close_factor="1",
        liquidation=LiquidationDocument(
            liquidatable=liquidatable,
            blocked=None,
            prices=tuple(
                LiquidationPriceDocument(
                    asset=f"{account.venue}:{one.factor}",
                    symbol=one.factor,
                    price_usd=None if one.price_usd is None else fraction(one.price_usd, 12),
                    move=fraction(one.move, 12),
                    factor=one.factor,
                    volatile=True,
                    factor_move=fraction(one.move, 12),
                )
                for one in own.prices
            ),
            market_move=None if own.trigger is None or own.trigger.nearest is None else fraction(own.trigger.nearest, 12),
            probability=None if own.probability is None else {name: probability(value) for name, value in own.probability.items()},
            days_detail="funding rates are not followed",
            expected_loss_usd=(
                None
                if own.probability is None or own.loss is None
                else {name: money_up(value * own.loss) for name, value in own.probability.items()}
            ),
        ),
        positions=(
            PositionDocument(
                chain=account.venue,
                protocol=account.venue,
                market=account.account,
                owner=account.owner.address,
                legs=tuple(_legs(account, book)),
                identifiers={},
            ),
        ),
    )


def _legs(account: VenueAccount, book: VenueBook) -> Iterator[LegDocument]:
    """Balances that are this account's own, then positions: amounts in contracts with eighteen decimals, values of what moves."""
    for balance in account.balances if account.shares_collateral_with is None else ():
        dollar = Decimal(1) if balance.symbol == SETTLED_AT_ONE else None
        price = balance.price_usd if balance.price_usd is not None else dollar
        side = Side.DEBT if balance.amount < 0 else Side.COLLATERAL
        yield _leg(balance.asset or f"{account.venue}:{balance.symbol}", balance.symbol, side, balance.amount, price, price)
    for holding in account.holdings:
        price, instrument = holding.mark_price, holding.instrument
        value = None if price is None else price * instrument.contract_size
        if instrument.inverse and not instrument.kind.is_option:
            value = instrument.contract_size  # a contract on dollars
        side = Side.SHORT if holding.size < 0 else Side.LONG
        yield _leg(f"{account.venue}:{instrument.label}", instrument.label, side, holding.size, price, value)


def _leg(asset: str, symbol: str, side: Side, amount: Decimal, price: Decimal | None, each: Decimal | None) -> LegDocument:
    money = money_up if side.sign < 0 else money_down
    return LegDocument(
        asset=asset,
        symbol=symbol,
        side=side.value,
        amount_raw=str(int(abs(amount).scaleb(LEG_DECIMALS))),
        decimals=LEG_DECIMALS,
        fees_raw="0",
        price_usd=None if price is None else plain(price),
        value_usd=None if each is None else money(abs(amount) * each),
        fees_usd=None if each is None else money(Decimal(0)),
        price=None,
        haircut=None,
        haircut_parts=None,
        look_through=(),
    )


def _balance(balance: VenueBalance) -> VenueBalanceDocument:
    return VenueBalanceDocument(
        symbol=balance.symbol,
        asset=balance.asset,
        amount=f"{balance.amount:f}",
        price_usd=_text(balance.price_usd),
        collateral_weight=_text(balance.collateral_weight),
        withdrawable=_text(balance.withdrawable),
    )


def _holding(holding: Holding) -> HoldingDocument:
    instrument = holding.instrument
    return HoldingDocument(
        instrument=instrument.label,
        kind=instrument.kind.value,
        underlying=instrument.underlying,
        expiry=None if instrument.expiry is None else _moment(instrument.expiry * 1000),
        strike=_text(instrument.strike),
        contract_size=f"{instrument.contract_size:f}",
        settlement=instrument.settlement,
        size=f"{holding.size:f}",
        mark_price=_text(holding.mark_price),
        entry_price=_text(holding.entry_price),
        unrealised=_text(holding.unrealised),
        liquidation_price=_text(holding.liquidation_price),
        margin=_text(holding.margin),
        leverage=_text(holding.leverage),
        greeks=_greeks(holding.greeks),
    )


def _greeks(greeks: Greeks | None) -> GreeksDocument | None:
    if greeks is None:
        return None
    return GreeksDocument(delta=f"{greeks.delta:f}", gamma=f"{greeks.gamma:f}", vega=f"{greeks.vega:f}", theta=f"{greeks.theta:f}")


def _value(value: Decimal | int | bool | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _moment(milliseconds: int) -> str:
    """RFC 3339 UTC to the millisecond; a number beyond the calendar stays one."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
