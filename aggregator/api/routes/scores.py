"""`GET /v1/scores/{owner}` and `POST /v1/scores`: scores without the portfolio behind them, one or many."""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.operation import OWNER_PARAMETER, Body, Operation, body_of, json_response
from aggregator.api.owners import LONGEST_OWNER, current, named_owner, parsed_owner, tagged_response
from aggregator.api.problem import Problem
from aggregator.api.schema import BlockDocument, ScoreDocument, ScoresDocument
from aggregator.engine.live.assess import Assessed
from aggregator.engine.live.owner import owner_key

MOST_OWNERS = 100


class ScoresBody(Body):
    """Up to a hundred owners; each costs as much as asked for alone."""

    owners: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_OWNER)], ...], Field(min_length=1, max_length=MOST_OWNERS, strict=False)
    ]


async def score(request: web.Request) -> web.StreamResponse:
    owner = await named_owner(request)
    _, assessed = await current(request, owner)
    body = score_document(owner_key(owner), assessed).model_dump_json().encode()
    return tagged_response(request, body, assessed.snapshot)


async def scores(request: web.Request) -> web.StreamResponse:
    body = await body_of(request, ScoresBody)
    found = await asyncio.gather(*(_one(request, text) for text in dict.fromkeys(body.owners)))
    return json_response(ScoresDocument(scores=tuple(found)))


async def _one(request: web.Request, text: str) -> ScoreDocument:
    """One that cannot be read costs the others nothing; but a limit that is reached ends the whole."""
    try:
        owner = await parsed_owner(request, text)
        _, assessed = await current(request, owner)
    except Problem as problem:
        if problem.status == 429:
            raise
        return _unknown(text, problem.detail)
    return score_document(owner_key(owner), assessed)


def score_document(owner: str, assessed: Assessed) -> ScoreDocument:
    figures = assessed.figures
    return ScoreDocument(
        owner=owner,
        snapshot=assessed.snapshot,
        score=figures.score,
        liquidation_probability=assessed.probability,
        margin_ratio=figures.margin_ratio,
        health_factor=assessed.lowest_health,
        equity_usd=figures.equity_usd,
        complete=figures.complete,
        blocks=tuple(BlockDocument(chain=chain, block=block.number, block_hash=block.hash) for chain, block in assessed.blocks),
        model=assessed.model,
    )


def _unknown(owner: str, why: str) -> ScoreDocument:
    return ScoreDocument(
        owner=owner,
        snapshot=None,
        score=None,
        liquidation_probability=None,
        margin_ratio=None,
        health_factor=None,
        equity_usd=None,
        complete=False,
        blocks=(),
        model=None,
        error=why,
    )


routes = (
    Operation(
        "GET",
        "/v1/scores/{owner}",
        "score",
        "The margin score of an owner",
        score,
        answer=ScoreDocument,
        tagged=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
    Operation(
        "POST", "/v1/scores", "scores", "Margin scores of many owners", scores, answer=ScoresDocument, body=ScoresBody, problems=(503,)
    ),
)
