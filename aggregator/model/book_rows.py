"""Between margin accounts as objects and as columns: portfolios into a `Book`, and one row of it back into a `Portfolio`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np

from aggregator.model.book import (
    HALF_IF_MILD,
    Book,
    BookAsset,
    BookMarket,
    Codes,
    Floats,
    Legs,
    LiquidationRule,
    Reserves,
    evm_owners,
)
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, AssetId, ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount, MarginAccountKind, MarginTerms, Position, Side
from aggregator.model.price import PriceBook
from aggregator.model.snapshot import Gap, Snapshot
from aggregator.model.units import WAD, to_decimal

LENDING = (MarginAccountKind.LENDING, MarginAccountKind.CDP)
EXACT = Context(prec=120)


@dataclass(slots=True)
class _Side:
    accounts: list[int] = field(default_factory=list)
    reserves: list[int] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)

    def legs(self, reserve_count: int) -> Legs:
        rows = np.array([self.accounts, self.reserves], dtype=np.int64).reshape(2, -1)
        return Legs.build(rows[0], rows[1], np.array(self.amounts), reserve_count)


@dataclass(slots=True)
class _Reserve:
    asset: int
    market: int
    threshold: float
    bonus: float
    price: Fraction | None = None
    seen: int = -1
    """raw amount of the leg that the price was taken from: the largest, because values are rounded"""


def book_of(
    portfolios: Iterable[Portfolio],
    prices: PriceBook,
    rules: Mapping[str, LiquidationRule] | None = None,
) -> Book:
    """All lending and CDP margin accounts of the portfolios, one row each, in their order.

    `prices` gives market prices in USD, and the price of numeraires. `rules`: liquidation rule by protocol; `HALF_IF_MILD` otherwise.
    A leg whose oracle gave no value leaves its reserve without a price, unless another account's leg shows it. InputError where
    there is no such account.
    """
    build = _Building(prices, rules or {})
    gaps: list[Gap] = []
    snapshots: list[Snapshot] = []
    for portfolio in portfolios:
        gaps.extend(portfolio.gaps)
        snapshots.extend(portfolio.snapshots)
        for account in portfolio.margin_accounts:
            if account.kind in LENDING:
                build.add(account)
            else:
                gaps.append(Gap(account.chain, account.protocol, account.market, f"a {account.kind.value} account is not linear in prices"))
    book = build.book()
    return Book(
        book.assets,
        book.prices,
        book.markets,
        book.reserves,
        book.account_market,
        book.collateral,
        book.debt,
        book.owners,
        tuple(dict.fromkeys(snapshots)),
        tuple(dict.fromkeys(gaps)),
    )


class _Building:
    """Tables filled while accounts are met."""

    def __init__(self, prices: PriceBook, rules: Mapping[str, LiquidationRule]) -> None:
        self._prices, self._rules = prices, rules
        self._assets: dict[AssetId, tuple[int, BookAsset]] = {}
        self._markets: dict[tuple[ChainId, str, str], tuple[int, BookMarket]] = {}
        self._reserves: dict[tuple[int, int, float, float], tuple[int, _Reserve]] = {}
        self._account_market: list[int] = []
        self._owners: list[Address] = []
        self._sides = {Side.COLLATERAL: _Side(), Side.DEBT: _Side()}

    def add(self, account: MarginAccount) -> None:
        key = (account.chain, account.protocol, account.market)
        if key not in self._markets:
            rule = self._rules.get(account.protocol, HALF_IF_MILD)
            made = BookMarket(*key, account.market_label, account.numeraire, rule, account.kind)
            self._markets[key] = len(self._markets), made
        market, row = self._markets[key][0], len(self._account_market)
        self._account_market.append(market)
        self._owners.append(account.owner)
        held: dict[tuple[Side, int], float] = {}
        for leg in account.legs:
            if leg.side in self._sides and leg.amount:
                place = (leg.side, self._reserve(leg, market, account.numeraire))
                held[place] = held.get(place, 0.0) + leg.amount / 10**leg.decimals
        for (side, reserve), amount in held.items():
            columns = self._sides[side]
            columns.accounts.append(row)
            columns.reserves.append(reserve)
            columns.amounts.append(amount)

    def _reserve(self, leg: Leg, market: int, numeraire: str) -> int:
        terms = leg.terms or MarginTerms(None)
        code, asset = self._assets.setdefault(leg.asset, (len(self._assets), BookAsset(leg.asset, leg.symbol, leg.decimals)))
        if asset.decimals != leg.decimals:
            raise InputError(f"{leg.asset} has {asset.decimals} decimals in one account and {leg.decimals} in another")
        owed = leg.side is Side.DEBT
        threshold, bonus = (0.0, 0.0) if owed else (float(terms.liquidation_threshold), float(terms.liquidation_bonus))
        key = (code, market, threshold, bonus)
        number, reserve = self._reserves.setdefault(key, (len(self._reserves), _Reserve(*key)))
        price = self._oracle_price(leg, terms, numeraire)
        if price is not None and leg.amount > reserve.seen:
            reserve.price, reserve.seen = price, leg.amount
        return number

    def _oracle_price(self, leg: Leg, terms: MarginTerms, numeraire: str) -> Fraction | None:
        if numeraire == "USD" and terms.oracle_price_usd is not None:
            return Fraction(terms.oracle_price_usd)
        unit = self._usd(AssetId(numeraire)) if numeraire != "USD" else Fraction(1)
        if terms.oracle_value is None or unit is None:
            return None
        return Fraction(terms.oracle_value) * Fraction(10**leg.decimals, leg.amount) * unit

    def _usd(self, asset: AssetId) -> Fraction | None:
        price = self._prices.get(asset)
        return None if price is None or price.value is None else Fraction(price.value)

    def book(self) -> Book:
        reserves = [reserve for _, reserve in self._reserves.values()]
        return Book(
            tuple(asset for _, asset in self._assets.values()),
            _floats(self._usd(asset) for asset in self._assets),
            tuple(market for _, market in self._markets.values()),
            Reserves(
                asset=_codes(reserve.asset for reserve in reserves),
                market=_codes(reserve.market for reserve in reserves),
                priced_by=_codes(reserve.asset for reserve in reserves),
                oracle_price=_floats(reserve.price for reserve in reserves),
                threshold=_floats(reserve.threshold for reserve in reserves),
                bonus=_floats(reserve.bonus for reserve in reserves),
            ),
            _codes(self._account_market),
            self._sides[Side.COLLATERAL].legs(len(reserves)),
            self._sides[Side.DEBT].legs(len(reserves)),
            evm_owners(self._owners),
        )


def _floats(values: Iterable[Fraction | float | None]) -> Floats:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)


def _codes(values: Iterable[int]) -> Codes:
    return np.array(list(values), dtype=np.int32)


def portfolio_of(book: Book, account: int) -> Portfolio:
    """Row `account` as a portfolio with one margin account, values in USD at the book's oracle prices.

    Amounts are the nearest raw units to the column's float64; health is floored to a wad. A leg whose amount is unknown cannot be
    stated: it stands in the gaps, and the account's health and verdict are None.
    """
    market = book.markets[int(book.account_market[account])]
    owner = Address(book.owner(account))
    gaps: list[Gap] = [gap for gap in book.gaps if gap.chain == market.chain]
    known = len(gaps)
    legs = [leg for side in (Side.COLLATERAL, Side.DEBT) for leg in _legs(book, account, side, market, gaps)]
    complete = len(gaps) == known
    sums = {side: _sum(leg.terms.oracle_value for leg in legs if leg.side is side and leg.terms) for side in (Side.COLLATERAL, Side.DEBT)}
    debt_free = complete and not any(leg.side is Side.DEBT for leg in legs)
    weighted, debt = (_margin(legs) if complete else None) or (None, None)
    made = MarginAccount(
        market.chain,
        market.protocol,
        market.market,
        owner,
        market.kind,
        (Position(market.chain, market.protocol, market.market, owner, tuple(legs)),),
        health_factor=None if debt_free or weighted is None or not debt else int(weighted * WAD / debt),
        debt_free=debt_free,
        liquidatable=False if debt_free else None if weighted is None or debt is None else weighted < debt,
        numeraire="USD",
        collateral_value=sums[Side.COLLATERAL] if complete else None,
        debt_value=sums[Side.DEBT] if complete else None,
        liquidation_threshold=_average(weighted, sums[Side.COLLATERAL]),
        close_factor=Decimal(repr(market.rule.close_factor)),
        market_label=market.label,
    )
    return Portfolio((AccountId(market.chain, owner),), book.snapshots, (made,), (), tuple(gaps))


def _legs(book: Book, account: int, side: Side, market: BookMarket, gaps: list[Gap]) -> Iterable[Leg]:
    columns = book.collateral if side is Side.COLLATERAL else book.debt
    for reserve, place in zip(*book.legs_of(columns, account), strict=True):
        asset = book.assets[int(book.reserves.asset[reserve])]
        price, amount = float(book.reserves.oracle_price[reserve]), float(columns.amounts[place])
        if np.isnan(amount):
            gaps.append(
                Gap(market.chain, market.protocol, f"{side.value} {asset.symbol} of {book.owner(account)}", "its amount is not known")
            )
            continue
        raw = round(Fraction(amount) * 10**asset.decimals)
        with localcontext(EXACT):
            value = None if np.isnan(price) else to_decimal(raw, asset.decimals) * Decimal(price)
        terms = MarginTerms(
            value,
            liquidation_threshold=Decimal(repr(float(book.reserves.threshold[reserve]))),
            liquidation_bonus=Decimal(repr(float(book.reserves.bonus[reserve]))),
            oracle_price_usd=None if np.isnan(price) else Decimal(price),
        )
        yield Leg(asset.asset, asset.symbol, asset.decimals, side, raw, terms=terms)


def _margin(legs: Iterable[Leg]) -> tuple[Fraction, Fraction] | None:
    weighted = debt = Fraction(0)
    for leg in legs:
        terms = leg.terms or MarginTerms(None)
        if terms.oracle_value is None:
            if leg.side is Side.DEBT or terms.liquidation_threshold:
                return None
            continue
        if leg.side is Side.DEBT:
            debt += Fraction(terms.oracle_value)
        else:
            weighted += Fraction(terms.oracle_value) * Fraction(terms.liquidation_threshold)
    return weighted, debt


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    with localcontext(EXACT):
        for value in values:
            if value is None:
                return None
            total += value
    return total


def _average(weighted: Fraction | None, collateral: Decimal | None) -> Decimal | None:
    if weighted is None or not collateral:
        return None
    share = weighted / Fraction(collateral)
    with localcontext(Context(prec=40)):
        return Decimal(share.numerator) / Decimal(share.denominator)
