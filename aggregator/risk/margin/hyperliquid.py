"""Hyperliquid: cross margin by leverage tiers, and portfolio margin, which puts spot and borrowed dollars into the same account.

    initial      = notional / chosen leverage (at most the tier's)
    maintenance  = notional·rate − deduction,  rate = 1/(2·tier's leverage); the deduction makes it continuous from tier to tier
    portfolio    : ratio = (20 + Σ maintenance + borrowed·price) / (balance + min(borrow cap, supplied up to its cap)·threshold)
                   threshold = ½ + ½·LTV;  liquidated where the ratio > .95
    liquidation price = price − side·available/|size| / (1 − rate·side), available = account value − maintenance

Exact in decimals. Source: hyperliquid.gitbook.io, trading: margining, margin-tiers, liquidations, portfolio-margin. The portfolio formula
is documented, not confirmed on an account: such a requirement is unverified. Positions with collateral of their own are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from aggregator.model.instrument import InstrumentKind
from aggregator.risk.margin.assembly import Found, assemble, refuse
from aggregator.risk.margin.interface import AttributionMethod, Kind, MarginBook, Requirement, one_by_one, scaled
from aggregator.risk.margin.lines import (
    Line,
    asset_or_perpetual,
    by_row,
    exact,
    mark,
    net_lines,
    parameter,
    refuse_loans,
    refuse_other_than,
    value,
)
from aggregator.risk.margin.market import Array, Market

BORROW_OFFSET = Decimal(20)
"""USDC that a portfolio-margin account always needs"""
LIQUIDATION_RATIO = Decimal("0.95")


@dataclass(frozen=True, slots=True)
class Tier:
    """From this notional on at most this leverage."""

    lower_bound: Decimal
    max_leverage: int

    @property
    def rate(self) -> Decimal:
        """Maintenance margin of a further dollar of notional: half the initial one at full leverage."""
        return Decimal(1) / (2 * self.max_leverage)


@dataclass(frozen=True, slots=True)
class MarginTable:
    """Tiers, the first from 0, leverage falling. ValueError otherwise."""

    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        bounds = [one.lower_bound for one in self.tiers]
        leverages = [one.max_leverage for one in self.tiers]
        if not self.tiers or bounds[0] != 0 or sorted(set(bounds)) != bounds:
            raise ValueError("tiers start at 0 and rise")
        if min(leverages) < 1 or sorted(leverages, reverse=True) != leverages:
            raise ValueError("leverage is at least 1 and falls from tier to tier")

    @staticmethod
    def flat(max_leverage: int) -> MarginTable:
        """One tier."""
        return MarginTable((Tier(Decimal(0), max_leverage),))

    def tier(self, notional: Decimal) -> Tier:
        """The highest tier that a notional reaches."""
        return next(one for one in reversed(self.tiers) if one.lower_bound <= abs(notional))

    def maintenance(self, notional: Decimal) -> Decimal:
        """Of a notional, in its unit: every part at the rate of its own tier."""
        size, total = abs(notional), Decimal(0)
        for number, one in enumerate(self.tiers):
            upper = self.tiers[number + 1].lower_bound if number + 1 < len(self.tiers) else size
            total += max(min(size, upper) - one.lower_bound, Decimal(0)) * one.rate
        return total

    def initial(self, notional: Decimal, leverage: Decimal | None = None) -> Decimal:
        """At the chosen leverage, never above the tier's."""
        most = Decimal(self.tier(notional).max_leverage)
        return abs(notional) / (most if leverage is None else min(leverage, most))


def liquidation_price(size: Decimal, price: Decimal, available: Decimal, rate: Decimal) -> Decimal | None:
    """Price at which a signed position is liquidated, all else unchanged; None where no price above 0 does it.

    `available` is the account's value (or an isolated position's margin) less maintenance margin, `rate` the tier's.
    """
    if size == 0:
        return None
    side = 1 if size > 0 else -1
    found = price - side * available / abs(size) / (1 - rate * side)
    return found if found > 0 else None


@dataclass(frozen=True, slots=True)
class Support:
    """Collateral behind a borrowed token: its value up to the supply cap, and its loan-to-value."""

    supplied: Decimal
    ltv: Decimal

    @property
    def threshold(self) -> Decimal:
        return Decimal("0.5") + Decimal("0.5") * self.ltv


@dataclass(frozen=True, slots=True)
class PortfolioMargin:
    """`ratio` and `liquidatable` are None where nothing is there to liquidate: the formula says nothing then."""

    requirement: Decimal
    liquidation_value: Decimal

    @property
    def ratio(self) -> Decimal | None:
        return self.requirement / self.liquidation_value if self.liquidation_value > 0 else None

    @property
    def liquidatable(self) -> bool | None:
        return None if self.ratio is None else self.ratio > LIQUIDATION_RATIO


def counted_support(support: Sequence[Support], borrow_cap: Decimal) -> Decimal:
    """Σ supplied·threshold, shrunk where all that is supplied is more than may be borrowed against."""
    supplied = sum((one.supplied for one in support), Decimal(0))
    counted = sum((one.supplied * one.threshold for one in support), Decimal(0))
    return counted if supplied <= borrow_cap else counted * borrow_cap / supplied


def portfolio_margin(
    maintenance: Decimal,
    borrowed: Decimal,
    balance: Decimal,
    support: Sequence[Support],
    borrow_cap: Decimal,
    offset: Decimal = BORROW_OFFSET,
) -> PortfolioMargin:
    """Everything in USDC: Σ maintenance of all dexes, what is borrowed, the balance, and the collateral behind it."""
    return PortfolioMargin(offset + maintenance + borrowed, balance + counted_support(support, borrow_cap))


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """A spot asset under portfolio margin; `supply_cap` in its own units, None for none."""

    ltv: Decimal
    supply_cap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class HyperliquidParameters:
    """Margin tables by underlying, spot assets by symbol.

    Without portfolio margin the book is a cross account: spot counts nothing, and cash is the account's USDC.
    """

    tables: Mapping[str, MarginTable]
    tokens: Mapping[str, TokenTerms]
    borrow_cap: Decimal
    source: str
    confirmed: bool
    portfolio: bool = True
    """whether an account that holds spot or owes cash is a portfolio-margin account"""
    leverage: Mapping[str, Decimal] = field(default_factory=dict)
    """chosen by the account; what a holding says itself goes before"""


SAMPLE = HyperliquidParameters(
    tables={
        "BTC": MarginTable((Tier(Decimal(0), 40), Tier(Decimal(150_000_000), 20))),
        "ETH": MarginTable((Tier(Decimal(0), 25), Tier(Decimal(100_000_000), 15))),
        "SOL": MarginTable((Tier(Decimal(0), 20), Tier(Decimal(70_000_000), 10))),
        "HYPE": MarginTable.flat(10),
    },
    tokens={"BTC": TokenTerms(Decimal("0.5")), "HYPE": TokenTerms(Decimal("0.5"))},
    borrow_cap=Decimal(50_000_000),
    source="margin tables 54, 55, 56 and the documentation of 2026; HYPE as a flat table",
    confirmed=False,
)


@dataclass(frozen=True, slots=True)
class Hyperliquid:
    """See the module. Perpetuals at their mark price; spot assets at theirs."""

    id: str = "hyperliquid"
    version: str = "1"
    source: str = "hyperliquid.gitbook.io/hyperliquid-docs/trading"

    def default_parameters(self) -> HyperliquidParameters:
        return SAMPLE

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        only = "an account holds spot and linear perpetuals only"
        return refuse_other_than(book, asset_or_perpetual, only) or refuse_loans(book, "accounts borrow dollars only")

    def requirement(self, book: MarginBook, market: Market, parameters: HyperliquidParameters, kind: Kind) -> Requirement:
        refuse(self.id, self.refusal(book, market))
        lines = net_lines(book)
        equity, each = value(book, market)
        portfolio = parameters.portfolio and (bool(book.columns.spot.any()) or book.cash < 0)
        perpetuals, spot, support, own = Decimal(0), Decimal(0), [], []
        for line in lines:
            notional = line.units * exact(mark(line.instrument, market))
            if line.instrument.kind is InstrumentKind.SPOT:
                spot += notional
                support.append(_support(line, notional, parameters) if portfolio else Support(Decimal(0), Decimal(0)))
                weight = support[-1].ltv if kind is Kind.INITIAL else support[-1].threshold * LIQUIDATION_RATIO
                own.append(notional - support[-1].supplied * weight)
            else:
                own.append(_margin(line, notional, book, parameters, kind))
                perpetuals += own[-1]
        dollars = exact(book.cash) + exact(float(np.nan_to_num(np.where(book.columns.spot, 0.0, each)).sum()))
        found = portfolio_margin(perpetuals, max(-dollars, Decimal(0)), max(dollars, Decimal(0)), support, parameters.borrow_cap)
        net = found.liquidation_value * LIQUIDATION_RATIO - found.requirement if portfolio else dollars - perpetuals
        if portfolio and kind is Kind.INITIAL:
            # nor can anything be opened that would be liquidated at once
            lent = sum((one.supplied * one.ltv for one in support), Decimal(0))
            net = min(net, dollars + min(lent, parameters.borrow_cap) - perpetuals)
        total = dollars + spot
        amount = float(max(total - net, Decimal(0)))
        ratio = found.ratio if portfolio and kind is Kind.MAINTENANCE else None
        assembled = Found(
            amount=amount,
            parts=by_row(book, lines, scaled([float(one) for one in own], amount, len(lines))),
            equity=None if equity is None else float(total),
            components={
                "perpetuals": float(perpetuals),
                "not-counted": float(total - net - perpetuals),
                **({"portfolio-margin-ratio": float(ratio)} if ratio is not None else {}),
            },
            verified=parameters.confirmed and not portfolio,
            notes=_notes(parameters, portfolio, equity is None, bool(support)),
            method=AttributionMethod.PROPORTIONAL,
        )
        return assemble(self, book, market, parameters, kind, assembled)

    def isolated(self, book: MarginBook, market: Market, parameters: HyperliquidParameters, kind: Kind) -> Array:
        refuse(self.id, self.refusal(book, market))
        return one_by_one(self, book, market, parameters, kind)


def _support(line: Line, notional: Decimal, parameters: HyperliquidParameters) -> Support:
    """What a spot asset backs: nothing where it is not eligible, no more than its supply cap."""
    terms = parameters.tokens.get(line.key)
    if terms is None:
        return Support(Decimal(0), Decimal(0))
    if terms.supply_cap is None or line.units <= terms.supply_cap:
        return Support(notional, terms.ltv)
    return Support(notional * terms.supply_cap / line.units, terms.ltv)


def _margin(line: Line, notional: Decimal, book: MarginBook, parameters: HyperliquidParameters, kind: Kind) -> Decimal:
    table = parameter(parameters.tables, line.key, "Hyperliquid margin tiers")
    if kind is Kind.MAINTENANCE:
        return table.maintenance(notional)
    stated = [one for one in (book.holdings[row].leverage for row in line.rows) if one is not None]
    return table.initial(notional, min(stated) if stated else parameters.leverage.get(line.key))


def _notes(parameters: HyperliquidParameters, portfolio: bool, profit_unknown: bool, spot: bool) -> tuple[str, ...]:
    notes = [] if parameters.confirmed else [f"margin tiers not read with the account: {parameters.source}"]
    if portfolio:
        notes.append("portfolio margin follows the documented formula, which no account's own figure has confirmed")
    elif spot:
        notes.append("in a cross account spot is not collateral and counts nothing")
    if profit_unknown:
        notes.append("a perpetual's unsettled profit is not known and counts nothing")
    return tuple(notes)


MODEL = Hyperliquid()
