"""Populations with holes and absurdities: an answer whose accounts add up, or one line that says what cannot be; never a crash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings

from aggregator.contagion.cascade import cascade
from aggregator.contagion.impact import ConstantProductImpact, ExponentialImpact, Impact, LinearImpact
from aggregator.contagion.liquidations import Gate, LiquidationTerms, Pairing
from aggregator.contagion.oracles import OracleRules, following
from aggregator.contagion.scenario import OracleFreeze, OracleLag, PriceShock, Scenario
from aggregator.contagion.simulation import simulate
from aggregator.contagion.spiral import spiral_distance
from aggregator.contagion.system import System
from aggregator.model.book import Book
from aggregator.model.errors import InputError
from tests.contagion.books import random_book, seeds


def _holed(random: np.random.Generator, seed: int) -> Book:
    """Unknown amounts, prices and oracles, assets that do not count, prices of nothing, and sometimes far too much money."""
    book = random_book(seed, accounts=30, factors=(0.5, 1.6))
    collateral, debt = book.collateral.amounts.copy(), book.debt.amounts.copy()
    collateral[random.random(len(collateral)) < 0.1] = np.nan
    debt[random.random(len(debt)) < 0.05] = np.nan
    if random.random() < 0.1:
        collateral *= 10 ** random.uniform(0.0, 9.0)
    prices, oracle, threshold = book.prices.copy(), book.reserves.oracle_price.copy(), book.reserves.threshold.copy()
    prices[random.random(6) < 0.15], prices[random.random(6) < 0.05] = np.nan, 0.0
    oracle[random.random(18) < 0.1], oracle[random.random(18) < 0.05] = np.nan, 0.0
    threshold[random.random(18) < 0.15] = 0.0
    return replace(
        book,
        prices=prices,
        reserves=replace(book.reserves, oracle_price=oracle, threshold=threshold),
        collateral=replace(book.collateral, amounts=collateral),
        debt=replace(book.debt, amounts=debt),
    )


def _rules(random: np.random.Generator, book: Book) -> OracleRules:
    return replace(
        following(book),
        kind=random.integers(0, 5, 18).astype(np.int8),
        deviation=random.uniform(0.0, 0.05, 18),
        heartbeat=np.where(random.random(18) < 0.5, np.inf, 3600.0),
        window=random.uniform(0.0, 3600.0, 18),
        lag=np.where(random.random(18) < 0.2, 60.0, 0.0),
        base=random.integers(0, 6, 18).astype(np.int32),
    )


def _impact(random: np.random.Generator, kind: int) -> Impact:
    depth = random.lognormal(12.0, 4.0, 6)
    depth[random.random(6) < 0.2], depth[random.random(6) < 0.2] = np.nan, np.inf
    made: tuple[Impact, ...] = (ExponentialImpact(depth), LinearImpact(1.0 / depth), ConstantProductImpact(depth))
    return made[kind]


@settings(max_examples=40)
@given(seeds)
def test_an_answer_that_adds_up_or_one_line(seed: int) -> None:
    random = np.random.default_rng(seed)
    book, impact = _holed(random, seed), _impact(random, seed % 3)
    rules = _rules(random, book)
    terms = LiquidationTerms(list(Pairing)[seed % 2], Gate(5.0, 0.2) if random.random() < 0.5 else None)
    try:
        found = cascade(book, book.prices * random.uniform(0.0, 1.3, 6), impact, terms=terms, oracles=rules, round_seconds=12.0)
    except InputError as error:
        assert "cannot be accounted for to the micro-dollar" in str(error) and "\n" not in str(error)
        return
    assert found.settled and sum(found.ledger.losses().values()) == 0
    assert (found.account_repaid >= 0.0).all() and (found.bad_debt_by_reserve >= 0).all()
    spiral_distance(book, np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0]), impact, np.linspace(0.0, 0.5, 5))
    shocks = (PriceShock("A1", 0.3), OracleFreeze("A2"), OracleLag("A3", 99.0))
    played = simulate(System(book, impact, oracles=rules), Scenario("holes", shocks))
    assert played.settled and sum(played.borne.values()) == int(played.cascade.bad_debt_by_reserve.sum())
    unknown = int(np.count_nonzero(book.health().unknown))
    if unknown:
        assert found.evidence.known_share < 1.0 and found.evidence.missing, "what is not known is said"
