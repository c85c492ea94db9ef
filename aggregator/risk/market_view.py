"""What price histories say of risk factors, worked out once for each set of histories: owners who hold the same things share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FactorClass
from aggregator.risk.correlation import correlations
from aggregator.risk.filtered import Filtered, filtered
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import Volatility, volatilities

KEPT = 128
"""sets of histories that are remembered"""


@dataclass(frozen=True, slots=True, eq=False)
class MarketView:
    """Of factors in one order. Read only."""

    volatilities: Mapping[str, Volatility]
    correlation: Array
    on_record: Filtered | None
    """joint returns, None without enough of them"""


def market_view(factors: Sequence[str], classes: Mapping[str, FactorClass], series: Mapping[str, PriceSeries]) -> MarketView:
    """Pure; `series` as `volatility.by_factor` gives them. Equal histories are recognised by their content."""
    return _view(_Question(tuple(factors), {name: classes[name] for name in factors}, series))


class _Question:
    """The three together, equal to another of the same content."""

    __slots__ = ("classes", "content", "factors", "series")

    def __init__(self, factors: tuple[str, ...], classes: Mapping[str, FactorClass], series: Mapping[str, PriceSeries]) -> None:
        self.factors, self.classes, self.series = factors, classes, series
        content = blake2b(repr((factors, sorted(classes.items()))).encode(), digest_size=32)
        for name in sorted(series):
            one = series[name]
            content.update(repr((name, one.source, len(one.timestamps))).encode())
            content.update(np.ascontiguousarray(one.timestamps).tobytes())
            content.update(np.ascontiguousarray(one.prices).tobytes())
        self.content = content.digest()

    def __hash__(self) -> int:
        return hash(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Question) and other.content == self.content


@lru_cache(maxsize=KEPT)
def _view(asked: _Question) -> MarketView:
    correlation = correlations(asked.factors, asked.classes, asked.series)
    correlation.flags.writeable = False
    on_record = filtered(asked.factors, asked.series)
    if on_record is not None:
        on_record.shocks.flags.writeable = False
    return MarketView(volatilities(asked.factors, asked.classes, asked.series), correlation, on_record)
