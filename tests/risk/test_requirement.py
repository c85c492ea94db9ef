"""The requirement: what nets, what does not, who can be rescued, and expected shortfall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import assess
from aggregator.risk.expected_shortfall import expected_shortfall
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.requirement import Requirement
from aggregator.risk.scenario_losses import unsaved
from aggregator.risk.transfer import reach
from tests.builders import (
    ARBITRUM,
    DAI,
    ETHEREUM,
    USDC,
    VAULT,
    WBTC,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    leg,
    on,
    portfolio,
    price,
    supplied,
    wallet,
)
from tests.risk.strategies import QUICK

SHORT = (supplied(USDC, 50_000), borrowed(WETH, 10))


MARKET = replace(QUICK, failure_floor=1.0)
"""nothing fails: prices alone"""


def required(one: Portfolio, policy: Policy = QUICK) -> Requirement:
    needed = assess(one, book(), (), policy).requirement
    assert needed is not None
    return needed


def loss(needed: Requirement, name: str) -> float:
    return next(one.loss for one in needed.scenarios if one.name == name)


def test_a_single_coin_loses_what_the_worst_day_on_record_took() -> None:
    needed = required(portfolio((), wallet(leg(WETH, 10))))
    assert needed.worst.name == "crisis-2020-03-12"
    assert needed.transfer_aware == pytest.approx(0.48 * 20_000)
    assert needed.isolated == needed.transfer_aware == needed.pooled


def test_long_only_diversification_earns_nothing() -> None:
    both = required(portfolio((), wallet(leg(WETH, 10), leg(WBTC, 0.5))))
    parts = [required(portfolio((), wallet(one))) for one in (leg(WETH, 10), leg(WBTC, 0.5))]
    assert both.transfer_aware == pytest.approx(sum(part.transfer_aware for part in parts), rel=0.02)


def test_a_hedge_on_the_same_chain_nets() -> None:
    hedged = required(portfolio([account(*SHORT)], wallet(leg(WETH, 10))), MARKET)
    assert hedged.isolated > 2 * hedged.transfer_aware
    # what is left is the break of the stablecoin that backs the short
    assert hedged.worst.name == "USDC-break" and hedged.transfer_aware == pytest.approx(0.122 * 50_000)


def test_the_same_hedge_on_another_chain_earns_credit_only_as_far_as_transfers_reach() -> None:
    there = on(ARBITRUM, WETH)
    apart = required(portfolio([account(*SHORT)], wallet(leg(there, 10), chain=ARBITRUM)), MARKET)
    together = required(portfolio([account(*SHORT)], wallet(leg(WETH, 10))), MARKET)
    assert apart.pooled == pytest.approx(together.pooled)
    assert loss(together, "ETH-up") == pytest.approx(0.0, abs=1e-6)
    # of the short's loss the part that transfers cannot serve in time stays
    alone = 1.0 - reach(24.0)
    assert loss(apart, "ETH-up") == pytest.approx(alone * 20_000 * (np.exp(3.02 * 0.044) - 1))
    assert loss(apart, "ETH-down") == pytest.approx(alone * 20_000 * (1 - np.exp(-3.02 * 0.044)))
    assert apart.isolated == pytest.approx(together.isolated)


def test_collateral_and_debt_of_one_factor_are_stressed_together() -> None:
    loop = required(portfolio([account(supplied(WSTETH, 10, "0.93"), borrowed(WETH, 9))]))
    assert loss(loop, "all-down") < 0.15 * 24_000 - 0.12 * 18_000
    # a discount of 6.5 % on 24,000 after the fall, and no more
    assert loss(loop, "lst:stETH-discount") == pytest.approx(0.065 * 24_000, rel=0.01)


def test_prices_are_stressed_from_their_bounds() -> None:
    wide = {**book(), WETH.asset: price(WETH, "2000", width="0.05")}
    needed = assess(portfolio((), wallet(leg(WETH, 1))), wide, (), QUICK).requirement
    assert needed is not None
    assert loss(needed, "unchanged") == pytest.approx(100)
    owed = assess(portfolio([account(supplied(USDC, 50_000), borrowed(WETH, 1))]), wide, (), QUICK).requirement
    assert owed is not None and loss(owed, "unchanged") == pytest.approx(100)


RISKY = account(supplied(WETH, 10, "0.8", bonus="0.1"), borrowed(USDC, 14_000), chain=ARBITRUM)


def rescued(*positions: object, **policy: float) -> Requirement:
    return required(portfolio([RISKY], positions), replace(QUICK, **policy))  # type: ignore[arg-type]


def test_a_breach_costs_the_bonus_unless_collateral_can_arrive() -> None:
    alone = rescued()
    at_hand = rescued(*wallet(leg(on(ARBITRUM, USDC), 20_000), chain=ARBITRUM))
    elsewhere = rescued(*wallet(leg(USDC, 10_000), chain=ETHEREUM))
    # down 48 %: 10,400 of collateral against 14,000 of debt; the bonus eats a tenth of what is seized
    assert loss(alone, "crisis-2020-03-12") == pytest.approx(9600 - 140 + 10_400 * 0.1 / 1.1)
    assert loss(at_hand, "crisis-2020-03-12") == pytest.approx(9600 - 140 + 200)  # USDC fell by a cent that day, on both sides
    assert loss(at_hand, "crisis-2020-03-12") < loss(elsewhere, "crisis-2020-03-12") < loss(alone, "crisis-2020-03-12") + 100


def test_rescue_across_chains_shrinks_with_the_lag() -> None:
    losses = [
        loss(rescued(*wallet(leg(USDC, 4000)), transfer_lag_hours=lag), "crisis-2020-03-12") for lag in (0.0, 1.0, 12.0, 24.0, 72.0, 168.0)
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_what_cannot_be_withdrawn_rescues_nobody() -> None:
    vault = on(ARBITRUM, VAULT)
    stuck, free = (rescued(*wallet(leg(vault, 20_000, redeemable=units, components=()), chain=ARBITRUM)) for units in (0, 20_000 * 10**18))
    assert loss(stuck, "crisis-2020-03-12") > loss(free, "crisis-2020-03-12")


def test_one_reserve_is_not_counted_for_two_chains() -> None:
    other = account(supplied(WETH, 10, "0.8", bonus="0.1"), borrowed(USDC, 14_000), market="prime")
    reserve = wallet(leg(USDC, 6_000))
    both = required(portfolio([RISKY, other], reserve), replace(QUICK, transfer_lag_hours=0.0))
    # a reserve for one of the two needs cannot do better than if everything were pooled
    assert all(one.loss >= one.pooled_loss - 1e-9 for one in both.scenarios)


def test_trapped_collateral_is_what_cannot_arrive() -> None:
    def trapped(*positions: object) -> float | None:
        return assess(portfolio([RISKY], positions), book(), (), QUICK).trapped_collateral_usd  # type: ignore[arg-type]

    assert trapped(*wallet(leg(on(ARBITRUM, USDC), 1000), chain=ARBITRUM)) == 0.0
    assert trapped(*wallet(leg(USDC, 1000))) == pytest.approx(1000 * (1 - reach(24.0)))
    assert trapped(*wallet(leg(on(ARBITRUM, VAULT), 100, redeemable=0), chain=ARBITRUM)) == pytest.approx(105)
    assert assess(portfolio((), wallet(leg(VAULT, 100, redeemable=0))), book(), (), QUICK).trapped_collateral_usd == 0.0


def test_reach_falls_from_all_to_nothing() -> None:
    assert [round(reach(hours), 3) for hours in (0, 1, 3, 12, 24, 72, 168, 1000)] == [1.0, 0.987, 0.916, 0.641, 0.388, 0.11, 0.0, 0.0]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from((0.9, 0.975, 0.99)))
def test_expected_shortfall_lies_between_mean_and_maximum(losses: list[float], level: float) -> None:
    values = np.array(losses)
    shortfall = expected_shortfall(values, level)
    assert values.mean() - 1e-6 <= shortfall <= values.max() + 1e-6


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=60), st.sampled_from((0.9, 0.975, 0.99)))
def test_expected_shortfall_is_subadditive(pairs: list[tuple[float, float]], level: float) -> None:
    first, second = np.array(pairs).T
    assert expected_shortfall(first + second, level) <= expected_shortfall(first, level) + expected_shortfall(second, level) + 1e-6


def test_expected_shortfall_counts_a_part_of_the_last_draw() -> None:
    # the worst 1.5 of 100: one whole and half of the next, over 1.5
    losses = np.concatenate([[100.0, 40.0], np.zeros(98)])
    assert expected_shortfall(losses, 0.985) == pytest.approx((100 + 0.5 * 40) / 1.5)
    assert expected_shortfall(np.zeros(0), 0.99) == 0.0


@given(
    st.lists(st.tuples(st.just(0.0) | st.floats(0.01, 1e5), st.floats(0, 1e4)), min_size=1, max_size=5),
    st.floats(0, 2e5),
    st.floats(0, 1e5),
)
def test_more_resources_never_cost_more_and_enough_save_all(accounts: list[tuple[float, float]], resources: float, more: float) -> None:
    needs, costs = (np.array(column)[:, None] for column in zip(*accounts, strict=True))
    costs = np.where(needs > 0, costs, 0.0)
    less, enough = (float(unsaved(needs, costs, np.array([amount]))[0]) for amount in (resources, resources + more))
    assert -1e-6 <= enough <= less + 1e-6 <= float(costs.sum()) + 2e-6
    assert float(unsaved(needs, costs, np.array([float(needs.sum())]))[0]) == pytest.approx(0.0, abs=1e-6)


def test_the_margin_ratio_is_equity_over_the_requirement() -> None:
    result = assess(portfolio((), wallet(leg(WETH, 10))), book(), (), QUICK)
    assert result.equity_usd == 20_000
    assert result.margin_ratio is not None
    assert float(result.margin_ratio) == pytest.approx(1 / 0.48)


def test_equity_can_be_negative_and_the_ratio_with_it() -> None:
    result = assess(portfolio([account(supplied(WETH, 1), borrowed(USDC, 5000))]), book(), (), QUICK)
    assert result.equity_usd == -3000
    assert result.margin_ratio is not None and result.margin_ratio < 0


def test_shortfall_sets_the_requirement_where_no_named_day_is_worse() -> None:
    """Long one stablecoin, short another: the named breaks are one-sided, and with huge volatility the draws are worse."""
    from tests.builders import walk

    wild = walk("DAI", 0.5, 90, start=1.0)
    needed = assess(portfolio((), wallet(leg(DAI, 1000))), book(), (wild,), DEFAULT).requirement
    assert needed is not None
    assert needed.expected_shortfall_99 >= needed.expected_shortfall_975 > 0
    assert needed.transfer_aware == pytest.approx(max(needed.expected_shortfall_99, needed.scenarios[0].loss), rel=1e-12)
    assert needed.worst.loss == pytest.approx(needed.transfer_aware, rel=1e-12) and needed.worst.name.startswith("expected-shortfall")
