"""Outflow, utilisation, curators, vaults, protocols, curves and missing data, each at its line and just off it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.publish.alerts.instant import DAY
from aggregator.publish.alerts.monitor import Monitor
from aggregator.publish.alerts.observations import CurveObserved, Observed, ProtocolObserved
from tests.publish.alerts.histories import CHAIN, allocation, at, flat, market, price, rules, told, wallet


@pytest.mark.parametrize(("supply", "expected"), [(7.0e6, True), (7.01e6, False), (4.0e6, True)])
def test_outflow_of_thirty_percent_in_a_day(supply: float, expected: bool) -> None:
    alerts = told([*flat(30), market(30, supply, 0.5 * supply)])
    assert bool(alerts) is expected
    if expected:
        assert (alerts[0].rule, alerts[0].subject, alerts[0].severity) == (
            "market-outflow",
            "aUSD",
            "critical" if supply < 5e6 else "warning",
        )
        assert alerts[0].evidence["supply_usd_before"] == 10e6


def test_a_market_below_a_million_does_not_count() -> None:
    assert told([*flat(30, supply=0.99e6), market(30, 0.1e6, 0.05e6)]) == []
    assert rules(told([*flat(30, supply=1.0e6), market(30, 0.6e6, 0.3e6)])) == [("market-outflow", "aUSD", "warning")]


def test_recordings_that_come_a_little_early_are_compared_with_the_day_before() -> None:
    early = [
        replace(one, t=one.t - 40_000_000 * day) for day, one in enumerate(market(24 * day, 10e6 * 0.82**day, 4e6) for day in range(5))
    ]
    assert [one for one in told(early) if one.rule == "market-outflow"] == []


def test_outflow_is_measured_against_a_day_before_and_not_against_a_peak() -> None:
    up_and_down = [*flat(48), market(48, 16e6, 8e6), market(49, 10.5e6, 8e6)]
    assert told(up_and_down) == []


def test_outflow_clears_after_a_day_of_less_than_ten_percent() -> None:
    after = [market(30 + hour, 6e6, 4e6) for hour in range(60)]
    alerts = told([*flat(30), *after])
    assert [(one.state, one.t) for one in alerts] == [("opened", "2026-01-06T06:00:00Z"), ("resolved", "2026-01-08T06:00:00Z")]
    # the reference reaches the new level a day after the fall, and a day of calm follows
    assert alerts[0].episode == alerts[1].episode


def test_a_fall_behind_missing_rows_is_seen() -> None:
    alerts = told([*flat(30), market(80, 6e6, 4e6)])
    assert ("market-outflow", "aUSD", "warning") in rules(alerts)
    assert [one.severity for one in alerts if one.rule == "data-quality"] == ["info", "warning"]


def test_a_fall_of_the_price_of_what_is_lent_is_no_outflow() -> None:
    history: list[Observed] = [*flat(30, collateral="wstETH", loan="WETH"), market(30, 6.5e6, 5.2e6, collateral="wstETH", loan="WETH")]
    history += [*(price(hour, 3000.0, "WETH") for hour in range(30)), price(30, 1950.0, "WETH")]
    assert told(history) == []
    # a stablecoin that breaks is often still counted as a dollar: there an outflow stays one
    pegged: list[Observed] = [*flat(24 * 8), market(24 * 8, 6.9e6, 5.2e6)]
    pegged += [*(price(hour, 1.0, "USDC") for hour in range(24 * 8)), price(24 * 8, 0.9, "USDC")]
    assert ("market-outflow", "aUSD", "warning") in rules(told(pegged))
    assert rules(told([one for one in history if getattr(one, "asset", "") != "WETH"])) == [("market-outflow", "wstETH", "warning")]


def test_a_small_market_does_not_speak_for_its_collateral() -> None:
    large = flat(31, supply=500e6, name="0xbb", collateral="WETH")
    small = [*flat(30, supply=2e6, collateral="WETH"), market(30, 0.4e6, 0.3e6, collateral="WETH")]
    alert = told([*large, *small])[0]
    assert (alert.subject, alert.root) == ("0xaa", f"market:morpho-blue/0xaa@{CHAIN}")


def test_one_full_day_alone_is_not_a_full_market() -> None:
    """Daily figures: full on one day and not on the next says nothing about six hours."""
    days = [market(24 * day, 10e6, 10e6 if day == 5 else 9e6) for day in range(10)]
    assert told(days) == []
    days[6] = market(24 * 6, 10e6, 9.995e6)
    assert rules(told(days)) == [("utilisation", "aUSD", "critical")]


def test_utilisation_by_the_hour() -> None:
    assert told([*flat(30), *(market(30 + hour, 10e6, 9.6e6) for hour in range(6))]) == []
    alerts = told([*flat(30), *(market(30 + hour, 10e6, 9.6e6) for hour in range(7))])
    assert rules(alerts) == [("utilisation", "aUSD", "warning")]
    assert alerts[0].clears_when == "utilisation is below 90 % for 6 h"


def test_a_full_dust_market_only_informs() -> None:
    alerts = told([market(hour, 20_000.0, 20_000.0) for hour in range(12)])
    assert rules(alerts) == [("utilisation", "aUSD", "info")]


def test_debt_without_supply_is_unknown() -> None:
    monitor = Monitor()
    for one in [*flat(30), market(30, 0.0, 5e6)]:
        monitor.advance(one.t, [one])
    assert any(rule == "utilisation" for rule, _ in monitor.unknown)


def test_a_figure_that_is_missing_opens_no_market_alert_and_closes_none() -> None:
    quiet = [*flat(30), *(market(30 + hour, None, None) for hour in range(60))]
    alerts = told(quiet)
    assert rules(alerts) == [("data-quality", "0xaa", "info")]
    assert [one.severity for one in alerts] == ["info", "warning"]
    assert alerts[0].evidence["verdict"] == "unknown"
    loud = [*flat(30), market(30, 5e6, 3e6), *(market(31 + hour, None, None) for hour in range(80))]
    assert not any(one.state == "resolved" for one in told(loud))


def test_silence_is_noticed_at_its_time_and_ends_after_two_in_time() -> None:
    history = [*flat(30), *(market(hour, 10e6, 8e6) for hour in (40, 41, 42))]
    alerts = told(history)
    assert [(one.state, one.t[8:16], one.severity) for one in alerts] == [
        ("opened", "06T06:45", "info"),
        ("escalated", "06T09:00", "warning"),
        ("resolved", "06T18:00", "warning"),
    ]


def test_two_curators_leaving_a_collateral_is_a_sign_and_one_is_none() -> None:
    def history(second: float) -> list[Observed]:
        days = [market(24 * day, 40e6, 30e6) for day in range(12)]
        first = [allocation(24 * day, 5e6 if day < 6 else 0.0, "Alpha") for day in range(12)]
        other = [allocation(24 * day, 8e6 if day < 8 else second, "Beta") for day in range(12)]
        return [*days, *first, *other]

    alerts = [one for one in told(history(0.7e6)) if one.rule == "curator-exit"]
    assert [(one.subject, one.severity, one.t[:10]) for one in alerts] == [("aUSD", "warning", "2026-01-13")]
    assert alerts[0].evidence["left"] == ("Alpha: 5000000 to 0 USD", "Beta: 8000000 to 700000 USD")
    assert not [one for one in told(history(0.9e6)) if one.rule == "curator-exit"]


def test_two_vaults_of_one_curator_are_one() -> None:
    days = [market(24 * day, 40e6, 30e6) for day in range(12)]
    vaults = [allocation(24 * day, 5e6 if day < 6 else 0.0, name, curator="Gamma") for day in range(12) for name in ("G1", "G2")]
    assert "curator-exit" not in {one.rule for one in told([*days, *vaults])}


def test_moving_between_markets_of_the_same_collateral_is_no_exit() -> None:
    days = [market(24 * day, 40e6, 30e6, name=name) for day in range(12) for name in ("0xaa", "0xbb")]
    moved = [
        allocation(24 * day, 5e6 if (day < 6) is (name == "0xaa") else 0.0, vault, name)
        for day in range(12)
        for name in ("0xaa", "0xbb")
        for vault in ("Alpha", "Beta")
    ]
    assert "curator-exit" not in {one.rule for one in told([*days, *moved])}


def test_a_vault_only_informs() -> None:
    days = [allocation(24 * day, 5e6 if day < 6 else 2e6, "Alpha") for day in range(7)]
    assert rules(told(days)) == [("vault-outflow", "Alpha", "info")]


def test_a_protocol_that_reports_nothing_must_report_it_twice() -> None:
    tvl = [ProtocolObserved(at(24 * day), "aave-v3", 10e9) for day in range(6)]
    glitch = [*tvl, ProtocolObserved(at(24 * 6), "aave-v3", 0.0), ProtocolObserved(at(24 * 7), "aave-v3", 10e9)]
    assert told(glitch) == []
    gone = [*glitch[:-1], ProtocolObserved(at(24 * 7), "aave-v3", 0.0)]
    assert rules(told(gone)) == [("protocol-outflow", "aave-v3", "critical")]
    assert rules(told([*tvl, ProtocolObserved(at(24 * 6), "aave-v3", 6.9e9)])) == [("protocol-outflow", "aave-v3", "warning")]


def test_curve_jump_from_wallets() -> None:
    """Debt that collateral 10 % lower makes liquidatable: HF 1.05 counts, 1.2 does not."""
    safe = [wallet(hour, 1.2, owner="0xsafe", debt=4e6) for hour in range(0, 60, 4)]
    near = [wallet(hour, 1.105, owner="0xnear", debt=2e6) for hour in range(0, 60, 4)]
    moved = [wallet(hour, 1.2 if hour < 48 else 1.105, owner="0xmoved", debt=1.5e6) for hour in range(0, 60, 4)]
    alerts = [one for one in told([*safe, *near, *moved, *flat(60)]) if one.rule == "curve-jump"]
    assert [(one.subject, one.severity, one.state) for one in alerts] == [("aUSD", "warning", "opened")]
    assert alerts[0].evidence["liquidatable_debt_usd"] == 3.5e6
    assert "curve-jump" not in {one.rule for one in told([*safe, *near, *flat(60)])}


def test_a_spiral_that_is_half_as_far_is_a_jump() -> None:
    curves = [CurveObserved(at(hour), "aave-v3", CHAIN, "", 5e6, 0.3 if hour < 30 else 0.15) for hour in range(32)]
    assert rules(told(curves)) == [("curve-jump", "aave-v3", "warning")]
    assert told([CurveObserved(at(hour), "aave-v3", CHAIN, "", 5e6, 0.3 if hour < 30 else 0.16) for hour in range(32)]) == []


def test_time_does_not_go_backwards() -> None:
    monitor = Monitor()
    monitor.advance(2 * DAY, [])
    with pytest.raises(ValueError, match="is before"):
        monitor.advance(DAY, [])
