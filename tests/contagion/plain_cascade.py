"""A slow cascade in plain loops: accounts as lists of legs, one after the other, all at the round's own prices."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aggregator.model.book import Book, Floats
from tests.contagion.reference import PlainAccount, plain_accounts, plain_state


@dataclass
class PlainCascade:
    rounds: list[int]
    """accounts liquidated in each round"""
    repaid: float
    seized: float
    bad_debt: float
    prices: list[float]
    sold: list[float]


def plain_cascade(book: Book, prices: Floats, depth: float, dust: float = 0.01, maximum: int = 500) -> PlainCascade:
    """Pro-rata liquidations with the markets' close factors; price = shocked price · exp(−sold / depth); oracles follow at once."""
    accounts = plain_accounts(book)
    assets = [int(code) for code in book.reserves.asset]
    base, sold = [float(price) for price in prices], [0.0] * len(book.assets)
    result = PlainCascade([], 0.0, 0.0, 0.0, base, sold)
    for _ in range(maximum):
        market = [price * math.exp(-amount / depth) for price, amount in zip(base, sold, strict=True)]
        oracle = [float(book.reserves.oracle_price[r]) * market[a] / float(book.prices[a]) for r, a in enumerate(assets)]
        done, fresh = 0, [0.0] * len(sold)
        for account in accounts:
            if _liquidate(book, account, oracle, dust, fresh, result):
                done += 1
        if not done:
            result.prices = market
            return result
        result.rounds.append(done)
        for asset, amount in enumerate(fresh):
            sold[asset] += amount
    raise AssertionError("the plain cascade did not end")


def _liquidate(book: Book, account: PlainAccount, oracle: list[float], dust: float, fresh: list[float], result: PlainCascade) -> bool:
    state = plain_state(book, account, oracle)
    if not (state.weighted < state.debt and state.debt > dust):
        return False
    rule = book.markets[account.market].rule
    large = state.worth >= rule.small_value and state.debt >= rule.small_value
    mild = state.weighted / state.debt > rule.mild_above and large
    wanted = (rule.mild_close_factor if mild else rule.close_factor) * state.debt
    repaid = min(wanted, state.covered)
    exhausted = wanted >= state.covered
    part = 1.0 if exhausted else repaid / state.covered
    bad = state.debt - state.covered if exhausted else 0.0
    for place, (reserve, amount) in enumerate(account.collateral):
        if book.reserves.threshold[reserve] == 0.0:
            continue
        value = amount * oracle[reserve] * part
        fresh[int(book.reserves.asset[reserve])] += value
        result.seized += value
        account.collateral[place] = (reserve, 0.0 if exhausted else amount * (1.0 - part))
    closed = exhausted or repaid >= state.debt
    left = 0.0 if closed else 1.0 - repaid / state.debt
    account.debt = [(reserve, amount * left) for reserve, amount in account.debt]
    result.repaid += repaid
    result.bad_debt += bad
    return True
