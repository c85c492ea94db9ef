"""Venue accounts in the health document: the venue's figures as it stated them, every digit of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from aggregator.engine.schema import GreeksDocument, HoldingDocument, VenueAccountDocument, VenueBalanceDocument
from aggregator.model.instrument import Greeks, Holding, VenueAccount, VenueBalance


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
