"""From an assessment to the health document: every figure as text, rounded in one known direction.

Money has six decimals, assets and equity rounded down, debts and requirements up; prices have up to eighteen decimals; the protocol's
health factor keeps all eighteen decimals of its wad. No exponents, no float noise.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from aggregator.engine.explain_document import explain_document, loss_document
from aggregator.engine.figures import down, fraction, money_down, money_up, percent, plain, probability, up, wad
from aggregator.engine.schema import (
    ComparedFigure,
    ComparisonDocument,
    ComponentDocument,
    CoverageDocument,
    GapDocument,
    HaircutDocument,
    HealthDocument,
    HealthFigures,
    LegDocument,
    LiquidationDocument,
    LiquidationPriceDocument,
    MarginAccountDocument,
    PositionDocument,
    PriceDocument,
    ScenarioDocument,
    ScoreBasisDocument,
    SnapshotDocument,
    WarningDocument,
)
from aggregator.engine.venue_document import venue_account_document, venue_margin_account
from aggregator.model.identifiers import AssetId
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import MarginAccount, Position, Side
from aggregator.model.price import PriceBook
from aggregator.model.snapshot import Snapshot
from aggregator.risk.assessment import AccountAssessment, Assessment, LegAssessment, PositionAssessment
from aggregator.risk.comparison import Comparison
from aggregator.risk.explain import Explanation
from aggregator.risk.liquidation import LiquidationPrice, Trigger
from aggregator.risk.requirement import Requirement
from aggregator.risk.valuation import ComponentValue

__all__ = ["HealthDocument", "build_document", "to_json"]

SCENARIOS_SHOWN = 10
DAY_DECIMALS = 3


def build_document(
    portfolio: Portfolio, prices: PriceBook, assessment: Assessment, explanation: Explanation | None = None
) -> HealthDocument:
    """The document of an assessed portfolio. Pure."""
    places = [_place(portfolio, number) for number in range(len(portfolio.margin_accounts) + len(portfolio.venue_accounts))]
    return HealthDocument(
        schema="crossmargin/health/1",
        owners=tuple(str(owner) for owner in portfolio.owners),
        snapshots=tuple(snapshot_document(snapshot) for snapshot in portfolio.snapshots),
        margin_accounts=(
            *(_account(account, own, prices) for account, own in zip(portfolio.margin_accounts, assessment.accounts, strict=True)),
            *(venue_margin_account(account, own) for account, own in zip(portfolio.venue_accounts, assessment.venues, strict=True)),
        ),
        positions=tuple(_position(one, own, prices) for one, own in zip(portfolio.positions, assessment.positions, strict=True)),
        health=_health(portfolio, assessment),
        isolated_versus_cross=_comparison(portfolio, assessment.comparison),
        coverage=CoverageDocument(
            complete=not assessment.missing,
            missing=tuple(GapDocument(chain=gap.chain, protocol=gap.protocol, what=gap.what, why=gap.why) for gap in assessment.missing),
        ),
        warnings=tuple(WarningDocument(code=remark.code, detail=remark.detail) for remark in assessment.warnings),
        venue_accounts=tuple(venue_account_document(account) for account in portfolio.venue_accounts),
        explain=None if explanation is None else explain_document(assessment, explanation, tuple(places)),
    )


def to_json(document: HealthDocument) -> str:
    """The document as JSON text, indented, with the fixed field names."""
    return document.model_dump_json(by_alias=True, indent=2)


def snapshot_document(snapshot: Snapshot) -> SnapshotDocument:
    block = snapshot.block
    return SnapshotDocument(
        chain=snapshot.chain,
        block=block.number if block is not None else None,
        block_hash=block.hash if block is not None else None,
        timestamp=datetime.fromtimestamp(block.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if block is not None else None,
        status=snapshot.status.value,
        detail=snapshot.detail,
    )


def _account(account: MarginAccount, own: AccountAssessment, prices: PriceBook) -> MarginAccountDocument:
    return MarginAccountDocument(
        chain=account.chain,
        protocol=account.protocol,
        market=account.market,
        label=account.market_label,
        owner=account.owner,
        kind=account.kind.value,
        health_factor=wad(account.health_factor) if account.health_factor is not None and not account.debt_free else None,
        shadow_health_factor=down(own.shadow_health, 18) if own.shadow_health is not None else None,
        collateral_usd=money_down(own.collateral_usd),
        debt_usd=money_up(own.debt_usd) if own.debt_usd is not None else None,
        liquidation_threshold=plain(account.liquidation_threshold) if account.liquidation_threshold is not None else None,
        close_factor=plain(account.close_factor),
        liquidation=LiquidationDocument(
            liquidatable=account.liquidatable,
            blocked=account.liquidation_blocked,
            prices=tuple(_liquidation_price(price) for price in own.prices),
            market_move=_optional_fraction(own.trigger.nearest) if own.trigger is not None else None,
            probability={name: probability(value) for name, value in own.probability.items()} if own.probability is not None else None,
            days=None if own.outlook.lifetime.days is None else down(own.outlook.lifetime.days, DAY_DECIMALS),
            days_detail=own.outlook.lifetime.why or None,
            loss=None if own.outlook.loss is None else loss_document(own.outlook.loss),
            expected_loss_usd=(
                {name: money_up(value * own.outlook.loss.owner_usd) for name, value in own.probability.items()}
                if own.probability is not None and own.outlook.loss is not None
                else None
            ),
        ),
        positions=tuple(_position(one, part, prices) for one, part in zip(account.positions, own.positions, strict=True)),
    )


def _liquidation_price(price: LiquidationPrice) -> LiquidationPriceDocument:
    return LiquidationPriceDocument(
        asset=price.asset,
        symbol=price.symbol,
        price_usd=plain(price.price_usd) if price.price_usd is not None else None,
        move=fraction(price.move, 12),
        factor=price.factor,
        volatile=price.volatile,
        factor_move=_optional_fraction(price.factor_move),
    )


def _position(position: Position, own: PositionAssessment, prices: PriceBook) -> PositionDocument:
    return PositionDocument(
        chain=position.chain,
        protocol=position.protocol,
        market=position.market,
        owner=position.owner,
        legs=tuple(_leg(leg, prices) for leg in own.legs),
        identifiers=dict(position.identifiers),
    )


def _leg(own: LegAssessment, prices: PriceBook) -> LegDocument:
    leg, value = own.value.leg, own.value
    money = money_up if leg.side in (Side.DEBT, Side.SHORT) else money_down
    return LegDocument(
        asset=leg.asset,
        symbol=leg.symbol,
        side=leg.side.value,
        amount_raw=str(leg.amount),
        decimals=leg.decimals,
        fees_raw=str(leg.fees),
        price_usd=plain(value.price) if value.price is not None else None,
        value_usd=money(value.value) if value.value is not None else None,
        fees_usd=money(value.fees_value) if value.fees_value is not None else None,
        price=_price(leg.asset, prices),
        haircut=fraction(own.haircut.share, 6) if own.haircut is not None else None,
        haircut_parts=HaircutDocument(
            market=up(own.haircut.market, 6),
            liquidity=up(own.haircut.liquidity, 6),
            basis=up(own.haircut.basis, 6),
            structure=up(own.haircut.structure, 6),
        )
        if own.haircut is not None
        else None,
        look_through=tuple(_component(component) for component in value.components),
    )


def _price(asset: AssetId, prices: PriceBook) -> PriceDocument | None:
    price = prices.get(asset)
    if price is None:
        return None
    return PriceDocument(
        quality=price.quality.value,
        low_usd=plain(price.low) if price.low is not None else None,
        high_usd=plain(price.high) if price.high is not None else None,
        age_seconds=price.age_seconds,
        confidence=fraction(price.confidence, 6),
        sources=price.sources,
        detail=price.detail,
    )


def _component(one: ComponentValue) -> ComponentDocument:
    return ComponentDocument(
        asset=one.component.asset,
        symbol=one.component.symbol,
        amount_raw=str(one.component.amount),
        decimals=one.component.decimals,
        value_usd=money_down(one.value) if one.value is not None else None,
        look_through=tuple(_component(part) for part in one.parts),
    )


def _health(portfolio: Portfolio, own: Assessment) -> HealthFigures:
    needed, basis = own.requirement, own.basis
    return HealthFigures(
        equity_usd=money_down(own.equity_usd) if own.equity_usd is not None else None,
        collateral_usd=money_down(own.collateral_usd),
        collateral_after_haircuts_usd=money_down(own.collateral_after_haircuts_usd),
        debt_usd=money_up(own.debt_usd) if own.debt_usd is not None else None,
        requirement_usd=money_up(needed.transfer_aware) if needed is not None else None,
        isolated_requirement_usd=money_up(needed.isolated) if needed is not None else None,
        pooled_requirement_usd=money_up(needed.pooled) if needed is not None else None,
        netting_benefit_usd=_benefit(needed) if needed is not None else None,
        trapped_collateral_usd=money_up(own.trapped_collateral_usd) if own.trapped_collateral_usd is not None else None,
        margin_ratio=down(own.margin_ratio, 6) if own.margin_ratio is not None else None,
        score=down(own.score, 1) if own.score is not None else None,
        liquidation_probability=(
            {name: probability(value) for name, value in own.probability.any_account.items()} if own.probability is not None else None
        ),
        score_basis=(
            ScoreBasisDocument(
                driver=_place(portfolio, basis.driver) if basis.driver is not None else None,
                oldest_input_age_seconds=basis.oldest_input_seconds,
                histories={factor: tier.value for factor, tier in basis.tiers.items()},
            )
            if basis is not None
            else None
        ),
        worst_scenario=ScenarioDocument(name=needed.worst.name, loss_usd=money_up(needed.worst.loss)) if needed is not None else None,
        expected_shortfall_usd=(
            {"97.5": money_up(needed.expected_shortfall_975), "99": money_up(needed.expected_shortfall_99)} if needed is not None else None
        ),
        scenarios=tuple(
            ScenarioDocument(name=one.name, loss_usd=money_up(one.loss)) for one in (needed.scenarios[:SCENARIOS_SHOWN] if needed else ())
        ),
        model=own.model,
        score_version=own.score_version,
    )


def _benefit(needed: Requirement) -> str:
    """Difference of the two figures as they are shown, so that the three always add up."""
    return money_down(Decimal(money_up(needed.isolated)) - Decimal(money_up(needed.transfer_aware)))


def _comparison(portfolio: Portfolio, own: Comparison | None) -> ComparisonDocument:
    if own is None:
        nothing = ComparedFigure(isolated=None, cross=None)
        return ComparisonDocument(delta=nothing, vega=nothing, requirement=nothing, liquidation_trigger=nothing, delta_by_factor={})
    return ComparisonDocument(
        delta=ComparedFigure(isolated=money_up(own.delta_isolated), cross=money_up(own.delta_cross)),
        vega=ComparedFigure(isolated=money_up(own.vega_isolated), cross=money_up(own.vega_cross)),
        requirement=ComparedFigure(isolated=money_up(own.requirement_isolated), cross=money_up(own.requirement_cross)),
        liquidation_trigger=ComparedFigure(isolated=_first_breach(portfolio, own.trigger_isolated), cross=_common(own.trigger_cross)),
        delta_by_factor={
            delta.factor: ComparedFigure(isolated=money_up(delta.isolated), cross=money_up(delta.cross)) for delta in own.deltas
        },
    )


def _first_breach(portfolio: Portfolio, trigger: Trigger | None) -> str:
    if trigger is None or trigger.nearest is None:
        return "no margin account by a common market move"
    place = _place(portfolio, trigger.account)
    return f"{place} already" if trigger.nearest == 0 else f"{place} at a market move of {percent(trigger.nearest)}"


def _place(portfolio: Portfolio, number: int) -> str:
    """An account in words; venue accounts are counted after the others."""
    first = len(portfolio.margin_accounts)
    if number >= first:
        venue = portfolio.venue_accounts[number - first]
        return f"{venue.venue} {venue.label or venue.account}"
    account = portfolio.margin_accounts[number]
    return f"{account.protocol} {account.market_label or account.market} on {account.chain}"


def _common(move: float | None) -> str:
    if move is None:
        return "by no common market move"
    return (
        "equity is below the requirement already"
        if move == 0
        else f"equity falls below the requirement at a market move of {percent(move)}"
    )


def _optional_fraction(value: float | None) -> str | None:
    return None if value is None else fraction(value, 12)
