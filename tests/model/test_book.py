"""The population as columns: the same health as objects, exact verdicts, and what is unknown stays unknown."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.book import Book, Legs, LiquidationRule, evm_owners
from aggregator.model.book_rows import book_of, portfolio_of
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount, MarginAccountKind, MarginTerms, Position, Side
from aggregator.model.token import Token
from aggregator.model.units import WAD, to_decimal
from tests.builders import ARBITRUM, DAI, ETHEREUM, LINK, PRICES, USDC, WBTC, WETH, WSTETH, on
from tests.builders import book as price_book
from tests.contagion.books import permuted, random_book, seeds, small_book

TOKENS = (WETH, WSTETH, WBTC, LINK, USDC, DAI)
THRESHOLDS = {WETH: "0.83", WSTETH: "0.81", WBTC: "0.78", LINK: "0.68", USDC: "0.77", DAI: "0.78"}


def lending_leg(one: Token, side: Side, raw: int, premium: Decimal) -> Leg:
    """A leg at an oracle price off the market's by a premium; values floored to eight decimals, as Aave's base unit is."""
    price = Decimal(PRICES[one]) * premium
    value = (to_decimal(raw, one.decimals) * price).quantize(Decimal("1e-8"), rounding="ROUND_DOWN")
    threshold = Decimal(THRESHOLDS[one]) if side is Side.COLLATERAL else Decimal(0)
    bonus = Decimal("0.05") if side is Side.COLLATERAL else Decimal(0)
    terms = MarginTerms(value, liquidation_threshold=threshold, liquidation_bonus=bonus, oracle_price_usd=price)
    return Leg(one.asset, one.symbol, one.decimals, side, raw, terms=terms)


@st.composite
def lending_accounts(draw: st.DrawFn) -> MarginAccount:
    chain = draw(st.sampled_from((ETHEREUM, ARBITRUM)))
    market = draw(st.sampled_from(("0x01", "0x02")))
    owner = Address(f"0x{draw(st.integers(1, 2**160 - 1)):040x}")
    legs = []
    for side in (Side.COLLATERAL, Side.DEBT):
        for one in draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4, unique=True)):
            whole = draw(st.integers(1000, 10**6))
            premium = Decimal("1.01") if market == "0x02" else Decimal(1)
            legs.append(replace(lending_leg(one, side, whole * 10**one.decimals // 7, premium), asset=on(chain, one).asset))
    position = Position(chain, "pool", market, owner, tuple(legs))
    weighted, debt = exact_sums(legs)
    return MarginAccount(
        chain,
        "pool",
        market,
        owner,
        MarginAccountKind.LENDING,
        (position,),
        int(weighted * WAD / debt),
        False,
        weighted < debt,
        "USD",
        None,
        None,
        None,
    )


def exact_sums(legs: list[Leg]) -> tuple[Fraction, Fraction]:
    """(weighted collateral, debt) of legs at their oracle values."""
    terms = [(leg.side, leg.terms) for leg in legs if leg.terms is not None]
    weighted = sum(
        (Fraction(t.oracle_value or 0) * Fraction(t.liquidation_threshold) for s, t in terms if s is Side.COLLATERAL), Fraction(0)
    )
    return weighted, sum((Fraction(t.oracle_value or 0) for s, t in terms if s is Side.DEBT), Fraction(0))


def as_portfolio(*accounts: MarginAccount) -> Portfolio:
    return Portfolio(tuple(AccountId(a.chain, a.owner) for a in accounts), (), accounts, ())


@given(st.lists(lending_accounts(), min_size=1, max_size=6))
def test_a_row_and_a_portfolio_have_the_same_health_both_ways(accounts: list[MarginAccount]) -> None:
    book = book_of([as_portfolio(account) for account in accounts], price_book())
    factors = book.health().factor
    for row, account in enumerate(accounts):
        weighted, debt = exact_sums(list(account.legs))
        assert factors[row] == pytest.approx(float(weighted / debt), rel=1e-9)
        back = portfolio_of(book, row)
        (returned,) = back.margin_accounts
        assert account.health_factor is not None and returned.health_factor is not None
        assert abs(returned.health_factor - account.health_factor) <= 1e-9 * account.health_factor + 2
        assert (returned.chain, returned.protocol, returned.market, returned.owner) == (
            account.chain,
            "pool",
            account.market,
            account.owner,
        )
        if abs(weighted - debt) > Fraction(1, 10**9) * debt:
            assert returned.liquidatable == account.liquidatable == bool(book.health().liquidatable[row])
        again = book_of([back], price_book())
        assert again.health().factor[0] == pytest.approx(factors[row], rel=1e-12)
        amounts = {(leg.asset, leg.side): leg.amount for leg in account.legs}
        for leg in returned.legs:
            assert abs(leg.amount - amounts[leg.asset, leg.side]) <= amounts[leg.asset, leg.side] * 2**-52


@given(seeds)
def test_the_order_of_accounts_does_not_matter(seed: int) -> None:
    book = random_book(seed, accounts=40)
    order = np.random.default_rng(seed + 1).permutation(book.size)
    mixed = permuted(book, order)
    assert np.array_equal(mixed.health().factor, book.health().factor[order])


@given(seeds)
def test_the_exact_margin_agrees_with_the_columns(seed: int) -> None:
    book = random_book(seed, accounts=12)
    health = book.health()
    for row in range(book.size):
        exact = book.exact_margin(row)
        assert float(exact) == pytest.approx(float(health.weighted[row] - health.debt[row]), abs=1e-9 * float(health.debt[row]))
        if not health.near_the_line[row]:
            assert (exact < 0) == bool(health.liquidatable[row])


def test_an_account_on_the_line_is_told_apart_by_exact_arithmetic() -> None:
    amount = 0.1 + 0.2  # a little above 0.3
    book = small_book([({"ETH": amount}, {"USD": 0.3}), ({"ETH": 0.3}, {"USD": 0.3})], {"ETH": 1.0, "USD": 1.0}, threshold=1.0)
    assert book.health().near_the_line.all()
    assert book.exact_margin(0) > 0
    assert book.exact_margin(1) == 0


def test_no_debt_is_infinite_health_and_unknown_is_not_calm() -> None:
    book = small_book([({"ETH": 1.0}, {}), ({"ETH": np.nan}, {"USD": 5.0}), ({"ETH": 1.0}, {"USD": np.nan})], {"ETH": 100.0, "USD": 1.0})
    health = book.health()
    assert health.factor[0] == np.inf
    assert health.unknown.tolist() == [False, True, True]
    for row in (1, 2):
        portfolio = portfolio_of(book, row)
        (account,) = portfolio.margin_accounts
        assert (account.health_factor, account.liquidatable, account.debt_free) == (None, None, False)
        assert "not known" in portfolio.gaps[0].why


def test_a_price_that_is_missing_makes_its_holders_unknown_unless_nothing_counts_on_it() -> None:
    prices = {"ETH": 100.0, "USD": 1.0, "XYZ": np.nan}
    wallets = [({"ETH": 1.0}, {"USD": 5.0}), ({"ETH": 1.0, "XYZ": 2.0}, {"USD": 5.0})]
    counted = small_book(wallets, prices)
    assert counted.health().unknown.tolist() == [False, True]
    uncounted = small_book(wallets, prices, threshold={"ETH": 0.8, "USD": 0.8, "XYZ": 0.0})
    assert uncounted.health().unknown.tolist() == [False, False]


def test_legs_without_an_oracle_value_stay_without_a_price() -> None:
    leg = Leg(WETH.asset, "WETH", 18, Side.COLLATERAL, 10**18, terms=MarginTerms(None, liquidation_threshold=Decimal("0.8")))
    owed = lending_leg(USDC, Side.DEBT, 10**9, Decimal(1))
    account = MarginAccount(
        ETHEREUM,
        "pool",
        "0x01",
        Address("0x" + "11" * 20),
        MarginAccountKind.LENDING,
        (Position(ETHEREUM, "pool", "0x01", Address("0x" + "11" * 20), (leg, owed)),),
        None,
        False,
        None,
        "USD",
        None,
        None,
        None,
    )
    book = book_of([as_portfolio(account)], price_book())
    assert book.health().unknown.all()
    (returned,) = portfolio_of(book, 0).margin_accounts
    assert returned.health_factor is None and returned.liquidatable is None and not returned.debt_free


def test_perpetual_accounts_are_named_as_left_out() -> None:
    perp = MarginAccount(
        ETHEREUM, "perps", "m", Address("0x" + "22" * 20), MarginAccountKind.PERP, (), None, True, False, "USD", None, None, None
    )
    owed = lending_leg(USDC, Side.DEBT, 10**9, Decimal(1))
    lending = replace(
        perp, kind=MarginAccountKind.LENDING, protocol="pool", positions=(Position(ETHEREUM, "pool", "m", perp.owner, (owed,)),)
    )
    book = book_of([as_portfolio(perp, lending)], price_book())
    assert book.size == 1
    assert [gap.protocol for gap in book.gaps] == ["perps"]


def test_oracles_follow_the_asset_that_prices_them() -> None:
    book = small_book([({"ETH": 1.0}, {"USD": 50.0})], {"ETH": 100.0, "USD": 1.0}, oracles={"ETH": 101.0})
    moved = book.oracle_prices(np.array([90.0, 1.0]))
    assert moved == pytest.approx([101.0 * 0.9, 1.0], rel=1e-15)
    pegged = replace(book, reserves=replace(book.reserves, priced_by=np.array([1, 1], dtype=np.int32)))
    assert pegged.oracle_prices(np.array([90.0, 1.0])) == pytest.approx([101.0, 1.0], rel=1e-15)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 1.2}, "liquidation threshold of ETH is 1.2; expected 0 to 1"),
        ({"bonus": -0.1}, "liquidation bonus of ETH is -0.1; expected 0 to 1"),
        ({"prices": {"ETH": -1.0, "USD": 1.0}}, "oracle price of ETH is -1; expected 0 to inf"),
        ({"wallets": [({"ETH": -2.0}, {})]}, "collateral amount of account 0 is -2; expected 0 or more"),
        ({"wallets": [({}, {"USD": np.inf})]}, "debt amount of account 0 is inf; expected 0 or more"),
        ({"wallets": []}, "the population is empty: no margin account"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change: dict[str, object], words: str) -> None:
    given_values: dict[str, object] = {"wallets": [({"ETH": 1.0}, {"USD": 1.0})], "prices": {"ETH": 100.0, "USD": 1.0}, **change}
    with pytest.raises(InputError, match=words):
        small_book(**given_values)  # type: ignore[arg-type]


def test_tables_and_legs_must_fit() -> None:
    book = random_book(1, accounts=5)
    with pytest.raises(InputError, match="belongs to another market"):
        replace(book, account_market=(book.account_market + 1) % 3)
    with pytest.raises(InputError, match="owners"):
        replace(book, owners=book.owners[:2] if book.owners is not None else None)
    with pytest.raises(InputError, match="prices"):
        replace(book, prices=book.prices[:-1])
    with pytest.raises(InputError, match="a reserve's asset is"):
        replace(book, reserves=replace(book.reserves, asset=book.reserves.asset + 99))
    with pytest.raises(InputError, match="twice"):
        Legs.build(np.array([0, 0]), np.array([1, 1]), np.array([1.0, 2.0]), 2)
    with pytest.raises(InputError, match="close factor"):
        LiquidationRule(close_factor=0.0)
    with pytest.raises(InputError, match="20-byte"):
        evm_owners(["0x1234"])


def test_one_row_costs_few_bytes() -> None:
    book: Book = random_book(7, accounts=20_000, assets=40, markets=5)
    legs = len(book.collateral) + len(book.debt)
    assert book.nbytes <= 12 * legs + 2 * book.size + 20_000
    assert book.owner(0) == "0x" + "00" * 19 + "01"
    assert book.markets[0].chain == ChainId("eip155:1")


@settings(max_examples=20)
@given(seeds)
def test_legs_of_an_account_are_its_row(seed: int) -> None:
    book = random_book(seed, accounts=15)
    dense = book.collateral.matrix(book.size).toarray()
    for row in range(book.size):
        reserves, places = book.legs_of(book.collateral, row)
        assert np.array_equal(np.flatnonzero(dense[row]), reserves)
        assert np.array_equal(dense[row][reserves], book.collateral.amounts[places])
