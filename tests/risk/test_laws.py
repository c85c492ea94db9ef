"""What must hold for every portfolio."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount, Position
from aggregator.model.token import Token
from aggregator.risk.assessment import Assessment, assess
from aggregator.risk.policy import Policy
from tests.builders import (
    DAI,
    ETHEREUM,
    LINK,
    OUSG,
    SPAM,
    USDC,
    WBTC,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    leg,
    portfolio,
    supplied,
    walk,
    wallet,
)
from tests.risk.strategies import QUICK, debt, free_position, margin_account, portfolios

HISTORY = (walk("ETH", 0.03, 90), walk("BTC", 0.025, 90, start=60_000.0, seed=8))
LAWS = settings(max_examples=40, deadline=None)


def judged(one: Portfolio, policy: Policy = QUICK) -> Assessment:
    return assess(one, book(), HISTORY, policy)


@LAWS
@given(portfolios())
def test_the_three_netting_levels_are_ordered(one: Portfolio) -> None:
    needed = judged(one).requirement
    assert needed is not None
    assert needed.isolated >= needed.transfer_aware >= needed.pooled >= 0.0
    assert needed.netting_benefit >= 0.0
    assert all(loss.loss >= loss.pooled_loss - 1e-9 for loss in needed.scenarios)
    assert max(loss.loss for loss in needed.scenarios) <= needed.transfer_aware + 1e-9


@LAWS
@given(portfolios(), st.floats(0.0, 200.0))
def test_the_levels_stay_ordered_for_every_transfer_lag(one: Portfolio, lag: float) -> None:
    slow, fast = judged(one, replace(QUICK, transfer_lag_hours=lag + 24)).requirement, judged(one, replace(QUICK, transfer_lag_hours=lag))
    assert slow is not None and fast.requirement is not None
    assert slow.isolated >= slow.transfer_aware >= fast.requirement.transfer_aware - 1e-6 >= fast.requirement.pooled - 2e-6
    assert slow.isolated == pytest.approx(fast.requirement.isolated)


@LAWS
@given(portfolios(), st.integers(0, 2**32))
def test_the_order_of_inputs_changes_nothing(one: Portfolio, seed: int) -> None:
    generator = np.random.default_rng(seed)
    accounts = [one.margin_accounts[i] for i in generator.permutation(len(one.margin_accounts))]
    positions = [one.positions[i] for i in generator.permutation(len(one.positions))]
    first, second = (
        judged(one),
        assess(replace(one, margin_accounts=tuple(accounts), positions=tuple(positions)), book(), HISTORY[::-1], QUICK),
    )
    assert first.equity_usd == second.equity_usd
    assert first.score == pytest.approx(second.score, abs=1e-9)
    assert first.requirement is not None and second.requirement is not None
    for level in ("isolated", "transfer_aware", "pooled"):
        assert getattr(first.requirement, level) == pytest.approx(getattr(second.requirement, level), rel=1e-9, abs=1e-6)
    assert first.warnings == second.warnings and first.missing == second.missing


@LAWS
@given(portfolios())
def test_the_same_input_gives_the_same_bits(one: Portfolio) -> None:
    first, second = judged(one), judged(one)
    assert first.requirement == second.requirement
    assert first.probability == second.probability


@LAWS
@given(portfolios())
def test_haircuts_lie_between_zero_and_one_and_reproduce_from_their_parts(one: Portfolio) -> None:
    result = judged(one)
    legs = [leg for account in result.accounts for position in account.positions for leg in position.legs]
    legs += [leg for position in result.positions for leg in position.legs]
    for one_leg in legs:
        cut = one_leg.haircut
        if cut is not None:
            assert all(0.0 <= part <= 1.0 for part in (cut.market, cut.liquidity, cut.basis, cut.structure, cut.total))
            kept = (1 - cut.market) * (1 - cut.liquidity) * (1 - cut.basis) * (1 - cut.structure)
            assert cut.total == pytest.approx(1 - kept)
    assert 0 <= result.collateral_after_haircuts_usd <= result.collateral_usd


def _chance(result: Assessment) -> dict[str, float]:
    assert result.probability is not None
    return dict(result.probability.any_account)


def _never_calmer(before: Assessment, after: Assessment, tolerance: float = 1e-12) -> None:
    for horizon, chance in _chance(before).items():
        assert _chance(after)[horizon] >= chance * (1 - 1e-9) - tolerance
    assert before.score is not None and after.score is not None
    assert after.score <= before.score + 1e-6


@LAWS
@given(margin_account(), st.integers(1, 50_000))
def test_more_of_a_debt_never_raises_the_score(one: MarginAccount, more: int) -> None:
    owed = next((leg for leg in one.legs if leg.side.value == "debt"), None)
    base = one if owed is not None else replace_legs(one, (*one.legs, borrowed(USDC, 1)))
    owed = next(leg for leg in base.legs if leg.side.value == "debt")
    assert owed.terms is not None and owed.terms.oracle_value is not None and owed.terms.oracle_price_usd is not None
    grown = Decimal(owed.amount) + Decimal(more) / owed.terms.oracle_price_usd * 10**owed.decimals
    units = int(grown)
    value = owed.terms.oracle_value * units / owed.amount if owed.amount else owed.terms.oracle_value
    bigger = replace(owed, amount=units, terms=replace(owed.terms, oracle_value=value), look_through=())
    after = replace_legs(base, tuple(bigger if leg is owed else leg for leg in base.legs))
    _never_calmer(judged(portfolio([base])), judged(portfolio([after])))


def replace_legs(one: MarginAccount, legs: tuple[Leg, ...]) -> MarginAccount:
    return account(*legs, chain=one.chain, market=one.market)


@LAWS
@given(portfolios(), debt(tokens=(LINK,)))
def test_a_new_account_never_raises_the_score(one: Portfolio, owed: Leg) -> None:
    # LINK can be a factor that the portfolio did not have: its draws must leave the others' alone
    added = replace(one, margin_accounts=(*one.margin_accounts, account(supplied(LINK, 20_000), owed, market="new")))
    before, after = judged(one), judged(added)
    assert before.score is not None and after.score is not None
    assert after.score <= before.score + 1e-6
    same_factors = replace(one, margin_accounts=(*one.margin_accounts, *one.margin_accounts))
    _never_calmer(before, judged(same_factors))


@LAWS
@given(margin_account())
def test_dust_accounts_and_worthless_collateral_change_nothing(one: MarginAccount) -> None:
    before = judged(portfolio([one]))
    worthless = supplied(WETH, 1000, usd="0")
    unpriced = replace(worthless, asset=SPAM.asset, symbol=SPAM.symbol)
    with_spam = judged(portfolio([replace_legs(one, (*one.legs, unpriced))]))
    assert with_spam.equity_usd == before.equity_usd
    assert _chance(with_spam) == pytest.approx(_chance(before), rel=1e-12, abs=1e-15)
    dust = account(supplied(USDC, "0.000001"), market="dust")
    _never_calmer(before, judged(portfolio([one, dust])), tolerance=1e-9)


@LAWS
@given(portfolios(accounts=2, positions=2), free_position())
def test_idle_assets_never_move_the_score(one: Portfolio, more: Position) -> None:
    added = replace(one, positions=(*one.positions, more))
    before, after = judged(one), judged(added)
    assert before.score == pytest.approx(after.score, abs=1e-9)


def test_the_empty_portfolio_loses_nothing_and_needs_nothing() -> None:
    result = judged(portfolio())
    assert result.requirement is not None
    assert result.requirement.isolated == result.requirement.transfer_aware == result.requirement.pooled == 0.0
    assert all(loss.loss == 0.0 for loss in result.requirement.scenarios)
    assert result.equity_usd == 0
    assert result.margin_ratio is None
    assert result.score == 100.0
    assert result.coverage.complete


@LAWS
@given(st.lists(st.sampled_from((0.1, 1.0, 7.0, 40.0)), min_size=1, max_size=4), st.integers(1, 9))
def test_requirements_scale_with_the_portfolio(amounts: list[float], factor: int) -> None:
    small = portfolio((), wallet(*(leg(WETH, amount) for amount in amounts)))
    large = portfolio((), wallet(*(leg(WETH, amount * factor) for amount in amounts)))
    first, second = judged(small).requirement, judged(large).requirement
    assert first is not None and second is not None
    assert second.transfer_aware == pytest.approx(factor * first.transfer_aware)


@LAWS
@given(portfolios(), portfolios())
def test_two_portfolios_together_never_need_more_than_apart(one: Portfolio, other: Portfolio) -> None:
    """Subadditivity of the pooled requirement, with the scenario set of the whole for all three."""
    together = replace(
        one,
        margin_accounts=(*one.margin_accounts, *other.margin_accounts),
        positions=(*one.positions, *other.positions),
    )
    # the scenario set depends on the factors present, so each part holds a speck of everything
    specks = wallet(*(leg(token, "0.000001") for token in book_tokens()))
    needs = [judged(replace(part, positions=(*part.positions, *specks))).requirement for part in (one, other, together)]
    assert all(need is not None for need in needs)
    first, second, whole = (need.isolated for need in needs if need is not None)
    assert whole <= first + second + 1e-3 * (1 + first + second)


def book_tokens() -> list[Token]:
    return [WETH, WSTETH, WBTC, LINK, USDC, DAI, OUSG]


def test_unreachable_and_reached_empty_chains_differ() -> None:
    reached, unreached = judged(portfolio()), judged(portfolio(unreachable=[ETHEREUM]))
    assert reached.score == 100.0
    assert unreached.score is None
