"""Static curves: what a fall of one asset, or of a basket together, makes liquidatable, puts at risk and leaves unpaid.

With every price a straight line in the fall x, an account's collateral and debt are straight lines too, so each account is
liquidatable on one side of one crossing and short of collateral on one side of another. A curve of any number of points therefore
costs one pass and is exact at every point; nothing is smoothed, sorted or assumed to rise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.evidence import Evidence, of_book
from aggregator.model.book import Book, Floats, Legs
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId

MOVES: Floats = np.linspace(0.0, 0.5, 51)
"""falls from nothing to a half, in steps of one per cent"""


class GroupBy(StrEnum):
    ALL = "all"
    PROTOCOL = "protocol"
    CHAIN = "chain"
    MARKET = "market"
    ASSET = "asset"
    """debt figures by debt asset, collateral at risk by collateral asset"""


@dataclass(frozen=True, slots=True)
class Curve:
    """Figures at each fall: arrays (groups × moves) in USD at the moved prices; `accounts` is a count (of legs, by asset).

    `moves` are falls as positive shares, ascending. Where the evidence is not sufficient, figures are lower bounds.
    """

    moves: Floats
    groups: tuple[str, ...]
    liquidatable_debt: Floats
    collateral_at_risk: Floats
    bad_debt: Floats
    accounts: NDArray[np.int64]
    evidence: Evidence

    @property
    def worst(self) -> tuple[float, float]:
        """(fall, bad debt over all groups) where the most debt is left unpaid; the smallest such fall."""
        total = self.bad_debt.sum(axis=0)
        place = int(np.argmax(total))
        return float(self.moves[place]), float(total[place])


def basket(book: Book, betas: Mapping[AssetId, float]) -> Floats:
    """Column of an asset's move per unit of fall; 1 for an asset that falls with it, 0 for one that stays. InputError for a stranger."""
    known = {asset.asset: code for code, asset in enumerate(book.assets)}
    result = np.zeros(len(book.assets))
    for asset, beta in betas.items():
        if asset not in known:
            raise InputError(f"{asset} is not in the population")
        if not np.isfinite(beta):
            raise InputError(f"the basket moves {asset} by {beta}; expected a number")
        result[known[asset]] = beta
    return result


def static_curve(book: Book, betas: Floats, moves: Floats = MOVES, by: GroupBy = GroupBy.ALL) -> Curve:
    """The curve of a basket, prices being price · (1 − beta · x).

    Liquidatable debt: debt of accounts with health below 1. Collateral at risk: their collateral. Bad debt: their debt beyond what all
    their collateral repays at its bonus. InputError where a price would fall below zero.
    """
    _check(book, betas, moves)
    lines = _Lines(book, betas)
    breached = _where_negative(lines.margin, lines.margin_slope, moves)
    short = _both(breached, _where_negative(-lines.short, -lines.short_slope, moves))
    if by is GroupBy.ASSET:
        return _by_asset(book, lines, breached, short, moves)
    names, codes = _groups(book, by)
    debt, count = _sums(breached, codes, lines.debt, lines.debt_slope, len(names), moves)
    collateral, _ = _sums(breached, codes, lines.worth, lines.worth_slope, len(names), moves)
    bad, _ = _sums(short, codes, lines.short, lines.short_slope, len(names), moves)
    return Curve(moves, names, debt, collateral, bad, count, of_book(book, lines.health))


def _check(book: Book, betas: Floats, moves: Floats) -> None:
    if len(betas) != len(book.assets):
        raise InputError(f"the basket has {len(betas)} moves; the population has {len(book.assets)} assets")
    if len(moves) == 0 or moves[0] < 0.0 or not np.isfinite(moves).all() or (np.diff(moves) <= 0.0).any():
        raise InputError("falls are shares of 0 or more, ascending")
    if not np.isfinite(betas).all():
        raise InputError("the basket has a move that is not a number")
    deepest = int(np.argmax(betas))
    if betas[deepest] * moves[-1] > 1.0:
        raise InputError(f"{book.assets[deepest].symbol} would fall below zero: beta {betas[deepest]:g} at a fall of {moves[-1]:g}")


class _Lines:
    """Every account's figures as value − slope · x."""

    def __init__(self, book: Book, betas: Floats) -> None:
        oracle, reserves = book.reserves.oracle_price, book.reserves
        slope = oracle * betas[reserves.priced_by]
        self.oracle, self.oracle_slope = oracle, slope
        self.health = book.health()
        self.debt, self.debt_slope = self.health.debt, book.sums(book.debt, slope)
        self.margin = self.health.weighted - self.debt
        self.margin_slope = book.sums(book.collateral, reserves.counted(slope)) - self.debt_slope
        self.worth, self.worth_slope = (book.sums(book.collateral, reserves.seizable(line)) for line in (oracle, slope))
        covered, covered_slope = (book.sums(book.collateral, reserves.seizable(line) / (1.0 + reserves.bonus)) for line in (oracle, slope))
        self.short, self.short_slope = self.debt - covered, self.debt_slope - covered_slope


@dataclass(frozen=True, slots=True)
class _Span:
    """First and one past the last point of the curve at which each account counts."""

    first: NDArray[np.intp]
    end: NDArray[np.intp]


def _where_negative(value: Floats, slope: Floats, moves: Floats) -> _Span:
    """Where value − slope · x < 0; nowhere for what is unknown."""
    count = len(moves)
    first, end = np.zeros(len(value), dtype=np.intp), np.full(len(value), count, dtype=np.intp)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = value / slope
    falls, rises = slope > 0.0, slope < 0.0
    first[falls] = np.searchsorted(moves, crossing[falls], side="right")
    end[rises] = np.searchsorted(moves, crossing[rises], side="left")
    never = ~(falls | rises) & ~(value < 0.0)
    end[never] = 0
    return _Span(first, end)


def _both(one: _Span, other: _Span) -> _Span:
    return _Span(np.maximum(one.first, other.first), np.minimum(one.end, other.end))


def _sums(
    span: _Span, codes: NDArray[np.intp], value: Floats, slope: Floats, groups: int, moves: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Σ of value − slope · x over what counts at each point, by group, and how many count there."""
    some = np.flatnonzero(span.first < span.end)
    width = len(moves) + 1
    into = codes[some] * width
    starts, ends = into + span.first[some], into + span.end[some]

    def running(weights: Floats | None) -> Floats:
        steps = np.bincount(starts, weights, groups * width) - np.bincount(ends, weights, groups * width)
        return np.cumsum(steps.reshape(groups, width), axis=1)[:, :-1]

    count = running(None)
    total = running(value[some]) - moves * running(slope[some])
    return np.where(count == 0, 0.0, total), count.astype(np.int64)


def _groups(book: Book, by: GroupBy) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Names of the groups, and the group of every account."""
    names: Sequence[str] = {
        GroupBy.ALL: ["all"] * len(book.markets),
        GroupBy.PROTOCOL: [market.protocol for market in book.markets],
        GroupBy.CHAIN: [str(market.chain) for market in book.markets],
        GroupBy.MARKET: [f"{market.protocol} {market.label or market.market} on {market.chain}" for market in book.markets],
    }[by]
    distinct = tuple(dict.fromkeys(names))
    code = np.array([distinct.index(name) for name in names], dtype=np.intp)
    return distinct, code[book.account_market]


def _by_asset(book: Book, lines: _Lines, breached: _Span, short: _Span, moves: Floats) -> Curve:
    """Debt figures by debt asset, an account's bad debt shared in proportion to its debts; collateral at risk by collateral asset."""
    groups = len(book.assets)

    def legs(side: Legs, prices: Floats) -> tuple[NDArray[np.intp], Floats]:
        reserve = side.reserves()
        return reserve.astype(np.intp), side.amounts * prices[reserve]

    def at(span: _Span, side: Legs) -> _Span:
        return _Span(span.first[side.accounts], span.end[side.accounts])

    reserve, owed = legs(book.debt, lines.oracle)
    asset, owed_slope = book.reserves.asset[reserve].astype(np.intp), legs(book.debt, lines.oracle_slope)[1]
    debt, count = _sums(at(breached, book.debt), asset, owed, owed_slope, groups, moves)
    bad = _bad_by_asset(book, lines, short, moves, owed, owed_slope, asset)
    reserve, worth = legs(book.collateral, book.reserves.seizable(lines.oracle))
    worth_slope = legs(book.collateral, book.reserves.seizable(lines.oracle_slope))[1]
    held = book.reserves.asset[reserve].astype(np.intp)
    collateral, _ = _sums(at(breached, book.collateral), held, worth, worth_slope, groups, moves)
    names = tuple(asset.symbol for asset in book.assets)
    return Curve(moves, names, debt, collateral, bad, count, of_book(book, lines.health))


def _bad_by_asset(
    book: Book, lines: _Lines, short: _Span, moves: Floats, owed: Floats, owed_slope: Floats, asset: NDArray[np.intp]
) -> Floats:
    """Bad debt by debt asset: shares move with prices where an account owes several assets, so it is summed point by point."""
    result = np.zeros((len(book.assets), len(moves)))
    ever = (short.first < short.end)[book.debt.accounts]
    account, owed, owed_slope, asset = book.debt.accounts[ever], owed[ever], owed_slope[ever], asset[ever]
    first, end = short.first[account], short.end[account]
    for point, move in enumerate(moves.tolist()):
        here = np.flatnonzero((first <= point) & (point < end))
        rows = account[here]
        left = lines.short[rows] - move * lines.short_slope[rows]
        total = lines.debt[rows] - move * lines.debt_slope[rows]
        result[:, point] = np.bincount(asset[here], left * (owed[here] - move * owed_slope[here]) / total, len(book.assets))
    return result
