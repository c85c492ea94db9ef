"""Deribit's portfolio margin: a risk matrix for each settlement currency, with an extended table for far options.

    matrix  = worst case + delta shock + roll shock + correlation contingency ;  IM = matrix + other, MM = factor·matrix
    standard table: moves range·i/buckets, i = −n…n, each with volatility up, same, down
    extended table: −66, −33, +50, …, +500 %, volatility up; options count range/|move| of their profit, delta-one contracts move by the
                    range at most; a loss is dampened by up to (|move|/range − 1)·dampener
    gains of a scenario count `profit_offset` of themselves ; worst case = −least entry of both tables
    coin-settled contracts: N/P·x/(1 + x) coins ; volatility up max(σ(1 + up·m), floor), down (σ(1 − down·m))⁺, m = (30 d/T)^p
    roll shock = Σ_expiry |Δ|·max(least, annual·T) ; delta shock = |Δ|·min(most, slope·(|Δ| − threshold)⁺)

Each underlying has a bucket in its coin and one in USD for linear contracts; nothing is netted between buckets. Figures in coins are
turned into USD at the index. Sources: docs.deribit.com `private/pme/simulate` (response example with every risk vector),
support.deribit.com `Portfolio Margin`. Not confirmed: the delta shock (0 in every published example) and the delta of options in the roll
shock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse, values_of
from aggregator.risk.margin.grid import coin_profits, profits, term_shock
from aggregator.risk.margin.interface import (
    AttributionMethod,
    Inapplicable,
    IntArray,
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.lines import refuse_loans
from aggregator.risk.margin.market import Array, BoolArray, Market
from aggregator.risk.margin.quotes import Groups, Quotes, account_keys, each_alone, pair, quotes
from aggregator.risk.pricing.black76 import CALL, PUT, greeks

VOLATILITIES = ("up", "same", "down")


@dataclass(frozen=True, slots=True)
class BucketTerms:
    """Of one underlying's bucket. Fractions of 1; powers and factors bare; money in USD."""

    price_range: float
    volatility_up: float
    volatility_down: float
    least_roll: float
    annual_roll: float
    dampener: float
    profit_offset: float = 0.0
    short_term_power: float = 0.3
    long_term_power: float = 0.13
    least_volatility_up: float = 0.5
    extended_factor: float = 1.0
    delta_threshold_usd: float = 20_000_000.0
    delta_slope: float = 0.0
    """shock for each coin of delta beyond the threshold"""
    most_delta_shock: float = 0.1


@dataclass(frozen=True, slots=True)
class RiskMatrixParameters:
    coin: Mapping[str, BucketTerms]
    """coin-settled buckets by underlying"""
    linear: Mapping[str, BucketTerms]
    """USD-settled buckets by underlying"""
    maintenance_factor: float
    source: str
    confirmed: bool
    buckets: int = 4
    """steps of the standard table on each side"""
    extended_moves: tuple[float, ...] = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
    decimals: int | None = 9
    """to which the venue rounds a worst case before it adds to it; None for no rounding"""
    haircuts: Mapping[str, float] = field(default_factory=dict)
    """of collateral by symbol; what is not listed counts nothing"""
    other_initial_usd: float = 0.0
    """spot, market-maker protection and open orders: added to the initial margin"""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One row a bucket unless said otherwise; figures in the bucket's currency, `to_usd` turns them."""

    groups: Groups
    coin: BoolArray
    to_usd: Array
    standard: Array
    """(buckets, scenarios) aggregated, gains offset"""
    extended: Array
    worst_case: Array
    counted_case: Array
    """the worst case as the venue rounds it before it adds the shocks"""
    worst: IntArray
    """column in standard and extended side by side"""
    roll_shock: Array
    delta_shock: Array
    parts_usd: Array
    """(n,) parts of the matrix margin in USD"""
    proportional: bool
    """whether a threshold or the dampener binds, so that the parts are proportional rather than marginal"""

    @property
    def matrix(self) -> Array:
        return self.counted_case + self.delta_shock + self.roll_shock


def standard_moves(terms: BucketTerms, buckets: int) -> Array:
    """Relative moves of the standard table, each once."""
    return terms.price_range * np.arange(-buckets, buckets + 1) / buckets


def risk_vectors(book: MarginBook, quoted: Quotes, terms: list[BucketTerms], parameters: RiskMatrixParameters) -> tuple[Array, Array]:
    """Profit of each holding before aggregation: standard (n, 3·(2·buckets + 1)) and extended (n, moves), coins or USD by its bucket.

    Within a move of the standard table the columns are volatility up, same, down.
    """
    columns = book.columns
    seconds = np.where(columns.option, np.maximum(quoted.seconds, 1.0), np.inf)
    shock = term_shock(seconds, _each(terms, "short_term_power"), _each(terms, "long_term_power"), 0.0)
    up = np.maximum(quoted.volatility * (1.0 + _each(terms, "volatility_up") * shock), _each(terms, "least_volatility_up"))
    down = np.maximum(quoted.volatility * (1.0 - _each(terms, "volatility_down") * shock), 0.0)
    moves = np.repeat(np.array([standard_moves(one, parameters.buckets) for one in terms]), len(VOLATILITIES), axis=1)
    volatility = np.tile(np.stack([up, quoted.volatility, down], axis=1), (1, moves.shape[1] // len(VOLATILITIES)))
    standard = _profits(book, quoted, moves, volatility)
    reach = _each(terms, "price_range")[:, None]
    far = np.broadcast_to(np.array(parameters.extended_moves), (len(book), len(parameters.extended_moves)))
    option = columns.option[:, None]
    fraction = np.where(option, np.minimum(reach / np.abs(far), 1.0) * _each(terms, "extended_factor")[:, None], 1.0)
    far_profit = _profits(book, quoted, np.where(option, far, np.clip(far, -reach, reach)), np.repeat(up[:, None], far.shape[1], axis=1))
    return standard, far_profit * fraction


def evaluate(book: MarginBook, quoted: Quotes, parameters: RiskMatrixParameters, accounts: IntArray | None) -> Evaluation:
    """Matrix margin by bucket of each numbered account. Collateral stands outside the matrix. ValueError without a derivative."""
    columns, n = book.columns, len(book)
    rows = np.flatnonzero(~columns.spot).astype(np.int64)
    inside, own = (book, quoted) if len(rows) == n else (book.take(rows), quoted.take(rows))
    terms = [_terms(inside, row, parameters) for row in range(len(rows))]
    standard, extended = risk_vectors(inside, own, terms, parameters)
    currency = inside.columns.inverse.astype(np.int64)
    groups = Groups.of(pair(account_keys(inside, None if accounts is None else accounts[rows]), currency))
    first = groups.first
    coin, index = inside.columns.inverse[first], own.spot[first]
    to_usd = np.where(coin, index, 1.0)
    offset, reach = _each(terms, "profit_offset")[first][:, None], _each(terms, "price_range")[first][:, None]
    table, far = groups.sum(standard), groups.sum(extended)
    relief = np.abs(np.array(parameters.extended_moves)) / reach - 1.0
    relief = np.maximum(relief, 0.0) * _each(terms, "dampener")[first][:, None] / to_usd[:, None]
    table = np.where(table > 0, table * offset, table)
    damped = np.where(far > 0, far * offset, np.minimum(far + relief, 0.0))
    both = np.concatenate([table, damped], axis=1)
    worst = both.argmin(axis=1).astype(np.int64)
    worst_case = np.maximum(-both.min(axis=1), 0.0)
    counted = worst_case if parameters.decimals is None else np.round(worst_case, parameters.decimals)

    delta = _deltas(inside, own)
    dated = Groups.of(pair(groups.index, inside.columns.expiry_group + 1))
    expiry_delta = dated.sum(delta)
    years = np.where(np.isfinite(own.years), own.years, 0.0)
    rate = np.maximum(_each(terms, "least_roll"), _each(terms, "annual_roll") * years) * np.where(inside.columns.inverse, 1.0, own.spot)
    roll_parts = delta * np.sign(expiry_delta)[dated.index] * rate
    net = groups.sum(delta)
    excess = np.maximum(np.abs(net) - _each(terms, "delta_threshold_usd")[first] / index, 0.0)
    shock = np.minimum(_each(terms, "most_delta_shock")[first], _each(terms, "delta_slope")[first] * excess)
    shock = shock * np.where(coin, 1.0, index)
    delta_shock = np.abs(net) * shock

    chosen = np.concatenate([standard, extended], axis=1)[np.arange(len(rows)), worst[groups.index]]
    raw = -groups.sum(chosen)
    share = np.where(raw > 0, counted / np.where(raw > 0, raw, 1.0), 0.0)
    parts = np.zeros(n)
    matrix_parts = -chosen * share[groups.index] + roll_parts + delta * np.sign(net)[groups.index] * shock[groups.index]
    parts[rows] = matrix_parts * to_usd[groups.index]
    binding = bool(np.any(delta_shock > 0) or np.any((share > 0) & (np.abs(share - 1.0) > 1e-6)))
    roll_shock = groups.sum(roll_parts)
    return Evaluation(groups, coin, to_usd, table, damped, worst_case, counted, worst, roll_shock, delta_shock, parts, binding)


def _profits(book: MarginBook, quoted: Quotes, moves: Array, volatility: Array) -> Array:
    return np.where(book.columns.inverse[:, None], coin_profits(book, quoted, moves, volatility), profits(book, quoted, moves, volatility))


def _deltas(book: MarginBook, quoted: Quotes) -> Array:
    """Coins of delta; of a coin-settled option less its price, because the premium is itself in coins."""
    columns = book.columns
    side = np.where(columns.call, CALL, PUT)
    unit = greeks(
        quoted.price, np.where(columns.option, columns.strike, 1.0), np.where(columns.option, quoted.years, 0.0), quoted.volatility, side
    )
    premium = np.where(columns.inverse, unit.value / quoted.price, 0.0)
    linear = np.where(columns.inverse, columns.units / quoted.price, columns.units)
    return np.where(columns.option, columns.units * (unit.delta - premium), linear)


def _terms(book: MarginBook, row: int, parameters: RiskMatrixParameters) -> BucketTerms:
    instrument = book.holdings[row].instrument
    known = parameters.coin if instrument.inverse else parameters.linear
    if instrument.underlying not in known:
        currency = "coin" if instrument.inverse else "USD"
        raise Inapplicable(f"the risk matrix has no parameters for {instrument.underlying} settled in {currency}")
    return known[instrument.underlying]


def _each(terms: list[BucketTerms], name: str) -> Array:
    return np.array([getattr(one, name) for one in terms], dtype=np.float64)


def _market_example(price_range: float, up: float, roll: tuple[float, float], slope: float, dampener: float) -> BucketTerms:
    return BucketTerms(price_range, up, 0.25, *roll, dampener, delta_slope=slope)


PUBLISHED = RiskMatrixParameters(
    coin={
        "BTC": _market_example(0.16, 0.5, (0.01, 0.075), 5e-5, 100_000.0),
        "ETH": _market_example(0.18, 0.4, (0.005, 0.05), 4e-6, 200_000.0),
    },
    linear={
        "BTC": _market_example(0.16, 0.5, (0.01, 0.1), 5e-5, 25_000.0),
        "ETH": _market_example(0.18, 0.4, (0.01, 0.1), 4e-6, 25_000.0),
    },
    maintenance_factor=0.8,
    source="model_params in published private/pme/simulate responses: BTC 2024-06-17, ETH 2026-02-15",
    confirmed=False,
    haircuts={"BTC": 0.0, "ETH": 0.0, "USDC": 0.0, "stETH": 0.075},
)
"""The venue's risk team changes these without notice."""


@dataclass(frozen=True, slots=True)
class RiskMatrix:
    """See the module. Scenario figures are in USD at today's index."""

    id: str = "deribit"
    version: str = "1"
    source: str = "docs.deribit.com private/pme/simulate; support.deribit.com Portfolio Margin"

    def default_parameters(self) -> RiskMatrixParameters:
        return PUBLISHED

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        if not bool(np.any(~book.columns.spot)):
            return "there is no future, perpetual or option to margin"
        return refuse_loans(book, "the venue lends no assets: a borrowed one cannot be held")

    def requirement(self, book: MarginBook, market: Market, parameters: RiskMatrixParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, parameters, None)
        haircut = _haircut(book, quoted, parameters)
        initial = kind is Kind.INITIAL
        factor = 1.0 if initial else parameters.maintenance_factor
        parts = factor * found.parts_usd + haircut
        other = parameters.other_initial_usd if initial else 0.0
        usd = found.to_usd
        confirmed = parameters.confirmed and not bool(np.any(found.delta_shock > 0))
        names, pnl = _table(book, found, parameters)
        both = np.concatenate([found.standard, found.extended], axis=1)
        spread = np.full(len(book), other / len(book)) if len(book) else np.zeros(0)
        result = Found(
            amount=float(parts.sum()) + other,
            equity=equity_of(book, values_of(book, quoted)),
            components={
                "worst-case": float((found.worst_case * usd).sum()),
                "roll-shock": float((found.roll_shock * usd).sum()),
                "delta-shock": float((found.delta_shock * usd).sum()),
                "factor": factor,
                "other": other,
                "collateral-haircut": float(haircut.sum()),
            },
            scenarios=ScenarioTable(names, pnl),
            worst_scenario=_worst(names, found, both.shape[1]),
            method=AttributionMethod.PROPORTIONAL if found.proportional or other else AttributionMethod.EULER,
            parts=parts + spread,
            verified=confirmed,
            notes=_notes(parameters, found),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: RiskMatrixParameters, kind: Kind) -> Array:
        return self.parts(book, market, parameters, kind, each_alone(book))

    def parts(self, book: MarginBook, market: Market, parameters: RiskMatrixParameters, kind: Kind, accounts: IntArray) -> Array:
        """(n,) parts of the requirement of every numbered account, without what is added once to an account's initial margin."""
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, parameters, accounts)
        factor = 1.0 if kind is Kind.INITIAL else parameters.maintenance_factor
        return factor * found.parts_usd + _haircut(book, quoted, parameters)


def _haircut(book: MarginBook, quoted: Quotes, parameters: RiskMatrixParameters) -> Array:
    """(n,) of the assets held, USD."""
    value = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
    share = [parameters.haircuts.get(one.instrument.symbol or one.instrument.underlying, 1.0) for one in book.holdings]
    return value * np.array(share, dtype=np.float64)


def _table(book: MarginBook, found: Evaluation, parameters: RiskMatrixParameters) -> tuple[tuple[str, ...], Array]:
    derivatives = [one.instrument for one, spot in zip(book.holdings, book.columns.spot, strict=True) if not spot]
    names: list[str] = []
    for number, row in enumerate(found.groups.first):
        instrument = derivatives[row]
        terms = (parameters.coin if found.coin[number] else parameters.linear)[instrument.underlying]
        label = f"{instrument.underlying} {'coin' if found.coin[number] else 'USD'}: "
        names += [
            f"{label}{100 * move:+.4g} %, volatility {how}" for move in standard_moves(terms, parameters.buckets) for how in VOLATILITIES
        ]
        names += [f"{label}{100 * move:+.4g} %, extended" for move in parameters.extended_moves]
    pnl = np.concatenate([found.standard, found.extended], axis=1) * found.to_usd[:, None]
    return tuple(names), pnl.reshape(-1)


def _worst(names: tuple[str, ...], found: Evaluation, width: int) -> str | None:
    worst = [names[number * width + int(column)] for number, column in enumerate(found.worst) if found.worst_case[number] > 0]
    return "; ".join(worst) or None


def _notes(parameters: RiskMatrixParameters, found: Evaluation) -> tuple[str, ...]:
    notes = [] if parameters.confirmed else [f"parameters change without notice; these: {parameters.source}"]
    if np.any(found.delta_shock > 0):
        notes.append("the delta shock's exact form is not published")
    return tuple(notes)


MODEL = RiskMatrix()
