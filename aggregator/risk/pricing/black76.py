"""Black-76, vectorised: prices, Greeks, implied volatility; linear and inverse pay-offs; edge cases exact.

    d1 = ln(F/K)/s + s/2,  d2 = d1 − s,  s = σ√τ
    V  = D · w · (F·N(w·d1) − K·N(w·d2)),  w = +1 call, −1 put

Every argument broadcasts. Units: prices in the quote currency for one unit of the underlying, years of 365 days, volatility a year as a
fraction, rates continuously compounded. τ = 0 or σ = 0 gives D·(w(F − K))⁺, F = 0 gives 0 and D·K, K = 0 gives D·F and 0, all exactly.
Source: F. Black, The pricing of commodity contracts, 1976; E. Haug, The Complete Guide to Option Pricing Formulas, 2nd ed., chapters 1–2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array: TypeAlias = NDArray[np.float64]

CALL, PUT = 1.0, -1.0

_TINY = 1e-300
_INVERSE_ROOT_TWO_PI = 0.3989422804014327


@dataclass(frozen=True, slots=True)
class Greeks:
    """Value and its derivatives, all of one unit and of the broadcast shape.

    `delta`, `gamma` against the forward (or spot, where a function says so); `vega` for a volatility 1.0 higher; `theta` for a year's
    passing; `rho` for a rate 1.0 higher.
    """

    value: Array
    delta: Array
    gamma: Array
    vega: Array
    theta: Array
    rho: Array


def price(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike, side: ArrayLike, discount: ArrayLike = 1.0
) -> Array:
    """Present value in the quote currency; `side` is CALL or PUT. Inputs ≥ 0 are the caller's to ensure; NaN in gives NaN out."""
    f, k, w = np.asarray(forward, np.float64), np.asarray(strike, np.float64), np.asarray(side, np.float64)
    deviation, d1 = _d1(f, k, years, volatility)
    value = w * (f * ndtr(w * d1) - k * ndtr(w * (d1 - deviation)))
    # the two terms can cancel to a negative last bit far out of the money
    return np.maximum(value, 0.0) * np.asarray(discount, np.float64)


def inverse_price(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike, side: ArrayLike, discount: ArrayLike = 1.0
) -> Array:
    """Present value in the underlying of an option that pays max(w(S − K), 0)/S units of it; `discount` is the underlying's.

    Infinite for a put with a strike at forward 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = price(forward, strike, years, volatility, side, discount) / np.asarray(forward, np.float64)
    worthless = (np.asarray(forward) == 0) & ((np.asarray(side) > 0) | (np.asarray(strike) == 0))
    return np.where(worthless, 0.0, value)


def greeks(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike, side: ArrayLike, rate: ArrayLike = 0.0
) -> Greeks:
    """Value and Greeks with the forward held fixed: delta and gamma against the forward, theta = −∂V/∂τ, rho = ∂V/∂r = −τV.

    At τ = 0 or σ = 0: delta is D·w inside the money, half of it at the money, 0 outside; gamma, vega and the decay part of theta are 0.
    """
    f, k, w, t, r = (np.asarray(one, np.float64) for one in (forward, strike, side, years, rate))
    vol = np.asarray(volatility, np.float64)
    discount = np.exp(-r * t)
    deviation, d1 = _d1(f, k, t, vol)
    alive = (deviation > _TINY) & (f > 0) & (k > 0)
    density = np.where(alive, _INVERSE_ROOT_TWO_PI * np.exp(-0.5 * np.clip(d1, -40.0, 40.0) ** 2), 0.0)
    value = np.maximum(w * (f * ndtr(w * d1) - k * ndtr(w * (d1 - deviation))), 0.0) * discount
    root = np.sqrt(t)
    safe = np.where(alive, f * deviation, 1.0)
    return Greeks(
        value=value,
        delta=discount * w * ndtr(w * d1),
        gamma=discount * density / safe,
        vega=discount * f * density * root,
        theta=r * value - discount * f * density * vol / (2.0 * np.where(root > 0, root, 1.0)),
        rho=-t * value,
    )


@dataclass(frozen=True, slots=True)
class SpotGreeks(Greeks):
    """Greeks against a spot that carries at rate − yield; theta and rho move the forward with them."""

    dividend_rho: Array
    elasticity: Array
    """relative move of the value over that of the spot; NaN where the value is 0"""


def spot_greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    side: ArrayLike,
    rate: ArrayLike = 0.0,
    dividend: ArrayLike = 0.0,
) -> SpotGreeks:
    """Value and Greeks of an option on a spot price (Black, Scholes, Merton): Black-76 on F = S·exp((r − q)τ), chain rule through F."""
    s, t, r, q = (np.asarray(one, np.float64) for one in (spot, years, rate, dividend))
    growth = np.exp((r - q) * t)
    forward = s * growth
    on_forward = greeks(forward, strike, t, volatility, side, r)
    delta = on_forward.delta * growth
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = np.where(on_forward.value > 0, delta * s / on_forward.value, np.nan)
    return SpotGreeks(
        value=on_forward.value,
        delta=delta,
        gamma=on_forward.gamma * growth * growth,
        vega=on_forward.vega,
        theta=on_forward.theta - (r - q) * forward * on_forward.delta,
        rho=on_forward.rho + t * forward * on_forward.delta,
        dividend_rho=-t * forward * on_forward.delta,
        elasticity=elasticity,
    )


def implied_volatility(
    value: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, side: ArrayLike, discount: ArrayLike = 1.0
) -> Array:
    """Volatility at which `price` gives `value`, to about 1e-12; NaN where none does (value below intrinsic, above its bound, or τ = 0).

    Bisection to a bracket, then safeguarded Newton: at most 60 vectorised steps.
    """
    v, f, k, t, w = np.broadcast_arrays(*(np.asarray(one, np.float64) for one in (value, forward, strike, years, side)))
    undiscounted = v / np.asarray(discount, np.float64)
    bound = np.where(w > 0, f, k)
    intrinsic = np.maximum(w * (f - k), 0.0)
    solvable = (t > 0) & (undiscounted > intrinsic) & (undiscounted < bound)
    root = np.sqrt(np.where(t > 0, t, 1.0))
    low, high = np.zeros(v.shape), np.full(v.shape, 24.0) / root
    guess = np.minimum(np.full(v.shape, 0.6), 0.5 * high)
    for _ in range(60):
        one = greeks(f, k, t, guess, w)
        error = one.value - undiscounted
        low, high = np.where(error < 0, guess, low), np.where(error > 0, guess, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = guess - error / one.vega
        inside = (step > low) & (step < high)
        following = np.where(inside, step, 0.5 * (low + high))
        if np.all(~solvable | (np.abs(following - guess) <= 1e-14 * np.maximum(guess, 1.0)) | (error == 0)):
            guess = np.where(error == 0, guess, following)
            break
        guess = np.where(error == 0, guess, following)
    return np.where(solvable, guess, np.nan)


def _d1(forward: Array, strike: Array, years: ArrayLike, volatility: ArrayLike) -> tuple[Array, Array]:
    """σ√τ, never quite 0, and d1. At the limits d1 is so large that N is 0 or 1, and 0 at the money: the exact intrinsic value follows."""
    deviation = np.maximum(np.asarray(volatility, np.float64) * np.sqrt(np.asarray(years, np.float64)), _TINY)
    ratio = np.maximum(forward, _TINY) / np.maximum(strike, _TINY)
    with np.errstate(over="ignore"):
        return deviation, np.log(ratio) / deviation + 0.5 * deviation
