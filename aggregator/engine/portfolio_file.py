"""A portfolio written in a file, YAML or JSON: positions, cash and the market they stand in. Schema `crossmargin/portfolio/1`.

Strict: an unknown field, a number that is none, an expired option or a negative size where none may be is refused in one line that names
file, line and field. What the market does not say of a position is not guessed: the position stands in the coverage. Numbers may be
written as strings to keep every digit. See docs/methods/portfolio-file.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AwareDatetime, Field, model_validator

from aggregator.engine.margin_input import Correlation, MarginInput, Unmargined
from aggregator.model.errors import ConfigurationError
from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.model.snapshot import Remark
from aggregator.reading.data import Data, load_data
from aggregator.risk.correlation import repair
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import Forward, Market, OptionKey, Quote
from aggregator.risk.margin.quotes import lacking
from aggregator.risk.pricing.black76 import CALL, PUT, implied_volatility

SCHEMA = "crossmargin/portfolio/1"

Finite = Annotated[Decimal, Field(allow_inf_nan=False, ge=Decimal("-1e30"), le=Decimal("1e30"))]
Amount = Annotated[Decimal, Field(allow_inf_nan=False, ge=0, le=Decimal("1e30"))]
Positive = Annotated[Decimal, Field(allow_inf_nan=False, ge=Decimal("1e-18"), le=Decimal("1e30"))]
Share = Annotated[Decimal, Field(allow_inf_nan=False, ge=0, le=1)]
Volatility = Annotated[Decimal, Field(allow_inf_nan=False, gt=0, le=50)]
Rate = Annotated[Decimal, Field(allow_inf_nan=False, ge=-1, le=10)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class ExpiryData(Data):
    """What is known of one expiry. `price` is the forward; without it spot stands in, and a warning says so."""

    expiry: AwareDatetime
    price: Positive | None = None
    rate: Rate = Decimal(0)
    volatility: Volatility | None = None
    confidence: Share = Decimal(1)


class MarketData(Data):
    """One underlying. `volatility` is of all options that state none; `perpetual` the mark of its perpetual."""

    spot: Positive
    perpetual: Positive | None = None
    volatility: Volatility | None = None
    confidence: Share = Decimal(1)
    expiries: tuple[ExpiryData, ...] = ()


class CorrelationData(Data):
    """Correlations of underlyings, a symmetric matrix in the order of `names`."""

    names: tuple[Name, ...]
    matrix: tuple[tuple[Annotated[Decimal, Field(allow_inf_nan=False, ge=-1, le=1)], ...], ...]

    @model_validator(mode="after")
    def _square(self) -> Self:
        size = len(self.names)
        if len(set(self.names)) != size:
            raise ValueError("a name stands twice")
        if len(self.matrix) != size or any(len(row) != size for row in self.matrix):
            raise ValueError(f"expected {size} rows of {size} correlations")
        if any(self.matrix[row][row] != 1 for row in range(size)):
            raise ValueError("expected 1 on the diagonal")
        if any(self.matrix[row][column] != self.matrix[column][row] for row in range(size) for column in range(row)):
            raise ValueError("expected a symmetric matrix")
        return self


class Held(Data):
    """What every kind of position has."""

    underlying: Name
    venue: str = ""


class SpotPosition(Held):
    """An asset held, or borrowed with `borrowed: true`; `symbol` where it is not the underlying itself, such as weETH on ETH."""

    kind: Literal["spot"]
    size: Amount
    symbol: Name | None = None
    price: Positive | None = None
    borrowed: bool = False


class DeltaOne(Held):
    """A perpetual or future, long or short. Its profit is stated, or follows from entry and mark price; else it is not known."""

    size: Finite
    contract_size: Positive = Decimal(1)
    inverse: bool = False
    settlement: Name = "USDC"
    mark_price: Positive | None = None
    entry_price: Positive | None = None
    unrealised: Finite | None = None
    funding: Finite | None = None
    margin: Amount | None = None
    leverage: Positive | None = None


class PerpetualPosition(DeltaOne):
    kind: Literal["perpetual"]


class FuturePosition(DeltaOne):
    kind: Literal["future"]
    expiry: AwareDatetime


class OptionPosition(Held):
    """A call or put, long or short. `volatility` is its own; else it follows from `mark_price`, else from the market."""

    kind: Literal["call", "put"]
    size: Finite
    expiry: AwareDatetime
    strike: Positive
    contract_size: Positive = Decimal(1)
    inverse: bool = False
    settlement: Name = "USDC"
    mark_price: Amount | None = None
    volatility: Volatility | None = None


AnyPosition = SpotPosition | PerpetualPosition | FuturePosition | OptionPosition
Position = Annotated[AnyPosition, Field(discriminator="kind")]


class PortfolioFile(Data):
    """The whole file. `cash` in USD of the settlement stable coin, negative where it is borrowed; `as_of` now where it is not given."""

    schema_name: Literal["crossmargin/portfolio/1"] = Field(alias="schema")
    as_of: AwareDatetime | None = None
    cash: Finite = Decimal(0)
    stable_price: Positive = Decimal(1)
    markets: dict[Name, MarketData] = Field(default_factory=dict)
    assets: dict[Name, Positive] = Field(default_factory=dict)
    correlations: CorrelationData | None = None
    positions: tuple[Position, ...] = ()


def read_portfolio_file(path: Path, now: datetime) -> MarginInput:
    """Read a file into book and market. ConfigurationError in one line for what is wrong with it."""
    given = load_data(path, PortfolioFile)
    as_of = given.as_of if given.as_of is not None else now
    _refuse_expired(path, given, as_of)
    _refuse_contradictions(path, given)
    remarks = list(_doubtful(given))
    holdings = [_holding(one) for one in given.positions]
    market = _market(given, as_of, holdings, remarks)
    covered: list[Holding] = []
    missing: list[Unmargined] = []
    for number, holding in enumerate(holdings):
        what = lacking(holding, market)
        if what is None:
            covered.append(holding)
        else:
            missing.append(Unmargined(f"positions.{number} {holding.instrument.label}", f"{what} is missing"))
    return MarginInput(
        book=MarginBook(tuple(covered), float(given.cash)),
        market=market,
        missing=tuple(missing),
        warnings=tuple(remarks),
        correlation=_correlation(given.correlations, remarks) if given.correlations is not None else None,
        left_out=tuple(holding for holding in holdings if lacking(holding, market) is not None),
    ).with_warnings(remarks)


def _refuse_expired(path: Path, given: PortfolioFile, as_of: datetime) -> None:
    for number, one in enumerate(given.positions):
        if isinstance(one, FuturePosition | OptionPosition) and one.expiry <= as_of:
            expected = f"expired: {_moment(one.expiry)} is not after {_moment(as_of)}, the time the book stands at"
            raise ConfigurationError(path, None, f"positions.{number}.expiry", expected)


def _refuse_contradictions(path: Path, given: PortfolioFile) -> None:
    """One thing that is stated twice with two figures: neither can be chosen without guessing."""
    for name, market in given.markets.items():
        expiries = [one.expiry for one in market.expiries]
        for number, expiry in enumerate(expiries):
            if expiry in expiries[:number]:
                where = f"markets.{name}.expiries.{number}.expiry"
                raise ConfigurationError(path, None, where, f"{_moment(expiry)} stands twice, first in {expiries.index(expiry)}")
    stated: dict[tuple[object, ...], tuple[int, Decimal]] = {}
    for number, one in enumerate(given.positions):
        key: tuple[object, ...]
        if isinstance(one, SpotPosition):
            field, value, key = "price", one.price, ("spot", one.symbol or one.underlying)
        elif isinstance(one, OptionPosition):
            field, value, key = "volatility", one.volatility, (one.underlying, one.expiry, one.strike)
        else:
            continue
        if value is None:
            continue
        first, other = stated.setdefault(key, (number, value))
        if other != value:
            raise ConfigurationError(path, None, f"positions.{number}.{field}", f"{value}, but positions.{first} says {other} of the same")


def _doubtful(given: PortfolioFile) -> Iterator[Remark]:
    """What may be meant, and may be a slip: a position that stands there twice, marks of one contract that differ."""
    seen: dict[AnyPosition, int] = {}
    marks: dict[tuple[object, ...], tuple[int, Decimal]] = {}
    for number, one in enumerate(given.positions):
        first = seen.setdefault(one, number)
        if first != number:
            yield Remark("duplicate-position", f"positions.{number} is the same as positions.{first}: both count")
        if isinstance(one, SpotPosition) or one.mark_price is None:
            continue
        key = (one.kind, one.underlying, getattr(one, "expiry", None), getattr(one, "strike", None), one.inverse)
        at, mark = marks.setdefault(key, (number, one.mark_price))
        if mark != one.mark_price:
            yield Remark("marks-differ", f"positions.{number} is marked at {one.mark_price}, positions.{at} at {mark}: the first is used")


def _holding(one: AnyPosition) -> Holding:
    if isinstance(one, SpotPosition):
        symbol = one.symbol if one.symbol is not None else one.underlying
        instrument = Instrument(InstrumentKind.SPOT, one.underlying, venue=one.venue, symbol=symbol)
        return Holding(instrument, -one.size if one.borrowed else one.size, mark_price=one.price)
    expiry = _seconds(one.expiry) if isinstance(one, FuturePosition | OptionPosition) else None
    strike = one.strike if isinstance(one, OptionPosition) else None
    instrument = Instrument(
        kind=InstrumentKind(one.kind),
        underlying=one.underlying,
        expiry=expiry,
        strike=strike,
        contract_size=one.contract_size,
        inverse=one.inverse,
        settlement=one.settlement,
        venue=one.venue,
    )
    if isinstance(one, OptionPosition):
        return Holding(instrument, one.size, mark_price=one.mark_price)
    return Holding(
        instrument,
        one.size,
        mark_price=one.mark_price,
        entry_price=one.entry_price,
        unrealised=one.unrealised,
        funding=one.funding,
        margin=one.margin,
        leverage=one.leverage,
    )


def _market(given: PortfolioFile, as_of: datetime, holdings: list[Holding], remarks: list[Remark]) -> Market:
    forwards = dict(_forwards(given, holdings, remarks))
    spot = {name: Quote(float(one.spot), float(one.confidence)) for name, one in given.markets.items()}
    assets = {name: Quote(float(price)) for name, price in given.assets.items()}
    for one in given.positions:
        if isinstance(one, SpotPosition) and one.price is not None:
            assets[one.symbol or one.underlying] = Quote(float(one.price))
    return Market(
        as_of=as_of.timestamp(),
        spot=spot,
        assets=assets,
        perpetuals=dict(_perpetuals(given, remarks)),
        forwards=forwards,
        volatilities=dict(_volatilities(given, as_of, forwards, remarks)),
        stable=float(given.stable_price),
    )


def _forwards(given: PortfolioFile, holdings: Iterable[Holding], remarks: list[Remark]) -> Iterator[tuple[tuple[str, int], Forward]]:
    """Of every expiry held: as the file says, else the future's own mark, else spot with a warning."""
    wanted = sorted({(one.instrument.underlying, one.instrument.expiry) for one in holdings if one.instrument.expiry is not None})
    marks: dict[tuple[str, int | None], Decimal] = {}
    for one in holdings:
        if one.instrument.kind is InstrumentKind.FUTURE and one.mark_price is not None:
            marks.setdefault((one.instrument.underlying, one.instrument.expiry), one.mark_price)
    for name, expiry in wanted:
        market = given.markets.get(name)
        if market is None:
            continue
        said = next((one for one in market.expiries if _seconds(one.expiry) == expiry), None)
        price = (said.price if said is not None else None) or marks.get((name, expiry))
        if price is None:
            remarks.append(
                Remark("forward-assumed", f"{name} {_moment(datetime.fromtimestamp(expiry, UTC))}: no forward is given, spot stands in")
            )
        rate, confidence = (said.rate, said.confidence) if said is not None else (Decimal(0), Decimal(1))
        yield (name, expiry), Forward(float(price or market.spot), rate=float(rate), confidence=float(confidence))


def _perpetuals(given: PortfolioFile, remarks: list[Remark]) -> Iterator[tuple[str, Quote]]:
    """Marks of the perpetuals held: the market's, else the position's, else spot with a warning."""
    held = [one for one in given.positions if isinstance(one, PerpetualPosition)]
    for name in sorted({one.underlying for one in held}):
        market = given.markets.get(name)
        if market is None:
            continue
        mark = market.perpetual or next((one.mark_price for one in held if one.underlying == name and one.mark_price is not None), None)
        if mark is None:
            remarks.append(Remark("mark-assumed", f"{name} perpetual: no mark price is given, spot stands in"))
        yield name, Quote(float(mark or market.spot), float(market.confidence))


def _volatilities(
    given: PortfolioFile, as_of: datetime, forwards: dict[tuple[str, int], Forward], remarks: list[Remark]
) -> Iterator[tuple[OptionKey, Quote]]:
    """Of every option: the first that a position states, else behind the first mark price, else the expiry's, else the market's."""
    held: dict[OptionKey, list[OptionPosition]] = {}
    for one in given.positions:
        if isinstance(one, OptionPosition) and one.underlying in given.markets:
            held.setdefault((one.underlying, _seconds(one.expiry), float(one.strike)), []).append(one)
    expiries = {(name, _seconds(one.expiry)): one for name, market in given.markets.items() for one in market.expiries}
    for key, positions in held.items():
        said, forward = expiries.get(key[:2]), forwards[key[:2]]
        known = next((one.volatility for one in positions if one.volatility is not None), None)
        if known is None and (marked := next((one for one in positions if one.mark_price is not None), None)) is not None:
            known = _implied(marked, forward, (marked.expiry - as_of).total_seconds(), remarks)
        known = known or (said.volatility if said is not None else None) or given.markets[key[0]].volatility
        if known is not None:
            yield key, Quote(float(known), float(said.confidence) if said is not None else 1.0)


def _implied(one: OptionPosition, forward: Forward, seconds: float, remarks: list[Remark]) -> Decimal | None:
    """Volatility behind a mark price; None with a warning where no volatility gives it."""
    premium = float(one.mark_price or 0) * (forward.price if one.inverse else 1.0)
    side = CALL if one.kind == "call" else PUT
    found = float(implied_volatility(premium, forward.price, float(one.strike), seconds / (365 * 86_400), side))
    if np.isnan(found):
        label = f"{one.underlying} {one.strike:f} {one.kind}"
        remarks.append(Remark("mark-implausible", f"{label}: no volatility gives a mark price of {one.mark_price}"))
        return None
    return Decimal(repr(found))


def _correlation(given: CorrelationData, remarks: list[Remark]) -> Correlation:
    matrix = np.array(given.matrix, dtype=np.float64)
    least = float(np.linalg.eigvalsh(matrix)[0]) if len(matrix) else 0.0
    if least < -1e-10:
        remarks.append(
            Remark(
                "correlation-repaired",
                f"the correlations cannot hold together (least eigenvalue {least:.3g}): the nearest that can are used",
            )
        )
    return Correlation(given.names, repair(matrix))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
