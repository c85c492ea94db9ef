"""Which price feeds there are on each chain, as data: `feeds/<chain>.yaml`, each with where its address was taken from."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from aggregator.model.errors import ConfigurationError
from aggregator.model.identifiers import Address, ChainId, checksum
from aggregator.reading.data import Caip2, Data, QuotedAddress, load_data

DATA_FOLDER = Path(__file__).with_name("feeds")

USD = "USD"


def _fraction(value: Any) -> Decimal:
    if not isinstance(value, str | Decimal):
        raise ValueError('a decimal in quotes, such as "0.005"')
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError('a decimal in quotes, such as "0.005"') from None
    if not number.is_finite() or number < 0:
        raise ValueError("a decimal that is not negative")
    return number


Fraction = Annotated[Decimal, BeforeValidator(_fraction)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class FeedKind(StrEnum):
    """What the answer is."""

    MARKET = "market"
    """where base trades against quote"""
    EXCHANGE_RATE = "exchange-rate"
    """what the protocol behind base redeems it for, whatever the market says"""
    NAV = "nav"
    """net asset value of a fund share, written on business days"""


class FeedShape(StrEnum):
    """How it is asked."""

    AGGREGATOR = "aggregator"
    """Chainlink's `latestRoundData()`, `decimals()`, `getRoundData(uint80)`"""
    PRICE_DATA = "price-data"
    """`getPriceData()(price, timestamp)`, 1e18"""
    ASSET_PRICE = "asset-price"
    """`getAssetPrice(asset)`, 1e18, without a time"""


class Cadence(StrEnum):
    """Where heartbeat and deviation come from."""

    DIRECTORY = "directory"
    """the publisher's feed directory"""
    BAND = "band"
    """the deviation band is so narrow that silence becomes suspicious long before the directory's heartbeat"""
    DEFAULT = "default"
    """not known: an assumption on the safe side"""


class Feed(Data):
    """One price feed. One `base` is worth `answer · 10^−decimals` of `quote`; both are token symbols or risk factors."""

    address: QuotedAddress
    base: Name
    quote: Name
    kind: Annotated[FeedKind, Field(strict=False)]
    shape: Annotated[FeedShape, Field(strict=False)] = FeedShape.AGGREGATOR
    asset: QuotedAddress | None = None
    """argument of `asset-price`"""
    heartbeat_seconds: Annotated[int, Field(gt=0)]
    """longest time between two rounds in normal operation; for `nav` counted in business time"""
    cadence: Annotated[Cadence, Field(strict=False)]
    deviation: Fraction
    """fraction of the price whose crossing writes a new round"""
    volatility: Fraction
    """yearly, rough: how fast the interval around a late answer widens"""
    source: Annotated[str, Field(min_length=1)]

    @property
    def pair(self) -> str:
        return f"{self.base}/{self.quote}"

    @property
    def label(self) -> str:
        """For people: pair, kind where it is not a market price, and the address."""
        kind = "" if self.kind is FeedKind.MARKET else f" {self.kind.value}"
        return f"{self.pair}{kind} {checksum(self.address)}"


class SequencerFeed(Data):
    """The uptime feed of a rollup's sequencer: answer 0 is up, `startedAt` since when."""

    address: QuotedAddress
    grace_seconds: Annotated[int, Field(ge=0)]
    """after it came back, for prices to catch up"""
    source: Name


class ChainFeeds(Data):
    """A whole file of `feeds`."""

    chain: Caip2
    sequencer: SequencerFeed | None = None
    feeds: Annotated[tuple[Feed, ...], Field(strict=False)]

    @field_validator("feeds")
    @classmethod
    def _each_address_once(cls, feeds: tuple[Feed, ...], others: ValidationInfo) -> tuple[Feed, ...]:
        seen: set[tuple[Address, Address | None]] = set()
        for feed in feeds:
            if (feed.address, feed.asset) in seen:
                raise ValueError(f"each feed once, {feed.address} occurs twice")
            if (feed.shape is FeedShape.ASSET_PRICE) != (feed.asset is not None):
                raise ValueError(f"{feed.pair}: `asset` belongs to the shape asset-price and to no other")
            seen.add((feed.address, feed.asset))
        return feeds

    @cached_property
    def by_address(self) -> Mapping[Address, Feed]:
        """Feeds of the aggregator shape by address."""
        return MappingProxyType({feed.address: feed for feed in self.feeds if feed.shape is FeedShape.AGGREGATOR})


@lru_cache(maxsize=1)
def _files() -> Mapping[ChainId, ChainFeeds]:
    return load_feeds(DATA_FOLDER)


def load_feeds(folder: Path) -> Mapping[ChainId, ChainFeeds]:
    """Every file of a folder by chain; ConfigurationError names file, line, field and what was expected."""
    found: dict[ChainId, ChainFeeds] = {}
    for path in sorted(folder.glob("*.yaml")):
        entry: ChainFeeds = load_data(path, ChainFeeds)
        if entry.chain in found:
            raise ConfigurationError(path, None, "chain", f"one file a chain, {entry.chain} has another")
        found[entry.chain] = entry
    return MappingProxyType(found)


def chain_feeds(chain: ChainId) -> ChainFeeds:
    """The shipped feeds of a chain; none for a chain without a file."""
    return _files().get(chain) or ChainFeeds(chain=chain, feeds=())
