"""`/v1/owners/{owner}/labels`: what somebody calls an owner; nobody else sees it."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, Field

from aggregator.api.context import app_of
from aggregator.api.identity import require
from aggregator.api.operation import OWNER_PARAMETER, Body, Operation, body_of, json_response
from aggregator.api.owners import named_owner
from aggregator.engine.schema import Document
from aggregator.store import watch
from aggregator.store.watch import MOST_LABELS


def _plain(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("expected printable characters, without spaces around them")
    return text


Label = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_plain)]


class LabelsBody(Body):
    """All labels from now on; none to take them away."""

    labels: Annotated[tuple[Label, ...], Field(max_length=MOST_LABELS, strict=False)]


class LabelsDocument(Document):
    owner: str
    labels: tuple[str, ...]


async def shown(request: web.Request) -> web.StreamResponse:
    who = await require(request, "labels")
    owner = (await named_owner(request)).address
    async with app_of(request).database.reading() as connection:
        found = await watch.labels(connection, owner, who.name)
    return json_response(LabelsDocument(owner=owner, labels=found))


async def changed(request: web.Request) -> web.StreamResponse:
    who = await require(request, "labels")
    body = await body_of(request, LabelsBody)
    owner = (await named_owner(request)).address
    app = app_of(request)
    at = app.now()
    kept = await app.database.write(lambda connection: watch.set_labels(connection, owner, who.name, body.labels, at))
    return json_response(LabelsDocument(owner=owner, labels=kept))


routes = (
    Operation(
        "GET",
        "/v1/owners/{owner}/labels",
        "labels",
        "Your labels of an owner",
        shown,
        answer=LabelsDocument,
        writes=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
    Operation(
        "PUT",
        "/v1/owners/{owner}/labels",
        "set_labels",
        "Set your labels of an owner",
        changed,
        answer=LabelsDocument,
        body=LabelsBody,
        writes=True,
        problems=(503,),
        parameters=(OWNER_PARAMETER,),
    ),
)
