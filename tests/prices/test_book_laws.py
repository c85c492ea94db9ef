"""Laws of the price book that hold whatever feeds say."""

from __future__ import annotations

import random
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.composition import Composition
from aggregator.model.price import PriceBook, PriceQuality
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswer, FeedAnswers, Sequencer
from aggregator.prices.book import price_book
from aggregator.prices.feeds import FeedKind
from aggregator.reading.adapter import OracleQuote
from tests.prices.kit import ARBITRUM, ETHEREUM, address, answered, block, feed, listed, made_of, stranger

CHAINS = (ETHEREUM, ARBITRUM)
TOKENS: tuple[Token, ...] = (
    *(listed(symbol) for symbol in ("ETH", "WETH", "stETH", "wstETH", "USDC", "DAI", "WBTC", "cbBTC", "USTB", "sUSDe", "PAXG", "XAUt")),
    *(listed(symbol, ARBITRUM) for symbol in ("WETH", "wstETH", "USDC", "USDC.e", "WBTC")),
    stranger("pair", 1, kind=TokenKind.PAIR),
    stranger("vault", 2, kind=TokenKind.VAULT),
    stranger("USDC", 3),
)
PAIR, VAULT = TOKENS[-3], TOKENS[-2]
COMPOSITIONS: tuple[Composition, ...] = (
    made_of(listed("wstETH"), 10**18, [(listed("stETH"), 12 * 10**17)], "rate"),
    made_of(listed("stETH"), 1, [(listed("ETH"), 1)], "pegged"),
    made_of(PAIR, 10**18, [(listed("WETH"), 10**18), (listed("USDC"), 2_500 * 10**6)], "pair"),
    made_of(VAULT, 10**18, [(PAIR, 10**18), (listed("DAI"), 10**18)]),
)
PAIRS = (
    ("ETH", "USD", FeedKind.MARKET),
    ("BTC", "USD", FeedKind.MARKET),
    ("stETH", "USD", FeedKind.MARKET),
    ("stETH", "ETH", FeedKind.MARKET),
    ("wstETH", "stETH", FeedKind.EXCHANGE_RATE),
    ("USDC", "USD", FeedKind.MARKET),
    ("DAI", "USD", FeedKind.MARKET),
    ("WBTC", "BTC", FeedKind.MARKET),
    ("USTB", "USD", FeedKind.NAV),
    ("XAU", "USD", FeedKind.MARKET),
)


@st.composite
def feed_answers(draw: st.DrawFn) -> FeedAnswer:
    chain = draw(st.sampled_from(CHAINS))
    base, quote, kind = draw(st.sampled_from(PAIRS))
    one = feed(base, quote, number=draw(st.integers(1, 40)), kind=kind)
    down = draw(st.booleans())
    return answered(
        one,
        str(draw(st.decimals("-1", "100000", places=4))),
        age=draw(st.integers(-100, 10**6)),
        chain=chain,
        bounds=draw(st.none() | st.just((1, 10**12))),
        sequencer=Sequencer(trouble="the sequencer is down") if down and chain == ARBITRUM else Sequencer(),
    )


def together(feeds: list[FeedAnswer]) -> list[FeedAnswers]:
    """Answers by the chain in their source, one feed an address; chains without an estimate go to Ethereum."""
    by_chain: dict[str, dict[str, FeedAnswer]] = {chain: {} for chain in CHAINS}
    for one in feeds:
        on_arbitrum = one.estimate is not None and ARBITRUM in one.estimate.sources[0]
        by_chain[ARBITRUM if on_arbitrum else ETHEREUM][one.feed.address] = one
    return [FeedAnswers(chain, block(), tuple(by_chain[chain].values())) for chain in CHAINS]


QUOTES = st.lists(
    st.builds(
        OracleQuote,
        st.sampled_from([token.asset for token in TOKENS]),
        st.decimals("-1", "100000", places=4),
        st.sampled_from(["aave-v3", "morpho-blue"]),
        st.integers(1, 50).map(address),
        st.none() | st.integers(1, 40).map(address),
    ),
    max_size=4,
)


def book_of(feeds: list[FeedAnswer], quotes: list[OracleQuote], compositions: tuple[Composition, ...] = COMPOSITIONS) -> PriceBook:
    return price_book(TOKENS, together(feeds), compositions, quotes)


@settings(max_examples=200)
@given(st.lists(feed_answers(), max_size=10), QUOTES)
def test_every_price_is_whole_or_missing_with_reasons(feeds: list[FeedAnswer], quotes: list[OracleQuote]) -> None:
    book = book_of(feeds, quotes)
    assert set(book) == {token.asset for token in TOKENS}
    for price in book.values():
        assert 0.0 <= price.confidence <= 1.0
        if price.quality is PriceQuality.MISSING:
            assert (price.value, price.low, price.high, price.age_seconds, price.sources) == (None, None, None, None, ())
            assert price.detail and price.confidence == 0
            continue
        assert price.value is not None and price.low is not None and price.high is not None
        assert 0 <= price.low <= price.value <= price.high and price.value > 0
        assert price.sources
        if price.quality is not PriceQuality.FRESH:
            assert price.detail and price.confidence <= 0.5


@settings(max_examples=100)
@given(st.lists(feed_answers(), max_size=10), QUOTES)
def test_nothing_fresh_stands_on_stale_sources(feeds: list[FeedAnswer], quotes: list[OracleQuote]) -> None:
    stale = {
        source
        for answers in together(feeds)
        for one in answers.feeds
        if one.estimate is not None and one.estimate.quality is not PriceQuality.FRESH
        for source in one.estimate.sources
    }
    for price in book_of(feeds, quotes).values():
        if price.quality is PriceQuality.FRESH:
            assert not stale & set(price.sources)


@settings(max_examples=100)
@given(st.lists(feed_answers(), max_size=10), QUOTES, st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_is_of_no_matter(feeds: list[FeedAnswer], quotes: list[OracleQuote], chance: random.Random) -> None:
    answers = together(feeds)
    first = price_book(TOKENS, answers, COMPOSITIONS, quotes)

    def shuffled(items: list[object]) -> list[object]:
        return chance.sample(items, len(items))

    again = price_book(
        shuffled(list(TOKENS)),  # type: ignore[arg-type]
        shuffled([FeedAnswers(a.chain, a.block, tuple(shuffled(list(a.feeds)))) for a in answers]),  # type: ignore[arg-type]
        shuffled(list(COMPOSITIONS)),  # type: ignore[arg-type]
        shuffled(list(quotes)),  # type: ignore[arg-type]
    )
    assert dict(first) == dict(again)


@given(st.sampled_from(TOKENS))
def test_without_sources_there_is_no_price_and_never_a_silent_one(token: Token) -> None:
    price = price_book([token], together([]), COMPOSITIONS)[token.asset]
    assert price.quality is PriceQuality.MISSING and price.value is None and price.detail


@given(st.decimals("0.0001", "100000", places=4), st.decimals("0.5", "2", places=4))
def test_a_claim_never_exceeds_what_it_redeems_for_nor_its_market(eth: Decimal, ratio: Decimal) -> None:
    steth = listed("stETH")
    answers = together([answered(feed("ETH", number=1), str(eth)), answered(feed("stETH", "ETH", number=2), str(ratio))])
    value = price_book([steth], answers, COMPOSITIONS)[steth.asset].value
    assert value == min(eth, eth * ratio)
