"""Business time: how old a net asset value is when nobody could have written a new one at the week-end.

Days of the US bond market: neither Saturdays, Sundays, nor the holidays on which the market is closed all day. Days are UTC days; a
fund's cut-off lies within them. Source: the recommended holiday schedule of SIFMA for US dollar government securities.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

DAY = 86_400
_EPOCH = date(1970, 1, 1)


def business_seconds(start: int, end: int) -> int:
    """Seconds between two times (since the epoch) that fall on business days; 0 where `end` is not after `start`."""
    if end <= start:
        return 0
    first, last = start // DAY, end // DAY
    return sum(min(end, (day + 1) * DAY) - max(start, day * DAY) for day in range(first, last + 1) if is_business_day(day))


def is_business_day(day: int) -> bool:
    """Whether the UTC day number `day` (days since the epoch) is one."""
    when = _EPOCH + timedelta(days=day)
    return when.weekday() < 5 and when not in holidays(when.year)


@lru_cache(maxsize=64)
def holidays(year: int) -> frozenset[date]:
    """Full-day closures that fall in a year."""
    days = {
        _observed(date(year, 1, 1), saturday_too=False),
        _observed(date(year, 7, 4)),
        _observed(date(year, 11, 11), saturday_too=False),
        _observed(date(year, 12, 25)),
        _weekday_of_month(year, 1, 0, 3),  # Martin Luther King's birthday
        _weekday_of_month(year, 2, 0, 3),  # Presidents' day
        easter_sunday(year) - timedelta(days=2),  # Good Friday
        _weekday_of_month(year, 6, 0, 1) - timedelta(days=7),  # Memorial day: the last Monday of May
        _weekday_of_month(year, 9, 0, 1),  # Labor day
        _weekday_of_month(year, 10, 0, 2),  # Columbus day
        _weekday_of_month(year, 11, 3, 4),  # Thanksgiving
    }
    if year >= 2022:
        days.add(_observed(date(year, 6, 19)))
    return frozenset(days)


def easter_sunday(year: int) -> date:
    """Western Easter, by the anonymous Gregorian computus."""
    golden, century = year % 19, year // 100
    leap_correction = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon = leap_correction - leap_correction // 28 * (1 - 29 // (leap_correction + 1) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    offset = moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))


def _observed(day: date, *, saturday_too: bool = True) -> date:
    """A holiday on Sunday is kept on the Monday after, one on Saturday on the Friday before where that is custom."""
    return day + timedelta(days={5: -1 if saturday_too else 0, 6: 1}.get(day.weekday(), 0))


def _weekday_of_month(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))
