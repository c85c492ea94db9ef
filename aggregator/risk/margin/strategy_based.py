"""Strategy-based margin of a securities account: Regulation T, FINRA 4210 and the CBOE margin manual, paired to need least.

Rules and formulas stand in `strategies`. The required amount is held against equity that counts every option at its premium, which is the
requirement net of the proceeds of what was sold; `gross` is the same against equity without options. Options pair within an underlying;
what stands for it (an index fund for its index, a wrapped coin for the coin) covers options in its ratio. `portfolio-margin` is what the
same book would need as a portfolio-margin account.

Classes: equities 20 % with a floor of 10 %, broad indices 15 % and 10 %. Stock 50 % to open and 25 % to keep, short stock 50 % beyond its
proceeds and 30 %. Coins are no securities: their options are shown as if they were equity options. A broker's house rates are higher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from aggregator.model.instrument import InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import (
    AttributionMethod,
    Kind,
    MarginBook,
    MissingInput,
    Requirement,
    ScenarioTable,
    scaled,
)
from aggregator.risk.margin.lines import Line, by_row, net_lines
from aggregator.risk.margin.market import SECONDS_PER_DAY, Array, Market
from aggregator.risk.margin.securities import premium, refusal, stock_price
from aggregator.risk.margin.strategies import Leg, Pairing, Rates, Stock, least
from aggregator.risk.margin.tims import TimsParameters
from aggregator.risk.margin.tims import evaluate as portfolio_margin

NINE_MONTHS = 274 * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class OptionClass:
    """Rates of a short option; whether its options are European and settled in cash."""

    base: float
    floor: float
    european: bool = False


EQUITY = OptionClass(0.20, 0.10)
BROAD_INDEX = OptionClass(0.15, 0.10, european=True)


@dataclass(frozen=True, slots=True)
class StrategyParameters:
    """Classes by underlying; fractions of value."""

    classes: Mapping[str, OptionClass] = field(default_factory=lambda: {"SPX": BROAD_INDEX, "NDX": BROAD_INDEX, "RUT": BROAD_INDEX})
    other: OptionClass = EQUITY
    equivalents: Mapping[str, tuple[str, float]] = field(default_factory=lambda: {"SPY": ("SPX", 10.0)})
    """what covers options on another underlying, and how many units of it stand for one of the underlying's"""
    stock_initial: float = 0.50
    stock_maintenance: float = 0.25
    short_stock_initial: float = 0.50
    short_stock_maintenance: float = 0.30
    long_dated: float = 0.75
    """part of a listed option's premium that is needed when it has more than nine months to go"""
    portfolio: TimsParameters = field(default_factory=TimsParameters)
    source: str = "FINRA 4210(f)(2), Regulation T 220.12, CBOE margin manual"

    def rates(self, underlying: str, kind: Kind) -> Rates:
        one = self.classes.get(underlying, self.other)
        maintenance = kind is Kind.MAINTENANCE
        return Rates(
            one.base,
            one.floor,
            self.stock_maintenance if maintenance else self.stock_initial,
            self.short_stock_maintenance if maintenance else self.short_stock_initial,
            maintenance,
            european=one.european,
        )


@dataclass(frozen=True, slots=True)
class StrategyBased:
    """See the module."""

    id: str = "reg-t"
    version: str = "1"
    source: str = "FINRA 4210(f)(2); Regulation T (12 CFR 220); CBOE margin manual"

    def default_parameters(self) -> StrategyParameters:
        return StrategyParameters()

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        return refusal(book)

    def pairings(self, book: MarginBook, market: Market, parameters: StrategyParameters, kind: Kind) -> dict[str, Pairing]:
        """Least requirement by underlying. MissingInput where a price is not there."""
        by_underlying: dict[str, list[Line]] = {}
        for line in net_lines(book):
            if line.units != 0:
                by_underlying.setdefault(self._covers(line, parameters)[0], []).append(line)
        return {name: self._least(name, lines, book, market, parameters, kind) for name, lines in sorted(by_underlying.items())}

    def _covers(self, line: Line, parameters: StrategyParameters) -> tuple[str, float]:
        """The underlying whose options a line pairs with, and its units that stand for one; an asset that covers none is by itself."""
        instrument = line.instrument
        if instrument.kind is not InstrumentKind.SPOT:
            return instrument.underlying, 1.0
        if line.key in parameters.equivalents:
            return parameters.equivalents[line.key]
        itself = line.key in (instrument.underlying, f"W{instrument.underlying}")
        return (instrument.underlying, 1.0) if itself else (f"{line.key} (covers nothing)", 1.0)

    def _least(self, name: str, lines: list[Line], book: MarginBook, market: Market, parameters: StrategyParameters, kind: Kind) -> Pairing:
        legs, stocks = [], []
        for line in lines:
            if line.instrument.kind is InstrumentKind.SPOT:
                ratio = self._covers(line, parameters)[1]
                held = next(
                    (book.holdings[row] for row in line.rows if book.holdings[row].mark_price is not None), book.holdings[line.rows[0]]
                )
                stocks.append(Stock(float(line.units) / ratio, stock_price(held, market) * ratio))
            else:
                legs.append(self._leg(line, book, market, parameters))
        if legs and name not in market.spot:
            raise MissingInput(f"spot price of {name} is missing")
        sizes = {line.instrument.contract_size for line in lines if line.instrument.kind is not InstrumentKind.SPOT}
        size = next(iter(sizes)) if len(sizes) == 1 else Decimal(0)
        whole = size > 0 and all(line.units % size == 0 for line in lines if line.instrument.kind is not InstrumentKind.SPOT)
        spot = market.spot[name].value if name in market.spot else 0.0
        return least(legs, stocks, spot, parameters.rates(name, kind), float(size) if whole else None)

    def _leg(self, line: Line, book: MarginBook, market: Market, parameters: StrategyParameters) -> Leg:
        held = next((book.holdings[row] for row in line.rows if book.holdings[row].mark_price is not None), book.holdings[line.rows[0]])
        instrument = line.instrument
        expiry = instrument.expiry or 0
        rate = parameters.long_dated if expiry - market.as_of > NINE_MONTHS else 1.0
        return Leg(
            float(line.units), float(instrument.strike or 0), instrument.kind is InstrumentKind.CALL, expiry, premium(held, market), rate
        )

    def requirement(self, book: MarginBook, market: Market, parameters: StrategyParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        pairings = self.pairings(book, market, parameters, kind)
        amount = sum(one.amount for one in pairings.values())
        worth = [
            float(book.columns.units[row]) * (stock_price(one, market) if book.columns.spot[row] else premium(one, market))
            for row, one in enumerate(book.holdings)
        ]
        options = sum(value for row, value in enumerate(worth) if book.columns.option[row])
        components: dict[str, float] = {}
        for pairing in pairings.values():
            for name, share in pairing.by_strategy.items():
                components[name] = components.get(name, 0.0) + share
        lines = net_lines(book)
        alone = [self._alone(line, book, market, parameters, kind) for line in lines]
        notes = [] if all(one.exhaustive for one in pairings.values()) else ["too many short options to try every pair of them"]
        try:
            components["portfolio-margin"] = portfolio_margin(book, market, parameters.portfolio).amount
        except MissingInput as missing:
            notes.append(f"no portfolio margin: {missing}")
        result = Found(
            amount=amount,
            equity=sum(worth) + book.cash,
            components={**components, "gross": amount - options},
            scenarios=ScenarioTable(),
            worst_scenario=None,
            method=AttributionMethod.PROPORTIONAL,
            parts=by_row(book, lines, scaled(alone, amount, len(lines))),
            verified=True,
            notes=tuple(notes),
        )
        return assemble(self, book, market, parameters, kind, result)

    def _alone(self, line: Line, book: MarginBook, market: Market, parameters: StrategyParameters, kind: Kind) -> float:
        if line.units == 0:
            return 0.0
        name = self._covers(line, parameters)[0]
        return self._least(name, [line], book, market, parameters, kind).amount

    def isolated(self, book: MarginBook, market: Market, parameters: StrategyParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        alone = [book.alone(row) for row in range(len(book))]
        return np.array([self._alone(net_lines(one)[0], one, market, parameters, kind) for one in alone], dtype=np.float64)


MODEL = StrategyBased()
