"""Owners as requests name them, and answers that stand on an owner's picture."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.context import app_of
from aggregator.api.middleware import spend
from aggregator.api.operation import JSON
from aggregator.api.problem import Problem
from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.live.assess import Assessed
from aggregator.engine.live.owner import Followed, owner_key
from aggregator.model.errors import InputError

LONGEST_OWNER = 255
COLD_COST = 10
"""units for an owner who has to be read first, or for a calculation of its own"""
_HEADERS = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}


async def named_owner(request: web.Request) -> OwnerAddress:
    """The owner in the path. Problem 400 for what is none."""
    text = request.match_info["owner"]
    if len(text) > LONGEST_OWNER:
        raise Problem(400, "bad-owner", f"an owner has {LONGEST_OWNER} characters at most")
    return await parsed_owner(request, text)


async def parsed_owner(request: web.Request, text: str) -> OwnerAddress:
    live = app_of(request).live
    try:
        owner = await live.owner(text)
    except InputError as error:
        raise Problem(400, "bad-owner", str(error)) from None
    if owner.chain is not None and owner.chain not in live.loops:
        raise Problem(400, "bad-owner", f"{owner.chain} is not read by this service")
    return owner


async def current(request: web.Request, owner: OwnerAddress) -> tuple[Followed, Assessed]:
    """The owner's present picture; one who has to be read first costs more."""
    live = app_of(request).live
    known = live.followed.get(owner_key(owner))
    if known is None or known.assessed is None:
        spend(request, COLD_COST - 1)
    one = await live.current(owner)
    assert one.assessed is not None
    return one, one.assessed


def unchanged(request: web.Request, tag: str) -> bool:
    """Whether the client has this version already (weak comparison, RFC 9110)."""
    header = request.headers.get("If-None-Match")
    return header is not None and any(one.strip().removeprefix("W/") in (f'"{tag}"', "*") for one in header.split(","))


def document_response(request: web.Request, assessed: Assessed) -> web.Response:
    """The health document with its snapshot id as ETag; compressed once for all who take that."""
    headers = {"ETag": f'"{assessed.snapshot}"', **_HEADERS}
    if unchanged(request, assessed.snapshot):
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=assessed.compressed, headers=headers, content_type=JSON)
    return web.Response(body=assessed.body, headers=headers, content_type=JSON)


def tagged_response(request: web.Request, body: bytes, tag: str) -> web.Response:
    """JSON that is told apart by `tag`."""
    headers = {"ETag": f'"{tag}"', **_HEADERS}
    if unchanged(request, tag):
        return web.Response(status=304, headers=headers)
    response = web.Response(body=body, headers=headers, content_type=JSON)
    response.enable_compression()
    return response
