"""One price a token: the room's answer to the engine, and the remarks that go with it."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from aggregator.model.composition import Composition
from aggregator.model.identifiers import asset_chain
from aggregator.model.price import PriceBook, PriceQuality
from aggregator.model.snapshot import Remark
from aggregator.model.token import Token
from aggregator.prices.answers import FeedAnswers
from aggregator.prices.estimate import exact
from aggregator.prices.pricer import Pricer
from aggregator.reading.adapter import OracleQuote
from aggregator.reading.registry import Registry, registry


@exact
def price_book(
    tokens: Iterable[Token],
    answers: Iterable[FeedAnswers],
    compositions: Iterable[Composition] = (),
    quotes: Iterable[OracleQuote] = (),
    listed: Registry | None = None,
) -> PriceBook:
    """One `Price` for every token, whole tokens in USD.

    `answers`: one a chain that was read. The same inputs in any order give the same book. A token that the registry does not list and
    whose source is `discovered` is never priced by its symbol. `listed` None: the shipped registry.
    """
    pricer = Pricer(answers, compositions, quotes, listed if listed is not None else registry())
    wanted = {token.asset: token for token in tokens}
    pricer.know(wanted.values())
    return MappingProxyType({asset: pricer.price(wanted[asset]) for asset in sorted(wanted)})


def price_remarks(book: PriceBook) -> tuple[Remark, ...]:
    """What has to be said about a book's prices: `price-stale`, `price-bounded`, `price-missing`, and `price-note` for the rest."""
    code = {PriceQuality.FRESH: "price-note"}
    return tuple(
        sorted(
            Remark(code.get(price.quality, f"price-{price.quality.value}"), f"{price.asset}: {price.detail}")
            for price in book.values()
            if price.quality is not PriceQuality.FRESH or price.detail
        )
    )


def feed_remarks(answers: FeedAnswers, tokens: Iterable[Token]) -> tuple[Remark, ...]:
    """`feed-stale` and `feed-bounded` for the feeds on this chain whose base is the symbol or the factor of one of `tokens`."""
    names = {name for token in tokens if asset_chain(token.asset) == answers.chain for name in (token.symbol, token.factor)}
    return tuple(
        sorted(
            {
                Remark(f"feed-{answer.estimate.quality.value}", note)
                for answer in answers.feeds
                if answer.estimate is not None and answer.estimate.quality is not PriceQuality.FRESH and answer.feed.base in names
                for note in answer.estimate.notes
            }
        )
    )
