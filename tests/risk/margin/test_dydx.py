"""dYdX v4 against the chain's own figures, worked examples in its integers, and the laws of an additive requirement."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.margin.dydx import (
    MODEL,
    PPM,
    SAMPLE,
    DydxMarket,
    LiquidityTier,
    Risk,
    adjusted_initial_margin_ppm,
    bankruptcy_quote_quantums,
    fillable_price,
    initial_margin,
    maintenance_margin,
    multiply_ppm_up,
    quote_quantums,
)
from aggregator.risk.margin.interface import Inapplicable, Kind, MissingInput, Netted
from tests.risk.margin.kit import book, case_names, market_of, option, perpetual, scaled, spot, vectors

TIER = LiquidityTier(200_000, 500_000, 1_000_000, 2_000_000)


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("dydx_v4"))
def test_the_chain_s_own_figures(name: str) -> None:
    case: dict[str, Any] = next(one for one in vectors("dydx_v4")["cases"] if one["id"] == name)
    match case["kind"]:
        case "adjusted_imf_ppm":
            tier = LiquidityTier(case["initial_margin_ppm"], 0, case["lower_cap"], case["upper_cap"])
            assert adjusted_initial_margin_ppm(tier, case["open_notional"]) == case["expected"]
        case "initial_margin":
            tier = LiquidityTier(case["initial_margin_ppm"], 0, case["lower_cap"], case["upper_cap"])
            assert initial_margin(tier, case["quote_quantums"], case["open_notional"], case.get("custom_imf_ppm", 0)) == case["expected"]
        case "position":
            tier = LiquidityTier(case["initial_margin_ppm"], case["maintenance_fraction_ppm"], case["lower_cap"], case["upper_cap"])
            place = DydxMarket(case["atomic_resolution"], case["exponent"], tier, case["open_interest_base_quantums"])
            for sign in (1, -1):
                risk = place.position(sign * case["base_quantums"], case["price"])
                assert (risk.initial, risk.maintenance) == (case["expected_im"], case["expected_mm"])
        case "liquidatable":
            assert Risk(case["net_collateral"], 0, case["mmr"]).liquidatable is case["expected"]
        case kind:
            pytest.fail(f"a kind of case that no rule covers: {kind}")


@pytest.mark.parametrize(
    ("open_notional", "expected"),
    [
        (0, 200_000),
        (1_000_000, 200_000),
        (1_000_001, 200_000),  # 0.8 ppm more, rounded down
        (1_000_002, 200_001),
        (1_700_000, 760_000),
        (1_999_999, 999_999),
        (2_000_000, PPM),
        (10**15, PPM),
    ],
)
def test_open_interest_raises_the_initial_fraction(open_notional: int, expected: int) -> None:
    assert adjusted_initial_margin_ppm(TIER, open_notional) == expected


def test_margins_round_up_and_notionals_towards_zero() -> None:
    assert multiply_ppm_up(1, 1) == 1
    assert multiply_ppm_up(-3, 500_000) == -1
    assert quote_quantums(7, -8, 3, -1) == 0
    assert quote_quantums(19, -6, 1, -1) == 1
    assert quote_quantums(-19, -6, 1, -1) == -1
    assert quote_quantums(-3, -4, 5, 0) == -1500
    # 101·3 % = 3.03 → 4, 4·60 % = 2.4 → 3; once would give 2
    assert maintenance_margin(LiquidityTier(30_000, 600_000), 101) == 3
    assert initial_margin(TIER, 101, 0, own_ppm=250_000) == 26
    assert initial_margin(TIER, 101, 1_800_000, own_ppm=250_000) == 85


@pytest.mark.parametrize("fields", [(PPM + 1, 0, 0, 0), (0, PPM + 1, 0, 0), (0, 0, 2, 1), (-1, 0, 0, 0)])
def test_a_tier_that_the_chain_refuses(fields: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="not"):
        LiquidityTier(*fields)


def test_an_account_by_hand() -> None:
    # 2 BTC short and 30 ETH long: 2 % and 60 % of it
    holdings = (perpetual(-2, 60_000, underlying="BTC"), perpetual(30, 2_500))
    market = market_of(holdings, prices={"BTC": 61_000.0, "ETH": 2_600.0})
    account = book(*holdings, cash=10_000.0)
    initial = MODEL.requirement(account, market, SAMPLE, Kind.INITIAL)
    maintenance = MODEL.requirement(account, market, SAMPLE, Kind.MAINTENANCE)
    assert initial.amount == pytest.approx(0.02 * (122_000 + 78_000), abs=1e-9)
    assert maintenance.amount == pytest.approx(0.012 * (122_000 + 78_000), abs=1e-9)
    assert initial.equity == pytest.approx(10_000 - 2_000 + 3_000)
    assert initial.net == pytest.approx(7_000)
    np.testing.assert_allclose(initial.attribution.parts, [2_440.0, 1_560.0])
    assert not initial.verified and "sample" in initial.notes[0]
    assert initial.components == pytest.approx({"initial": 4_000, "maintenance": 2_400, "notional": 200_000})


def test_the_account_s_own_fraction_raises_only_the_initial_margin() -> None:
    holdings = (perpetual(10, 2_600),)
    market = market_of(holdings)
    careful = replace(SAMPLE, own_ppm={"ETH": 100_000})
    assert MODEL.requirement(book(*holdings), market, careful, Kind.INITIAL).amount == pytest.approx(2_600)
    assert MODEL.requirement(book(*holdings), market, careful, Kind.MAINTENANCE).amount == pytest.approx(312)


def test_one_market_nets_and_two_do_not() -> None:
    holdings = (perpetual(5), perpetual(-3), perpetual(1, underlying="BTC"))
    market = market_of(holdings, prices={"BTC": 60_000.0})
    found = MODEL.requirement(book(*holdings), market, SAMPLE, Kind.INITIAL)
    assert found.amount == pytest.approx(0.02 * (2 * 2_600 + 60_000))
    assert found.attribution.parts.sum() == pytest.approx(found.amount)
    assert found.attribution.parts[1] < 0
    assert Netted(MODEL, SAMPLE).benefit(book(*holdings), market, Kind.INITIAL) == pytest.approx(0.02 * 6 * 2_600)


def test_what_no_account_holds() -> None:
    market = market_of([option(3_000, 1)])
    assert MODEL.refusal(book(option(3_000, 1)), market) is not None
    assert MODEL.refusal(book(), market) == "there is nothing to margin"
    assert MODEL.refusal(book(spot("WETH", 1, "ETH")), market) is not None
    with pytest.raises(Inapplicable, match="dydx-v4 does not apply"):
        MODEL.requirement(book(option(3_000, 1)), market, SAMPLE, Kind.INITIAL)


def test_an_unknown_market_is_named() -> None:
    one = perpetual(1, underlying="DOGE")
    with pytest.raises(MissingInput, match="market parameters of DOGE"):
        MODEL.requirement(book(one), market_of([one]), SAMPLE, Kind.INITIAL)


def test_liquidation_prices() -> None:
    # one position of 100 quantums worth 1,000, maintenance 60, account 30 under: half the maintenance margin left
    before, after, account = Risk(1_000, 100, 60), Risk(0, 0, 0), Risk(30, 100, 60)
    assert bankruptcy_quote_quantums(account, before, after) == 1_000 - 30
    assert bankruptcy_quote_quantums(Risk(-7, 100, 60), before, Risk(500, 50, 30)) == 500 + 4
    assert fillable_price(account, before, 100) == Fraction(1_000 - 45, 100)
    assert fillable_price(Risk(90, 100, 60), before, 100) == 10
    assert fillable_price(Risk(-60, 100, 60), Risk(-1_000, 100, 60), -100) == Fraction(1_090, 100)
    with pytest.raises(ValueError, match="maintenance"):
        fillable_price(Risk(1, 0, 0), before, 100)


def test_what_an_account_may_do() -> None:
    assert Risk(100, 100, 60).initially_collateralised and not Risk(99, 100, 60).initially_collateralised
    assert Risk(60, 100, 60).maintained and not Risk(59, 100, 60).maintained
    assert not Risk(-5, 0, 0).liquidatable and not Risk(60, 100, 60).liquidatable
    assert Risk(1, 2, 3) + Risk(10, 20, 30) == Risk(11, 22, 33) and Risk() == Risk(0, 0, 0)
    place = DydxMarket(-4, -1, LiquidityTier(10_000, 500_000))
    assert place.position(-7_000, 55_550) == Risk(-3_888_500_000, 38_885_000, 19_442_500)
    assert place.position(7_000, 55_550, quote_balance=-5, own_ppm=20_000) == Risk(3_888_499_995, 77_770_000, 19_442_500)
    assert place.position(0, 55_550) == Risk(0, 0, 0)


def test_the_riskier_account_goes_first() -> None:
    assert Risk(50, 0, 200).riskier_than(Risk(25, 0, 100)) and not Risk(25, 0, 100).riskier_than(Risk(50, 0, 200))
    assert not Risk(5, 0, 0).riskier_than(Risk(5, 0, 0)) and not Risk(7, 0, 0).riskier_than(Risk(5, 0, 0))
    assert Risk(50, 0, 100).riskier_than(Risk(60, 0, 100))
    assert not Risk(60, 0, 100).riskier_than(Risk(50, 0, 100))
    assert Risk(50, 0, 100).riskier_than(Risk(25, 0, 50))
    assert Risk(-5, 0, 0).riskier_than(Risk(5, 0, 0))
    assert not Risk(5, 0, 10).riskier_than(Risk(5, 0, 10))


@given(
    sizes=st.lists(st.integers(-50, 50), min_size=1, max_size=5),
    names=st.lists(st.sampled_from(["BTC", "ETH", "SOL"]), min_size=5, max_size=5),
    factor=st.integers(1, 5),
    kind=st.sampled_from(list(Kind)),
)
def test_laws(sizes: list[int], names: list[str], factor: int, kind: Kind) -> None:
    holdings = [perpetual(size, 2_000, underlying=name) for size, name in zip(sizes, names, strict=False)]
    market = market_of(holdings, prices={"BTC": 61_234.5, "ETH": 2_598.61, "SOL": 151.27})
    one = book(*holdings)
    found = MODEL.requirement(one, market, SAMPLE, kind)
    assert found.amount >= 0
    assert found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6)
    assert found.amount <= MODEL.isolated(one, market, SAMPLE, kind).sum() + 1e-5
    backwards = MODEL.requirement(book(*reversed(holdings)), market, SAMPLE, kind)
    assert backwards.amount == found.amount and backwards.inputs_hash == found.inputs_hash
    # homogeneous up to the chain's rounding
    assert MODEL.requirement(scaled(one, factor), market, SAMPLE, kind).amount == pytest.approx(factor * found.amount, abs=3e-5)
    assert MODEL.requirement(one, market, SAMPLE, Kind.MAINTENANCE).amount <= MODEL.requirement(one, market, SAMPLE, Kind.INITIAL).amount
