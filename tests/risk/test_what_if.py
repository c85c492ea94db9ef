"""A portfolio after a shock: exactness at the line, order, oracles that freeze, bridges, volatility, hedges, ranges and pairs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from aggregator.model.identifiers import AssetId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Component, Leg, MarginTerms
from aggregator.model.price import PriceBook
from aggregator.risk.policy import Policy
from aggregator.risk.prepared import prepare
from aggregator.risk.shock import shock_of
from aggregator.risk.what_if import State, WhatIf
from tests.builders import (
    ARBITRUM,
    DAI,
    ETHEREUM,
    LINK,
    OUSG,
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
    walk,
    wallet,
)
from tests.risk.strategies import QUICK

HISTORY = (walk("ETH", 0.03, 90), walk("BTC", 0.025, 90, start=60_000.0, seed=8))


def look(one: Portfolio, prices: PriceBook | None = None, policy: Policy = QUICK) -> WhatIf:
    return WhatIf(prepare(one, prices or book(), HISTORY, policy))


def after(one: Portfolio, *shocks: str, prices: PriceBook | None = None) -> State:
    return look(one, prices).after(shock_of(shocks))


def alone(*legs: Leg, **changes: object) -> Portfolio:
    return portfolio([account(*legs, **changes)])  # type: ignore[arg-type]


def ratio(one: int, other: int) -> Decimal:
    with localcontext(prec=120):
        return Decimal(one) / other


LEVERED = alone(supplied(WETH, 10), borrowed(USDC, 11_200))
"""16,000 counted against 11,200: on the line at exactly −30 %"""


def test_on_the_line_is_healthy_and_one_raw_unit_beyond_is_not() -> None:
    on_it = after(LEVERED, "ETH=-30%").accounts[0]
    assert on_it.health == 1 and on_it.liquidatable is False and on_it.breach is None
    beyond = after(alone(supplied(WETH, 10), borrowed(USDC, "11200.000001")), "ETH=-30%").accounts[0]
    assert beyond.liquidatable is True and beyond.health is not None and beyond.health < 1
    assert after(LEVERED, "ETH=-30.0000000000000000000000000001%").accounts[0].liquidatable is True


def test_repeating_decimals_decide_exactly() -> None:
    """A vault of one third WETH and two thirds wstETH: halving WETH takes a sixth, for which no decimal stands."""
    basket = replace(VAULT, asset=AssetId(f"{ETHEREUM}/erc20:0x{'77' * 20}"), symbol="basket")
    parts = (Component(WETH.asset, "WETH", 10**18, 18), Component(USDC.asset, "USDC", 4_000 * 10**6, 6))
    held = replace(supplied(WETH, 3, "1", usd="2000"), asset=basket.asset, symbol="basket", look_through=parts)

    def moved(owed: str) -> State:
        return after(portfolio([account(held, borrowed(USDC, owed))], tokens=[basket]), "token:WETH=-50%")

    # 6,000 at the oracle, of which a sixth goes: 5,000 exactly
    assert moved("5000").accounts[0].health == 1 and moved("5000").accounts[0].liquidatable is False
    assert moved("5000.000001").accounts[0].liquidatable is True
    assert moved("5500").accounts[0].breach == Fraction(1, 2)


def test_a_factor_moves_every_token_that_follows_it_and_a_token_only_itself() -> None:
    both = alone(supplied(WETH, 5), supplied(WSTETH, 5), borrowed(USDC, 9000))
    assert after(both, "ETH=-20%").accounts[0].collateral_usd == Decimal("17600")
    assert after(both, "wstETH=-5%").accounts[0].collateral_usd == Decimal("21400")
    # what wstETH is made of falls with stETH, WETH does not
    assert after(both, "stETH=-10%").accounts[0].collateral_usd == Decimal("20800")
    assert after(both, "lst:stETH=-10%").accounts[0].collateral_usd == Decimal("20800")


def test_debts_and_vaults_follow_too() -> None:
    state = after(portfolio([account(supplied(WETH, 10), borrowed(USDC, 9000))], wallet(leg(VAULT, 1000))), "USDC=-5%")
    assert state.debt_usd == 8550 and state.collateral_usd == 20_000 + Decimal("997.5")
    assert state.accounts[0].health == ratio(16_000, 8550)


def test_the_first_to_reach_the_line_on_the_way_comes_first() -> None:
    risky = account(supplied(WETH, 10), borrowed(USDC, 15_000), market="risky")
    middle = account(supplied(WETH, 10), borrowed(USDC, 12_000), market="middle")
    safe = account(supplied(WETH, 10), borrowed(USDC, 1_000), market="safe")
    sunk = account(supplied(WETH, 1), borrowed(USDC, 1_700), market="sunk")
    state = after(portfolio([safe, middle, risky, sunk]), "ETH=-50%")
    assert state.order == (3, 2, 1)
    assert [state.accounts[number].breach for number in state.order] == [0, Fraction(1, 8), Fraction(1, 2)]
    assert state.accounts[0].breach is None and state.accounts[0].liquidatable is False
    assert after(portfolio([safe, middle, risky]), "ETH=+50%").order == ()


def test_an_account_that_recovers_is_not_liquidated() -> None:
    state = after(alone(supplied(WETH, 1), borrowed(USDC, 1_700)), "ETH=+10%")
    assert state.accounts[0].liquidatable is False and state.order == ()


def test_a_frozen_oracle_keeps_native_health_and_the_market_moves_on() -> None:
    frozen = after(LEVERED, "ETH=-50%", "oracle:aave-v3=frozen").accounts[0]
    assert frozen.health == Decimal("1.428571428571428571"), "as the protocol states it"
    assert frozen.liquidatable is False and frozen.shadow_health == ratio(8_000, 11_200)
    assert frozen.collateral_usd == 10_000
    other = after(LEVERED, "ETH=-50%", "oracle:spark=frozen").accounts[0]
    assert other.liquidatable is True
    # only one token's feed is stuck: the other collateral falls
    two = alone(supplied(WETH, 5), supplied(WSTETH, 5), borrowed(USDC, 9000))
    state = after(two, "ETH=-50%", "oracle:aave-v3/wstETH=frozen").accounts[0]
    assert state.health == ratio(13_600, 9_000) and state.shadow_health == ratio(8_800, 9_000)


def test_a_frozen_account_scores_as_if_its_oracle_woke_up() -> None:
    view = look(LEVERED)
    frozen, moving = (view.after(shock_of(["ETH=-50%", *more])) for more in (["oracle:*=frozen"], []))
    assert frozen.accounts[0].liquidatable is False and moving.accounts[0].liquidatable is True
    assert view.scored(frozen).score == view.scored(moving).score == 0.0


def test_a_bridge_that_is_down_traps_and_never_lowers_the_requirement() -> None:
    risky = account(
        supplied(on(ARBITRUM, WETH), 10, usd="2000", bonus="0.1"), borrowed(on(ARBITRUM, USDC), 12_000, usd="1"), chain=ARBITRUM
    )
    view = look(portfolio([risky], wallet(leg(USDC, 8_000))))
    open_, down, other = (view.after(shock_of(texts)) for texts in ([], ["bridge:eip155:42161=down"], ["bridge:eip155:8453=down"]))
    source = view.after(shock_of(["bridge:eip155:1=down"]))
    assert open_.requirement is not None and down.requirement is not None and source.requirement is not None
    assert down.requirement.transfer_aware > open_.requirement.transfer_aware
    assert down.requirement == source.requirement and other.requirement == open_.requirement
    assert down.requirement.isolated == open_.requirement.isolated and down.requirement.pooled == open_.requirement.pooled
    assert open_.trapped_collateral_usd is not None and down.trapped_collateral_usd == pytest.approx(8_000)
    assert open_.trapped_collateral_usd < 8_000 and down.equity_usd == open_.equity_usd


def test_volatility_raises_requirement_and_chance_and_moves_no_value() -> None:
    view = look(portfolio([account(supplied(WBTC, 1), borrowed(USDC, 40_000))]))
    calm, loud = view.before, view.after(shock_of(["BTC:vol=+700%"]))
    assert loud.equity_usd == calm.equity_usd and loud.accounts[0].health == calm.accounts[0].health
    assert loud.volatilities["BTC"].daily == 8 * calm.volatilities["BTC"].daily
    assert loud.volatilities["USDC"] == calm.volatilities["USDC"]
    assert loud.requirement is not None and calm.requirement is not None
    assert loud.requirement.transfer_aware > calm.requirement.transfer_aware
    chances = [view.scored(state).probability for state in (calm, loud)]
    assert chances[0] is not None and chances[1] is not None and chances[1].any_account["1d"] > 5 * chances[0].any_account["1d"]


def test_a_pair_falls_by_the_root_and_a_range_by_its_own_formula() -> None:
    state = after(portfolio((), wallet(leg(PAIR, 10))), "ETH=-19%")
    assert float(state.collateral_usd) == pytest.approx(40_000 * 0.9, rel=1e-15)
    assert after(portfolio((), wallet(leg(PAIR, 10))), "ETH=-19%", "USDC=-19%").collateral_usd == Decimal("32400")
    here = concentrated(WETH, USDC, 1500, 2500, 2000, 10**16)
    there = concentrated(WETH, USDC, 1500, 2500, 1700, 10**16)
    moved, rebuilt = after(portfolio((), [here]), "ETH=-15%"), look(portfolio((), [there]), book({WETH: "1700", WSTETH: "2040"}))
    assert float(moved.collateral_usd) == pytest.approx(float(rebuilt.before.collateral_usd), rel=1e-9)
    assert moved.requirement is not None and rebuilt.before.requirement is not None
    assert moved.requirement.transfer_aware == pytest.approx(rebuilt.before.requirement.transfer_aware, rel=1e-9)


def test_uncollected_fees_move_with_their_own_token() -> None:
    with_fees = concentrated(WETH, USDC, 1500, 2500, 2000, 10**16, (10**18, 10**9))
    without = concentrated(WETH, USDC, 1500, 2500, 2000, 10**16)
    values = [after(portfolio((), [one]), "ETH=-40%").collateral_usd for one in (with_fees, without)]
    assert values[0] - values[1] == Decimal("1200") + 1000


def test_everything_worthless_is_zero_and_not_an_error() -> None:
    one = portfolio(
        [account(supplied(WETH, 10), borrowed(USDC, 9000))], [*wallet(leg(WETH, 1)), concentrated(WETH, USDC, 1500, 2500, 2000, 10**16)]
    )
    state = after(one, "ETH=-100%")
    assert state.accounts[0].health == 0 and state.accounts[0].liquidatable is True
    assert state.requirement is not None and state.requirement.isolated >= state.requirement.pooled >= 0
    debtless = after(one, "USDC=-100%")
    assert debtless.accounts[0].health is None and debtless.accounts[0].liquidatable is False and debtless.debt_usd == 0


def test_what_could_not_be_read_stays_unknown() -> None:
    unread = account(supplied(WETH, 1), borrowed(USDC, 1), health_known=False)
    state = after(portfolio([unread]))
    assert state.accounts[0].health is None and state.accounts[0].liquidatable is None and state.equity_usd is None
    hidden = after(portfolio([account(supplied(WETH, 1), borrowed(USDC, 1))], unreachable=[ARBITRUM]), "ETH=-30%")
    assert hidden.equity_usd is None and hidden.requirement is None and hidden.margin_ratio is None
    assert hidden.accounts[0].health == Decimal(1120), "an account that was read is judged all the same"


def test_an_account_without_oracle_values_is_judged_by_nobody_but_the_market() -> None:
    def blind(one: Leg) -> Leg:
        assert one.terms is not None
        return replace(one, terms=replace(one.terms, oracle_value=None))

    one = replace(account(supplied(WETH, 10), borrowed(USDC, 11_200)), health_factor=None, liquidatable=None)
    one = replace(one, positions=(replace(one.positions[0], legs=tuple(blind(each) for each in one.legs)),))
    state = after(portfolio([one]), "ETH=-50%").accounts[0]
    assert state.health is None and state.liquidatable is None and state.breach is None and state.lifetime.days is None
    assert state.shadow_health == ratio(8_000, 11_200)


def test_unpriced_collateral_with_an_oracle_value_falls_with_its_own_name() -> None:
    odd = replace(supplied(WETH, 10), asset=SPAM.asset, symbol="ODD", look_through=())
    one = portfolio([account(odd, borrowed(USDC, 11_200))], tokens=[replace(SPAM, symbol="ODD")])
    state = look(one).after(shock_of([f"{SPAM.asset}=-50%"])).accounts[0]
    assert state.liquidatable is True and state.loss is None, "nothing says what the seized collateral is worth"


def test_a_market_that_counts_in_its_loan_token() -> None:
    """Values in WETH: when the collateral's dollar price and the loan's fall alike, health stays."""
    terms = MarginTerms(Decimal(30), Decimal("0.86"), Decimal("0.86"), Decimal("0.05"))
    collateral = replace(supplied(WBTC, 1), terms=terms)
    debt = replace(borrowed(WETH, 20), terms=MarginTerms(Decimal(20)))
    one = replace(account(collateral, debt, protocol="morpho-blue"), numeraire=WETH.asset)
    assert after(portfolio([one]), "BTC=-20%", "ETH=-20%").accounts[0].health == Decimal("1.29")
    assert after(portfolio([one]), "BTC=-20%").accounts[0].health == Decimal("1.032")
    assert after(portfolio([one]), "ETH=+50%").accounts[0].health == Decimal("0.86")


def test_scenarios_start_from_where_the_shock_left_everything() -> None:
    """The requirement after a shock is the one of a portfolio that was read at those prices."""
    one = portfolio(
        [account(supplied(WETH, 10), supplied(LINK, 100), borrowed(USDC, 9000))], wallet(leg(WBTC, 1), leg(OUSG, 10), leg(DAI, 50))
    )
    moved = after(one, "ETH=-30%", "BTC=-20%", "DAI=-3%")
    there = {WETH: "1400", WSTETH: "1680", WBTC: "48000", DAI: "0.97"}
    fallen = account(supplied(WETH, 10, usd="1400"), supplied(LINK, 100), borrowed(USDC, 9000))
    rebuilt = look(replace(one, margin_accounts=(fallen,)), book(there)).before
    assert moved.equity_usd == rebuilt.equity_usd and moved.requirement is not None and rebuilt.requirement is not None
    for level in ("isolated", "transfer_aware", "pooled", "expected_shortfall_99"):
        assert getattr(moved.requirement, level) == pytest.approx(getattr(rebuilt.requirement, level), rel=1e-12)
    assert moved.accounts[0].health == rebuilt.accounts[0].shadow_health


@pytest.mark.parametrize("asset", ["nothing", ""])
def test_a_name_that_means_nothing_is_refused(asset: str) -> None:
    from aggregator.model.errors import InputError

    with pytest.raises(InputError):
        after(LEVERED, f"{asset}=-5%")


def test_known_names_touch_nothing() -> None:
    view = WhatIf(prepare(LEVERED, book(), HISTORY, QUICK), known=frozenset({"SOL"}))
    state = view.after(shock_of(["SOL=-90%"]))
    assert state.moves.idle == ("SOL",) and state.accounts == view.before.accounts and state.requirement == view.before.requirement


def test_chains_with_the_same_token_move_together() -> None:
    here, there = (
        account(supplied(WETH, 10), borrowed(USDC, 9000)),
        account(supplied(on(ARBITRUM, WETH), 10, usd="2000"), borrowed(on(ARBITRUM, USDC), 9000, usd="1"), chain=ARBITRUM),
    )
    state = after(portfolio([here, there]), "ETH=-10%")
    assert state.accounts[0].health == state.accounts[1].health == Decimal("1.6")
    only = after(portfolio([here, there]), f"{WETH.asset}=-10%")
    assert only.accounts[0].health == Decimal("1.6") and only.accounts[1].health == Decimal("1.777777777777777777")
