"""Actions on a portfolio, and the cheapest one that restores a health: exact to the raw unit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Side
from aggregator.risk.acting import HEDGES, Acted, act, listed, resized
from aggregator.risk.action import Action, ActionKind, Place, parse_action
from aggregator.risk.policy import Policy
from aggregator.risk.prepared import prepare
from aggregator.risk.remedy import Remedy, RemedyCosts, Restoration, restore
from aggregator.risk.shock import Shock, shock_of
from aggregator.risk.transfer import reach
from aggregator.risk.what_if import WhatIf
from tests.builders import (
    ARBITRUM,
    BASE,
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
    raw,
    supplied,
    wallet,
)
from tests.risk.strategies import QUICK, margin_account, portfolios

CORE = account(supplied(WETH, 10), borrowed(USDC, 12_000))


def did(one: Portfolio, *texts: str) -> Acted:
    return act(one, book(), [parse_action(text) for text in texts], listed(one.tokens))


def look(one: Portfolio, policy: Policy = QUICK) -> WhatIf:
    return WhatIf(prepare(one, book(), (), policy), known=frozenset({"ETH"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("repay:aave-v3:USDC=1500", Action(ActionKind.REPAY, "USDC", Decimal(1500), Place("aave-v3"))),
        ("repay:aave-v3@eip155:1:USDC=all", Action(ActionKind.REPAY, "USDC", None, Place("aave-v3", ETHEREUM))),
        ("add:aave-v3#0xAB:WETH=1", Action(ActionKind.ADD, "WETH", Decimal(1), Place("aave-v3", owner="0xAB"))),
        ("add:aave-v3@eip155:1/core:WETH=0.5", Action(ActionKind.ADD, "WETH", Decimal("0.5"), Place("aave-v3", ETHEREUM, "core"))),
        ("move:USDC:eip155:1/eip155:8453=5", Action(ActionKind.MOVE, "USDC", Decimal(5), None, ETHEREUM, BASE)),
        ("hedge:ETH=-2", Action(ActionKind.HEDGE, "ETH", Decimal(-2))),
        ("hedge:ETH=+0.5", Action(ActionKind.HEDGE, "ETH", Decimal("0.5"))),
    ],
)
def test_every_form_is_read_and_read_back(text: str, expected: Action) -> None:
    assert parse_action(text) == expected
    assert parse_action(expected.text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "repay",
        "sell:ETH=1",
        "repay:USDC=5",
        "repay:aave-v3:USDC",
        "repay:aave-v3:USDC=",
        "repay:aave-v3:USDC=-5",
        "repay:aave-v3:USDC=0",
        "repay:aave-v3:USDC=nan",
        "add:aave-v3@atlantis:WETH=1",
        "move:USDC=5",
        "move:USDC:eip155:1=5",
        "move:USDC:eip155:1/eip155:1=5",
        "hedge:ETH=all",
        "hedge:ETH=0",
        "hedge:=1",
    ],
)
def test_nonsense_is_one_clear_line(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_action(text)
    assert "\n" not in str(refused.value) and len(str(refused.value)) > 15


def test_a_repayment_comes_from_free_holdings_and_what_is_lacking_from_outside() -> None:
    one = portfolio([CORE], wallet(leg(USDC, 1_000), leg(WETH, 1)))
    state = did(one, "repay:aave-v3:USDC=1500")
    owed = next(each for each in state.portfolio.margin_accounts[0].legs if each.side is Side.DEBT)
    assert owed.amount == raw(USDC, 10_500) and owed.terms is not None and owed.terms.oracle_value == 10_500
    assert state.portfolio.margin_accounts[0].health_factor == 16_000 * 10**18 // 10_500
    assert [position.legs[0].symbol for position in state.portfolio.positions] == ["WETH"]
    assert (state.done[0].amount, state.done[0].from_outside, state.done[0].value_usd) == (raw(USDC, 1500), raw(USDC, 500), Decimal(1500))
    assert look(state.portfolio).before.equity_usd == (look(one).before.equity_usd or 0) + 500


def test_repaying_all_leaves_an_account_without_debt() -> None:
    after = did(portfolio([CORE]), "repay:aave-v3:USDC=all").portfolio.margin_accounts[0]
    assert after.debt_free and after.health_factor is None and after.liquidatable is False and len(after.legs) == 1


def test_added_collateral_counts_with_its_own_terms() -> None:
    one = portfolio([CORE], wallet(leg(WETH, 3)))
    state = did(one, "add:aave-v3:WETH=all")
    assert state.portfolio.margin_accounts[0].health_factor == 20_800 * 10**18 // 12_000 and not state.portfolio.positions
    assert look(state.portfolio).before.equity_usd == look(one).before.equity_usd


def test_a_first_supply_takes_the_terms_that_another_account_shows() -> None:
    other = account(supplied(WBTC, 1, "0.7"), owner=Address("0x" + "cd" * 20))
    state = did(portfolio([CORE, other]), "add:aave-v3@eip155:1:WETH=1", "add:aave-v3:WBTC=0.1")
    # WBTC means the account that has some already
    assert state.portfolio.margin_accounts[1].legs[0].amount == raw(WBTC, "1.1")
    with pytest.raises(InputError, match="LINK"):
        did(portfolio([CORE]), "add:aave-v3:LINK=5")


def test_holdings_that_cannot_be_withdrawn_pay_nothing() -> None:
    one = portfolio(
        [account(supplied(VAULT, 20_000, usd="1.05"), borrowed(USDC, 12_000))], wallet(leg(VAULT, 100, redeemable=raw(VAULT, 40)))
    )
    assert did(one, "add:aave-v3:vUSDC=100").done[0].from_outside == raw(VAULT, 60)
    left = did(one, "add:aave-v3:vUSDC=40").portfolio.positions[0].legs[0]
    assert left.amount == raw(VAULT, 60) and left.redeemable == 0


def test_which_account_is_meant() -> None:
    several = portfolio(
        [CORE, account(supplied(WETH, 5), borrowed(USDC, 100), market="prime"), account(supplied(WETH, 5), borrowed(DAI, 9), market="lido")]
    )
    with pytest.raises(InputError, match=r"which one.*core.*prime"):
        did(several, "repay:aave-v3:USDC=5")
    assert did(several, "repay:aave-v3@eip155:1/prime:USDC=5").portfolio.margin_accounts[1].legs[1].amount == raw(USDC, 95)
    assert did(several, "repay:aave-v3:DAI=1").portfolio.margin_accounts[2].legs[1].amount == raw(DAI, 8)
    for text, said in (
        ("repay:spark:USDC=5", "no such"),
        ("repay:aave-v3@eip155:8453:USDC=5", "no such"),
        ("repay:aave-v3:LINK=5", "owes"),
    ):
        with pytest.raises(InputError, match=said):
            did(several, text)
    with pytest.raises(InputError, match="only 100 USDC"):
        did(several, "repay:aave-v3@eip155:1/prime:USDC=101")


def test_a_move_brings_the_same_token_to_another_chain() -> None:
    one = portfolio([CORE], wallet(leg(USDC, 700), leg(WSTETH, 2)))
    state = did(one, "move:USDC:eip155:1/eip155:42161=500", "move:wstETH:eip155:1/eip155:42161=all")
    held = {(position.chain, position.legs[0].symbol): position.legs[0].amount for position in state.portfolio.positions}
    assert held == {(ETHEREUM, "USDC"): raw(USDC, 200), (ARBITRUM, "USDC"): raw(USDC, 500), (ARBITRUM, "wstETH"): raw(WSTETH, 2)}
    before, after = look(one), WhatIf(prepare(state.portfolio, state.prices, (), QUICK))
    assert after.before.equity_usd == before.before.equity_usd
    # still made of the same staked ether
    assert after.after(shock_of(["stETH=-10%"])).collateral_usd == before.after(shock_of(["stETH=-10%"])).collateral_usd
    with pytest.raises(InputError, match="only 700"):
        did(one, "move:USDC:eip155:1/eip155:42161=701")
    with pytest.raises(InputError, match="nothing of LINK"):
        did(one, "move:LINK:eip155:1/eip155:42161=1")
    with pytest.raises(InputError, match="no token"):
        act(one, book(), [parse_action("move:USDC:eip155:1/eip155:10=1")])


def test_a_hedge_is_worth_nothing_now_and_gains_when_the_rest_falls() -> None:
    one = portfolio([], wallet(leg(WETH, 2)))
    hedged = did(one, "hedge:ETH=-2").portfolio
    plain, covered = look(one), look(hedged)
    assert covered.before.equity_usd == plain.before.equity_usd == 4000
    fallen = covered.after(shock_of(["ETH=-30%"]))
    assert fallen.equity_usd == 4000 and fallen.profit_usd == 1200 and fallen.collateral_usd == 2800
    assert covered.after(shock_of(["ETH=+30%"])).equity_usd == 4000
    assert covered.before.requirement is not None and plain.before.requirement is not None
    assert covered.before.requirement.transfer_aware < plain.before.requirement.transfer_aware / 1000
    assert hedged.positions[-1].chain == HEDGES
    with pytest.raises(InputError, match="SOL"):
        did(one, "hedge:SOL=-1")


def test_a_hedge_elsewhere_helps_only_as_far_as_transfers_reach() -> None:
    """Its gains stand at a venue: of what a margin account loses on a chain they offset the part that arrives in time."""
    one = portfolio([CORE])
    prices_only = replace(QUICK, failure_floor=1.0)
    plain, covered = (look(held, prices_only).before.requirement for held in (one, did(one, "hedge:ETH=-10").portfolio))
    assert plain is not None and covered is not None
    assert plain.transfer_aware > covered.transfer_aware > (1 - reach(24.0)) * plain.transfer_aware > covered.pooled


def test_less_than_the_smallest_unit_is_refused() -> None:
    with pytest.raises(InputError, match="smallest unit"):
        did(portfolio([CORE]), "repay:aave-v3:USDC=0.0000001")


def best(one: Portfolio, health: str, *shocks: str) -> Restoration:
    view = look(one)
    return restore(view, view.after(shock_of(shocks)), Fraction(health))[0]


def test_the_cheapest_way_is_the_least_capital_and_fees() -> None:
    one = portfolio([CORE], wallet(leg(USDC, 9_000), leg(WETH, 9)))
    found = best(one, "1.2", "ETH=-40%")
    # 9,600 against 12,000: repay 4,000 or supply 5,000 of ether
    assert found.breached and found.cheapest is not None
    assert [action.text for action in found.cheapest.actions] == ["repay:aave-v3@eip155:1:USDC=4000"]
    assert (found.cheapest.capital_usd, found.cheapest.fees_usd, found.cheapest.cost_usd) == (4000, 6.0, 4006.0)
    assert found.ways[1].amount == raw(WETH, 5) and found.ways[1].capital_usd == pytest.approx(6000)


def test_another_chain_pays_where_this_one_cannot_and_no_bridge_is_down() -> None:
    one = portfolio([CORE], wallet(leg(on(ARBITRUM, USDC), 9_000), chain=ARBITRUM))
    found = best(one, "1.2", "ETH=-40%").cheapest
    assert found is not None and not found.from_outside and found.lag_hours == QUICK.transfer_lag_hours
    assert [action.text for action in found.actions] == ["move:USDC:eip155:42161/eip155:1=4000", "repay:aave-v3@eip155:1:USDC=4000"]
    costs = RemedyCosts()
    assert found.fees_usd == pytest.approx(costs.transaction(ETHEREUM) + costs.transaction(ARBITRUM) + 4000 * costs.bridge_share)
    for chain in (ETHEREUM, ARBITRUM):
        stuck = best(one, "1.2", "ETH=-40%", f"bridge:{chain}=down").cheapest
        assert stuck is not None and stuck.from_outside and len(stuck.actions) == 1
    assert best(one, "1.2", "ETH=-40%", f"bridge:{BASE}=down").cheapest == found


def test_only_accounts_below_the_chosen_health_are_listed_the_first_to_go_first() -> None:
    safe = account(supplied(WETH, 10), borrowed(USDC, 1_000), market="safe")
    low = account(supplied(WETH, 10), borrowed(USDC, 10_000), market="low")
    view = look(portfolio([safe, low, CORE]))
    found = restore(view, view.after(shock_of(["ETH=-30%"])), Fraction(6, 5))
    assert [(one.account, one.breached) for one in found] == [(2, True), (1, False)]


def test_a_debt_that_is_too_small_is_no_way() -> None:
    two_debts = account(supplied(WETH, 10), borrowed(USDC, 100), borrowed(DAI, 11_900))
    ways = best(portfolio([two_debts]), "1.2", "ETH=-40%").ways
    assert {way.symbol for way in ways} == {"DAI", "WETH"}
    hopeless = account(borrowed(USDC, 100), borrowed(DAI, 100), market="bad")
    found = best(portfolio([hopeless]), "1.2")
    assert found.cheapest is None and found.why


def applied(view: WhatIf, way: Remedy, less: int = 0) -> Acted:
    """The portfolio after a way's actions, with so many raw units less."""
    amount = Decimal(way.amount - less).scaleb(-way.decimals)
    actions = [replace(action, amount=amount) for action in way.actions]
    return act(view.prepared.portfolio, book(), actions, listed(view.prepared.portfolio.tokens))


@settings(max_examples=60, deadline=None)
@given(margin_account(), portfolios(accounts=1, positions=3), st.integers(-60, 20), st.sampled_from(("1", "1.05", "1.5", "3")))
def test_a_way_restores_exactly_and_one_raw_unit_less_does_not(one: MarginAccount, rest: Portfolio, move: int, health: str) -> None:
    other = tuple(replace(each, owner=Address("0x" + "cd" * 20)) for each in rest.margin_accounts[:1])
    whole = replace(rest, margin_accounts=(*other, one))
    view, shock = look(whole), Shock({"ETH": 1 + Fraction(move, 100)})
    state = view.after(shock)
    for found in restore(view, state, Fraction(health)):
        for way in found.ways:
            after = look(applied(view, way).portfolio).after(shock).accounts[found.account]
            assert after.health is not None or after.debt_usd == 0
            # the protocol's own figure of an account that no price moved is rounded down to its last digit
            assert after.health is None or after.health >= Decimal(health) - Decimal("2e-18")
            if way.amount > 1:
                short = look(applied(view, way, 1).portfolio).after(shock).accounts[found.account]
                assert short.health is not None and short.health < Decimal(health)


@settings(max_examples=40, deadline=None)
@given(margin_account(), st.integers(1, 10**9), st.integers(-50, 50))
def test_repaying_and_adding_never_lower_health(one: MarginAccount, units: int, move: int) -> None:
    shock = Shock({"ETH": 1 + Fraction(move, 100)})
    before = look(portfolio([one])).after(shock).accounts[0]
    for number, held in enumerate(one.legs):
        if held.side is Side.DEBT and held.amount > 1:
            changed = resized(held, held.amount - min(units, held.amount - 1))
        elif held.side is Side.COLLATERAL and held.amount:
            changed = resized(held, held.amount + units)
        else:
            continue
        legs = [changed if n == number else each for n, each in enumerate(one.legs)]
        after = look(portfolio([account(*legs, chain=one.chain, market=one.market)])).after(shock).accounts[0]
        assert before.health is None or (after.health is not None and after.health >= before.health)
        assert before.shadow_health is None or (after.shadow_health is not None and after.shadow_health >= before.shadow_health)
        assert not after.liquidatable or before.liquidatable


@settings(max_examples=40, deadline=None)
@given(portfolios(accounts=2, positions=3))
def test_moving_and_paying_from_free_holdings_change_no_equity(one: Portfolio) -> None:
    before = look(one).before.equity_usd
    for position in one.positions:
        for held in position.legs:
            if (
                held.side is Side.IDLE
                and held.symbol in ("WETH", "USDC", "DAI", "LINK")
                and held.redeemable is None
                and position.range is None
            ):
                target = ARBITRUM if position.chain == ETHEREUM else ETHEREUM
                state = did(one, f"move:{held.asset.rpartition(':')[2]}:{position.chain}/{target}=all")
                assert WhatIf(prepare(state.portfolio, state.prices, (), QUICK)).before.equity_usd == before
