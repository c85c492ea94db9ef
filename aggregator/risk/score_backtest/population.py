"""Made-up margin accounts: one to three volatile collaterals, sometimes a stablecoin beside them, owing a stablecoin, BTC or ETH."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.score_backtest.panel import Panel
from aggregator.risk.shapes import Array

WARM_UP_HOURS = 30 * 24
START_EVERY_HOURS = 5
"""coprime with the 168 hours of a week, so that every hour of the week occurs"""
ACCOUNTS_A_START = 40
LOWEST_HEALTH = 1.01
HIGHEST_HEALTH = 2.0
STABLE_SHARE = 0.4
STABLE_PROBABILITY = 0.3
VOLATILE_DEBT_PROBABILITY = 0.3
VOLATILE_DEBTS = ("BTC", "ETH")
SEED = 20230108


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts in the order of their starts. Health at a later time: `health · (stable + Σ shares·S/S₀) / (D/D₀)`."""

    row: NDArray[np.int64]
    """row of the panel at which the account begins"""
    shares: Array
    """(accounts, assets): share of each volatile collateral in what counts"""
    stable: Array
    """share of a stablecoin that does not move"""
    debt: NDArray[np.int64]
    """asset that is owed, −1 for a stablecoin that does not move"""
    health: Array

    def __len__(self) -> int:
        return len(self.row)

    def first_order(self) -> Array:
        """(accounts, assets): how the logarithm of health follows the logarithms of the prices, to first order."""
        weights = self.shares.copy()
        owing = np.flatnonzero(self.debt >= 0)
        weights[owing, self.debt[owing]] -= 1.0
        return weights

    def starts(self) -> Iterator[tuple[int, slice]]:
        """(row of the panel, where the accounts that begin there stand), start by start."""
        rows, begins = np.unique(self.row, return_index=True)
        ends = np.append(begins[1:], len(self))[: len(rows)]
        for row, first, last in zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True):
            yield row, slice(first, last)

    def part(self, chosen: NDArray[np.bool_] | slice) -> Accounts:
        return Accounts(self.row[chosen], self.shares[chosen], self.stable[chosen], self.debt[chosen], self.health[chosen])


def starts(one: Panel, first: int, last: int) -> NDArray[np.int64]:
    """Rows in [first, last) at which accounts begin; which they are does not depend on the bounds."""
    offset = (one.start // 3_600) % START_EVERY_HOURS
    rows = np.arange(max(first, 0), min(last, one.hours), dtype=np.int64)
    return np.asarray(rows[(rows + offset) % START_EVERY_HOURS == 0])


def population(one: Panel, pegs: frozenset[str], rows: NDArray[np.int64], each: int = ACCOUNTS_A_START, seed: int = SEED) -> Accounts:
    """Accounts at each start at which at least one volatile asset has its warm-up behind it. Nothing after a start decides about it."""
    volatile = np.array([symbol not in pegs for symbol in one.symbols])
    owable = [one.symbols.index(symbol) for symbol in VOLATILE_DEBTS if symbol in one.symbols]
    parts: list[tuple[NDArray[np.int64], Array, Array, NDArray[np.int64], Array]] = []
    for row in rows.tolist():
        ready = one.age[row] >= WARM_UP_HOURS
        eligible = np.flatnonzero(ready & volatile)
        if not len(eligible):
            continue
        # a start's accounts depend on its time and on the assets there are, not on how long the file is
        draw = np.random.Generator(np.random.Philox(key=np.array([seed, one.time(row)], dtype=np.uint64)))
        debt = np.full(each, -1, dtype=np.int64)
        candidates = [asset for asset in owable if ready[asset]]
        volatile_debt = draw.random(each) < VOLATILE_DEBT_PROBABILITY
        which = draw.integers(0, 2, each)
        order = np.argsort(draw.random((each, len(eligible))), axis=1)
        wanted = draw.integers(1, 4, each)
        raw = draw.random((each, 3))
        stable = np.where(draw.random(each) < STABLE_PROBABILITY, STABLE_SHARE, 0.0)
        health = np.exp(draw.uniform(np.log(LOWEST_HEALTH), np.log(HIGHEST_HEALTH), each))
        shares = np.zeros((each, len(one.symbols)))
        for account in range(each):
            if volatile_debt[account] and candidates:
                debt[account] = candidates[which[account] % len(candidates)]
            held = [asset for asset in eligible[order[account]].tolist() if asset != debt[account]][: wanted[account]]
            if not held:  # the only asset there is cannot be both sides
                debt[account], held = -1, eligible[:1].tolist()
            part = raw[account, : len(held)] + 1e-9
            shares[account, held] = (1.0 - stable[account]) * part / part.sum()
        parts.append((np.full(each, row, dtype=np.int64), shares, stable, debt, health))
    if not parts:
        nothing = np.zeros(0)
        return Accounts(nothing.astype(np.int64), np.zeros((0, len(one.symbols))), nothing, nothing.astype(np.int64), nothing)
    return Accounts(*(np.concatenate(column) for column in zip(*parts, strict=True)))
