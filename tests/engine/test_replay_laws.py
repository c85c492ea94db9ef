"""The laws of a replay: no look-ahead, nothing calmer for lack of data, the same bytes for the same content. On the recorded history
where it is, and on made-up ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.engine.replay.clock import ReplayClock
from aggregator.engine.replay.file import read_history
from aggregator.engine.replay.replay import replay
from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.instant import DAY, HOUR, parse_instant
from aggregator.publish.alerts.observations import Observed
from aggregator.publish.alerts.quality import judge
from aggregator.publish.alerts.rules import MARKET_RULES
from tests.publish.alerts.histories import allocation, market, price

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "DATA" / "histories" / "xusd_2025.jsonl"
recorded = pytest.mark.skipif(not RECORDED.exists(), reason="the recorded history ../shared/DATA/histories/xusd_2025.jsonl is not here")


def made_up(seed: int) -> list[Observed]:
    """A fortnight of two markets, prices and vaults every three or six hours, with a run somewhere in its second week."""
    dice = random.Random(seed)
    history: list[Observed] = []
    supply, start = [2e7, 8e6], dice.randrange(24 * 8, 24 * 12)
    for hour in range(0, 24 * 14, dice.choice((3, 6))):
        for number, name in enumerate(("0xaa", "0xbb")):
            if hour > start:
                supply[number] *= 1 - dice.random() * 0.3
            supply[number] *= 1 + dice.gauss(0, 0.01)
            token = ("aUSD", "bUSD")[number]
            history.append(market(hour, supply[number], supply[number] * min(1.0, dice.gauss(0.9, 0.05)), name, token))
            history.append(price(hour, dice.gauss(1, 0.001) * (0.8 if hour > start + 48 else 1), token))
            history.append(allocation(hour, supply[number] * 0.4, f"Vault {name}", name))
    return history


def lines(history: Sequence[Observed]) -> list[str]:
    return [alert.line() for alert in replay(history)]


def until(alerts: Sequence[Alert], moment: int) -> list[str]:
    return [alert.line() for alert in alerts if parse_instant(alert.t) <= moment]


def noise(one: Observed, dice: random.Random) -> Observed:
    """The same row with every figure thrown anew."""
    figures = {field.name: dice.uniform(0, 1e8) for field in fields(one) if isinstance(getattr(one, field.name), float)}
    return replace(one, **figures)  # type: ignore[arg-type]


def check_no_look_ahead(history: list[Observed], dice: random.Random) -> None:
    full = list(replay(history))
    for moment in sorted({dice.choice(history).t for _ in range(6)}):
        past = [one for one in history if one.t <= moment]
        future = [noise(one, dice) for one in history if one.t > moment]
        thinned = [one for one in future if dice.random() < 0.5]
        expected = until(full, moment)
        assert until(list(replay([*past, *future])), moment) == expected
        assert until(list(replay([*past, *thinned])), moment) == expected
        assert lines(past) == expected


@pytest.mark.parametrize("seed", range(4))
def test_the_future_changes_no_past_alert(seed: int) -> None:
    check_no_look_ahead(made_up(seed), random.Random(seed))


@recorded
def test_the_future_changes_no_past_alert_of_the_recorded_history() -> None:
    check_no_look_ahead(read_history(RECORDED), random.Random(7))


@pytest.mark.parametrize("seed", range(3))
def test_order_within_a_moment_and_repetition_change_no_byte(seed: int) -> None:
    history = made_up(seed)
    expected = lines(history)
    assert expected
    dice = random.Random(seed)
    shuffled = sorted(history, key=lambda one: (one.t, dice.random()))
    assert lines(shuffled) == expected
    doubled = [one for one in history for _ in range(2)]
    assert lines(doubled) == expected


def degraded(history: Sequence[Observed], share: float, dice: random.Random) -> list[Observed]:
    return [one for one in history if dice.random() >= share]


def check_never_calmer(history: list[Observed], share: float, dice: random.Random) -> None:
    """What was warned of is still warned of, or it is said in time that it is not known."""
    full = [one for one in replay(history) if one.rule in MARKET_RULES and one.severity != "info" and one.state == "opened"]
    left = list(replay(degraded(history, share, dice)))
    assert any(one.rule == "data-quality" and one.evidence["verdict"] == "unknown" for one in left)
    for warned in full:
        moment = parse_instant(warned.t)
        names = {warned.subject, *(node.partition(":")[2].partition("@")[0].rpartition("/")[2] for node in warned.path)}
        told = [one for one in left if parse_instant(one.t) <= moment + 2 * DAY and (one.subject in names or names & set(one.path))]
        assert told, (warned.t, warned.subject, share)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_missing_rows_make_it_unknown_and_never_calmer(seed: int, share: float) -> None:
    check_never_calmer(made_up(seed), share, random.Random(seed))


@recorded
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_missing_rows_of_the_recorded_history(share: float) -> None:
    history = read_history(RECORDED)
    for seed in range(5):
        check_never_calmer(history, share, random.Random(seed))
        left = list(replay(degraded(history, share, random.Random(seed))))
        assert not [one for one in left if one.rule in MARKET_RULES and one.t < "2025-10-28"]


@recorded
def test_a_feed_that_stops_is_told_and_stays_unknown() -> None:
    stop = parse_instant("2025-10-27T00:00:00Z")
    history = [one for one in read_history(RECORDED) if type(one).__name__ != "MarketObserved" or one.t <= stop]
    alerts = list(replay(history))
    quality = [one for one in alerts if one.rule == "data-quality" and one.evidence["observed"] == "market"]
    assert [(one.state, one.severity) for one in quality] == [("opened", "info"), ("escalated", "warning")]
    assert quality[0].t == "2025-10-28T18:00:00Z"


@recorded
def test_the_recorded_history_is_warned_of_in_time_and_its_control_window_is_quiet() -> None:
    history = read_history(RECORDED)
    alerts = list(replay(history))
    report = judge(history, alerts)
    assert [(one.token, one.t) for one in report.breaks] == [("xUSD", parse_instant("2025-11-03T13:00:00Z"))]
    ours = report.records[0]
    lead = ours.leads["xUSD"]
    assert lead is not None and lead >= 96
    assert (ours.recall, ours.false_alarms) == (1.0, 0)
    assert [one for one in alerts if one.t < "2025-10-28"] == []
    first = alerts[0]
    assert (first.rule, first.subject, first.state, first.t) == ("market-outflow", "xUSD", "opened", "2025-10-29T00:00:00Z")
    window = (parse_instant("2025-10-01T00:00:00Z"), parse_instant("2025-10-27T23:59:59Z"))
    controlled = {one.name: one for one in judge(history, alerts, control=window).records}
    assert controlled["crossmargin"].false_alarms == 0
    assert controlled["utilisation-only"].false_alarms == 1
    price_only, ours_lead = controlled["price-only"].leads["xUSD"], controlled["crossmargin"].leads["xUSD"]
    assert price_only is not None and ours_lead is not None and price_only < ours_lead


@given(st.lists(st.integers(0, 10**15), max_size=20))
def test_the_clock_only_goes_forward(moments: list[int]) -> None:
    clock = ReplayClock()
    for moment in moments:
        before = clock.now()
        if moment < before:
            with pytest.raises(ValueError, match="backwards"):
                clock.advance(moment)
            assert clock.now() == before
        else:
            clock.advance(moment)
            assert clock.now() == moment
            assert clock() == moment / 1e6


def test_alerts_come_at_the_clocks_time() -> None:
    clock = ReplayClock()
    for alert in replay(made_up(1), clock=clock):
        assert parse_instant(alert.t) == clock.now()
    assert clock.now() % HOUR == 0
