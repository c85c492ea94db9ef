"""Books, markets and reference vectors for the margin methods' tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, Forward, Market, Quote

VECTORS = Path(__file__).parents[3].parent / "shared/DATA/vectors/margin"


def vectors(name: str) -> Any:
    """A file of reference vectors; the test skips where the recorded data is absent."""
    path = VECTORS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"reference vectors are not here: ../shared/DATA/vectors/margin/{name}.json")
    return json.loads(path.read_text())


def case_names(name: str) -> list[str]:
    """Ids of a file's cases for parametrising; one placeholder that skips where the file is absent."""
    path = VECTORS / f"{name}.json"
    if not path.exists():
        return ["absent"]
    cases = json.loads(path.read_text())["cases"]
    return list(cases) if isinstance(cases, dict) else [str(one.get("id", one.get("name"))) for one in cases]


def decimal(value: object) -> Decimal:
    """A number of a JSON file, floats by their shortest form."""
    return Decimal(str(value))


def wad(value: float | int | str) -> Decimal:
    """An 18-decimals integer of a contract as a Decimal."""
    return Decimal(int(value)).scaleb(-18)


def option(
    strike: float | Decimal, size: float | Decimal, *, call: bool = True, expiry: int = 30 * SECONDS_PER_DAY, underlying: str = "ETH"
) -> Holding:
    kind = InstrumentKind.CALL if call else InstrumentKind.PUT
    return Holding(Instrument(kind, underlying, expiry, decimal(strike)), decimal(size))


def perpetual(
    size: float | Decimal, entry: float | None = None, unrealised: float | Decimal | None = None, underlying: str = "ETH"
) -> Holding:
    return Holding(
        Instrument(InstrumentKind.PERPETUAL, underlying),
        decimal(size),
        entry_price=None if entry is None else decimal(entry),
        unrealised=None if unrealised is None else decimal(unrealised),
    )


def spot(symbol: str, size: float | Decimal, underlying: str | None = None) -> Holding:
    return Holding(Instrument(InstrumentKind.SPOT, underlying or symbol, symbol=symbol), decimal(size))


def book(*holdings: Holding, cash: float = 0.0) -> MarginBook:
    return MarginBook(tuple(holdings), cash)


def market_of(
    holdings: Iterable[Holding],
    price: float = 2600.0,
    volatility: float = 0.6,
    rate: float = 0.0,
    prices: dict[str, float] | None = None,
) -> Market:
    """A flat market for whatever the holdings need: forwards at spot, one volatility."""
    levels = prices or {}
    spots: dict[str, Quote] = {}
    forwards: dict[tuple[str, int], Forward] = {}
    volatilities: dict[tuple[str, int, float], Quote] = {}
    for one in holdings:
        instrument = one.instrument
        level = levels.get(instrument.underlying, price)
        spots[instrument.underlying] = Quote(level)
        if instrument.expiry is not None:
            forwards[instrument.underlying, instrument.expiry] = Forward(level, rate=rate)
            if instrument.strike is not None:
                volatilities[instrument.underlying, instrument.expiry, float(instrument.strike)] = Quote(volatility)
    return Market(
        as_of=0.0,
        spot=spots,
        assets={
            one.instrument.symbol: Quote(levels.get(one.instrument.symbol, price))
            for one in holdings
            if one.instrument.kind is InstrumentKind.SPOT
        },
        perpetuals=dict(spots),
        forwards=forwards,
        volatilities=volatilities,
    )


def scaled(one: MarginBook, factor: int) -> MarginBook:
    """The same book, everything `factor` times."""
    return MarginBook(
        tuple(
            replace(
                holding,
                size=holding.size * factor,
                unrealised=None if holding.unrealised is None else holding.unrealised * factor,
            )
            for holding in one.holdings
        ),
        one.cash * factor,
    )
