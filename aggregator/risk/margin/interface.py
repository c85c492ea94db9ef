"""What every margin method takes and gives: a book, a market and its own parameters; a requirement with everything that explains it.

Pure: the same inputs give the same figures, in whatever order positions come. float64 inside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregator.model.errors import IncompleteError, InputError
from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.canonical import digest
from aggregator.risk.margin.market import Array, BoolArray, Market

IntArray = NDArray[np.int64]
P = TypeVar("P")


class Kind(StrEnum):
    INITIAL = "initial"
    """what opening or withdrawing must leave covered"""
    MAINTENANCE = "maintenance"
    """what liquidation starts below"""


class Inapplicable(InputError):
    """The method says nothing about such a book; the message says why. Its row shows the reason instead of a figure."""


class MissingInput(IncompleteError):
    """A price, volatility or parameter that the method needs is not there; the message names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A book as arrays of length n, in the order of its holdings; NaN where a holding has no such field."""

    units: Array
    """signed; units of the underlying, of the quote currency for an inverse perpetual or future"""
    strike: Array
    expiry: Array
    """seconds since the epoch; infinite for spot and perpetuals"""
    mark: Array
    entry: Array
    profit: Array
    """unrealised profit and accrued funding as the venue states them; NaN where it states no profit"""
    option: BoolArray
    call: BoolArray
    spot: BoolArray
    perpetual: BoolArray
    future: BoolArray
    inverse: BoolArray
    underlying: IntArray
    """index into `MarginBook.underlyings`"""
    expiry_group: IntArray
    """index into `MarginBook.expiries`; −1 without expiry"""
    strike_group: IntArray
    """numbers options of one underlying, expiry and strike, call and put together; −1 for all else"""
    quote_group: IntArray
    """numbers holdings that read the same quotes, in the order of their first"""


@dataclass(frozen=True, slots=True, eq=False)
class MarginBook:
    """Holdings that are margined together, and the cash behind them in USD of the settlement stable coin (negative: borrowed).

    Other collateral stands among the holdings as SPOT, borrowed assets with a negative size. The same instrument may stand there
    more than once; methods net it. An empty book is a book.
    """

    holdings: tuple[Holding, ...]
    cash: float = 0.0
    underlyings: tuple[str, ...] = field(init=False)
    """sorted"""
    expiries: tuple[tuple[str, int], ...] = field(init=False)
    """underlying and expiry, sorted"""
    columns: Columns = field(init=False, repr=False)
    quoted: tuple[int, ...] = field(init=False, repr=False)
    """the first holding of each `quote_group`"""
    _digest: list[str] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        if not np.isfinite(self.cash):
            raise ValueError(f"cash is {self.cash}")
        instruments = [holding.instrument for holding in self.holdings]
        underlyings = tuple(sorted({one.underlying for one in instruments}))
        expiries = tuple(sorted({(one.underlying, one.expiry) for one in instruments if one.expiry is not None}))
        strikes = sorted({(one.underlying, one.expiry or 0, one.strike) for one in instruments if one.strike is not None})
        by_underlying = {name: number for number, name in enumerate(underlyings)}
        by_expiry = {key: number for number, key in enumerate(expiries)}
        by_strike = {key: number for number, key in enumerate(strikes)}
        kinds = [one.kind for one in instruments]

        keys = [_quote_key(one) for one in instruments]
        groups: dict[tuple[object, ...], int] = {}
        quote_group = [groups.setdefault(key, len(groups)) for key in keys]
        first = dict(zip(reversed(quote_group), range(len(keys) - 1, -1, -1), strict=True))

        def which(*wanted: InstrumentKind) -> BoolArray:
            return np.array([kind in wanted for kind in kinds], dtype=np.bool_)

        columns = Columns(
            units=_floats([holding.units for holding in self.holdings]),
            strike=_floats([one.strike for one in instruments]),
            expiry=np.array([np.inf if one.expiry is None else float(one.expiry) for one in instruments], dtype=np.float64),
            mark=_floats([holding.mark_price for holding in self.holdings]),
            entry=_floats([holding.entry_price for holding in self.holdings]),
            profit=np.array([_profit(holding) for holding in self.holdings], dtype=np.float64),
            option=which(InstrumentKind.CALL, InstrumentKind.PUT),
            call=which(InstrumentKind.CALL),
            spot=which(InstrumentKind.SPOT),
            perpetual=which(InstrumentKind.PERPETUAL),
            future=which(InstrumentKind.FUTURE),
            inverse=np.array([one.inverse for one in instruments], dtype=np.bool_),
            underlying=_integers([by_underlying[one.underlying] for one in instruments]),
            expiry_group=_integers([-1 if one.expiry is None else by_expiry[one.underlying, one.expiry] for one in instruments]),
            strike_group=_integers(
                [-1 if one.strike is None else by_strike[one.underlying, one.expiry or 0, one.strike] for one in instruments]
            ),
            quote_group=_integers(quote_group),
        )
        quoted = tuple(first[number] for number in range(len(groups)))
        for name, value in (("underlyings", underlyings), ("expiries", expiries), ("columns", columns), ("quoted", quoted)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.holdings)

    @property
    def empty(self) -> bool:
        return not self.holdings and self.cash == 0

    @property
    def digest(self) -> str:
        """SHA-256 in hex over holdings in any order, and cash. Computed once."""
        if not self._digest:
            self._digest.append(digest((frozenset(Counter(self.holdings).items()), self.cash)))
        return self._digest[0]

    def alone(self, index: int) -> MarginBook:
        """The same holding by itself, without cash."""
        return MarginBook((self.holdings[index],))

    def without(self, index: int) -> MarginBook:
        """Everything but one holding."""
        return MarginBook(self.holdings[:index] + self.holdings[index + 1 :], self.cash)

    def take(self, rows: Iterable[int]) -> MarginBook:
        """Some of the holdings, without cash."""
        return MarginBook(tuple(self.holdings[row] for row in rows))

    def of(self, underlying: str) -> MarginBook:
        """The holdings of one underlying, without cash."""
        return MarginBook(tuple(holding for holding in self.holdings if holding.instrument.underlying == underlying))


class AttributionMethod(StrEnum):
    EULER = "euler"
    """marginal contribution times size: exact for a requirement that grows in proportion to the book"""
    LEAVE_ONE_OUT = "leave-one-out"
    """what goes when a position is taken away, scaled so that the parts sum"""
    PROPORTIONAL = "proportional"
    """in proportion to each position's requirement alone"""


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """Parts of a requirement by holding, shape (n,), that sum to the amount. Negative: the holding lowers the requirement."""

    method: AttributionMethod
    parts: Array


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioTable:
    """Profit and loss of the whole book by scenario, in USD unless the method's page says otherwise; `pnl` has shape (len(names),)."""

    names: tuple[str, ...] = ()
    pnl: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.pnl.shape != (len(self.names),):
            raise ValueError(f"{len(self.names)} scenario names for figures of shape {self.pnl.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a requirement was computed from."""

    book: MarginBook
    market: Market
    parameters: object


@dataclass(frozen=True, slots=True, eq=False)
class Requirement:
    """What a method requires of a book, in USD.

    `amount` ≥ 0 is held against `equity` (the book's value by the method's own rules: cash, mark-to-market, collateral at market);
    `net` = equity − amount is below zero where the book breaches. Both are None where the book's value is not known, for example
    without a perpetual's entry price. `components` are named parts, not necessarily additive; the method's page says which sum.
    """

    model: str
    version: str
    kind: Kind
    amount: float
    equity: float | None
    components: Mapping[str, float]
    scenarios: ScenarioTable
    worst_scenario: str | None
    attribution: Attribution
    inputs: Inputs
    verified: bool
    """False where a rule or a parameter could not be confirmed; the notes say which"""
    notes: tuple[str, ...] = ()

    @property
    def net(self) -> float | None:
        return None if self.equity is None else self.equity - self.amount

    @property
    def ratio(self) -> float | None:
        """equity / amount; below 1 the book breaches. None without equity or without a requirement."""
        return self.equity / self.amount if self.equity is not None and self.amount > 0 else None

    @property
    def inputs_hash(self) -> str:
        """SHA-256 in hex over method, version, kind, holdings in any order, cash, market and parameters."""
        inputs = self.inputs
        return digest((self.model, self.version, self.kind, inputs.book.digest, inputs.market.digest, inputs.parameters))


class MarginModel(Protocol[P]):
    """A margin method. Stateless; `parameters` are an input of every call."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever a figure can."""

    @property
    def source(self) -> str:
        """Where the rule was read."""

    def default_parameters(self) -> P:
        """The published set, with its source."""

    def refusal(self, book: MarginBook, market: Market) -> str | None:
        """Why the method says nothing about this book, in words for people; None where it applies."""

    def requirement(self, book: MarginBook, market: Market, parameters: P, kind: Kind) -> Requirement:
        """Inapplicable where `refusal` has a reason, MissingInput where the market lacks something."""

    def isolated(self, book: MarginBook, market: Market, parameters: P, kind: Kind) -> Array:
        """Amount of each holding by itself, shape (n,): what netting is measured against."""


@dataclass(frozen=True, slots=True)
class Netted(Generic[P]):
    """A model bound to parameters: what netting is worth."""

    model: MarginModel[P]
    parameters: P

    def benefit(self, book: MarginBook, market: Market, kind: Kind) -> float:
        """Σ of the holdings alone minus the book's requirement, USD. May be negative for a method that is not subadditive."""
        alone = float(self.model.isolated(book, market, self.parameters, kind).sum())
        return alone - self.model.requirement(book, market, self.parameters, kind).amount


def one_by_one(model: MarginModel[P], book: MarginBook, market: Market, parameters: P, kind: Kind) -> Array:
    """Amounts of the holdings alone, by asking the model for each; for models without a vectorised way. Linear in n."""
    return np.array([model.requirement(book.alone(index), market, parameters, kind).amount for index in range(len(book))], dtype=np.float64)


def scaled(parts: Sequence[float] | Array, amount: float, count: int) -> Array:
    """Parts scaled to sum to `amount`; equal shares where they sum to nothing."""
    values = np.asarray(parts, dtype=np.float64)
    total = float(values.sum())
    if count == 0:
        return np.zeros(0)
    return values * (amount / total) if abs(total) > 1e-12 * max(1.0, float(np.abs(values).sum())) else np.full(count, amount / count)


def _floats(values: Sequence[object]) -> Array:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)  # type: ignore[arg-type]


def _quote_key(one: Instrument) -> tuple[object, ...]:
    """What decides which quotes an instrument reads: the asset, the perpetual, the expiry, or the option's strike in it."""
    if one.kind is InstrumentKind.SPOT:
        return one.underlying, one.symbol, 0
    return one.underlying, one.expiry, one.strike


def _integers(values: Sequence[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def _profit(holding: Holding) -> float:
    if holding.unrealised is None:
        return np.nan
    return float(holding.unrealised + (holding.funding or 0))
