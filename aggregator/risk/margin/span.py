"""SPAN: sixteen scenarios a combined commodity, with charges between its months, credits between commodities and a floor for short options.

    scan risk      = largest loss over the sixteen; arrays by full revaluation (Black-76, discounted), `look ahead` later
    commodity risk = max( scan + inter-month charge + delivery charge − inter-commodity credit , short option minimum )
    requirement    = (commodity risk − net option value)⁺ for each commodity; initial margin is a multiple of commodity risk

An underlying is a combined commodity; a perpetual is its nearest month. The required amount is max(risk, net option value): the same rule
against equity that counts options at their value. Assets are collateral outside of the scan: only their haircut stands in the amount.
Ranges, extreme move and cover are a clearing house's parameters: those shipped are examples, and such a requirement is unverified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aggregator.risk.margin.assembly import Found, assemble, equity_of, refuse
from aggregator.risk.margin.interface import (
    IntArray,
    Kind,
    MarginBook,
    MissingInput,
    Requirement,
    ScenarioTable,
)
from aggregator.risk.margin.market import SECONDS_PER_DAY, Array, Market
from aggregator.risk.margin.quotes import Quotes, quotes, unrealised
from aggregator.risk.margin.span_calculator import (
    CommodityRisk,
    CommoditySpread,
    MonthSpread,
    OptionTerms,
    composite_delta,
    inter_commodity,
    inter_month,
    linear_array,
    price_risk,
    scan_risk,
    scenarios,
)
from aggregator.risk.pricing.black76 import CALL, PUT, greeks

DELTA_WEIGHTS: Mapping[float, float] = {0.0: 0.270, 1 / 3: 0.217, 2 / 3: 0.110, 1.0: 0.037}
_MOVES = np.array([0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0])


@dataclass(frozen=True, slots=True)
class SpanTerms:
    """One combined commodity. Rates are fractions of the spot price, for one delta or one short option."""

    price_range: float
    """price scan range"""
    volatility_range: float
    """volatility scan range, in volatility (.05: from 60 to 65 %)"""
    extreme_move: float = 3.0
    cover: float = 0.33
    tier_days: tuple[float, ...] = ()
    """upper bounds of all tiers but the last: with (31,) months to 31 days away are tier 0, later ones tier 1"""
    spreads: tuple[MonthSpread, ...] = ()
    """charges as fractions of the price, in order of priority"""
    delivery_days: float = 0.0
    delivery_rate: float = 0.0
    """for each delta of a month that expires within the delivery days"""
    short_option_rate: float = 0.0
    look_ahead_days: float = 0.0


@dataclass(frozen=True, slots=True)
class SpanParameters:
    """Commodities by underlying, the fallback for the others; haircuts by asset symbol."""

    commodities: Mapping[str, SpanTerms]
    fallback: SpanTerms | None
    credits: tuple[CommoditySpread, ...]
    initial_multiple: float
    source: str
    confirmed: bool
    haircuts: Mapping[str, float] = field(default_factory=dict)
    haircut: float = 0.20
    """of an asset that is not named"""


def _example(price_range: float) -> SpanTerms:
    return SpanTerms(
        price_range,
        0.10,
        tier_days=(31.0,),
        spreads=(MonthSpread(0, 0, 0.005), MonthSpread(0, 1, 0.01), MonthSpread(1, 1, 0.005)),
        delivery_days=2.0,
        delivery_rate=0.005,
        short_option_rate=0.005,
        look_ahead_days=1.0,
    )


EXAMPLE = SpanParameters(
    commodities={"BTC": _example(0.12), "ETH": _example(0.15)},
    fallback=_example(0.20),
    credits=(),
    initial_multiple=1.10,
    source="an example set; extreme move 3 and cover 33 % are commonly quoted for CME, not confirmed in a primary source",
    confirmed=False,
)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Arrays over holdings (n, …) and results by commodity."""

    pnl: Array
    """(n, scenarios)"""
    delta: Array
    """(n,) composite, in units of the underlying"""
    option_value: Array
    rows: tuple[IntArray, ...]
    """holdings of each commodity, or of each holding apart; assets are in none"""
    risks: tuple[CommodityRisk, ...]
    terms: tuple[SpanTerms, ...]
    """by underlying of the book"""

    def parts(self, multiple: float) -> Array:
        """(n,) attribution of max(multiple·risk, net option value): the loss in the worst scenario, charges by share of delta."""
        result = np.zeros(len(self.delta))
        for rows, risk in zip(self.rows, self.risks, strict=True):
            held = max(multiple * risk.risk, risk.net_option_value)
            if held <= 0:
                continue
            if held > multiple * risk.risk:
                result[rows] = self.option_value[rows]
                continue
            scanned = -self.pnl[rows, risk.scan.worst - 1] * multiple if risk.scan.worst is not None else np.zeros(len(rows))
            size = np.abs(self.delta[rows])
            share = size / size.sum() if size.sum() > 0 else np.full(len(rows), 1.0 / len(rows))
            result[rows] = scanned + (held - scanned.sum()) * share
        return result


def evaluate(book: MarginBook, quoted: Quotes, parameters: SpanParameters, apart: bool) -> Evaluation:
    """Scan and charges, by underlying, or with `apart` by holding (no credits then)."""
    columns = book.columns
    known = [parameters.commodities.get(name, parameters.fallback) for name in book.underlyings]
    missing = [name for name, one in zip(book.underlyings, known, strict=True) if one is None]
    if missing:
        raise MissingInput(f"SPAN scan ranges of {', '.join(missing)} are missing")
    terms = [one for one in known if one is not None]
    pnl, delta, option_value = _arrays(book, quoted, terms)
    positions = np.flatnonzero(~columns.spot).astype(np.int64)
    if apart:
        rows: tuple[IntArray, ...] = tuple(positions[[at]] for at in range(len(positions)))
    else:
        rows = tuple(positions[columns.underlying[positions] == number] for number in range(len(terms)))
    names = [book.underlyings[columns.underlying[one[0]]] if len(one) else "" for one in rows]
    scans = [scan_risk(pnl[one].sum(axis=0)) for one in rows]
    credits = dict.fromkeys(names, 0.0)
    if not apart and parameters.credits:
        deltas = {name: float(delta[one].sum()) for name, one in zip(names, rows, strict=True) if name}
        risks = {name: price_risk(pnl[one].sum(axis=0), scan) for name, one, scan in zip(names, rows, scans, strict=True) if name}
        credits |= inter_commodity(deltas, risks, parameters.credits)
    found = []
    for one, scan, name in zip(rows, scans, names, strict=True):
        if not len(one):
            found.append(CommodityRisk(scan))
            continue
        own = terms[int(columns.underlying[one[0]])]
        price = float(quoted.spot[one[0]])
        months = _by_month(book, quoted, one, delta)
        charge, used = _spread_charge(months, own, price)
        outright = sum(abs(net) - used[month] for month, (days, net) in months.items() if days <= own.delivery_days)
        short = float(np.maximum(-columns.units[one], 0.0)[columns.option[one]].sum())
        found.append(
            CommodityRisk(
                scan,
                inter_month=charge,
                delivery=outright * own.delivery_rate * price,
                credit=0.0 if apart else min(credits[name], scan.amount),
                short_option_minimum=short * own.short_option_rate * price,
                net_option_value=float(option_value[one].sum()),
            )
        )
    return Evaluation(pnl, delta, option_value, rows, tuple(found), tuple(terms))


def _arrays(book: MarginBook, quoted: Quotes, terms: Sequence[SpanTerms]) -> tuple[Array, Array, Array]:
    """Profit by holding and scenario, composite deltas, and options' values."""
    columns = book.columns
    owner = columns.underlying
    price_range = np.array([terms[one].price_range for one in owner])
    # every commodity has its own extreme move: the grid is common, the last two columns are not
    grids = [scenarios(one.extreme_move, one.cover) for one in terms]
    pnl = np.zeros((len(book), 16))
    linear = columns.perpetual | columns.future
    value = np.where(linear, columns.units * np.where(columns.inverse, 1.0, quoted.price), 0.0)
    delta = np.where(linear, value / quoted.spot, 0.0)
    option_value = np.zeros(len(book))
    for number, one in enumerate(terms):
        mine = np.flatnonzero((owner == number) & linear)
        pnl[mine] = linear_array(value[mine], price_range[mine], grids[number])
        o = np.flatnonzero((owner == number) & columns.option)
        if not len(o):
            continue
        side = np.where(columns.call[o], CALL, PUT)
        options = OptionTerms(
            quoted.price[o],
            columns.strike[o],
            quoted.years[o],
            quoted.volatility[o],
            side,
            quoted.rate[o],
            price_range[o],
            np.full(len(o), one.volatility_range),
        )
        # a coin-settled option is worth its value over the forward, in coins that are worth the spot
        scale = columns.units[o] * np.where(columns.inverse[o], quoted.spot[o] / quoted.price[o], 1.0)
        pnl[o] = scale[:, None] * options.array(grids[number], one.look_ahead_days / 365.0)
        option_value[o] = scale * options.value()[:, 0]
        moved = quoted.price[o, None] * (1.0 + _MOVES * price_range[o, None])
        at = greeks(moved, columns.strike[o, None], quoted.years[o, None], quoted.volatility[o, None], side[:, None], quoted.rate[o, None])
        delta[o] = scale * composite_delta(_MOVES, at.delta, DELTA_WEIGHTS)
    return pnl, delta, option_value


def _by_month(book: MarginBook, quoted: Quotes, rows: IntArray, delta: Array) -> dict[int, tuple[float, float]]:
    """Days to expiry and net delta by month; perpetuals are month 0, 0 days away but never delivered."""
    months: dict[int, tuple[float, float]] = {}
    for row in rows:
        month = 0 if book.columns.perpetual[row] else int(book.columns.expiry[row])
        days = np.inf if month == 0 else float(quoted.seconds[row]) / SECONDS_PER_DAY
        months[month] = (days, months.get(month, (days, 0.0))[1] + float(delta[row]))
    return months


def _spread_charge(months: Mapping[int, tuple[float, float]], terms: SpanTerms, price: float) -> tuple[float, dict[int, float]]:
    """Charge for spreads between months, USD, and the deltas of each month that are in one."""
    tiers = {month: (0 if month == 0 else int(np.searchsorted(terms.tier_days, days)), net) for month, (days, net) in months.items()}
    return inter_month(tiers, [MonthSpread(one.near, one.far, one.charge * price) for one in terms.spreads])


def _assets(book: MarginBook, quoted: Quotes, parameters: SpanParameters) -> tuple[Array, Array]:
    """(n,) value of the assets, and what the haircut takes off."""
    names = [one.instrument.symbol or one.instrument.underlying for one in book.holdings]
    haircut = np.array([parameters.haircuts.get(name, parameters.haircut) for name in names])
    worth = np.where(book.columns.spot, book.columns.units * quoted.price, 0.0)
    return worth, worth * haircut


def _labels(book: MarginBook, found: Evaluation) -> list[tuple[int, str, tuple[str, ...]]]:
    """Number of each commodity with positions, its label (empty where it is the only one) and its scenarios' names."""
    held = [number for number, rows in enumerate(found.rows) if len(rows)]
    return [
        (
            number,
            f"{book.underlyings[number]}: " if len(held) > 1 else "",
            tuple(one.name for one in scenarios(found.terms[number].extreme_move, found.terms[number].cover)),
        )
        for number in held
    ]


def _table(book: MarginBook, found: Evaluation) -> ScenarioTable:
    labels = _labels(book, found)
    names = tuple(f"{prefix}{name}" for _, prefix, scenario_names in labels for name in scenario_names)
    return ScenarioTable(names, np.array([found.pnl[found.rows[number]].sum(axis=0) for number, _, _ in labels]).reshape(-1))


def _worst(book: MarginBook, found: Evaluation) -> str | None:
    """The scenario behind each commodity's scan risk."""
    worst = [f"{prefix}{names[at - 1]}" for number, prefix, names in _labels(book, found) if (at := found.risks[number].scan.worst)]
    return "; ".join(worst) or None


@dataclass(frozen=True, slots=True)
class Span:
    """See the module."""

    id: str = "span"
    version: str = "1"
    source: str = "CME SPAN; L. G. McMillan, Options as a Strategic Investment, ch. 34"

    def default_parameters(self) -> SpanParameters:
        return EXAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        if book.empty:
            return "there is nothing to margin"
        return "a clearing house lends no assets" if bool(np.any(book.columns.spot & (book.columns.units < 0))) else None

    def requirement(self, book: MarginBook, market: Market, parameters: SpanParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, parameters, apart=False)
        multiple = parameters.initial_multiple if kind is Kind.INITIAL else 1.0
        assets, cut = _assets(book, quoted, parameters)
        parts = found.parts(multiple) + cut
        result = Found(
            amount=float(sum(max(multiple * one.risk, one.net_option_value) for one in found.risks) + cut.sum()),
            equity=equity_of(book, assets + found.option_value + unrealised(book, quoted)),
            components={
                "scan": sum(one.scan.amount for one in found.risks),
                "inter-month": sum(one.inter_month for one in found.risks),
                "delivery": sum(one.delivery for one in found.risks),
                "inter-commodity-credit": sum(one.credit for one in found.risks),
                "short-option-minimum": sum(one.short_option_minimum for one in found.risks),
                "net-option-value": sum(one.net_option_value for one in found.risks),
                "multiple": multiple,
                "requirement": sum(max(multiple * one.risk - one.net_option_value, 0.0) for one in found.risks),
                "collateral-haircut": float(cut.sum()),
            },
            scenarios=_table(book, found),
            worst_scenario=_worst(book, found),
            parts=parts,
            verified=parameters.confirmed,
            notes=() if parameters.confirmed else (f"parameters: {parameters.source}",),
        )
        return assemble(self, book, market, parameters, kind, result)

    def isolated(self, book: MarginBook, market: Market, parameters: SpanParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        quoted = quotes(book, market)
        found = evaluate(book, quoted, parameters, apart=True)
        return found.parts(parameters.initial_multiple if kind is Kind.INITIAL else 1.0) + _assets(book, quoted, parameters)[1]


MODEL = Span()
