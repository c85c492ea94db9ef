"""Fair value of pair tokens and of whatever is made of something else."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.price import PriceQuality
from aggregator.model.token import TokenKind
from aggregator.prices.estimate import Estimate
from aggregator.prices.fair_value import composition_value
from tests.prices.kit import made_of, stranger

LP = stranger("UNI-V2", 1, kind=TokenKind.PAIR)
WETH = stranger("WETH", 2)
USDC = stranger("USDC", 3, decimals=6)
AMOUNTS = st.integers(10**6, 10**30)
PRICES = st.decimals("0.000001", "1000000", places=6)


def estimate(value: Decimal, width: str = "0.01", confidence: float = 0.9) -> Estimate:
    return Estimate(value, value * (1 - Decimal(width)), value * (1 + Decimal(width)), 60, PriceQuality.FRESH, confidence, (f"at {value}",))


def test_a_pair_at_the_fair_price_is_worth_its_amounts() -> None:
    pool = made_of(LP, 10**18, [(WETH, 2 * 10**18), (USDC, 5_000 * 10**6)], "pair")
    value = composition_value(pool, 18, [estimate(Decimal(2500)), estimate(Decimal(1))])
    assert value.value == 10_000
    assert value.high >= value.value >= value.low


@given(reserve=AMOUNTS, other=AMOUNTS, supply=AMOUNTS, p=PRICES, q=PRICES)
def test_fair_value_never_exceeds_the_amounts_and_ignores_the_pool_price(
    reserve: int, other: int, supply: int, p: Decimal, q: Decimal
) -> None:
    parts = [estimate(p), estimate(q)]
    fair = composition_value(made_of(LP, supply, [(WETH, reserve), (USDC, other)], "pair"), 18, parts)
    by_amounts = composition_value(made_of(LP, supply, [(WETH, reserve), (USDC, other)], "vault"), 18, parts)
    assert fair.value <= by_amounts.value * (1 + Decimal("1e-20"))
    assert 0 <= fair.low <= fair.value <= fair.high
    # somebody trades the pool along its invariant: x·y stays, the fair value stays
    moved = composition_value(made_of(LP, supply, [(WETH, reserve * 7), (USDC, other)], "pair"), 18, parts)
    straight = composition_value(made_of(LP, supply, [(WETH, reserve), (USDC, other * 7)], "pair"), 18, parts)
    assert abs(moved.value - straight.value) <= moved.value * Decimal("1e-20")


@given(numerator=st.integers(0, 10**40), denominator=st.integers(1, 10**40), price=PRICES, decimals=st.integers(0, 24))
def test_a_share_is_worth_its_part_of_the_assets(numerator: int, denominator: int, price: Decimal, decimals: int) -> None:
    vault = stranger("vault", 9, kind=TokenKind.VAULT, decimals=decimals)
    value = composition_value(made_of(vault, denominator, [(USDC, numerator)]), decimals, [estimate(price)])
    exact = Fraction(numerator, denominator) * Fraction(10) ** (decimals - 6) * Fraction(price)
    assert abs(Fraction(value.value) - exact) <= exact * Fraction(1, 10**45)
    assert value.confidence == 0.9 and value.quality is PriceQuality.FRESH


def test_as_old_as_the_oldest_and_as_good_as_the_worst_part() -> None:
    old = Estimate(Decimal(1), Decimal(1), Decimal(1), 9_000, PriceQuality.STALE, 0.3, ("old",), ("it is old",))
    value = composition_value(made_of(LP, 1, [(WETH, 1), (USDC, 1)]), 18, [estimate(Decimal(2)), old])
    assert (value.age_seconds, value.quality, value.confidence) == (9_000, PriceQuality.STALE, 0.3)
    assert value.sources == ("at 2", "old") and "it is old" in value.notes
    undated = Estimate(Decimal(1), Decimal(1), Decimal(1), None, PriceQuality.FRESH, 0.3, ("undated",))
    assert composition_value(made_of(LP, 1, [(WETH, 1), (USDC, 1)]), 18, [estimate(Decimal(2)), undated]).age_seconds is None
