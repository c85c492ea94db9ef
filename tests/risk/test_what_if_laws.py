"""What must hold for every portfolio and every shock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.identifiers import AssetId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount, Position, Side
from aggregator.model.price import Price, PriceBook
from aggregator.risk.acting import revised
from aggregator.risk.assessment import assess
from aggregator.risk.liquidation_loss import LiquidationCosts
from aggregator.risk.prepared import prepare
from aggregator.risk.shock import NO_SHOCK, Shock
from aggregator.risk.what_if import AccountState, State, WhatIf
from tests.builders import PAIR, book, portfolio, walk
from tests.risk.strategies import QUICK, margin_account, portfolios

HISTORY = (walk("ETH", 0.03, 90), walk("BTC", 0.025, 90, start=60_000.0, seed=8))
LAWS = settings(max_examples=40, deadline=None)
FACTORS = ("ETH", "BTC", "LINK", "USDC", "DAI", "OUSG")
LEVELS = ("isolated", "transfer_aware", "pooled")

CHANGES = st.integers(-99, 150).map(lambda one: 1 + Fraction(one, 100))
moves = st.dictionaries(st.sampled_from(FACTORS), CHANGES, max_size=4)
SMALLER = st.integers(40, 100).map(lambda one: Fraction(one, 100))
discounts = st.dictionaries(st.sampled_from(("wstETH", "stETH", "WBTC")), SMALLER, max_size=2)
NAMES = frozenset((*FACTORS, "wstETH", "stETH", "WBTC"))


@st.composite
def shocks(draw: st.DrawFn) -> Shock:
    return Shock({**draw(moves), **draw(discounts)})


def look(one: Portfolio, prices: PriceBook | None = None) -> WhatIf:
    return WhatIf(prepare(one, book() if prices is None else prices, HISTORY, QUICK), known=NAMES)


def multipliers(one: Portfolio, moved: Mapping[str, Fraction]) -> dict[AssetId, Fraction]:
    """Of every token's price, from its factor alone."""
    return {asset: moved.get(token.factor, Fraction(1)) for asset, token in one.tokens.items()}


def scaled(value: Decimal | None, by: Fraction) -> Decimal | None:
    return None if value is None else value * by.numerator / by.denominator


def _price(one: Price, by: Fraction) -> Price:
    return replace(one, value=scaled(one.value, by), low=scaled(one.low, by), high=scaled(one.high, by))


def at_other_prices(one: Portfolio, moved: Mapping[str, Fraction]) -> tuple[Portfolio, PriceBook]:
    """The portfolio as it would be read after the moves: every price and every oracle value by its factor."""
    by = multipliers(one, moved)
    prices = {asset: _price(price, by.get(asset, Fraction(1))) for asset, price in book().items()}

    def leg(held: Leg) -> Leg:
        if held.terms is None or held.terms.oracle_value is None:
            return held
        return replace(held, terms=replace(held.terms, oracle_value=scaled(held.terms.oracle_value, by[held.asset])))

    def position(held: Position) -> Position:
        return replace(held, legs=tuple(leg(each) for each in held.legs))

    accounts = tuple(revised(account, [position(each) for each in account.positions]) for account in one.margin_accounts)
    return replace(one, margin_accounts=accounts), prices


def without_curves(one: Portfolio) -> Portfolio:
    """Pairs and ranges rebalance when prices move, which a rebuilt portfolio does not show."""
    kept = [held for held in one.positions if held.range is None and all(leg.asset != PAIR.asset for leg in held.legs)]
    return replace(one, positions=tuple(kept))


@LAWS
@given(portfolios())
def test_no_shock_changes_no_figure(one: Portfolio) -> None:
    view, plain = look(one), assess(one, book(), HISTORY, QUICK)
    for state in (view.before, view.after(NO_SHOCK), view.after(Shock({"ETH": Fraction(1)}))):
        scored = view.scored(state)
        assert state.equity_usd == plain.equity_usd and state.collateral_usd == plain.collateral_usd
        assert state.debt_usd == plain.debt_usd and state.margin_ratio == plain.margin_ratio
        assert state.requirement == plain.requirement and state.trapped_collateral_usd == plain.trapped_collateral_usd
        assert scored.score == plain.score and scored.probability == plain.probability
        for account, own, ours in zip(one.margin_accounts, plain.accounts, state.accounts, strict=True):
            assert ours.shadow_health == own.shadow_health and ours.collateral_usd == own.collateral_usd
            assert ours.debt_usd == own.debt_usd and ours.liquidatable == account.liquidatable
            assert ours.health == (None if account.health_factor is None else Decimal(account.health_factor).scaleb(-18))


@LAWS
@given(portfolios(), moves)
def test_a_shock_gives_what_would_be_read_at_those_prices(one: Portfolio, moved: Mapping[str, Fraction]) -> None:
    flat = without_curves(one)
    there = look(*at_other_prices(flat, moved)).before
    here = look(flat).after(Shock(moved))
    assert here.equity_usd == there.equity_usd and here.collateral_usd == there.collateral_usd and here.debt_usd == there.debt_usd
    for own, read in zip(here.accounts, there.accounts, strict=True):
        assert own.liquidatable == read.liquidatable
        assert (own.shadow_health is None) is (read.shadow_health is None)
        if own.shadow_health is not None and read.shadow_health is not None:
            assert abs(own.shadow_health - read.shadow_health) <= Decimal("1e-20") * own.shadow_health
    assert here.requirement is not None and there.requirement is not None
    for level in LEVELS:
        assert getattr(here.requirement, level) == pytest.approx(getattr(there.requirement, level), rel=1e-9, abs=1e-6)


@LAWS
@given(portfolios(), moves, shocks())
def test_two_shocks_after_one_another_are_their_composition(one: Portfolio, first: Mapping[str, Fraction], second: Shock) -> None:
    flat = without_curves(one)
    apart = look(*at_other_prices(flat, first)).after(second)
    together = look(flat).after(Shock(first).then(second))
    assert float(together.collateral_usd) == pytest.approx(float(apart.collateral_usd), rel=1e-12)
    for one_way, other in zip(together.accounts, apart.accounts, strict=True):
        assert one_way.liquidatable == other.liquidatable or _near(one_way) or _near(other)
    assert together.requirement is not None and apart.requirement is not None
    for level in LEVELS:
        assert getattr(together.requirement, level) == pytest.approx(getattr(apart.requirement, level), rel=1e-9, abs=1e-6)


def _near(state: AccountState) -> bool:
    """An account whose health stood still keeps its protocol's rounded word."""
    return state.health is not None and abs(state.health - 1) < Decimal("1e-15")


@LAWS
@given(portfolios(), shocks(), shocks())
def test_the_order_of_shocks_is_irrelevant(one: Portfolio, first: Shock, second: Shock) -> None:
    view = look(one)
    a, b = view.after(first.then(second)), view.after(second.then(first))
    assert a.accounts == b.accounts and a.order == b.order and a.equity_usd == b.equity_usd and a.requirement == b.requirement


@LAWS
@given(portfolios(), shocks())
def test_levels_stay_ordered_and_yes_or_no_agrees_with_health(one: Portfolio, shock: Shock) -> None:
    state = look(one).after(shock)
    needed = state.requirement
    assert needed is not None and needed.isolated >= needed.transfer_aware >= needed.pooled >= 0.0
    for own in state.accounts:
        if own.health is not None and not _near(own):
            assert own.liquidatable is (own.health < 1)
        assert (own.breach is not None) is bool(own.liquidatable)
        assert own.breach is None or 0 <= own.breach < 1
    assert sorted(state.order) == sorted(own.account for own in state.accounts if own.liquidatable)


@LAWS
@given(portfolios(), shocks())
def test_at_its_breach_an_account_is_exactly_on_the_line(one: Portfolio, shock: Shock) -> None:
    view = look(one)
    state = view.after(shock)
    for own in state.accounts:
        if own.breach:
            start, end = (dict(view.native_terms(own.account, each)) for each in (view.before, state))
            steps = [Fraction(start[key]) + own.breach * (Fraction(end[key]) - Fraction(start[key])) for key in start]
            on_the_way, gross = sum(steps, Fraction(0)), sum((abs(Fraction(value)) for value in start.values()), Fraction(0))
            assert abs(on_the_way) <= gross / 10**40
    breaches = [state.accounts[number].breach for number in state.order]
    assert breaches == sorted(breach for breach in breaches if breach is not None)


@LAWS
@given(portfolios(), shocks(), st.sampled_from(("*", "aave-v3")))
def test_a_frozen_oracle_changes_no_native_verdict(one: Portfolio, shock: Shock, protocol: str) -> None:
    from aggregator.risk.shock import Freeze

    view = look(one)
    frozen, moving = view.after(shock.then(Shock(frozen=frozenset({Freeze(protocol)})))), view.after(shock)
    for still, own, before in zip(frozen.accounts, moving.accounts, view.before.accounts, strict=True):
        assert (still.health, still.liquidatable) == (before.health, before.liquidatable)
        assert still.shadow_health == own.shadow_health and still.collateral_usd == own.collateral_usd
    assert frozen.equity_usd == moving.equity_usd and frozen.requirement == moving.requirement


@LAWS
@given(portfolios(), shocks(), st.sets(st.sampled_from(("eip155:1", "eip155:42161")), min_size=1))
def test_a_bridge_that_is_down_never_helps(one: Portfolio, shock: Shock, chains: set[str]) -> None:
    view = look(one)
    open_, down = view.after(shock), view.after(shock.then(Shock(bridges_down=frozenset(chains))))  # type: ignore[arg-type]
    assert open_.requirement is not None and down.requirement is not None
    assert down.requirement.transfer_aware >= open_.requirement.transfer_aware - 1e-6
    assert down.requirement.isolated == pytest.approx(open_.requirement.isolated)
    assert (down.trapped_collateral_usd or 0.0) >= (open_.trapped_collateral_usd or 0.0) - 1e-6
    assert down.equity_usd == open_.equity_usd and down.accounts == open_.accounts


@LAWS
@given(margin_account(), shocks())
def test_what_a_liquidation_takes_adds_up(one: MarginAccount, shock: Shock) -> None:
    state = look(portfolio([one])).after(shock)
    loss = state.accounts[0].loss
    if loss is None:
        assert state.expected_loss_usd in (0.0, None)
        return
    own, costs = state.accounts[0], LiquidationCosts()
    counted = float(own.collateral_usd)
    assert own.debt_usd is not None and 0.0 <= loss.repaid_usd <= float(own.debt_usd) * (1 + 1e-9)
    assert 0.0 <= loss.seized_usd <= counted * (1 + 1e-9)
    parts = loss.slippage_usd + loss.gas_usd + loss.builders_usd + loss.liquidator_usd
    assert loss.owner_usd == pytest.approx(parts, abs=1e-6) and loss.owner_usd >= -1e-6
    assert loss.gas_usd == pytest.approx(loss.steps * costs.gas(one.chain))
    assert loss.debt_left_usd + loss.repaid_usd == pytest.approx(float(own.debt_usd), rel=1e-6, abs=1e-6)
    assert 0.0 <= loss.bad_debt_usd <= loss.debt_left_usd + 1e-6
    assert loss.health_after is None or loss.health_after >= 1 - 1e-9 or loss.bad_debt_usd > 0 or loss.steps == 64
    assert state.expected_loss_usd == loss.owner_usd


@LAWS
@given(portfolios(), st.integers(-95, 0), st.integers(1, 40))
def test_a_deeper_fall_never_heals_whoever_owes_dollars_only(one: Portfolio, fall: int, more: int) -> None:
    view = look(one)
    less, deeper = (view.after(Shock({"ETH": 1 + Fraction(max(size, -100), 100)})) for size in (fall, fall - more))
    for account, a, b in zip(one.margin_accounts, less.accounts, deeper.accounts, strict=True):
        if all(leg.symbol in ("USDC", "DAI") for leg in account.legs if leg.side is Side.DEBT and leg.amount):
            assert not a.liquidatable or b.liquidatable
            assert a.shadow_health is None or b.shadow_health is None or b.shadow_health <= a.shadow_health
    assert deeper.collateral_usd <= less.collateral_usd


@LAWS
@given(portfolios(), shocks())
def test_the_same_shock_gives_the_same_bits(one: Portfolio, shock: Shock) -> None:
    first, second = look(one).after(shock), look(one).after(shock)
    assert isinstance(first, State) and first.accounts == second.accounts and first.requirement == second.requirement
