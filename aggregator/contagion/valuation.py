"""What a claim is worth given its debtor's equity: the models of the network-valuation family, a share of face value in 0…1.

Barucca, Bardoscia, Caccioli, D'Errico, Visentin, Caldarelli, Battiston, "Network valuation in financial systems", Mathematical Finance
30 (2020); Bardoscia, Barucca, Brinley Codd, Hill, "Forward-looking solvency contagion", JEDC 108 (2019). All functions take and give
arrays whose first axis is the debtor; further axes are shocks evaluated side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtr

from aggregator.model.book import Floats


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a valuation may look at, arrays broadcastable to the equities.

    `reference_equity`: at face value before the shock, infinite for who had none: its relative loss is whole. `external_assets`: after
    the shock. `liabilities`: to those that rank with the network's creditors; `senior`: to those that are paid before them.
    `per_liability`: 1 / liabilities, 1 for who owes nothing: nobody holds a claim on it.
    """

    reference_equity: Floats
    external_assets: Floats
    liabilities: Floats
    senior: Floats
    per_liability: Floats

    @staticmethod
    def of(face_equity: Floats, external_assets: Floats, liabilities: Floats, senior: Floats) -> Sheet:
        """A sheet with what follows from it."""
        per_liability = 1.0 / np.where(liabilities > 0.0, liabilities, 1.0)
        return Sheet(np.where(face_equity > 0.0, face_equity, np.inf), external_assets, liabilities, senior, per_liability)


class Valuation(Protocol):
    """A model: `value` of a claim, and its `slope` by equity where the value is piecewise linear (None where it is not)."""

    @property
    def name(self) -> str: ...

    def value(self, equity: Floats, sheet: Sheet) -> Floats: ...

    def slope(self, equity: Floats, sheet: Sheet) -> Floats | None: ...


@dataclass(frozen=True, slots=True)
class EisenbergNoe:
    """Whole while solvent; after default what is there, shared out by what is owed."""

    name: str = "eisenberg-noe"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        return np.clip(_recovery(equity, sheet), 0.0, 1.0)

    def slope(self, equity: Floats, sheet: Sheet) -> Floats:
        recovering = (equity <= 0.0) & (_recovery(equity, sheet) > 0.0)
        return np.where(recovering, sheet.per_liability, 0.0)


@dataclass(frozen=True, slots=True)
class RogersVeraart:
    """Default costs: only `alpha` of external and `beta` of network assets are recovered."""

    alpha: float
    beta: float
    name: str = "rogers-veraart"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        paid = ((self.alpha - self.beta) * sheet.external_assets - (1.0 - self.beta) * sheet.senior) * sheet.per_liability
        values = _recovery(equity, sheet)
        np.maximum(values, 0.0, out=values)
        values *= self.beta
        values += paid
        np.clip(values, 0.0, 1.0, out=values)
        return np.maximum(values, equity > 0.0, out=values)

    def slope(self, equity: Floats, sheet: Sheet) -> Floats:
        recovering = (equity <= 0.0) & (self.value(equity, sheet) > 0.0) & (_recovery(equity, sheet) > 0.0)
        return np.where(recovering, self.beta * sheet.per_liability, 0.0)


@dataclass(frozen=True, slots=True)
class Furfine:
    """Contagion on default alone: whole while solvent, `recovery` after."""

    recovery: float = 0.0
    name: str = "furfine"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        return np.maximum(equity > 0.0, self.recovery)

    def slope(self, equity: Floats, sheet: Sheet) -> Floats:
        return np.zeros_like(equity)


@dataclass(frozen=True, slots=True)
class LinearDebtRank:
    """A claim loses the share that its debtor's equity has lost."""

    name: str = "linear-debtrank"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        return np.clip(equity / sheet.reference_equity, 0.0, 1.0)

    def slope(self, equity: Floats, sheet: Sheet) -> Floats:
        inside = (equity > 0.0) & (equity < sheet.reference_equity)
        return np.where(inside, 1.0 / sheet.reference_equity, 0.0)


@dataclass(frozen=True, slots=True)
class NonLinearDebtRank:
    """Default probability h·exp(alpha·(h − 1)) of the relative loss h: alpha 0 is linear, large alpha is contagion on default."""

    alpha: float
    name: str = "non-linear-debtrank"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        loss = 1.0 - np.clip(equity / sheet.reference_equity, 0.0, 1.0)
        return 1.0 - loss * np.exp(self.alpha * (loss - 1.0))

    def slope(self, equity: Floats, sheet: Sheet) -> None:
        return None


@dataclass(frozen=True, slots=True)
class BlackCox:
    """Ex ante, default at any time before maturity: external assets follow a geometric Brownian motion of volatility `sigma` over the
    horizon, and a default pays `recovery`."""

    sigma: Floats | float
    recovery: Floats | float = 0.0
    name: str = "black-cox"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        return 1.0 + (self.recovery - 1.0) * black_cox_default(equity, sheet.external_assets, _column(self.sigma, equity))

    def slope(self, equity: Floats, sheet: Sheet) -> None:
        return None


@dataclass(frozen=True, slots=True)
class FurfineMerton:
    """Ex ante, default at maturity only, an exogenous `recovery`."""

    sigma: Floats | float
    recovery: Floats | float = 0.0
    name: str = "furfine-merton"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        return 1.0 + (self.recovery - 1.0) * merton_default(equity, sheet.external_assets, _column(self.sigma, equity))

    def slope(self, equity: Floats, sheet: Sheet) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Merton:
    """Ex ante Eisenberg–Noe, default at maturity only: what is recovered then is shared out, times `recovery` for default costs."""

    sigma: Floats | float
    recovery: Floats | float = 1.0
    name: str = "merton"

    def value(self, equity: Floats, sheet: Sheet) -> Floats:
        sigma, assets, owed = _column(self.sigma, equity), sheet.external_assets, sheet.liabilities
        default = merton_default(equity, assets, sigma)
        beyond = merton_default(equity + owed, assets, sigma)
        with np.errstate(divide="ignore", invalid="ignore"):
            recovered = (1.0 + (equity - assets) / owed) * (default - beyond) + _assets_in_default(equity, assets, owed, sigma) / owed
        recovered = np.where(owed > 0.0, recovered, 0.0)
        return np.clip((1.0 - default) + self.recovery * recovered, 0.0, 1.0)

    def slope(self, equity: Floats, sheet: Sheet) -> None:
        return None


def merton_default(equity: Floats, assets: Floats, sigma: Floats | float) -> Floats:
    """Probability that external assets fall by more than the equity until maturity."""
    return _normal(equity, assets, sigma, 0.5)


def black_cox_default(equity: Floats, assets: Floats, sigma: Floats | float) -> Floats:
    """Probability that external assets fall by more than the equity at any time until maturity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reflected = assets / (assets - equity) * _normal(equity, assets, sigma, -0.5)
    total = _normal(equity, assets, sigma, 0.5) + np.where(equity < assets, reflected, 0.0)
    return np.where(equity <= 0.0, 1.0, np.where(equity >= assets, 0.0, total))


def _normal(equity: Floats, assets: Floats, sigma: Floats | float, drift: float) -> Floats:
    """N((ln(1 − E/A) + drift·σ²) / σ), 0 where the equity exceeds the assets; without assets nothing is left to chance."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (np.log1p(-equity / assets) + drift * np.square(sigma)) / sigma
    return np.where(assets <= 0.0, np.where(equity <= 0.0, 1.0, 0.0), np.where(equity >= assets, 0.0, ndtr(distance)))


def _assets_in_default(equity: Floats, assets: Floats, owed: Floats, sigma: Floats | float) -> Floats:
    """Expected external assets over the outcomes in which the debtor defaults and still pays something."""
    return assets * (_normal(equity, assets, sigma, -0.5) - _normal(equity + owed, assets, sigma, -0.5))


def _recovery(equity: Floats, sheet: Sheet) -> Floats:
    """(E + L) / L: assets over liabilities, above 1 for the solvent."""
    values = equity * sheet.per_liability
    values += 1.0
    return values


def _column(parameter: Floats | float, equity: Floats) -> Floats | float:
    """A per-node parameter shaped to the equities' axes."""
    return np.reshape(parameter, (-1,) + (1,) * (equity.ndim - 1)) if isinstance(parameter, np.ndarray) else parameter
