"""What arrives where, and the laws of netting that transfers limit, on random portfolios and ways."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import Assessment, assess
from aggregator.risk.policy import Link, Policy
from aggregator.risk.requirement import Requirement
from aggregator.risk.transfer import arrival, capacities, pooled_shares, reach
from tests.builders import ARBITRUM, BASE, ETHEREUM, USDC, WETH, account, book, borrowed, leg, on, portfolio, supplied, wallet
from tests.risk.strategies import QUICK, portfolios

LAWS = settings(max_examples=40, deadline=None)
PLACES = (str(ETHEREUM), str(ARBITRUM))
AT_ONCE = replace(QUICK, transfer_lag_hours=0.0)

ways = st.builds(
    Link,
    lag_hours=st.floats(0, 200),
    capacity_usd=st.sampled_from((0.0, 500.0, 20_000.0, inf)),
    success=st.floats(0, 1),
    cost=st.floats(0, 0.5),
)


def judged(one: Portfolio, policy: Policy) -> Assessment:
    return assess(one, book(), (), policy)


def required(one: Portfolio, policy: Policy) -> Requirement:
    needed = judged(one, policy).requirement
    assert needed is not None
    return needed


def linked(there: Link | None, back: Link | None) -> Policy:
    pairs = {(PLACES[0], PLACES[1]): there, (PLACES[1], PLACES[0]): back}
    return replace(QUICK, transfer_lag_hours=0.0, links={pair: link for pair, link in pairs.items() if link is not None})


def close(first: float, second: float) -> bool:
    return first == pytest.approx(second, rel=1e-9, abs=1e-6)


@LAWS
@given(portfolios())
def test_free_and_instant_ways_make_it_pooled(one: Portfolio) -> None:
    needed = required(one, AT_ONCE)
    assert close(needed.transfer_aware, needed.pooled)


@LAWS
@given(portfolios(), ways, ways)
def test_without_a_keeper_every_group_stands_alone(one: Portfolio, there: Link, back: Link) -> None:
    for policy in (QUICK, linked(there, back)):
        needed = required(one, replace(policy, keeper=False))
        assert needed.transfer_aware == needed.isolated


@LAWS
@given(portfolios())
def test_ways_that_never_arrive_are_no_ways(one: Portfolio) -> None:
    slow, none = required(one, replace(QUICK, transfer_lag_hours=inf)), required(one, linked(None, None))
    assert close(slow.transfer_aware, none.transfer_aware)
    if len({*(account.chain for account in one.margin_accounts), *(held.chain for held in one.positions)}) == len(
        one.margin_accounts
    ) + len({held.chain for held in one.positions}):
        assert close(slow.transfer_aware, slow.isolated)  # one group a place


@LAWS
@given(portfolios(), ways, ways, st.floats(0, 1), st.floats(0, 1))
def test_the_levels_are_ordered_and_better_ways_never_need_more(
    one: Portfolio, there: Link, back: Link, certainty: float, hurry: float
) -> None:
    worse, none, one_way = required(one, linked(there, back)), required(one, linked(None, None)), required(one, linked(there, None))
    better = required(
        one,
        linked(
            replace(there, success=there.success + certainty * (1 - there.success), lag_hours=there.lag_hours * hurry),
            replace(back, capacity_usd=back.capacity_usd * 2 + 100.0, cost=back.cost * hurry),
        ),
    )
    for needed in (worse, none, one_way, better):
        assert needed.isolated >= needed.transfer_aware >= needed.pooled >= 0.0
        assert close(needed.isolated, worse.isolated) and close(needed.pooled, worse.pooled)
        assert max(loss.loss for loss in needed.scenarios) <= needed.transfer_aware * (1 + 1e-9) + 1e-6
        assert all(loss.loss >= loss.pooled_loss - 1e-6 for loss in needed.scenarios)
    slack = 1e-6 + 1e-9 * none.isolated
    assert better.transfer_aware <= worse.transfer_aware + slack
    assert worse.transfer_aware <= one_way.transfer_aware + slack
    assert one_way.transfer_aware <= none.transfer_aware + slack


@LAWS
@given(portfolios(), ways, ways)
def test_trapped_collateral_lies_between_nothing_and_all_and_falls_with_better_ways(one: Portfolio, there: Link, back: Link) -> None:
    free = sum(float(leg.value.value or 0) for own in judged(one, QUICK).positions for leg in own.legs)
    free += sum(
        float(leg.value.value or 0)
        for account, own in zip(one.margin_accounts, judged(one, QUICK).accounts, strict=True)
        if not any(leg.side.value == "debt" for leg in account.legs)
        for position in own.positions
        for leg in position.legs
    )
    trapped = [judged(one, policy).trapped_collateral_usd for policy in (AT_ONCE, linked(there, back), linked(None, None))]
    assert all(figure is not None and 0.0 <= figure <= free * (1 + 1e-9) + 1e-6 for figure in trapped)
    first, second, third = (figure or 0.0 for figure in trapped)
    assert first <= second + 1e-6 and second <= third + 1e-6


def test_two_silos_by_hand() -> None:
    """A short that a rise hurts, coins elsewhere that gain as much: what does not arrive in time, fails or costs is not offset."""
    apart = portfolio([account(supplied(USDC, 50_000), borrowed(WETH, 10))], wallet(leg(on(ARBITRUM, WETH), 10), chain=ARBITRUM))
    rise = 20_000 * (np.exp(3.02 * 0.044) - 1)

    def alone(link: Link | None) -> float:
        links = {} if link is None else {(PLACES[1], PLACES[0]): link, (PLACES[0], PLACES[1]): Link()}
        policy = replace(QUICK, transfer_lag_hours=0.0, failure_floor=1.0, links=links)
        return next(loss.loss for loss in required(apart, policy).scenarios if loss.name == "ETH-up") / float(rise)

    assert alone(None) == pytest.approx(1.0)
    assert alone(Link()) == pytest.approx(0.0, abs=1e-9)
    assert alone(Link(lag_hours=12.0)) == pytest.approx(1 - reach(12.0))
    assert alone(Link(success=0.9, cost=0.01)) == pytest.approx(1 - 0.9 * 0.99)
    # 6,100 is what the short needs by itself in its own worst scenario, the break of its collateral: a fifth of it can pass
    assert alone(Link(capacity_usd=1_220.0)) == pytest.approx(1 - 0.2, rel=1e-6)


def test_a_chain_that_is_cut_off_gives_and_gets_nothing() -> None:
    cut = replace(QUICK, cut_off=frozenset({ARBITRUM}))
    assert arrival(PLACES, cut).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert capacities(PLACES, cut).tolist() == [[inf, 0.0], [0.0, inf]]


def test_arrival_is_reach_times_success_times_what_the_way_leaves() -> None:
    policy = replace(QUICK, transfer_lag_hours=2.0, links={(PLACES[1], PLACES[0]): Link(1.0, 5.0, 0.5, 0.1)})
    assert arrival(PLACES, policy) == pytest.approx(np.array([[1.0, reach(3.0) * 0.45], [0.0, 1.0]]))
    assert capacities(PLACES, policy).tolist() == [[inf, 5.0], [0.0, inf]]


def test_shares_weigh_places_by_what_is_free_there() -> None:
    places = (*PLACES, str(BASE))
    policy = replace(
        QUICK, transfer_lag_hours=0.0, links={(PLACES[1], PLACES[0]): Link(success=0.5), (places[2], PLACES[0]): Link(success=1.0)}
    )
    indebted = np.array([True, False, False])
    shares = pooled_shares(places, indebted, np.array([0.0, 300.0, 100.0]), np.array([10.0, 0.0, 0.0]), policy)
    assert shares.tolist() == pytest.approx([0.75 * 0.5 + 0.25, 0.0, 0.0])
    assert pooled_shares(places[:1], indebted[:1], np.ones(1), np.ones(1), policy).tolist() == [0.0]


@pytest.mark.parametrize(
    "bad", [{"lag_hours": -1.0}, {"capacity_usd": -1.0}, {"success": 1.1}, {"cost": -0.1}, {"lag_hours": float("nan")}]
)
def test_a_way_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        Link(**bad)
