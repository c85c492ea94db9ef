"""Venue accounts for tests, a line each."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from aggregator.model.identifiers import AccountId
from aggregator.model.instrument import (
    Holding,
    Instrument,
    InstrumentKind,
    MarginMode,
    VenueAccount,
    VenueBalance,
    VenueFigures,
)
from aggregator.model.portfolio import Portfolio
from tests.builders import ETHEREUM, OWNER

NOW = 1_735_804_800
DAY = 86_400
ME = AccountId(ETHEREUM, OWNER)


def money(value: float | str) -> Decimal:
    return Decimal(str(value))


def perp(size: float, mark: float = 2000, underlying: str = "ETH", unrealised: float = 0, inverse: bool = False) -> Holding:
    instrument = Instrument(InstrumentKind.PERPETUAL, underlying, inverse=inverse)
    return Holding(instrument, money(size), mark_price=money(mark), unrealised=money(unrealised))


def option(kind: str, strike: float, size: float, premium: float, days: int = 30) -> Holding:
    instrument = Instrument(InstrumentKind(kind), "ETH", NOW + days * DAY, money(strike))
    return Holding(instrument, money(size), mark_price=money(premium))


def cash(amount: float, symbol: str = "USDC", price: float | None = None) -> VenueBalance:
    return VenueBalance(symbol, money(amount), None if price is None else money(price))


def venue(
    *holdings: Holding,
    balances: tuple[VenueBalance, ...] = (cash(10_000),),
    equity: float | None = None,
    maintenance: float | None = 500,
    name: str = "hyperliquid",
    account: str = "one",
    shares: str | None = None,
    mode: MarginMode = MarginMode.CROSS,
    liquidatable: bool | None = None,
) -> VenueAccount:
    figures = VenueFigures(
        equity=None if equity is None else money(equity),
        maintenance_margin=None if maintenance is None else money(maintenance),
        liquidatable=liquidatable,
    )
    return VenueAccount(name, account, ME, mode, balances, holdings, NOW * 1000, figures, shares_collateral_with=shares)


def at_venues(one: Portfolio, *accounts: VenueAccount) -> Portfolio:
    return replace(one, venue_accounts=accounts)
