"""Rate limits: a bucket that fills steadily, one for each customer."""

from __future__ import annotations

import pytest

from aggregator.api import limits
from aggregator.api.limits import RateLimiter, network_of
from aggregator.api.problem import Problem
from aggregator.api.times import cursor, place, shown


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_all_of_a_minute_at_once_and_then_at_its_pace() -> None:
    clock = Clock()
    limiter = RateLimiter("reads", 60, clock)
    assert [limiter.take("a").left for _ in range(60)] == list(range(59, -1, -1))
    with pytest.raises(Problem) as refusal:
        limiter.take("a")
    assert refusal.value.status == 429 and refusal.value.headers["Retry-After"] == "1"
    assert limiter.take("b").left == 59
    clock.now = 10.0
    assert limiter.take("a", 10).left == 0
    with pytest.raises(Problem) as refusal:
        limiter.take("a", 30)
    assert refusal.value.headers["Retry-After"] == "30"
    clock.now = 10_000.0
    assert limiter.take("a") == (59, 1)


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    limiter = RateLimiter("writes", 6, clock)
    limiter.take("a", 5)
    for _ in range(5):
        with pytest.raises(Problem):
            limiter.take("a", 3)
    assert limiter.take("a").left == 0


def test_buckets_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ADDRESSES", 3)
    limiter = RateLimiter("reads", 10, Clock())
    limiter.take("a", 10)
    for other in "bcd":
        limiter.take(other)
    assert limiter.take("a").left == 9


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::9%eth0", "2001:0db8:0001:0002"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("not:an:address", "not:an:address"),
        ("", ""),
    ],
)
def test_one_customer_is_one_address_or_one_network(address: str, whose: str) -> None:
    assert network_of(address) == whose


@pytest.mark.parametrize("number", [0, 1, 2**40, 2**62])
def test_cursors_go_there_and_back(number: int) -> None:
    assert place(cursor(number)) == number


@pytest.mark.parametrize("text", ["", "x", "!!!!", "é", "A" * 40, cursor(2**62 + 1)])
def test_a_cursor_of_a_strangers_making_is_refused(text: str) -> None:
    with pytest.raises(Problem, match="cursor"):
        place(text)


def test_times_keep_their_microseconds() -> None:
    assert shown(1_750_000_000_000_001) == "2025-06-15T15:06:40.000001Z"
