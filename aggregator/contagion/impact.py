"""How far sales push a price: the factor that is left after a cumulative value has been sold, 1 at nothing sold, never rising.

Values are USD sold by asset at the prices of the time. An infinite depth moves nothing; a depth that is not known (NaN) moves nothing
either, but whoever uses it must say so: `unknown` names those assets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregator.model.book import Floats, Mask
from aggregator.model.errors import InputError

_Kind = TypeVar("_Kind", bound=np.generic)


class Impact(Protocol):
    """A price impact by asset."""

    @property
    def unknown(self) -> Mask:
        """Assets whose depth is not known."""

    def factor(self, sold: Floats, assets: NDArray[np.intp] | None = None) -> Floats:
        """Price factor after `sold` USD in all; by asset, or for the assets given element by element."""

    def fill(self, before: Floats, more: Floats, assets: NDArray[np.intp]) -> Floats:
        """Mean price of selling `more` after `before`, relative to the price at `before`, element by element."""

    def marginal(self, sold: Floats) -> Floats:
        """−d ln(factor) / d sold, by asset: the relative fall per further USD."""


@dataclass(frozen=True, slots=True)
class ExponentialImpact:
    """exp(−X / depth): `depth` is the value whose sale takes the price to 1/e of itself."""

    depth: Floats

    def __post_init__(self) -> None:
        _refuse("depth", self.depth <= 0.0)

    @property
    def unknown(self) -> Mask:
        return np.isnan(self.depth)

    def factor(self, sold: Floats, assets: NDArray[np.intp] | None = None) -> Floats:
        return np.exp(-sold / _known(self.depth, assets))

    def fill(self, before: Floats, more: Floats, assets: NDArray[np.intp]) -> Floats:
        part = more / _known(self.depth, assets)
        return np.where(part > 0.0, -np.expm1(-part) / np.where(part > 0.0, part, 1.0), 1.0)

    def marginal(self, sold: Floats) -> Floats:
        return 1.0 / _known(self.depth, None)


@dataclass(frozen=True, slots=True)
class LinearImpact:
    """1 − rate · X, not below 0 (Greenwood, Landier, Thesmar); `rate` per USD."""

    rate: Floats

    def __post_init__(self) -> None:
        _refuse("impact rate", self.rate < 0.0)

    @property
    def unknown(self) -> Mask:
        return np.isnan(self.rate)

    def factor(self, sold: Floats, assets: NDArray[np.intp] | None = None) -> Floats:
        return np.maximum(1.0 - self._of(assets) * sold, 0.0)

    def fill(self, before: Floats, more: Floats, assets: NDArray[np.intp]) -> Floats:
        start, end = self.factor(before, assets), self.factor(before + more, assets)
        rate = self._of(assets)
        # below zero nothing is paid: the mean is over the part that still sells for something
        sold = np.where(rate > 0.0, np.minimum(more, start / np.where(rate > 0.0, rate, 1.0)), more)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (start + end) / 2.0 * sold / (start * more)
        return np.where((more > 0.0) & (start > 0.0), mean, np.where(start > 0.0, 1.0, 0.0))

    def marginal(self, sold: Floats) -> Floats:
        left = self.factor(sold)
        return np.where(left > 0.0, self._of(None) / np.where(left > 0.0, left, 1.0), 0.0)

    def _of(self, assets: NDArray[np.intp] | None) -> Floats:
        rate = np.nan_to_num(self.rate)
        return rate if assets is None else rate[assets]


@dataclass(frozen=True, slots=True)
class ConstantProductImpact:
    """(x / (x + X))² of a pool that holds `reserve` USD of the asset sold."""

    reserve: Floats

    def __post_init__(self) -> None:
        _refuse("pool reserve", self.reserve <= 0.0)

    @property
    def unknown(self) -> Mask:
        return np.isnan(self.reserve)

    def factor(self, sold: Floats, assets: NDArray[np.intp] | None = None) -> Floats:
        return np.square(1.0 / (1.0 + sold / _known(self.reserve, assets)))

    def fill(self, before: Floats, more: Floats, assets: NDArray[np.intp]) -> Floats:
        return 1.0 / (1.0 + more / (_known(self.reserve, assets) + before))

    def marginal(self, sold: Floats) -> Floats:
        return 2.0 / (_known(self.reserve, None) + sold)


@dataclass(frozen=True, slots=True)
class MeasuredImpact:
    """A measured depth curve by asset: price factors at values sold, straight in between, and as at the last point beyond it.

    `sold` and `factors`: for each asset one array, ascending from 0 and falling from 1; None where it was not measured.
    """

    sold: Sequence[Floats | None]
    factors: Sequence[Floats | None]

    def __post_init__(self) -> None:
        for place, (sold, factors) in enumerate(zip(self.sold, self.factors, strict=True)):
            if sold is None or factors is None:
                continue
            rising = len(sold) >= 2 and len(sold) == len(factors) and sold[0] == 0.0 and bool((np.diff(sold) > 0.0).all())
            falling = factors[0] == 1.0 and bool((np.diff(factors) <= 0.0).all()) and float(factors[-1]) >= 0.0
            if not (rising and falling):
                raise InputError(f"depth curve of asset {place} must start at nothing sold and factor 1, rise in value and never in price")

    @property
    def unknown(self) -> Mask:
        return np.array([sold is None for sold in self.sold])

    def factor(self, sold: Floats, assets: NDArray[np.intp] | None = None) -> Floats:
        codes = np.arange(len(self.sold)) if assets is None else assets
        result = np.ones(len(codes))
        for code in np.unique(codes):
            curve, factors = self.sold[code], self.factors[code]
            if curve is not None and factors is not None:
                here = codes == code
                result[here] = np.interp(sold[here], curve, factors)
        return result

    def fill(self, before: Floats, more: Floats, assets: NDArray[np.intp]) -> Floats:
        result = np.ones(len(assets))
        for code in np.unique(assets):
            curve, factors = self.sold[code], self.factors[code]
            if curve is None or factors is None:
                continue
            here = np.flatnonzero((assets == code) & (more > 0.0))
            area = _area(curve, factors, before[here] + more[here]) - _area(curve, factors, before[here])
            start = np.interp(before[here], curve, factors)
            result[here] = np.where(start > 0.0, area / (more[here] * np.where(start > 0.0, start, 1.0)), 0.0)
        return result

    def marginal(self, sold: Floats) -> Floats:
        result = np.zeros(len(self.sold))
        for code, (curve, factors) in enumerate(zip(self.sold, self.factors, strict=True)):
            if curve is None or factors is None or sold[code] >= curve[-1]:
                continue
            piece = int(np.searchsorted(curve, sold[code], side="right")) - 1
            slope = (factors[piece] - factors[piece + 1]) / (curve[piece + 1] - curve[piece])
            left = float(np.interp(sold[code], curve, factors))
            result[code] = slope / left if left > 0.0 else 0.0
        return result


@dataclass(frozen=True, slots=True)
class MixedImpact:
    """Several impacts of all assets together: asset a follows impacts[which[a]]."""

    impacts: tuple[Impact, ...]
    which: NDArray[np.intp]

    @property
    def unknown(self) -> Mask:
        return self._chosen([impact.unknown for impact in self.impacts])

    def factor(self, sold: Floats, assets: NDArray[np.intp] | None = None) -> Floats:
        return self._chosen([impact.factor(sold, assets) for impact in self.impacts], assets)

    def fill(self, before: Floats, more: Floats, assets: NDArray[np.intp]) -> Floats:
        return self._chosen([impact.fill(before, more, assets) for impact in self.impacts], assets)

    def marginal(self, sold: Floats) -> Floats:
        return self._chosen([impact.marginal(sold) for impact in self.impacts])

    def _chosen(self, columns: Sequence[NDArray[_Kind]], assets: NDArray[np.intp] | None = None) -> NDArray[_Kind]:
        which = self.which if assets is None else self.which[assets]
        result: NDArray[_Kind] = np.stack(columns)[which, np.arange(len(which))]
        return result


def _area(curve: Floats, factors: Floats, until: Floats) -> Floats:
    """∫ factor from nothing sold to each value."""
    whole = np.concatenate([[0.0], np.cumsum(np.diff(curve) * (factors[1:] + factors[:-1]) / 2.0)])
    inside = np.minimum(until, curve[-1])
    piece = np.clip(np.searchsorted(curve, inside, side="right") - 1, 0, len(curve) - 2)
    at = np.interp(inside, curve, factors)
    result: Floats = whole[piece] + (inside - curve[piece]) * (at + factors[piece]) / 2.0 + (until - inside) * factors[-1]
    return result


def no_impact(assets: int) -> ExponentialImpact:
    """Sales move nothing."""
    return ExponentialImpact(np.full(assets, np.inf))


def _known(depth: Floats, assets: NDArray[np.intp] | None) -> Floats:
    """Depth with what is not known taken as infinite; the caller's evidence names it."""
    known = np.where(np.isnan(depth), np.inf, depth)
    return known if assets is None else known[assets]


def _refuse(what: str, wrong: Mask) -> None:
    if wrong.any():
        raise InputError(f"{what} of asset {int(np.argmax(wrong))} is not a positive value")
