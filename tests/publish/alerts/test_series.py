"""What a series keeps: everything that rules look at, and no more than that however often something is observed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aggregator.publish.alerts.instant import DAY, MINUTE, Instant
from aggregator.publish.alerts.observations import ProtocolObserved
from aggregator.publish.alerts.series import KEPT, WHOLE, Series

START = 20_000 * DAY


def seen(t: Instant, value: float | None) -> ProtocolObserved:
    return ProtocolObserved(t, "aave-v3", value, "eip155:1")


def filled(days: int, every: int, whole: int = WHOLE) -> tuple[Series[ProtocolObserved], list[ProtocolObserved]]:
    series, everything = Series[ProtocolObserved](whole), list[ProtocolObserved]()
    for number in range(days * DAY // every):
        everything.append(seen(START + number * every, float(number)))
        series.add(everything[-1])
    return series, everything


def test_a_quarter_of_a_year_takes_no_more_than_its_last_week_and_a_month_of_days() -> None:
    series, everything = filled(90, 10 * MINUTE)
    kept = list(series.since(START))
    assert len(kept) <= (WHOLE + 2 * DAY) // (10 * MINUTE) + KEPT // DAY
    now = everything[-1].t
    assert list(series.since(now - WHOLE)) == [one for one in everything if one.t >= now - WHOLE]
    for day in range(9, 31):
        found = series.at(now - day * DAY)
        assert found is not None and now - (day + 1) * DAY <= found.t <= now - day * DAY


def test_what_is_looked_at_for_a_month_is_kept_whole() -> None:
    series, everything = filled(70, 60 * MINUTE, KEPT)
    now = everything[-1].t
    assert list(series.since(now - KEPT)) == [one for one in everything if one.t >= now - KEPT]
    assert len(list(series.since(START))) <= (KEPT + 2 * DAY) // (60 * MINUTE)


@given(st.lists(st.booleans(), min_size=20, max_size=60), st.integers(0, 80), st.integers(60 * MINUTE, 900 * MINUTE))
def test_the_last_that_was_known_a_day_ago_is_found_behind_any_gap_as_if_all_were_kept(known: list[bool], gap: int, every: int) -> None:
    series, everything = Series[ProtocolObserved](), list[ProtocolObserved]()
    for number, there in enumerate([*known, *[False] * gap]):
        everything.append(seen(START + number * every, float(number) if there else None))
        series.add(everything[-1], there)
    now = everything[-1].t
    found = series.at(now - DAY, lambda one: one.tvl_usd is not None)
    wanted = [one for one in everything if one.tvl_usd is not None and one.t <= now - DAY]
    if wanted and wanted[-1].t >= now - KEPT:
        assert found == wanted[-1]
