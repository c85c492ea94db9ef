"""A trading venue's margin account as parts that move with prices, its equity, and the maintenance margin that equity must cover.

    equity(s)       the venue's own figure, carried along: + Σ what every balance and position gains or loses, options by full revaluation
    maintenance(s)  the venue's own figure, in proportion to notional where all positions are linear (exact for a share of notional), and
                    with options in the proportion by which Derive's rules for such an account grow, underlying by underlying

Perpetuals and futures are linear in their underlying: a linear one gains units · ΔS, an inverse one of N dollars gains N·(S'/S − 1).
Options are valued by Black-76 on the spot price as forward, at the volatility that their mark implies. An account of which something is
not known has a reason instead of figures: what is missing is never zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

import numpy as np

from aggregator.model.errors import CrossmarginError
from aggregator.model.identifiers import AssetId
from aggregator.model.instrument import Holding, InstrumentKind, MarginMode, VenueAccount, VenueBalance
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Side
from aggregator.model.price import PriceBook
from aggregator.model.token import Token, TokenKind
from aggregator.risk.classes import basis_class
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, SECONDS_PER_YEAR, Forward, Market, Quote
from aggregator.risk.margin.registry import model
from aggregator.risk.pricing.black76 import CALL, PUT, greeks, implied_volatility, price
from aggregator.risk.shapes import Array
from aggregator.risk.valuation import believed

DOLLARS = frozenset({"USDC", "USDT", "USDH", "USDE", "DAI", "USDS", "PYUSD", "FEUSD", "USDT0", "USD"})
"""what venues settle in; taken for a dollar in their own liquidation rule"""
SETTLED_AT_ONE = "USDC"
"""has the price 1 where a venue states none, as the venues take it"""
LOGS = np.concatenate([np.linspace(np.log(0.02), -0.7, 24), np.linspace(-0.68, 0.68, 113), np.linspace(0.7, np.log(6.0), 24)])
"""log moves at which a book of options is revalued"""
MARGIN_LOGS = np.log(np.concatenate([np.linspace(0.1, 0.7, 5), np.linspace(0.75, 1.3, 12), [1.5, 2.0, 3.0, 6.0]]))
VOLATILITY_UP, VOLATILITY_DOWN = 0.5, 0.3
"""relative moves of a thirty-day volatility, scaled by (30 d/T)^p, p .3 below thirty days and .13 beyond (as in the second PMRM)"""
_WRAPPED = MappingProxyType(
    {"STETH": "ETH", "WSTETH": "ETH", "WEETH": "ETH", "RSWETH": "ETH", "RSETH": "ETH", "WETH": "ETH", "UETH": "ETH"}
)
_DISCOUNTS = MappingProxyType(
    {"STETH": "lst:stETH", "WSTETH": "lst:stETH", "WEETH": "lrt:weETH", "RSETH": "lrt:rsETH", "RSWETH": "lrt:rswETH"}
    | {name: f"wrapped-btc:{name}" for name in ("WBTC", "CBBTC", "UBTC")}
    | {name: f"btc-lst:{name}" for name in ("LBTC", "EBTC")}
)
_BITCOIN = frozenset({"WBTC", "CBBTC", "LBTC", "EBTC", "UBTC"})


@dataclass(frozen=True, slots=True)
class VenuePart:
    """One balance or position. `value`: USD ≥ 0 of a balance or of the notional that moves; the side gives the sign."""

    label: str
    factor: str
    side: Side
    value: float
    token: Token | None = None
    options: OptionSet | None = None
    """instead of a linear position: everything optional on one underlying, `value` is its gross notional"""
    unit_price: float | None = None
    """USD price of one unit of the underlying of a position; None for a balance"""


@dataclass(frozen=True, slots=True, eq=False)
class OptionSet:
    """Options on one underlying, arrays of length n; `units` are signed."""

    spot: float
    units: Array
    strikes: Array
    years: Array
    volatilities: Array
    sides: Array

    def value(self, spots: Array, volatility: Array | float = 1.0) -> Array:
        """USD at these spot prices; `volatility` multiplies those of the options."""
        each = price(spots[..., None], self.strikes, self.years, self.volatilities * volatility, self.sides)
        return np.asarray(each @ self.units)

    def volatility_moves(self) -> tuple[Array, Array]:
        """Multipliers of each option's volatility, down and up."""
        days = np.maximum(self.years * SECONDS_PER_YEAR / SECONDS_PER_DAY, 1.0)
        term = (30.0 / days) ** np.where(days <= 30.0, 0.3, 0.13)
        return np.maximum(1.0 - VOLATILITY_DOWN * term, 0.0), 1.0 + VOLATILITY_UP * term

    def gains(self) -> Array:
        """USD gained over LOGS with volatility down, as it is and up, shape (3, points)."""
        spots, now = self.spot * np.exp(LOGS), float(self.value(np.array([self.spot]))[0])
        down, up = self.volatility_moves()
        return np.stack([self.value(spots, down), self.value(spots), self.value(spots, up)]) - now

    @property
    def gross(self) -> float:
        """USD of notional, longs and shorts added."""
        return float(np.abs(self.units).sum() * self.spot)

    @property
    def vega(self) -> float:
        """USD for one point (.01) of volatility, all expiries together."""
        return float(0.01 * greeks(self.spot, self.strikes, self.years, self.volatilities, self.sides).vega @ self.units)

    def with_volatility(self, times: float) -> OptionSet:
        """The same after a relative move of every volatility."""
        return OptionSet(self.spot, self.units, self.strikes, self.years, self.volatilities * times, self.sides)


@dataclass(frozen=True, slots=True, eq=False)
class VenueBook:
    """One account. Figures are None, with the reason, where something that they need is not known."""

    account: int
    """index in the portfolio's venue accounts"""
    venue: str
    parts: tuple[VenuePart, ...]
    collateral_usd: Decimal
    debt_usd: Decimal
    mark_to_market_usd: Decimal
    """equity less balances: profit not yet in cash, and what options are worth"""
    maintenance: float
    margin_curves: Mapping[str, Array]
    """maintenance margin over MARGIN_LOGS by underlying, relative to all of today's, where options make it bend"""
    margin_shares: Mapping[str, float]
    """the part of today's maintenance margin that follows each underlying, where all positions are linear"""
    why: str = ""
    unpriced: tuple[str, ...] = ()
    """balances without a price: they count nothing"""

    @property
    def equity(self) -> float:
        return float(self.collateral_usd - self.debt_usd + self.mark_to_market_usd)

    @property
    def at_risk(self) -> bool:
        """Whether it can be liquidated."""
        return any(part.side in (Side.DEBT, Side.SHORT, Side.LONG) for part in self.parts)


def venue_books(portfolio: Portfolio, prices: PriceBook) -> tuple[VenueBook, ...]:
    """A book for every venue account of the portfolio, in its order."""
    spots = _spots(portfolio, prices)
    return tuple(_book(number, account, portfolio.tokens, spots) for number, account in enumerate(portfolio.venue_accounts))


def factor_of(symbol: str, token: Token | None) -> str:
    """The risk factor behind a balance: of its token where it is known, else by the name."""
    if token is not None:
        return token.factor
    upper = symbol.upper()
    return _WRAPPED.get(upper) or ("BTC" if upper in _BITCOIN else symbol)


def discounts_of(symbol: str, token: Token | None) -> tuple[str, ...]:
    """Names of the discounts that a balance can have against its factor."""
    if token is not None:
        basis = basis_class(token.kind)
        return () if basis is None else (f"{basis.value}:{token.symbol}",)
    known = _DISCOUNTS.get(symbol.upper())
    return () if known is None else (known,)


def _spots(portfolio: Portfolio, prices: PriceBook) -> dict[str, float]:
    """USD price of each underlying: of the coin itself where it was read, else the largest position's mark at a venue."""
    found: dict[str, float] = {}
    for token in sorted(portfolio.tokens.values(), key=lambda one: (one.kind is not TokenKind.NATIVE, one.asset)):
        plain = token.kind in (TokenKind.NATIVE, TokenKind.WRAPPED_NATIVE) or token.symbol == token.factor
        one = prices.get(token.asset)
        if plain and token.factor not in found and one is not None and one.value and believed(one):
            found[token.factor] = float(one.value)
    marked = [
        (-abs(holding.units * holding.mark_price), account.venue, holding.instrument.underlying, float(holding.mark_price))
        for account in portfolio.venue_accounts
        for holding in account.holdings
        if holding.mark_price and holding.instrument.kind in (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
    ]
    for _, _, underlying, mark in sorted(marked):
        found.setdefault(underlying, mark)
    for account in portfolio.venue_accounts:
        for name, index in _indices(account).items():
            found.setdefault(name, index)
        for balance in account.balances:
            if balance.price_usd:
                found.setdefault(balance.symbol, float(balance.price_usd))
    return found


def _indices(account: VenueAccount) -> dict[str, float]:
    """Index prices that a venue states beside its positions, by underlying."""
    values = account.parameters.values if account.parameters is not None else {}
    found: dict[str, float] = {}
    for holding in account.holdings:
        index = values.get(f"{holding.instrument.label}.index_price")
        if isinstance(index, Decimal | int) and index > 0:
            found.setdefault(holding.instrument.underlying, float(index))
    return found


def _book(number: int, account: VenueAccount, tokens: Mapping[AssetId, Token], spots: Mapping[str, float]) -> VenueBook:
    parts: list[VenuePart] = []
    unpriced: list[str] = []
    spots = {**spots, **_indices(account)}  # what the venue itself settles against comes first
    collateral = debt = Decimal(0)
    try:
        for balance in account.balances if account.shares_collateral_with is None else ():
            if not balance.amount:
                continue
            quoted = _price(balance)
            if quoted is None and balance.amount > 0:
                unpriced.append(balance.symbol)
                continue
            if quoted is None:
                raise _Missing(f"price of {balance.symbol} is missing")
            worth = abs(balance.amount) * quoted
            collateral, debt = (collateral + worth, debt) if balance.amount > 0 else (collateral, debt + worth)
            token = tokens.get(balance.asset) if balance.asset is not None else None
            side = Side.COLLATERAL if balance.amount > 0 else Side.DEBT
            parts.append(VenuePart(balance.symbol, factor_of(balance.symbol, token), side, float(worth), token))
        held = [holding for holding in account.holdings if holding.size]
        parts += [_linear(one, spots) for one in held if not one.instrument.kind.is_option]
        options = _options(account, [one for one in held if one.instrument.kind.is_option], spots)
        parts += [
            VenuePart(f"{name} options", name, Side.LONG, one.gross, options=one, unit_price=one.spot) for name, one in options.items()
        ]
        marked = _mark_to_market(account, collateral - debt, held, spots)
        maintenance = _maintenance(account, held)
    except _Missing as reason:
        return VenueBook(number, account.venue, (), Decimal(0), Decimal(0), Decimal(0), 0.0, {}, {}, str(reason))
    curves = _margin_curves(account, held, options, spots) if options and maintenance else {}
    shares = {} if curves else _margin_shares(parts)
    return VenueBook(number, account.venue, tuple(parts), collateral, debt, marked, maintenance, curves, shares, unpriced=tuple(unpriced))


class _Missing(Exception):
    """Something that the account's figures need is not known."""


def _price(balance: VenueBalance) -> Decimal | None:
    return balance.price_usd if balance.price_usd is not None else Decimal(1) if balance.symbol == SETTLED_AT_ONE else None


def _linear(holding: Holding, spots: Mapping[str, float]) -> VenuePart:
    instrument, units = holding.instrument, holding.units
    mark = holding.mark_price
    if mark is None and instrument.underlying in spots:
        mark = Decimal(repr(spots[instrument.underlying]))
    if mark is None:
        raise _Missing(f"mark price of {instrument.label} is missing")
    side = Side.LONG if units > 0 else Side.SHORT
    if instrument.kind is InstrumentKind.SPOT:
        side = Side.COLLATERAL if units > 0 else Side.DEBT
    value = abs(float(units)) * (1.0 if instrument.inverse else float(mark))
    return VenuePart(instrument.label, instrument.underlying, side, value, unit_price=float(mark))


def _options(account: VenueAccount, held: Sequence[Holding], spots: Mapping[str, float]) -> dict[str, OptionSet]:
    found = {}
    for name in sorted({one.instrument.underlying for one in held}):
        if name not in spots:
            raise _Missing(f"price of {name} is missing")
        rows = [_option(one, spots[name], account.as_of_ms / 1000) for one in held if one.instrument.underlying == name]
        found[name] = OptionSet(spots[name], *np.array(rows).T)
    return found


def _option(holding: Holding, spot: float, now: float) -> tuple[float, float, float, float, float]:
    instrument = holding.instrument
    if holding.mark_price is None:
        raise _Missing(f"mark price of {instrument.label} is missing")
    strike, years = float(instrument.strike or 0), max((instrument.expiry or 0) - now, 0.0) / SECONDS_PER_YEAR
    if years == 0.0:
        raise _Missing(f"{instrument.label} has expired")
    side = CALL if instrument.kind is InstrumentKind.CALL else PUT
    premium = float(holding.mark_price) * (spot if instrument.inverse else 1.0)
    volatility = float(implied_volatility(premium, spot, strike, years, side))
    if not np.isfinite(volatility):
        raise _Missing(f"the mark of {instrument.label} implies no volatility at a price of {spot:g}")
    return float(holding.units), strike, years, volatility, side


def _mark_to_market(account: VenueAccount, balances: Decimal, held: Iterable[Holding], spots: Mapping[str, float]) -> Decimal:
    """The venue's equity less its balances; of a pool that another account counts, and where none is stated, from the positions."""
    if account.figures.equity is not None and account.shares_collateral_with is None:
        return account.figures.equity - balances
    total = Decimal(0)
    for holding in held:
        instrument = holding.instrument
        spot = Decimal(repr(spots[instrument.underlying])) if instrument.inverse and instrument.underlying in spots else Decimal(1)
        if instrument.kind.is_option:
            total += (holding.mark_price or Decimal(0)) * holding.units * spot
        elif instrument.kind is InstrumentKind.SPOT:
            continue
        elif holding.unrealised is None:
            raise _Missing(f"profit of {instrument.label} is missing")
        else:
            total += (holding.unrealised + (holding.funding or Decimal(0))) * spot
    return total


def _maintenance(account: VenueAccount, held: Sequence[Holding]) -> float:
    stated = account.figures.maintenance_margin
    if stated is not None:
        return float(stated)
    if held or any(balance.amount < 0 for balance in account.balances):
        raise _Missing("the venue states no maintenance margin")
    return 0.0


def _margin_shares(parts: Sequence[VenuePart]) -> dict[str, float]:
    """By underlying the share of Σ notional of what is margined: positions, else debts."""
    margined = [part for part in parts if part.side in (Side.LONG, Side.SHORT)] or [part for part in parts if part.side is Side.DEBT]
    whole = sum(part.value for part in margined)
    found: dict[str, float] = {}
    for part in margined if whole > 0 else ():
        found[part.factor] = found.get(part.factor, 0.0) + part.value / whole
    return found


def _margin_curves(
    account: VenueAccount, held: Sequence[Holding], options: Mapping[str, OptionSet], spots: Mapping[str, float]
) -> dict[str, Array]:
    """Growth of the maintenance margin by underlying, by the rules of Derive; empty where they do not apply to a position."""
    method = model("derive-pmrm2" if account.mode is MarginMode.PORTFOLIO else "derive-standard")
    parameters, now = method.default_parameters(), account.as_of_ms / 1000
    figures: dict[str, Array] = {}
    for name in sorted({one.instrument.underlying for one in held}):
        own = tuple(one for one in held if one.instrument.underlying == name)
        book = MarginBook(own)
        market = _market(name, own, options.get(name), spots, now)
        try:
            amounts = [
                method.requirement(book, market.shocked(name, float(np.expm1(log))), parameters, Kind.MAINTENANCE).amount
                for log in MARGIN_LOGS
            ]
        except CrossmarginError:
            return {}
        figures[name] = np.array(amounts)
    today = sum(float(np.interp(0.0, MARGIN_LOGS, one)) for one in figures.values())
    return {name: one / today for name, one in figures.items()} if today > 0 else {}


def _market(name: str, held: Iterable[Holding], options: OptionSet | None, spots: Mapping[str, float], now: float) -> Market:
    spot = spots[name]
    forwards = {(name, one.instrument.expiry): Forward(spot) for one in held if one.instrument.expiry is not None}
    volatilities = {}
    chosen = [one for one in held if one.instrument.kind.is_option]
    for row, one in enumerate(chosen):
        if options is not None and one.instrument.expiry is not None:
            volatilities[name, one.instrument.expiry, float(one.instrument.strike or 0)] = Quote(float(options.volatilities[row]))
    return Market(now, {name: Quote(spot)}, {}, {name: Quote(spot)}, forwards, volatilities)
