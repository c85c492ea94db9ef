"""Legs are looked through to factors and discounts, and nothing counts twice."""

from __future__ import annotations

from typing import Any

import pytest

from aggregator.model.token import Token, TokenKind
from aggregator.risk.classes import FactorClass, factor_class
from aggregator.risk.exposure import Exposures, Lot, expose
from aggregator.risk.valuation import value_portfolio
from tests.builders import (
    ARBITRUM,
    ETHEREUM,
    LINK,
    OUSG,
    PAIR,
    SPAM,
    STETH,
    USDC,
    VAULT,
    WBTC,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    concentrated,
    leg,
    on,
    portfolio,
    supplied,
    token,
    wallet,
)


def exposed(*arguments: Any, prices: Any = None) -> Exposures:
    one = portfolio(*arguments)
    return expose(one, value_portfolio(one, prices or book()))


def test_a_wrapped_staked_token_is_its_base_behind_one_discount() -> None:
    seen = exposed((), wallet(leg(WSTETH, 1), leg(STETH, 1)))
    assert {(lot.factor, lot.bases) for lot in seen.lots} == {("ETH", ("lst:stETH",))}
    assert seen.delta() == {"ETH": pytest.approx(2400 + 1998)}


def test_a_wrapped_token_that_cannot_be_looked_through_still_has_its_discount() -> None:
    bare = on(ARBITRUM, WSTETH)
    seen = exposed((), wallet(leg(bare, 1, components=()), chain=ARBITRUM))
    assert seen.lots == (Lot("ETH", ("lst:wstETH",), 0.005, ("bridge:eip155:42161", "issuer:wstETH")),)


def test_a_vault_is_its_asset_with_a_premium_for_the_contract() -> None:
    seen = exposed((), wallet(leg(VAULT, 100)))
    assert seen.lots == (Lot("USDC", (), 0.01, ("issuer:USDC", "issuer:vUSDC")),)
    assert seen.classes == {"USDC": FactorClass.STABLE}


def test_a_pair_is_half_of_each_token() -> None:
    assert exposed((), wallet(leg(PAIR, 2))).delta() == {"ETH": pytest.approx(4000), "USDC": pytest.approx(4000)}


def test_a_range_has_the_delta_of_its_amounts_and_its_fees() -> None:
    position = concentrated(WETH, USDC, 1500, 2500, 2000, 10**15, fees=(10**18, 7_000_000))
    seen = exposed((), [position])
    amounts = [one.amount + one.fees for one in position.legs]
    assert seen.delta() == {"ETH": pytest.approx(amounts[0] / 1e18 * 2000, rel=1e-6), "USDC": pytest.approx(amounts[1] / 1e6, rel=1e-6)}
    assert sum(holding.value for holding in seen.holdings) == pytest.approx(sum(seen.delta().values()))


def test_a_range_with_an_unpriced_token_keeps_the_priced_one() -> None:
    position = concentrated(WETH, SPAM, 1500, 2500, 2000, 10**20)
    assert [holding.value for holding in exposed((), [position]).holdings] == [pytest.approx(position.legs[0].amount / 1e18 * 2000)]


def test_debt_is_a_negative_exposure_of_its_own_group() -> None:
    seen = exposed([account(supplied(WSTETH, 10), borrowed(WETH, 5))], wallet(leg(WETH, 1)))
    assert seen.delta(0) == {"ETH": pytest.approx(24_000 - 10_000)}
    assert seen.delta(1) == {"ETH": pytest.approx(2000)}
    assert seen.groups[0].indebted and not seen.groups[1].indebted


def test_free_holdings_are_one_group_a_chain() -> None:
    there = on(ARBITRUM, WETH)
    seen = exposed((), [*wallet(leg(WETH, 1), leg(USDC, 5)), *wallet(leg(there, 2), chain=ARBITRUM)])
    assert [(group.chain, group.account) for group in seen.groups] == [(ETHEREUM, None), (ARBITRUM, None)] or [
        group.chain for group in seen.groups
    ] == sorted([ETHEREUM, ARBITRUM])


def test_what_cannot_be_withdrawn_is_known() -> None:
    half = leg(VAULT, 100, redeemable=50 * 10**18)
    assert [holding.redeemable for holding in exposed((), wallet(half)).holdings] == [0.5]


def test_unpriced_assets_are_not_exposures() -> None:
    assert exposed((), wallet(leg(SPAM, 10**9))).holdings == ()


@pytest.mark.parametrize(
    ("factor", "kinds", "expected"),
    [
        ("BTC", [TokenKind.WRAPPED_BTC], FactorClass.BTC),
        ("ETH", [TokenKind.VOLATILE], FactorClass.ETH),
        ("DAI", [TokenKind.NATIVE], FactorClass.STABLE),
        ("USDC", [TokenKind.VAULT, TokenKind.STABLE], FactorClass.STABLE),
        ("POL", [TokenKind.NATIVE, TokenKind.LST], FactorClass.VOLATILE),
        ("OUSG", [TokenKind.RWA_TREASURY], FactorClass.RWA_TREASURY),
        ("XAU", [TokenKind.RWA_GOLD], FactorClass.GOLD),
        ("eip155:1/erc20:0x1", [TokenKind.UNKNOWN], FactorClass.UNKNOWN),
        ("VAULTED", [TokenKind.VAULT], FactorClass.UNKNOWN),
        ("odd", [TokenKind.STABLE, TokenKind.VOLATILE], FactorClass.VOLATILE),
        ("nobody", [], FactorClass.UNKNOWN),
    ],
)
def test_classes_of_factors(factor: str, kinds: list[TokenKind], expected: FactorClass) -> None:
    followers: list[Token] = [token(f"T{number}", kind, factor) for number, kind in enumerate(kinds)]
    assert factor_class(factor, followers) is expected
    assert factor_class(factor, followers[::-1]) is expected


def test_a_stranger_cannot_name_itself_into_a_listed_class() -> None:
    fake = token("USDC", TokenKind.UNKNOWN, "eip155:1/erc20:0xfake", number=99)
    one = portfolio((), wallet(leg(fake, 1000)), tokens=[fake])
    seen = expose(one, value_portfolio(one, {**book(), fake.asset: book()[USDC.asset]}))
    assert list(seen.classes.values()) == [FactorClass.UNKNOWN]


def test_held_counts_what_is_owned_only() -> None:
    seen = exposed([account(supplied(WBTC, 1), borrowed(LINK, 100))], wallet(leg(OUSG, 10)))
    assert seen.held() == {"BTC": pytest.approx(60_000), "LINK": 0.0, "OUSG": pytest.approx(1100)}
    assert seen.gross()["LINK"] == pytest.approx(1500)
