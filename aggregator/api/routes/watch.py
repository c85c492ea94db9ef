"""`/v1/watch`: owners who are followed at every block, also after a restart."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.identity import Identity, require
from aggregator.api.operation import OWNER_PARAMETER, Body, Operation, body_of, json_response
from aggregator.api.owners import named_owner
from aggregator.api.problem import Problem
from aggregator.engine.schema import Document
from aggregator.model.identifiers import Address, parse_address

MOST_OWNERS = 1_000


class WatchBody(Body):
    """Addresses; names are not taken, because whom they name may change."""

    owners: Annotated[
        tuple[Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")], ...], Field(min_length=1, max_length=MOST_OWNERS, strict=False)
    ]


class WatchedDocument(Document):
    """`added`: how many were not watched before."""

    owners: tuple[str, ...]
    added: int


class RemovedDocument(Document):
    removed: bool


async def listed(request: web.Request) -> web.StreamResponse:
    who = await require(request, "watch")
    owners = sorted(key for key, one in app_of(request).live.followed.items() if one.watched and who.may_watch(Address(key)))
    return json_response(WatchedDocument(owners=tuple(owners), added=0))


async def added(request: web.Request) -> web.StreamResponse:
    who = await require(request, "watch")
    body = await body_of(request, WatchBody)
    owners = tuple(dict.fromkeys(parse_address(text) for text in body.owners))
    for owner in owners:
        _check(who, owner)
    new = await app_of(request).live.watch(owners, who.name)
    return json_response(WatchedDocument(owners=owners, added=new))


async def removed(request: web.Request) -> web.StreamResponse:
    who = await require(request, "watch")
    owner = await named_owner(request)
    _check(who, owner.address)
    return json_response(RemovedDocument(removed=await app_of(request).live.unwatch(owner.address)))


def _check(who: Identity, owner: Address) -> None:
    if not who.may_watch(owner):
        raise Problem(403, "forbidden", "a wallet may watch itself only; other owners need an API key with the scope watch")


routes = (
    Operation("GET", "/v1/watch", "watched", "Owners that are watched", listed, answer=WatchedDocument, writes=True, problems=(503,)),
    Operation(
        "POST",
        "/v1/watch",
        "watch",
        "Watch owners from now on",
        added,
        answer=WatchedDocument,
        body=WatchBody,
        writes=True,
        problems=(503,),
    ),
    Operation(
        "DELETE",
        "/v1/watch/{owner}",
        "unwatch",
        "Watch an owner no more",
        removed,
        answer=RemovedDocument,
        writes=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
