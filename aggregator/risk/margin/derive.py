"""What Derive's risk managers share: scenarios, volatility shocks by time to expiry, and the grouping of a book into their accounts.

Source: derivexyz/v2-core@7736900d, `src/risk-managers`. A manager holds one underlying; a book with several is margined as one account
for each, with nothing netted between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from aggregator.model.instrument import Instrument
from aggregator.risk.margin.interface import IntArray, MarginBook, ScenarioTable
from aggregator.risk.margin.market import SECONDS_PER_DAY, Array, BoolArray
from aggregator.risk.margin.quotes import Groups, Quotes, account_keys, pair


class VolatilityShock(StrEnum):
    UP = "up"
    DOWN = "down"
    NONE = "none"
    LINEAR = "linear"
    """tilts the smile"""
    ABSOLUTE = "absolute"
    """lifts both wings of the smile"""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`spot` multiplies the price; `weight` dampens the profit or loss."""

    spot: float
    volatility: VolatilityShock
    weight: float = 1.0

    @property
    def name(self) -> str:
        if self.volatility in (VolatilityShock.LINEAR, VolatilityShock.ABSOLUTE):
            move = "" if self.spot == 1 else f", spot {100 * (self.spot - 1):+.4g} %"
            return f"skew {self.volatility}{move}"
        move = f"spot {100 * (self.spot - 1):+.4g} %"
        return move if self.volatility is VolatilityShock.NONE else f"{move}, volatility {self.volatility}"


class VolatilityRange(Protocol):
    """The parameters that `volatility_shocks` reads."""

    @property
    def volatility_up(self) -> float: ...
    @property
    def volatility_down(self) -> float: ...
    @property
    def short_term_power(self) -> float: ...
    @property
    def long_term_power(self) -> float: ...
    @property
    def floor_seconds(self) -> float: ...


def volatility_shocks(seconds: Array, parameters: VolatilityRange) -> tuple[Array, Array]:
    """Multipliers of volatility up and down: 1 + up·m and (1 − down·m)⁺ with m = (30 d / max(T, floor))^p, p by T ≤ 30 d."""
    month = 30.0 * SECONDS_PER_DAY
    power = np.where(seconds <= month, parameters.short_term_power, parameters.long_term_power)
    stretch = (month / np.maximum(seconds, parameters.floor_seconds)) ** power
    return 1.0 + parameters.volatility_up * stretch, np.maximum(1.0 - parameters.volatility_down * stretch, 0.0)


def by_scenario(shocks: Sequence[Scenario], shock: VolatilityShock) -> BoolArray:
    """Which scenarios have this volatility shock."""
    return np.array([one.volatility is shock for one in shocks], dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """A book cut into accounts of one underlying each. Rows of `expiries`, `strikes`, `instruments` are those of `options`."""

    groups: Groups
    """accounts, over all holdings"""
    options: IntArray
    """rows of the book that are options"""
    expiries: Groups
    strikes: Groups
    """call and put of one strike together"""
    instruments: Groups
    expiry_account: IntArray
    base: BoolArray
    """rows that are the underlying itself"""

    @staticmethod
    def of(book: MarginBook, accounts: IntArray | None, base: BoolArray) -> Accounts:
        """One manager an underlying, in each of the numbered accounts or in a single one (None)."""
        columns = book.columns
        groups = Groups.of(account_keys(book, accounts))
        options = np.flatnonzero(columns.option).astype(np.int64)
        account = groups.index[options]
        expiries = Groups.of(pair(account, columns.expiry_group[options]))
        strikes = Groups.of(pair(account, columns.strike_group[options]))
        instruments = Groups.of(pair(strikes.index, columns.call[options].astype(np.int64)))
        return Accounts(groups, options, expiries, strikes, instruments, account[expiries.first], base)

    def from_expiries(self, values: Array) -> Array:
        """Sums of expiries by account, shape (accounts, …)."""
        result = np.zeros((self.groups.count, *values.shape[1:]))
        np.add.at(result, self.expiry_account, values)
        return result

    def naked_shorts(self, units: Array) -> Array:
        """Part of each option (rows of `options`) in the shorts that no long covers at the same strike; sums to them, may be negative.

        A call covers a put and the other way: what counts is the net amount at the strike.
        """
        uncovered = self.strikes.sum(units) < 0
        return np.where(uncovered[self.strikes.index], -units, 0.0)

    def gross(self, units: Array) -> Array:
        """Part of each option in Σ |amount| of its instrument: the same sum however often an instrument stands in the book."""
        return units * np.sign(self.instruments.sum(units))[self.instruments.index]


def is_base(instrument: Instrument) -> bool:
    """Whether a SPOT is the underlying itself or its canonical wrapper (`ETH`, `WETH`)."""
    return (instrument.symbol or instrument.underlying) in (instrument.underlying, f"W{instrument.underlying}")


def base_rows(book: MarginBook) -> BoolArray:
    """Rows that hold the underlying itself."""
    return np.array([is_base(one.instrument) and bool(spot) for one, spot in zip(book.holdings, book.columns.spot, strict=True)], np.bool_)


def refusal(book: MarginBook) -> str | None:
    """Why no manager of Derive could hold the book; None where one could."""
    columns = book.columns
    if bool(np.any(columns.future)):
        return "the venue lists no dated futures"
    if bool(np.any(columns.inverse)):
        return "the venue lists no coin-settled contracts"
    if bool(np.any(columns.spot & (columns.units < 0))):
        return "the venue lends no asset but its stable coin: a borrowed asset cannot be held"
    if book.empty:
        return "there is nothing to margin"
    return None


def lowest_confidence(book: MarginBook, quoted: Quotes, accounts: Accounts) -> Array:
    """(n,) lowest behind each holding: the spot's, the perpetual's where one is open, and of its expiry for an option."""
    columns, groups, o = book.columns, accounts.groups, accounts.options
    open_perpetual = groups.sum(np.where(columns.perpetual, columns.units, 0.0)) != 0
    own = np.minimum(quoted.spot_confidence, np.where(columns.perpetual & open_perpetual[groups.index], quoted.confidence, np.inf))
    lowest = groups.min(own)[groups.index]
    expiry = accounts.expiries.min(np.minimum(quoted.confidence[o], quoted.volatility_confidence[o]))
    lowest[o] = np.minimum(lowest[o], expiry[accounts.expiries.index])
    return lowest


def narrate(
    book: MarginBook, accounts: Accounts, names: Sequence[str], pnl: Array, basis: Array, worst: IntArray
) -> tuple[ScenarioTable, str | None]:
    """The scenario table and what sets the requirement: a scenario, or `basis`. Accounts that nothing moves are left out.

    Where several accounts are moved, names carry the underlying. Cash alone loses nothing in any scenario.
    """
    moved = np.flatnonzero(np.abs(pnl).max(axis=1, initial=0.0) + np.abs(basis) > 0)
    if not len(moved):
        return ScenarioTable(tuple(names), np.zeros(len(names))), None
    labels = [f"{book.underlyings[book.columns.underlying[accounts.groups.first[number]]]}: " if len(moved) > 1 else "" for number in moved]
    table = ScenarioTable(tuple(label + name for label in labels for name in names), pnl[moved].reshape(-1))
    driving = [names[worst[number]] if worst[number] < len(names) else "basis" for number in moved]
    return table, "; ".join(label + name for label, name in zip(labels, driving, strict=True))
