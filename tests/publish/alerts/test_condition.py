"""Hysteresis and minimum duration of one rule at one place, against a plain reading of the definition."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from aggregator.publish.alerts.condition import Change, Condition, Signal
from aggregator.publish.alerts.instant import HOUR
from aggregator.publish.alerts.nodes import Node, NodeKind
from aggregator.publish.alerts.rules import RULES, UTILISATION, Level, Rule, Severity

NODE = Node(NodeKind.MARKET, "0xaa")
PLAIN = Rule("plain", (Level(Severity.WARNING, 0.5, 2 * HOUR, 2), Level(Severity.CRITICAL, 0.8, HOUR, 2)), 0.3, 3 * HOUR, "calm", "why")


def run(rule: Rule, figures: Sequence[float | None]) -> list[Change | None]:
    """One figure an hour."""
    condition = Condition(rule)
    return [condition.step(Signal(rule, NODE, NODE, one, {}, ()), number * HOUR) for number, one in enumerate(figures)]


def test_a_level_must_hold_for_its_time() -> None:
    assert run(PLAIN, [0.6, 0.6]) == [None, None]
    assert run(PLAIN, [0.6, 0.6, 0.6]) == [None, None, Change.OPENED]
    assert run(PLAIN, [0.6, 0.4, 0.6, 0.6]) == [None, None, None, None]


def test_a_graver_level_counts_for_the_milder_one_and_escalates_by_itself() -> None:
    assert run(PLAIN, [0.6, 0.9, 0.9]) == [None, None, Change.OPENED]
    assert run(PLAIN, [0.6, 0.6, 0.6, 0.9, 0.9])[2:] == [Change.OPENED, Change.GROWN, Change.ESCALATED]


def test_between_the_lines_nothing_changes() -> None:
    assert run(PLAIN, [0.6] * 3 + [0.4] * 9)[3:] == [None] * 9


def test_it_clears_only_after_its_time_below_the_lower_line() -> None:
    assert run(PLAIN, [0.6] * 3 + [0.2, 0.2, 0.2, 0.2])[3:] == [None, None, None, Change.RESOLVED]
    assert run(PLAIN, [0.6] * 3 + [0.2, 0.2, 0.35, 0.2, 0.2, 0.2])[3:] == [None] * 6


def test_what_is_not_known_neither_warns_nor_clears() -> None:
    assert run(PLAIN, [None] * 5) == [None] * 5
    assert run(PLAIN, [0.6, None, 0.6]) == [None, None, Change.OPENED]
    assert run(PLAIN, [0.6] * 3 + [0.2, 0.2, None, 0.2, 0.2, 0.2, 0.2])[3:] == [None] * 6 + [Change.RESOLVED]


def test_the_cap_holds() -> None:
    condition = Condition(PLAIN)
    for number in range(4):
        condition.step(Signal(PLAIN, NODE, NODE, 0.9, {}, (), cap=Severity.INFO), number * HOUR)
    assert condition.severity is Severity.INFO


@given(st.lists(st.sampled_from([0.2, 0.4, 0.6, 0.9, None]), max_size=40))
def test_against_the_definition(figures: list[float | None]) -> None:
    """Open from the moment on at which all known figures of the last 2 h (at least two) were at the line, until 3 h of calm."""
    opened = False
    expected: list[bool] = []
    for now, figure in enumerate(figures):
        if figure is not None and not opened:
            mild, grave = _run_up(figures[: now + 1], 0.5), _run_up(figures[: now + 1], 0.8)
            opened = (len(mild) >= 2 and now - mild[0] >= 2) or (len(grave) >= 2 and now - grave[0] >= 1)
        elif figure is not None:
            calm = [one is not None and one < 0.3 for one in figures[: now + 1]]
            opened = not all(calm[-4:])
        expected.append(opened)
    condition = Condition(PLAIN)
    actual = []
    for number, one in enumerate(figures):
        condition.step(Signal(PLAIN, NODE, NODE, one, {}, ()), number * HOUR)
        actual.append(condition.severity is not None)
    assert actual == expected


def _run_up(figures: Sequence[float | None], line: float) -> list[int]:
    """When, up to now, the known figures have been at a line without a break."""
    times: list[int] = []
    for time, one in reversed([(time, one) for time, one in enumerate(figures) if one is not None]):
        if one < line:
            break
        times.insert(0, time)
    return times


def test_every_rule_is_entered_above_where_it_is_left() -> None:
    for rule in RULES:
        assert all(level.figure >= rule.clear for level in rule.levels), rule.name
        assert [level.figure for level in rule.levels] == sorted(level.figure for level in rule.levels), rule.name
        assert rule.why and rule.clears_when


def test_start_values_of_utilisation() -> None:
    assert run(UTILISATION, [0.96] * 6)[-1] is None
    assert run(UTILISATION, [0.96] * 7)[-1] is Change.OPENED
    assert run(UTILISATION, [0.96] * 7 + [0.91] * 20)[-1] is None
    assert run(UTILISATION, [0.96] * 7 + [0.89] * 7)[-1] is Change.RESOLVED
