"""Missing can only make a portfolio look worse: which figures stand, and which are withheld."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aggregator.model.portfolio import Portfolio
from aggregator.model.price import PriceQuality
from aggregator.model.snapshot import Gap
from aggregator.risk.assessment import Assessment, assess
from aggregator.risk.policy import Policy
from tests.builders import (
    ARBITRUM,
    ETHEREUM,
    LINK,
    SPAM,
    USDC,
    WETH,
    account,
    book,
    borrowed,
    leg,
    portfolio,
    price,
    supplied,
    wallet,
)
from tests.risk.strategies import QUICK

ACCOUNT = account(supplied(WETH, 10), borrowed(USDC, 9000))
WALLET = wallet(leg(WETH, 1), leg(LINK, 10))
WITHHELD = ("debt_usd", "equity_usd", "requirement", "trapped_collateral_usd", "margin_ratio", "comparison")


def judged(one: Portfolio, prices: object = None, policy: Policy = QUICK) -> Assessment:
    return assess(one, prices or book(), (), policy)  # type: ignore[arg-type]


def codes(result: Assessment) -> set[str]:
    return {remark.code for remark in result.warnings}


def withheld(result: Assessment) -> set[str]:
    return {name for name in WITHHELD if getattr(result, name) is None}


def test_a_complete_picture_withholds_nothing() -> None:
    result = judged(portfolio([ACCOUNT], WALLET))
    assert withheld(result) == set() and result.score is not None
    assert result.coverage.complete and result.missing == ()


def test_unpriced_spam_adds_a_gap_and_no_value() -> None:
    clean, spammed = judged(portfolio([ACCOUNT], WALLET)), judged(portfolio([ACCOUNT], [*WALLET, *wallet(leg(SPAM, 10**12))]))
    assert withheld(spammed) == set()
    assert spammed.equity_usd == clean.equity_usd and spammed.score == clean.score
    assert spammed.requirement == clean.requirement
    assert [gap.protocol for gap in spammed.missing] == ["wallet"]
    assert SPAM.asset in spammed.missing[0].what and spammed.missing[0].why == "no price source"
    assert "assets-unpriced" in codes(spammed) and not spammed.coverage.complete


def test_unpriced_collateral_makes_lower_bounds() -> None:
    full, less = judged(portfolio([ACCOUNT], WALLET)), judged(portfolio([ACCOUNT], WALLET), book({LINK: None}))
    assert withheld(less) == {"margin_ratio"} and "ratio-withheld" in codes(less)
    assert full.equity_usd is not None and less.equity_usd is not None
    assert full.equity_usd - less.equity_usd == 150
    assert less.collateral_after_haircuts_usd < full.collateral_after_haircuts_usd
    # the protocol's own values still tell how close a liquidation is
    assert less.score == pytest.approx(full.score)


def test_only_what_somebody_listed_withholds_the_ratio() -> None:
    """A risky asset left out may raise the ratio; a stranger's token must not be able to blank it."""
    for vouched in (True, False):
        gaps = [Gap(ETHEREUM, "wallet", "balance of XYZ", "out-of-gas", vouched)]
        result = judged(portfolio([ACCOUNT], WALLET, gaps=gaps))
        assert (result.margin_ratio is None) is vouched
        assert result.equity_usd is not None and result.score is not None


def test_an_unpriced_debt_withholds_what_needs_it() -> None:
    result = judged(portfolio([ACCOUNT], WALLET), book({USDC: None}))
    assert withheld(result) == set(WITHHELD)
    assert result.collateral_usd == 22_150
    assert result.accounts[0].debt_usd is None and result.accounts[0].shadow_health is None
    assert "debt-unpriced" in codes(result)
    # the protocol's oracle values the debt, so the chance of a liquidation is still known
    assert result.score is not None


def test_a_debt_that_nobody_values_withholds_the_score_too() -> None:
    legs = (supplied(WETH, 10), replace(borrowed(USDC, 9000), terms=None))
    result = judged(portfolio([replace(ACCOUNT, positions=(replace(ACCOUNT.positions[0], legs=legs),))]), book({USDC: None}))
    assert result.score is None and result.probability is None
    assert "score-withheld" in codes(result)


def test_an_unreachable_chain_withholds_what_needs_its_debts() -> None:
    result = judged(portfolio([ACCOUNT], WALLET, unreachable=[ARBITRUM]))
    assert withheld(result) == set(WITHHELD)
    assert result.score is None
    assert result.collateral_usd > 0
    assert {gap.chain for gap in result.missing} == {ARBITRUM}
    assert "chain-unreachable" in codes(result)
    assert not result.coverage.nothing_read
    assert judged(portfolio(unreachable=[ETHEREUM, ARBITRUM])).coverage.nothing_read


def test_an_unreachable_chain_is_named_once() -> None:
    named = Gap(ARBITRUM, "*", "everything on this chain", "refused")
    assert judged(portfolio(unreachable=[ARBITRUM], gaps=[named])).missing == (named,)


@pytest.mark.parametrize(
    ("protocol", "hides"),
    [("aave-v3", True), ("morpho-blue", True), ("wallet", False), ("prices", False), ("uniswap-v3", False)],
)
def test_a_gap_withholds_only_where_a_debt_could_hide(protocol: str, hides: bool) -> None:
    policy = replace(QUICK, debt_free_protocols=QUICK.debt_free_protocols | {"uniswap-v3"})
    result = judged(portfolio([ACCOUNT], WALLET, gaps=[Gap(ETHEREUM, protocol, "something", "reverted")]), policy=policy)
    assert (withheld(result) == set(WITHHELD)) is hides
    assert (result.score is None) is hides
    assert ("debt-unknown" in codes(result)) is hides
    assert ("assets-unknown" in codes(result)) is (protocol != "prices")
    assert not result.coverage.complete


def test_an_unknown_protocol_is_taken_to_hide_debts() -> None:
    assert withheld(judged(portfolio(gaps=[Gap(ETHEREUM, "never-heard-of", "everything", "reverted")]))) == set(WITHHELD)


def test_an_account_whose_health_was_not_read_withholds() -> None:
    unread = account(supplied(WETH, 10), borrowed(USDC, 9000), health_known=False)
    result = judged(portfolio([unread]))
    assert withheld(result) == set(WITHHELD) and result.score is None
    assert [gap.protocol for gap in result.missing] == ["aave-v3"]
    named = Gap(ETHEREUM, "aave-v3", "account data", "out-of-gas")
    assert judged(portfolio([unread], gaps=[named])).missing == (named,)


@pytest.mark.parametrize("quality", [PriceQuality.BOUNDED, PriceQuality.MISSING])
def test_a_price_that_is_not_believed_counts_as_none(quality: PriceQuality) -> None:
    odd = {**book(), LINK.asset: replace(price(LINK, "15", quality), detail="stuck at the feed's minimum")}
    result = judged(portfolio([ACCOUNT], WALLET), odd)
    assert [gap.why for gap in result.missing] == ["stuck at the feed's minimum"]
    assert result.equity_usd == 20_000 + 2000 - 9000


def test_a_stale_price_is_used() -> None:
    stale = {**book(), LINK.asset: price(LINK, "15", PriceQuality.STALE, width="0.1", age=90_000)}
    result = judged(portfolio([ACCOUNT], WALLET), stale)
    assert result.coverage.complete
    assert result.equity_usd == 20_000 + 2150 - 9000


def test_assumed_volatilities_are_named() -> None:
    assert "volatility-assumed" in codes(judged(portfolio([ACCOUNT], WALLET)))


def test_missing_never_looks_calmer() -> None:
    """Whatever is taken away, no figure that stays gets better."""
    full = judged(portfolio([ACCOUNT], WALLET))
    for taken in (book({LINK: None}), book({USDC: None}), book({WETH: None}), {}):
        less = judged(portfolio([ACCOUNT], WALLET), taken or {WETH.asset: price(WETH, None)})
        assert less.collateral_usd <= full.collateral_usd
        assert less.equity_usd is None or (full.equity_usd is not None and less.equity_usd <= full.equity_usd)
        assert less.score is None or (full.score is not None and less.score <= full.score + 1e-9)
        assert less.accounts[0].shadow_health is None or full.accounts[0].shadow_health is not None
        if less.accounts[0].shadow_health is not None and full.accounts[0].shadow_health is not None:
            assert less.accounts[0].shadow_health <= full.accounts[0].shadow_health


def test_an_account_that_only_its_oracle_keeps_alive_is_named() -> None:
    result = judged(portfolio([ACCOUNT]), book({WETH: "1000"}))
    remark = next(remark for remark in result.warnings if remark.code == "unhealthy-at-market")
    assert "0.8889" in remark.detail and "aave-v3 core" in remark.detail
    assert "unhealthy-at-market" not in codes(judged(portfolio([ACCOUNT])))
