"""A population as a network of lenders, against sums over accounts one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.contagion.lenders import lender_network
from aggregator.contagion.network import NodeKind
from aggregator.contagion.ranking import rank
from aggregator.model.errors import InputError
from tests.contagion.books import random_book, seeds, small_book
from tests.contagion.reference import plain_accounts, plain_state


@settings(max_examples=20)
@given(seeds, st.integers(1, 60))
def test_claims_on_tokens_are_the_bad_debt_that_their_fall_adds(seed: int, size: int) -> None:
    book = random_book(seed, accounts=size)
    made = lender_network(book)
    exposures = made.exposures.toarray()
    accounts = plain_accounts(book)
    now = [plain_state(book, account, book.reserves.oracle_price) for account in accounts]
    group = [f"lenders of {book.markets[account.market].protocol} on {book.markets[account.market].chain}" for account in accounts]
    for place, name in enumerate(made.names):
        if made.kinds[place] is not NodeKind.TOKEN:
            continue
        prices = np.where([book.assets[code].symbol == name for code in book.reserves.asset], 0.0, book.reserves.oracle_price)
        for row, lenders in enumerate(made.names):
            if not lenders.startswith("lenders of"):
                continue
            added = 0.0
            for account, state, of in zip(accounts, now, group, strict=True):
                if of == lenders:
                    covered = plain_state(book, account, prices).covered  # debts stay as they are: only collateral fails
                    added += max(state.debt - covered, 0.0) - max(state.debt - state.covered, 0.0)
            assert exposures[row, place] == pytest.approx(added, rel=1e-9, abs=0.02)
    for row, lenders in enumerate(made.names):
        if lenders.startswith("lenders of"):
            lent = math.fsum(state.debt for state, of in zip(now, group, strict=True) if of == lenders)
            assert made.equity[row] == pytest.approx(lent, rel=1e-9)


def test_an_oracle_of_two_assets_is_a_node_and_a_token_alone_is_none() -> None:
    book = small_book([({"ETH": 1.0, "stETH": 1.0}, {"USD": 2500.0})], {"ETH": 2000.0, "stETH": 2000.0, "USD": 1.0})
    book = replace(book, reserves=replace(book.reserves, priced_by=np.array([0, 0, 2], dtype=np.int32)))
    made = lender_network(book)
    assert "oracle of ETH" in made.names and "oracle of USD" not in made.names
    impact = dict(zip(made.names, rank(made).impact[0].tolist(), strict=True))
    assert impact["oracle of ETH"] == pytest.approx(1.0, rel=1e-4)  # both at once leave nothing
    assert impact["ETH"] == impact["stETH"] < 0.4


def test_without_debt_there_is_no_network() -> None:
    with pytest.raises(InputError, match="nothing is lent"):
        lender_network(small_book([({"ETH": 1.0}, {})], {"ETH": 2000.0}))
