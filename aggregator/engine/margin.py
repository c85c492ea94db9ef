"""Every margin method asked about one book: a row each, with what it requires, what was netted, and why it has no figure where it has none.

One method that fails to apply never takes the others with it. Where positions are missing a row's figures are withheld, because a missing
hedge or a missing short option could move them either way; what the covered positions require stands beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from aggregator.engine.figures import fraction, money_down, money_up
from aggregator.engine.margin_input import MarginInput
from aggregator.engine.margin_pooling import isolated_versus_cross
from aggregator.engine.margin_schema import (
    AttributionDocument,
    BookDocument,
    MarginCoverageDocument,
    MarginDocument,
    MarginWarningDocument,
    MethodDocument,
    MissingDocument,
    RequirementDocument,
    ScenarioLossDocument,
)
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginModel, MissingInput, Requirement
from aggregator.risk.margin.registry import model, models

RATIO_DECIMALS = 6


def margin_document(given: MarginInput, methods: Iterable[str] = ()) -> MarginDocument:
    """The document of a book by the named methods, or by all. InputError for an unknown name."""
    chosen: Mapping[str, MarginModel[Any]] = {name: model(name) for name in methods} or dict(models())
    return MarginDocument(
        schema="crossmargin/margin/1",
        as_of=_moment(given.market.as_of),
        owners=given.owners,
        book=BookDocument(
            positions=len(given.book) + len(given.left_out),
            covered=len(given.book),
            underlyings=tuple(sorted({one.instrument.underlying for one in (*given.book.holdings, *given.left_out)})),
            cash_usd=money_down(given.book.cash),
        ),
        methods=tuple(_method(one, given) for one in chosen.values()),
        isolated_versus_cross=isolated_versus_cross(given),
        coverage=MarginCoverageDocument(
            complete=not given.missing,
            missing=tuple(MissingDocument(what=one.what, why=one.why) for one in given.missing),
        ),
        warnings=tuple(MarginWarningDocument(code=one.code, detail=one.detail) for one in given.warnings),
    )


def _method(model: MarginModel[Any], given: MarginInput) -> MethodDocument:
    try:
        found = _requirements(model, given)
    except Inapplicable as error:
        return _row(model, reason=str(error).removeprefix(f"{model.id} does not apply: "), applies=False)
    except MissingInput as error:
        return _row(model, reason=str(error))
    initial, maintenance = (_requirement(*found[kind]) for kind in (Kind.INITIAL, Kind.MAINTENANCE))
    first = found[Kind.INITIAL][0]
    verified = first.verified and found[Kind.MAINTENANCE][0].verified
    if given.missing:
        return _row(model, reason=_withheld(given), verified=verified, notes=first.notes, covered=(initial, maintenance))
    return _row(model, verified=verified, notes=first.notes, whole=(initial, maintenance))


def _row(
    model: MarginModel[Any],
    *,
    reason: str | None = None,
    applies: bool = True,
    verified: bool | None = None,
    notes: tuple[str, ...] = (),
    whole: tuple[RequirementDocument, RequirementDocument] | None = None,
    covered: tuple[RequirementDocument, RequirementDocument] | None = None,
) -> MethodDocument:
    """A row; figures are initial and maintenance, of the whole book or of what is covered."""
    return MethodDocument(
        method=model.id,
        version=model.version,
        source=model.source,
        applies=applies,
        reason=reason,
        verified=verified,
        notes=notes,
        initial=whole[0] if whole is not None else None,
        maintenance=whole[1] if whole is not None else None,
        initial_of_covered=covered[0] if covered is not None else None,
        maintenance_of_covered=covered[1] if covered is not None else None,
    )


def _requirements(model: MarginModel[Any], given: MarginInput) -> dict[Kind, tuple[Requirement, float]]:
    """Requirement and Σ of the positions alone by kind."""
    refused = model.refusal(given.book, given.market)
    if refused is not None:
        raise Inapplicable(refused)
    parameters = given.parameters_of(model)
    found = {}
    for kind in Kind:
        requirement = model.requirement(given.book, given.market, parameters, kind)
        found[kind] = requirement, float(model.isolated(given.book, given.market, parameters, kind).sum())
    return found


def _requirement(found: Requirement, alone: float) -> RequirementDocument:
    return RequirementDocument(
        requirement_usd=money_up(found.amount),
        equity_usd=None if found.equity is None else money_down(found.equity),
        net_usd=None if found.net is None else money_down(found.net),
        ratio=None if found.ratio is None else fraction(found.ratio, RATIO_DECIMALS),
        isolated_usd=money_up(alone),
        netted_usd=money_down(alone - found.amount),
        worst_scenario=found.worst_scenario,
        components={name: fraction(value, 9) for name, value in found.components.items()},
        scenarios=tuple(
            ScenarioLossDocument(name=name, pnl_usd=f"{pnl:.6f}")
            for name, pnl in zip(found.scenarios.names, found.scenarios.pnl.tolist(), strict=True)
        ),
        attribution_method=found.attribution.method.value,
        attribution=tuple(
            AttributionDocument(position=holding.instrument.label, usd=f"{part:.6f}")
            for holding, part in zip(found.inputs.book.holdings, found.attribution.parts.tolist(), strict=True)
        ),
        inputs_hash=found.inputs_hash,
    )


def _withheld(given: MarginInput) -> str:
    count = len(given.missing)
    first = given.missing[0]
    more = f" and {count - 1} more" if count > 1 else ""
    return f"withheld, because something is missing: {first.what}: {first.why}{more}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
