"""`GET /v1/systemic/curves`: what falls of one asset at a time make liquidatable, put at risk and leave unpaid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import Operation, Query, json_response, query_of
from aggregator.api.schema import CurvesDocument, CurveSeries
from aggregator.api.systemic import basis

if TYPE_CHECKING:
    from aggregator.contagion.curves import Curve


class CurvesQuery(Query):
    """`asset`: a symbol, a CAIP-19 id or a risk factor; what most collateral follows where it is left out."""

    asset: Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f=]+$")] | None = None


async def curves(request: web.Request) -> web.StreamResponse:
    from aggregator.contagion.evidence import together

    query = query_of(request, CurvesQuery)
    systemic = app_of(request).systemic
    found = await systemic.curves(query.asset)
    lacking = "this population is a network of claims, without accounts" if found is None and systemic.population else ""
    evidence = (
        together([systemic.population.evidence, *(one.evidence for one in found.values())]) if found and systemic.population else None
    )
    source, snapshots, coverage = basis(systemic, "liquidation curves", evidence, lacking)
    return json_response(
        CurvesDocument(
            source=source,
            curves=tuple(_series(name, one) for name, one in (found or {}).items()),
            snapshots=snapshots,
            coverage=coverage,
        )
    )


def _series(name: str, curve: Curve) -> CurveSeries:
    from aggregator.engine.systemic.document import ratio, usd

    def total(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[str, ...]:
        return tuple(usd(value) for value in values.sum(axis=0).tolist())

    return CurveSeries(
        asset=name,
        moves=tuple(ratio(-move) for move in curve.moves.tolist()),
        liquidatable_debt_usd=total(curve.liquidatable_debt),
        collateral_at_risk_usd=total(curve.collateral_at_risk),
        bad_debt_usd=total(curve.bad_debt),
        accounts=tuple(int(value) for value in curve.accounts.sum(axis=0).tolist()),
        lower_bounds=not curve.evidence.sufficient,
    )


routes = (
    Operation(
        "GET",
        "/v1/systemic/curves",
        "systemic_curves",
        "Liquidation curves of the population",
        curves,
        answer=CurvesDocument,
        query=CurvesQuery,
    ),
)
