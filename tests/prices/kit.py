"""Feeds, answers and tokens for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aggregator.model.composition import Composition, Part
from aggregator.model.identifiers import Address, AssetId, ChainId, erc20
from aggregator.model.snapshot import Block
from aggregator.model.token import Token, TokenKind
from aggregator.prices.answers import FeedAnswer, FeedAnswers, Round, Sequencer, judge_round
from aggregator.prices.feeds import Cadence, Feed, FeedKind, FeedShape
from aggregator.reading.registry import registry

ETHEREUM, ARBITRUM, BASE = ChainId("eip155:1"), ChainId("eip155:42161"), ChainId("eip155:8453")
NOW = 1_770_000_000
"""a Monday, 02:40 UTC"""


def block(timestamp: int = NOW) -> Block:
    return Block(25_000_000, "0x" + "5a" * 32, timestamp)


def address(number: int) -> Address:
    return Address(f"0x{number:040x}")


def feed(
    base: str,
    quote: str = "USD",
    number: int = 0,
    kind: FeedKind = FeedKind.MARKET,
    heartbeat: int = 3_600,
    deviation: str = "0.005",
    volatility: str = "0.8",
    shape: FeedShape = FeedShape.AGGREGATOR,
    cadence: Cadence = Cadence.DIRECTORY,
) -> Feed:
    where = address(number or sum(ord(c) * 131**i for i, c in enumerate(f"{base}/{quote}/{kind}")) % 10**9)
    return Feed(
        address=where,
        base=base,
        quote=quote,
        kind=kind,
        shape=shape,
        heartbeat_seconds=heartbeat,
        cadence=cadence,
        deviation=Decimal(deviation),
        volatility=Decimal(volatility),
        source="test",
    )


def round_of(answer: int, age: int = 60, now: int = NOW, round_id: int = 10) -> Round:
    return Round(round_id, answer, now - age, now - age, round_id)


def answered(
    one: Feed,
    value: str,
    age: int = 60,
    chain: ChainId = ETHEREUM,
    bounds: tuple[int, int] | None = None,
    sequencer: Sequencer | None = None,
    now: int = NOW,
) -> FeedAnswer:
    """A feed's answer with 8 decimals, judged as the reader judges it."""
    latest = round_of(int(Decimal(value).scaleb(8)), age, now)
    judged = judge_round(one, latest, 8, bounds, block(now), sequencer or Sequencer(), chain)
    if isinstance(judged, str):
        return FeedAnswer(one, None, judged, decimals=8, round=latest)
    return FeedAnswer(one, judged, decimals=8, round=latest)


def chain_answers(*feeds: FeedAnswer, chain: ChainId = ETHEREUM) -> FeedAnswers:
    return FeedAnswers(chain, block(), feeds)


def listed(symbol: str, chain: ChainId = ETHEREUM) -> Token:
    """A token of the shipped registry, or a native currency."""
    native = registry().native(chain)
    return native if native.symbol == symbol else next(t for t in registry().tokens(chain).values() if t.symbol == symbol)


def stranger(symbol: str, number: int, chain: ChainId = ETHEREUM, kind: TokenKind = TokenKind.UNKNOWN, decimals: int = 18) -> Token:
    """A token that only the chain told of."""
    asset = erc20(chain, address(number))
    return Token(asset, symbol, decimals, kind, asset, "discovered")


def made_of(token: Token, denominator: int, parts: Sequence[tuple[Token, int]], kind: str = "vault") -> Composition:
    return Composition(token.asset, denominator, tuple(Part(p.asset, p.symbol, p.decimals, n) for p, n in parts), kind)


def assets(*tokens: Token) -> set[AssetId]:
    return {token.asset for token in tokens}
