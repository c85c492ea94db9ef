"""The panel, the made-up accounts and what becomes of them, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.risk.score_backtest.outcome import worst_health
from aggregator.risk.score_backtest.panel import FILL_HOURS, HOUR, panel, pegged
from aggregator.risk.score_backtest.population import (
    HIGHEST_HEALTH,
    LOWEST_HEALTH,
    STABLE_SHARE,
    WARM_UP_HOURS,
    population,
    starts,
)
from tests.risk.score_backtest.histories import FIRST, closes, drawn, of_prices


def test_a_close_is_known_when_its_bar_is_over() -> None:
    one = panel({"A": (np.array([7200.0, 3600.0]), np.array([2.0, 1.0]))})
    assert one.start == 7200 and one.prices[:, 0].tolist() == [1.0, 2.0]
    assert one.time(1) == 10_800 and one.row(7201) == 1


def test_short_gaps_are_filled_and_long_ones_end_the_history() -> None:
    prices = closes(10, 2)
    prices[50:60, 0] = np.nan
    prices[100 : 100 + FILL_HOURS + 5, 1] = np.nan
    one = of_prices(("A", "B"), prices)
    assert (one.prices[50:60, 0] == prices[49, 0]).all() and one.filled == 10 + FILL_HOURS
    assert np.isnan(one.prices[100 + FILL_HOURS : 100 + FILL_HOURS + 5, 1]).all()
    assert one.age[99, 1] == 99 and one.age[100 + FILL_HOURS, 1] == -1 and one.age[100 + FILL_HOURS + 5, 1] == 0
    assert one.age[239, 0] == 239


def test_closes_that_are_none_are_missing() -> None:
    times = FIRST + HOUR * np.arange(6.0)
    one = panel({"A": (times, np.array([1.0, np.nan, -3.0, 0.0, np.inf, 2.0]))})
    assert one.prices[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="no usable close"):
        panel({"A": (times, np.full(6, np.nan))})


def test_a_dollar_is_no_volatile_collateral() -> None:
    prices = closes(60, 2)
    prices[:, 1] = 1.0 + 0.01 * np.sin(np.arange(len(prices)))
    one = of_prices(("A", "USD"), prices)
    assert pegged(one, 700) == {"USD"} and pegged(one, 0) == {"USD"}
    made = population(one, pegged(one, 700), starts(one, 0, one.hours))
    assert (made.shares[:, 1] == 0).all() and len(made)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([("BTC", "ETH", "FOO", "BAR"), ("FOO",), ("BTC",), ("BTC", "ETH"), ("FOO", "ETH")]))
def test_every_account_is_one_of_the_kind(seed: int, symbols: tuple[str, ...]) -> None:
    one = drawn(45, symbols, seed=seed % 7)
    made = population(one, frozenset(), starts(one, 0, one.hours), 12, seed)
    assert len(made) == 12 * len(starts(one, WARM_UP_HOURS, one.hours))
    assert made.shares.sum(axis=1) + made.stable == pytest.approx(np.ones(len(made)))
    assert set(made.stable.tolist()) <= {0.0, STABLE_SHARE} and made.row.min() >= WARM_UP_HOURS
    assert (made.health >= LOWEST_HEALTH).all() and (made.health <= HIGHEST_HEALTH).all()
    held = (made.shares > 0).sum(axis=1)
    assert held.min() >= 1 and held.max() <= 3
    owing = np.flatnonzero(made.debt >= 0)
    assert (made.shares[owing, made.debt[owing]] == 0).all()
    assert {one.symbols[debt] for debt in made.debt[owing].tolist()} <= {"BTC", "ETH"}


def test_the_kinds_are_as_frequent_as_written() -> None:
    one = drawn(120, ("BTC", "ETH", "FOO", "BAR"))
    made = population(one, frozenset(), starts(one, 0, one.hours))
    assert len(made) > 15_000
    assert float((made.stable > 0).mean()) == pytest.approx(0.3, abs=0.02)
    assert float((made.debt >= 0).mean()) == pytest.approx(0.3, abs=0.02)
    counts = np.bincount((made.shares > 0).sum(axis=1), minlength=4)[1:] / len(made)
    assert counts == pytest.approx([1 / 3] * 3, abs=0.02)
    assert float((made.health < 2**0.5).mean()) == pytest.approx(np.log(2**0.5 / 1.01) / np.log(2 / 1.01), abs=0.02)


def test_accounts_do_not_depend_on_what_comes_later() -> None:
    prices = closes(60, 2)
    whole, half = of_prices(("BTC", "FOO"), prices), of_prices(("BTC", "FOO"), prices[: 24 * 40])
    rows = starts(half, 0, half.hours)
    one, other = population(whole, frozenset(), rows), population(half, frozenset(), rows)
    for first, second in zip((one.shares, one.stable, one.health), (other.shares, other.stable, other.health), strict=True):
        assert first.tolist() == second.tolist()


def test_starts_meet_every_hour_of_the_week() -> None:
    one = drawn(50, ("A",))
    rows = starts(one, 0, one.hours)
    assert len({one.time(row) // HOUR % 168 for row in rows.tolist()}) == 168
    assert starts(one, 300, 400).tolist() == [row for row in rows.tolist() if 300 <= row < 400]


def test_the_worst_health_is_what_a_plain_walk_finds() -> None:
    prices = closes(50, 3, seed=2, sigma=0.02)
    prices[900:940, 2] = np.nan
    one = of_prices(("BTC", "ETH", "FOO"), prices)
    made = population(one, frozenset(), starts(one, 0, one.hours), 5)
    found = worst_health(one, made, (1, 24, 168))
    assert np.isnan(found[:, 2]).any() and np.isfinite(found[:, 2]).any()
    for account in range(0, len(made), 17):
        row, debt = int(made.row[account]), int(made.debt[account])
        needed = [*np.flatnonzero(made.shares[account]).tolist(), *([debt] if debt >= 0 else [])]
        for place, hours in enumerate((1, 24, 168)):
            lowest: float | None = 9.0
            for later in range(row + 1, row + hours + 1):
                if later >= one.hours or np.isnan(one.prices[later, needed]).any():
                    lowest = None
                    break
                move = one.prices[later] / one.prices[row]
                value = sum(made.shares[account, asset] * move[asset] for asset in np.flatnonzero(made.shares[account]).tolist())
                value = (value + made.stable[account]) / (move[debt] if debt >= 0 else 1.0)
                lowest = min(lowest or 9.0, float(made.health[account] * value))
            if lowest is None:
                assert np.isnan(found[account, place])
            else:
                assert found[account, place] == pytest.approx(lowest, rel=1e-12)
