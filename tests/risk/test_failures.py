"""Jump to default: what a failing issuer, bridge, protocol or oracle takes along, on every path of the look-through."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from aggregator.model.portfolio import Portfolio
from aggregator.model.token import TokenKind
from aggregator.risk.assessment import assess
from aggregator.risk.exposure import expose
from aggregator.risk.failures import ISSUERS, OTHERS, DependencyKind
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.valuation import value_portfolio
from tests.builders import (
    ARBITRUM,
    DAI,
    LINK,
    PAIR,
    SPAM,
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
    wallet,
)
from tests.risk.strategies import QUICK, portfolios

PROTOCOL = 1 - OTHERS[DependencyKind.PROTOCOL].recovery
BRIDGE = 1 - OTHERS[DependencyKind.BRIDGE].recovery


def lost(one: Portfolio, policy: Policy = QUICK) -> dict[str, float]:
    needed = assess(one, book(), (), policy).requirement
    assert needed is not None
    return {loss.name.removesuffix("-fails"): loss.loss for loss in needed.scenarios if loss.name.endswith("-fails")}


def test_plain_coins_at_home_depend_on_nobody() -> None:
    assert lost(portfolio((), wallet(leg(WETH, 10), leg(LINK, 5)))) == {}


def test_every_issuer_on_the_way_down_counts_once() -> None:
    found = lost(portfolio((), wallet(leg(VAULT, 1000), leg(USDC, 50))))
    assert found["issuer:vUSDC"] == pytest.approx(1050 * (1 - ISSUERS[TokenKind.VAULT].recovery))
    # the coin inside the vault and the coin beside it
    assert found["issuer:USDC"] == pytest.approx(1100 * (1 - ISSUERS[TokenKind.STABLE].recovery))
    assert set(found) == {"issuer:vUSDC", "issuer:USDC"}


def test_a_pair_fails_with_what_one_of_its_tokens_is_worth() -> None:
    found = lost(portfolio((), wallet(leg(PAIR, 1))))
    whole = float(assess(portfolio((), wallet(leg(PAIR, 1))), book(), (), QUICK).collateral_usd)
    recovery = ISSUERS[TokenKind.STABLE].recovery
    assert found["issuer:USDC"] == pytest.approx(whole * (1 - recovery**0.5))


def test_a_bridge_takes_everything_that_came_over_it_and_nothing_else() -> None:
    there = wallet(leg(on(ARBITRUM, WETH), 10), leg(on(ARBITRUM, WBTC), 1), leg(on(ARBITRUM, USDC), 500), chain=ARBITRUM)
    found = lost(portfolio((), [*there, *wallet(leg(WETH, 3))]))
    assert found["bridge:eip155:42161"] == pytest.approx(BRIDGE * (20_000 + 60_000))  # USDC is minted there by its issuer
    assert found["issuer:WBTC"] == pytest.approx(60_000 * (1 - ISSUERS[TokenKind.WRAPPED_BTC].recovery))


def test_a_protocol_takes_what_it_holds_and_leaves_what_is_owed() -> None:
    held = account(supplied(WETH, 10, "0.8", bonus="0"), borrowed(USDC, 1_000))
    found = lost(portfolio([held], wallet(leg(WETH, 1))))
    assert found["protocol:aave-v3"] == pytest.approx(PROTOCOL * 20_000)
    position = lost(portfolio((), [concentrated(WETH, USDC, 1800, 2200, 2000, 10**16, (0, 0))]))
    assert "protocol:uniswap-v3" in position


def test_a_failing_issuer_lightens_a_debt_in_its_coin() -> None:
    held = account(supplied(USDC, 10_000, "0.9", bonus="0"), borrowed(USDC, 8_000))
    recovery = ISSUERS[TokenKind.STABLE].recovery
    assert lost(portfolio([held]))["issuer:USDC"] == pytest.approx((1 - recovery) * 2_000)


def test_collateral_and_rescue_are_stressed_by_the_same_failure() -> None:
    """The issuer of the collateral fails: its reserve elsewhere is worth less as well, and the account loses its bonus."""
    held = account(supplied(WSTETH, 10, "0.8", bonus="0.1"), borrowed(USDC, 16_000))
    reserve = wallet(leg(WSTETH, 5))
    recovery = ISSUERS[TokenKind.LST].recovery
    need = 16_000 - 0.8 * 24_000 * recovery
    cost = 0.1 * min(16_000, 24_000 * recovery / 1.1)
    unsaved = cost * max(1 - 12_000 * recovery / need, 0.0)
    assert unsaved == 0.0 and lost(portfolio([held]))["issuer:wstETH"] == pytest.approx(24_000 * (1 - recovery) + cost)
    assert lost(portfolio([held], reserve))["issuer:wstETH"] == pytest.approx(36_000 * (1 - recovery) + unsaved)


def test_a_failing_oracle_liquidates_whatever_the_health_and_nothing_rescues() -> None:
    safe = account(supplied(WETH, 100, "0.8", bonus="0.05"), borrowed(USDC, 1_000))
    other = account(supplied(WETH, 1, "0.8", bonus="0.05"), borrowed(DAI, 100), protocol="morpho-blue")
    found = lost(portfolio([safe, other], wallet(leg(USDC, 50_000))))
    assert found["oracle:aave-v3@eip155:1"] == pytest.approx(50.0)
    assert found["oracle:morpho-blue@eip155:1"] == pytest.approx(5.0)
    assert "oracle:aave-v3@eip155:1" not in lost(portfolio([account(supplied(WETH, 1))]))


def test_an_unlisted_token_can_be_worth_nothing() -> None:
    priced = {**book(), SPAM.asset: replace(book()[WETH.asset], asset=SPAM.asset)}
    needed = assess(portfolio((), wallet(leg(SPAM, 1))), priced, (), QUICK).requirement
    assert needed is not None and needed.worst.loss == pytest.approx(float(priced[SPAM.asset].value or 0))


def test_what_is_rarer_than_the_floor_does_not_count() -> None:
    held = portfolio([account(supplied(WSTETH, 10), borrowed(USDC, 10_000))])
    assert set(lost(held, replace(QUICK, failure_floor=0.015))) == {"oracle:aave-v3@eip155:1"}
    assert lost(held, replace(QUICK, failure_floor=1.0)) == {}


def test_the_worst_scenario_can_be_a_failure_and_is_named() -> None:
    needed = assess(portfolio([account(supplied(USDC, 50_000))]), book(), (), DEFAULT).requirement
    assert needed is not None and needed.worst.name == "protocol:aave-v3-fails"
    assert needed.transfer_aware == pytest.approx(PROTOCOL * 50_000) == needed.worst.loss


@settings(max_examples=40, deadline=None)
@given(portfolios())
def test_failures_only_ever_add_to_the_requirement(one: Portfolio) -> None:
    with_them, without = (assess(one, book(), (), replace(QUICK, failure_floor=floor)).requirement for floor in (0.0, 1.0))
    assert with_them is not None and without is not None
    assert with_them.isolated >= without.isolated - 1e-6 and with_them.pooled >= without.pooled - 1e-6
    exposures = expose(one, value_portfolio(one, book()))
    assert {name for lot in exposures.lots for name in lot.depends} <= set(exposures.failures)
