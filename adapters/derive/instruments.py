"""Derive's instrument names: `ETH-PERP`, `ETH-20260627-2400_5-C`, `ETH-USDC`. Source: docs.derive.xyz, trading, instrument names."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from aggregator.model.instrument import Instrument, InstrumentKind

CASH = "USDC"
SETTLEMENT_HOUR = 8
"""UTC, of the day in an option's name, where the venue lists no other"""

_OPTION = re.compile(r"([A-Z0-9]+)-(\d{8})-(\d+(?:_\d+)?)-([CP])")
_PERPETUAL = re.compile(r"([A-Z0-9]+)-PERP")


def instrument(name: str, expiry: int | None = None) -> Instrument | None:
    """The instrument of a name; None where it is none that is known. `expiry` is the listed one, in seconds since the epoch."""
    perpetual = _PERPETUAL.fullmatch(name)
    if perpetual:
        return Instrument(InstrumentKind.PERPETUAL, perpetual[1], venue="derive", symbol=name, settlement=CASH)
    option = _OPTION.fullmatch(name)
    if not option:
        return None
    usual = usual_expiry(name)
    if usual is None:
        return None
    return Instrument(
        InstrumentKind.CALL if option[4] == "C" else InstrumentKind.PUT,
        option[1],
        expiry=usual if expiry is None else expiry,
        strike=Decimal(option[3].replace("_", ".")),
        venue="derive",
        symbol=name,
        settlement=CASH,
    )


def usual_expiry(name: str) -> int | None:
    """08:00 UTC of the day in an option's name, seconds since the epoch; None for anything else."""
    option = _OPTION.fullmatch(name)
    if not option:
        return None
    try:
        day = datetime.strptime(option[2], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) + SETTLEMENT_HOUR * 3_600


def option_currency(name: str) -> str | None:
    """Underlying of an option's name."""
    option = _OPTION.fullmatch(name)
    return option[1] if option else None
