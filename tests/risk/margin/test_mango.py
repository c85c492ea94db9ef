"""Mango v4 against the program's own figures, worked examples, and the laws of health."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.risk.margin.interface import Inapplicable, Kind, MissingInput
from aggregator.risk.margin.mango import (
    MODEL,
    ONE,
    SAMPLE,
    Bank,
    HealthType,
    PerpetualPosition,
    PerpetualTerms,
    Prices,
    TokenPosition,
    fixed,
    health,
    multiply,
)
from tests.risk.margin.kit import book, case_names, decimal, market_of, option, perpetual, spot, vectors

DOLLAR = Bank(Decimal(1), Decimal(1), Decimal(1), Decimal(1))
PERP = PerpetualTerms(Decimal("0.8"), Decimal("1.2"), Decimal("0.9"), Decimal("1.1"), Decimal("0.95"), Decimal("0.98"), settle="token1")


def price(oracle: float, stable: float | None = None) -> Prices:
    return Prices(fixed(oracle), fixed(oracle if stable is None else stable))


def bank(asset: str, liability: str, **scaling: float) -> Bank:
    return Bank(Decimal(asset), Decimal(liability), Decimal(asset), Decimal(liability), 0, **scaling)


@pytest.mark.data
@pytest.mark.parametrize("name", case_names("mango_v4"))
def test_the_program_s_own_health(name: str) -> None:
    file = vectors("mango_v4")
    case: dict[str, Any] = next(one for one in file["cases"] if str(one["id"]) == name)
    setup = file["setup"]
    tokens = {}
    for number, amount in enumerate(case["tokens"]):
        terms = setup[f"token{number + 1}"]
        scaling: dict[str, float] = {}
        for what, start in (("deposits", "deposit_scale_start"), ("borrows", "borrow_scale_start")):
            if what in case:
                scaling |= {what: case[what][number], start: case[start][number]}
        one = Bank(decimal(terms["init_asset"]), decimal(terms["init_liab"]), Decimal(1), Decimal(1), 0, **scaling)
        tokens[f"token{number + 1}"] = TokenPosition(one, price(terms["price"]), amount * ONE)
    terms = setup["perp"]
    perp = PerpetualTerms(
        decimal(terms["init_base_asset"]),
        decimal(terms["init_base_liab"]),
        Decimal(1),
        Decimal(1),
        decimal(terms["init_overall_asset"]),
        Decimal(1),
        settle=terms["settle"],
    )
    lots, quote = case["perp"]
    held = PerpetualPosition(perp, price(terms["price"]), lots * terms["base_lot"], quote * ONE)
    found = health(tokens, [held], HealthType.INIT) / ONE
    assert found == pytest.approx(case["expected"], abs=file["tolerance"])


def test_fixed_point_rounds_down() -> None:
    assert multiply(ONE + 1, ONE - 1) == ONE - 1
    assert multiply(-1, ONE // 2) == -1
    assert fixed(Decimal("0.8")) == round(0.8 * 2**48)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # 3 at the lower stable price 4, weight .5; borrowed 2 at 10, weight 1.5; deposits worth twice the start halve the weight
        (HealthType.INIT, 100 * 0.8 + 3 * 4 * 0.25 - 2 * 11 * 1.5),
        (HealthType.LIQUIDATION_END, 100 * 0.8 + 3 * 5 * 0.5 - 2 * 10 * 1.5),
        (HealthType.MAINT, 100 * 0.9 + 3 * 5 * 0.7 - 2 * 10 * 1.3),
    ],
)
def test_three_kinds_of_health(kind: HealthType, expected: float) -> None:
    tokens = {
        "a": TokenPosition(Bank(Decimal("0.8"), Decimal("1.2"), Decimal("0.9"), Decimal("1.1"), 0), price(1), 100 * ONE),
        "b": TokenPosition(
            Bank(Decimal("0.5"), Decimal("1.5"), Decimal("0.7"), Decimal("1.3"), 0, deposits=400, deposit_scale_start=1_000.0),
            price(5, 4),
            3 * ONE,
        ),
        "c": TokenPosition(Bank(Decimal("0.5"), Decimal("1.5"), Decimal("0.7"), Decimal("1.3"), 0), price(10, 11), -2 * ONE),
    }
    assert health(tokens, [], kind) / ONE == pytest.approx(expected, abs=1e-9)


def test_borrows_scale_the_liability_weight() -> None:
    heavy = bank("0.5", "1.5", borrows=300, borrow_scale_start=1_000.0)
    assert heavy.liability_weight(HealthType.INIT, price(5)) / ONE == pytest.approx(2.25)
    assert heavy.liability_weight(HealthType.INIT, price(3)) / ONE == pytest.approx(1.5)
    assert heavy.liability_weight(HealthType.LIQUIDATION_END, price(5)) / ONE == pytest.approx(1.5)
    with pytest.raises(OverflowError):
        bank("0.5", "1.5", borrows=1, borrow_scale_start=0.0).liability_weight(HealthType.INIT, price(5))


@pytest.mark.parametrize(
    ("base", "quote", "bids", "asks", "expected"),
    [
        (0, 7, 0, 0, 0.95 * 7),
        (-2, 7, 0, 0, 7 - 2 * 1.2 * 5),
        # all bids filled: 5 more at .8 for 25 paid
        (2, 20, 5, 0, 0.95 * (7 * 0.8 * 5 + 20 - 25)),
        # all asks filled leaves 4 short, which is worse than the 1 long that all bids leave
        (1, 0, 0, 5, 0.95 * (-4 * 1.2 * 5 + 25)),
        # one bid filled, worse than four asks
        (2, 0, 1, 4, 0.95 * (3 * 0.8 * 5 - 5)),
    ],
)
def test_what_of_a_perpetual_counts(base: int, quote: int, bids: int, asks: int, expected: float) -> None:
    found = PERP.unsettled(base, quote * ONE, HealthType.INIT, price(5), bids, asks) / ONE
    assert found == pytest.approx(expected)


def test_an_account_by_hand() -> None:
    holdings = (spot("SOL", 10), perpetual(-20, 30, underlying="SOL"), spot("JUP", -100))
    market = market_of(holdings, prices={"SOL": 25.0, "JUP": 0.5})
    found = MODEL.requirement(book(*holdings, cash=200), market, SAMPLE, Kind.INITIAL)
    # perpetual: quote 600, base −20·25·1.2 = −600: nothing
    assert found.components["init-health"] == pytest.approx(10 * 25 * 0.8 + 200 - 100 * 0.5 * 1.2)
    assert found.components["maint-health"] == pytest.approx(10 * 25 * 0.9 + 200 + 0.98 * 50 - 100 * 0.5 * 1.1)
    assert found.equity == pytest.approx(250 + 200 + 100 - 50)
    assert found.net == pytest.approx(found.components["init-health"])
    assert found.attribution.parts.sum() == pytest.approx(found.amount)
    kept = MODEL.requirement(book(*holdings, cash=200), market, SAMPLE, Kind.MAINTENANCE)
    assert kept.net == pytest.approx(kept.components["maint-health"])


def test_a_slow_price_holds_back_the_initial_health_only() -> None:
    holdings = (spot("SOL", 10),)
    market = market_of(holdings, prices={"SOL": 30.0})
    slow = replace(SAMPLE, stable_prices={"SOL": 25.0})
    assert MODEL.requirement(book(*holdings), market, slow, Kind.INITIAL).net == pytest.approx(200)
    assert MODEL.requirement(book(*holdings), market, slow, Kind.MAINTENANCE).net == pytest.approx(270)


def test_what_is_not_known_is_said() -> None:
    one = (perpetual(1, underlying="SOL"),)
    market = market_of(one, prices={"SOL": 25.0})
    found = MODEL.requirement(book(*one), market, SAMPLE, Kind.INITIAL)
    assert found.equity is None and len(found.notes) == 2 and not found.verified
    none = replace(SAMPLE, fallback_bank=None, fallback_perpetual=None)
    with pytest.raises(MissingInput, match="perpetual weights of SOL"):
        MODEL.requirement(book(*one), market, none, Kind.INITIAL)
    with pytest.raises(MissingInput, match="Mango weights of SOL"):
        MODEL.requirement(book(spot("SOL", 1)), market_of([spot("SOL", 1)]), none, Kind.INITIAL)
    with pytest.raises(Inapplicable):
        MODEL.requirement(book(option(3_000, 1)), market_of([option(3_000, 1)]), SAMPLE, Kind.INITIAL)


@given(
    sizes=st.lists(st.integers(-300, 300), min_size=1, max_size=4),
    cash=st.integers(-5_000, 5_000),
    kind=st.sampled_from(list(Kind)),
)
def test_laws(sizes: list[int], cash: int, kind: Kind) -> None:
    holdings = [spot("SOL", size) if number % 2 else perpetual(size, 24, underlying="SOL") for number, size in enumerate(sizes)]
    market = market_of([*holdings, perpetual(1, underlying="SOL"), spot("SOL", 1)], prices={"SOL": 25.0})
    one = book(*holdings, cash=cash)
    found = MODEL.requirement(one, market, SAMPLE, kind)
    assert found.amount >= 0
    assert found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6)
    assert MODEL.requirement(book(*reversed(holdings), cash=cash), market, SAMPLE, kind).amount == found.amount
    assert found.components["init-health"] <= found.components["liquidation-end-health"] + 1e-9
    assert found.components["liquidation-end-health"] <= found.components["maint-health"] + 1e-9
