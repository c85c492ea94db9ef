"""Prices, forwards and volatilities that margin methods read, with the confidence their oracles state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.margin.canonical import digest

Array: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

ExpiryKey: TypeAlias = tuple[str, int]
"""underlying, expiry in seconds since the epoch"""
OptionKey: TypeAlias = tuple[str, int, float]
"""underlying, expiry, strike"""

SECONDS_PER_YEAR = 365 * 86_400
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Quote:
    """A value and the confidence its oracle states, 0…1."""

    value: float
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.value) and np.isfinite(self.confidence)):
            raise ValueError(f"quote of {self.value} with confidence {self.confidence}")


@dataclass(frozen=True, slots=True)
class Forward:
    """Forward price of an expiry. While a settlement average runs, the part already averaged is `fixed` and no longer moves."""

    variable: float
    fixed: float = 0.0
    rate: float = 0.0
    """continuously compounded, a year"""
    confidence: float = 1.0
    """the lower of the forward's and the rate's"""

    @property
    def price(self) -> float:
        return self.variable + self.fixed


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """One moment's market. Everything in USD; volatilities a year, as fractions. What is not there is missing, never zero."""

    as_of: float
    """seconds since the epoch"""
    spot: Mapping[str, Quote]
    """by underlying"""
    assets: Mapping[str, Quote] = field(default_factory=dict)
    """by the symbol of a SPOT instrument, where its price is not the underlying's"""
    perpetuals: Mapping[str, Quote] = field(default_factory=dict)
    """mark price by underlying"""
    forwards: Mapping[ExpiryKey, Forward] = field(default_factory=dict)
    volatilities: Mapping[OptionKey, Quote] = field(default_factory=dict)
    stable: float = 1.0
    """USD price of the settlement stable coin"""
    _digest: list[str] = field(init=False, repr=False, default_factory=list)

    @property
    def digest(self) -> str:
        """SHA-256 in hex over everything the market says. Computed once."""
        if not self._digest:
            said = (self.as_of, self.spot, self.assets, self.perpetuals, self.forwards, self.volatilities, self.stable)
            self._digest.append(digest(said))
        return self._digest[0]

    def years(self, expiry: float) -> float:
        """Time to an expiry, ≥ 0."""
        return max(expiry - self.as_of, 0.0) / SECONDS_PER_YEAR

    def shocked(self, underlying: str, move: float, volatility: float = 0.0) -> Market:
        """The market after a relative move of one underlying and of its volatilities; assets that follow it are the caller's to move."""
        factor, smile = 1.0 + move, 1.0 + volatility

        def quote(key: str, one: Quote) -> Quote:
            return Quote(one.value * factor, one.confidence) if key == underlying else one

        return replace(
            self,
            spot={key: quote(key, one) for key, one in self.spot.items()},
            perpetuals={key: quote(key, one) for key, one in self.perpetuals.items()},
            forwards={
                key: replace(one, variable=one.variable * factor) if key[0] == underlying else one for key, one in self.forwards.items()
            },
            volatilities={
                key: Quote(one.value * smile, one.confidence) if key[0] == underlying else one for key, one in self.volatilities.items()
            },
        )
