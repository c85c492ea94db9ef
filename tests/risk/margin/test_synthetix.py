"""Synthetix v3 against the contracts' own figures, worked examples in 18 decimals, and the laws of its margin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.margin.interface import Inapplicable, Kind, MissingInput
from aggregator.risk.margin.synthetix import (
    MODEL,
    SAMPLE,
    WAD,
    CollateralTerms,
    KeeperTerms,
    MarketTerms,
    divide,
    liquidatable,
    multiply,
    wad,
)
from tests.risk.margin.kit import book, case_names, decimal, market_of, option, perpetual, spot, vectors

ETH = SAMPLE.markets["ETH"]


def terms(one: dict[str, Any]) -> MarketTerms:
    return MarketTerms(
        wad(decimal(one["skew_scale"])),
        wad(decimal(one["initial_margin_ratio"])),
        wad(decimal(one["min_initial_margin_ratio"])),
        wad(decimal(one["maintenance_scalar"])),
        wad(decimal(one.get("minimum_position_margin", 0))),
    )


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("synthetix_v3"))
def test_the_contracts_own_accounts(name: str) -> None:
    """Profits, open interest and available margin to the last of 18 decimals; a position opens against an even skew."""
    file = vectors("synthetix_v3")
    case: dict[str, Any] = next(one for one in file["cases"] if one["id"] == name)
    expected = case["expected"]
    profits, open_interest, maintenance = {}, 0, 0
    for market, size in case["positions"].items():
        one, place = file["markets"][market], terms(file["markets"][market])
        entry = place.fill_price(0, size * WAD, wad(decimal(one["price"])))
        price = wad(decimal(case["mark"].get(market, one["price"])))
        profits[market] = multiply(size * WAD, price - entry)
        open_interest += multiply(abs(size) * WAD, price)
        maintenance += place.required(size * WAD, price).maintenance
    available = wad(decimal(case["collateral"])) + sum(profits.values())
    for market, profit in expected.get("pnl", {}).items():
        assert profits[market] == wad(decimal(profit))
    if "total_oi" in expected:
        assert open_interest == wad(decimal(expected["total_oi"]))
    assert available == wad(decimal(expected["available_margin"]))
    if "liquidatable" in expected:
        assert liquidatable(available, maintenance) is expected["liquidatable"]


@pytest.mark.data
def test_the_contracts_own_collateral_discounts() -> None:
    for case in vectors("synthetix_v3")["collateral_discount"]["cases"]:
        one = CollateralTerms(*(wad(decimal(case[key])) for key in ("skew_scale", "scalar", "lower", "upper")))
        assert one.value(wad(decimal(case["amount"])), wad(decimal(case["price"]))) == wad(decimal(case["expected_value"]))


@pytest.mark.data
def test_the_sample_is_the_contracts_own_markets() -> None:
    assert {name: terms(one) for name, one in vectors("synthetix_v3")["markets"].items()} == dict(SAMPLE.markets)


def test_arithmetic_truncates() -> None:
    assert (multiply(-1, WAD // 2), multiply(1, WAD // 2), multiply(-3, WAD // 2)) == (0, 0, -1)
    assert (divide(-1, 3 * WAD), divide(2, 3)) == (0, 2 * WAD // 3)


@pytest.mark.parametrize(
    ("size", "initial", "maintenance"),
    [
        # 20/1000·2 + .01 = .05 of 40,000
        (20, 2_000, 1_000),
        (-20, 2_000, 1_000),
        # twice the size: .09 of 80,000
        (40, 7_200, 3_600),
        (0, 0, 0),
    ],
)
def test_margin_grows_with_the_share_of_the_market(size: int, initial: int, maintenance: int) -> None:
    found = ETH.required(size * WAD, 2_000 * WAD)
    assert (found.initial, found.maintenance) == (initial * WAD, maintenance * WAD)


def test_minimum_position_margin_stands_in_both() -> None:
    one = replace(ETH, minimum_position_margin=500 * WAD)
    found = one.required(20 * WAD, 2_000 * WAD)
    assert (found.initial, found.maintenance) == (2_500 * WAD, 1_500 * WAD)
    assert one.required(0, 2_000 * WAD).initial == 0
    unscaled = replace(ETH, skew_scale=0)
    assert unscaled.required(20 * WAD, 2_000 * WAD).initial == 400 * WAD
    assert unscaled.fill_price(5 * WAD, 20 * WAD, 2_000 * WAD) == 2_000 * WAD


def test_fills_pay_for_the_skew_they_make() -> None:
    assert ETH.fill_price(0, 20 * WAD, 2_000 * WAD) == 2_020 * WAD
    assert ETH.fill_price(-30 * WAD, 20 * WAD, 2_000 * WAD) == 1_960 * WAD


def test_keepers_are_paid_between_the_caps() -> None:
    keeper = KeeperTerms(10 * WAD, WAD // 2, 1_000 * WAD, WAD // 10, WAD // 100, 8 * WAD, 4 * WAD)
    assert keeper.reward(0, 12 * WAD, 10_000 * WAD) == 22 * WAD
    assert keeper.reward(0, 30 * WAD, 10_000 * WAD) == 45 * WAD
    assert keeper.reward(100 * WAD, 12 * WAD, 10_000 * WAD) == 112 * WAD
    assert keeper.reward(5_000 * WAD, 12 * WAD, 10_000 * WAD) == 1_000 * WAD
    assert keeper.reward(5_000 * WAD, 12 * WAD, 100 * WAD) == 10 * WAD
    # collateral's own reward of 100 is more than the flags', and each further window costs another 14
    assert keeper.possible(60 * WAD, 10_000 * WAD, 3) == 112 * WAD + 28 * WAD
    limited = replace(ETH, fees=WAD // 1_000, window_seconds=10)
    assert [limited.windows(size * WAD) for size in (1, 10, 11, -25)] == [1, 1, 2, 3]


def test_the_line_itself_is_safe() -> None:
    assert not liquidatable(100, 100)
    assert liquidatable(99, 100)
    assert liquidatable(100, 100, 1)


def test_an_account_by_hand() -> None:
    holdings = (spot("ETH", 700), perpetual(-20, 2_050, underlying="ETH"), perpetual(1, 30_150, underlying="BTC"))
    market = market_of(holdings, prices={"ETH": 2_000.0, "BTC": 30_000.0})
    keeper = KeeperTerms(maximum_reward=1_000 * WAD, flag_cost=5 * WAD, liquidate_cost=2 * WAD)
    found = MODEL.requirement(book(*holdings, cash=1_000), market, replace(SAMPLE, keeper=keeper), Kind.INITIAL)
    # ETH collateral is discounted by 700/50,000·2 = 2.8 %; margins: .05·40,000 and .03·30,000
    assert found.components["collateral-discount"] == pytest.approx(0.028 * 1_400_000)
    assert found.components["positions"] == pytest.approx(2_000 + 900)
    assert found.components["liquidation-reward"] == pytest.approx(7)
    assert found.equity == pytest.approx(1_000 + 1_400_000 + 1_000 - 150)
    assert found.attribution.parts.sum() == pytest.approx(found.amount)
    kept = MODEL.requirement(book(*holdings, cash=1_000), market, SAMPLE, Kind.MAINTENANCE)
    assert kept.components["positions"] == pytest.approx(1_450)
    assert not kept.verified


def test_what_no_account_holds() -> None:
    for one, reason in ((option(3_000, 1), "collateral and linear perpetuals"), (spot("ETH", -1), "owes snxUSD")):
        with pytest.raises(Inapplicable, match=reason):
            MODEL.requirement(book(one), market_of([one]), SAMPLE, Kind.INITIAL)
    for one, what in ((perpetual(1, underlying="XRP"), "market terms of XRP"), (spot("XRP", 1), "collateral terms of XRP")):
        with pytest.raises(MissingInput, match=what):
            MODEL.requirement(book(one), market_of([one]), SAMPLE, Kind.INITIAL)


@given(size=st.integers(1, 10**21), more=st.integers(0, 10**21), price=st.integers(1, 10**23))
def test_larger_positions_need_a_larger_share(size: int, more: int, price: int) -> None:
    one, two = ETH.required(size, price), ETH.required(size + more, price)
    assert two.initial_ratio >= one.initial_ratio and two.initial >= one.initial
    assert one.maintenance <= one.initial
    assert ETH.required(-size, price) == one


@given(
    sizes=st.lists(st.integers(-40, 40), min_size=1, max_size=4),
    names=st.lists(st.sampled_from(["ETH", "BTC"]), min_size=4, max_size=4),
    cash=st.integers(-500, 50_000),
    kind=st.sampled_from(list(Kind)),
)
def test_laws(sizes: list[int], names: list[str], cash: int, kind: Kind) -> None:
    holdings = [perpetual(size, 2_100, underlying=name) for size, name in zip(sizes, names, strict=False)]
    market = market_of(holdings, prices={"ETH": 2_000.0, "BTC": 30_000.0})
    one = book(*holdings, cash=cash)
    found = MODEL.requirement(one, market, SAMPLE, kind)
    assert found.amount >= 0
    assert found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6)
    assert MODEL.requirement(book(*reversed(holdings), cash=cash), market, SAMPLE, kind).amount == found.amount
    assert MODEL.requirement(one, market, SAMPLE, Kind.MAINTENANCE).amount <= MODEL.requirement(one, market, SAMPLE, Kind.INITIAL).amount
