"""Derive's Standard manager: rules by position, many markets, nothing netted between markets or between expiries.

    net = Σ_market [ perpetuals + options + base − depeg ] + profit + cash
    options of one expiry: the better of Σ alone and max loss
      short call  IM: max(a − OTM/S, b)·S + mark            MM: c·S + mark
      short put   MM: max(d·S, e·mark) + mark               IM: max(max(a − OTM/S, b)·S + mark, f·MM)
      long        nothing, and worth nothing
      max loss    least pay-off at 0 and at every strike, at most 0; net short calls add scale·F each
    perpetuals: requirement·notional at the mark            base: value·factor, in the initial margin ·scale
    depeg (initial): (threshold − stable)⁺·factor·S for each perpetual and short option
    confidence (initial): (1 − confidence)·factor·S for each perpetual, short option, base below its threshold

The required amount is value + cash − net; in it long options stand with their whole value. Source: `StandardManager.sol`,
`SRMPortfolioViewer.sol` of derivexyz/v2-core@7736900d.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse
from aggregator.risk.margin.derive import Accounts, base_rows, is_base, refusal
from aggregator.risk.margin.interface import (
    IntArray,
    Kind,
    MarginBook,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.market import Array, BoolArray, Market
from aggregator.risk.margin.quotes import Groups, Quotes, each_alone, quotes, unrealised
from aggregator.risk.pricing.black76 import CALL, PUT, price


@dataclass(frozen=True, slots=True)
class OptionTerms:
    """Fractions of spot, or of the mark where the name says so."""

    most: float = 0.15
    least: float = 0.13
    maintenance_call: float = 0.09
    maintenance_put: float = 0.09
    maintenance_put_mark: float = 0.09
    unpaired_initial: float = 1.2
    unpaired_maintenance: float = 1.1
    put_offset: float = 1.05
    """least initial margin of a short put, times its maintenance margin"""


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """Of one market. Thresholds of 0 switch the confidence charge off."""

    initial_perpetual: float = 0.10
    maintenance_perpetual: float = 0.065
    options: OptionTerms = OptionTerms()
    base_factor: float = 0.0
    base_scale: float = 1.0
    perpetual_threshold: float = 0.55
    option_threshold: float = 0.55
    base_threshold: float = 0.55
    confidence_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class StandardParameters:
    """Markets by underlying; a SPOT that is not an underlying itself has a market by its symbol. Unlisted base counts nothing."""

    markets: Mapping[str, MarketTerms]
    other: MarketTerms
    """of a market not named"""
    depeg_threshold: float
    depeg_factor: float
    source: str
    confirmed: bool
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """(n,) unless a docstring says otherwise; requirements are positive."""

    value: Array
    options: Array
    """net margin of each option by its expiry's better rule: their sum is the expiry's"""
    alone: Array
    """(expiries,) Σ of the short options alone"""
    max_loss: Array
    """(expiries,)"""
    perpetuals: Array
    bases: Array
    """net margin that the base gives"""
    depeg: Array
    confidence: Array

    def amounts(self) -> Array:
        """Parts of the requirement: value that does not count, and what is asked beyond it."""
        return self.value - self.options - self.bases + self.perpetuals + self.depeg + self.confidence


def evaluate(
    book: MarginBook, quoted: Quotes, market: Market, parameters: StandardParameters, kind: Kind, accounts: IntArray | None
) -> Evaluation:
    """Every piece by holding. Options are netted within an expiry of an underlying of one numbered account."""
    columns, initial = book.columns, kind is Kind.INITIAL
    managers = Accounts.of(book, accounts, base_rows(book))
    terms = [_terms(one, parameters) for one in _keys(book)]
    o, units, spot = managers.options, columns.units, quoted.spot

    def each(field_of: Callable[[MarketTerms], float]) -> Array:
        return np.array([field_of(one) for one in terms], dtype=np.float64)

    side = np.where(columns.call[o], CALL, PUT)
    unit = price(quoted.price[o], columns.strike[o], quoted.years[o], quoted.volatility[o], side)
    mark, expiries = unit * units[o], managers.expiries
    # an instrument is netted with itself: what counts is whether it is short in all
    short = (managers.instruments.sum(units[o]) < 0)[managers.instruments.index]
    alone = np.where(short, _one_short(book, quoted, [terms[row].options for row in o], o, unit, initial) * -units[o], 0.0)
    loss, loss_parts = _max_loss(book, quoted, managers, [terms[row].options for row in o], initial)
    by_rule = expiries.sum(alone)
    chosen = (by_rule >= loss)[expiries.index]
    options = np.zeros(len(book))
    options[o] = np.where(chosen, alone, loss_parts)

    signed = units * np.sign(managers.groups.sum(np.where(columns.perpetual, units, 0.0)))[managers.groups.index]
    open_perpetuals = np.where(columns.perpetual, signed, 0.0)
    rate = each(lambda one: one.initial_perpetual if initial else one.maintenance_perpetual)
    asset_value = np.where(columns.spot, units * quoted.price, 0.0)
    bases = asset_value * each(lambda one: one.base_factor)
    shorts = np.zeros(len(book))
    shorts[o] = np.where(short, -units[o], 0.0)
    depeg, confidence = np.zeros(len(book)), np.zeros(len(book))
    if initial:
        bases = bases * each(lambda one: one.base_scale)
        depeg = max(parameters.depeg_threshold - market.stable, 0.0) * parameters.depeg_factor * spot * (open_perpetuals + shorts)
        charged, threshold = _confidence(book, quoted, managers), _thresholds(book, terms)
        affected = np.where(columns.spot, np.where(bases != 0, asset_value, 0.0), (open_perpetuals + shorts) * spot)
        low = (charged < threshold) & (threshold != 0)
        confidence = np.where(low, (1.0 - charged) * each(lambda one: one.confidence_factor) * affected, 0.0)
    value = asset_value / market.stable + unrealised(book, quoted)
    value[o] = mark
    # unrealised profit counts in full: it stands in the value and is not required
    held = np.where(columns.perpetual, 0.0, value)
    perpetuals = open_perpetuals * np.where(columns.perpetual, quoted.price, 0.0) * rate
    return Evaluation(held, options, by_rule, loss, perpetuals, bases, depeg, confidence)


def _keys(book: MarginBook) -> list[str]:
    """Market of each holding."""
    return [
        one.instrument.symbol if spot and not is_base(one.instrument) else one.instrument.underlying
        for one, spot in zip(book.holdings, book.columns.spot, strict=True)
    ]


def _terms(market: str, parameters: StandardParameters) -> MarketTerms:
    return parameters.markets.get(market, parameters.other)


def _one_short(book: MarginBook, quoted: Quotes, terms: list[OptionTerms], rows: IntArray, unit: Array, initial: bool) -> Array:
    """Net margin of one short option of each kind by itself, ≤ 0; `unit` is its mark price."""
    strike, spot, call = book.columns.strike[rows], quoted.spot[rows], book.columns.call[rows]

    def each(name: str) -> Array:
        return np.array([getattr(one, name) for one in terms], dtype=np.float64)

    maintenance_call = -each("maintenance_call") * spot - unit
    maintenance_put = -np.maximum(each("maintenance_put") * spot, each("maintenance_put_mark") * unit) - unit
    if not initial:
        return np.where(call, maintenance_call, maintenance_put)
    outside = np.where(call, np.maximum(strike - spot, 0.0), np.maximum(spot - strike, 0.0)) / spot
    ask = -np.maximum(each("most") - outside, each("least")) * spot - unit
    return np.where(call, ask, np.minimum(ask, maintenance_put * each("put_offset")))


def _max_loss(book: MarginBook, quoted: Quotes, accounts: Accounts, terms: list[OptionTerms], initial: bool) -> tuple[Array, Array]:
    """Least pay-off by expiry with the charge for unpaired calls, and each option's part in it. O(n log n).

    With strikes sorted, pay-offs at every strike are prefix sums: a call pays from its strike upwards, a put from its strike downwards.
    """
    o, expiries = accounts.options, accounts.expiries
    amount, strike, call = book.columns.units[o], book.columns.strike[o], book.columns.call[o]
    calls, puts = np.where(call, amount, 0.0), np.where(call, 0.0, amount)
    order = np.lexsort((strike, expiries.index))
    group, k = expiries.index[order], strike[order]
    before = _within(group, calls[order], expiries), _within(group, (calls * strike)[order], expiries)
    put_units, put_strikes = expiries.sum(puts)[group], expiries.sum(puts * strike)[group]
    after = (
        put_units - _within(group, puts[order], expiries),
        put_strikes - _within(group, (puts * strike)[order], expiries),
    )
    payoff = before[0] * k - before[1] + after[1] - after[0] * k
    least, worst_price = expiries.sum(puts * strike), np.zeros(expiries.count)
    ordered = Groups.of(group)
    if len(o):
        at_strikes = ordered.min(payoff)
        # the first strike that gives the least pay-off
        is_least = payoff == at_strikes[group]
        first = ordered.min(np.where(is_least, k, np.inf))
        worst_price = np.where(at_strikes < least, first, worst_price)
        least = np.minimum(least, at_strikes)
    loses = least < 0
    p = worst_price[expiries.index]
    parts = np.where(call, np.maximum(p - strike, 0.0), np.maximum(strike - p, 0.0)) * amount
    parts = np.where(loses[expiries.index], parts, 0.0)
    scale = np.array([one.unpaired_initial if initial else one.unpaired_maintenance for one in terms], dtype=np.float64)
    unpaired = (expiries.sum(calls) < 0)[expiries.index]
    parts = parts + np.where(unpaired, scale * quoted.price[o] * calls, 0.0)
    return expiries.sum(parts), parts


def _within(group: IntArray, values: Array, expiries: Groups) -> Array:
    """Running sums that start anew in every group of a sorted list."""
    running = np.cumsum(values)
    if not len(group):
        return running
    starts = np.searchsorted(group, np.arange(expiries.count))
    offset = np.where(starts > 0, running[starts - 1], 0.0)
    return np.asarray(running - offset[group], dtype=np.float64)


def _confidence(book: MarginBook, quoted: Quotes, accounts: Accounts) -> Array:
    """(n,) lowest confidence behind each holding: spot and perpetual, spot and the option's expiry, or the base's own feed."""
    columns, o = book.columns, accounts.options
    lowest = np.where(columns.perpetual | columns.spot, np.minimum(quoted.confidence, quoted.spot_confidence), quoted.spot_confidence)
    base = columns.spot & ~accounts.base
    lowest = np.where(base, quoted.confidence, lowest)
    expiry = accounts.expiries.min(np.minimum(quoted.confidence[o], quoted.volatility_confidence[o]))
    lowest[o] = np.minimum(lowest[o], expiry[accounts.expiries.index])
    return lowest


def _thresholds(book: MarginBook, terms: list[MarketTerms]) -> Array:
    columns = book.columns
    return np.array(
        [
            one.option_threshold if option else one.perpetual_threshold if perpetual else one.base_threshold
            for one, option, perpetual in zip(terms, columns.option, columns.perpetual, strict=True)
        ],
        dtype=np.float64,
    )


@dataclass(frozen=True, slots=True)
class DeriveStandard:
    """See the module."""

    id: str = "derive-standard"
    version: str = "1"
    source: str = "derivexyz/v2-core@7736900d src/risk-managers/StandardManager.sol"

    def default_parameters(self) -> StandardParameters:
        """Those of the mainnet configuration script."""
        from aggregator.risk.margin.derive_parameters import STANDARD_MAINNET

        return STANDARD_MAINNET

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refusal(book)

    def requirement(self, book: MarginBook, market: Market, parameters: StandardParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, market, parameters, kind, None)
        parts = found.amounts()
        unlisted: BoolArray = book.columns.spot & (found.bases == 0) & (found.value != 0)
        notes = [] if parameters.confirmed else [f"parameters not confirmed on chain: {parameters.source}"]
        if unlisted.any():
            notes.append("assets without a margin factor count nothing")
        result = Found(
            amount=float(parts.sum()),
            equity=equity_of(book, found.value + unrealised(book, quoted)),
            components={
                "options": -float(found.options.sum()),
                "options-alone": -float(found.alone.sum()),
                "options-max-loss": -float(found.max_loss.sum()),
                "perpetuals": float(found.perpetuals.sum()),
                "base": float(found.bases.sum()),
                "depeg": float(found.depeg.sum()),
                "confidence": float(found.confidence.sum()),
            },
            scenarios=ScenarioTable(),
            worst_scenario=None,
            parts=parts,
            verified=parameters.confirmed,
            notes=(*notes, *parameters.notes),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: StandardParameters, kind: Kind) -> Array:
        return self.parts(book, market, parameters, kind, each_alone(book))

    def parts(self, book: MarginBook, market: Market, parameters: StandardParameters, kind: Kind, accounts: IntArray) -> Array:
        """(n,) parts of the requirement of every numbered account; their sum over an account is its amount."""
        refuse(self.id, self.refusal(book, market))
        return evaluate(book, quotes(book, market), market, parameters, kind, accounts).amounts()


MODEL = DeriveStandard()
