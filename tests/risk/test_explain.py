"""Every figure taken apart: the parts sum, and each says what sets it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import Assessment, assess_prepared
from aggregator.risk.explain import LIQUIDATION, Explanation, explain
from aggregator.risk.policy import Policy
from aggregator.risk.prepared import prepare
from tests.builders import ARBITRUM, SPAM, USDC, WBTC, WETH, account, book, borrowed, leg, on, portfolio, supplied, walk, wallet
from tests.risk.strategies import QUICK, portfolios
from tests.risk.test_venue_accounts import accounts
from tests.risk.venue_accounts import at_venues, option, perp, venue

LAWS = settings(max_examples=25, deadline=None)
HISTORY = (walk("ETH", 0.03, 200), walk("BTC", 0.025, 200, start=60_000.0, seed=8))


def taken_apart(one: Portfolio, policy: Policy = QUICK) -> tuple[Assessment, Explanation]:
    ready = prepare(one, book(), HISTORY, policy)
    own = assess_prepared(ready)
    found = explain(ready, own)
    assert found is not None and own.requirement is not None
    return own, found


def sums_hold(own: Assessment, found: Explanation) -> None:
    needed = own.requirement
    assert needed is not None

    def same(parts: float, whole: float) -> bool:
        return parts == pytest.approx(whole, rel=1e-9, abs=1e-6)

    assert same(sum(part.usd for part in found.isolated), needed.isolated)
    assert same(sum(part.usd for part in found.transfer_aware), needed.transfer_aware)
    assert same(found.pooled.usd, needed.pooled)
    assert same(sum(one.usd for one in found.contributions), needed.transfer_aware)
    assert same(sum(found.by_group().values()), needed.transfer_aware)
    if found.left_out:
        assert same(sum(one.usd for one in found.left_out) + found.joint, needed.transfer_aware)
    for name in own.probability.any_account if own.probability is not None else ():
        assert same(sum(one[name] for one in found.probability.values()), own.probability.any_account[name] if own.probability else 0.0)


@LAWS
@given(portfolios(), accounts, st.sampled_from((0.0, 24.0, 200.0)))
def test_every_decomposition_sums(one: Portfolio, several: list[object], lag: float) -> None:
    sums_hold(*taken_apart(at_venues(one, *several), replace(QUICK, transfer_lag_hours=lag)))  # type: ignore[arg-type]


@LAWS
@given(portfolios())
def test_it_sums_without_a_keeper_and_without_failures(one: Portfolio) -> None:
    sums_hold(*taken_apart(one, replace(QUICK, keeper=False)))
    sums_hold(*taken_apart(one, replace(QUICK, failure_floor=1.0)))


@LAWS
@given(portfolios())
def test_haircuts_in_dollars_sum_to_what_is_taken_off(one: Portfolio) -> None:
    own, found = taken_apart(at_venues(one, venue(perp(1))))
    assert sum(found.haircuts.values()) == pytest.approx(float(own.collateral_usd - own.collateral_after_haircuts_usd), rel=1e-6, abs=1e-3)
    assert all(usd >= 0 for usd in found.haircuts.values())


def test_each_level_names_its_scenario() -> None:
    short = account(supplied(USDC, 50_000), borrowed(WETH, 10))
    _, found = taken_apart(portfolio([short], wallet(leg(on(ARBITRUM, WETH), 10), chain=ARBITRUM)), replace(QUICK, failure_floor=1.0))
    assert found.isolated[1].name == "free on eip155:42161" and found.isolated[1].scenario == "crisis-2020-03-12"
    assert [part.name for part in found.transfer_aware] == ["eip155:1", "eip155:42161", "what transfers join"]
    assert found.pooled.scenario == "USDC-break"


def test_a_hedge_contributes_less_than_nothing() -> None:
    _, found = taken_apart(
        portfolio([account(supplied(USDC, 50_000), borrowed(WETH, 5))], wallet(leg(WETH, 10))), replace(QUICK, failure_floor=1.0)
    )
    hedge = next(one for one in found.contributions if one.group == 0 and one.what == "WETH")
    coins = next(one for one in found.contributions if one.group == 1)
    assert hedge.usd < 0 < coins.usd and hedge.usd == pytest.approx(-coins.usd / 2)
    # without the hedge more is needed
    assert found.left_out[0].usd < found.left_out[1].usd


def test_a_liquidation_is_a_contribution_of_its_account() -> None:
    _, found = taken_apart(portfolio([account(supplied(WETH, 10, bonus="0.1"), borrowed(USDC, 14_000))]), replace(QUICK, failure_floor=1.0))
    (liquidation,) = [one for one in found.contributions if one.kind == LIQUIDATION]
    assert liquidation.usd == pytest.approx(10_400 * 0.1 / 1.1) and liquidation.what == found.names[0]


def test_option_books_and_perpetuals_are_named() -> None:
    _, found = taken_apart(at_venues(portfolio((), wallet(leg(WBTC, 1))), venue(option("call", 2_400, -10, 60), perp(-3), name="derive")))
    assert {"ETH options", "ETH perpetual"} <= {one.what for one in found.contributions}


def test_what_coverage_withholds_is_not_explained() -> None:
    owing = portfolio([account(supplied(WETH, 1), replace(borrowed(USDC, 5), asset=SPAM.asset))])
    ready = prepare(owing, book(), (), QUICK)
    assert explain(ready, assess_prepared(ready)) is None


def test_the_outlook_of_an_account() -> None:
    """At the line 100 of debt stand against 125 of collateral: half is closed at a bonus of 5 %, on a rollup for a few cents."""
    held = account(
        supplied(on(ARBITRUM, WETH), 10, "0.8", bonus="0.05", usd="2000"), borrowed(on(ARBITRUM, USDC), 10_000, usd="1"), chain=ARBITRUM
    )
    own, _ = taken_apart(portfolio([held]))
    outlook = own.accounts[0].outlook
    assert outlook.loss is not None and outlook.loss.steps >= 1
    assert outlook.loss.owner_usd == pytest.approx(0.05 * outlook.loss.repaid_usd)
    assert outlook.lifetime.days is None and "borrow rate of USDC" in outlook.lifetime.why
