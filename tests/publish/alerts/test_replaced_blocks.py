"""Blocks that were replaced: what was seen on them is not known, and what was told because of them is withdrawn unless it is seen again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aggregator.publish.alerts.alert import Alert
from aggregator.publish.alerts.observations import Observed, ReplacedObserved, WalletObserved
from aggregator.publish.alerts.people import wording
from aggregator.publish.alerts.quality import judge
from tests.publish.alerts.histories import CHAIN, at, flat, market, price, told, wallet


def health(hours: float, factor: float | None, block: int, **other: Any) -> WalletObserved:
    return replace(wallet(hours, factor, **other), block=block)


def replaced(hours: float, first: int, owner: str = "0xowner", chain: str = CHAIN) -> ReplacedObserved:
    return ReplacedObserved(at(hours), chain, owner, block=first)


def states(alerts: list[Alert]) -> list[tuple[str, str, object]]:
    return [(one.state, one.severity, one.evidence.get("replaced")) for one in alerts]


SAYS = f"{CHAIN} from block 10"


def test_what_the_new_blocks_show_again_is_not_told_again() -> None:
    assert states(told([health(1, 1.05, 10), replaced(2, 10), health(3, 1.06, 11), health(4, 1.3, 12)])) == [
        ("opened", "warning", None),
        ("resolved", "warning", None),
    ]


def test_what_the_new_blocks_do_not_show_is_withdrawn_even_where_it_would_not_have_been_calm() -> None:
    withdrawn = told([health(1, 1.05, 10), replaced(2, 10), health(3, 1.12, 11)])
    assert states(withdrawn) == [("opened", "warning", None), ("resolved", "warning", SAYS)]
    assert len({one.episode for one in withdrawn}) == 1
    title, text = wording(withdrawn[-1])
    assert "withdrawn" in title and "replaced: eip155:1 from block 10" in text
    assert [one.state for one in told([health(1, 1.05, 10), health(3, 1.12, 11)])] == ["opened"], "hysteresis without a replaced block"


def test_what_stands_on_older_blocks_is_left_alone() -> None:
    assert states(told([health(1, 1.05, 9), replaced(2, 10), health(3, 1.12, 11)])) == [("opened", "warning", None)]
    assert states(told([health(1, 1.05, 10), replaced(2, 10, "0xother"), health(3, 1.12, 11)])) == [("opened", "warning", None)]
    assert states(told([health(1, 1.05, 10), replaced(2, 10, chain="eip155:10"), health(3, 1.12, 11)])) == [("opened", "warning", None)]


def test_an_escalation_on_a_replaced_block_is_taken_back_and_what_is_left_is_told() -> None:
    alerts = told([health(1, 1.08, 9), health(2, 1.01, 10), replaced(3, 10), health(4, 1.07, 11), health(5, 1.01, 12)])
    assert states(alerts) == [
        ("opened", "warning", None),
        ("escalated", "critical", None),
        ("resolved", "critical", SAYS),
        ("opened", "warning", None),
        ("escalated", "critical", None),
    ]
    assert alerts[0].episode == alerts[2].episode != alerts[3].episode == alerts[4].episode


def test_one_of_two_signs_of_an_owner_is_taken_back() -> None:
    """Another account's warning stands: it goes on in an episode of its own."""
    first = health(1, 1.08, 9, name="0xbb")
    alerts = told([first, health(2, 1.01, 10), replaced(3, 10), health(4, 1.5, 11)])
    assert states(alerts)[2:] == [("resolved", "critical", SAYS), ("opened", "warning", None)]
    assert alerts[3].rules == (f"wallet-health at owner:morpho-blue/0xbb/0xowner@{CHAIN}",)
    both = told([first, health(2, 1.01, 10), replaced(3, 10), health(4, 1.5, 11), health(4, 1.5, 11, name="0xbb")])
    assert states(both)[2:] == [("resolved", "critical", SAYS)], "calm in the same moment: nothing is left to be told"


def test_what_was_rightly_graver_before_is_not_taken_back() -> None:
    """Critical on blocks that stay, then milder; the other account's warning is all that was replaced."""
    before = [health(1, 1.01, 8, name="0xbb"), health(2, 1.08, 9, name="0xcc"), health(3, 1.5, 9, name="0xbb"), health(4, 1.09, 10)]
    alerts = told([*before, replaced(5, 10), health(6, 1.3, 11), health(7, 1.3, 12, name="0xcc")])
    assert states(alerts) == [("opened", "critical", None), ("resolved", "critical", None)]


def test_a_figure_that_is_not_known_settles_nothing() -> None:
    assert states(told([health(1, 1.05, 10), replaced(2, 10), health(3, None, 11), health(4, 1.5, 12)]))[-1] == (
        "resolved",
        "warning",
        SAYS,
    )


@pytest.mark.parametrize("fallen", [2e6, 9e6])
def test_a_market_that_fell_on_replaced_blocks_only_is_withdrawn(fallen: float) -> None:
    def seen(hours: float, supply: float, block: int) -> Observed:
        return replace(market(hours, supply, 0.8 * supply), block=block)

    history = [seen(hour, 10e6, hour) for hour in range(30)]
    alerts = told([*history, seen(30, 2e6, 30), replaced(30.1, 30, ""), seen(30.2, fallen, 31)])
    assert states(alerts)[0] == ("opened", "critical", None)
    assert states(alerts)[1:] == ([] if fallen == 2e6 else [("resolved", "critical", f"{CHAIN} from block 30")])


def test_quality_is_judged_of_a_history_with_replaced_blocks() -> None:
    history = [
        *flat(30),
        replace(market(30, 2e6, 1.6e6), block=30),
        replaced(30.1, 30, ""),
        *[market(31 + hour, 10e6, 8e6) for hour in range(5)],
    ]
    report = judge(history, told(history))
    assert {record.name for record in report.records} >= {"crossmargin", "tvl-only"}


def test_what_was_seen_on_replaced_blocks_is_no_day_before() -> None:
    """A supply that was never there does not make its absence an outflow, and a price that was never paid is no high."""
    tall = replace(market(26, 60e6, 30e6), block=26)
    later = [market(27 + hour, 10e6, 8e6) for hour in range(24)]
    assert [one.rule for one in told([*flat(26), tall, *later])] == ["market-outflow"]
    assert told([*flat(26), tall, replaced(26.5, 26, ""), *later]) == []
    steady = [price(hour, 1.0, venue=CHAIN) for hour in range(24 * 12)]
    high = replace(price(24 * 12, 1.4, venue=CHAIN), block=50)
    after = [price(24 * 12 + hour, 1.0, venue=CHAIN) for hour in range(1, 4)]
    assert [one.rule for one in told([*steady, high, *after])] == ["price-break"]
    assert told([*steady, high, replaced(24 * 12 + 0.5, 50, ""), *after]) == []
