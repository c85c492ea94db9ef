"""Morpho's integer arithmetic against positions that Morpho's own library evaluated, and its laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.morpho_blue import maths
from adapters.morpho_blue.maths import MarketState
from aggregator.model.units import UINT256_MAX, WAD
from tests.adapters.adaptive_curve import borrow_rate

VECTORS = Path(__file__).parents[2] / "../shared/DATA/vectors/protocols/morpho_blue_positions.json"
NOW = 1_700_000_000

amounts = st.integers(0, 10**30)
rates = st.integers(0, 2 * WAD // 31_536_000)


@st.composite
def states(draw: st.DrawFn) -> MarketState:
    supply = draw(st.integers(0, 10**30))
    borrow = draw(st.integers(0, supply))
    shares = st.integers(0, 10**36)
    return MarketState(supply, draw(shares), borrow, draw(shares), NOW, draw(st.integers(0, WAD // 4)))


def cases() -> list[dict[str, Any]]:
    return list(json.loads(VECTORS.read_text())["cases"]) if VECTORS.is_file() else []


@pytest.mark.data
@pytest.mark.skipif(not VECTORS.is_file(), reason="the recorded positions are not beside this tree")
def test_recorded_positions_to_the_unit() -> None:
    checked = 0
    for case in cases():
        market, position, expected = case["input"]["market"], case["input"]["position"], case["expected"]
        timestamp = int(case["input"]["timestamp"])
        state = MarketState(
            total_supply_assets=int(market["totalSupplyAssets"]),
            total_supply_shares=int(market["totalSupplyShares"]),
            total_borrow_assets=int(market["totalBorrowAssets"]),
            total_borrow_shares=int(market["totalBorrowShares"]),
            last_update=int(market["lastUpdate"]),
            fee=int(market["fee"]),
        )
        at_target = market["rateAtTarget"]
        # a market without a rate at target has no rate model: it never accrues
        rate = 0 if at_target is None else borrow_rate(state, int(at_target), timestamp)
        now, _ = maths.accrued(state, rate, timestamp)
        assert now.total_supply_assets == int(expected["accrued"]["totalSupplyAssets"])
        assert now.total_borrow_assets == int(expected["accrued"]["totalBorrowAssets"])
        assert now.total_supply_shares == int(expected["accrued"]["totalSupplyShares"])
        supplied = maths.to_assets_down(int(position["supplyShares"]), now.total_supply_assets, now.total_supply_shares)
        borrowed = maths.to_assets_up(int(position["borrowShares"]), now.total_borrow_assets, now.total_borrow_shares)
        assert (supplied, borrowed) == (int(expected["supplyAssets"]), int(expected["borrowAssets"]))
        value = maths.collateral_value(int(position["collateral"]), int(market["price"]))
        maximum = maths.maximum_borrow(value, int(market["params"]["lltv"]))
        assert (value, maximum) == (int(expected["collateralValue"]), int(expected["maxBorrowAssets"]))
        assert (borrowed <= maximum) is expected["isHealthy"]
        factor = maths.health_factor(maximum, borrowed) if borrowed else UINT256_MAX
        assert factor == int(expected["healthFactor"])
        checked += 1
    assert checked >= 250


@given(states(), rates, st.integers(0, 10 * 31_536_000))
def test_interest_moves_from_borrowers_to_suppliers_and_nothing_is_lost(state: MarketState, rate: int, seconds: int) -> None:
    after, fee_shares = maths.accrued(state, rate, NOW + seconds)
    interest = after.total_borrow_assets - state.total_borrow_assets
    assert interest >= 0
    assert after.total_supply_assets - state.total_supply_assets == interest
    assert after.liquidity == state.liquidity
    assert after.total_supply_shares - state.total_supply_shares == fee_shares
    assert after.last_update == NOW + seconds
    # the fee's shares are never worth more than the fee
    worth = maths.to_assets_down(fee_shares, after.total_supply_assets, after.total_supply_shares)
    assert worth <= interest * state.fee // WAD


@given(states(), rates, st.integers(0, 31_536_000), st.integers(0, 31_536_000))
def test_more_time_never_makes_a_debt_smaller(state: MarketState, rate: int, first: int, more: int) -> None:
    early, _ = maths.accrued(state, rate, NOW + first)
    late, _ = maths.accrued(state, rate, NOW + first + more)
    assert late.total_borrow_assets >= early.total_borrow_assets


@given(amounts, states())
def test_rounding_is_against_the_user(shares: int, state: MarketState) -> None:
    down = maths.to_assets_down(shares, state.total_supply_assets, state.total_supply_shares)
    up = maths.to_assets_up(shares, state.total_supply_assets, state.total_supply_shares)
    assert 0 <= up - down <= 1
    assert up >= 1 or shares == 0
    assert maths.to_shares_down(down, state.total_supply_assets, state.total_supply_shares) <= shares


@given(st.integers(1, 10**30), st.integers(0, 10**30))
def test_a_health_factor_below_one_is_exactly_a_liquidatable_account(borrowed: int, maximum: int) -> None:
    assert (maths.health_factor(maximum, borrowed) < WAD) == (borrowed > maximum)


@pytest.mark.parametrize(
    ("lltv", "factor"),
    # min(1.15, 1 / (1 - 0.3 * (1 - LLTV))), rounded down at the 18th decimal
    [
        (385, 1_150_000_000_000_000_000),
        (625, 1_126_760_563_380_281_690),
        (770, 1_074_113_856_068_743_286),
        (860, 1_043_841_336_116_910_229),
        (945, 1_016_776_817_488_561_260),
        (980, 1_006_036_217_303_822_937),
    ],
)
def test_liquidation_incentive_of_the_enabled_ltvs(lltv: int, factor: int) -> None:
    assert maths.liquidation_incentive_factor(lltv * 10**15) == factor


def test_arithmetic_that_would_revert_is_stuck_and_not_a_number() -> None:
    with pytest.raises(maths.Stuck):
        maths.collateral_value(10**40, 10**40)
    with pytest.raises(maths.Stuck):
        maths.accrued(MarketState(10**30, 1, 10**30, 1, NOW, 0), UINT256_MAX // 10**6, NOW + 10**6)
    with pytest.raises(maths.Stuck):
        maths.accrued(MarketState(2**128 - 1, 1, 2**128 - 1, 1, NOW, 0), WAD, NOW + 10)


def test_a_market_without_debt_or_time_needs_no_rate() -> None:
    idle = MarketState(10**6, 10**12, 0, 0, NOW, 0)
    assert not idle.needs_rate(NOW + 1000)
    assert maths.accrued(idle, UINT256_MAX, NOW + 1000)[0].total_supply_assets == 10**6
    assert not MarketState(10, 10, 10, 10, NOW, 0).needs_rate(NOW)
