"""Business time between two moments: week-ends and bond market holidays do not count."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.prices.business_time import DAY, business_seconds, easter_sunday, holidays, is_business_day

TIMES = st.integers(0, 4_000_000_000)


def at(year: int, month: int, day: int, hour: int) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2000, 4, 23), (2022, 4, 17), (2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2038, 4, 25)]
)
def test_easter(year: int, month: int, day: int) -> None:
    assert easter_sunday(year) == date(year, month, day)


def test_holidays_of_2025() -> None:
    assert holidays(2025) == {
        date(2025, 1, 1),
        date(2025, 1, 20),
        date(2025, 2, 17),
        date(2025, 4, 18),
        date(2025, 5, 26),
        date(2025, 6, 19),
        date(2025, 7, 4),
        date(2025, 9, 1),
        date(2025, 10, 13),
        date(2025, 11, 11),
        date(2025, 11, 27),
        date(2025, 12, 25),
    }


def test_holidays_on_week_ends_are_kept_on_the_next_working_day() -> None:
    assert date(2023, 1, 2) in holidays(2023)  # New Year's day was a Sunday
    assert date(2026, 7, 3) in holidays(2026)  # Independence day is a Saturday
    assert date(2021, 12, 24) in holidays(2021)  # Christmas was a Saturday
    assert date(2021, 12, 31) not in holidays(2021)  # the year's end is no holiday when New Year's day is a Saturday


def test_a_week_end_does_not_count() -> None:
    friday_evening, monday_morning = at(2025, 8, 8, 21), at(2025, 8, 11, 9)
    assert business_seconds(friday_evening, monday_morning) == 3 * 3_600 + 9 * 3_600
    assert business_seconds(at(2025, 8, 9, 1), at(2025, 8, 10, 23)) == 0
    assert business_seconds(at(2025, 8, 5, 1), at(2025, 8, 5, 3)) == 2 * 3_600


def test_a_long_week_end_does_not_count() -> None:
    assert business_seconds(at(2025, 7, 3, 20), at(2025, 7, 7, 1)) == 4 * 3_600 + 1 * 3_600


@given(TIMES, TIMES, TIMES)
def test_it_adds_up_and_never_exceeds_the_time_that_passed(a: int, b: int, c: int) -> None:
    early, middle, late = sorted((a, b, c))
    middle, late = min(middle, early + 60 * DAY), min(late, early + 120 * DAY)
    middle, late = sorted((middle, late))
    whole = business_seconds(early, late)
    assert whole == business_seconds(early, middle) + business_seconds(middle, late)
    assert 0 <= whole <= late - early
    assert business_seconds(late, early) == 0


@given(st.integers(0, 40_000))
def test_a_business_day_is_a_weekday(day: int) -> None:
    if is_business_day(day):
        assert (day + 3) % 7 < 5
        assert business_seconds(day * DAY, (day + 1) * DAY) == DAY
    else:
        assert business_seconds(day * DAY, (day + 1) * DAY) == 0
