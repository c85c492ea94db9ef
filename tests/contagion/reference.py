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


def plain_models() -> dict[str, Callable[[float, float, float, float, float], float]]:
    """Value of a claim by model, one debtor at a time: (equity, face equity, external assets after the shock, liabilities, sigma)."""

    def normal(x: float) -> float:
        return 0.5 * (1.0 + math.erf(x / math.sqrt(2.0)))

    def loss(e: float, face: float) -> float:
        return 0.0 if e > face else 1.0 - e / face if e > 0.0 else 1.0

    def distance(e: float, a: float, s: float, drift: float) -> float:
        if a <= 0.0:
            return float(e <= 0.0)
        return normal((math.log(1.0 - e / a) + drift * s * s) / s) if e < a else 0.0

    def black_cox(e: float, a: float, s: float) -> float:
        if e <= 0.0:
            return 1.0
        return distance(e, a, s, 0.5) + a / (a - e) * distance(e, a, s, -0.5) if e < a else 0.0

    def merton(e: float, face: float, a: float, owed: float, s: float) -> float:
        here, beyond = distance(e, a, s, 0.5), distance(e + owed, a, s, 0.5)
        kept = a * (distance(e, a, s, -0.5) - distance(e + owed, a, s, -0.5))
        return 1.0 - here + 0.7 * ((1.0 + (e - a) / owed) * (here - beyond) + kept / owed)

    return {
        "eisenberg-noe": lambda e, face, a, owed, s: 1.0 if e > 0 else max((e + owed) / owed, 0.0),
        "rogers-veraart": lambda e, face, a, owed, s: (
            1.0 if e > 0 else max((0.5 - 0.7) * a / owed + 0.7 * max((e + owed) / owed, 0.0), 0.0)
        ),
        "furfine": lambda e, face, a, owed, s: 1.0 if e > 0 else 0.0,
        "furfine-0.4": lambda e, face, a, owed, s: 1.0 if e > 0 else 0.4,
        "linear-debtrank": lambda e, face, a, owed, s: 1.0 - loss(e, face),
        "non-linear-debtrank": lambda e, face, a, owed, s: 1.0 - loss(e, face) * math.exp(2.0 * (loss(e, face) - 1.0)),
        "black-cox": lambda e, face, a, owed, s: 1.0 + (0.6 - 1.0) * black_cox(e, a, s),
        "furfine-merton": lambda e, face, a, owed, s: 1.0 + (0.3 - 1.0) * distance(e, a, s, 0.5),
        "merton": merton,
    }


def plain_debtrank(impact: Sequence[Sequence[float]], shock: Sequence[float], alpha: float = 0.0) -> list[float]:
    """h(t+1) = min(1, h(t) + Σ impact·(p(h(t)) − p(h(t−1)))), increment by increment as the papers write it."""
    size = len(impact)

    def passed(h: float) -> float:
        return h * math.exp(alpha * (h - 1.0))

    before, now = [0.0] * size, list(shock)
    for _ in range(200_000):
        after = [
            min(1.0, now[i] + math.fsum(impact[i][j] * (passed(now[j]) - passed(before[j])) for j in range(size) if impact[i][j]))
            for i in range(size)
        ]
        if max(a - b for a, b in zip(after, now, strict=True)) <= 1e-15:
            return after
        before, now = now, after
    raise AssertionError("the plain iteration did not converge")


def plain_original_debtrank(impact: Sequence[Sequence[float]], shock: Sequence[float]) -> list[float]:
    """Nodes are undistressed, distressed or inactive; each is distressed for one round."""
    size = len(impact)
    h, state = list(shock), ["D" if x > 0 else "U" for x in shock]
    while "D" in state:
        after = [min(1.0, h[i] + math.fsum(impact[i][j] * h[j] for j in range(size) if state[j] == "D")) for i in range(size)]
        state = ["I" if state[i] in "DI" else "D" if after[i] > 0 else "U" for i in range(size)]
        h = after
    return h


@dataclass
class PlainBank:
    """One bank of the threshold fire sale."""

    units: list[float]
    cash: float
    other: float
    loan: float
    owed: float
    failed: bool = False

    def equity(self, prices: Sequence[float]) -> tuple[float, float]:
        assets = math.fsum(u * p for u, p in zip(self.units, prices, strict=True)) + self.cash + self.other
        return assets - self.loan - self.owed, assets


def plain_fire_sale(
    banks: list[PlainBank], prices: list[float], depth: Sequence[float], limits: tuple[float, float, float], rounds: int
) -> list[float]:
    """Decide, then clear at the middle price, round after round; returns the prices at the end."""
    minimum, buffer, target = limits
    for _ in range(rounds):
        orders = []
        for bank in banks:
            equity, assets = bank.equity(prices)
            share = 0.0
            if not bank.failed and equity / assets < minimum:
                bank.failed, share = True, 1.0
            elif not bank.failed and equity / assets < buffer:
                wanted = max(assets - equity / target, 0.0)
                repaid = min(wanted, bank.cash, bank.loan)
                bank.cash, bank.loan = bank.cash - repaid, bank.loan - repaid
                marked = math.fsum(u * p for u, p in zip(bank.units, prices, strict=True))
                raised = max(wanted - repaid - bank.cash, 0.0)
                share = min(raised / marked, 1.0) if marked > 0 else 0.0
            orders.append([u * share for u in bank.units])
        sold = [math.fsum(order[k] for order in orders) for k in range(len(prices))]
        after = [p * math.exp(-s / d) for p, s, d in zip(prices, sold, depth, strict=True)]
        for bank, order in zip(banks, orders, strict=True):
            bank.cash += math.fsum(o * (p + q) / 2.0 for o, p, q in zip(order, prices, after, strict=True))
            bank.units = [u - o for u, o in zip(bank.units, order, strict=True)]
        prices = after
    return prices
