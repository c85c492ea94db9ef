"""What a liquidation takes and who gets it, and how long an account lives at today's rates."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.position import Leg
from aggregator.risk.accrual import Growing, Lifetime, lifetime
from aggregator.risk.liquidation_loss import Liquidated, LiquidationCosts, liquidation_loss
from aggregator.risk.prepared import prepare
from aggregator.risk.shock import shock_of
from aggregator.risk.what_if import WhatIf
from tests.builders import ARBITRUM, USDC, WETH, WSTETH, account, book, borrowed, portfolio, supplied
from tests.risk.strategies import QUICK

FREE = LiquidationCosts(gas_usd={}, other_gas_usd=0.0, builder_share={}, other_builder_share=0.0)
ONE = Liquidated("eip155:42161", 1000.0, 820.0, 1000.0, 820.0, threshold=0.8, bonus=0.05, close_factor=0.5, impact=0.0)


def test_half_is_repaid_in_a_mild_breach_and_the_owner_loses_the_bonus_on_it() -> None:
    loss = liquidation_loss(ONE, FREE)
    # health .9756: half of 820 is repaid, 430.5 seized; .8·569.5 / 410 is healthy again
    assert loss.steps == 1 and loss.repaid_usd == 410.0 and loss.seized_usd == pytest.approx(430.5)
    assert loss.owner_usd == pytest.approx(20.5) == loss.liquidator_usd
    assert loss.health_after == pytest.approx(0.8 * 569.5 / 410) and loss.debt_left_usd == 410.0 and loss.bad_debt_usd == 0.0


def test_the_whole_debt_is_repaid_below_the_close_line() -> None:
    loss = liquidation_loss(replace(ONE, debt=850.0, debt_usd=850.0), FREE)
    assert loss.steps == 1 and loss.repaid_usd == 850.0 and loss.seized_usd == pytest.approx(892.5)
    assert loss.health_after is None and loss.debt_left_usd == 0.0
    at_the_line = replace(ONE, debt=0.8 * 1000 / 0.95, debt_usd=0.8 * 1000 / 0.95)
    assert liquidation_loss(at_the_line, FREE).repaid_usd == pytest.approx(at_the_line.debt)


def test_steps_follow_until_one_heals() -> None:
    """A bonus of 4 % on a threshold of 93 % heals slowly: .96875, .97, .973, .98, .992, 1.017."""
    tight = replace(ONE, debt=960.0, debt_usd=960.0, threshold=0.93, bonus=0.04)
    loss = liquidation_loss(tight, FREE)
    assert loss.steps == 5 and loss.health_after == pytest.approx(0.93 * (1000 - 930 * 1.04) / 30)
    assert loss.repaid_usd == pytest.approx(930.0)


def test_collateral_that_runs_out_leaves_bad_debt() -> None:
    loss = liquidation_loss(replace(ONE, debt=1200.0, debt_usd=1200.0), FREE)
    assert loss.repaid_usd == pytest.approx(1000 / 1.05) and loss.seized_usd == pytest.approx(1000)
    assert loss.bad_debt_usd == loss.debt_left_usd == pytest.approx(1200 - 1000 / 1.05) and loss.health_after == pytest.approx(
        0.0, abs=1e-9
    )


def test_slippage_gas_and_builders_come_out_of_the_bonus() -> None:
    costs = LiquidationCosts(gas_usd={"eip155:1": 4.0}, builder_share={"eip155:1": 0.75})
    loss = liquidation_loss(replace(ONE, chain="eip155:1", impact=0.01), costs)
    slippage = 430.5 * 0.01 * 0.4305**0.5
    assert loss.slippage_usd == pytest.approx(slippage) and loss.gas_usd == 4.0
    assert loss.builders_usd == pytest.approx(0.75 * (20.5 - slippage - 4.0))
    assert loss.liquidator_usd == pytest.approx(0.25 * (20.5 - slippage - 4.0)) and loss.pays
    elsewhere = liquidation_loss(replace(ONE, impact=0.01), costs)
    assert elsewhere.gas_usd == costs.other_gas_usd and elsewhere.builders_usd == 0.0


def test_a_small_account_does_not_pay_on_a_dear_chain() -> None:
    tiny = replace(ONE, chain="eip155:1", collateral=10.0, debt=8.2, collateral_usd=10.0, debt_usd=8.2)
    loss = liquidation_loss(tiny, LiquidationCosts())
    assert not loss.pays and loss.liquidator_usd < 0 and loss.builders_usd == 0.0
    assert loss.owner_usd == pytest.approx(0.205)


def test_what_is_seized_at_a_stale_oracle_is_worth_more_or_less_at_the_market() -> None:
    fallen = liquidation_loss(replace(ONE, collateral_usd=900.0), FREE)
    assert fallen.seized_usd == pytest.approx(0.4305 * 900) and fallen.owner_usd == pytest.approx(0.4305 * 900 - 410)
    assert not fallen.pays, "a liquidator would pay 410 for what is worth 387"


def test_through_the_whole_chain_of_code() -> None:
    one = account(supplied(WETH, 10), supplied(WSTETH, 5, bonus="0.08"), borrowed(USDC, 15_000))
    state = WhatIf(prepare(portfolio([one]), book(), (), QUICK)).after(shock_of(["ETH=-50%"])).accounts[0]
    loss = state.loss
    assert loss is not None and state.debt_usd == 15_000
    # 10,000 of WETH at 5 % and 6,000 of wstETH at 8 %: 6.125 %, all of it taken
    bonus = (10_000 * 0.05 + 6_000 * 0.08) / 16_000
    assert loss.seized_usd == pytest.approx(15_000 * (1 + bonus)) and loss.repaid_usd == pytest.approx(15_000)
    assert loss.slippage_usd > 0
    arbitrum = account(supplied(WETH, 10), borrowed(USDC, 15_000), chain=ARBITRUM)
    there = WhatIf(prepare(portfolio([arbitrum]), book(), (), QUICK)).after(shock_of(["ETH=-10%"])).accounts[0].loss
    assert there is not None and there.gas_usd == pytest.approx(LiquidationCosts().other_gas_usd * there.steps)


@settings(max_examples=200, deadline=None)
@given(st.floats(0.3, 0.97), st.floats(0.0, 0.15), st.floats(0.01, 0.999), st.sampled_from((0.5, 1.0)))
def test_liquidation_ends_in_health_or_in_nothing(threshold: float, bonus: float, health: float, close: float) -> None:
    debt = threshold * 1000.0 / health
    loss = liquidation_loss(Liquidated("x", 1000.0, debt, 1000.0, debt, threshold, bonus, close, 0.0), FREE)
    assert 0 < loss.repaid_usd <= debt * (1 + 1e-12) and loss.seized_usd <= 1000.0 * (1 + 1e-12)
    assert loss.seized_usd == pytest.approx(loss.repaid_usd * (1 + bonus))
    healed = loss.health_after is None or loss.health_after >= 1.0 - 1e-9
    empty = loss.seized_usd == pytest.approx(1000.0)
    assert healed or empty
    assert (loss.bad_debt_usd > 0) is (not healed)


def test_a_debt_grows_into_its_collateral() -> None:
    found = lifetime([Growing(16_000.0, 0.0, "WETH"), Growing(-10_000.0, 0.05, "USDC")])
    assert found.days == pytest.approx(365 * np.log(1.6) / 0.05, rel=1e-9) and not found.why
    slower = lifetime([Growing(16_000.0, 0.02, "WETH"), Growing(-10_000.0, 0.05, "USDC")])
    assert slower.days == pytest.approx(365 * np.log(1.6) / 0.03, rel=1e-9)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([Growing(100.0, None, "WETH")], Lifetime(None, "nothing is owed")),
        ([Growing(99.0, 0.5, "WETH"), Growing(-100.0, None, "USDC")], Lifetime(0.0)),
        ([Growing(100.0, None, "WETH"), Growing(-99.0, None, "USDC")], Lifetime(None, "the borrow rate of USDC was not read")),
    ],
)
def test_lives_that_need_no_rate_or_lack_one(terms: list[Growing], expected: Lifetime) -> None:
    assert lifetime(terms) == expected


def test_collateral_that_earns_more_lives_on_and_an_unread_supply_rate_counts_as_none() -> None:
    assert lifetime([Growing(16_000.0, 0.08, "WETH"), Growing(-10_000.0, 0.05, "USDC")]).days is None
    assert lifetime([Growing(16_000.0, None, "WETH"), Growing(-10_000.0, 0.05, "USDC")]) == lifetime(
        [Growing(16_000.0, 0.0, "WETH"), Growing(-10_000.0, 0.05, "USDC")]
    )
    huge = lifetime([Growing(16_000.0, 0.0, "WETH"), Growing(-10_000.0, 900.0, "USDC")])
    assert huge.days == pytest.approx(365 * np.log(1.6) / 900, rel=1e-6)


@given(st.floats(0.001, 2.0), st.floats(0.0, 2.0), st.floats(1.001, 5.0))
def test_a_higher_borrow_rate_never_lives_longer(rate: float, more: float, health: float) -> None:
    lives = [lifetime([Growing(health, 0.0, "A"), Growing(-1.0, one, "B")]).days for one in (rate, rate + more)]
    assert lives[1] is not None or lives[0] is None
    if lives[0] is not None and lives[1] is not None:
        assert lives[1] <= lives[0] * (1 + 1e-9)


def test_rate_shocks_move_debts_only_and_add_to_what_was_read() -> None:
    def rated(one: Leg, rate: str) -> Leg:
        assert one.terms is not None
        return replace(one, terms=replace(one.terms, yearly_rate=Decimal(rate)))

    one = account(rated(supplied(WETH, 10), "0.01"), rated(borrowed(USDC, 10_000), "0.05"))
    view = WhatIf(prepare(portfolio([one]), book(), (), QUICK))

    def days(*shocks: str) -> float | None:
        return view.after(shock_of(shocks)).accounts[0].lifetime.days

    assert days() == pytest.approx(365 * np.log(1.6) / 0.04)
    assert days("USDC:rate=+10%") == pytest.approx(365 * np.log(1.6) / 0.14)
    assert days("ETH:rate=+10%") == days()
    assert days("USDC:rate=-4%") is None
    assert days("ETH=-30%", "USDC:rate=+10%") == pytest.approx(365 * np.log(1.12) / 0.14)
    assert days("ETH=-30%", "oracle:aave-v3=frozen") == days()
