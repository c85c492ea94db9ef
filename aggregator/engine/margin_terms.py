"""Margin parameters that venues stated with an owner's accounts, as parameters of the methods that are those venues' own.

What an account was read with goes before what a method ships: parameters change over time, so the snapshot keeps them. A market that no
account states keeps the shipped terms, and the requirement then says that not all were read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from aggregator.model.instrument import VenueAccount, VenueParameters
from aggregator.risk.margin import dydx, hyperliquid
from aggregator.risk.margin.dydx import DydxMarket, DydxParameters, LiquidityTier
from aggregator.risk.margin.hyperliquid import HyperliquidParameters, MarginTable, Tier

DYDX_RESOLUTION, DYDX_EXPONENT = -10, -8
"""finer than any market's own, which the indexer's account does not state: sizes and prices lose nothing"""


def stated_terms(accounts: Iterable[VenueAccount]) -> dict[str, object]:
    """Parameters by method id, of the venues whose accounts state any."""
    known = [(one, one.parameters) for one in accounts if one.parameters is not None]
    found: dict[str, object] = {}
    for method, made in (("hyperliquid", _hyperliquid), ("dydx-v4", _dydx)):
        own = [(account, terms) for account, terms in known if account.venue == method]
        parameters = made(own)
        if parameters is not None:
            found[method] = parameters
    return found


def _hyperliquid(accounts: list[tuple[VenueAccount, VenueParameters]]) -> HyperliquidParameters | None:
    """Margin tables and chosen leverage of every market that is held; portfolio margin where an account is in that mode."""
    tables: dict[str, MarginTable] = {}
    leverage: dict[str, Decimal] = {}
    for account, terms in accounts:
        for holding in account.holdings:
            name, underlying = holding.instrument.symbol, holding.instrument.underlying
            tiers = _tiers(name, terms.values)
            if tiers:
                tables[underlying] = MarginTable(tiers)
            chosen = terms.values.get(f"{name}.leverage")
            if chosen is not None:
                leverage[underlying] = Decimal(chosen)
    if not tables:
        return None
    usual = hyperliquid.SAMPLE
    sources = sorted({terms.source for _, terms in accounts})
    return replace(usual, tables={**usual.tables, **tables}, leverage=leverage, source="; ".join(sources), confirmed=True)


def _tiers(name: str, values: Mapping[str, Decimal | int | bool | str]) -> tuple[Tier, ...]:
    found: list[Tier] = []
    while (bound := values.get(f"{name}.tier.{len(found)}.lower_bound")) is not None:
        found.append(Tier(Decimal(bound), int(values[f"{name}.tier.{len(found)}.max_leverage"])))
    return tuple(found)


def _dydx(accounts: list[tuple[VenueAccount, VenueParameters]]) -> DydxParameters | None:
    """Tiers and open interest of every market that the indexer gave."""
    markets: dict[str, DydxMarket] = {}
    for account, terms in accounts:
        for holding in account.holdings:
            market = _market(holding.instrument.symbol, terms.values)
            if market is not None:
                markets[holding.instrument.underlying] = market
    if not markets:
        return None
    sources = sorted({terms.source for _, terms in accounts})
    return replace(dydx.SAMPLE, markets={**dydx.SAMPLE.markets, **markets}, source="; ".join(sources), confirmed=True)


def _market(name: str, values: Mapping[str, Decimal | int | bool | str]) -> DydxMarket | None:
    initial, maintenance = (values.get(f"{name}.{kind}_margin_fraction") for kind in ("initial", "maintenance"))
    if initial is None or maintenance is None or not Decimal(initial):
        return None
    # the venue's tier holds the maintenance fraction as a share of the initial one
    share = Decimal(maintenance) / Decimal(initial)
    lower, upper = (Decimal(values.get(f"{name}.open_interest_{cap}_cap", 0)) for cap in ("lower", "upper"))
    tier = LiquidityTier(_ppm(Decimal(initial)), _ppm(share), int(lower.scaleb(6)), int(upper.scaleb(6)))
    interest = int(Decimal(values.get(f"{name}.open_interest", 0)).scaleb(-DYDX_RESOLUTION))
    return DydxMarket(DYDX_RESOLUTION, DYDX_EXPONENT, tier, interest)


def _ppm(fraction: Decimal) -> int:
    return round(fraction.scaleb(6))
