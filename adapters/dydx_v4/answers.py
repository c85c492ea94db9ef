"""What the indexer answers, as far as it is read here. Source: dydxprotocol/v4-chain, indexer/services/comlink/src/types.ts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from aggregator.reading.venue_answers import Answer, Name, Note, Number, Whole

Side = Literal["LONG", "SHORT"]


class PerpetualPosition(Answer):
    """`size` is signed in some answers and not in others; `side` says which it is."""

    market: Name
    side: Side
    size: Number
    entry_price: Number = Field(alias="entryPrice")
    unrealized_profit: Number = Field(alias="unrealizedPnl")


class AssetPosition(Answer):
    symbol: Name
    side: Side
    size: Number


class Subaccount(Answer):
    """`equity` and `freeCollateral` at the indexer's oracle prices; unsettled funding is inside the USDC position."""

    address: Name
    number: Whole = Field(alias="subaccountNumber")
    equity: Number
    free_collateral: Number = Field(alias="freeCollateral")
    perpetuals: dict[Name, PerpetualPosition] = Field(alias="openPerpetualPositions")
    assets: dict[Name, AssetPosition] = Field(alias="assetPositions")
    height: Whole = Field(alias="latestProcessedBlockHeight")


class Subaccounts(Answer):
    """Of one address, child subaccounts included."""

    subaccounts: tuple[Subaccount, ...]


class Market(Answer):
    """Margin fractions of the market's liquidity tier; open interest in units of the asset, its caps in USD."""

    ticker: Name
    oracle_price: Number | None = Field(alias="oraclePrice")
    initial_fraction: Number = Field(alias="initialMarginFraction")
    maintenance_fraction: Number = Field(alias="maintenanceMarginFraction")
    open_interest: Number = Field(alias="openInterest")
    lower_cap: Number | None = Field(default=None, alias="openInterestLowerCap")
    upper_cap: Number | None = Field(default=None, alias="openInterestUpperCap")
    kind: Note = Field(default="", alias="marketType")
    status: Note = ""


class Markets(Answer):
    markets: dict[Name, Market]


class Height(Answer):
    """The last block that the indexer has taken in."""

    height: Whole
    time: datetime
