"""Prices against their past, their backing and their oracles; bridges; wallets."""

from __future__ import annotations

import pytest

from aggregator.contagion.indicators import soundness
from aggregator.publish.alerts.observations import Observed, WalletObserved
from tests.publish.alerts.histories import CHAIN, at, backing, bridge, flat, price, rules, told, wallet

QUIET = 24 * 8


def steady(asset: str = "aUSD", hours: int = QUIET, venue: str = "", usd: float = 1.0) -> list[Observed]:
    return [price(hour, usd * (1 + 0.0005 * (hour % 3 - 1)), asset, venue=venue) for hour in range(0, hours, 2)]


def test_a_peg_that_breaks_is_told_when_it_is_seen_twice() -> None:
    assert told([*steady(), price(QUIET, 0.94)]) == []
    assert rules(told([*steady(), price(QUIET, 0.94), price(QUIET + 2, 0.94)])) == [("price-break", "aUSD", "warning")]


def test_a_price_that_always_moves_does_not_break() -> None:
    moving = [price(hour, 3000 * (1.03 if hour // 24 % 2 else 1.0), "ETH") for hour in range(0, QUIET, 2)]
    assert told([*moving, price(QUIET, 2500.0, "ETH"), price(QUIET + 2, 2500.0, "ETH")]) == []


def test_one_venue_of_three_moves_nothing() -> None:
    venues = [one for venue in ("a", "b", "c") for one in steady(venue=venue)]
    crash = [price(QUIET + hour, 0.65, venue="a") for hour in (0, 2)]
    others = [price(QUIET + hour, 0.998, venue=venue) for hour in (0, 2) for venue in ("b", "c")]
    assert told([*venues, *crash, *others]) == []
    two = [one for one in [*venues, *crash, *others] if getattr(one, "venue", "") != "c"]
    assert told(two) == []
    both = [*crash, *(price(QUIET + hour, 0.7, venue="b") for hour in (0, 2)), *(price(QUIET + hour, 0.998, venue="c") for hour in (0, 2))]
    assert rules(told([*venues, *both])) == [("price-break", "aUSD", "critical")]


@pytest.mark.parametrize(("fallen", "expected"), [(0.84, None), (0.82, "warning"), (0.35, "critical")])
def test_backing_breaks_before_the_token_does(fallen: float, expected: str | None) -> None:
    """60 % of bUSD is aUSD: the gap is 60 % of its fall (16 % is 9.6, 18 % is 10.8)."""
    history = [*steady(), *steady("bUSD"), backing(10, "bUSD", aUSD=0.6, USDC=0.4), price(QUIET, fallen), price(QUIET, 1.0, "bUSD")]
    alerts = [one for one in told(history) if one.rule == "shadow-nav-gap"]
    assert [(one.subject, one.severity) for one in alerts] == ([("bUSD", expected)] if expected else [])


def test_tokens_that_back_each_other_are_solved_together() -> None:
    sound = soundness({"x": {"cash": 0.2, "y": 0.8}, "y": {"x": 0.5, "cash": 0.5}}, {"cash": 0.5}, unshown=True)
    # n_x = 0.1 + 0.8 n_y, n_y = 0.5 n_x + 0.25
    assert sound["x"] == pytest.approx(0.5, abs=1e-9)
    assert sound["y"] == pytest.approx(0.5, abs=1e-9)
    assert soundness({"x": {"x": 0.7, "cash": 0.2}}, {}, unshown=False)["x"] == pytest.approx(2 / 3, abs=1e-9)
    assert soundness({"x": {"x": 0.7, "cash": 0.3}}, {}, unshown=False)["x"] == 1.0


def test_a_backing_that_is_not_shown_is_told_of_and_is_no_warning() -> None:
    alerts = told([*steady(), backing(10, "aUSD", USDC=0.3)])
    assert rules(alerts) == [("shadow-nav-gap", "aUSD", "info")]
    assert alerts[0].evidence["shown_share"] == 0.3
    assert told([*steady(), backing(10, "aUSD", USDC=0.95)]) == []


def test_an_oracle_that_does_not_follow() -> None:
    """5 % for an hour with more than a million borrowed."""
    oracle = [price(hour, 1.0, source="oracle") for hour in range(0, QUIET + 6, 2)]
    market_price = [*steady(), *(price(QUIET + hour, 0.94) for hour in (0, 2, 4))]
    borrowed = flat(QUIET + 6, supply=10e6)
    alerts = [one for one in told([*oracle, *market_price, *borrowed]) if one.rule == "oracle-gap" or "oracle-gap" in str(one.rules)]
    assert alerts
    assert alerts[0].subject == "aUSD"
    small = flat(QUIET + 6, supply=1.2e6, used=0.5)
    assert not [one for one in told([*oracle, *market_price, *small]) if "oracle-gap" in str(one.rules)]


def test_in_a_pool_everything_is_borrowed_against_everything() -> None:
    oracle = [price(hour, 1.0, source="oracle") for hour in range(0, QUIET + 6, 2)]
    market_price = [*steady(), *(price(QUIET + hour, 0.94) for hour in (0, 2, 4))]
    reserve = flat(QUIET + 6, supply=5e6, used=0.0, name="pool/aUSD", collateral="", loan="aUSD")
    other = flat(QUIET + 6, supply=10e6, used=0.5, name="pool/USDC", collateral="")
    severities = [
        [one.severity for one in told([*oracle, *market_price, *rows]) if one.rule == "oracle-gap" or "oracle-gap" in str(one.rules)]
        for rows in (reserve, [*reserve, *other])
    ]
    assert not severities[0] and "warning" in severities[1]


def test_a_wrong_oracle_counts_for_what_is_borrowed_at_it() -> None:
    """A market with an oracle of the wrong scale and hardly any debt, beside a large one whose oracle is right."""
    hours = range(0, QUIET, 2)
    right = [price(hour, 1.0, source="oracle:morpho-blue", venue="eip155:1/0xaa") for hour in hours]
    wrong = [price(hour, 100.0, source="oracle:morpho-blue", venue="eip155:1/0xbb") for hour in hours]
    large, small = flat(QUIET, supply=50e6), flat(QUIET, supply=2e6, used=0.02, name="0xbb")
    assert told([*steady(), *right, *wrong, *large, *small]) == []
    alerts = told([*steady(), *right, *wrong, *large, *flat(QUIET, supply=2e6, name="0xbb")])
    assert [(one.rule, one.evidence["oracle"]) for one in alerts] == [("oracle-gap", "oracle:morpho-blue eip155:1/0xbb")]


def test_a_frozen_oracle_still_counts_for_contracts_use_it() -> None:
    oracle = [price(0, 1.0, source="chainlink"), price(2, 1.0, source="chainlink")]
    market_price = [*steady(), *(price(QUIET + hour, 0.9) for hour in (0, 2, 4))]
    alerts = told([*oracle, *market_price, *flat(QUIET + 6)])
    assert any("oracle-gap" in str(one.rules) for one in alerts)


def test_bridge_ledger() -> None:
    covered = [bridge(hour, 1000.0, {"eip155:10": 600.0, "eip155:42161": 400.0}) for hour in range(5)]
    assert told(covered) == []
    small = [bridge(5 + hour / 2, 998.0, {"eip155:10": 600.0, "eip155:42161": 400.0}) for hour in range(3)]
    assert rules(told([*covered, small[0]])) == []
    assert rules(told([*covered, *small])) == [("bridge-gap", "rETH", "warning")]
    in_flight = [bridge(5 + hour / 2, 998.0, {"eip155:10": 600.0, "eip155:42161": 400.0}, 2.0) for hour in range(3)]
    assert told([*covered, *in_flight]) == []
    robbed = bridge(5, 800.0, {"eip155:10": 600.0, "eip155:42161": 400.0})
    alerts = told([*covered, robbed])
    assert rules(alerts) == [("bridge-gap", "rETH", "critical")]
    assert alerts[0].path == ("bridge:rETH/some-bridge", "token:rETH")


def test_a_chain_that_is_not_read_hides_nothing_and_proves_nothing() -> None:
    covered = [bridge(hour, 1000.0, {"eip155:10": 600.0, "eip155:42161": 400.0}) for hour in range(5)]
    alerts = told([*covered, bridge(5, 500.0, {"eip155:10": 600.0})])
    assert ("bridge-gap", "rETH", "critical") in rules(alerts)
    assert alerts[0].evidence["not_read"] == ("eip155:42161",)
    robbed = [*covered, bridge(5, 500.0, {"eip155:10": 600.0, "eip155:42161": 400.0})]
    unread = [bridge(hour, 1000.0, {"eip155:10": 600.0, "eip155:42161": None}) for hour in (6, 7, 8)]
    assert not [one for one in told([*robbed, *unread]) if one.state == "resolved" and one.rule == "bridge-gap"]
    read = [bridge(hour, 1000.0, {"eip155:10": 600.0, "eip155:42161": 400.0}) for hour in (6, 7, 8)]
    assert [one for one in told([*robbed, *read]) if one.state == "resolved"]


def test_a_wallet_is_told_of_once_an_episode() -> None:
    healths = [1.5, 1.2, 1.09, 1.08, 1.09, 1.12, 1.09, 1.02, 1.01, 1.2, 1.05]
    alerts = told([wallet(hour, health) for hour, health in enumerate(healths)])
    assert [(one.state, one.severity) for one in alerts] == [
        ("opened", "warning"),
        ("escalated", "critical"),
        ("resolved", "critical"),
        ("opened", "warning"),
    ]
    assert {one.subject for one in alerts} == {"0xowner"}
    assert len({one.episode for one in alerts}) == 2


def test_all_accounts_and_rules_of_an_owner_are_one_story() -> None:
    one = WalletObserved(at(1), "0xo", CHAIN, "aave-v3", "core", 1.08, None, 1e4, 9e3, distance=0.05, trapped_usd=3e3)
    other = WalletObserved(at(2), "0xo", CHAIN, "morpho-blue", "0xaa", 1.04, shadow_health_factor=0.9, debt_usd=9e3)
    alerts = told([one, other])
    assert [(alert.state, alert.severity) for alert in alerts] == [("opened", "warning")]
    assert len(alerts[0].rules) == 3
    worse = WalletObserved(at(3), "0xo", CHAIN, "morpho-blue", "0xaa", 1.04, shadow_health_factor=0.8, debt_usd=9e3)
    assert [alert.state for alert in told([one, other, worse])] == ["opened", "escalated"]


def test_who_owes_nothing_or_little_is_not_alarmed() -> None:
    assert told([wallet(1, None, debt=0.0)]) == []
    assert rules(told([wallet(1, 1.01, debt=40.0)])) == [("wallet-health", "0xowner", "info")]
