"""A derivatives book after a shock: its market moved, its positions' profit carried along, every option valued anew.

Spot, mark and the moving part of forwards follow their underlying; an asset follows its underlying and its own token; volatilities move
relative to what they are; cash is the settlement stable coin and moves with it. Whatever margin method is then asked sees a market like
any other, so nothing is approximated: options by full revaluation, perpetuals and futures by their pay-off.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from aggregator.model.errors import InputError
from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.action import Action, ActionKind
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import Market, Quote
from aggregator.risk.shock import Shock, matching

SETTLEMENT = "USDC"


@dataclass(frozen=True, slots=True)
class BookMoves:
    """Multipliers by underlying, by the symbol of a spot asset, and of volatilities by underlying."""

    underlyings: Mapping[str, float]
    assets: Mapping[str, float]
    volatilities: Mapping[str, float]
    idle: tuple[str, ...] = ()
    """what the shock names that touches nothing in a book"""

    @property
    def empty(self) -> bool:
        return not (self.underlyings or self.assets or self.volatilities)


def book_moves(shock: Shock, book: MarginBook, market: Market, known: Container[str] = frozenset()) -> BookMoves:
    """What a shock means for a book; InputError for a name that stands neither in book nor market and is not `known`.

    Rates, oracles and bridges touch no book.
    """
    underlyings = {*book.underlyings, *market.spot, SETTLEMENT}
    symbols = {holding.instrument.symbol for holding in book.holdings if holding.instrument.kind is InstrumentKind.SPOT}
    moved: dict[str, dict[str, Fraction]] = {"underlying": {}, "asset": {}, "volatility": {}}
    idle: list[str] = []
    changes = [("underlying", name, move) for name, move in shock.prices.items()]
    changes += [("volatility", name, move) for name, move in shock.volatilities.items()]
    for kind, name, move in changes:
        found = None if name.startswith("token:") else matching(name, underlyings)
        if found is None and kind == "underlying":
            kind, found = "asset", matching(name.removeprefix("token:"), symbols)
        if found is not None:
            moved[kind][found] = moved[kind].get(found, Fraction(1)) * move
        elif name in known:
            idle.append(name)
        else:
            raise InputError(f"--shock: nothing in the book follows {name[:80]!r}; it follows {', '.join(sorted(underlyings)[:12])}")
    floats = {kind: {name: float(move) for name, move in one.items()} for kind, one in moved.items()}
    return BookMoves(floats["underlying"], floats["asset"], floats["volatility"], tuple(sorted(idle)))


def shocked_market(market: Market, book: MarginBook, moves: BookMoves) -> Market:
    """The market after the moves."""
    spot, volatility = moves.underlyings, moves.volatilities

    def moved(quote: Quote, by: float) -> Quote:
        return quote if by == 1.0 else Quote(quote.value * by, quote.confidence)

    follows = {
        holding.instrument.symbol: holding.instrument.underlying
        for holding in book.holdings
        if holding.instrument.kind is InstrumentKind.SPOT
    }
    assets = {
        symbol: moved(quote, spot.get(follows.get(symbol, symbol), 1.0) * moves.assets.get(symbol, 1.0))
        for symbol, quote in market.assets.items()
    }
    for symbol, by in moves.assets.items():
        # an asset that stands at its underlying's price gets one of its own
        if symbol not in assets and follows.get(symbol) in market.spot:
            assets[symbol] = moved(market.spot[follows[symbol]], spot.get(follows[symbol], 1.0) * by)
    return replace(
        market,
        spot={name: moved(quote, spot.get(name, 1.0)) for name, quote in market.spot.items()},
        assets=assets,
        perpetuals={name: moved(quote, spot.get(name, 1.0)) for name, quote in market.perpetuals.items()},
        forwards={
            key: one if key[0] not in spot else replace(one, variable=one.variable * spot[key[0]]) for key, one in market.forwards.items()
        },
        volatilities={key: moved(quote, volatility.get(key[0], 1.0)) for key, quote in market.volatilities.items()},
        stable=market.stable * spot.get(SETTLEMENT, 1.0),
    )


def shocked_book(book: MarginBook, before: Market, after: Market, moves: BookMoves) -> MarginBook:
    """The book after the moves: profit that venues state follows the price, cash its coin; the rest is the market's to say."""
    cash = book.cash * moves.underlyings.get(SETTLEMENT, 1.0)
    stale = [one.unrealised is not None and one.instrument.underlying in moves.underlyings for one in book.holdings]
    if not any(stale):
        return book if cash == book.cash else MarginBook(book.holdings, cash)
    holdings = tuple(_carried(one, before, after) if old else one for one, old in zip(book.holdings, stale, strict=True))
    return MarginBook(holdings, cash)


def hedged(book: MarginBook, market: Market, actions: tuple[Action, ...]) -> tuple[MarginBook, Market]:
    """The book with perpetuals bought or sold at the mark; InputError for any other action, and where nothing gives a price."""
    holdings = list(book.holdings)
    for action in actions:
        if action.kind is not ActionKind.HEDGE or action.amount is None:
            raise InputError(f"--action {action.text}: a book of positions can only be hedged")
        name = matching(action.asset, set(market.spot))
        if name is None:
            raise InputError(f"--action {action.text}: no price of {action.asset} stands in the market")
        mark = market.perpetuals.get(name, market.spot[name])
        market = replace(market, perpetuals={**market.perpetuals, name: mark})
        price = Decimal(repr(mark.value))
        holdings.append(Holding(Instrument(InstrumentKind.PERPETUAL, name), action.amount, mark_price=price, entry_price=price))
    return MarginBook(tuple(holdings), book.cash), market


def _carried(holding: Holding, before: Market, after: Market) -> Holding:
    """A perpetual or future whose stated profit goes on from its price before to its price after."""
    instrument, units = holding.instrument, float(holding.units)
    if instrument.kind is InstrumentKind.PERPETUAL:
        old, new = before.perpetuals[instrument.underlying].value, after.perpetuals[instrument.underlying].value
    else:
        key = (instrument.underlying, instrument.expiry or 0)
        old, new = before.forwards[key].price, after.forwards[key].price
    stated = float(holding.unrealised or 0)
    if not instrument.inverse:
        return replace(holding, unrealised=_exact(stated + units * (new - old)))
    spot_old, spot_new = before.spot[instrument.underlying].value, after.spot[instrument.underlying].value
    if new <= 0 or spot_new <= 0:
        raise InputError(f"an inverse contract on {instrument.underlying} has no value at a price of zero")
    return replace(holding, unrealised=_exact(stated * spot_new / spot_old + units * (1.0 / old - 1.0 / new) * spot_new))


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))
