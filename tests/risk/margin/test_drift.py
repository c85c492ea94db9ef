"""Drift v2 against the program's own figures, worked examples in its integers, and the laws of its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.margin.drift import (
    BASE,
    MODEL,
    QUOTE,
    SAMPLE,
    WEIGHT,
    DriftParameters,
    MarginType,
    PerpetualTerms,
    SpotTerms,
    base_size,
    scaled_initial_asset_weight,
    size_discount_asset_weight,
    size_premium_liability_weight,
    token_value,
)
from aggregator.risk.margin.interface import Inapplicable, Kind, MissingInput
from tests.risk.margin.kit import book, market_of, option, perpetual, spot, vectors

SOL = SpotTerms(9, 8_000, 9_000, 12_000, 11_000, imf=3_000, scale_start=500_000 * QUOTE, deposits=30_000 * BASE)
TERMS = DriftParameters({"SOL": SOL}, {"SOL": PerpetualTerms(1_000, 500, imf=1_000, profit_imf=1_000)}, None, "a test", True)


@pytest.mark.data
def test_the_program_s_own_weights() -> None:
    cases: list[dict[str, Any]] = vectors("drift_v2")["cases"]
    for case in cases:
        weight, imf, decimals = case["weight"], case.get("imf", 0), case.get("decimals", 6)
        raw = case.get("size_tokens", 0) * 10**decimals
        terms = SpotTerms(decimals, weight, weight, weight, weight, imf)
        match case["kind"]:
            case "asset_weight":
                for margin in MarginType:
                    assert terms.asset_weight(raw, QUOTE, margin) == case["expected"], case
            case "liability_weight":
                for margin in MarginType:
                    assert terms.liability_weight(raw, margin) == case["expected"], case
            case "scaled_initial":
                found = scaled_initial_asset_weight(weight, case["start_usd"] * QUOTE, case["deposits_usd"] * QUOTE)
                assert found == case["expected"], case
            case kind:
                pytest.fail(f"a kind of case that no rule covers: {kind}")


def test_weights_by_hand() -> None:
    # √ of 100 tokens is ⌊√(10¹² + 1)⌋ = 10⁶ in 10⁻⁵, that is 10; imf .003 gives 1.1/1.03
    assert size_discount_asset_weight(100 * BASE, 3_000, WEIGHT) == WEIGHT
    assert size_discount_asset_weight(10_000 * BASE, 3_000, WEIGHT) == 11_000_000_000 // 1_300_000 == 8_461
    assert size_discount_asset_weight(10_000 * BASE, 3_000, 8_000) == 8_000
    # .8·1.1 + .003·100 = 1.18
    assert size_premium_liability_weight(10_000 * BASE, 3_000, 11_000) == 11_800
    assert size_premium_liability_weight(100 * BASE, 3_000, 11_000) == 11_000
    assert scaled_initial_asset_weight(9_000, 7, 6) == 9_000
    assert scaled_initial_asset_weight(9_000, 7, 10) == 6_300
    assert scaled_initial_asset_weight(9_000, 0, 10) == 9_000


def test_amounts_round_against_the_account() -> None:
    assert (token_value(1, 9, 25 * QUOTE), token_value(-1, 9, 25 * QUOTE)) == (0, -1)
    assert base_size(1_999, 12) == 1
    assert base_size(7, 6) == 7_000


@pytest.mark.parametrize(
    ("margin", "asset", "liability"), [("initial", 5_333, 12_000), ("fill", 7_166, 11_500), ("maintenance", 9_000, 11_000)]
)
def test_three_margins(margin: str, asset: int, liability: int) -> None:
    """At 25 USD the market's deposits are worth 750,000: a third over the start."""
    kind = MarginType(margin)
    assert SOL.asset_weight(BASE, 25 * QUOTE, kind) == asset
    assert SOL.liability_weight(BASE, kind) == liability


@pytest.mark.parametrize(
    ("profit", "margin", "expected"),
    [
        (-5 * QUOTE, MarginType.INITIAL, -5 * QUOTE),
        (5 * QUOTE, MarginType.INITIAL, 5 * QUOTE),
        (5_000 * QUOTE, MarginType.INITIAL, 100 * QUOTE),
        (40_000 * QUOTE, MarginType.FILL, 40_000 * QUOTE * 9_166 // WEIGHT),
        (40_000 * QUOTE, MarginType.MAINTENANCE, 40_000 * QUOTE),
    ],
)
def test_what_of_a_profit_counts(profit: int, margin: MarginType, expected: int) -> None:
    assert TERMS.perpetual["SOL"].position(BASE, 25 * QUOTE, profit, margin).collateral == expected


def test_a_perpetual_s_requirement_grows_faster_than_its_size() -> None:
    terms = TERMS.perpetual["SOL"]
    small = terms.position(100 * BASE, 25 * QUOTE, 0, MarginType.INITIAL)
    assert small.requirement == 250 * QUOTE
    # 8 % + .001·√40,000 = 28 %
    large = terms.position(-40_000 * BASE, 25 * QUOTE, 0, MarginType.INITIAL)
    assert large.requirement == 280_000 * QUOTE
    assert terms.position(100 * BASE, 25 * QUOTE, 0, MarginType.INITIAL, own_ratio=5_000).requirement == 1_250 * QUOTE
    assert terms.position(100 * BASE, 25 * QUOTE, 0, MarginType.MAINTENANCE, own_ratio=5_000).requirement == 125 * QUOTE
    # a quote token at 1.02 makes what is owed in it larger
    assert terms.position(100 * BASE, 25 * QUOTE, -QUOTE, MarginType.INITIAL, quote=(980_000, 1_020_000)).collateral == -1_020_000
    assert terms.position(100 * BASE, 25 * QUOTE, QUOTE, MarginType.INITIAL, quote=(980_000, 1_020_000)).collateral == 980_000
    assert terms.position(100 * BASE, 25 * QUOTE, 0, MarginType.INITIAL, quote=(980_000, 1_020_000)).requirement == 255 * QUOTE


def test_an_account_by_hand() -> None:
    holdings = (spot("SOL", 200), perpetual(-100, 26, underlying="SOL"))
    market = market_of(holdings, prices={"SOL": 25.0})
    found = MODEL.requirement(book(*holdings, cash=-1_000), market, replace(TERMS, averages={"SOL": 24.0}), Kind.INITIAL)
    # initial: deposits at the lower average and at .5333; borrowed cash in full; profit of 100 in full; 10 % of 2,500
    assert found.components["total-collateral"] == pytest.approx(200 * 24 * 0.5333 + 100)
    assert found.components["margin-requirement"] == pytest.approx(1_000 + 250)
    assert found.equity == pytest.approx(5_000 - 1_000 + 100)
    assert found.net == pytest.approx(found.components["total-collateral"] - found.components["margin-requirement"])
    assert found.attribution.parts.sum() == pytest.approx(found.amount)
    kept = MODEL.requirement(book(*holdings, cash=-1_000), market, TERMS, Kind.MAINTENANCE)
    assert kept.net == pytest.approx(200 * 25 * 0.9 + 100 - 1_000 - 125)
    assert kept.verified and not kept.notes


def test_strict_prices_of_the_quote_token() -> None:
    """Dollars at .99, 1.01 on average: a deposit counts at the lower, a debt and a notional at the higher; to keep, the oracle alone."""
    strict = replace(TERMS, averages={"USDC": 1.01})
    market = replace(market_of([perpetual(1, underlying="SOL")], prices={"SOL": 25.0}), stable=0.99)
    rich, poor = (book(perpetual(-100, 25, underlying="SOL"), cash=cash) for cash in (1_000, -1_000))
    for made, opening, keeping in ((rich, 990.0, 990.0), (poor, -1_010.0, -990.0)):
        initial = MODEL.requirement(made, market, strict, Kind.INITIAL)
        maintenance = MODEL.requirement(made, market, strict, Kind.MAINTENANCE)
        assert initial.net == pytest.approx(opening - 250 * 1.01)
        assert maintenance.net == pytest.approx(keeping - 125 * 0.99)


def test_what_is_not_known_is_said() -> None:
    holdings = (perpetual(1, underlying="JTO"),)
    market = market_of(holdings, prices={"JTO": 2.0})
    found = MODEL.requirement(book(*holdings), market, SAMPLE, Kind.INITIAL)
    assert found.equity is None and not found.verified
    assert any("not known" in note for note in found.notes)
    assert found.amount == pytest.approx(0.4)
    with pytest.raises(MissingInput, match="margin ratios of JTO"):
        MODEL.requirement(book(*holdings), market, TERMS, Kind.INITIAL)
    with pytest.raises(MissingInput, match="weights of JTO"):
        MODEL.requirement(book(spot("JTO", 1)), market_of([spot("JTO", 1)]), TERMS, Kind.INITIAL)
    with pytest.raises(Inapplicable, match="linear perpetuals only"):
        MODEL.requirement(book(option(3_000, 1)), market_of([option(3_000, 1)]), SAMPLE, Kind.INITIAL)


@given(
    size=st.integers(0, 10**16),
    more=st.integers(0, 10**16),
    imf=st.integers(0, 100_000),
    weight=st.integers(1, WEIGHT),
    margin=st.sampled_from(list(MarginType)),
)
def test_weights_worsen_with_size(size: int, more: int, imf: int, weight: int, margin: MarginType) -> None:
    assert size_discount_asset_weight(size + more, imf, weight) <= size_discount_asset_weight(size, imf, weight) <= weight
    assert size_premium_liability_weight(size + more, imf, weight) >= size_premium_liability_weight(size, imf, weight) >= weight
    terms = SpotTerms(9, weight, weight, 2 * WEIGHT - weight, 2 * WEIGHT - weight, imf)
    assert terms.asset_weight(size, QUOTE, margin) <= WEIGHT <= terms.liability_weight(size, margin)


@given(sizes=st.lists(st.integers(-300, 300), min_size=1, max_size=4), cash=st.integers(-5_000, 5_000), kind=st.sampled_from(list(Kind)))
def test_laws(sizes: list[int], cash: int, kind: Kind) -> None:
    holdings = [spot("SOL", size) if number % 2 else perpetual(size, 24, underlying="SOL") for number, size in enumerate(sizes)]
    market = market_of([*holdings, perpetual(1, underlying="SOL"), spot("SOL", 1)], prices={"SOL": 25.0})
    one = book(*holdings, cash=cash)
    found = MODEL.requirement(one, market, TERMS, kind)
    assert found.amount >= 0
    assert found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-5)
    assert found.net == pytest.approx(found.components["total-collateral"] - found.components["margin-requirement"], abs=1e-4)
    assert MODEL.requirement(book(*reversed(holdings), cash=cash), market, TERMS, kind).amount == found.amount
    stricter = MODEL.requirement(one, market, TERMS, Kind.INITIAL)
    looser = MODEL.requirement(one, market, TERMS, Kind.MAINTENANCE)
    assert stricter.net is not None and looser.net is not None and stricter.net <= looser.net
