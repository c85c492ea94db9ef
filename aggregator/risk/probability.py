"""Probability that at least one margin account is liquidated within an hour, a day and a week when nobody acts.

Market part. Log returns over a horizon are W·Z: Z correlated normal moves with the horizon's deviations (`outlook`), W² = 2/χ²₄ a common
tail, which makes them Student-t with four degrees of freedom and lets everything crash together. For each draw of Z the smallest scale v at
which some account breaches is found along the ray (`rays`), and the probability is κ times the mean of P(W > v), which has a closed form,
so tails far below 1/draws are resolved. κ is how much likelier a breach at any hourly close is than one at the end.

Jump part. Pegs and discounts break as Poisson jumps of exponential severity: (1 − e^(−λT))·e^(−x/s), x the smallest break at which some
account breaches. Parts combine as 1 − Π(1−p).

Laws, exact by construction: more debt never lowers it, an added account never lowers it, worthless collateral changes nothing, a longer
horizon never lowers it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
from scipy.special import ndtri

from aggregator.risk.claims import Claim, Claims
from aggregator.risk.classes import BASES, FACTORS
from aggregator.risk.correlation import root
from aggregator.risk.exposure import Exposures, basis_of
from aggregator.risk.outlook import HOURS, Outlook, Prospect
from aggregator.risk.outlook_parameters import TOUCH
from aggregator.risk.policy import Policy
from aggregator.risk.rays import Floats, bracketed_breach, first_breach, first_of_grid, tail_probability
from aggregator.risk.scenarios import lot_multipliers
from aggregator.risk.shapes import Array, BoolArray, IntArray, lots_it_grows_with

HORIZONS = {name: hours / 24.0 for name, hours in HOURS.items()}
"""days by name, ascending"""

_SEVERITIES = np.concatenate([[0.0], np.geomspace(1e-4, 0.9999, 120)])
DAYS_PER_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class LiquidationProbability:
    """Probabilities by horizon: of each account by its index, and of at least one."""

    accounts: Mapping[int, Mapping[str, float]]
    any_account: Mapping[str, float]
    driver: int | None
    """index of the account most likely to be liquidated within a day; None where nothing is owed"""


def probabilities(claims: Claims, breached: frozenset[int], outlook: Outlook, policy: Policy) -> LiquidationProbability:
    """Probabilities for all claims. The outlook knows every factor that the claims follow.

    `breached` names accounts that the protocol itself already calls liquidatable: certain.
    """
    numbers = sorted(claims.by_account)
    if not numbers:
        return LiquidationProbability({}, dict.fromkeys(HORIZONS, 0.0), None)
    owed, exposures = [claims.by_account[number] for number in numbers], claims.exposures
    jumps, hazards = _breach_severities(owed, exposures), _hazards(exposures)
    own: dict[int, dict[str, float]] = {number: {} for number in numbers}
    joint: dict[str, float] = {}
    for name, days in HORIZONS.items():
        scales = _breach_scales(owed, exposures, outlook, name, policy)
        for row, number in enumerate(numbers):
            own[number][name] = 1.0 if number in breached else _combine(scales[row], jumps[row], hazards, name, days)
        certain = bool(breached & set(numbers))
        joint[name] = 1.0 if certain else _combine(scales.min(axis=0), jumps.min(axis=0), hazards, name, days)
    for chances in (*own.values(), joint):
        for shorter, longer in pairwise(HORIZONS):  # whoever is liquidated within the day is so within the week
            chances[longer] = max(chances[shorter], chances[longer])
    return LiquidationProbability(own, joint, max(numbers, key=lambda n: (own[n]["1d"], own[n]["7d"], -n)))


def market_probability(scales: Floats, horizon: str) -> Array:
    """Probability of a breach from the scales (…, draws) at which it happens: min(1, κ · mean of P(W > v))."""
    return np.asarray(np.minimum(1.0, TOUCH[horizon] * np.mean(tail_probability(scales.astype(np.float64)), axis=-1)))


def moves(names: Sequence[str], prospect: Prospect, mixing: Array, draws: int, seed: int) -> Array:
    """Log moves Z of factors over a horizon, (draws, factors). `mixing` as `correlation.root` gives it."""
    shocks = standard_draws(names, draws, seed) @ mixing.T
    return np.asarray(shocks * prospect.deviation * np.where(shocks < 0, prospect.down, prospect.up))


def standard_draws(names: Sequence[str], draws: int, seed: int) -> Array:
    """Independent standard normal draws (draws, names), antithetic, evenly spread. A name's do not depend on the other names."""
    half = draws // 2
    result = np.empty((2 * half, len(names)))
    for column, name in enumerate(names):
        one = _spread(name, half, seed)
        result[:half, column], result[half:, column] = one, -one
    return result


@lru_cache(maxsize=1024)
def _spread(name: str, half: int, seed: int) -> Array:
    """The normal law's quantiles at evenly spread probabilities, in an order and with signs that belong to the name."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/outlook/{name}".encode()).digest()[:8], "big")
    generator = np.random.Generator(np.random.Philox(key))
    sizes = ndtri(0.5 + (np.arange(half) + 0.5) / (2 * half))
    spread = generator.permutation(sizes) * generator.choice(np.array([-1.0, 1.0]), half)
    spread.flags.writeable = False
    return np.asarray(spread)


def _combine(scales: Array, severities: Array, hazards: Sequence[tuple[float, float]], horizon: str, days: float) -> float:
    survival = 1.0 - float(market_probability(scales, horizon))
    for (per_year, mean), severity in zip(hazards, severities.tolist(), strict=True):
        if np.isfinite(severity):
            survival *= 1.0 - (1.0 - float(np.exp(-per_year * days / DAYS_PER_YEAR))) * float(np.exp(-severity / mean))
    return min(1.0, max(0.0, 1.0 - survival))


def _breach_scales(claims: Sequence[Claim], exposures: Exposures, outlook: Outlook, horizon: str, policy: Policy) -> Array:
    """Smallest scale v per claim and draw at which the claim breaches, infinite where none does; shape (claims, draws)."""
    places = [outlook.factors.index(factor) for factor in exposures.factors]
    whole = outlook.horizons[horizon]
    prospect = Prospect(
        whole.deviation[places], whole.correlation[np.ix_(places, places)], whole.down[places], whole.up[places], whole.days
    )
    mixing = root(prospect.correlation, [exposures.classes[factor] for factor in exposures.factors])
    factors = moves(exposures.factors, prospect, mixing, policy.draws, policy.seed)
    basis_sigma = np.array([BASES[basis_of(basis)].daily_volatility for basis in exposures.bases]) * np.sqrt(prospect.days)
    bases = standard_draws(exposures.bases, policy.draws, policy.seed) * basis_sigma
    slopes = np.log(lot_multipliers(exposures, np.exp(factors), np.exp(bases)))
    return np.stack([_claim_scales(one, slopes) for one in claims])


def _claim_scales(claim: Claim, slopes: Array) -> Array:
    """The same of one claim; `slopes`: (draws, lots), log moves at scale 1."""
    lots, net = claim.net
    owed = lots[net < 0]
    if not claim.bent and len(owed) <= 1:
        if not len(owed):
            return np.full(len(slopes), np.inf)
        held = lots[net > 0]
        ratios = net[net > 0] / -net[net < 0][0]
        return np.asarray(first_breach(ratios[None], np.ascontiguousarray((slopes[:, held] - slopes[:, owed]).T)[:, None, :])[0])
    used = claim.lots
    own, its = claim.relabelled({lot: number for number, lot in enumerate(used)}), slopes[:, used]

    def cushion(scale: Array, draws: IntArray) -> Array:
        return own.cushions(np.exp(np.clip(scale[:, None] * its[draws], -30.0, 30.0)))

    return bracketed_breach(cushion, np.flatnonzero(_may_breach(own, its)), len(slopes))


def _may_breach(claim: Claim, slopes: Array) -> BoolArray:
    """Draws that are worth a search: not those in which everything that counts outgrows everything that is owed."""
    everything = np.ones(len(slopes), dtype=bool)
    held, owed = set[int | None](), set[int | None]()
    for term in claim.terms:
        lots = lots_it_grows_with(term.shape)
        if lots is None:
            return everything
        (held if term.signed > 0 else owed).update(lots)
    if claim.cushion < 0 or not held or not owed:
        return everything

    def column(lot: int | None) -> Array:
        return slopes[:, lot] if lot is not None else np.zeros(len(slopes))

    return np.asarray(np.min([column(lot) for lot in held], axis=0) < np.max([column(lot) for lot in owed], axis=0))


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
        place = (exposures.bases if is_basis else exposures.factors).index(name)
        for row, claim in enumerate(claims):
            found = first_of_grid(partial(_broken, claim, exposures, is_basis, place, direction), _SEVERITIES)
            result[row, column] = np.inf if found is None else found
    return result


def _broken(claim: Claim, exposures: Exposures, is_basis: bool, place: int, direction: float, severity: Array) -> BoolArray:
    """Whether the claim breaches when one factor or discount jumps by each severity."""
    factors = np.ones((len(severity), len(exposures.factors)))
    bases = np.ones((len(severity), len(exposures.bases)))
    (bases if is_basis else factors)[:, place] += direction * severity
    return np.asarray(claim.cushions(lot_multipliers(exposures, factors, bases)) < 0)
