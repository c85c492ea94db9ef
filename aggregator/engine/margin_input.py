"""What margin methods are asked about: a book and its market, from a portfolio file or from what was read of an owner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from aggregator.engine.margin_terms import stated_terms
from aggregator.model.identifiers import AssetId
from aggregator.model.instrument import Holding, Instrument, InstrumentKind, VenueAccount, VenueBalance
from aggregator.model.position import Component, Side
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token, TokenKind
from aggregator.model.units import to_decimal
from aggregator.risk.margin.interface import MarginBook, MarginModel
from aggregator.risk.margin.market import SECONDS_PER_YEAR, Array, Forward, Market, OptionKey, Quote
from aggregator.risk.margin.quotes import lacking
from aggregator.risk.margin.unified_scenarios import UnifiedParameters
from aggregator.risk.pricing.black76 import CALL, PUT, implied_volatility
from aggregator.risk.valuation import ComponentValue, LegValue, value_portfolio

if TYPE_CHECKING:
    from aggregator.engine.snapshot import Picture

P = TypeVar("P")

SETTLEMENT = "USDC"
"""what counts as cash; every other asset is a holding"""
_OPENED = (TokenKind.VAULT, TokenKind.PAIR)
"""kinds that no margin method knows: what they are made of stands for them"""
_NATIVE = (TokenKind.NATIVE, TokenKind.WRAPPED_NATIVE)


@dataclass(frozen=True, slots=True)
class Unmargined:
    """Something that no figure covers, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Correlations of underlyings, positive semidefinite."""

    names: tuple[str, ...]
    matrix: Array


@dataclass(frozen=True, slots=True, eq=False)
class MarginInput:
    """A book, its market, and what had to be left out of it."""

    book: MarginBook
    market: Market
    missing: tuple[Unmargined, ...] = ()
    warnings: tuple[Remark, ...] = ()
    correlation: Correlation | None = None
    left_out: tuple[Holding, ...] = ()
    """holdings of which the market lacks something"""
    owners: tuple[str, ...] = ()
    terms: Mapping[str, object] = field(default_factory=dict)
    """parameters that venues stated with the accounts, by method id"""

    def parameters_of(self, model: MarginModel[P]) -> P:
        """Those that the venue stated, else the model's own; with the correlations that were given where the model reads any."""
        parameters = model.default_parameters()
        stated = self.terms.get(model.id)
        if isinstance(stated, type(parameters)):
            return stated
        if self.correlation is not None and isinstance(parameters, UnifiedParameters):
            return replace(parameters, correlation=(self.correlation.names, self.correlation.matrix))
        return parameters

    def with_warnings(self, remarks: Iterable[Remark]) -> MarginInput:
        """The same with these warnings, each once."""
        return replace(self, warnings=tuple(sorted(set(remarks))))


@dataclass(frozen=True, slots=True)
class _Asset:
    """An amount of one asset, signed, with its unit price; None where there is no believed one."""

    symbol: str
    factor: str
    units: Decimal
    price: float | None
    dollar: bool


def margin_input_of(picture: Picture) -> MarginInput:
    """Everything an owner has as one book: lending and spot as SPOT holdings, venue accounts' positions, stable coins as cash.

    What is borrowed has a negative size; borrowed stable coins are negative cash. Pairs and vaults are looked through. Gaps of the reading
    stand in `missing`.
    """
    portfolio = picture.portfolio
    tokens = portfolio.tokens
    valuation = value_portfolio(portfolio, picture.prices)
    legs = [leg for position in chain(*valuation.accounts, valuation.positions) for leg in position.legs]
    assets = [asset for leg in legs for asset in _assets(leg, tokens)]
    assets += [asset for account in portfolio.venue_accounts for asset in _balances(account, tokens)]
    missing = [Unmargined(f"{gap.chain} {gap.protocol}: {gap.what}", gap.why) for gap in portfolio.gaps]
    missing += [Unmargined(one.symbol, "no believed price") for one in assets if one.price is None and one.units]
    cash = sum((float(one.units) * (one.price or 0.0) for one in assets if one.dollar), 0.0)
    spots = _spots([one for one in assets if not one.dollar and one.price is not None])
    derivatives = [holding for account in portfolio.venue_accounts for holding in account.holdings if holding.size]
    remarks: list[Remark] = []
    market = _market(picture, spots, derivatives, remarks)
    holdings = [*(holding for holding, _ in spots), *derivatives]
    covered = tuple(one for one in holdings if lacking(one, market) is None)
    left_out = tuple(one for one in holdings if lacking(one, market) is not None)
    missing += [Unmargined(one.instrument.label, f"{lacking(one, market)} is missing") for one in left_out]
    return MarginInput(
        MarginBook(covered, cash),
        market,
        tuple(dict.fromkeys(missing)),
        left_out=left_out,
        owners=tuple(str(owner) for owner in portfolio.owners),
        terms=stated_terms(portfolio.venue_accounts),
    ).with_warnings(remarks)


def _assets(value: LegValue, tokens: Mapping[AssetId, Token]) -> Iterator[_Asset]:
    leg = value.leg
    sign = leg.side.sign
    token = tokens.get(leg.asset)
    if token is not None and token.kind in _OPENED and value.components and leg.side is not Side.DEBT:
        yield from (asset for part in value.components for asset in _parts(part, tokens, sign))
        return
    units = to_decimal(leg.amount + leg.fees, leg.decimals)
    if units:
        price = float(value.value / units) if value.value is not None else None
        yield _asset(leg.symbol, token, sign * units, price)


def _parts(part: ComponentValue, tokens: Mapping[AssetId, Token], sign: int) -> Iterator[_Asset]:
    component: Component = part.component
    token = tokens.get(component.asset)
    if token is not None and token.kind in _OPENED and part.parts:
        yield from (asset for inner in part.parts for asset in _parts(inner, tokens, sign))
        return
    units = to_decimal(component.amount, component.decimals)
    if units:
        yield _asset(component.symbol, token, sign * units, float(part.value / units) if part.value is not None else None)


def _asset(symbol: str, token: Token | None, units: Decimal, price: float | None) -> _Asset:
    if token is None:
        return _Asset(symbol, symbol, units, price, symbol == SETTLEMENT)
    name = token.factor if token.kind in _NATIVE else token.symbol
    stable = token.kind is TokenKind.STABLE
    # a stable coin that is owed is owed in dollars, whichever it is
    return _Asset(name, token.factor, units, price, name == SETTLEMENT or (stable and units < 0))


def _balances(account: VenueAccount, tokens: Mapping[AssetId, Token]) -> Iterator[_Asset]:
    """A venue account's own balances; those that another account already counts are left to it."""
    if account.shares_collateral_with is not None:
        return
    for balance in account.balances:
        if balance.amount:
            yield _balance(balance, tokens)


def _balance(balance: VenueBalance, tokens: Mapping[AssetId, Token]) -> _Asset:
    token = tokens.get(balance.asset) if balance.asset is not None else None
    price = float(balance.price_usd) if balance.price_usd is not None else 1.0 if balance.symbol == SETTLEMENT else None
    return _asset(balance.symbol, token, balance.amount, price)


def _spots(assets: Iterable[_Asset]) -> list[tuple[Holding, float]]:
    """One holding an asset, owned and owed apart, with its unit price: chains' prices weighted by what is held there."""
    found: dict[tuple[str, str, bool], tuple[Decimal, float]] = {}
    for one in assets:
        key = (one.symbol, one.factor, one.units < 0)
        units, value = found.get(key, (Decimal(0), 0.0))
        found[key] = units + one.units, value + float(one.units) * (one.price or 0.0)
    return [
        (Holding(Instrument(InstrumentKind.SPOT, factor, symbol=symbol), units), value / float(units))
        for (symbol, factor, _), (units, value) in sorted(found.items())
    ]


def _market(picture: Picture, spots: list[tuple[Holding, float]], derivatives: list[Holding], remarks: list[Remark]) -> Market:
    as_of = float(max((one.block.timestamp for one in picture.portfolio.snapshots if one.block is not None), default=0))
    as_of = max([as_of, *(account.as_of_ms / 1000 for account in picture.portfolio.venue_accounts)])
    assets = {holding.instrument.symbol: Quote(price) for holding, price in spots}
    perpetuals = dict(_marks(derivatives, InstrumentKind.PERPETUAL, remarks))
    spot = _factor_prices(picture)
    for name, quote in perpetuals.items():
        if name not in spot:
            remarks.append(Remark("spot-assumed", f"{name}: no spot price was read, the perpetual's mark stands in"))
            spot[name] = quote
    forwards, volatilities = {}, dict[OptionKey, Quote]()
    for holding in derivatives:
        one = holding.instrument
        if one.expiry is None or one.underlying not in spot or (one.underlying, one.expiry) in forwards:
            continue
        own = float(holding.mark_price) if one.kind is InstrumentKind.FUTURE and holding.mark_price is not None else None
        if own is None:
            remarks.append(Remark("forward-assumed", f"{one.underlying} {one.expiry}: no forward was read, spot stands in"))
        forwards[one.underlying, one.expiry] = Forward(own if own is not None else spot[one.underlying].value)
    for holding in derivatives:
        one = holding.instrument
        if not one.kind.is_option or holding.mark_price is None or (one.underlying, one.expiry or 0) not in forwards:
            continue
        forward, years = forwards[one.underlying, one.expiry or 0], max((one.expiry or 0) - as_of, 0.0) / SECONDS_PER_YEAR
        premium = float(holding.mark_price) * (forward.price if one.inverse else 1.0)
        side = CALL if one.kind is InstrumentKind.CALL else PUT
        found = float(implied_volatility(premium, forward.price, float(one.strike or 0), years, side))
        if not np.isnan(found):
            volatilities[one.underlying, one.expiry or 0, float(one.strike or 0)] = Quote(found)
    return Market(as_of, spot, assets, perpetuals, forwards, volatilities)


def _marks(holdings: list[Holding], kind: InstrumentKind, remarks: list[Remark]) -> Iterator[tuple[str, Quote]]:
    """Mark by underlying; where venues differ the largest position's, with a warning when it matters."""
    marked = [one for one in holdings if one.instrument.kind is kind and one.mark_price is not None]
    for name in sorted({one.instrument.underlying for one in marked}):
        own = sorted((one for one in marked if one.instrument.underlying == name), key=lambda one: (-abs(one.units), one.instrument.venue))
        prices = [float(one.mark_price or 0) for one in own]
        if max(prices) > min(prices) * 1.005:
            remarks.append(Remark("marks-differ", f"{name}: venues' marks differ by {100 * (max(prices) / min(prices) - 1):.1f} %"))
        yield name, Quote(prices[0])


def _factor_prices(picture: Picture) -> dict[str, Quote]:
    """Price of each risk factor: of the native or otherwise plain token that is called like it, else of one that follows it one to one."""
    found: dict[str, Quote] = {}
    for token in sorted(picture.portfolio.tokens.values(), key=lambda one: (one.kind not in _NATIVE, one.symbol != one.factor, one.asset)):
        price = picture.prices.get(token.asset)
        plain = token.kind in _NATIVE or token.symbol == token.factor
        if plain and token.factor not in found and price is not None and price.value is not None and price.value > 0:
            found[token.factor] = Quote(float(price.value), price.confidence)
    return found
