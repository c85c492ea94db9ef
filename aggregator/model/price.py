"""A price with its value, age, sources and confidence; and the book of prices a portfolio is valued with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.model.identifiers import AssetId


class PriceQuality(StrEnum):
    """From the best to none."""

    FRESH = "fresh"
    STALE = "stale"
    """older than its heartbeat allows: still shown, named, and widened"""
    BOUNDED = "bounded"
    """the answer sits at the aggregator's minimum or maximum and is not believed"""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Price:
    """USD price of one whole token.

    `low` and `high` bound it (collateral is valued with value, stressed from low; debt from high); `age_seconds` is against the block's
    timestamp; `sources` name every feed, rate and block it was made of; `confidence` in 0…1. `value` is None only when MISSING.
    """

    asset: AssetId
    value: Decimal | None
    low: Decimal | None
    high: Decimal | None
    age_seconds: int | None
    quality: PriceQuality
    confidence: float
    sources: tuple[str, ...]
    detail: str = ""


PriceBook: TypeAlias = Mapping[AssetId, Price]


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """History of one risk factor in USD: float64 arrays of equal length n, `timestamps` ascending, seconds since the epoch."""

    factor: str
    timestamps: NDArray[np.float64]
    prices: NDArray[np.float64]
    source: str
