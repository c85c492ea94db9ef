"""Mango v4: health of tokens and perpetuals in one account. Computed as the program does, in fixed point with 48 binary places.

    health     = Σ_token balance·weight·price               balance = deposits − borrows + Σ perpetuals settled in it, their weighed profit
    price      : init: the lower of oracle and stable price for assets, the higher for liabilities; else the oracle's
    perpetual  = quote + base·base weight·price, in the settle token; a positive result times the overall weight
    init weights: scaled by start/value once a bank's deposits (borrows: value/start) are worth more than the start
    liquidated from maint health < 0 until liquidation-end health (init weights unscaled, oracle prices) ≥ 0

Source: blockworks-foundation/mango-v4@1303a4a1, `programs/mango-v4/src/health/cache.rs`, `state/bank.rs`. Spot open orders are left out;
a perpetual's count as the worse of all bids and all asks filled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import numpy as np

from aggregator.model.instrument import InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import AttributionMethod, Kind, MarginBook, MissingInput, Requirement, one_by_one, scaled
from aggregator.risk.margin.lines import (
    Line,
    asset_or_perpetual,
    at_oracle,
    by_row,
    exact,
    mark,
    net_lines,
    parameter,
    refuse_other_than,
    value,
)
from aggregator.risk.margin.market import Array, Market

PLACES = 48
ONE = 1 << PLACES


def fixed(number: Decimal | Fraction | float | int) -> int:
    """A number in 2⁻⁴⁸, to the nearest."""
    return round(Fraction(number) * ONE)


def multiply(first: int, second: int) -> int:
    """Of two fixed-point numbers, rounded down."""
    return first * second >> PLACES


class HealthType(StrEnum):
    INIT = "init"
    LIQUIDATION_END = "liquidation-end"
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class Prices:
    """Fixed point, native quote per native unit."""

    oracle: int
    stable: int

    def asset(self, health: HealthType) -> int:
        return min(self.oracle, self.stable) if health is HealthType.INIT else self.oracle

    def liability(self, health: HealthType) -> int:
        return max(self.oracle, self.stable) if health is HealthType.INIT else self.oracle


@dataclass(frozen=True, slots=True)
class Bank:
    """A token's weights as fractions. `deposits` and `borrows` of everybody in native units, starts in native quote; None: no scaling."""

    init_asset: Decimal
    init_liability: Decimal
    maint_asset: Decimal
    maint_liability: Decimal
    decimals: int = 6
    deposits: float = 0.0
    deposit_scale_start: float | None = None
    borrows: float = 0.0
    borrow_scale_start: float | None = None

    def asset_weight(self, health: HealthType, prices: Prices) -> int:
        """Fixed point. The scale is a float, as in the program."""
        if health is HealthType.MAINT:
            return fixed(self.maint_asset)
        weight = fixed(self.init_asset)
        worth = self.deposits * (prices.liability(health) / ONE)
        if health is HealthType.LIQUIDATION_END or self.deposit_scale_start is None or worth <= self.deposit_scale_start:
            return weight
        return multiply(weight, fixed(self.deposit_scale_start / worth))

    def liability_weight(self, health: HealthType, prices: Prices) -> int:
        """Fixed point. A start of 0 with borrows outstanding is more than the format holds: OverflowError."""
        if health is HealthType.MAINT:
            return fixed(self.maint_liability)
        weight = fixed(self.init_liability)
        worth = self.borrows * (prices.liability(health) / ONE)
        if health is HealthType.LIQUIDATION_END or self.borrow_scale_start is None or worth <= self.borrow_scale_start:
            return weight
        if self.borrow_scale_start == 0:
            raise OverflowError("borrows are scaled from nothing on")
        return multiply(weight, fixed(worth / self.borrow_scale_start))

    def contribution(self, balance: int, health: HealthType, prices: Prices) -> int:
        """Of a signed fixed-point balance in native units, to health in native quote."""
        if balance < 0:
            return multiply(balance, multiply(self.liability_weight(health, prices), prices.liability(health)))
        return multiply(balance, multiply(self.asset_weight(health, prices), prices.asset(health)))


@dataclass(frozen=True, slots=True)
class PerpetualTerms:
    """Weights of a perpetual market as fractions."""

    init_base_asset: Decimal
    init_base_liability: Decimal
    maint_base_asset: Decimal
    maint_base_liability: Decimal
    init_overall_asset: Decimal
    maint_overall_asset: Decimal
    base_decimals: int = 6
    settle: str = "USDC"

    def unsettled(self, base: int, quote: int, health: HealthType, prices: Prices, bids: int = 0, asks: int = 0) -> int:
        """Weighed profit in the settle token, fixed point. `base`, `bids`, `asks` in native units (integers), `quote` fixed point."""

        def executed(orders: int, price: int) -> int:
            net = base + orders
            short = net < 0
            if health is HealthType.MAINT:
                weight = self.maint_base_liability if short else self.maint_base_asset
            else:
                weight = self.init_base_liability if short else self.init_base_asset
            level = prices.liability(health) if short else prices.asset(health)
            return multiply(multiply(net * ONE, fixed(weight)), level) - multiply(orders * ONE, price)

        result = quote + min(executed(bids, prices.liability(health)), executed(-asks, prices.asset(health)))
        if result <= 0:
            return result
        return multiply(fixed(self.maint_overall_asset if health is HealthType.MAINT else self.init_overall_asset), result)


@dataclass(frozen=True, slots=True)
class TokenPosition:
    """`balance` in native units, fixed point, signed."""

    bank: Bank
    prices: Prices
    balance: int


@dataclass(frozen=True, slots=True)
class PerpetualPosition:
    """`quote` is what was paid for the base, without funding still owed; fixed point."""

    terms: PerpetualTerms
    prices: Prices
    base: int
    quote: int
    bids: int = 0
    asks: int = 0


def health(tokens: Mapping[str, TokenPosition], perpetuals: Sequence[PerpetualPosition], kind: HealthType) -> int:
    """In native quote units, fixed point. Every settle token must be among the tokens, with balance 0 if need be (KeyError)."""
    balances = {name: one.balance for name, one in tokens.items()}
    for one in perpetuals:
        balances[one.terms.settle] += one.terms.unsettled(one.base, one.quote, kind, one.prices, one.bids, one.asks)
    return sum(tokens[name].bank.contribution(balance, kind, tokens[name].prices) for name, balance in balances.items())


@dataclass(frozen=True, slots=True)
class MangoParameters:
    """Banks by asset symbol, perpetual markets by underlying; the fallbacks are for those that are not named."""

    banks: Mapping[str, Bank]
    perpetuals: Mapping[str, PerpetualTerms]
    fallback_bank: Bank | None
    fallback_perpetual: PerpetualTerms | None
    source: str
    confirmed: bool
    stable_prices: Mapping[str, float] = field(default_factory=dict)
    """slowly moving prices by asset or underlying; where there is none the oracle's counts"""
    settle: str = "USDC"
    """what the book's cash is"""


SAMPLE = MangoParameters(
    banks={"USDC": Bank(Decimal(1), Decimal(1), Decimal(1), Decimal(1))},
    perpetuals={},
    fallback_bank=Bank(Decimal(".8"), Decimal("1.2"), Decimal(".9"), Decimal("1.1")),
    fallback_perpetual=PerpetualTerms(Decimal(".8"), Decimal("1.2"), Decimal(".9"), Decimal("1.1"), Decimal(".95"), Decimal(".98")),
    source="weights of the program's own tests: 20 % initial, 10 % maintenance",
    confirmed=False,
)

_KINDS = {Kind.INITIAL: HealthType.INIT, Kind.MAINTENANCE: HealthType.MAINT}


@dataclass(frozen=True, slots=True)
class Mango:
    """See the module. The required amount is the book's value less its health, so that `net` is the health."""

    id: str = "mango"
    version: str = "1"
    source: str = "blockworks-foundation/mango-v4@1303a4a1 programs/mango-v4/src/health/cache.rs"

    def default_parameters(self) -> MangoParameters:
        return SAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refuse_other_than(book, asset_or_perpetual, "an account holds tokens and linear perpetuals only")

    def health(
        self, lines: Sequence[Line], profits: Sequence[float], cash: float, market: Market, parameters: MangoParameters, kind: HealthType
    ) -> float:
        """USD. `profits` are the perpetuals' unsettled ones, in the order of the lines."""
        settle = parameter(parameters.banks, parameters.settle, "Mango weights")
        stable = fixed(exact(market.stable))
        tokens = {parameters.settle: TokenPosition(settle, Prices(stable, stable), fixed(exact(cash) * 10**settle.decimals))}
        perpetuals = []
        for line, profit in zip(lines, profits, strict=True):
            if line.instrument.kind is InstrumentKind.SPOT:
                bank = parameters.banks.get(line.key, parameters.fallback_bank)
                bank = parameter(parameters.banks, line.key, "Mango weights") if bank is None else bank
                prices = self._prices(line, mark(line.instrument, market), bank.decimals, parameters)
                balance = fixed(line.units * 10**bank.decimals)
                held = tokens[line.key].balance if line.key in tokens else 0
                tokens[line.key] = TokenPosition(bank, prices, held + balance)
            else:
                perpetuals.append(self._perpetual(line, profit, market, parameters))
        return health(tokens, perpetuals, kind) / ONE / float(10**settle.decimals)

    def _perpetual(self, line: Line, profit: float, market: Market, parameters: MangoParameters) -> PerpetualPosition:
        terms = parameters.perpetuals.get(line.key, parameters.fallback_perpetual)
        terms = parameter(parameters.perpetuals, line.key, "Mango perpetual weights") if terms is None else terms
        if line.key not in market.spot:
            raise MissingInput(f"spot price of {line.key} is missing")
        oracle = market.spot[line.key].value
        base = round(line.units * 10**terms.base_decimals)
        quote = (exact(profit) - line.units * exact(oracle)) * 10**6
        return PerpetualPosition(terms, self._prices(line, oracle, terms.base_decimals, parameters), base, fixed(quote))

    def _prices(self, line: Line, oracle: float, decimals: int, parameters: MangoParameters) -> Prices:
        slow = parameters.stable_prices.get(line.key, oracle)
        native = Fraction(10**6, 10**decimals)
        return Prices(fixed(Fraction(exact(oracle)) * native), fixed(Fraction(exact(slow)) * native))

    def requirement(self, book: MarginBook, market: Market, parameters: MangoParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        lines = net_lines(book)
        equity, each = value(book, at_oracle(market))
        profits = [float(np.nan_to_num(each[list(line.rows)]).sum()) for line in lines]
        spot = np.array([line.instrument.kind is InstrumentKind.SPOT for line in lines], dtype=np.bool_)
        values = np.array(profits) * np.where(spot, 1.0, market.stable)
        worth = float(values.sum()) + book.cash * market.stable
        found = {one: self.health(lines, profits, book.cash, market, parameters, one) for one in HealthType}
        amount = max(worth - found[_KINDS[kind]], 0.0)
        alone = [
            own - self.health([line], [profit], 0.0, market, parameters, _KINDS[kind])
            for line, profit, own in zip(lines, profits, values, strict=True)
        ]
        notes = [] if parameters.confirmed else [f"weights not read from the venue: {parameters.source}"]
        if equity is None:
            notes.append("a perpetual's unsettled profit is not known: health takes it as nothing")
        assembled = Found(
            amount=amount,
            parts=by_row(book, lines, scaled(alone, amount, len(lines))) if lines else np.zeros(0),
            equity=None if equity is None else worth,
            components={f"{one}-health": figure for one, figure in found.items()},
            verified=parameters.confirmed,
            notes=tuple(notes),
            method=AttributionMethod.PROPORTIONAL,
        )
        return assemble(self, book, market, parameters, kind, assembled)

    def isolated(self, book: MarginBook, market: Market, parameters: MangoParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


MODEL = Mango()
