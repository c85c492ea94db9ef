"""Probability that at least one margin account is liquidated within a horizon when nobody acts.

Market part. Log returns over T days are v·Z with Z correlated normal shocks scaled by each factor's daily volatility, and v = W·√T with a
common tail scale W² = 2/χ²₄, which makes them Student-t with four degrees of freedom and lets everything crash together. For each
draw of Z the smallest v at which some account breaches is found along the ray, and the probability is the mean of P(W√T > v), in
closed form: P(W > w) = 1 − e^(−1/w²)(1 + 1/w²). So tails far below 1/draws are resolved. Twice that, because a path touches a barrier
about twice as often as it ends beyond it (reflection principle). The worse of the two correlation regimes counts.

Jump part. Pegs and discounts break as Poisson jumps of exponential severity: (1 − e^(−λT))·e^(−x/s), x the smallest break at which some
account breaches. Parts combine as 1 − Π(1−p).

Laws, exact by construction: more debt never lowers it, an added account never lowers it, worthless collateral changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.risk.claims import Claim, Claims
from aggregator.risk.classes import BASES, FACTORS
from aggregator.risk.correlation import decoupled, root
from aggregator.risk.exposure import Exposures, basis_of
from aggregator.risk.policy import Policy
from aggregator.risk.scenarios import lot_multipliers, standard_shocks
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import Volatility

HORIZONS = {"1d": 1.0, "7d": 7.0}
"""days by name"""

REFLECTION = 2.0
_SCALES = np.concatenate([[0.0], np.geomspace(0.02, 200.0, 48)])
_BISECTIONS = 24
_SEVERITIES = np.concatenate([[0.0], np.geomspace(1e-4, 0.9999, 120)])
DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class LiquidationProbability:
    """Probabilities by horizon: of each account by its index, and of at least one."""

    accounts: Mapping[int, Mapping[str, float]]
    any_account: Mapping[str, float]
    driver: int | None
    """index of the account most likely to be liquidated within a day; None where nothing is owed"""


def probabilities(
    claims: Claims,
    breached: frozenset[int],
    factors: tuple[str, ...],
    volatilities: Mapping[str, Volatility],
    correlation: Array,
    policy: Policy,
) -> LiquidationProbability:
    """Probabilities for all claims. `correlation` is in the order of `factors`, of which the claims follow some.

    `breached` names accounts that the protocol itself already calls liquidatable: certain.
    """
    numbers = sorted(claims.by_account)
    if not numbers:
        return LiquidationProbability({}, dict.fromkeys(HORIZONS, 0.0), None)
    owed, exposures = [claims.by_account[number] for number in numbers], claims.exposures
    places = [factors.index(factor) for factor in exposures.factors]
    regimes = [matrix[np.ix_(places, places)] for matrix in (correlation, decoupled(correlation))]
    market = [_breach_scales(owed, exposures, volatilities, matrix, policy) for matrix in regimes]
    jumps = _breach_severities(owed, exposures)
    hazards = _hazards(exposures)
    own = {
        number: {
            name: 1.0 if number in breached else _combine([scales[row] for scales in market], jumps[row], hazards, days)
            for name, days in HORIZONS.items()
        }
        for row, number in enumerate(numbers)
    }
    joint = {
        name: 1.0 if breached & set(numbers) else _combine([scales.min(axis=0) for scales in market], jumps.min(axis=0), hazards, days)
        for name, days in HORIZONS.items()
    }
    return LiquidationProbability(own, joint, max(numbers, key=lambda n: (own[n]["1d"], own[n]["7d"], -n)))


def tail_probability(scale: Array) -> Array:
    """P(W > w) for W² = 2/χ²₄: 1 − e^(−x)(1 + x) with x = 1/w²; 1 at w = 0, 0 at infinity."""
    with np.errstate(divide="ignore"):
        x = np.minimum(1.0 / np.square(scale), 700.0)
    # 1 − e^(−x)(1+x) loses its digits for small x; there it is x²/2 − x³/3
    return np.asarray(np.where(x < 1e-4, x * x / 2.0 - x**3 / 3.0, 1.0 - np.exp(-x) * (1.0 + x)))


def _combine(market: Sequence[Array], severities: Array, hazards: Sequence[tuple[float, float]], days: float) -> float:
    terminal = max(float(np.mean(tail_probability(scales / np.sqrt(days)))) for scales in market)
    survival = 1.0 - min(1.0, REFLECTION * terminal)
    for (per_year, mean), severity in zip(hazards, severities.tolist(), strict=True):
        if np.isfinite(severity):
            survival *= 1.0 - (1.0 - float(np.exp(-per_year * days / DAYS_PER_YEAR))) * float(np.exp(-severity / mean))
    return min(1.0, max(0.0, 1.0 - survival))


def _breach_scales(
    claims: Sequence[Claim],
    exposures: Exposures,
    volatilities: Mapping[str, Volatility],
    correlation: Array,
    policy: Policy,
) -> Array:
    """Smallest scale v per claim and draw at which the claim breaches, infinite where none does; shape (claims, draws)."""
    sigma = np.array([volatilities[factor].daily for factor in exposures.factors])
    mixing = root(correlation, [exposures.classes[factor] for factor in exposures.factors])
    factors = (standard_shocks(exposures.factors, policy) @ mixing.T) * sigma
    basis_sigma = np.array([BASES[basis_of(basis)].daily_volatility for basis in exposures.bases])
    bases = standard_shocks(exposures.bases, policy) * basis_sigma

    def lots(scale: Array) -> Array:
        column = scale[:, None]
        return lot_multipliers(exposures, np.exp(np.clip(column * factors, -30.0, 30.0)), np.exp(np.clip(column * bases, -30.0, 30.0)))

    draws = factors.shape[0]
    upper = np.full((len(claims), draws), np.inf)
    lower = np.zeros((len(claims), draws))
    for previous, scale in zip([0.0, *_SCALES[:-1]], _SCALES, strict=True):
        if not np.isinf(upper).any():
            break
        moved = lots(np.full(draws, scale))
        for row, one in enumerate(claims):
            hit = np.isinf(upper[row]) & (one.cushions(moved) < 0)
            upper[row, hit], lower[row, hit] = scale, previous
    for row, one in enumerate(claims):
        _bisect(one, lots, lower[row], upper[row])
    return upper


def _bisect(claim: Claim, lots: Callable[[Array], Array], low: Array, high: Array) -> None:
    """Narrow [low, high] in place where it is finite and not a point. Pointwise lower cushions give pointwise lower results."""
    for _ in range(_BISECTIONS):
        middle = np.where(np.isfinite(high), (low + high) / 2.0, 0.0)
        below = claim.cushions(lots(middle)) < 0
        inside = np.isfinite(high)
        high[inside & below] = middle[inside & below]
        low[inside & ~below] = middle[inside & ~below]


def _jumps(exposures: Exposures) -> list[tuple[str, bool, float, float, float]]:
    """Every jump there is: (name, is a discount, direction, number a year, mean severity)."""
    found = []
    for factor in exposures.factors:
        jump = FACTORS[exposures.classes[factor]].jump
        if jump.per_year > 0:
            found.append((factor, False, -1.0, jump.per_year, jump.mean_severity))
            if jump.mean_premium > 0:
                found.append((factor, False, 1.0, jump.per_year, jump.mean_premium))
    for basis in exposures.bases:
        jump = BASES[basis_of(basis)].jump
        found.append((basis, True, -1.0, jump.per_year, jump.mean_severity))
    return found


def _hazards(exposures: Exposures) -> list[tuple[float, float]]:
    return [(per_year, mean) for *_, per_year, mean in _jumps(exposures)]


def _breach_severities(claims: Sequence[Claim], exposures: Exposures) -> Array:
    """Smallest severity per claim and jump at which the claim breaches, infinite where none does; shape (claims, jumps)."""
    jumps = _jumps(exposures)
    result = np.full((len(claims), len(jumps)), np.inf)
    for column, (name, is_basis, direction, _, _) in enumerate(jumps):
        names = exposures.bases if is_basis else exposures.factors
        place = names.index(name)

        def lots(severity: Array, place: int = place, is_basis: bool = is_basis, direction: float = direction) -> Array:
            factors = np.ones((len(severity), len(exposures.factors)))
            bases = np.ones((len(severity), len(exposures.bases)))
            (bases if is_basis else factors)[:, place] += direction * severity
            return lot_multipliers(exposures, factors, bases)

        moved = lots(_SEVERITIES)
        for row, one in enumerate(claims):
            below = one.cushions(moved) < 0
            if below.any():
                index = int(np.argmax(below))
                high, low = np.array([_SEVERITIES[index]]), np.array([_SEVERITIES[max(index - 1, 0)]])
                for _ in range(_BISECTIONS):
                    middle = (low + high) / 2.0
                    if bool(one.cushions(lots(middle))[0] < 0):
                        high = middle
                    else:
                        low = middle
                result[row, column] = float(high[0])
    return result
