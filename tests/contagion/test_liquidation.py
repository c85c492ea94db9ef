"""Closed forms, the shadow health and concentration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.contagion.concentration import concentration, debt_concentration, lorenz
from aggregator.contagion.liquidation import (
    drop_to_liquidation,
    liquidate,
    loop_leverage,
    loop_limit,
    morpho_incentive,
    repay_to_reach,
    toxic_line,
    uniform_gain,
    uniform_price,
)
from aggregator.contagion.shadow import by_market, shadow
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors, number
from tests.contagion.books import random_book, seeds, small_book

EXACT = 1e-12


@needs_vectors
@pytest.mark.parametrize("name", ["liq-target-100-85-1", "liq-target-1000-790-1"])
def test_repayment_to_a_target(name: str) -> None:
    given_values, expected = case(name)
    collateral, debt = given_values["collateral"], given_values["debt"]
    threshold, bonus = given_values["liq_threshold"], given_values["bonus"]
    repay = repay_to_reach(given_values["target_hf"], collateral, debt, threshold, bonus)
    after = liquidate(collateral, debt, bonus, repay / debt)
    assert repay == pytest.approx(number(expected["repay"]), rel=EXACT)
    assert after.seized == pytest.approx(number(expected["seize"]), rel=EXACT)
    assert after.collateral == pytest.approx(number(expected["post_collateral"]), rel=EXACT)
    assert after.debt == pytest.approx(number(expected["post_debt"]), rel=EXACT)
    assert after.collateral * threshold / after.debt == pytest.approx(number(expected["post_hf"]), rel=EXACT)


@needs_vectors
def test_the_toxic_line() -> None:
    given_values, expected = case("liq-toxic")
    collateral, debt = given_values["collateral"], given_values["debt"]
    assert toxic_line(given_values["bonus"]) == pytest.approx(number(expected["toxic_frontier"]), rel=EXACT)
    assert (debt / collateral > toxic_line(given_values["bonus"])) == expected["toxic"]
    after = liquidate(collateral, debt, given_values["bonus"], given_values["close_factor"])
    assert (after.collateral, after.debt) == pytest.approx((expected["post_collateral"], expected["post_debt"]), rel=EXACT)
    assert after.debt / after.collateral == pytest.approx(expected["post_ltv"], rel=EXACT)


@needs_vectors
def test_bad_debt() -> None:
    given_values, expected = case("liq-bad-debt")
    after = liquidate(given_values["collateral"], given_values["debt"], given_values["bonus"], given_values["close_factor"])
    assert after.repaid == pytest.approx(number(expected["max_repay"]), rel=EXACT)
    assert after.bad_debt == pytest.approx(number(expected["bad_debt"]), rel=EXACT)


@needs_vectors
def test_morpho_incentive() -> None:
    given_values, expected = case("morpho-lif")
    assert morpho_incentive(np.array(given_values["lltv"])) == pytest.approx(expected["lif"], rel=EXACT)
    assert [morpho_incentive(float(lltv)) for lltv in given_values["lltv"]] == pytest.approx(expected["lif"], rel=EXACT)


@needs_vectors
@pytest.mark.parametrize("name", ["cascade-uniform-0.1", "cascade-uniform-0.4"])
def test_evenly_spread_liquidation_prices(name: str) -> None:
    given_values, expected = case(name)
    low, high = given_values["liq_price_uniform_on"]
    impact = given_values["impact_if_all_sold"]
    assert uniform_price(given_values["shock"], low, high, impact) == pytest.approx(number(expected["price"]), rel=EXACT)
    gain = uniform_gain(low, high, impact)
    assert gain == pytest.approx(number(expected["loop_gain"]), rel=EXACT)
    if gain < 1:
        assert 1 / (1 - gain) == pytest.approx(expected["amplification_of_marginal_shock"], rel=EXACT)
    else:
        assert "infinite" in expected["amplification_of_marginal_shock"]


def test_an_even_spread_that_is_not_reached_does_not_move() -> None:
    assert uniform_price(0.01, 0.6, 0.95, 0.4) == 0.99


@needs_vectors
@pytest.mark.parametrize("name", ["loop-0.9-5", "loop-0.93-10"])
def test_loops(name: str) -> None:
    given_values, expected = case(name)
    leverage = loop_leverage(given_values["ltv"], given_values["loops"])
    assert leverage == pytest.approx(number(expected["leverage"]), rel=EXACT)
    assert leverage * given_values["equity"] - given_values["equity"] == pytest.approx(number(expected["debt"]), rel=EXACT)
    assert loop_limit(given_values["ltv"]) == pytest.approx(number(expected["limit"]), rel=EXACT)


@needs_vectors
def test_distance_of_a_loop() -> None:
    given_values, expected = case("loop-distance")
    drop = drop_to_liquidation(given_values["ltv_now"], given_values["liq_threshold"])
    assert drop == pytest.approx(expected["max_collateral_drop_before_liquidation"], rel=EXACT)
    assert loop_limit(given_values["ltv_now"]) == pytest.approx(expected["leverage"], rel=EXACT)
    assert drop * loop_limit(given_values["ltv_now"]) == pytest.approx(expected["equity_loss_at_liquidation"], rel=EXACT)


@needs_vectors
def test_published_loan_liquidates_below_its_price() -> None:
    given_values, expected = case("egorov-fraxlend-2023")
    price = given_values["debt_frax"] / (given_values["max_ltv"] * given_values["collateral_crv"])
    assert price == pytest.approx(expected["liq_price_now"], rel=EXACT)


@needs_vectors
def test_losses_of_an_exposure_are_linear_in_the_shock() -> None:
    given_values, expected = case("rseth-linear-mtm")
    for percent, loss in given_values["published_mtm_loss_musd"].items():
        assert loss == pytest.approx(expected["exposure_musd"] * float(percent) / 100, rel=expected["max_rel_dev"])


@given(st.floats(10, 1e6), st.floats(0.1, 1.5), st.floats(0.0, 0.3), st.floats(0.01, 1.0))
def test_a_liquidation_conserves_value(collateral: float, ltv: float, bonus: float, close_factor: float) -> None:
    debt = collateral * ltv
    after = liquidate(collateral, debt, bonus, close_factor)
    assert after.collateral + after.seized == pytest.approx(collateral, rel=1e-12)
    assert after.debt + after.repaid + after.bad_debt == pytest.approx(debt, rel=1e-12)
    assert after.seized == pytest.approx(after.repaid * (1 + bonus), rel=1e-12)


def test_what_cannot_be_reached_is_refused() -> None:
    with pytest.raises(InputError, match="no repayment reaches health 1"):
        repay_to_reach(1.0, 100.0, 98.0, 0.96, 0.05)
    with pytest.raises(InputError, match="loops without end"):
        loop_leverage(1.0, 3)


def test_blind_bad_debt_is_what_the_oracle_hides() -> None:
    """An oracle stuck at 1 while the market pays 0.3; the second account is liquidatable anyway, the third is safe at both."""
    wallets = [({"X": 100.0}, {"USD": 80.0}), ({"X": 100.0}, {"USD": 95.0}), ({"X": 100.0}, {"USD": 10.0})]
    book = small_book(wallets, {"X": 0.3, "USD": 1.0}, threshold=0.9, bonus=0.05, oracles={"X": 1.0})
    result = shadow(book)
    assert result.blind.tolist() == [True, False, False]
    assert result.blind_bad_debt == pytest.approx([80.0 - 30.0 / 1.05, 0.0, 0.0])
    assert result.oracle_gap == pytest.approx([1.0 / 0.3 - 1.0, 0.0])
    assert result.total_blind_bad_debt == pytest.approx(80.0 - 30.0 / 1.05)
    assert by_market(book, result.blind_bad_debt) == pytest.approx([80.0 - 30.0 / 1.05])
    deeper = shadow(book, net_asset_value=np.array([0.1, 1.0]))
    assert deeper.blind_bad_debt[0] == pytest.approx(80.0 - 10.0 / 1.05)
    unknown = shadow(book, market_prices=np.array([np.nan, 1.0]))
    assert unknown.total_blind_bad_debt is None and np.isnan(unknown.blind_bad_debt).all()
    backed = shadow(book, net_asset_value=np.array([0.3, np.nan]), market_prices=np.array([np.nan, np.nan]))
    assert np.isnan(backed.blind_bad_debt).sum() == 0  # the debt is valued at its oracle, the collateral at its backing
    with pytest.raises(InputError, match="1 net asset values"):
        shadow(book, net_asset_value=np.ones(1))


@given(seeds)
def test_nothing_is_blind_where_oracle_and_market_agree(seed: int) -> None:
    book = random_book(seed, accounts=40)
    result = shadow(book)
    assert not result.blind.any()
    assert np.array_equal(result.oracle.weighted, result.shadow.weighted)


def test_concentration_of_equal_and_single_holders() -> None:
    equal = concentration(np.full(25, 4.0))
    assert equal.herfindahl == pytest.approx(1 / 25) and equal.effective_number == pytest.approx(25)
    assert equal.gini == pytest.approx(0.0, abs=1e-12) and equal.top_shares[9] == pytest.approx(0.4)
    single = concentration(np.array([0.0, 7.0, np.nan]))
    assert (single.herfindahl, single.holders, single.top_shares) == (1.0, 1, (1.0,))
    assert concentration(np.zeros(3)).holders == 0
    assert concentration(np.array([1.0, 1.0, 2.0]), np.array([0, 0, 1])).herfindahl == 0.5
    assert lorenz(np.array([3.0, 1.0])).tolist() == [0.0, 0.25, 1.0]
    with pytest.raises(InputError, match="below zero"):
        concentration(np.array([-1.0]))


def test_an_owner_with_two_accounts_counts_once() -> None:
    wallets = [({"ETH": 1.0}, {"USD": 50.0})] * 2
    book = small_book(wallets, {"ETH": 100.0, "USD": 1.0})
    assert debt_concentration(book).herfindahl == 0.5
    assert book.owners is not None
    book.owners[1] = book.owners[0]
    assert debt_concentration(book).herfindahl == 1.0


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=30))
def test_gini_is_twice_the_area_above_the_lorenz_curve(amounts: list[float]) -> None:
    held = np.array([amount for amount in amounts if amount > 1e-3])
    if len(held):
        area = np.trapezoid(lorenz(held), dx=1.0 / len(held))
        assert concentration(held).gini == pytest.approx(1.0 - 2.0 * float(area), abs=1e-9)
