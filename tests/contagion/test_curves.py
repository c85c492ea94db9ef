"""Static curves against plain loops at every point, many scenarios at once, and price by price."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.contagion.curves import MOVES, GroupBy, basket, static_curve
from aggregator.contagion.evidence import Evidence, Level, of_book, together
from aggregator.contagion.health import HealthTracker, stress
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId
from tests.contagion.books import permuted, random_book, seeds, small_book
from tests.contagion.reference import plain_static

TOLERANCE = 1e-9


@settings(max_examples=30, deadline=None)
@given(seeds, st.booleans())
def test_every_point_of_a_curve_is_what_a_plain_loop_gives(seed: int, one_asset: bool) -> None:
    book = random_book(seed, accounts=40)
    random = np.random.default_rng(seed)
    betas = np.eye(6)[random.integers(0, 6)] if one_asset else random.uniform(-1.0, 2.0, 6)
    moves = np.unique(np.concatenate([[0.0], random.uniform(0.0, 0.5, 6)]))
    curve = static_curve(book, betas, moves)
    for point, move in enumerate(moves.tolist()):
        count, debt, collateral, bad = plain_static(book, book.oracle_prices(book.prices * (1.0 - betas * move)))
        scale = max(float(book.health().debt.sum()), 1.0)
        assert curve.accounts[0, point] == count
        assert curve.liquidatable_debt[0, point] == pytest.approx(debt, rel=TOLERANCE, abs=1e-12 * scale)
        assert curve.collateral_at_risk[0, point] == pytest.approx(collateral, rel=TOLERANCE, abs=1e-12 * scale)
        assert curve.bad_debt[0, point] == pytest.approx(bad, rel=TOLERANCE, abs=1e-12 * scale)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_groups_add_up_to_the_whole(seed: int) -> None:
    book = random_book(seed, accounts=60)
    betas = np.random.default_rng(seed).uniform(0.0, 2.0, 6)
    whole = static_curve(book, betas)
    for by in GroupBy:
        parts = static_curve(book, betas, by=by)
        for name in ("liquidatable_debt", "collateral_at_risk", "bad_debt"):
            total = getattr(whole, name)[0]
            assert getattr(parts, name).sum(axis=0) == pytest.approx(
                total, rel=1e-9, abs=1e-12 * float(whole.liquidatable_debt.max() + 1.0)
            )
        if by is not GroupBy.ASSET:
            assert np.array_equal(parts.accounts.sum(axis=0), whole.accounts[0])


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_many_scenarios_at_once_are_each_what_a_plain_loop_gives(seed: int) -> None:
    book = random_book(seed, accounts=50)
    moves = np.random.default_rng(seed).uniform(0.4, 1.3, (7, 6))
    oracle = np.array([book.oracle_prices(book.prices * move) for move in moves])
    result = stress(book, oracle)
    for row in range(7):
        count, debt, collateral, bad = plain_static(book, oracle[row])
        assert result.liquidatable_accounts[row] == count
        assert result.liquidatable_debt[row] == pytest.approx(debt, rel=TOLERANCE)
        assert result.collateral_at_risk[row] == pytest.approx(collateral, rel=TOLERANCE)
        assert result.bad_debt[row] == pytest.approx(bad, rel=TOLERANCE, abs=1e-9 * debt)
    assert not result.unknown.any()


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_price_by_price_ends_where_a_full_pass_does(seed: int) -> None:
    book = random_book(seed, accounts=50)
    random = np.random.default_rng(seed)
    tracker = HealthTracker(book)
    for _ in range(40):
        asset, factor = int(random.integers(0, 6)), float(random.uniform(0.8, 1.2))
        before = tracker.health.factor.copy()
        tick = tracker.move_asset(asset, factor)
        after = book.health(tracker.prices).factor
        assert tracker.health.factor == pytest.approx(after, rel=1e-11)
        assert tick.before == pytest.approx(before[tick.accounts], rel=1e-12)
        assert tick.after == pytest.approx(after[tick.accounts], rel=1e-11)
        assert set(tick.breached.tolist()) == set(np.flatnonzero((after < 1) & (before >= 1)).tolist())
        assert set(tick.recovered.tolist()) == set(np.flatnonzero((after >= 1) & (before < 1)).tolist())


def test_a_price_that_gets_lost_and_comes_back() -> None:
    book = random_book(5, accounts=50)
    tracker = HealthTracker(book)
    reserves = np.array([1], dtype=np.intp)
    price = tracker.prices[reserves]
    lost = tracker.set_reserves(reserves, np.array([np.nan]))
    assert tracker.health.unknown[lost.accounts].all() and np.isnan(lost.after).all()
    back = tracker.set_reserves(reserves, price)
    assert np.isnan(back.before).all()
    assert np.array_equal(tracker.health.factor, book.health().factor)
    with pytest.raises(InputError, match="expected a factor of 0 or more"):
        tracker.move_asset(1, -0.5)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_order_of_accounts_does_not_matter(seed: int) -> None:
    book = random_book(seed, accounts=60)
    other = permuted(book, np.random.default_rng(seed).permutation(book.size))
    betas = np.ones(6)
    one, two = static_curve(book, betas), static_curve(other, betas)
    for name in ("liquidatable_debt", "collateral_at_risk", "bad_debt"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-10, abs=1e-6)


def test_a_larger_fall_can_leave_less_unpaid_and_the_curve_says_so() -> None:
    """The debt falls with the collateral's own basket, so beyond some point less is lacking; the worst point is found, not assumed."""
    wallets = [({"A": 100.0}, {"B": 70.0})]
    book = small_book(wallets, {"A": 1.0, "B": 1.0}, threshold=0.8, bonus=0.0)
    curve = static_curve(book, np.array([1.0, 2.0]), np.array([0.0, 0.1, 0.2, 0.3]))
    assert curve.liquidatable_debt[0].tolist() == [0.0, 0.0, 0.0, 0.0]
    short = static_curve(small_book([({"A": 100.0}, {"B": 90.0, "C": 30.0})], {"A": 1.0, "B": 1.0, "C": 1.0}), np.array([0.0, 1.0, 0.0]))
    assert short.worst[0] == 0.0
    assert short.bad_debt[0, 0] == pytest.approx(120.0 - 100.0 / 1.05)


def test_unknown_accounts_are_counted_and_never_calm() -> None:
    wallets = [({"ETH": 1.0}, {"USD": 50.0})] * 3 + [({"ETH": np.nan}, {"USD": 50.0})] * 3
    book = small_book(wallets, {"ETH": 100.0, "USD": 1.0})
    curve = static_curve(book, basket(book, {book.assets[0].asset: 1.0}))
    assert curve.accounts[0, -1] == 3
    assert curve.evidence.known_share == 0.5 and not curve.evidence.sufficient
    assert curve.evidence.level(0.0) is Level.UNKNOWN
    assert "3 accounts" in curve.evidence.missing[0]
    result = stress(book, book.reserves.oracle_price)
    assert result.unknown.tolist() == [3]


def test_levels_stand_on_evidence() -> None:
    assert Evidence(1.0).level(0.0) is Level.LOW
    assert Evidence(1.0).level(0.05) is Level.ELEVATED
    assert Evidence(1.0).level(np.nan) is Level.UNKNOWN
    assert Evidence(np.nan).level(0.0) is Level.UNKNOWN
    assert Evidence(0.4).level(0.5) is Level.HIGH  # what is known to be bad does not become unknown
    assert Evidence(0.4).figure(3.0) is None and Evidence(0.95).figure(3.0) == 3.0
    assert together([Evidence(0.95, ("a",)), Evidence(0.5, ("b", "a"))]) == Evidence(0.5, ("a", "b"))
    assert not together([]).sufficient
    book = small_book([({"ETH": 1.0}, {"USD": 50.0})] * 5, {"ETH": 100.0, "USD": 1.0})
    assert of_book(book, expected_accounts=10).known_share == 0.5
    assert of_book(book, expected_accounts=10).missing == ("5 of 10 accounts are not in the population",)


@pytest.mark.parametrize(
    ("betas", "moves", "words"),
    [
        (np.array([1.0]), MOVES, "1 moves; the population has 2 assets"),
        (np.array([3.0, 0.0]), MOVES, "ETH would fall below zero: beta 3 at a fall of 0.5"),
        (np.array([np.nan, 0.0]), MOVES, "not a number"),
        (np.array([1.0, 0.0]), np.array([0.2, 0.1]), "ascending"),
        (np.array([1.0, 0.0]), np.array([-0.1, 0.1]), "0 or more"),
    ],
)
def test_bad_baskets_are_refused(
    betas: np.ndarray[tuple[int], np.dtype[np.float64]], moves: np.ndarray[tuple[int], np.dtype[np.float64]], words: str
) -> None:
    book = small_book([({"ETH": 1.0}, {"USD": 50.0})], {"ETH": 100.0, "USD": 1.0})
    with pytest.raises(InputError, match=words):
        static_curve(book, betas, moves)


def test_strangers_and_misfits_are_refused() -> None:
    book = small_book([({"ETH": 1.0}, {"USD": 50.0})], {"ETH": 100.0, "USD": 1.0})
    with pytest.raises(InputError, match="is not in the population"):
        basket(book, {AssetId("eip155:1/slip44:9"): 1.0})
    with pytest.raises(InputError, match="expected a number"):
        basket(book, {book.assets[0].asset: np.inf})
    with pytest.raises(InputError, match="scenarios give 3 oracle prices"):
        stress(book, np.ones((4, 3)))
    with pytest.raises(InputError, match="negative"):
        stress(book, np.array([[1.0, -1.0]]))
