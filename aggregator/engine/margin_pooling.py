"""Isolated against cross as a document."""

from __future__ import annotations

from collections.abc import Mapping

from aggregator.engine.figures import fraction, money_down, money_up
from aggregator.engine.margin_input import MarginInput
from aggregator.engine.margin_schema import (
    ApartAndTogetherDocument,
    CascadeDocument,
    ContagionDocument,
    ExposureDocument,
    IsolatedVersusCrossDocument,
    TriggerDocument,
    TriggersDocument,
)
from aggregator.risk.margin.pooling import Cascade, Pair, Trigger, pooling
from aggregator.risk.margin.unified import MODEL

MOVE_DECIMALS = 6


def isolated_versus_cross(given: MarginInput) -> IsolatedVersusCrossDocument | None:
    """Of what is covered; None where that is nothing."""
    if not len(given.book):
        return None
    found = pooling(given.book, given.market, given.parameters_of(MODEL))
    return IsolatedVersusCrossDocument(
        of_covered=bool(given.missing),
        equity_usd=None if found.equity is None else money_down(found.equity),
        delta=_exposures(found.delta),
        vega=_exposures(found.vega),
        initial=_pair(found.initial),
        maintenance=_pair(found.maintenance),
        liquidation_trigger=TriggersDocument(
            isolated=_trigger(found.isolated_trigger, given),
            cross=_trigger(found.cross_trigger, given),
        ),
        contagion=ContagionDocument(isolated=_cascade(found.isolated_cascade), cross=_cascade(found.cross_cascade)),
    )


def _exposures(found: Mapping[str, Pair]) -> tuple[ExposureDocument, ...]:
    return tuple(
        ExposureDocument(underlying=name, isolated_usd=money_up(one.isolated), cross_usd=money_up(one.cross)) for name, one in found.items()
    )


def _pair(found: Pair) -> ApartAndTogetherDocument:
    return ApartAndTogetherDocument(isolated_usd=money_up(found.isolated), cross_usd=money_up(found.cross))


def _trigger(found: Trigger | None, given: MarginInput) -> TriggerDocument | None:
    if found is None:
        return None
    return TriggerDocument(
        move=fraction(found.move, MOVE_DECIMALS),
        underlying=found.underlying,
        position=None if found.holding is None else given.book.holdings[found.holding].instrument.label,
    )


def _cascade(found: Cascade | None) -> CascadeDocument | None:
    if found is None:
        return None
    return CascadeDocument(
        positions_closed=found.closed,
        traded_usd=money_up(found.traded),
        impact=fraction(found.impact, 9),
        cost_usd=money_up(found.cost),
        dragged_equity_usd=money_up(found.dragged),
        rounds=found.rounds,
    )
