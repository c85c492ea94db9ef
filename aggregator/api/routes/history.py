"""`GET /v1/owners/{owner}/history`: every assessment that was published, with those that were withdrawn marked."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import OWNER_PARAMETER, Operation, Query, json_response, query_of
from aggregator.api.owners import named_owner
from aggregator.api.schema import BlockDocument, HistoryDocument, HistoryPoint
from aggregator.api.times import cursor, place, shown
from aggregator.engine.live.owner import owner_key
from aggregator.model.identifiers import Address
from aggregator.store import chronicle
from aggregator.store.chronicle import PastAssessment


class HistoryQuery(Query):
    """`before`: the cursor that the newer page gave."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    before: Annotated[str, Field(max_length=32)] | None = None


async def history(request: web.Request) -> web.StreamResponse:
    query = query_of(request, HistoryQuery)
    before = place(query.before)
    owner = owner_key(await named_owner(request))
    async with app_of(request).database.reading() as connection:
        page = await chronicle.history(connection, Address(owner), query.limit, before)
    return json_response(
        HistoryDocument(
            owner=owner,
            points=tuple(_point(one) for one in page.rows),
            before=cursor(page.before) if page.before is not None else None,
        )
    )


def _point(one: PastAssessment) -> HistoryPoint:
    assessed, figures = one.assessed, one.assessed.figures
    return HistoryPoint(
        timestamp=shown(assessed.at),
        snapshot=assessed.snapshot,
        score=figures.score,
        margin_ratio=figures.margin_ratio,
        equity_usd=figures.equity_usd,
        collateral_usd=figures.collateral_usd,
        debt_usd=figures.debt_usd,
        requirement_usd=figures.requirement_usd,
        complete=figures.complete,
        blocks=tuple(BlockDocument(chain=chain, block=block.number, block_hash=block.hash) for chain, block in assessed.blocks),
        withdrawn_at=shown(one.withdrawn_at) if one.withdrawn_at is not None else None,
        withdrawn=one.withdrawn_why,
    )


routes = (
    Operation(
        "GET",
        "/v1/owners/{owner}/history",
        "history",
        "Every published assessment of an owner",
        history,
        answer=HistoryDocument,
        query=HistoryQuery,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
