"""Drift v2: perpetuals and deposits in one cross account, with weights that worsen with size. Exact in the program's integers.

    asset weight      = min(w, 1.1/(1 + imf·√size))            liability weight = max(w, .8·w + imf·√size)
    initial w         = w·scale start/deposits once a market's deposits are worth more than the start
    perpetual         = |size|·oracle·max(ratio, .8·ratio + imf·√size)         profit counts with its own asset weight, a loss in full
    fill              = the mean of the initial and maintenance weights
    strict prices     : assets at the lower of oracle and five-minute average, liabilities at the higher
    liquidated where total collateral < requirement at maintenance

Precisions: weights and ratios 10⁻⁴, imf 10⁻⁶, sizes 10⁻⁹, prices and quote 10⁻⁶. √ is ⌊√(10·size + 1)⌋, in 10⁻⁵.
Source: drift-labs/protocol-v2@0ae3e3b1, `math/margin.rs`, `state/spot_market.rs`, `state/perp_market.rs`, `math/spot_balance.rs`. Left out:
open orders, high-leverage mode, prediction markets, and the shrinking profit weight of an unbalanced market (its imbalance is not a price).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from math import isqrt

import numpy as np

from aggregator.model.instrument import InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import AttributionMethod, Kind, MarginBook, MissingInput, Requirement, one_by_one
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

WEIGHT = 10_000
IMF = 1_000_000
BASE = 10**9
QUOTE = 10**6
QUOTE_TOKEN = "USDC"
MOST_PROFIT_COUNTED = 100 * QUOTE
"""of one perpetual, in the initial margin"""


class MarginType(StrEnum):
    INITIAL = "initial"
    FILL = "fill"
    MAINTENANCE = "maintenance"

    def pick(self, initial: int, maintenance: int) -> int:
        """Of two weights; filling an order needs their mean."""
        if self is MarginType.FILL:
            return (initial + maintenance) // 2
        return initial if self is MarginType.INITIAL else maintenance


def size_discount_asset_weight(size: int, imf: int, weight: int) -> int:
    """Asset weight (10⁻⁴) of a size in 10⁻⁹: no more than `weight`."""
    if imf == 0:
        return weight
    return min(weight, (IMF + IMF // 10) * WEIGHT // (IMF + isqrt(10 * size + 1) * imf // 100_000))


def size_premium_liability_weight(size: int, imf: int, weight: int) -> int:
    """Liability weight or margin ratio (10⁻⁴) of a size in 10⁻⁹: no less than `weight`."""
    if imf == 0:
        return weight
    return max(weight, weight - weight // 5 + isqrt(10 * size + 1) * imf // (100_000 * IMF // WEIGHT))


def scaled_initial_asset_weight(weight: int, start: int, deposits: int) -> int:
    """Initial weight (10⁻⁴) where a market holds deposits worth `deposits` (10⁻⁶ USD); `start` 0 means never scaled."""
    return weight if start == 0 or deposits < start else weight * start // deposits


def base_size(amount: int, decimals: int) -> int:
    """A token amount in 10⁻⁹, rounded down."""
    unit = int(10**decimals)
    return amount // (unit // BASE) if unit > BASE else amount * BASE // unit


def token_value(amount: int, decimals: int, price: int) -> int:
    """Signed amount at a price, 10⁻⁶ USD, rounded down: assets towards zero, liabilities away from it."""
    return amount * price // int(10**decimals)


@dataclass(frozen=True, slots=True)
class SpotTerms:
    """A spot market; weights in 10⁻⁴, `deposits` of everybody in raw token units, `scale_start` in 10⁻⁶ USD."""

    decimals: int
    initial_asset_weight: int
    maintenance_asset_weight: int
    initial_liability_weight: int
    maintenance_liability_weight: int
    imf: int = 0
    scale_start: int = 0
    deposits: int = 0

    def asset_weight(self, amount: int, price: int, margin: MarginType) -> int:
        """Of a deposit in raw token units at a price in 10⁻⁶ USD."""
        scaled = scaled_initial_asset_weight(self.initial_asset_weight, self.scale_start, token_value(self.deposits, self.decimals, price))
        weight = margin.pick(scaled, self.maintenance_asset_weight)
        return size_discount_asset_weight(base_size(amount, self.decimals), self.imf, weight)

    def liability_weight(self, amount: int, margin: MarginType) -> int:
        """Of a borrow in raw token units (positive)."""
        weight = margin.pick(self.initial_liability_weight, self.maintenance_liability_weight)
        return size_premium_liability_weight(base_size(amount, self.decimals), self.imf, weight)


@dataclass(frozen=True, slots=True)
class PerpetualTerms:
    """A perpetual market; ratios and weights in 10⁻⁴."""

    margin_ratio_initial: int
    margin_ratio_maintenance: int
    imf: int = 0
    profit_initial_weight: int = WEIGHT
    profit_maintenance_weight: int = WEIGHT
    profit_imf: int = 0

    def margin_ratio(self, size: int, margin: MarginType) -> int:
        """Of a size in 10⁻⁹ (positive)."""
        return size_premium_liability_weight(size, self.imf, margin.pick(self.margin_ratio_initial, self.margin_ratio_maintenance))

    def profit_weight(self, profit: int, margin: MarginType) -> int:
        """Asset weight of an unsettled profit in 10⁻⁶ USD; a loss counts in full."""
        if profit <= 0:
            return WEIGHT
        if margin is MarginType.MAINTENANCE:
            return self.profit_maintenance_weight
        if self.profit_initial_weight == 0:
            return 0
        return size_discount_asset_weight(profit * (BASE // QUOTE), self.profit_imf, self.profit_initial_weight)

    def position(
        self, size: int, price: int, profit: int, margin: MarginType, quote: tuple[int, int] = (QUOTE, QUOTE), own_ratio: int = 0
    ) -> Weighed:
        """Requirement and weighted profit of a signed size (10⁻⁹) at an oracle price; `own_ratio` is one that the account chose.

        `quote` is the lower and the higher price of the quote token: what is owed counts at the higher, a profit at the lower.
        """
        notional = abs(size) * max(price, 0) // BASE * max(quote) // QUOTE
        ratio = max(own_ratio if margin is MarginType.INITIAL else 0, self.margin_ratio(abs(size), margin))
        counted = _towards_zero(profit * self.profit_weight(profit, margin), WEIGHT)
        counted = _towards_zero(counted * (min(quote) if profit > 0 else max(quote)), QUOTE)
        if margin is MarginType.INITIAL:
            counted = min(counted, MOST_PROFIT_COUNTED)
        return Weighed(notional * ratio // WEIGHT, counted)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a position adds to the requirement and to total collateral, 10⁻⁶ USD."""

    requirement: int
    collateral: int


@dataclass(frozen=True, slots=True)
class DriftParameters:
    """Markets by asset symbol and by underlying. The fallback is for perpetual markets that are not named."""

    spot: Mapping[str, SpotTerms]
    perpetual: Mapping[str, PerpetualTerms]
    fallback: PerpetualTerms | None
    source: str
    confirmed: bool
    averages: Mapping[str, float] = field(default_factory=dict)
    """five-minute average prices by asset symbol, for strict prices in the initial margin; without one the oracle's alone counts.
    The quote token's stands under `QUOTE_TOKEN`."""
    own_ratio: int = 0
    """margin ratio that the account chose for itself (10⁻⁴)"""


_NEW = PerpetualTerms(2_000, 500)
SAMPLE = DriftParameters(
    spot={"SOL": SpotTerms(9, 8_000, 9_000, 12_000, 11_000)},
    perpetual={},
    fallback=_NEW,
    source="the program's defaults for a new perpetual market (20 % and 5 %) and the SOL weights of its own tests",
    confirmed=False,
)


@dataclass(frozen=True, slots=True)
class Drift:
    """See the module. `Market.spot` is the oracle price, `Market.stable` that of the quote token, which is the book's cash."""

    id: str = "drift"
    version: str = "1"
    source: str = "drift-labs/protocol-v2@0ae3e3b1 programs/drift/src/math/margin.rs"

    def default_parameters(self) -> DriftParameters:
        return SAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refuse_other_than(book, asset_or_perpetual, "an account holds tokens and linear perpetuals only")

    def weigh(self, line: Line, profit: float, market: Market, parameters: DriftParameters, margin: MarginType) -> Weighed:
        """Of one net position. `profit` (USD) is a perpetual's."""
        if line.instrument.kind is InstrumentKind.SPOT:
            return self._weigh_token(line, market, parameters, margin)
        if line.key not in market.spot:
            raise MissingInput(f"spot price of {line.key} is missing")
        terms = parameters.perpetual.get(line.key, parameters.fallback)
        if terms is None:
            terms = parameter(parameters.perpetual, line.key, "Drift margin ratios")
        return terms.position(
            _whole(line.units * BASE),
            _whole(exact(market.spot[line.key].value) * QUOTE),
            _whole(exact(profit) * QUOTE),
            margin,
            _quote_prices(market, parameters, margin),
            parameters.own_ratio,
        )

    def _weigh_token(self, line: Line, market: Market, parameters: DriftParameters, margin: MarginType) -> Weighed:
        terms = parameter(parameters.spot, line.key, "Drift weights")
        amount = _whole(line.units * 10**terms.decimals)
        oracle = _whole(exact(mark(line.instrument, market)) * QUOTE)
        prices = [oracle]
        if margin is not MarginType.MAINTENANCE and line.key in parameters.averages:
            prices.append(_whole(exact(parameters.averages[line.key]) * QUOTE))
        if amount >= 0:
            worth = token_value(amount, terms.decimals, min(prices))
            return Weighed(0, worth * terms.asset_weight(amount, oracle, margin) // WEIGHT)
        owed = -token_value(amount, terms.decimals, max(prices))
        return Weighed(owed * terms.liability_weight(-amount, margin) // WEIGHT, 0)

    def requirement(self, book: MarginBook, market: Market, parameters: DriftParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        lines = net_lines(book)
        _, each = value(book, at_oracle(market))
        profits = [float(each[list(line.rows)].sum()) for line in lines]
        margin = MarginType.INITIAL if kind is Kind.INITIAL else MarginType.MAINTENANCE
        unknown = any(np.isnan(one) for one in profits)
        weighed = [
            self.weigh(line, 0.0 if np.isnan(profit) else profit, market, parameters, margin)
            for line, profit in zip(lines, profits, strict=True)
        ]
        cash = _whole(exact(book.cash) * QUOTE)
        low, high = _quote_prices(market, parameters, margin)
        cash_value = token_value(cash, 6, low if cash > 0 else high)
        required = sum(one.requirement for one in weighed) + max(-cash_value, 0)
        collateral = sum(one.collateral for one in weighed) + max(cash_value, 0)
        # against the book's value: what weights take off stands in the requirement
        worth = [
            0.0 if np.isnan(profit) else profit * (1.0 if line.instrument.kind is InstrumentKind.SPOT else market.stable)
            for line, profit in zip(lines, profits, strict=True)
        ]
        own = [(one.requirement - one.collateral) / QUOTE + each_worth for one, each_worth in zip(weighed, worth, strict=True)]
        notes = [] if parameters.confirmed else [f"weights not read from the venue: {parameters.source}"]
        if unknown:
            notes.append("a perpetual's unsettled profit is not known: total collateral leaves it out")
        found = Found(
            amount=max(float(sum(own)), 0.0),
            parts=by_row(book, lines, own),
            equity=None if unknown else float(sum(worth)) + cash_value / QUOTE,
            components={"margin-requirement": required / QUOTE, "total-collateral": collateral / QUOTE},
            verified=parameters.confirmed,
            notes=tuple(notes),
            method=AttributionMethod.PROPORTIONAL,
        )
        return assemble(self, book, market, parameters, kind, found)

    def isolated(self, book: MarginBook, market: Market, parameters: DriftParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


def _quote_prices(market: Market, parameters: DriftParameters, margin: MarginType) -> tuple[int, int]:
    """The lower and the higher price of the quote token: of oracle and average where prices are strict."""
    oracle = _whole(exact(market.stable) * QUOTE)
    if margin is MarginType.MAINTENANCE or QUOTE_TOKEN not in parameters.averages:
        return oracle, oracle
    average = _whole(exact(parameters.averages[QUOTE_TOKEN]) * QUOTE)
    return min(oracle, average), max(oracle, average)


def _whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_EVEN))


def _towards_zero(numerator: int, denominator: int) -> int:
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)


MODEL = Drift()
