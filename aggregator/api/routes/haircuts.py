"""`GET /v1/haircuts`: the haircuts in force, of the assets that followed owners have."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import Operation, Query, json_response, query_of
from aggregator.api.schema import HaircutItem, HaircutsDocument, missing
from aggregator.engine.live.assess import AssetHaircut
from aggregator.engine.schema import GapDocument


class HaircutsQuery(Query):
    """`asset`: a CAIP-19 id or a symbol."""

    asset: Annotated[str, Field(min_length=1, max_length=120)] | None = None


async def haircuts(request: web.Request) -> web.StreamResponse:
    query = query_of(request, HaircutsQuery)
    worst: dict[str, AssetHaircut] = {}
    for one in app_of(request).live.followed.values():
        for found in one.assessed.haircuts if one.assessed is not None else ():
            known = worst.get(found.asset)
            if (known is None or float(known.haircut) < float(found.haircut)) and query.asset in (None, found.asset, found.symbol):
                worst[found.asset] = found
    why = "no followed owner holds it" if query.asset is not None else "no owner is followed, or none has been read yet"
    gaps = () if worst else (GapDocument(chain="*", protocol="*", what=f"haircut of {query.asset or 'any asset'}", why=why),)
    return json_response(
        HaircutsDocument(
            haircuts=tuple(
                HaircutItem(asset=one.asset, symbol=one.symbol, haircut=one.haircut, parts=dict(one.parts))
                for _, one in sorted(worst.items())
            ),
            coverage=missing(gaps),
        )
    )


routes = (Operation("GET", "/v1/haircuts", "haircuts", "The haircuts in force", haircuts, answer=HaircutsDocument, query=HaircutsQuery),)
