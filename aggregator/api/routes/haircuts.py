"""`GET /v1/haircuts`: the haircut in force of every listed asset, as a holding of one size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import orjson
from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.middleware import spend
from aggregator.api.operation import Operation, Query, query_of
from aggregator.api.owners import tagged_response
from aggregator.api.problem import Problem
from aggregator.api.schema import HaircutsDocument, missing
from aggregator.chains.arguments import resolve_chain
from aggregator.engine.haircuts_request import USUAL_SIZE, parse_asset, parse_size
from aggregator.engine.schema import GapDocument
from aggregator.model.errors import InputError
from aggregator.model.identifiers import ChainId
from aggregator.model.token import Token

if TYPE_CHECKING:
    from decimal import Decimal

    from aggregator.engine.live.haircuts import ListedHaircuts, Table

OTHER_SIZE_COST = 5
"""units for haircuts that have to be calculated, because nobody asked for this size of them since the chains were read"""


class HaircutsQuery(Query):
    """`asset`: a CAIP-19 id or a symbol. `chain`: an id or a short name. `after`: the cursor that the page before gave."""

    asset: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    chain: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    size_usd: Annotated[str, Field(pattern=r"^[0-9]{1,13}(\.[0-9]{1,6})?$")] = str(USUAL_SIZE)
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    after: Annotated[str, Field(min_length=1, max_length=120)] | None = None


async def haircuts(request: web.Request) -> web.StreamResponse:
    query = query_of(request, HaircutsQuery)
    app = app_of(request)
    listed = app.haircuts
    size = _size(query.size_usd)
    tokens = _wanted(request, listed, query)
    table = await listed.current()
    key = (tuple(query), size)
    body = table.answer(key)
    if body is None:
        if size != USUAL_SIZE:
            spend(request, OTHER_SIZE_COST - 1)
        body = await _body(listed, table, tokens, size, query)
        table.keep(key, body)
    return tagged_response(request, body, hashlib.sha256(body).hexdigest())


async def _body(listed: ListedHaircuts, table: Table, tokens: Sequence[Token], size: Decimal, query: HaircutsQuery) -> bytes:
    from aggregator.engine.document import snapshot_document
    from aggregator.engine.figures import plain

    page = tokens[: query.limit]
    places = {token.asset for token in page}
    assets = [one for one in table.assets if one.token.asset in places]
    if size == USUAL_SIZE:
        rows = [table.rows[one.token.asset] for one in assets]
    else:
        rows = await listed.rows(table, assets, size)
    gaps = tuple(GapDocument(chain=gap.chain, protocol=gap.protocol, what=gap.what, why=gap.why) for gap in table.gaps(page))
    chains = dict.fromkeys(token.chain for token in page)
    return orjson.dumps(
        {
            "size_usd": plain(size),
            "snapshots": [snapshot_document(table.snapshots[chain]).model_dump() for chain in chains if chain in table.snapshots],
            "haircuts": [orjson.Fragment(row) for row in rows],
            "after": page[-1].asset if len(tokens) > len(page) else None,
            "coverage": missing(gaps).model_dump(),
        }
    )


def _size(text: str) -> Decimal:
    try:
        return parse_size(text)
    except InputError as error:
        raise Problem(400, "bad-size", f"size_usd: {error}") from None


def _wanted(request: web.Request, listed: ListedHaircuts, query: HaircutsQuery) -> tuple[Token, ...]:
    """Listed tokens that are asked for, from the cursor on. Problem 404 where there is none of that name."""
    tokens = listed.tokens
    if query.chain is not None:
        chain = _chain(request, query.chain)
        tokens = tuple(token for token in tokens if token.chain == chain)
    if query.asset is not None:
        try:
            asset = parse_asset(query.asset) if "/" in query.asset else None
        except InputError as error:
            raise Problem(400, "bad-asset", str(error)) from None
        symbol = query.asset.lower()
        tokens = tuple(token for token in tokens if (token.asset == asset if asset is not None else token.symbol.lower() == symbol))
        if not tokens:
            raise Problem(404, "unknown-asset", f"{query.asset} is not listed on the chains that are asked for")
    if query.after is not None:
        place = next((number for number, token in enumerate(tokens) if token.asset == query.after), None)
        if place is None:
            raise Problem(400, "bad-cursor", "after: expected the cursor of the page before, with the same asset and chain")
        tokens = tokens[place + 1 :]
    return tokens


def _chain(request: web.Request, text: str) -> ChainId:
    live = app_of(request).live
    try:
        chain = resolve_chain(text, live.engine.network.configuration)
    except InputError as error:
        raise Problem(400, "bad-chain", str(error)) from None
    if chain not in live.chains:
        raise Problem(400, "bad-chain", f"{chain} is not read by this service")
    return chain


routes = (
    Operation(
        "GET",
        "/v1/haircuts",
        "haircuts",
        "The haircuts in force of all listed assets",
        haircuts,
        answer=HaircutsDocument,
        query=HaircutsQuery,
        tagged=True,
        problems=(404, 503),
    ),
)
