"""Oracles by type, with update rules and faults, alone and inside a cascade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aggregator.contagion.cascade import cascade
from aggregator.contagion.impact import ExponentialImpact, no_impact
from aggregator.contagion.oracles import OracleKind, OracleRules, Oracles, following
from aggregator.model.book import Book, Floats
from aggregator.model.errors import InputError
from tests.contagion.books import codes, random_book, small_book

HOUR = 3600.0


def _book() -> Book:
    """A staked token S (100) that follows the asset E (50), beside dollars."""
    book = small_book([({"S": 1.0}, {"USD": 70.0})], {"S": 100.0, "E": 50.0, "USD": 1.0})
    return replace(book, reserves=replace(book.reserves, priced_by=codes([1, 1, 2])))


def _rules(book: Book, kind: OracleKind, **columns: Floats) -> OracleRules:
    made = following(book)
    kinds = made.kind.copy()
    kinds[0] = kind
    return replace(made, kind=kinds, **columns)  # type: ignore[arg-type]


def _all(value: float) -> Floats:
    return np.full(3, value)


def test_spot_follows_at_once() -> None:
    book = random_book(1)
    moved = book.prices * np.linspace(0.5, 1.2, 6)
    assert Oracles(book).update(0.0, moved) == pytest.approx(book.oracle_prices(moved), rel=1e-15)
    assert Oracles(book).next_change(0.0) is None


def test_deviation_and_heartbeat() -> None:
    book = _book()
    oracles = Oracles(book, _rules(book, OracleKind.SPOT, deviation=_all(0.005), heartbeat=_all(HOUR)))
    assert oracles.update(10.0, book.prices * 0.996)[0] == 100.0, "0.4 % is not worth a transaction"
    assert oracles.next_change(10.0) == pytest.approx(HOUR)
    assert oracles.update(20.0, book.prices * 0.99)[0] == pytest.approx(99.0), "1 % is"
    assert oracles.update(30.0, book.prices * 0.988)[0] == pytest.approx(99.0)
    assert oracles.update(20.0 + HOUR, book.prices * 0.988)[0] == pytest.approx(99.0), "not older than the heartbeat yet"
    assert oracles.update(21.0 + HOUR, book.prices * 0.988)[0] == pytest.approx(98.8)
    assert oracles.next_change(21.0 + HOUR) is None


def test_a_time_weighted_mean_arrives_after_its_window() -> None:
    book = _book()
    oracles = Oracles(book, _rules(book, OracleKind.TWAP, window=_all(1800.0)))
    assert oracles.update(0.0, book.prices * 0.8)[0] == 100.0
    assert oracles.update(450.0, book.prices * 0.8)[0] == pytest.approx(95.0)
    assert oracles.update(900.0, book.prices * 0.6)[0] == pytest.approx(90.0)
    assert oracles.update(1800.0, book.prices * 0.6)[0] == pytest.approx(70.0)
    assert oracles.next_change(1800.0) is not None
    assert oracles.update(2700.0, book.prices * 0.6)[0] == pytest.approx(60.0)
    assert oracles.next_change(2700.0) is None


def test_a_rate_oracle_sees_the_contracts_rate_and_not_the_market_of_its_token() -> None:
    book = _book()
    oracles = Oracles(book, _rules(book, OracleKind.RATE))
    depegged = book.prices * np.array([0.7, 1.0, 1.0])
    assert oracles.update(0.0, depegged)[0] == 100.0
    slashed = np.array([0.95, 1.0, 1.0])
    assert oracles.update(1.0, book.prices * np.array([0.7, 0.9, 1.0]), slashed)[0] == pytest.approx(100.0 * 0.9 * 0.95)
    own = replace(book, reserves=replace(book.reserves, priced_by=codes([0, 1, 2])))
    assert Oracles(own, _rules(own, OracleKind.RATE)).update(0.0, depegged)[0] == 100.0


def test_a_constant_and_a_ceiling() -> None:
    book = _book()
    assert Oracles(book, _rules(book, OracleKind.CONSTANT)).update(0.0, book.prices * 0.1)[0] == 100.0
    capped = Oracles(book, _rules(book, OracleKind.SPOT, ceiling=np.array([104.0, np.inf, np.inf])))
    assert capped.update(0.0, book.prices * 1.2).tolist() == pytest.approx([104.0, 60.0, 1.2])
    assert capped.update(0.0, book.prices * 0.9)[0] == pytest.approx(90.0)


def test_a_composite_updates_each_of_its_feeds() -> None:
    """S over E barely moves, E over dollars does: only the second feed is written."""
    book = replace(_book(), reserves=replace(_book().reserves, priced_by=codes([0, 1, 2])))
    rules = _rules(book, OracleKind.COMPOSITE, deviation=_all(0.01))
    oracles = Oracles(book, replace(rules, base=codes([1, 1, 2])))
    moved = book.prices * np.array([0.895, 0.9, 1.0])
    assert oracles.update(0.0, moved)[0] == pytest.approx(90.0)
    spot = Oracles(book, _rules(book, OracleKind.SPOT, deviation=_all(0.01)))
    assert spot.update(0.0, moved)[0] == pytest.approx(89.5)


def test_faults_freeze_lie_and_lag() -> None:
    book = _book()
    first = np.array([0])
    frozen = Oracles(book, following(book).faulty(first, frozen=True))
    assert frozen.update(5.0, book.prices * 0.5).tolist() == pytest.approx([100.0, 25.0, 0.5])
    assert frozen.next_change(5.0) is None
    lying = Oracles(book, following(book).faulty(first, stated=140.0))
    assert lying.update(5.0, book.prices * 0.5)[0] == 140.0
    late = Oracles(book, following(book).faulty(first, lag=600.0))
    assert late.update(0.0, book.prices * 0.5)[0] == 100.0
    assert late.next_change(0.0) == 600.0
    assert late.update(600.0, book.prices * 0.5)[0] == pytest.approx(50.0)
    assert late.next_change(600.0) is None


def test_a_price_that_gets_lost_is_not_shown_as_the_old_one() -> None:
    book = _book()
    oracles = Oracles(book, _rules(book, OracleKind.SPOT, deviation=_all(0.5)))
    assert np.isnan(oracles.update(0.0, np.array([100.0, np.nan, 1.0]))[0])


def test_a_slow_oracle_delays_a_cascade_and_ends_it_at_the_same_place() -> None:
    book = small_book([({"A": 100.0}, {"USD": debt}) for debt in (7000.0, 7400.0, 7800.0)], {"A": 100.0, "USD": 1.0})
    impact = ExponentialImpact(np.array([500_000.0, np.inf]))
    prices = book.prices * np.array([0.85, 1.0])
    at_once = cascade(book, prices, impact)
    late = cascade(book, prices, impact, oracles=following(book).faulty(np.array([0]), lag=HOUR), round_seconds=12.0)
    assert late.settled
    assert late.oracle_prices[0, 0] == 100.0
    assert late.prices[-1, 0] == pytest.approx(at_once.prices[-1, 0], rel=0.02)
    assert late.first_round.all() and at_once.first_round.all()


def test_a_frozen_oracle_hides_the_loss() -> None:
    book = small_book([({"A": 100.0}, {"USD": 7800.0})], {"A": 100.0, "USD": 1.0})
    prices = book.prices * np.array([0.5, 1.0])
    hidden = cascade(book, prices, no_impact(2), oracles=following(book).faulty(np.array([0]), frozen=True))
    assert hidden.rounds == 0 and hidden.settled
    assert cascade(book, prices, no_impact(2)).total_bad_debt > 3000.0


def test_bad_rules_are_refused() -> None:
    book = _book()
    with pytest.raises(InputError, match="an oracle's deviation is not a number of 0 or more"):
        _rules(book, OracleKind.SPOT, deviation=_all(-0.1))
    with pytest.raises(InputError, match="below zero"):
        following(book).faulty(np.array([0]), stated=-1.0)
    with pytest.raises(InputError, match="3 oracle rules; the population has 18 reserves"):
        Oracles(random_book(1), following(book))
    with pytest.raises(InputError, match="oracle column lag has 1 rows, expected 3"):
        replace(following(book), lag=np.zeros(1))
