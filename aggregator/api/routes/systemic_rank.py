"""`GET /v1/systemic/rank`: who matters, as a band over models."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import Operation, Query, json_response, query_of
from aggregator.api.schema import RankingDocument, RankRow
from aggregator.api.systemic import basis


class RankQuery(Query):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


async def rank(request: web.Request) -> web.StreamResponse:
    query = query_of(request, RankQuery)
    systemic = app_of(request).systemic
    found = await systemic.ranking()
    source, snapshots, coverage = basis(systemic, "systemic importance", found[1] if found else None)
    if found is None:
        return json_response(RankingDocument(source=source, rows=(), models=(), stability=None, snapshots=snapshots, coverage=coverage))
    from aggregator.engine.systemic.document import known

    ranking, _ = found
    rows = tuple(
        RankRow(
            rank=place + 1,
            name=ranking.names[node],
            kind=ranking.kinds[node].value,
            low=known(float(ranking.impact[:, node].min())),
            high=known(float(ranking.impact[:, node].max())),
            best_rank=int(ranking.rank_low[node]),
            worst_rank=int(ranking.rank_high[node]),
        )
        for place, node in enumerate(ranking.order[: query.limit].tolist())
    )
    stability = known(ranking.stability)
    return json_response(
        RankingDocument(source=source, rows=rows, models=ranking.models, stability=stability, snapshots=snapshots, coverage=coverage)
    )


routes = (
    Operation("GET", "/v1/systemic/rank", "systemic_rank", "Systemic importance as a band", rank, answer=RankingDocument, query=RankQuery),
)
