"""Liquidation probabilities against closed forms and independent simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import assess
from aggregator.risk.classes import FACTORS, FactorClass
from aggregator.risk.outlook import SUNDAY, week_pattern
from aggregator.risk.policy import Policy
from aggregator.risk.probability import HORIZONS, LiquidationProbability
from aggregator.risk.rays import tail_probability
from aggregator.risk.score import POINTS, score
from tests.builders import DAI, USDC, WBTC, WETH, WSTETH, account, book, borrowed, portfolio, supplied

FINE = Policy(draws=8192)
TOUCH = {"1h": 1.0, "1d": 1.685, "7d": 1.805}


def deviation(kind: FactorClass, days: float) -> float:
    """Of the log return from the hour of the blocks in the made-up snapshots, from the class alone."""
    ahead = SUNDAY + 1_700_000_000 // 3600 + np.arange(round(24 * days))
    pattern = float(np.mean(week_pattern()[ahead % 168]))
    return float(FACTORS[kind].daily_volatility * np.sqrt(1.6 * days * pattern))


def market(distance: float, sigma: float, name: str) -> float:
    """Student-t of unit variance below −distance, as often as a path touches it."""
    return min(1.0, TOUCH[name] * float(stats.t.sf(distance / sigma * 2**0.5, 4)))


def chances(one: Portfolio, policy: Policy = FINE) -> LiquidationProbability:
    result = assess(one, book(), (), policy).probability
    assert result is not None
    return result


@pytest.mark.parametrize("debt", [15_000, 13_000, 10_000, 5_000])
@pytest.mark.parametrize(("name", "days"), list(HORIZONS.items()))
def test_one_coin_against_dollars_is_a_student_t_barrier(debt: int, name: str, days: float) -> None:
    found = chances(portfolio([account(supplied(WETH, 10), borrowed(USDC, debt))])).any_account[name]
    fall = market(np.log(16_000 / debt), deviation(FactorClass.ETH, days), name)
    # the dollar itself can rise: a break upwards of at least 16,000/debt − 1
    jump = (1 - np.exp(-0.2 * days / 365)) * np.exp(-(16_000 / debt - 1) / 0.01)
    assert found == pytest.approx(1 - (1 - fall) * (1 - jump), rel=0.03, abs=1e-9)


def test_tails_far_below_one_in_the_number_of_draws_are_resolved() -> None:
    found = chances(portfolio([account(supplied(WETH, 10), borrowed(USDC, 1600))]), Policy(draws=512)).any_account["1d"]
    assert found == pytest.approx(market(np.log(10), deviation(FactorClass.ETH, 1.0), "1d"), rel=0.1)
    assert found < 1e-5


def test_several_accounts_agree_with_a_plain_simulation() -> None:
    one = portfolio(
        [
            account(supplied(WETH, 10), borrowed(USDC, 14_500), market="a"),
            account(supplied(WBTC, 1), borrowed(USDC, 44_000), market="b"),
            account(supplied(USDC, 26_500), borrowed(WETH, 10), market="c"),
        ]
    )
    found = chances(one)
    generator = np.random.default_rng(5)
    count = 400_000
    lower = np.linalg.cholesky(np.array([[1, 0.9], [0.9, 1]]))
    shocks = generator.standard_normal((count, 2)) @ lower.T * np.array([deviation(FactorClass.ETH, 1.0), deviation(FactorClass.BTC, 1.0)])
    scale = np.sqrt(2 / generator.chisquare(4, count))[:, None]
    eth, btc = np.exp(scale * shocks).T
    breaches = np.array([16_000 * eth < 14_500, 48_000 * btc < 44_000, 20_000 * eth > 26_500 * 0.8])
    for number in range(3):
        assert found.accounts[number]["1d"] == pytest.approx(TOUCH["1d"] * float(breaches[number].mean()), rel=0.05)
    assert found.any_account["1d"] == pytest.approx(TOUCH["1d"] * float(breaches.any(axis=0).mean()), rel=0.05)
    assert found.driver == int(np.argmax(breaches.mean(axis=1)))


def test_at_least_one_lies_between_the_largest_and_the_sum() -> None:
    accounts = [account(supplied(WETH, 10), borrowed(USDC, debt), market=str(debt)) for debt in (15_000, 14_000, 13_000)]
    found = chances(portfolio(accounts))
    for name in HORIZONS:
        own = [one[name] for one in found.accounts.values()]
        assert max(own) - 1e-12 <= found.any_account[name] <= min(1.0, sum(own)) + 1e-12
        # all three follow one price, so the riskiest decides
        assert found.any_account[name] == pytest.approx(max(own), rel=1e-6)


def test_longer_is_riskier() -> None:
    found = chances(portfolio([account(supplied(WETH, 10), borrowed(USDC, 12_000))]))
    assert 0 < found.any_account["1h"] < found.any_account["1d"] < found.any_account["7d"]


def test_a_staking_loop_is_endangered_by_the_discount_and_not_by_the_market() -> None:
    found = chances(portfolio([account(supplied(WSTETH, 10, "0.95"), borrowed(WETH, 10.8))])).any_account["1d"]
    needed = 1 - 21_600 / 22_800
    jump = (1 - np.exp(-0.5 / 365)) * np.exp(-needed / 0.02)
    assert found == pytest.approx(jump, rel=0.2)


def test_a_stable_pair_is_endangered_by_breaks() -> None:
    found = chances(portfolio([account(supplied(USDC, 1000, "0.95"), borrowed(DAI, 900))])).any_account["1d"]
    fall, rise = 1 - 900 / 950, 950 / 900 - 1
    expected = (1 - np.exp(-0.2 / 365)) * (np.exp(-fall / 0.03) + np.exp(-rise / 0.01))
    assert found == pytest.approx(expected, rel=0.05)


def test_what_the_protocol_calls_liquidatable_is_certain() -> None:
    from dataclasses import replace

    healthy = account(supplied(WETH, 10), borrowed(USDC, 1000))
    said = replace(healthy, liquidatable=True)
    assert chances(portfolio([said])).any_account == dict.fromkeys(HORIZONS, 1.0)


def test_owing_nothing_is_no_risk() -> None:
    found = chances(portfolio([account(supplied(WETH, 10))]))
    assert found.any_account == dict.fromkeys(HORIZONS, 0.0) and found.driver is None


@given(st.floats(0.001, 1e6))
def test_the_tail_law_is_the_one_of_the_student_scale(scale: float) -> None:
    assert float(tail_probability(np.array([scale]))[0]) == pytest.approx(float(stats.chi2.cdf(2 / scale**2, 4)), rel=1e-6, abs=1e-300)


def test_the_tail_law_at_its_ends() -> None:
    assert tail_probability(np.array([0.0, np.inf])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("chance", "points"), [(1.0, 0), (0.1, 40), (0.01, 60), (0.001, 80), (0.0001, 95), (1e-6, 100), (0.0, 100)])
def test_the_published_points_of_the_score(chance: float, points: float) -> None:
    assert score(chance) == pytest.approx(points)


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_the_score_falls_with_the_probability(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= score(high) <= score(low) <= 100.0


def test_the_score_refuses_what_is_no_probability() -> None:
    for odd in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="probability"):
            score(odd)
    assert list(POINTS) == sorted(POINTS)
