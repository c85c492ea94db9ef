"""The shape of the what-if document, `crossmargin/what-if/1`. As in the health document: decimals are strings, money has six decimals,
a figure that coverage does not support is null.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aggregator.engine.schema import CoverageDocument, Document, SnapshotDocument, WarningDocument


class WhatIfFigures(Document):
    """The whole portfolio in one state. Equity is what is owned, minus what is owed, plus the profit of hedges.

    `liquidatable`: how many margin accounts their protocol lets be liquidated.
    """

    equity_usd: str | None
    collateral_usd: str
    debt_usd: str | None
    hedge_profit_usd: str
    requirement_usd: str | None
    isolated_requirement_usd: str | None
    pooled_requirement_usd: str | None
    trapped_collateral_usd: str | None
    margin_ratio: str | None
    score: str | None
    liquidation_probability: dict[str, str] | None
    liquidatable: int
    expected_loss_usd: str | None


class AccountFigures(Document):
    """One margin account in one state. `days_to_liquidation`: at today's rates and the prices of that state; else the reason."""

    health_factor: str | None
    shadow_health_factor: str | None
    liquidatable: bool | None
    collateral_usd: str
    debt_usd: str | None
    days_to_liquidation: str | None
    days_to_liquidation_reason: str | None


class LossDocument(Document):
    """What a liquidation takes, at the market after the shock. `pays`: whether the bonus covers what liquidators pay."""

    owner_usd: str
    repaid_usd: str
    seized_usd: str
    steps: int
    slippage_usd: str
    gas_usd: str
    builders_usd: str
    liquidator_usd: str
    pays: bool
    debt_left_usd: str
    bad_debt_usd: str
    health_factor_after: str | None


class RemedyDocument(Document):
    """One way back to the chosen health. `actions` as `--action` takes them; `cost_usd` is capital and fees together."""

    actions: tuple[str, ...]
    symbol: str
    amount_raw: str
    decimals: int
    capital_usd: str | None
    fees_usd: str | None
    cost_usd: str | None
    lag_hours: str
    from_outside: bool


class RestorationDocument(Document):
    """How an account gets back to `health_factor`; `cheapest` is null with a reason where no single action can."""

    health_factor: str
    cheapest: RemedyDocument | None
    alternatives: tuple[RemedyDocument, ...]
    reason: str | None


class DriverDocument(Document):
    name: str
    daily: str


class SurfaceDocument(Document):
    """Health by moves of one driver (columns) and another (rows); `boundary`: moves at health 1, `distance_days` to the nearest."""

    horizontal: DriverDocument
    vertical: DriverDocument | None
    across: tuple[str, ...]
    up: tuple[str, ...]
    health: tuple[tuple[str | None, ...], ...]
    boundary: tuple[tuple[str, str], ...]
    nearest: tuple[str, str] | None
    distance_days: str | None


class WhatIfAccount(Document):
    """`breach_at`: the part of the shock after which it is liquidatable, 0 where it already was; `order` counts from 1."""

    chain: str
    protocol: str
    market: str
    label: str
    owner: str
    before: AccountFigures
    after_actions: AccountFigures | None
    after: AccountFigures
    breach_at: str | None
    order: int | None
    blocked: str | None
    loss: LossDocument | None
    restore: RestorationDocument | None
    surface: SurfaceDocument | None


class VenueFigures(Document):
    equity_usd: str | None
    maintenance_margin_usd: str | None
    liquidatable: bool | None


class WhatIfVenueAccount(Document):
    venue: str
    account: str
    label: str
    owner: str
    before: VenueFigures
    after: VenueFigures
    breach_at: str | None
    order: int | None
    maintenance_carried: str
    reason: str | None
    surface: SurfaceDocument | None = None


class MethodFigures(Document):
    equity_usd: str | None
    requirement_usd: str | None
    ratio: str | None
    worst_scenario: str | None


class WhatIfMethod(Document):
    """Maintenance margin of the whole book by one method, before and after."""

    method: str
    reason: str | None
    before: MethodFigures | None
    after: MethodFigures | None


class ActionDocument(Document):
    action: str
    symbol: str
    amount_raw: str
    decimals: int
    value_usd: str | None
    from_outside_raw: str


class AssumptionsDocument(Document):
    """What liquidators, transactions and bridges are taken to cost."""

    liquidation_gas_usd: dict[str, str]
    builder_share: dict[str, str]
    whole_close_below: str
    transaction_usd: dict[str, str]
    bridge_share: str
    transfer_lag_hours: str


class WhatIfDocument(Document):
    schema_: Literal["crossmargin/what-if/1"] = Field(alias="schema")
    owners: tuple[str, ...]
    snapshots: tuple[SnapshotDocument, ...]
    actions: tuple[ActionDocument, ...]
    shocks: tuple[str, ...]
    before: WhatIfFigures
    after_actions: WhatIfFigures | None
    after: WhatIfFigures
    margin_accounts: tuple[WhatIfAccount, ...]
    venue_accounts: tuple[WhatIfVenueAccount, ...]
    methods: tuple[WhatIfMethod, ...]
    model: str
    score_version: str
    assumptions: AssumptionsDocument
    coverage: CoverageDocument
    warnings: tuple[WarningDocument, ...]


class BookWhatIfDocument(Document):
    """The same for a portfolio file: a book without protocols of its own."""

    schema_: Literal["crossmargin/what-if-book/1"] = Field(alias="schema")
    as_of: str
    actions: tuple[str, ...]
    shocks: tuple[str, ...]
    methods: tuple[WhatIfMethod, ...]
    coverage: CoverageDocument
    warnings: tuple[WarningDocument, ...]
