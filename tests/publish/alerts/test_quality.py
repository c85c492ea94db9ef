"""Lead time, recall and false alarms, counted by hand on small histories."""

from __future__ import annotations

import pytest

from aggregator.publish.alerts.baselines import PRICE_ONLY, TVL_ONLY, UTILISATION_ONLY, baseline_alarms
from aggregator.publish.alerts.observations import Observed, ProtocolObserved
from aggregator.publish.alerts.quality import Break, QualityReport, breaks, judge
from tests.publish.alerts.histories import at, flat, market, price, told

DAY = 24


def run_then_break(breaks_at: int | None = 20) -> list[Observed]:
    """A run on day 15; the price, if at all, on a later day. By the day."""
    history: list[Observed] = [market(DAY * day, 10e6 if day < 15 else 5e6, 4e6) for day in range(60)]
    last = 60 if breaks_at is None else breaks_at
    history += [price(DAY * day, (1.0 if day < last else 0.9) + 0.0004 * (day % 2)) for day in range(60)]
    return sorted(history, key=lambda one: one.t)


def report(history: list[Observed], events: tuple[Break, ...] = ()) -> QualityReport:
    return judge(history, told(history), events)


def test_lead_time_and_recall() -> None:
    found = report(run_then_break())
    assert [(one.token, one.t, one.price_usd) for one in found.breaks] == [("aUSD", at(DAY * 20), 0.9)]
    ours = found.records[0]
    assert (ours.leads, ours.recall, ours.false_alarms, ours.market_days) == ({"aUSD": 120.0}, 1.0, 0, 60)
    by_name = {one.name: one for one in found.records}
    assert by_name["price-only"].leads == {"aUSD": None}
    assert by_name["price-only"].recall == 0.0
    assert by_name["tvl-only"].leads == {"aUSD": 120.0}
    assert by_name["utilisation-only"].leads == {"aUSD": None}


def test_a_warning_that_nothing_follows_is_false() -> None:
    ours = report(run_then_break(None)).records[0]
    assert (ours.leads, ours.recall, ours.alarms, ours.false_alarms) == ({}, None, 1, 1)
    assert ours.false_per_30_market_days == 0.5


def test_a_break_that_comes_too_late_for_the_warning() -> None:
    ours = report(run_then_break(40)).records[0]
    assert (ours.leads, ours.false_alarms) == ({"aUSD": None}, 1)


def test_a_warning_at_the_end_is_undecided() -> None:
    ours = report([one for one in run_then_break() if one.t < at(DAY * 18)]).records[0]
    assert (ours.alarms, ours.false_alarms, ours.undecided) == (1, 0, 1)


def test_only_what_lies_in_the_control_window_counts() -> None:
    history = run_then_break(None)
    alerts = told(history)
    inside = judge(history, alerts, control=(at(0), at(DAY * 20))).records[0]
    outside = judge(history, alerts, control=(at(DAY * 16), at(DAY * 30))).records[0]
    assert (inside.false_alarms, inside.market_days) == (1, 21)
    assert (outside.alarms, outside.false_alarms, outside.market_days) == (0, 0, 15)


def test_an_event_that_is_given_stands_for_its_token() -> None:
    found = report(run_then_break(), (Break("aUSD", at(DAY * 17)),))
    assert found.records[0].leads == {"aUSD": 48.0}


def test_prices_that_always_move_do_not_break() -> None:
    moving = [price(DAY * day, 3000.0 * (1.04 if day % 2 else 1.0), "ETH") for day in range(40)]
    assert breaks(moving) == ()
    assert breaks([*moving, price(DAY * 41, 1500.0, "ETH")]) == ()


@pytest.mark.parametrize(("name", "rings"), [(PRICE_ONLY, 2), (UTILISATION_ONLY, 1), (TVL_ONLY, 1)])
def test_baselines_ring_once_an_episode(name: str, rings: int) -> None:
    history: list[Observed] = [*flat(24), *(market(24 + hour, 10e6, 9.6e6) for hour in range(20)), market(50, 6.5e6, 4e6)]
    # two falls of a price, two days apart
    history += [price(hour, 0.96 if hour in (10, 11, 60, 61) else 1.0) for hour in range(70)]
    alarms = baseline_alarms(sorted(history, key=lambda one: one.t))
    assert len(alarms[name]) == rings


def test_a_baseline_without_its_figures_is_left_out() -> None:
    assert set(baseline_alarms([price(1, 1.0)])) == {PRICE_ONLY}
    assert set(baseline_alarms([ProtocolObserved(at(1), "aave-v3", 1e9)])) == {TVL_ONLY}


def test_the_report_as_plain_values() -> None:
    document = report(run_then_break()).document()
    assert document["breaks"] == [{"token": "aUSD", "t": "2026-01-25T00:00:00Z", "price_usd": 0.9, "high_usd": 1.0004}]
