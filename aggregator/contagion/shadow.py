"""Two healths for every account: at the protocol's oracle, and at what the market or the backing says (the shadow).

A position that its oracle calls healthy although its collateral is worth less is blind: nobody may liquidate it, and what it lacks is
bad debt that no dashboard shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.contagion.evidence import Evidence, of_book
from aggregator.contagion.priced import own_reserve
from aggregator.model.book import Book, BookHealth, Floats, Mask
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class Shadow:
    """Oracle and shadow health side by side.

    `blind_bad_debt`: USD by account, debt beyond what the collateral repays at shadow prices, where the oracle sees health of 1 or
    more; 0 elsewhere, NaN where unknown. `oracle_gap`: by reserve, oracle price over shadow price minus 1.
    """

    oracle: BookHealth
    shadow: BookHealth
    blind_bad_debt: Floats
    oracle_gap: Floats
    evidence: Evidence

    @property
    def blind(self) -> Mask:
        """Accounts that are unhealthy at shadow prices and that the oracle calls healthy."""
        return self.shadow.liquidatable & (self.oracle.weighted >= self.oracle.debt)

    @property
    def total_blind_bad_debt(self) -> float | None:
        """Over all accounts; None where too little is known to give it."""
        return self.evidence.figure(float(np.nansum(self.blind_bad_debt)))


def shadow_prices(market: Floats, net_asset_value: Floats | None = None) -> Floats:
    """The lower of market price and look-through value, by asset; the one that is known where only one is."""
    return np.array(market, dtype=np.float64) if net_asset_value is None else np.fmin(market, net_asset_value)


def shadow(
    book: Book, net_asset_value: Floats | None = None, oracle_prices: Floats | None = None, market_prices: Floats | None = None
) -> Shadow:
    """Both healths of all accounts.

    `net_asset_value`, `market_prices`: USD by asset (default: the book's prices); `oracle_prices`: by reserve (default: the book's). A
    debt is valued at the market, or at the oracle where there is no market price: it never shrinks because its backing does.
    """
    reserves = book.reserves
    market = book.prices if market_prices is None else market_prices
    for name, given in (("net asset values", net_asset_value), ("market prices", market)):
        if given is not None and len(given) != len(book.assets):
            raise InputError(f"{len(given)} {name}; the population has {len(book.assets)} assets")
    oracle = reserves.oracle_price if oracle_prices is None else oracle_prices
    low = shadow_prices(market, net_asset_value)[reserves.asset]
    owed_at = np.where(np.isnan(market), oracle[own_reserve(book)], market)[reserves.asset]
    at_oracle = book.health(oracle)
    at_shadow = BookHealth(book.sums(book.collateral, reserves.counted(low)), book.sums(book.debt, owed_at))
    covered = book.sums(book.collateral, reserves.seizable(low) / (1.0 + reserves.bonus))
    lacking = np.maximum(at_shadow.debt - covered, 0.0)
    lacking[at_oracle.liquidatable] = 0.0
    lacking[at_oracle.unknown | at_shadow.unknown] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = oracle / low - 1.0
    both = BookHealth(at_oracle.weighted + 0.0 * at_shadow.weighted, at_oracle.debt + 0.0 * at_shadow.debt)
    return Shadow(at_oracle, at_shadow, lacking, gap, of_book(book, both))


def by_market(book: Book, values: Floats) -> Floats:
    """Σ of an account column over each market, what is unknown left out."""
    return np.bincount(book.account_market, np.nan_to_num(values), len(book.markets)).astype(np.float64, copy=False)
