"""What tokens are worth once everything they hold is looked through: the fixed point over the composition graph.

Token i holds the share K[i, j] of token j and real assets x[i]. A share in another's equity is worth n = x − b + K·n (Elliott, Golub,
Jackson, AER 2014), b being what was borrowed elsewhere to buy it; a token with a par (a stablecoin, a loan) is worth no more than its
par, and none less than nothing. Strongly connected components are solved one after the other, what they hold before
what holds them; a component of more than one token, or a token that holds itself, is a finding and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array, csr_array, eye_array
from scipy.sparse.linalg import splu

from aggregator.contagion.composition import Composition
from aggregator.contagion.evidence import FLOOR, Evidence
from aggregator.contagion.graph import circular, in_order, reachable, shortest_circle
from aggregator.contagion.network import spectral_radius
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

ROUNDING = 1e-12
"""of the largest value of a component, within which its values agree with one another"""
ITERATIONS = 100_000


@dataclass(frozen=True, slots=True)
class Loop:
    """Tokens that hold one another in a circle, named in the order of a shortest circle; `gross` over `real` is how often the same
    dollar is counted inside, NaN where nothing real is."""

    tokens: tuple[str, ...]
    members: tuple[str, ...]
    gross: float
    real: float

    @property
    def multiple(self) -> float:
        return self.gross / self.real if self.real > 0.0 else np.nan

    def __str__(self) -> str:
        return " → ".join((*self.tokens, self.tokens[0]))


@dataclass(frozen=True, slots=True)
class LookThrough:
    """Figures by token; USD, and shares of 1.

    `value`: what the token is worth by what stands behind it; `real`: real assets that it stands on in the end, borrowed ones included;
    `debt_financed`: share of them that was borrowed; `layers`: mean number of claims stacked on a dollar of real assets (1: plain);
    `depth`: longest chain of wraps beneath it, members of a loop counting once each; `looped`: a loop stands beneath it or it is in one;
    `known`: share of its backing that is known, NaN where not even that can be told; `weights` (n × n): share of a token's backing that
    stands in each token it holds, the rest being real assets of its own.
    """

    composition: Composition
    value: Floats
    real: Floats
    debt_financed: Floats
    layers: Floats
    depth: NDArray[np.int64]
    looped: NDArray[np.bool_]
    known: Floats
    weights: csr_array[np.float64]
    loops: tuple[Loop, ...]

    @property
    def gap(self) -> Floats:
        """Claimed value over value behind it, minus 1; NaN where no claim is known, infinite where nothing stands behind one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.composition.claimed / self.value - 1.0

    @property
    def gross(self) -> float:
        """Σ of all tokens' values: the dollar counted as often as it is wrapped."""
        return float(self.value.sum())

    @property
    def multiple(self) -> float:
        """Gross value over the net real assets behind all of it; NaN where there are none."""
        net = float(np.nansum(self.composition.real_assets) - self.composition.borrowed.sum())
        return self.gross / net if net > 0.0 else np.nan

    @property
    def leverage(self) -> Floats:
        """Real assets over value, by token; NaN where nothing is left."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.value > 0.0, self.real / self.value, np.nan)

    def evidence(self, token: str, floor: float = FLOOR) -> Evidence:
        """How much of what stands behind a token is known, and whose real assets are not."""
        place = self.composition.code(token)
        beneath = reachable(self.composition.holdings, place)
        missing = [self.composition.names[code] for code in beneath if np.isnan(self.composition.real_assets[code])]
        return Evidence(float(self.known[place]), tuple(f"real assets of {name}" for name in missing), floor)


def look_through(given: Composition) -> LookThrough:
    """Solve the composition. InputError where tokens hold the whole of one another and nobody outside does: then no value is defined.

    Real assets that are not known count as nothing, so values are lower bounds there; `known` and `evidence` say how far.
    """
    matrix = given.holdings
    order = in_order(matrix)
    assets = np.nan_to_num(given.real_assets)
    value, debt, real = _solved(given, order, assets)
    weights = _weights(matrix, value, assets)
    looped, depth = _chains(matrix, order)
    with np.errstate(divide="ignore", invalid="ignore"):
        financed = np.where(real > 0.0, np.minimum(debt / real, 1.0), 0.0)
    return LookThrough(
        given,
        value,
        real,
        financed,
        _solve(weights, np.ones(len(given))),
        depth,
        looped,
        _known_share(given, order, value, assets),
        weights,
        tuple(_loop(given, value, assets - given.borrowed, members) for members in order if circular(matrix, members)),
    )


def _solved(given: Composition, order: Sequence[NDArray[np.intp]], assets: Floats) -> tuple[Floats, Floats, Floats]:
    """(value, debts, real assets) beneath each token, component by component."""
    matrix = given.holdings
    right = np.column_stack([assets - given.borrowed, given.borrowed, assets])
    found = np.zeros((len(given), 3))
    for members in order:
        if not circular(matrix, members):
            (token,) = members.tolist()
            place = slice(matrix.indptr[token], matrix.indptr[token + 1])
            found[token] = right[token] + matrix.data[place] @ found[matrix.indices[place]]
            found[token, 0] = min(max(found[token, 0], 0.0), given.par[token])
            continue
        own, held = matrix[members], matrix[members][:, members]
        _refuse_closed(given, members, held)
        base = right[members] + np.asarray(own @ found)
        found[members, 0] = _bounded(held, base[:, 0], given.par[members])
        found[members, 1:] = _solve(held, base[:, 1:])
    value, debt, real = found.T
    return value, debt, real


def _refuse_closed(given: Composition, members: NDArray[np.intp], held: csr_array[np.float64]) -> None:
    if spectral_radius(held) >= 1.0 - ROUNDING:
        names = ", ".join(given.names[code] for code in members[:5].tolist())
        raise InputError(f"{names} hold the whole of one another (spectral radius 1 or more): no value can be told")


def _solve(matrix: csr_array[np.float64], right: Floats) -> Floats:
    """x = right + matrix·x."""
    result: Floats = splu(csc_array(eye_array(matrix.shape[0]) - matrix)).solve(right)
    return result


def _bounded(held: csr_array[np.float64], base: Floats, par: Floats) -> Floats:
    """The solution of n = min(par, max(0, base + held·n)) in a component; there is one, as losses die out along its circles.

    Whoever is at par, or worth nothing, is guessed from the last values and the rest solved for, until the guess holds (Newton's method
    on the pieces); should guesses go round in a circle, plain iteration comes to the same point.
    """

    def bounded(value: Floats) -> Floats:
        result: Floats = np.minimum(np.maximum(base + np.asarray(held @ value), 0.0), par)
        return result

    value = bounded(_solve(held, np.maximum(base, 0.0)))
    for _ in range(2 * len(par) + 10):
        backing = base + np.asarray(held @ value)
        free = np.flatnonzero((backing > 0.0) & (backing < par))
        value = bounded(value)
        fixed = value.copy()
        fixed[free] = 0.0
        if len(free):
            value[free] = _solve(csr_array(held[free][:, free]), base[free] + np.asarray(held[free] @ fixed))
        if np.abs(bounded(value) - value).max() <= ROUNDING * max(float(np.abs(value).max()), 1e-300):
            return bounded(value)
    for _ in range(ITERATIONS):
        following = bounded(value)
        if np.array_equal(following, value):
            break
        value = following
    return value


def _weights(matrix: csr_array[np.float64], value: Floats, real_assets: Floats) -> csr_array[np.float64]:
    """(n × n) share of each token's backing that stands in each token it holds; its own real assets are the rest.

    No set of tokens stands on itself alone: where spectral radii are below 1, one without real assets is worth nothing.
    """
    edges = matrix.tocoo()
    worth = edges.data * value[edges.col]
    backing = np.bincount(edges.row, worth, matrix.shape[0]) + real_assets
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(worth > 0.0, worth / backing[edges.row], 0.0)
    result = coo_array((share, (edges.row, edges.col)), shape=matrix.shape).tocsr()
    result.eliminate_zeros()
    return csr_array(result)


def share_through(weights: csr_array[np.float64], marked: NDArray[np.bool_]) -> Floats:
    """Share of each token's backing that stands on marked tokens, directly or beneath; a marked token counts whole."""
    onward = weights.copy()
    onward.data = onward.data * np.repeat(~marked, np.diff(weights.indptr))
    return np.clip(_solve(onward, marked.astype(np.float64)), 0.0, 1.0)


def _known_share(given: Composition, order: Sequence[NDArray[np.intp]], value: Floats, real_assets: Floats) -> Floats:
    """What is not known weighs as much as it is claimed to be worth, or its par; where neither is known, no share can be told."""
    blind = np.isnan(given.real_assets)
    if not blind.any():
        return np.ones(len(given))
    said = np.where(np.isnan(given.claimed) & np.isfinite(given.par), given.par, given.claimed)
    supposed = np.where(blind, np.maximum(np.nan_to_num(said) - given.holdings @ value, 0.0), real_assets)
    weighing, _, _ = _solved(given, order, supposed)
    known = 1.0 - share_through(_weights(given.holdings, weighing, supposed), blind)
    unweighed = blind & np.isnan(said)
    if unweighed.any():
        ones = np.ones(len(given))
        known[(share_through(_weights(given.holdings, ones, ones), unweighed) > 0.0) & ~blind] = np.nan
    return known


def _chains(matrix: csr_array[np.float64], order: Sequence[NDArray[np.intp]]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """(whether a loop stands beneath, longest chain of wraps) of each token."""
    looped, depth = np.zeros(matrix.shape[0], dtype=np.bool_), np.zeros(matrix.shape[0], dtype=np.int64)
    for members in order:
        inside = circular(matrix, members)
        places = [slice(matrix.indptr[token], matrix.indptr[token + 1]) for token in members.tolist()]
        held = np.concatenate([matrix.indices[place] for place in places])
        beneath = np.setdiff1d(held, members) if inside else held
        below = int(depth[beneath].max()) + 1 if len(beneath) else 0
        depth[members] = below + (max(len(members) - 1, 1) if inside else 0)
        looped[members] = inside or bool(looped[beneath].any())
    return looped, depth


def _loop(given: Composition, value: Floats, net: Floats, members: NDArray[np.intp]) -> Loop:
    circle = shortest_circle(given.holdings, members.tolist())
    outside = np.setdiff1d(given.holdings[members].indices, members)
    beyond = float(np.asarray(given.holdings[members][:, outside].sum(axis=0)).ravel() @ value[outside]) if len(outside) else 0.0
    names = tuple(given.names[code] for code in circle)
    return Loop(
        names,
        tuple(given.names[code] for code in members.tolist()),
        float(value[members].sum()),
        float(net[members].sum()) + beyond,
    )
