"""How far a population is from a death spiral, and which shock of a whole range costs most. Nothing here assumes that more is worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from aggregator.contagion.cascade import TERMS, CascadeResult, cascade
from aggregator.contagion.curves import MOVES
from aggregator.contagion.evidence import Evidence, together
from aggregator.contagion.impact import Impact
from aggregator.contagion.liquidation import close_factors
from aggregator.contagion.liquidations import LiquidationTerms
from aggregator.contagion.network import spectral_radius
from aggregator.contagion.oracles import OracleRules
from aggregator.contagion.priced import priced
from aggregator.contagion.reactions import Reaction
from aggregator.contagion.rows import chosen
from aggregator.model.book import Book, BookHealth, Floats
from aggregator.model.errors import InputError

BANDWIDTH = 0.01
"""fall over which sales are counted for the Jacobian: populations are made of steps, and a slope needs some width"""


def sales_jacobian(
    book: Book, prices: Floats, impact: Impact, sold: Floats | None = None, bandwidth: float = BANDWIDTH
) -> csr_array[np.float64]:
    """(assets × assets): relative fall of a's price per relative fall of b's, through those whom b's next fall would liquidate.

    `prices`: market prices by asset; `sold`: USD that markets have taken already (default: nothing). Oracles follow at once; who is
    liquidatable already counts as sold. The spectral radius is the loop gain: from 1 on, sales bring about more sales without end.
    """
    if not 0.0 < bandwidth < 1.0:
        raise InputError(f"the bandwidth is a fall between 0 and 1, not {bandwidth:g}")
    count = len(book.assets)
    book = priced(book)
    oracle = book.oracle_prices(prices)
    health = book.health(oracle)
    margin = health.weighted - health.debt
    with np.errstate(invalid="ignore"):
        near = np.flatnonzero((health.debt > 0.0) & (margin >= 0.0) & (margin < bandwidth * health.weighted))
    if len(near) == 0:
        return csr_array((count, count))
    reserves = book.reserves
    by_source = csr_array((np.ones(len(reserves)), (np.arange(len(reserves)), reserves.priced_by)), shape=(len(reserves), count))
    collateral, debt = (chosen(side, near, book.size).tocsr() for side in (book.collateral, book.debt))
    push = csr_array(collateral @ diags_array(_known(reserves.counted(oracle))) @ by_source)
    push = csr_array(push - debt @ diags_array(_known(oracle)) @ by_source)
    breached = push.copy()
    breached.data = (breached.data * bandwidth > np.repeat(margin[near], np.diff(breached.indptr))).astype(np.float64)
    breached.eliminate_zeros()
    sales = _sales_of(book, near, collateral, oracle, prices, BookHealth(health.weighted[near], health.debt[near]))
    per_fall = csr_array(sales.T @ breached) / bandwidth
    marginal = impact.marginal(np.zeros(count) if sold is None else sold)
    return csr_array(diags_array(marginal) @ per_fall)


def _sales_of(
    book: Book, rows: NDArray[np.intp], collateral: csr_array[np.float64], oracle: Floats, prices: Floats, health: BookHealth
) -> csr_array[np.float64]:
    """(accounts × assets) USD at market prices that each account's first liquidation would sell, in proportion to its collateral."""
    reserves = book.reserves
    seizable = _known(reserves.seizable(oracle))
    worth, covered = np.asarray(collateral @ seizable), np.asarray(collateral @ (seizable / (1.0 + reserves.bonus)))
    market = book.account_market[rows]
    factors = np.ones(len(rows))
    for code in np.unique(market).tolist():
        mine = market == code
        at_the_line = np.ones(int(np.count_nonzero(mine)))
        factors[mine] = close_factors(book.markets[code].rule, at_the_line, worth[mine], health.debt[mine])
    repaid = np.minimum(factors * health.debt, covered)
    part = np.where(covered > 0.0, repaid / np.where(covered > 0.0, covered, 1.0), 0.0)
    at_market = np.where(seizable > 0.0, _known(prices[reserves.asset]), 0.0)
    into = csr_array((np.ones(len(reserves)), (np.arange(len(reserves)), reserves.asset)), shape=(len(reserves), len(book.assets)))
    return csr_array(diags_array(part) @ collateral @ diags_array(at_market) @ into)


def _known(values: Floats) -> Floats:
    return np.nan_to_num(values)


def loop_gain(book: Book, prices: Floats, impact: Impact, sold: Floats | None = None, bandwidth: float = BANDWIDTH) -> float:
    """Spectral radius of `sales_jacobian`; with one asset, sales per unit of fall times their impact."""
    return spectral_radius(sales_jacobian(book, prices, impact, sold, bandwidth))


@dataclass(frozen=True, slots=True)
class SpiralDistance:
    """Loop gain at each fall of a basket; `distance` is the smallest searched fall with a gain of 1 or more, None where there is none.

    `gains` are taken at shocked prices before anything was sold, and are not monotone. Lower bounds where evidence is not sufficient.
    """

    falls: Floats
    gains: Floats
    evidence: Evidence

    @property
    def distance(self) -> float | None:
        beyond = np.flatnonzero(self.gains >= 1.0)
        return float(self.falls[beyond[0]]) if len(beyond) else None


def spiral_distance(book: Book, betas: Floats, impact: Impact, falls: Floats = MOVES, bandwidth: float = BANDWIDTH) -> SpiralDistance:
    """Loop gain along the falls of a basket (prices · (1 − beta · x)). InputError where a price would fall below zero."""
    gains = np.array([loop_gain(book, fallen(book, betas, fall), impact, bandwidth=bandwidth) for fall in falls.tolist()])
    known = Evidence(1.0 - float(np.mean(book.health().unknown)))
    depths = impact.unknown[np.unique(book.reserves.asset)]
    return SpiralDistance(falls, gains, together([known, Evidence(1.0 - float(np.mean(depths)), _depths(book, impact))]))


def _depths(book: Book, impact: Impact) -> tuple[str, ...]:
    return tuple(f"depth of {book.assets[int(code)].symbol}" for code in np.unique(book.reserves.asset) if impact.unknown[code])


def fallen(book: Book, betas: Floats, fall: float) -> Floats:
    """Market prices by asset after the fall of a basket, price · (1 − beta · fall), the price being the oracle's where there is no other.

    InputError where one would fall below zero.
    """
    if len(betas) != len(book.assets):
        raise InputError(f"the basket has {len(betas)} moves; the population has {len(book.assets)} assets")
    left = 1.0 - betas * fall
    if not (left >= 0.0).all():
        place = int(np.argmax(~(left >= 0.0)))
        raise InputError(f"{book.assets[place].symbol} would fall below zero: beta {betas[place]:g} at a fall of {fall:g}")
    result: Floats = priced(book).prices * left
    return result


@dataclass(frozen=True, slots=True)
class ShockCurve:
    """Cascades along the falls of a basket, ascending; money in USD. `settled`: each cascade came to its end."""

    falls: Floats
    bad_debt: Floats
    repaid: Floats
    sold: Floats
    liquidated: NDArray[np.int64]
    amplification: Floats
    settled: NDArray[np.bool_]
    evidence: Evidence

    @property
    def worst(self) -> tuple[float, float]:
        """(fall, bad debt) where the most debt is left unpaid; the smallest such fall, which need not be the largest searched."""
        place = int(np.argmax(self.bad_debt))
        return float(self.falls[place]), float(self.bad_debt[place])


def _curve(falls: Floats, results: Sequence[CascadeResult]) -> ShockCurve:
    return ShockCurve(
        falls,
        np.array([one.total_bad_debt for one in results]),
        np.array([float(one.repaid.sum()) for one in results]),
        np.array([float(one.sold.sum()) for one in results]),
        np.array([int(np.count_nonzero(one.first_round)) for one in results], dtype=np.int64),
        np.array([one.amplification for one in results]),
        np.array([one.settled for one in results]),
        together([one.evidence for one in results]),
    )


def worst_shock(
    book: Book,
    betas: Floats,
    impact: Impact,
    falls: Floats = MOVES,
    *,
    terms: LiquidationTerms = TERMS,
    oracles: OracleRules | None = None,
    reactions: Sequence[Reaction] = (),
    refinements: int = 3,
) -> ShockCurve:
    """A cascade at every fall of the range, then at more around the worst found, `refinements` times ten times finer.

    As they come out: not smoothed and not sorted by outcome.
    """
    known: dict[float, CascadeResult] = {}

    def look(at: Sequence[float]) -> None:
        for x in at:
            if x not in known:
                known[x] = cascade(book, fallen(book, betas, x), impact, terms=terms, oracles=oracles, reactions=reactions)

    look(falls.tolist())
    for _ in range(refinements):
        ordered = sorted(known)
        place = max(range(len(ordered)), key=lambda number: (known[ordered[number]].total_bad_debt, -ordered[number]))
        low, high = ordered[max(place - 1, 0)], ordered[min(place + 1, len(ordered) - 1)]
        look(np.linspace(low, high, 21).tolist())
    ordered = sorted(known)
    return _curve(np.array(ordered), [known[x] for x in ordered])
