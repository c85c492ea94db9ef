"""`GET /v1/coverage`: what this service reads, how far each chain is, and what is missing."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.context import App, app_of
from aggregator.api.operation import Operation, json_response
from aggregator.api.schema import ChainStatus, ServiceCoverage, missing
from aggregator.api.times import shown
from aggregator.engine.live.chain import ChainState
from aggregator.engine.schema import GapDocument

SILENT_BLOCKS, SILENT_SECONDS = 50, 600.0
"""block times, and seconds, of silence after which a chain is called stale"""


async def coverage(request: web.Request) -> web.StreamResponse:
    app = app_of(request)
    chains = tuple(_chain(app, state) for state in app.live.states())
    gaps = tuple(
        GapDocument(chain=one.chain, protocol="*", what="the newest blocks", why=one.detail or one.status)
        for one in chains
        if one.status != "ok"
    )
    owners = app.live.followed.values()
    return json_response(
        ServiceCoverage(
            now=shown(int(app.live.engine.clock() * 1_000_000)),
            share=f"{app.live.coverage():.4f}",
            chains=chains,
            watched=sum(one.watched for one in owners),
            guests=sum(not one.watched for one in owners),
            complete_owners=sum(one.assessed is not None and one.assessed.figures.complete for one in owners),
            coverage=missing(gaps),
        )
    )


def _chain(app: App, state: ChainState) -> ChainStatus:
    silent = app.live.silent_seconds(state)
    block_time = app.live.engine.network.configuration[state.chain].block_time_seconds
    status, detail = "ok", None
    if state.trouble or state.head is None:
        status, detail = "unreachable", state.trouble or "no block has been heard of yet"
    elif silent is not None and silent > max(SILENT_SECONDS, SILENT_BLOCKS * block_time):
        status, detail = "stale", f"no block was heard of for {silent:.0f} seconds"
    head = state.head
    return ChainStatus(
        chain=state.chain,
        block=head.number if head is not None else None,
        block_hash=head.hash if head is not None else None,
        timestamp=shown(head.timestamp * 1_000_000) if head is not None and head.timestamp else None,
        status=status,
        detail=detail,
        follows=state.mode,
        waiting=state.waiting,
        silent_seconds=f"{silent:.1f}" if silent is not None else None,
    )


routes = (Operation("GET", "/v1/coverage", "coverage", "What is read, and what is missing", coverage, answer=ServiceCoverage),)
