"""From what deployments told of everybody to one `Book` with market prices. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from aggregator.contagion.evidence import Evidence
from aggregator.model.book import Book, BookAsset, BookMarket, Codes, Floats, Legs, Reserves, evm_owners
from aggregator.model.identifiers import Address, AssetId, ChainId
from aggregator.model.price import PriceBook
from aggregator.model.snapshot import Gap, Snapshot
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswers
from aggregator.prices.book import price_book
from aggregator.reading.population import Population, PopulationLegs, PopulationMarket, PopulationReserve
from aggregator.reading.registry import registry


@dataclass(frozen=True, slots=True)
class Census:
    """What one deployment told, and whose it is."""

    chain: ChainId
    protocol: str
    population: Population


def population_evidence(census: Sequence[Census]) -> Evidence:
    """Share of the deployments that are there of which nobody is missing."""
    there = [one.population for one in census if one.population.markets or one.population.unread]
    if not there:
        return Evidence(np.nan, ("no protocol was found on any chain",))
    missing = [f"{gap.protocol} on {gap.chain}: {gap.what}: {gap.why}" for population in there for gap in population.unread]
    return Evidence(sum(not population.unread for population in there) / len(there), tuple(dict.fromkeys(missing)))


def population_book(
    census: Sequence[Census], feeds: Sequence[FeedAnswers], snapshots: tuple[Snapshot, ...] = ()
) -> tuple[Book | None, PriceBook]:
    """The book of all markets and the market prices of its assets; no book where nobody was found.

    Oracle prices in a market's own numeraire are brought to USD at the numeraire's market price. An asset without a market price stays
    without one: what the protocol's oracle says of it is not what it sells for.
    """
    prices = _prices(census, feeds)
    build = _Building(prices)
    for one in census:
        for market in one.population.markets:
            if market.owners:
                build.add(one.chain, one.protocol, market)
    gaps = tuple(sorted({gap for one in census for gap in (*one.population.unread, *one.population.gaps)}))
    return (build.book(snapshots, gaps) if build.size else None), prices


def _prices(census: Sequence[Census], feeds: Sequence[FeedAnswers]) -> PriceBook:
    discovered = {token.asset: token for one in census for token in one.population.tokens}
    wanted: dict[AssetId, Token] = {}
    for one in census:
        for market in one.population.markets:
            for reserve in market.reserves:
                wanted.setdefault(reserve.asset, registry().token(reserve.asset) or discovered.get(reserve.asset) or _unlisted(reserve))
    return price_book(wanted.values(), feeds, (), [quote for one in census for quote in one.population.quotes])


def _unlisted(reserve: PopulationReserve) -> Token:
    return Token(reserve.asset, reserve.symbol, reserve.decimals, TokenKind.UNKNOWN, reserve.asset, "discovered")


class _Building:
    """Columns of all markets, one after the other."""

    def __init__(self, prices: PriceBook) -> None:
        self.size = 0
        self._prices = prices
        self._assets: dict[AssetId, BookAsset] = {}
        self._codes: dict[AssetId, int] = {}
        self._markets: list[BookMarket] = []
        self._rows: list[tuple[int, int, float, float, float]] = []
        """asset, market, oracle price, threshold, bonus of each reserve"""
        self._closed: list[bool] = []
        self._account_market: list[Codes] = []
        self._owners: list[Address] = []
        self._sides: tuple[list[tuple[Codes, Codes, Floats]], list[tuple[Codes, Codes, Floats]]] = ([], [])

    def add(self, chain: ChainId, protocol: str, market: PopulationMarket) -> None:
        """Append one market's accounts."""
        code, first_account, first_reserve = len(self._markets), self.size, len(self._rows)
        self._markets.append(BookMarket(chain, protocol, market.market, market.label, market.numeraire, market.rule))
        unit = Decimal(1) if market.numeraire == "USD" else self._usd(AssetId(market.numeraire))
        for reserve in market.reserves:
            if reserve.asset not in self._codes:
                self._codes[reserve.asset] = len(self._codes)
                self._assets[reserve.asset] = BookAsset(reserve.asset, reserve.symbol, reserve.decimals)
            price = np.nan if reserve.oracle_price is None or unit is None else float(reserve.oracle_price * unit)
            self._rows.append((self._codes[reserve.asset], code, price, float(reserve.threshold), float(reserve.bonus)))
            self._closed.append(reserve.closed)
        self._account_market.append(np.full(len(market.owners), code, dtype=np.int32))
        self._owners.extend(market.owners)
        self.size += len(market.owners)
        scales = [10**reserve.decimals for reserve in market.reserves]
        for side, legs in zip(self._sides, (market.collateral, market.debt), strict=True):
            side.append(_columns(legs, scales, first_account, first_reserve))

    def book(self, snapshots: tuple[Snapshot, ...], gaps: tuple[Gap, ...]) -> Book:
        columns = np.array(self._rows, dtype=np.float64).reshape(-1, 5).T
        asset = columns[0].astype(np.int32)
        collateral, debt = (_legs(side, len(self._rows)) for side in self._sides)
        return Book(
            tuple(self._assets.values()),
            np.array([np.nan if (price := self._usd(asset_id)) is None else float(price) for asset_id in self._assets]),
            tuple(self._markets),
            Reserves(asset, columns[1].astype(np.int32), asset.copy(), columns[2], columns[3], columns[4], np.array(self._closed)),
            np.concatenate(self._account_market),
            collateral,
            debt,
            evm_owners(self._owners),
            snapshots,
            gaps,
        )

    def _usd(self, asset: AssetId) -> Decimal | None:
        price = self._prices.get(asset)
        return None if price is None else price.value


def _legs(parts: list[tuple[Codes, Codes, Floats]], reserve_count: int) -> Legs:
    accounts, reserves, amounts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Legs.build(accounts, reserves, amounts, reserve_count)


def _columns(legs: PopulationLegs, scales: list[int], first_account: int, first_reserve: int) -> tuple[Codes, Codes, Floats]:
    """Codes in the whole book and whole tokens, each the nearest float to its raw amount."""
    amounts = [np.nan if amount is None else amount / scales[reserve] for amount, reserve in zip(legs.amounts, legs.reserves, strict=True)]
    accounts = np.array(legs.accounts, dtype=np.int32) + np.int32(first_account)
    return accounts, np.array(legs.reserves, dtype=np.int32) + np.int32(first_reserve), np.array(amounts, dtype=np.float64)
