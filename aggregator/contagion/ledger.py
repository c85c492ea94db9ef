"""The accounts of a simulation: who lost how much to whom, in whole micro-dollars at market prices, and because of what.

Value leaves a line's loser and reaches its gainer; only price lines destroy value, and their other side is the outside world. Holdings
are marked to whole micro-dollars by reserve, so lines are differences of whole numbers and nothing is lost between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.causes import CauseKind, Causes
from aggregator.contagion.liquidations import Gate, LiquidationRound
from aggregator.contagion.money import MICRO, Micros, micros
from aggregator.model.book import Book, Floats


class Party(StrEnum):
    """Who gains and loses. `outside` stands for whoever gains nothing when a price falls."""

    ACCOUNTS = "accounts"
    LENDERS = "lenders"
    LIQUIDATORS = "liquidators"
    BUILDERS = "builders"
    BUYERS = "buyers"
    OTHER_VENUES = "other venues"
    OUTSIDE = "outside"


class Line(StrEnum):
    SHOCK = "shock"
    """collateral falls with what the scenario gives"""
    BACKING = "backing"
    """collateral falls because what stands behind it is worth less, or its market leaves it"""
    SALES = "sales"
    """collateral falls because of sales"""
    DEBT_PRICE = "debt-price"
    """what is owed falls in price: borrowers gain what lenders lose"""
    PREMIUM = "premium"
    """what is seized beyond what is repaid"""
    BAD_DEBT = "bad-debt"
    SLIPPAGE = "slippage"
    GAS = "gas"
    AUCTION = "auction"
    """the builders' share of the premium"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `amount` micro-dollars from `loser` to `gainer` (a negative amount went the other way), about `subject`, by `cause`."""

    line: Line
    loser: Party
    gainer: Party
    subject: str
    amount: int
    cause: int


@dataclass(frozen=True, slots=True)
class _Lines:
    """Entries of one line and moment: amounts by code (of a reserve, market or asset), and the cause of each."""

    line: Line
    loser: Party
    gainer: Party
    codes: NDArray[np.intp]
    amounts: Micros
    causes: NDArray[np.intp]
    of: str


class Ledger:
    """Kept by a cascade; read it afterwards. Iterating gives every entry."""

    def __init__(self, book: Book, causes: Causes | None = None) -> None:
        self._book = book
        self.causes = Causes() if causes is None else causes
        reserves = book.reserves
        self._asset, self._market = reserves.asset.astype(np.intp), reserves.market.astype(np.intp)
        self._lines: list[_Lines] = []
        self.bad_debt: Micros = np.zeros(len(reserves), dtype=np.int64)
        """by reserve, so far"""
        self._units = [np.zeros(len(reserves)), np.zeros(len(reserves))]
        self._values: list[Micros] = [np.zeros(len(reserves), dtype=np.int64) for _ in range(2)]
        self._price_cause = np.full(len(book.assets), -1, dtype=np.intp)
        self._sold_by: dict[int, list[int]] = {}
        self._announced: dict[int, list[int]] = {}
        self._liquidated = np.full(len(book.markets), -1, dtype=np.intp)
        nothing = np.zeros(len(book.markets), dtype=np.int64)
        self._premium: tuple[Micros, NDArray[np.intp]] = nothing, nothing.astype(np.intp)
        """by market, of the last round: what was seized beyond what was repaid, and the event"""
        self._last = np.zeros(len(book.assets))

    def start(self, market: Floats, origins: Mapping[int, int] | None = None) -> None:
        """Mark all holdings at the book's own prices, then at the shocked ones. `origins`: cause by asset code where one is noted."""
        book = self._book
        for side, legs in enumerate((book.collateral, book.debt)):
            known = np.nan_to_num(legs.amounts)
            self._units[side] = np.bincount(legs.reserves(), known, len(book.reserves)).astype(np.float64, copy=False)
            self._values[side] = self._marked(side, book.prices)
        self._last = book.prices.copy()
        self.reprice(market, 0, Line.SHOCK, origins or {})

    def _marked(self, side: int, market: Floats) -> Micros:
        """Value of everything on a side by reserve; nothing where there is no market price. InputError where all of it is too much."""
        values = self._units[side] * np.nan_to_num(market[self._asset])
        micros(np.atleast_1d(values.sum()))
        return micros(values)

    def reprice(self, market: Floats, tick: int, line: Line = Line.SALES, origins: Mapping[int, int] | None = None) -> None:
        """Mark at other prices. `origins`: what moved an asset, if it was not this round's sales."""
        with np.errstate(invalid="ignore"):
            moved = np.flatnonzero((market != self._last) & ~(np.isnan(market) & np.isnan(self._last)))
        if len(moved) == 0:
            return
        self._note_prices(moved, market, tick, line, origins or {})
        causes = self._price_cause[self._asset]
        # a price that never moved leaves but the rounding of what was liquidated
        causes = np.where(causes >= 0, causes, self._liquidated[self._market])
        for side, (what, loser, gainer) in enumerate(
            ((line, Party.ACCOUNTS, Party.OUTSIDE), (Line.DEBT_PRICE, Party.LENDERS, Party.ACCOUNTS))
        ):
            now = self._marked(side, market)
            self._add(what, loser, gainer, self._values[side] - now, causes, "reserve")
            self._values[side] = now
        self._last = market.copy()

    def _note_prices(self, moved: NDArray[np.intp], market: Floats, tick: int, line: Line, origins: Mapping[int, int]) -> None:
        lost = np.zeros(len(self._book.assets))
        np.add.at(lost, self._asset, self._units[0] * np.nan_to_num((self._last - market)[self._asset]))
        for code in moved.tolist():
            before, given = int(self._price_cause[code]), origins.get(code)
            parents = [] if given is None else [given]
            parents += self._sold_by.get(code, []) if line is Line.SALES else []
            if not parents and before >= 0:
                parents = [before]
            kind = CauseKind.PRICE if parents else CauseKind.SHOCK
            amount = round(float(lost[code]) * MICRO)
            self._price_cause[code] = self.causes.add(tick, kind, self._book.assets[code].symbol, amount, parents)

    def price_cause(self, asset: int) -> int | None:
        """The event that last moved an asset's price."""
        number = int(self._price_cause[asset])
        return number if number >= 0 else None

    def liquidations(self, done: LiquidationRound, oracle: Floats, market: Floats, tick: int) -> Floats:
        """Book a round; returns USD by asset that liquidators will sell, at market prices."""
        book = self._book
        self._sold_by, self._announced = self._announced, {}
        if not done.executed:
            return np.zeros(len(book.assets))
        at_market = market[self._asset]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = at_market / oracle
            ratio[~np.isfinite(ratio) | (at_market == oracle)] = 1.0
            per_dollar = np.where(oracle > 0.0, 1.0 / oracle, 0.0)
        seized, repaid, bad = (_times(amounts, ratio) for amounts in (done.seized_from, done.repaid_in, done.bad_debt_in))
        self._units[0] = np.maximum(self._units[0] - done.seized_from / MICRO * per_dollar, 0.0)
        self._units[1] = np.maximum(self._units[1] - (done.repaid_in + done.bad_debt_in) / MICRO * per_dollar, 0.0)
        unpriced = np.isnan(at_market)
        self._values[0] -= np.where(unpriced, 0, seized)
        self._values[1] -= np.where(unpriced, 0, repaid + bad)
        by_market = [_by_code(amounts, self._market, len(book.markets)) for amounts in (seized, repaid, bad)]
        numbers = self._note_liquidations(by_market, seized, done, tick)
        causes = numbers[self._market]
        self._premium = by_market[0] - by_market[1], numbers
        self._add(Line.PREMIUM, Party.ACCOUNTS, Party.LIQUIDATORS, self._premium[0], numbers, "market")
        self._add(Line.BAD_DEBT, Party.LENDERS, Party.ACCOUNTS, bad, causes, "reserve")
        self.bad_debt += bad
        sold = np.zeros(len(book.assets))
        np.add.at(sold, self._asset, seized / MICRO)
        return sold

    def _note_liquidations(self, by_market: list[Micros], seized: Micros, done: LiquidationRound, tick: int) -> NDArray[np.intp]:
        """Number of the event of each market, −1 where nothing was liquidated."""
        book = self._book
        numbers = np.full(len(book.markets), -1, dtype=np.intp)
        touched = (done.seized_from != 0) | (done.repaid_in != 0) | (done.bad_debt_in != 0)
        for code in np.unique(self._market[touched]).tolist():
            mine = self._market == code
            led = np.unique(self._price_cause[book.reserves.priced_by[mine & touched]])
            parents = sorted(
                (int(number) for number in led if number >= 0), key=lambda n: (-self.causes[n].tick, -abs(self.causes[n].amount))
            )
            one = book.markets[code]
            subject = f"{one.protocol} {one.label or one.market}"
            numbers[code] = self.causes.add(tick, CauseKind.LIQUIDATION, subject, int(by_market[0][code]), parents)
            self._liquidated[code] = numbers[code]
            for asset in np.unique(self._asset[mine & (seized > 0)]).tolist():
                self._sold_by.setdefault(asset, []).append(int(numbers[code]))
        return numbers

    def liquidation_cause(self, market: int) -> tuple[int, ...]:
        """The event of a market's last liquidations, if there were any."""
        number = int(self._liquidated[market])
        return (number,) if number >= 0 else ()

    @property
    def owed_units(self) -> Floats:
        """Whole tokens that all accounts owe, by reserve, what is not known left out."""
        return self._units[1]

    def announce(self, sales: Floats, sources: Mapping[int, str], tick: int, origins: Mapping[int, int]) -> None:
        """Note sales, USD by asset, that reach markets with the next round, and the events that led to them."""
        self._note_sales(self._announced, sales, sources, tick, origins)

    def other_sales(self, sales: Floats, sources: Mapping[int, str], tick: int) -> None:
        """Note forced sales elsewhere, USD by asset, which its price led to."""
        self._note_sales(self._sold_by, sales, sources, tick, {})

    def _note_sales(
        self, into: dict[int, list[int]], sales: Floats, sources: Mapping[int, str], tick: int, origins: Mapping[int, int]
    ) -> None:
        for code in np.flatnonzero(sales).tolist():
            led = origins.get(code, self.price_cause(code))
            number = self.causes.add(tick, CauseKind.SALE, sources[code], round(float(sales[code]) * MICRO), [] if led is None else [led])
            into.setdefault(code, []).append(number)

    def costs(self, seized: Floats, others: Floats, fill: Floats, done: LiquidationRound, gate: Gate | None) -> None:
        """What selling costs: USD by asset that liquidators and others sell, and the mean price they get against the price before."""
        causes = np.array([self._sold_by.get(code, [-1])[0] for code in range(len(seized))], dtype=np.intp)
        for sold, party in ((seized, Party.LIQUIDATORS), (others, Party.OTHER_VENUES)):
            self._add(Line.SLIPPAGE, party, Party.BUYERS, micros(sold * (1.0 - fill)), causes, "asset")
        if gate is None or not done.executed:
            return
        calls = np.bincount(self._book.account_market[done.accounts[done.seized > 0.0]], minlength=len(self._book.markets))
        paid, numbers = self._premium
        self._add(Line.GAS, Party.LIQUIDATORS, Party.BUILDERS, micros(calls.astype(np.float64) * gate.gas_usd), numbers, "market")
        self._add(Line.AUCTION, Party.LIQUIDATORS, Party.BUILDERS, micros(np.maximum(paid, 0) / MICRO * gate.mev_share), numbers, "market")

    def _add(self, line: Line, loser: Party, gainer: Party, amounts: Micros, causes: NDArray[np.intp], of: str) -> None:
        some = np.flatnonzero(amounts)
        if len(some):
            self._lines.append(_Lines(line, loser, gainer, some, amounts[some], causes[some], of))

    def total(self, *lines: Line) -> int:
        """Micro-dollars of some lines."""
        return sum(int(one.amounts.sum()) for one in self._lines if one.line in lines)

    @property
    def direct(self) -> int:
        """What the shock took off the collateral."""
        return self.total(Line.SHOCK)

    @property
    def destroyed(self) -> int:
        """What collateral lost in price, and sellers to whoever bought."""
        return self.total(Line.SHOCK, Line.BACKING, Line.SALES, Line.SLIPPAGE)

    def losses(self) -> dict[Party, int]:
        """Net loss of every party in micro-dollars, gains negative; they add up to nothing, the outside included."""
        result = dict.fromkeys(Party, 0)
        for one in self._lines:
            amount = int(one.amounts.sum())
            result[one.loser] += amount
            result[one.gainer] -= amount
        return result

    def __iter__(self) -> Iterator[Entry]:
        for one in self._lines:
            for code, amount, cause in zip(one.codes.tolist(), one.amounts.tolist(), one.causes.tolist(), strict=True):
                yield Entry(one.line, one.loser, one.gainer, self._name(one.of, code), amount, cause)

    def _name(self, of: str, code: int) -> str:
        book = self._book
        if of == "asset":
            return book.assets[code].symbol
        market = book.markets[code if of == "market" else int(self._market[code])]
        name = f"{market.protocol} {market.label or market.market}"
        return name if of == "market" else f"{book.assets[int(self._asset[code])].symbol} in {name}"


def _by_code(amounts: Micros, codes: NDArray[np.intp], count: int) -> Micros:
    result = np.zeros(count, dtype=np.int64)
    np.add.at(result, codes, amounts)
    return result


def _times(amounts: Micros, ratio: Floats) -> Micros:
    """Amounts at another price; whole numbers stay as they are where the prices agree."""
    return np.where(ratio == 1.0, amounts, np.rint(amounts * ratio).astype(np.int64))
