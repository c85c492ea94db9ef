"""Market depth out of what pools hold: how much of an asset can be sold until its price stands at a factor of what it was.

Values are USD at the price before the sale. Pools of one asset are taken together: arbitrage leaves them at the same price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aggregator.contagion.impact import Impact, MeasuredImpact
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

FACTORS: Floats = np.concatenate([np.linspace(1.0, 0.9, 41), np.linspace(0.895, 0.5, 80), np.linspace(0.49, 0.05, 45)])
"""price factors at which curves are taken, finest near the price"""
SLIPPAGE = 0.05
HALVINGS = 200


class Venue(Protocol):
    """Somewhere to sell an asset."""

    def sold_down_to(self, factors: Floats) -> Floats:
        """USD at the starting price that sell until the price is each factor (of 1) of what it was."""


@dataclass(frozen=True, slots=True)
class ConstantProduct:
    """Uniswap v2: `reserve_usd` of the asset sold, `fee` a share of what is put in."""

    reserve_usd: float
    fee: float = 0.003

    def __post_init__(self) -> None:
        _check_pool(self.reserve_usd, self.fee)

    def sold_down_to(self, factors: Floats) -> Floats:
        result: Floats = self.reserve_usd * (1.0 / np.sqrt(factors) - 1.0) / (1.0 - self.fee)
        return result


@dataclass(frozen=True, slots=True)
class Concentrated:
    """Uniswap v3 and v4: liquidity by range, from below the price up to it.

    `bounds`: price factors of tick boundaries, falling from 1; `liquidity_usd`: between one boundary and the next, L · √price in USD,
    which is the reserve of the asset that a pool over all prices would have.
    """

    bounds: Floats
    liquidity_usd: Floats
    fee: float = 0.003

    def __post_init__(self) -> None:
        _check_pool(1.0, self.fee)
        falling = len(self.bounds) == len(self.liquidity_usd) + 1 and self.bounds[0] == 1.0 and bool((np.diff(self.bounds) < 0.0).all())
        if not (falling and self.bounds[-1] >= 0.0 and (self.liquidity_usd >= 0.0).all() and np.isfinite(self.liquidity_usd).all()):
            raise InputError(
                "ranges of liquidity start at the price and fall, with a liquidity of 0 or more between one bound and the next"
            )

    def sold_down_to(self, factors: Floats) -> Floats:
        highs, lows = self.bounds[:-1], self.bounds[1:]
        reached = np.clip(factors[:, None], lows, highs)
        with np.errstate(divide="ignore"):
            parts = self.liquidity_usd * (1.0 / np.sqrt(reached) - 1.0 / np.sqrt(highs))
        result: Floats = parts.sum(axis=1) / (1.0 - self.fee)
        return result


def _check_pool(reserve: float, fee: float) -> None:
    if not (0.0 < reserve < np.inf and 0.0 <= fee < 1.0):
        raise InputError(f"a pool needs a reserve above 0 and a fee of 0 to below 1, not {reserve:g} and {fee:g}")


def depth_curve(venues: Sequence[Venue], factors: Floats = FACTORS) -> tuple[Floats, Floats]:
    """(USD sold, price factor) of all venues together, as `MeasuredImpact` takes them. InputError without a venue."""
    if not venues:
        raise InputError("a depth curve needs a venue")
    sold = np.sum([venue.sold_down_to(factors) for venue in venues], axis=0)
    if not sold[-1] > 0.0:
        raise InputError("nothing can be sold at any price in these venues")
    # where a price falls through a gap without anything sold, the lowest factor holds for what is sold next
    keep = np.append(np.diff(sold) > 0.0, True)
    kept_sold, kept = sold[keep], factors[keep]
    if kept_sold[0] > 0.0 or kept[0] < 1.0:
        kept_sold, kept = np.append(0.0, kept_sold + (np.finfo(float).tiny if kept_sold[0] == 0.0 else 0.0)), np.append(1.0, kept)
    return kept_sold, kept


def measured(assets: int, venues: Mapping[int, Sequence[Venue]]) -> MeasuredImpact:
    """Impact of a population's assets by code; what has no venue is not known."""
    curves = [depth_curve(venues[code]) if venues.get(code) else None for code in range(assets)]
    return MeasuredImpact(
        [None if curve is None else curve[0] for curve in curves], [None if curve is None else curve[1] for curve in curves]
    )


def sellable(impact: Impact, slippage: float = SLIPPAGE) -> Floats:
    """USD by asset that sell at a mean price of 1 − slippage; infinite where sales move nothing, NaN where no depth is known."""
    if not 0.0 < slippage < 1.0:
        raise InputError(f"slippage is a share between 0 and 1, not {slippage:g}")
    count = len(impact.unknown)
    assets, zero = np.arange(count), np.zeros(count)
    low, high = np.zeros(count), np.full(count, 1.0)
    for _ in range(HALVINGS):
        enough = impact.fill(zero, high, assets) > 1.0 - slippage
        if not enough.any() or float(high.max()) > 1e30:
            break
        low, high = np.where(enough, high, low), np.where(enough, high * 2.0, high)
    endless = high > 1e30
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        enough = impact.fill(zero, middle, assets) > 1.0 - slippage
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    return np.where(impact.unknown, np.nan, np.where(endless, np.inf, low))


def margin_to_liquidity(seized: Floats, impact: Impact, slippage: float = SLIPPAGE) -> Floats:
    """By asset: USD seized at a shock over what sells at so much slippage; above 1 liquidators cannot sell it well. NaN: not known."""
    return seized / sellable(impact, slippage)
