"""Nobody raises the score without lowering the risk: dust, loops, wash collateral, split debts, a chain that is not seen."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.engine.document import build_document
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Leg, MarginAccount
from aggregator.model.price import PriceSeries
from aggregator.model.snapshot import Gap
from aggregator.model.token import Token
from aggregator.risk.assessment import Assessment, assess
from aggregator.risk.outlook import Tier
from aggregator.risk.probability import HORIZONS
from tests.builders import (
    ARBITRUM,
    ETHEREUM,
    LINK,
    SPAM,
    USDC,
    WBTC,
    WETH,
    account,
    book,
    borrowed,
    portfolio,
    price,
    supplied,
    walk,
)
from tests.risk.strategies import QUICK, portfolios

LAWS = settings(max_examples=30, deadline=None)
HOURS = 24 * 40


def hourly(factor: str, daily: float, start: float, seed: int) -> PriceSeries:
    """Forty days of hourly prices that end where the chains were read."""
    series = walk(factor, daily, 40, 3600.0, start, seed)
    return PriceSeries(factor, series.timestamps - series.timestamps[-1] + 1_700_000_000, series.prices, "hourly")


HISTORY = (hourly("ETH", 0.03, 2000.0, 7), hourly("BTC", 0.025, 60_000.0, 8), walk("LINK", 0.05, 90, start=14.0, seed=9))
DEBTS = st.floats(6_000, 15_800)


def judged(one: Portfolio) -> Assessment:
    return assess(one, book(), HISTORY, QUICK)


def plain(debt: float, *more: Leg) -> MarginAccount:
    return account(supplied(WETH, 10), *more, borrowed(USDC, round(debt, 2)))


def safer(one: Portfolio, other: Portfolio) -> bool:
    """Whether the first looks safer than the second, beyond rounding, at any horizon or by its score."""
    first, second = judged(one), judged(other)
    assert first.probability is not None and second.probability is not None and first.score is not None and second.score is not None
    return first.score > second.score + 1e-6 or any(
        first.probability.any_account[name] < second.probability.any_account[name] - 1e-9 for name in HORIZONS
    )


@LAWS
@given(DEBTS, st.integers(1, 30), st.sampled_from([WETH, LINK, WBTC, USDC]))
def test_dust_accounts_never_raise_it(debt: float, count: int, one: Token) -> None:
    dust = [account(supplied(one, "0.0001"), market=f"dust-{number}") for number in range(count)]
    tiny = [account(supplied(one, "0.01"), borrowed(USDC, "0.000001"), market=f"tiny-{number}") for number in range(count)]
    before = portfolio([plain(debt)])
    assert not safer(portfolio([plain(debt), *dust]), before)
    assert not safer(portfolio([*tiny, plain(debt), *dust]), before)


@LAWS
@given(DEBTS, st.integers(1, 8), st.floats(0.5, 0.78), st.sampled_from(["WETH", "WBTC", "USDC"]))
def test_a_loop_of_lending_to_oneself_never_raises_it(debt: float, rounds: int, part: float, name: str) -> None:
    """Borrow and supply the same again, round after round: both sides grow, and what counts grows by less than what is owed."""
    token, unit = {"WETH": (WETH, 2000.0), "WBTC": (WBTC, 60_000.0), "USDC": (USDC, 1.0)}[name]
    room = max(16_000 - debt, 100.0)
    looped = sum(room / unit * part**number for number in range(1, rounds + 1))
    amount = f"{looped:.6f}"
    loop = account(supplied(WETH, 10), supplied(token, amount), borrowed(token, amount), borrowed(USDC, round(debt, 2)))
    assert not safer(portfolio([loop]), portfolio([plain(debt)]))
    beside = account(supplied(token, amount), borrowed(token, f"{0.7 * looped:.6f}"), market="loop")
    assert not safer(portfolio([plain(debt), beside]), portfolio([plain(debt)]))


@LAWS
@given(DEBTS, st.floats(1, 1e9))
def test_collateral_that_nobody_prices_never_raises_it(debt: float, amount: float) -> None:
    spam = supplied(SPAM, round(amount, 2))
    spam = replace(spam, terms=replace(spam.terms, oracle_value=None, oracle_price_usd=None) if spam.terms else None)
    washed = replace(plain(debt), positions=(replace(plain(debt).positions[0], legs=(*plain(debt).legs, spam)),))
    assert not safer(portfolio([washed]), portfolio([plain(debt)]))


@LAWS
@given(DEBTS, st.floats(0.05, 0.95), st.floats(0.0, 0.05))
def test_wash_collateral_in_place_of_real_one_never_raises_it(debt: float, share: float, wobble: float) -> None:
    """A token of one's own making, priced by whoever made it, with the quietest past there is."""
    quiet = hourly(SPAM.factor, wobble, 1.0, 3)
    prices = {**book(), SPAM.asset: price(SPAM, "1")}
    washed = account(
        supplied(WETH, f"{10 * (1 - share):.6f}"), supplied(SPAM, f"{20_000 * share:.6f}", usd="1"), borrowed(USDC, round(debt, 2))
    )
    found = assess(portfolio([washed], tokens=[SPAM]), prices, (*HISTORY, quiet), QUICK)
    before = judged(portfolio([plain(debt)]))
    assert found.probability is not None and before.probability is not None and found.score is not None and before.score is not None
    assert found.score <= before.score + 1e-6
    for name in HORIZONS:
        assert found.probability.any_account[name] >= before.probability.any_account[name] - 1e-9


@LAWS
@given(DEBTS, st.integers(2, 6))
def test_splitting_an_account_never_raises_it(debt: float, parts: int) -> None:
    split = [account(supplied(WETH, 10 / parts), borrowed(USDC, round(debt, 2) / parts), market=str(number)) for number in range(parts)]
    one, other = judged(portfolio(split)), judged(portfolio([plain(debt)]))
    assert one.probability is not None and other.probability is not None
    for name in HORIZONS:
        assert one.probability.any_account[name] >= other.probability.any_account[name] * (1 - 1e-6)


@LAWS
@given(DEBTS, st.floats(0.3, 0.95))
def test_a_chain_that_is_not_seen_never_raises_it(debt: float, there: float) -> None:
    hidden = account(supplied(WETH, 1, usd="2000"), borrowed(USDC, round(1600 * there, 2)), chain=ARBITRUM)
    whole = judged(portfolio([plain(debt), hidden]))
    assert whole.score is not None
    unseen = judged(portfolio([plain(debt)], unreachable=[ARBITRUM]))
    assert unseen.score is None and unseen.probability is None and unseen.basis is None
    half_read = judged(portfolio([plain(debt)], gaps=[Gap(ARBITRUM, "aave-v3", "the pool", "it could not be read")]))
    assert half_read.score is None
    assert "score-withheld" in {remark.code for remark in unseen.warnings} & {remark.code for remark in half_read.warnings}


@LAWS
@given(portfolios())
def test_any_account_lies_between_the_worst_one_and_the_sum(one: Portfolio) -> None:
    found = judged(one).probability
    if found is None or not found.accounts:
        return
    for name in HORIZONS:
        own = [chances[name] for chances in found.accounts.values()]
        assert max(own) - 1e-9 <= found.any_account[name] <= min(1.0, sum(own)) + 1e-9
    for chances in (*found.accounts.values(), found.any_account):
        assert 0 <= chances["1h"] <= chances["1d"] <= chances["7d"] <= 1


def test_accounts_on_both_sides_of_one_price_add_up_and_on_one_side_do_not() -> None:
    long, short = plain(14_000), account(supplied(USDC, 26_000), borrowed(WETH, 9), market="short")
    deeper = account(supplied(WETH, 10), borrowed(USDC, 13_500), market="deeper")
    chances = {}
    for name, accounts in (("long", [long]), ("short", [short]), ("both", [long, short]), ("same", [long, deeper])):
        found = judged(portfolio(accounts)).probability
        assert found is not None
        chances[name] = found.any_account["1d"]
    assert chances["both"] == pytest.approx(chances["long"] + chances["short"], rel=0.02)
    assert chances["same"] == pytest.approx(chances["long"], rel=1e-6)


def test_two_coins_that_move_together_are_less_than_their_sum() -> None:
    eth, btc = plain(14_800), account(supplied(WBTC, "0.5"), borrowed(USDC, 22_500), market="btc")
    random = np.random.default_rng(0)
    common = random.standard_normal(HOURS)
    times = np.asarray(1_700_000_000.0 - 3600.0 * np.arange(HOURS, -1, -1), dtype=np.float64)
    found = {}
    for name, share in (("together", 0.999), ("apart", 0.0)):
        histories = []
        for factor, start in (("ETH", 2000.0), ("BTC", 60_000.0)):
            steps = 0.006 * (share * common + (1 - share**2) ** 0.5 * random.standard_normal(HOURS))
            histories.append(PriceSeries(factor, times, start * np.exp(np.concatenate([[0.0], np.cumsum(steps)])), "hourly"))
        result = assess(portfolio([eth, btc]), book(), histories, QUICK).probability
        assert result is not None
        own = [one["1d"] for one in result.accounts.values()]
        found[name] = (result.any_account["1d"] - max(own)) / (sum(own) - max(own))
    assert found["together"] < found["apart"]
    assert found["apart"] < 1.0, "one tail for everything: even what is not correlated crashes together"


def test_the_document_says_what_the_score_stands_on() -> None:
    one = portfolio([plain(14_000), account(supplied(LINK, 1000), borrowed(USDC, 2_000), market="link")])
    prices = {**book(), LINK.asset: price(LINK, "14", age=900)}
    made = build_document(one, prices, assess(one, prices, HISTORY, QUICK)).health
    assert made.score is not None and made.liquidation_probability is not None and list(made.liquidation_probability) == ["1h", "1d", "7d"]
    basis = made.score_basis
    assert basis is not None and basis.driver == "aave-v3 core on eip155:1" and basis.oldest_input_age_seconds == 900
    assert basis.histories == {"ETH": "hourly", "LINK": "daily", "USDC": "class"}
    assert Decimal(made.liquidation_probability["1h"]) < Decimal(made.liquidation_probability["1d"])


def test_whoever_owes_nothing_has_no_driver() -> None:
    made = judged(portfolio([account(supplied(WETH, 10))]))
    assert made.score == 100.0 and made.basis is not None
    assert (made.basis.driver, made.basis.oldest_input_seconds, made.basis.tiers) == (None, None, {})


def test_an_unknown_token_stands_on_its_class_whatever_its_past() -> None:
    quiet = hourly(SPAM.factor, 0.0001, 1.0, 3)
    washed = account(supplied(SPAM, 20_000, usd="1"), borrowed(USDC, 14_000))
    prices = {**book(), SPAM.asset: price(SPAM, "1")}
    found = assess(portfolio([washed], tokens=[SPAM], chains=[ETHEREUM]), prices, (quiet,), QUICK)
    assert found.basis is not None and found.basis.tiers[SPAM.factor] is Tier.CLASS
