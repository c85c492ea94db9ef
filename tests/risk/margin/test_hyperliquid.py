"""Hyperliquid against recorded accounts and the documented formula, worked examples, and the laws of its tiers."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.margin.hyperliquid import (
    MODEL,
    SAMPLE,
    MarginTable,
    PortfolioMargin,
    Support,
    Tier,
    TokenTerms,
    liquidation_price,
    portfolio_margin,
)
from aggregator.risk.margin.interface import Inapplicable, Kind, MissingInput
from tests.risk.margin.kit import VECTORS, book, decimal, market_of, option, perpetual, scaled, spot, vectors

RECORDED = VECTORS.parents[1] / "venues/ccxt/hyperliquid_clearinghouseState.json"
BTC = SAMPLE.tables["BTC"]


@pytest.mark.data
def test_the_documented_portfolio_margin() -> None:
    for case in vectors("hyperliquid_pm")["cases"]:
        expected = case["expected"]
        found = portfolio_margin(
            decimal(case["cross_mm"]),
            decimal(case["borrowed"]) * decimal(case["borrow_price"]),
            decimal(case["portfolio_balance"]),
            [Support(decimal(case["supply_cap"]), decimal(case["ltv"]))],
            decimal(case["borrow_cap"]),
            decimal(case["min_borrow_offset"]),
        )
        assert (found.requirement, found.liquidation_value) == (expected["requirement"], expected["liquidation_value"])
        assert found.ratio is not None and float(found.ratio) == pytest.approx(expected["ratio"], rel=1e-15)
        assert found.liquidatable is expected["liquidatable"]


@pytest.mark.data
def test_recorded_cross_and_isolated_accounts() -> None:
    """Maintenance, initial margin and liquidation price to the last digit that the venue prints."""
    if not RECORDED.exists():
        pytest.skip("recorded venue data is not here")
    checked = 0
    for case in json.loads(RECORDED.read_text())["cases"]:
        state: dict[str, Any] = case["response"]
        maintenance = initial = Decimal(0)
        for one in (entry["position"] for entry in state["assetPositions"]):
            table, notional = MarginTable.flat(int(one["maxLeverage"])), Decimal(one["positionValue"])
            margin = table.initial(notional, Decimal(one["leverage"]["value"]))
            if one["leverage"]["type"] == "cross":
                maintenance, initial = maintenance + table.maintenance(notional), initial + margin
                assert margin == Decimal(one["marginUsed"])
            elif one["liquidationPx"] is not None:
                size, price = Decimal(one["szi"]), notional / abs(Decimal(one["szi"]))
                available = Decimal(one["marginUsed"]) - table.maintenance(notional)
                found = liquidation_price(size, price, available, table.tier(notional).rate)
                assert found is not None and abs(found - Decimal(one["liquidationPx"])) < Decimal("1e-9")
                checked += 1
        assert abs(maintenance - Decimal(state["crossMaintenanceMarginUsed"])) < Decimal("1e-6")
        assert initial == Decimal(state["crossMarginSummary"]["totalMarginUsed"])
        checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    ("notional", "maintenance", "initial"),
    [
        (0, 0, 0),
        (4_000, 50, 100),
        (-4_000, 50, 100),
        (150_000_000, 1_875_000, 7_500_000),
        # the part above 150 million at 2.5 %
        (250_000_000, 1_875_000 + 2_500_000, 12_500_000),
    ],
)
def test_tiers(notional: int, maintenance: int, initial: int) -> None:
    assert BTC.maintenance(Decimal(notional)) == maintenance
    assert BTC.initial(Decimal(notional)) == initial


def test_nobody_chooses_more_than_the_tier_allows() -> None:
    assert BTC.initial(Decimal(4_000), Decimal(10)) == 400
    assert BTC.initial(Decimal(4_000), Decimal(100)) == 100
    assert BTC.initial(Decimal(200_000_000), Decimal(40)) == 10_000_000


@pytest.mark.parametrize("tiers", [(), (Tier(Decimal(1), 10),), (Tier(Decimal(0), 10), Tier(Decimal(5), 20)), (Tier(Decimal(0), 0),)])
def test_tables_that_make_no_sense(tiers: tuple[Tier, ...]) -> None:
    with pytest.raises(ValueError, match=r"leverage|tiers"):
        MarginTable(tiers)


def test_liquidation_prices_leave_exactly_the_maintenance_margin() -> None:
    rate = Decimal("0.0125")
    for size in (Decimal(2), Decimal(-2)):
        price, equity = Decimal(1_000), Decimal(300)
        found = liquidation_price(size, price, equity - abs(size) * price * rate, rate)
        assert found is not None
        assert abs(equity + size * (found - price) - abs(size) * found * rate) < Decimal("1e-20")
    assert liquidation_price(Decimal(1), Decimal(100), Decimal(500), rate) is None
    assert liquidation_price(Decimal(0), Decimal(100), Decimal(500), rate) is None


def test_nothing_to_liquidate_has_no_ratio() -> None:
    assert PortfolioMargin(Decimal(20), Decimal(0)).ratio is None
    assert PortfolioMargin(Decimal(20), Decimal(-1)).liquidatable is None
    assert PortfolioMargin(Decimal(95), Decimal(100)).liquidatable is False
    assert PortfolioMargin(Decimal("95.1"), Decimal(100)).liquidatable is True


def test_a_cross_account_by_hand() -> None:
    holdings = (perpetual(0.5, 58_000, underlying="BTC"), replace(perpetual(-10, 2_650), leverage=Decimal(5)))
    market = market_of(holdings, prices={"BTC": 60_000.0, "ETH": 2_600.0})
    initial = MODEL.requirement(book(*holdings, cash=5_000), market, SAMPLE, Kind.INITIAL)
    maintenance = MODEL.requirement(book(*holdings, cash=5_000), market, SAMPLE, Kind.MAINTENANCE)
    assert initial.amount == pytest.approx(30_000 / 40 + 26_000 / 5)
    assert maintenance.amount == pytest.approx(30_000 / 80 + 26_000 / 50)
    assert initial.equity == pytest.approx(5_000 + 1_000 + 500)
    assert "portfolio-margin-ratio" not in maintenance.components
    sure = replace(SAMPLE, confirmed=True)
    assert MODEL.requirement(book(*holdings, cash=5_000), market, sure, Kind.INITIAL).verified


def test_a_carry_trade_under_portfolio_margin() -> None:
    """1 BTC of spot, 1 short, 30,000 borrowed: .75 of the spot counts, and 20 dollars are always needed."""
    holdings = (spot("BTC", 1), perpetual(-1, 60_000, underlying="BTC"))
    market = market_of(holdings, prices={"BTC": 60_000.0})
    found = MODEL.requirement(book(*holdings, cash=-30_000), market, SAMPLE, Kind.MAINTENANCE)
    assert found.components["portfolio-margin-ratio"] == pytest.approx((20 + 750 + 30_000) / 45_000)
    assert found.equity == pytest.approx(30_000)
    assert found.net == pytest.approx(0.95 * 45_000 - 30_770)
    assert found.attribution.parts.sum() == pytest.approx(found.amount)
    assert not found.verified and any("documented formula" in note for note in found.notes)
    initial = MODEL.requirement(book(*holdings, cash=-30_000), market, SAMPLE, Kind.INITIAL)
    assert initial.net == pytest.approx(30_000 - 30_000 - 1_500)
    cross = MODEL.requirement(book(*holdings, cash=-30_000), market, replace(SAMPLE, portfolio=False), Kind.MAINTENANCE)
    assert cross.net == pytest.approx(-30_000 - 750)
    assert any("not collateral" in note for note in cross.notes)


def test_caps_bound_what_spot_counts() -> None:
    held = spot("HYPE", 1_000)
    market = market_of([held], prices={"HYPE": 40.0})
    capped = replace(SAMPLE, tokens={"HYPE": TokenTerms(Decimal("0.5"), Decimal(200))})
    free = MODEL.requirement(book(held), market, SAMPLE, Kind.MAINTENANCE)
    bound = MODEL.requirement(book(held), market, capped, Kind.MAINTENANCE)
    assert free.net == pytest.approx(0.95 * 30_000 - 20)
    assert bound.net == pytest.approx(0.95 * 6_000 - 20)
    lent = MODEL.requirement(book(held), market, replace(SAMPLE, borrow_cap=Decimal(1_000)), Kind.MAINTENANCE)
    assert lent.net == pytest.approx(0.95 * 750 - 20)
    foreign = MODEL.requirement(book(spot("PURR", 10)), market_of([spot("PURR", 1)], price=2.0), SAMPLE, Kind.INITIAL)
    assert foreign.net == -20 and foreign.amount == pytest.approx(40)


def test_what_no_account_holds() -> None:
    for one, reason in ((option(3_000, 1), "spot and linear perpetuals"), (spot("ETH", -1), "borrow dollars only")):
        with pytest.raises(Inapplicable, match=reason):
            MODEL.requirement(book(one), market_of([one]), SAMPLE, Kind.INITIAL)
    one = perpetual(1, underlying="XYZ")
    with pytest.raises(MissingInput, match="margin tiers of XYZ"):
        MODEL.requirement(book(one), market_of([one]), SAMPLE, Kind.INITIAL)


@given(first=st.integers(0, 10**9), second=st.integers(0, 10**9))
def test_tiers_are_continuous_convex_and_below_the_initial_margin(first: int, second: int) -> None:
    one, two = Decimal(first), Decimal(second)
    assert BTC.maintenance(one) + BTC.maintenance(two) <= BTC.maintenance(one + two)
    assert BTC.maintenance(one) <= BTC.initial(one)
    assert abs(BTC.maintenance(one + Decimal("0.01")) - BTC.maintenance(one)) <= Decimal("0.00025")


@given(
    sizes=st.lists(st.integers(-50, 50), min_size=1, max_size=4),
    cash=st.integers(-50_000, 50_000),
    factor=st.integers(1, 4),
    kind=st.sampled_from(list(Kind)),
)
def test_laws(sizes: list[int], cash: int, factor: int, kind: Kind) -> None:
    holdings = [perpetual(size, 2_500, underlying=("ETH", "BTC")[number % 2]) for number, size in enumerate(sizes)]
    market = market_of(holdings, prices={"BTC": 60_000.0})
    one = book(*holdings, cash=cash)
    found = MODEL.requirement(one, market, SAMPLE, kind)
    assert found.amount >= 0 and found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6)
    backwards = MODEL.requirement(book(*reversed(holdings), cash=cash), market, SAMPLE, kind)
    assert backwards.amount == found.amount and backwards.inputs_hash == found.inputs_hash
    if cash >= 0:
        assert MODEL.requirement(scaled(one, factor), market, SAMPLE, kind).amount == pytest.approx(factor * found.amount)
        assert found.amount <= MODEL.isolated(one, market, SAMPLE, kind).sum() + 1e-6
