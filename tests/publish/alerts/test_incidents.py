"""One cascade, one incident: grouping on the graph, what is held under it, and when it is told again."""

from __future__ import annotations

import json
from dataclasses import replace

from aggregator.publish.alerts.nodes import CausalGraph, Node, NodeKind
from aggregator.publish.alerts.observations import BackingObserved, Observed
from tests.publish.alerts.histories import CHAIN, allocation, backing, bridge, flat, market, price, rules, told

DAYS = 20


def cascade() -> list[Observed]:
    """aUSD is broken on days 10 to 13; bUSD is made of it; markets take both; vaults lend to the markets."""
    history: list[Observed] = [backing(0, "bUSD", aUSD=0.7, USDC=0.3)]
    for hour in range(0, 24 * DAYS, 2):
        broken = 240 <= hour < 312
        history += [price(hour, 0.6 if broken else 1.0), price(hour, 1.0, "bUSD")]
        history += [market(hour, 20e6, 20e6 if broken else 15e6, "0xaa", "aUSD"), market(hour, 8e6, 8e6 if broken else 6e6, "0xbb", "bUSD")]
        history += [allocation(hour, 5e6 if broken else 9e6, "Vault A", "0xaa"), allocation(hour, 3e6, "Vault B", "0xbb")]
    return history


def test_a_cascade_is_one_incident_with_its_path() -> None:
    alerts = told(cascade())
    opened = [one for one in alerts if one.state == "opened"]
    assert [(one.rule, one.subject, one.path) for one in opened] == [
        (
            "shadow-nav-gap",
            "bUSD",
            (
                *("token:aUSD", "token:bUSD", f"market:morpho-blue/0xaa@{CHAIN}", "vault:Vault A"),
                *(f"market:morpho-blue/0xbb@{CHAIN}", f"protocol:morpho-blue@{CHAIN}"),
            ),
        )
    ]
    assert len({one.episode for one in alerts}) == 1
    assert [one.state for one in alerts] == ["opened", "escalated", "resolved"]
    last = alerts[-1]
    assert last.subject == "aUSD"
    assert last.path[0] == "token:aUSD"
    assert set(last.path) >= {"token:bUSD", f"market:morpho-blue/0xaa@{CHAIN}", f"market:morpho-blue/0xbb@{CHAIN}", "vault:Vault A"}
    assert last.path.index("token:bUSD") < last.path.index(f"market:morpho-blue/0xbb@{CHAIN}")


def test_from_a_token_the_path_leads_to_those_who_lend_against_it() -> None:
    """Of markets and pools the largest, through a pool by what is borrowed most of it, and to their protocols."""
    history: list[Observed] = []
    sizes = {"0xaa": 5e6, "0xbb": 9e6, "0xcc": 4e6, "0xdd": 1e6}
    for hour in range(24 * DAYS):
        history.append(price(hour, 0.7 if hour >= 400 else 1.0, "T"))
        if hour % 6 == 0:
            history += [market(hour, 2 * size, size, name, "T") for name, size in sizes.items()]
            pool = (("T", 50e6, 0.0), ("USDC", 40e6, 30e6), ("DAI", 9e6, 5e6))
            history += [replace(market(hour, held, lent, f"0xpool/{name}", "", name), protocol="aave-v3") for name, held, lent in pool]
    (opened,) = [one for one in told(history) if one.state == "opened" and one.rule != "data-quality"]
    assert (opened.rule, opened.path[0]) == ("price-break", "token:T")
    assert opened.path[1:] == (
        f"market:aave-v3/0xpool/T@{CHAIN}",
        f"market:aave-v3/0xpool/USDC@{CHAIN}",
        f"protocol:aave-v3@{CHAIN}",
        f"market:morpho-blue/0xbb@{CHAIN}",
        f"protocol:morpho-blue@{CHAIN}",
        f"market:morpho-blue/0xaa@{CHAIN}",
    )


def test_reaching_another_token_is_told() -> None:
    alone: list[Observed] = [one for one in cascade() if not isinstance(one, BackingObserved) and getattr(one, "market", "") != "0xbb"]
    late = [*alone, backing(24 * 12, "bUSD", aUSD=0.7, USDC=0.3)]
    assert "token:bUSD" not in str([one.path for one in told(alone)])
    first = next(one for one in told(late) if "token:bUSD" in one.path)
    assert (first.state, first.subject, first.t[:10]) == ("escalated", "aUSD", "2026-01-17")


def test_a_chain_that_is_not_read_is_one_story_and_a_feed_that_is_not_is_its_own() -> None:
    def seen(hour: float, *, without: set[str]) -> list[Observed]:
        many = [market(hour, 5e6, 1e6, f"0x{number}", f"c{number}") for number in range(8)]
        other = [replace(one, chain="eip155:10", market=f"{one.market}b") for one in many]
        return [one for one in (*many, *other) if one.chain not in without and one.market not in without]

    alerts = told([one for hour in range(60) for one in seen(hour, without={CHAIN} if 20 <= hour < 28 else set())])
    assert [(one.state, one.severity, one.root, one.evidence["late"]) for one in alerts] == [
        ("opened", "info", f"chain:{CHAIN}", 8),
        ("escalated", "warning", f"chain:{CHAIN}", 8),
        ("resolved", "warning", f"chain:{CHAIN}", 1),
    ]
    assert alerts[0].path[0] == f"chain:{CHAIN}" and len(alerts[0].path) == 9
    alone = told([one for hour in range(40) for one in seen(hour, without={"0x3"} if 20 <= hour < 30 else set())])
    assert {one.root for one in alone} == {f"market:morpho-blue/0x3@{CHAIN}"}


def test_what_does_not_hang_together_is_told_apart() -> None:
    one = [*flat(30), market(30, 5e6, 4e6)]
    other = [*flat(30, name="0xcc", collateral="cUSD"), market(30, 5e6, 4e6, "0xcc", "cUSD")]
    assert sorted(rules(told([*one, *other]))) == [("market-outflow", "aUSD", "warning"), ("market-outflow", "cUSD", "warning")]


def test_it_is_told_again_when_graver_or_twice_as_large_and_not_otherwise() -> None:
    falling = [
        *flat(30),
        market(30, 6.9e6, 5e6),
        market(31, 6.5e6, 5e6),
        market(32, 6.0e6, 5e6),
        market(33, 3.9e6, 3e6),
        market(34, 3.5e6, 3e6),
    ]
    assert [(one.state, one.severity, one.t[11:13]) for one in told(falling)] == [
        ("opened", "warning", "06"),
        ("escalated", "critical", "09"),
    ]
    bridges = [bridge(hour, 1000.0, {"eip155:10": 1000.0}) for hour in range(3)]
    growing = [bridge(3 + hour, locked, {"eip155:10": 1000.0}) for hour, locked in enumerate((997.0, 997.0, 996.0, 993.9, 993.0))]
    alerts = told([*bridges, *growing])
    assert [(one.state, one.evidence["gap"]) for one in alerts] == [("opened", 0.003), ("escalated", 0.0061)]


def test_a_cause_that_is_found_later_becomes_the_root() -> None:
    quiet = flat(40, name="0xaa", collateral="rETH")
    run = [market(40 + hour, 10e6, 10e6, "0xaa", "rETH") for hour in range(8)]
    robbed: list[Observed] = [bridge(hour, 1000.0, {"eip155:10": 1000.0}) for hour in range(47)]
    robbed.append(bridge(47, 700.0, {"eip155:10": 1000.0}))
    alerts = told([*quiet, *run, *robbed])
    assert [one.state for one in alerts] == ["opened", "escalated"]
    assert alerts[-1].path[:2] == ("bridge:rETH/some-bridge", "token:rETH")


def test_an_old_story_does_not_hide_a_new_sign() -> None:
    full = [market(hour, 10e6, 9.6e6) for hour in range(24 * 20)]
    alerts = told([*full, market(24 * 20, 6e6, 5.9e6)])
    assert [(one.state, one.rule) for one in alerts] == [("opened", "utilisation"), ("escalated", "market-outflow")]


def test_what_only_informs_does_not_swallow_a_warning() -> None:
    vault = [allocation(hour, 5e6 if hour < 30 else 3e6, "Vault A") for hour in range(37)]
    alerts = told([*flat(36), *vault, market(36, 5e6, 4e6)])
    assert rules(alerts) == [("vault-outflow", "Vault A", "info"), ("market-outflow", "aUSD", "warning")]


def test_every_message_says_what_it_stands_on() -> None:
    for one in told(cascade()):
        content = json.loads(one.line())
        assert len(content["inputs"]) == 64
        assert content["model"] == "crossmargin-alerts/1"
        assert content["clears_when"] and content["path"] and content["rules"]


def test_blocks_stand_in_the_alert() -> None:
    alert = told([*flat(30), replace(market(30, 5e6, 4e6), block=123)])[0]
    assert alert.blocks == {CHAIN: 123}


def test_hostile_names_stay_in_one_line_of_ascii() -> None:
    name = "a\x1b[31m‮USD\n\u2066</script>"
    alert = told([*flat(30, collateral=name), market(30, 5e6, 4e6, collateral=name)])[0]
    assert alert.line().isascii() and "\n" not in alert.line() and "\x1b" not in alert.line()
    assert json.loads(alert.line())["subject"] == name


def test_the_identifier_is_of_the_content() -> None:
    first, again = told(cascade()), told(cascade())
    assert [one.identifier for one in first] == [one.identifier for one in again]
    assert len({one.identifier for one in first}) == len(first)


def test_the_shortest_way_through_the_graph() -> None:
    nodes = [Node(NodeKind.TOKEN, name) for name in "abcd"]
    graph = CausalGraph()
    for one, other in ((0, 1), (1, 2), (2, 3), (0, 2), (3, 0)):
        graph.connect(nodes[one], nodes[other])
    assert graph.path(nodes[0], nodes[3]) == (nodes[0], nodes[2], nodes[3])
    assert graph.path(nodes[3], nodes[1]) == (nodes[3], nodes[0], nodes[1])
    assert graph.path(Node(NodeKind.TOKEN, "z"), nodes[0]) is None
