"""Slow, plain implementations to compare with: loops over accounts and nodes, exact rationals where that is possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from aggregator.model.book import Book, Floats


@dataclass
class PlainAccount:
    """One account as lists of (reserve, amount)."""

    market: int
    collateral: list[tuple[int, float]]
    debt: list[tuple[int, float]]


def plain_accounts(book: Book) -> list[PlainAccount]:
    accounts = [PlainAccount(int(code), [], []) for code in book.account_market]
    for side, name in ((book.collateral, "collateral"), (book.debt, "debt")):
        reserves = side.reserves()
        for place in range(len(side)):
            getattr(accounts[int(side.accounts[place])], name).append((int(reserves[place]), float(side.amounts[place])))
    return accounts


@dataclass
class PlainState:
    """Weighted collateral, seizable collateral, debt that it can repay, and debt of one account."""

    weighted: float
    worth: float
    covered: float
    debt: float


def plain_state(book: Book, account: PlainAccount, oracle: Sequence[float] | Floats) -> PlainState:
    reserves = book.reserves
    counted = [(reserve, amount) for reserve, amount in account.collateral if reserves.threshold[reserve] != 0]
    return PlainState(
        math.fsum(amount * oracle[reserve] * reserves.threshold[reserve] for reserve, amount in counted),
        math.fsum(amount * oracle[reserve] for reserve, amount in counted),
        math.fsum(amount * oracle[reserve] / (1 + reserves.bonus[reserve]) for reserve, amount in counted),
        math.fsum(amount * oracle[reserve] for reserve, amount in account.debt),
    )


def plain_static(book: Book, oracle: Sequence[float] | Floats) -> tuple[int, float, float, float]:
    """(accounts, liquidatable debt, collateral at risk, bad debt) over the whole book."""
    states = [plain_state(book, account, oracle) for account in plain_accounts(book)]
    breached = [state for state in states if state.weighted < state.debt]
    return (
        len(breached),
        math.fsum(state.debt for state in breached),
        math.fsum(state.worth for state in breached),
        math.fsum(max(state.debt - state.covered, 0.0) for state in breached),
    )


Matrix = list[list[Fraction]]


def solve(matrix: Matrix, right: list[Fraction]) -> list[Fraction]:
    """Exact solution of a square system by elimination."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column] != 0)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(size):
            if row != column and rows[row][column] != 0:
                factor = rows[row][column] / rows[column][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [rows[row][size] / rows[row][row] for row in range(size)]


def exact_clearing(
    owed: Sequence[Sequence[float]],
    external_assets: Sequence[float],
    external_liabilities: Sequence[float],
    alpha: float = 1.0,
    beta: float = 1.0,
) -> list[Fraction]:
    """Greatest clearing vector by fictitious default in rationals; `owed[i][j]` is what i owes j; external creditors rank equally."""
    size = len(owed)
    due = [sum((Fraction(x) for x in owed[i]), Fraction(external_liabilities[i])) for i in range(size)]
    share = [[Fraction(owed[i][j]) / due[i] if due[i] else Fraction(0) for j in range(size)] for i in range(size)]
    assets, a, b = [Fraction(x) for x in external_assets], Fraction(alpha), Fraction(beta)
    paid, defaults = list(due), set[int]()
    while True:
        inflow = [sum((share[i][j] * paid[i] for i in range(size)), Fraction(0)) for j in range(size)]
        found = {j for j in range(size) if assets[j] + inflow[j] < due[j]} | defaults
        if found == defaults:
            return paid
        defaults = found
        order = sorted(defaults)
        matrix = [[Fraction(int(i == j)) - b * share[j][i] for j in order] for i in order]
        right = [a * assets[i] + b * sum((share[j][i] * due[j] for j in range(size) if j not in defaults), Fraction(0)) for i in order]
        for place, value in zip(order, solve(matrix, right), strict=True):
            paid[place] = value


def plain_equities(
    exposures: Sequence[Sequence[float]],
    external_assets: Sequence[float],
    external_liabilities: Sequence[float],
    shock: Sequence[float],
    value: Callable[[int, float], float],
    rounds: int = 100_000,
) -> list[float]:
    """Equities by plain iteration from face value: E = assets − shock − liabilities + Σ A·V(E); `value(j, E_j)` is V of borrower j."""
    size = len(exposures)
    owed = [math.fsum(exposures[i][j] for i in range(size)) for j in range(size)]
    base = [external_assets[i] - shock[i] - external_liabilities[i] - owed[i] for i in range(size)]
    equity = [base[i] + math.fsum(exposures[i]) for i in range(size)]
    for _ in range(rounds):
        values = [value(j, equity[j]) for j in range(size)]
        after = [base[i] + math.fsum(exposures[i][j] * values[j] for j in range(size)) for i in range(size)]
        if max(abs(x - y) for x, y in zip(after, equity, strict=True)) <= 1e-14 * max(1.0, *map(abs, equity)):
            return after
        equity = after
    raise AssertionError("the plain iteration did not converge")
