"""What the info endpoint answers, as far as it is read here. Amounts are decimal strings; times are milliseconds since the epoch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, RootModel

from aggregator.reading.venue_answers import Answer, Name, Note, Number, Whole


class Leverage(Answer):
    """`rawUsd` is the signed cash of an isolated position: its margin is `rawUsd` plus its signed value."""

    kind: Literal["cross", "isolated"] = Field(alias="type")
    value: Whole


class Position(Answer):
    """`value` is |size|·mark: there is no mark price in a position. `maxLeverage` is that of the tier it is in."""

    coin: Name
    size: Number = Field(alias="szi")
    entry_price: Number | None = Field(alias="entryPx")
    value: Number = Field(alias="positionValue")
    unrealised: Number = Field(alias="unrealizedPnl")
    liquidation_price: Number | None = Field(alias="liquidationPx")
    margin: Number = Field(alias="marginUsed")
    leverage: Leverage
    max_leverage: Whole | None = Field(default=None, alias="maxLeverage")


class AssetPosition(Answer):
    position: Position


class MarginSummary(Answer):
    account_value: Number = Field(alias="accountValue")
    raw_usd: Number = Field(alias="totalRawUsd")
    margin_used: Number = Field(alias="totalMarginUsed")


class ClearinghouseState(Answer):
    """One address on one perp dex, in units of the dex's collateral."""

    whole: MarginSummary = Field(alias="marginSummary")
    cross: MarginSummary = Field(alias="crossMarginSummary")
    maintenance: Number | None = Field(default=None, alias="crossMaintenanceMarginUsed")
    withdrawable: Number
    positions: tuple[AssetPosition, ...] = Field(alias="assetPositions")
    time: Whole | None = None


class SpotBalance(Answer):
    """`total` is net of what is borrowed. Outcome markets have no token. Loan-to-value, borrowed and supplied under portfolio margin."""

    coin: Name
    token: Whole | None = None
    total: Number
    hold: Number
    ltv: Number | None = None
    borrowed: Number | None = None
    supplied: Number | None = None


class Escrow(Answer):
    coin: Name
    total: Number


class SpotState(Answer):
    """`available` (token, amount) is stated for accounts that pool their balances, and for no others."""

    balances: tuple[SpotBalance, ...]
    available: tuple[tuple[Whole, Number], ...] | None = Field(default=None, alias="tokenToAvailableAfterMaintenance")
    portfolio_margin: bool | None = Field(default=None, alias="portfolioMarginEnabled")
    portfolio_ratio: Number | None = Field(default=None, alias="portfolioMarginRatio")
    escrows: tuple[Escrow, ...] | None = Field(default=None, alias="evmEscrows")


class Abstraction(RootModel[Note]):
    """`default`, `disabled`, `dexAbstraction`, `unifiedAccount`, `portfolioMargin`, or null."""


class PerpDex(Answer):
    name: Name


class PerpDexes(RootModel[tuple[PerpDex | None, ...]]):
    """The first, null, is the venue's own dex; the others are deployed by builders."""


class Tier(Answer):
    lower_bound: Number = Field(alias="lowerBound")
    max_leverage: Whole = Field(alias="maxLeverage", ge=1)


class TierList(Answer):
    tiers: tuple[Tier, ...] = Field(alias="marginTiers")


class Listing(Answer):
    """A table below 50 is no table: the number is the leverage itself."""

    name: Name
    max_leverage: Whole = Field(alias="maxLeverage", ge=1)
    table: Whole | None = Field(default=None, alias="marginTableId")


class Meta(Answer):
    universe: tuple[Listing, ...]
    tables: tuple[tuple[Whole, TierList], ...] = Field(default=(), alias="marginTables")
    collateral: Whole = Field(default=0, alias="collateralToken")


class AllMetas(RootModel[tuple[Meta, ...]]):
    """In the order of the dexes."""


class Contract(Answer):
    address: Note


class Token(Answer):
    name: Name
    index: Whole
    contract: Contract | None = Field(default=None, alias="evmContract")


class Pair(Answer):
    name: Name
    tokens: tuple[Whole, ...]


class SpotMeta(Answer):
    tokens: tuple[Token, ...]
    universe: tuple[Pair, ...]


class PairContext(Answer):
    coin: Name
    mark_price: Number | None = Field(default=None, alias="markPx")


class SpotMarkets(RootModel[tuple[SpotMeta, tuple[PairContext, ...]]]):
    """Tokens and pairs, and what the pairs trade at."""


class Reserve(Answer):
    oracle_price: Number = Field(alias="oraclePx")
    ltv: Number


class Reserves(RootModel[tuple[tuple[Whole, Reserve], ...]]):
    """Lending terms by token."""


class Amount(Answer):
    value: Number


class Lent(Answer):
    borrow: Amount
    supply: Amount


class LendingState(Answer):
    tokens: tuple[tuple[Whole, Lent], ...] = Field(alias="tokenToState")
    health: Note = ""
    health_factor: Number | None = Field(default=None, alias="healthFactor")


class VaultEquity(Answer):
    vault: Name = Field(alias="vaultAddress")
    equity: Number
    locked_until: Whole | None = Field(default=None, alias="lockedUntilTimestamp")


class VaultEquities(RootModel[tuple[VaultEquity, ...]]):
    """Deposits in vaults, at what they are worth."""


class Staking(Answer):
    """In HYPE."""

    delegated: Number
    undelegated: Number
    pending: Number = Field(alias="totalPendingWithdrawal")


class SubAccount(Answer):
    address: Name = Field(alias="subAccountUser")
    states: tuple[tuple[Note, ClearinghouseState], ...] = Field(alias="dexToClearinghouseState")
    spot: SpotState = Field(alias="spotState")


class SubAccounts(RootModel[tuple[SubAccount, ...] | None]):
    """Null where there are none."""
