"""The shape of the health document, `crossmargin/health/1`: fields may be added, none renamed. Decimals are strings, raw amounts
integer strings, times RFC 3339 UTC. A figure that coverage does not support is null, and a warning says why.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """Base of the document's parts: frozen, strict, nothing unexpected."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SnapshotDocument(Document):
    chain: str
    block: int | None
    block_hash: str | None
    timestamp: str | None
    status: str
    detail: str | None


class ComponentDocument(Document):
    asset: str
    symbol: str
    amount_raw: str
    decimals: int
    value_usd: str | None
    look_through: tuple[ComponentDocument, ...]


class HaircutDocument(Document):
    """1 − (1−market)(1−liquidity)(1−basis)(1−structure) is the leg's haircut."""

    market: str
    liquidity: str
    basis: str
    structure: str


class PriceDocument(Document):
    """Where a leg's own price comes from; a leg that is valued through its components has none."""

    quality: str
    low_usd: str | None
    high_usd: str | None
    age_seconds: int | None
    confidence: str
    sources: tuple[str, ...]
    detail: str


class LegDocument(Document):
    """`value_usd` includes `fees_usd`; `haircut` is null for what is owed and for what has no value."""

    asset: str
    symbol: str
    side: str
    amount_raw: str
    decimals: int
    fees_raw: str
    price_usd: str | None
    value_usd: str | None
    fees_usd: str | None
    price: PriceDocument | None
    haircut: str | None
    haircut_parts: HaircutDocument | None
    look_through: tuple[ComponentDocument, ...]


class PositionDocument(Document):
    chain: str
    protocol: str
    market: str
    owner: str
    legs: tuple[LegDocument, ...]
    identifiers: dict[str, str]


class LiquidationPriceDocument(Document):
    """`move`: of this asset alone. `factor_move`: of its risk factor with every token that follows it; `volatile`: whether that
    factor moves with the market, False for a peg or a net asset value."""

    asset: str
    symbol: str
    price_usd: str | None
    move: str
    factor: str
    volatile: bool
    factor_move: str | None


class LossDocument(Document):
    """What a liquidation takes, USD: `owner_usd` is what is seized less what is repaid, of which slippage, gas, block builders and the
    liquidator take their parts. `pays`: whether anybody would do it."""

    owner_usd: str
    repaid_usd: str
    seized_usd: str
    slippage_usd: str
    gas_usd: str
    builders_usd: str
    liquidator_usd: str
    bad_debt_usd: str
    steps: int
    pays: bool
    health_after: str | None


class LiquidationDocument(Document):
    """`market_move`: the nearest common move of all market factors that makes it liquidatable. `days`: until it is at today's interest
    rates and prices, null with the reason in `days_detail`. `loss`: of a liquidation at its line; `expected_loss_usd`: times the
    probability by horizon."""

    liquidatable: bool | None
    blocked: str | None
    prices: tuple[LiquidationPriceDocument, ...]
    market_move: str | None
    probability: dict[str, str] | None
    days: str | None = None
    days_detail: str | None = None
    loss: LossDocument | None = None
    expected_loss_usd: dict[str, str] | None = None


class MarginAccountDocument(Document):
    chain: str
    protocol: str
    market: str
    label: str
    owner: str
    kind: str
    health_factor: str | None
    shadow_health_factor: str | None
    collateral_usd: str
    debt_usd: str | None
    liquidation_threshold: str | None
    close_factor: str
    liquidation: LiquidationDocument
    positions: tuple[PositionDocument, ...]


class ScenarioDocument(Document):
    name: str
    loss_usd: str


class ScoreBasisDocument(Document):
    """What the probability stands on; coverage stands beside it. `driver`: the account most likely to be liquidated within a day.
    `histories`: by factor, whether hourly prices, daily ones, or its class alone told how much it moves."""

    driver: str | None
    oldest_input_age_seconds: int | None
    histories: dict[str, str]


class HealthFigures(Document):
    equity_usd: str | None
    collateral_usd: str
    collateral_after_haircuts_usd: str
    debt_usd: str | None
    requirement_usd: str | None
    isolated_requirement_usd: str | None
    pooled_requirement_usd: str | None
    netting_benefit_usd: str | None
    trapped_collateral_usd: str | None
    margin_ratio: str | None
    score: str | None
    liquidation_probability: dict[str, str] | None
    score_basis: ScoreBasisDocument | None = None
    worst_scenario: ScenarioDocument | None
    expected_shortfall_usd: dict[str, str] | None
    scenarios: tuple[ScenarioDocument, ...]
    model: str
    score_version: str


class ComparedFigure(Document):
    isolated: str | None
    cross: str | None


class ComparisonDocument(Document):
    delta: ComparedFigure
    vega: ComparedFigure
    requirement: ComparedFigure
    liquidation_trigger: ComparedFigure
    delta_by_factor: dict[str, ComparedFigure]


class PartDocument(Document):
    """`usd` = `share` · the measure of this part by itself; `scenario` sets that measure."""

    name: str
    share: str
    usd: str
    scenario: str


class ContributionDocument(Document):
    """`kind`: `prices` of a holding, or `liquidation` of an account. Negative where it hedges."""

    where: str
    what: str
    kind: str
    usd: str


class WhereDocument(Document):
    where: str
    usd: str


class ProbabilityShareDocument(Document):
    """`own`: of this account alone; `share`: its part of the probability of any account. The parts sum."""

    where: str
    own: dict[str, str]
    share: dict[str, str]


class ExplainDocument(Document):
    """Every figure taken apart. `isolated` and `transfer_aware` sum to their requirements, `contributions` and `by_account` (Euler) to
    `requirement_usd`, and so do `left_out` (the figure less the figure without it) with `joint_usd`; `haircuts` to what is taken off."""

    isolated: tuple[PartDocument, ...]
    transfer_aware: tuple[PartDocument, ...]
    pooled: PartDocument
    contributions: tuple[ContributionDocument, ...]
    by_account: tuple[WhereDocument, ...]
    left_out: tuple[WhereDocument, ...]
    joint_usd: str
    haircuts: dict[str, str]
    probability: tuple[ProbabilityShareDocument, ...]
    driver: str | None
    """the account most likely to be liquidated within a day"""


class GapDocument(Document):
    chain: str
    protocol: str
    what: str
    why: str


class CoverageDocument(Document):
    complete: bool
    missing: tuple[GapDocument, ...]


class WarningDocument(Document):
    code: str
    detail: str


class GreeksDocument(Document):
    """Of one unit of the underlying, in the venue's conventions."""

    delta: str
    gamma: str
    vega: str
    theta: str


class HoldingDocument(Document):
    """Sizes are signed numbers of contracts of `contract_size` units; money is in the settlement asset."""

    instrument: str
    kind: str
    underlying: str
    expiry: str | None
    strike: str | None
    contract_size: str
    settlement: str
    size: str
    mark_price: str | None
    entry_price: str | None
    unrealised: str | None
    liquidation_price: str | None
    margin: str | None
    leverage: str | None
    greeks: GreeksDocument | None


class VenueBalanceDocument(Document):
    """Whole units, negative where borrowed."""

    symbol: str
    asset: str | None
    amount: str
    price_usd: str | None
    collateral_weight: str | None
    withdrawable: str | None


class VenueAccountDocument(Document):
    """What a trading venue liquidates as one, with the venue's own figures in USD and the parameters in force."""

    venue: str
    account: str
    owner: str
    label: str
    mode: str
    as_of: str
    collateral: str
    shares_collateral_with: str | None
    equity_usd: str | None
    initial_margin_usd: str | None
    maintenance_margin_usd: str | None
    margin_ratio: str | None
    liquidatable: bool | None
    balances: tuple[VenueBalanceDocument, ...]
    holdings: tuple[HoldingDocument, ...]
    parameters: dict[str, str]


class HealthDocument(Document):
    schema_: Literal["crossmargin/health/1"] = Field(alias="schema")
    owners: tuple[str, ...]
    snapshots: tuple[SnapshotDocument, ...]
    margin_accounts: tuple[MarginAccountDocument, ...]
    positions: tuple[PositionDocument, ...]
    health: HealthFigures
    isolated_versus_cross: ComparisonDocument
    coverage: CoverageDocument
    warnings: tuple[WarningDocument, ...]
    venue_accounts: tuple[VenueAccountDocument, ...] = ()
    explain: ExplainDocument | None = None
