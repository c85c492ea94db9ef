"""One price a token: the order of preference, and what is said when nothing is good enough."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.model.price import Price, PriceQuality
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswer, Sequencer
from aggregator.prices.book import feed_remarks, price_book, price_remarks
from aggregator.prices.feeds import FeedKind
from aggregator.reading.adapter import OracleQuote
from tests.prices.kit import (
    ARBITRUM,
    BASE,
    ETHEREUM,
    address,
    answered,
    chain_answers,
    feed,
    listed,
    made_of,
    stranger,
)

ETH_USD = answered(feed("ETH"), "2500")
BTC_USD = answered(feed("BTC"), "100000")
USDC_USD = answered(feed("USDC", heartbeat=86_400, deviation="0.0025", volatility="0.05"), "0.9995")
ORACLE = address(0xACE)


def price(token: Token, *feeds: FeedAnswer, **named: object) -> Price:
    """Price of a token from feeds on Ethereum."""
    return price_book([token], [chain_answers(*feeds)], **named)[token.asset]  # type: ignore[arg-type]


def test_a_direct_feed_comes_first() -> None:
    weth = listed("WETH")
    found = price(weth, ETH_USD, quotes=[OracleQuote(weth.asset, Decimal(2501), "aave-v3", ORACLE)])
    assert (found.value, found.age_seconds, found.quality, found.confidence) == (Decimal(2500), 60, PriceQuality.FRESH, 0.95)
    assert found.sources == ETH_USD.estimate.sources if ETH_USD.estimate else False
    assert price(listed("ETH"), ETH_USD).value == 2500


def test_a_feed_in_another_unit_is_multiplied() -> None:
    ldo = listed("LDO")
    found = price(ldo, ETH_USD, answered(feed("LDO", "ETH"), "0.0004", age=300))
    assert found.value == 1
    assert found.age_seconds == 300
    assert len(found.sources) == 2
    assert found.low == Decimal("0.995") ** 2 and found.high == Decimal("1.005") ** 2


def test_a_stablecoin_is_never_assumed_to_be_worth_one() -> None:
    usdc, dai = listed("USDC"), listed("DAI")
    assert price(usdc, USDC_USD).value == Decimal("0.9995")
    missing = price(dai, ETH_USD, USDC_USD)
    assert (missing.value, missing.low, missing.high, missing.quality) == (None, None, None, PriceQuality.MISSING)
    assert "DAI" in missing.detail and missing.confidence == 0


def test_wrapped_bitcoin_through_its_own_feed_or_by_a_named_assumption() -> None:
    wbtc = listed("WBTC")
    own = price(wbtc, BTC_USD, answered(feed("WBTC", "BTC"), "0.997"))
    assert own.value == 99_700
    assumed = price(wbtc, BTC_USD)
    assert assumed.value == 100_000
    assert "assumes that one WBTC is worth one BTC" in assumed.detail
    assert assumed.confidence < own.confidence


def test_a_stale_peg_is_not_replaced_by_the_assumption_of_a_peg() -> None:
    found = price(listed("WBTC"), BTC_USD, answered(feed("WBTC", "BTC", heartbeat=86_400), "0.9", age=10 * 86_400))
    assert (found.value, found.quality) == (Decimal(90_000), PriceQuality.STALE)


def test_bridged_tokens_follow_their_factor_by_name() -> None:
    bridged = listed("USDC.e", ARBITRUM)
    book = price_book([bridged], [chain_answers(answered(feed("USDC"), "0.999", chain=ARBITRUM), chain=ARBITRUM)])
    assert book[bridged.asset].value == Decimal("0.999")
    assert "assumes that one USDC.e is worth one USDC" in book[bridged.asset].detail


def test_a_claim_is_worth_the_lower_of_market_and_rate() -> None:
    wsteth, steth, eth = listed("wstETH"), listed("stETH"), listed("ETH")
    rate = [made_of(wsteth, 10**18, [(steth, 12 * 10**17)], "rate"), made_of(steth, 1, [(eth, 1)], "pegged")]
    at_par = price(wsteth, ETH_USD, answered(feed("stETH", "ETH"), "1"), compositions=rate)
    assert at_par.value == 3_000
    discounted = price(wsteth, ETH_USD, answered(feed("stETH", "ETH"), "0.95"), compositions=rate)
    assert discounted.value == 3_000 * Decimal("0.95")
    assert discounted.high is not None and discounted.high > 3_000
    premium = price(wsteth, ETH_USD, answered(feed("stETH", "ETH"), "1.02"), compositions=rate)
    assert premium.value == 3_000
    assert any("composition" in source for source in premium.sources) and any("stETH/ETH" in source for source in premium.sources)


def test_an_exchange_rate_feed_stands_in_for_the_composition() -> None:
    wsteth = listed("wstETH", ARBITRUM)
    answers = chain_answers(
        answered(feed("ETH"), "2500", chain=ARBITRUM),
        answered(feed("stETH", "ETH"), "0.999", chain=ARBITRUM),
        answered(feed("wstETH", "stETH", kind=FeedKind.EXCHANGE_RATE), "1.2", chain=ARBITRUM),
        chain=ARBITRUM,
    )
    assert price_book([wsteth], [answers])[wsteth.asset].value == Decimal(3000) * Decimal("0.999")


def test_a_fund_by_its_net_asset_value() -> None:
    ustb = listed("USTB")
    nav = answered(feed("USTB", kind=FeedKind.NAV, heartbeat=95_400, deviation="0", volatility="0.02"), "10.91", age=30 * 3_600)
    found = price(ustb, nav)
    assert (found.value, found.age_seconds, found.quality) == (Decimal("10.91"), 30 * 3_600, PriceQuality.FRESH)
    assert "nav" in found.sources[0]


def test_a_protocol_oracle_is_used_when_nothing_else_is_and_says_so() -> None:
    crv = listed("CRV")
    found = price(crv, ETH_USD, quotes=[OracleQuote(crv.asset, Decimal("0.75"), "aave-v3", ORACLE)])
    assert (found.value, found.age_seconds, found.confidence) == (Decimal("0.75"), None, 0.6)
    assert "aave-v3" in found.sources[0] and "states no time" in found.detail
    assert found.low is not None and found.low < Decimal("0.75")


def test_a_quote_from_a_stale_feed_is_stale() -> None:
    crv = listed("CRV")
    behind = answered(feed("SNX", number=77), "0.75", age=50_000)
    found = price(crv, behind, quotes=[OracleQuote(crv.asset, Decimal("0.75"), "aave-v3", ORACLE, source=behind.feed.address)])
    assert (found.value, found.quality, found.age_seconds) == (Decimal("0.75"), PriceQuality.STALE, 50_000)


def test_an_undated_quote_does_not_freshen_a_stale_feed() -> None:
    weth = listed("WETH")
    stale = answered(feed("ETH"), "3000", age=40_000)
    found = price(weth, stale, quotes=[OracleQuote(weth.asset, Decimal(3000), "aave-v3", ORACLE)])
    assert (found.quality, found.value) == (PriceQuality.STALE, Decimal(3000))
    assert "stale" in found.detail


def test_a_diverging_oracle_is_named_and_widens() -> None:
    weth = listed("WETH")
    agreeing = price(weth, ETH_USD, quotes=[OracleQuote(weth.asset, Decimal(2510), "aave-v3", ORACLE)])
    assert agreeing.detail == ""
    found = price(weth, ETH_USD, quotes=[OracleQuote(weth.asset, Decimal(2000), "aave-v3", ORACLE)])
    assert (found.value, found.low) == (Decimal(2500), Decimal(2000))
    assert "-20.00 %" in found.detail and found.confidence < 0.95


def test_a_fresh_price_elsewhere_goes_before_a_stale_one_here_and_both_are_named() -> None:
    weth = listed("WETH", ARBITRUM)
    here = chain_answers(answered(feed("ETH"), "3000", age=50_000, chain=ARBITRUM), chain=ARBITRUM)
    found = price_book([weth], [here, chain_answers(ETH_USD)])[weth.asset]
    assert (found.value, found.quality) == (Decimal(2500), PriceQuality.FRESH)
    assert "taken from eip155:1" in found.detail and "passed over" in found.detail and "stale" in found.detail
    alone = price_book([weth], [here])[weth.asset]
    assert (alone.value, alone.quality) == (Decimal(3000), PriceQuality.STALE)


def test_a_listed_token_is_priced_by_its_twin_elsewhere() -> None:
    base, home = listed("wstETH", BASE), listed("wstETH")
    rate = made_of(home, 10**18, [(listed("stETH"), 12 * 10**17)], "rate")
    answers = [chain_answers(ETH_USD, answered(feed("stETH", "ETH"), "1")), chain_answers(chain=BASE)]
    found = price_book([base], answers, [rate])[base.asset]
    assert found.value == 3_000
    assert "taken from eip155:1" in found.detail and found.confidence < 0.8


def test_prices_of_a_stopped_rollup_are_stale() -> None:
    weth = listed("WETH", ARBITRUM)
    stopped = answered(feed("ETH"), "2500", chain=ARBITRUM, sequencer=Sequencer(trouble="the sequencer is down"))
    found = price_book([weth], [chain_answers(stopped, chain=ARBITRUM)])[weth.asset]
    assert found.quality is PriceQuality.STALE
    assert "the sequencer is down" in found.detail
    (remark,) = price_remarks({weth.asset: found})
    assert remark.code == "price-stale"


def test_a_bounded_answer_gives_way_to_anything_else() -> None:
    weth = listed("WETH")
    bounded = answered(feed("ETH"), "2500", bounds=(2500 * 10**8, 10**20))
    assert price(weth, bounded).quality is PriceQuality.BOUNDED
    found = price(weth, bounded, quotes=[OracleQuote(weth.asset, Decimal(100), "aave-v3", ORACLE)])
    assert (found.value, found.quality) == (Decimal(100), PriceQuality.FRESH)
    assert "stands at the aggregator's minimum" in found.detail


def test_vault_shares_nested_and_missing_parts_named() -> None:
    outer, inner = stranger("outer", 1, kind=TokenKind.VAULT), stranger("inner", 2, kind=TokenKind.VAULT)
    nested = [made_of(outer, 100, [(inner, 110)]), made_of(inner, 10**18, [(listed("USDC"), 2 * 10**6)])]
    assert price(outer, USDC_USD, compositions=nested).value == Decimal("1.1") * 2 * Decimal("0.9995")
    missing = price(outer, ETH_USD, compositions=nested)
    assert missing.quality is PriceQuality.MISSING
    assert "outer holds inner" in missing.detail and "USDC" in missing.detail


def test_a_cycle_of_tokens_has_no_price() -> None:
    a, b = stranger("a", 1, kind=TokenKind.VAULT), stranger("b", 2, kind=TokenKind.VAULT)
    found = price(a, USDC_USD, compositions=[made_of(a, 1, [(b, 1)]), made_of(b, 1, [(a, 1)])])
    assert found.quality is PriceQuality.MISSING
    assert "made of itself" in found.detail


@pytest.mark.parametrize("symbol", ["USDC", "WETH", "ETH", "wstETH"])
def test_a_strangers_symbol_means_nothing(symbol: str) -> None:
    found = price(stranger(symbol, 666), ETH_USD, USDC_USD, answered(feed("wstETH"), "3000"))
    assert found.quality is PriceQuality.MISSING


def test_remarks_name_stale_feeds_of_what_is_held() -> None:
    stale = answered(feed("ETH"), "2500", age=50_000)
    answers = chain_answers(stale, answered(feed("CRV"), "1", age=50_000))
    remarks = feed_remarks(answers, [listed("wstETH")])
    assert [remark.code for remark in remarks] == ["feed-stale"]
    assert "ETH/USD" in remarks[0].detail
    assert feed_remarks(answers, [listed("WETH", ARBITRUM)]) == ()
    assert feed_remarks(chain_answers(ETH_USD, chain=ETHEREUM), [listed("WETH")]) == ()
