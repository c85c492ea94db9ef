"""From a what-if run to its document: every figure as text, rounded in one known direction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np

from aggregator.engine.document import snapshot_document
from aggregator.engine.figures import down, fraction, money_down, money_up, probability
from aggregator.engine.schema import CoverageDocument, GapDocument, WarningDocument
from aggregator.engine.what_if import BookRun, MethodResult, WhatIfRun
from aggregator.engine.what_if_schema import (
    AccountFigures,
    ActionDocument,
    AssumptionsDocument,
    BookWhatIfDocument,
    DriverDocument,
    LossDocument,
    MethodFigures,
    RemedyDocument,
    RestorationDocument,
    SurfaceDocument,
    VenueFigures,
    WhatIfAccount,
    WhatIfDocument,
    WhatIfFigures,
    WhatIfMethod,
    WhatIfVenueAccount,
)
from aggregator.model.snapshot import Remark
from aggregator.risk.acting import Done
from aggregator.risk.liquidation_loss import LiquidationLoss
from aggregator.risk.margin.interface import Requirement
from aggregator.risk.policy import MODEL_VERSION, SCORE_VERSION
from aggregator.risk.remedy import Remedy, Restoration
from aggregator.risk.surface import Driver, Surface
from aggregator.risk.venue_shock import VenueState
from aggregator.risk.what_if import AccountState, Scored, State

HEALTH_DECIMALS = 18


def what_if_document(run: WhatIfRun) -> WhatIfDocument:
    """The document of a run. Pure."""
    acted = run.what_if.before if run.request.actions else None
    order = _order(run)
    return WhatIfDocument(
        schema="crossmargin/what-if/1",
        owners=tuple(str(owner) for owner in run.picture.portfolio.owners),
        snapshots=tuple(snapshot_document(one) for one in run.picture.portfolio.snapshots),
        actions=tuple(_action(one) for one in run.acted.done),
        shocks=run.request.shock.words,
        before=_figures(run.start.before, run.scored["before"]),
        after_actions=None if acted is None else _figures(acted, run.scored["actions"]),
        after=_figures(run.after, run.scored["after"]),
        margin_accounts=tuple(_account(run, number, order) for number in range(len(run.after.accounts))),
        venue_accounts=tuple(_venue(run, number, order) for number in range(len(run.venues))),
        methods=tuple(_method(one) for one in run.methods),
        model=MODEL_VERSION,
        score_version=SCORE_VERSION,
        assumptions=_assumptions(run),
        coverage=CoverageDocument(
            complete=run.start.prepared.coverage.complete,
            missing=tuple(
                GapDocument(chain=gap.chain, protocol=gap.protocol, what=gap.what, why=gap.why)
                for gap in run.start.prepared.coverage.missing
            ),
        ),
        warnings=_warnings([*run.start.prepared.coverage.warnings, *_remarks(run)]),
    )


def book_document(run: BookRun) -> BookWhatIfDocument:
    """The document of a book's run. Pure."""
    idle = [Remark("shock-touches-nothing", f"nothing in the book follows {name}") for name in run.moves.idle]
    missing = run.given.missing
    return BookWhatIfDocument(
        schema="crossmargin/what-if-book/1",
        as_of=datetime.fromtimestamp(run.given.market.as_of, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        actions=tuple(action.text for action in run.request.actions),
        shocks=run.request.shock.words,
        methods=tuple(_method(one) for one in run.methods),
        coverage=CoverageDocument(
            complete=not missing, missing=tuple(GapDocument(chain="", protocol="", what=one.what, why=one.why) for one in missing)
        ),
        warnings=_warnings([*run.given.warnings, *idle]),
    )


def _order(run: WhatIfRun) -> Mapping[tuple[str, int], int]:
    """Places of the accounts that are liquidated, chains' and venues' together, from 1."""
    found = [(float(one.breach), "chain", one.account) for one in run.after.accounts if one.breach is not None]
    found += [(after.breach, "venue", number) for number, (_, after) in enumerate(run.venues) if after.breach is not None]
    return {(kind, number): place for place, (_, kind, number) in enumerate(sorted(found), 1)}


def _figures(state: State, scored: Scored) -> WhatIfFigures:
    needed = state.requirement
    return WhatIfFigures(
        equity_usd=_down(state.equity_usd),
        collateral_usd=money_down(state.collateral_usd),
        debt_usd=_up(state.debt_usd),
        hedge_profit_usd=money_down(state.profit_usd),
        requirement_usd=money_up(needed.transfer_aware) if needed is not None else None,
        isolated_requirement_usd=money_up(needed.isolated) if needed is not None else None,
        pooled_requirement_usd=money_up(needed.pooled) if needed is not None else None,
        trapped_collateral_usd=_up(state.trapped_collateral_usd),
        margin_ratio=down(state.margin_ratio, 6) if state.margin_ratio is not None else None,
        score=down(scored.score, 1) if scored.score is not None else None,
        liquidation_probability=(
            {name: probability(value) for name, value in scored.probability.any_account.items()} if scored.probability is not None else None
        ),
        liquidatable=sum(bool(one.liquidatable) for one in state.accounts),
        expected_loss_usd=_up(state.expected_loss_usd),
    )


def _account(run: WhatIfRun, number: int, order: Mapping[tuple[str, int], int]) -> WhatIfAccount:
    account, after = run.acted.portfolio.margin_accounts[number], run.after.accounts[number]
    restoration = next((one for one in run.restorations if one.account == number), None)
    return WhatIfAccount(
        chain=account.chain,
        protocol=account.protocol,
        market=account.market,
        label=account.market_label,
        owner=account.owner,
        before=_account_figures(run.start.before.accounts[number]),
        after_actions=_account_figures(run.what_if.before.accounts[number]) if run.request.actions else None,
        after=_account_figures(after),
        breach_at=fraction(float(after.breach), 12) if after.breach is not None else None,
        order=order.get(("chain", number)),
        blocked=account.liquidation_blocked,
        loss=_loss(after.loss) if after.loss is not None else None,
        restore=_restoration(restoration, run) if restoration is not None else None,
        surface=_surface(run.surfaces[number]) if number in run.surfaces else None,
    )


def _account_figures(one: AccountState) -> AccountFigures:
    days = one.lifetime.days
    return AccountFigures(
        health_factor=down(one.health, HEALTH_DECIMALS) if one.health is not None else None,
        shadow_health_factor=down(one.shadow_health, HEALTH_DECIMALS) if one.shadow_health is not None else None,
        liquidatable=one.liquidatable,
        collateral_usd=money_down(one.collateral_usd),
        debt_usd=_up(one.debt_usd),
        days_to_liquidation=down(days, 3) if days is not None else None,
        days_to_liquidation_reason=one.lifetime.why or None,
    )


def _loss(one: LiquidationLoss) -> LossDocument:
    return LossDocument(
        owner_usd=money_up(one.owner_usd),
        repaid_usd=money_up(one.repaid_usd),
        seized_usd=money_up(one.seized_usd),
        steps=one.steps,
        slippage_usd=money_up(one.slippage_usd),
        gas_usd=money_up(one.gas_usd),
        builders_usd=money_up(one.builders_usd),
        liquidator_usd=money_down(one.liquidator_usd),
        pays=one.pays,
        debt_left_usd=money_up(one.debt_left_usd),
        bad_debt_usd=money_up(one.bad_debt_usd),
        health_factor_after=down(one.health_after, 6) if one.health_after is not None else None,
    )


def _restoration(one: Restoration, run: WhatIfRun) -> RestorationDocument:
    wanted = run.request.health or Fraction(0)
    return RestorationDocument(
        health_factor=fraction(Decimal(wanted.numerator) / Decimal(wanted.denominator), 12),
        cheapest=_remedy(one.cheapest) if one.cheapest is not None else None,
        alternatives=tuple(_remedy(way) for way in one.ways[1:]),
        reason=one.why or None,
    )


def _remedy(one: Remedy) -> RemedyDocument:
    return RemedyDocument(
        actions=tuple(action.text for action in one.actions),
        symbol=one.symbol,
        amount_raw=str(one.amount),
        decimals=one.decimals,
        capital_usd=_up(one.capital_usd),
        fees_usd=_up(one.fees_usd),
        cost_usd=_up(one.cost_usd),
        lag_hours=fraction(one.lag_hours, 3),
        from_outside=one.from_outside,
    )


def _surface(one: Surface) -> SurfaceDocument:
    nearest, distance = one.boundary.nearest, one.boundary.distance
    return SurfaceDocument(
        horizontal=_driver(one.horizontal),
        vertical=_driver(one.vertical) if one.vertical is not None else None,
        across=tuple(fraction(move, 6) for move in one.across.tolist()),
        up=tuple(fraction(move, 6) for move in one.up.tolist()),
        health=tuple(tuple(down(value, 6) if np.isfinite(value) else None for value in row) for row in one.health.tolist()),
        boundary=tuple((fraction(first, 6), fraction(second, 6)) for first, second in one.boundary.moves.tolist()),
        nearest=(fraction(nearest[0], 6), fraction(nearest[1], 6)) if nearest is not None else None,
        distance_days=down(distance, 3) if distance is not None else None,
    )


def _driver(one: Driver) -> DriverDocument:
    return DriverDocument(name=one.name, daily=fraction(one.daily, 6))


def _venue(run: WhatIfRun, number: int, order: Mapping[tuple[str, int], int]) -> WhatIfVenueAccount:
    account, (before, after) = run.picture.portfolio.venue_accounts[number], run.venues[number]
    surface = run.surfaces.get(len(run.acted.portfolio.margin_accounts) + number)
    return WhatIfVenueAccount(
        venue=account.venue,
        account=account.account,
        label=account.label,
        owner=str(account.owner),
        before=_venue_figures(before),
        after=_venue_figures(after),
        breach_at=fraction(after.breach, 12) if after.breach is not None else None,
        order=order.get(("venue", number)),
        maintenance_carried=after.method,
        reason=after.why or None,
        surface=None if surface is None else _surface(surface),
    )


def _venue_figures(one: VenueState) -> VenueFigures:
    return VenueFigures(equity_usd=_down(one.equity_usd), maintenance_margin_usd=_up(one.maintenance_usd), liquidatable=one.liquidatable)


def _method(one: MethodResult) -> WhatIfMethod:
    return WhatIfMethod(
        method=one.method,
        reason=one.reason,
        before=_method_figures(one.before) if one.before is not None else None,
        after=_method_figures(one.after) if one.after is not None else None,
    )


def _method_figures(one: Requirement) -> MethodFigures:
    return MethodFigures(
        equity_usd=_down(one.equity),
        requirement_usd=money_up(one.amount),
        ratio=down(one.ratio, 6) if one.ratio is not None else None,
        worst_scenario=one.worst_scenario,
    )


def _action(one: Done) -> ActionDocument:
    return ActionDocument(
        action=one.action.text,
        symbol=one.symbol,
        amount_raw=str(one.amount),
        decimals=one.decimals,
        value_usd=_up(one.value_usd),
        from_outside_raw=str(one.from_outside),
    )


def _assumptions(run: WhatIfRun) -> AssumptionsDocument:
    chains = sorted({snapshot.chain for snapshot in run.picture.portfolio.snapshots})
    return AssumptionsDocument(
        liquidation_gas_usd={chain: fraction(run.costs.gas(chain), 6) for chain in chains},
        builder_share={chain: fraction(run.costs.builders(chain), 6) for chain in chains},
        whole_close_below=fraction(run.costs.whole_below, 6),
        transaction_usd={chain: fraction(run.remedy_costs.transaction(chain), 6) for chain in chains},
        bridge_share=fraction(run.remedy_costs.bridge_share, 6),
        transfer_lag_hours=fraction(run.after.policy.transfer_lag_hours, 3),
    )


def _remarks(run: WhatIfRun) -> Iterable[Remark]:
    yield from (Remark("shock-touches-nothing", f"nothing here follows {name}") for name in run.after.moves.idle)
    for one in run.after.accounts:
        account = run.acted.portfolio.margin_accounts[one.account]
        place = f"{account.protocol} {account.market_label or account.market} of {account.owner} on {account.chain}"
        if one.liquidatable is None and not account.debt_free:
            yield Remark("health-unknown", f"{place}: its health could not be read, so it stands in no order")
        if one.liquidatable is False and one.shadow_health is not None and one.shadow_health < 1:
            health = f"{one.health:.4f}" if one.health is not None else "unknown"
            yield Remark("unhealthy-at-market", f"{place}: health {one.shadow_health:.4f} at the market, {health} at the oracle's prices")
        if one.loss is not None and not one.loss.pays:
            yield Remark("liquidation-does-not-pay", f"{place}: bonus and collateral do not cover what a liquidation costs; it may wait")
    if run.scored["after"].score is None:
        yield Remark("score-withheld", "coverage is too low for a liquidation probability and a score")


def _warnings(remarks: Iterable[Remark]) -> tuple[WarningDocument, ...]:
    return tuple(WarningDocument(code=one.code, detail=one.detail) for one in sorted(set(remarks)))


def _down(value: Decimal | float | None) -> str | None:
    return None if value is None else money_down(value)


def _up(value: Decimal | float | None) -> str | None:
    return None if value is None else money_up(value)
