"""`/v1/subscriptions`: to be told of alerts. Only the owner of an address can subscribe its private alerts."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.identity import Identity, require
from aggregator.api.operation import Body, Operation, body_of, json_response
from aggregator.api.problem import Problem
from aggregator.api.times import shown
from aggregator.engine.schema import Document
from aggregator.model.identifiers import Address, parse_address
from aggregator.publish.alerts.people import check_person
from aggregator.publish.alerts.webhook import check_webhook
from aggregator.reading.redaction import redact
from aggregator.store import watch
from aggregator.store.watch import Subscription

WEBHOOK = "webhook"
SECRET_BYTES = 32
IDENTIFIER = ("id", "a subscription's id", r"^[0-9a-f]{24}$")


class SubscriptionBody(Body):
    """`owner`: whose private alerts, null for those that concern everybody.

    `target`: a webhook's https URL, or an apprise URL for people.
    """

    owner: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")] | None = None
    channel: Literal["webhook", "people"]
    target: Annotated[str, Field(min_length=1, max_length=2048)]
    severity: Literal["info", "warning", "critical"] = "warning"


class SubscriptionDocument(Document):
    """`target` shows scheme and host only. `secret`, which webhooks are signed with, is shown once, when the subscription is made."""

    id: str
    owner: str | None
    channel: str
    target: str
    severity: str
    created_at: str
    secret: str | None = None


class SubscriptionsDocument(Document):
    subscriptions: tuple[SubscriptionDocument, ...]


class EndedDocument(Document):
    removed: bool


async def listed(request: web.Request) -> web.StreamResponse:
    who = await require(request, "alerts")
    async with app_of(request).database.reading() as connection:
        found = await watch.subscriptions(connection, who.name)
    return json_response(SubscriptionsDocument(subscriptions=tuple(_document(one) for one in found)))


async def subscribe(request: web.Request) -> web.StreamResponse:
    who = await require(request, "alerts")
    body = await body_of(request, SubscriptionBody)
    owner = parse_address(body.owner) if body.owner is not None else None
    _check_owner(who, owner)
    app = app_of(request)
    secret = secrets.token_bytes(SECRET_BYTES) if body.channel == WEBHOOK else b""
    if body.channel == WEBHOOK:
        check_webhook(body.target, secret, app.settings.allow_private_webhooks)
    else:
        check_person(body.target)
    wanted = Subscription(owner, body.channel, body.target, body.severity, who.name, app.now(), secret=secret.hex())
    if owner is not None:
        await app.live.watch([owner], who.name)
    identifier = await app.database.write(lambda connection: watch.subscribe(connection, wanted))
    return json_response(_document(wanted, identifier, secret.hex() or None))


async def unsubscribe(request: web.Request) -> web.StreamResponse:
    who = await require(request, "alerts")
    identifier = request.match_info["id"][:64]
    gone = await app_of(request).database.write(lambda connection: watch.unsubscribe(connection, identifier, who.name))
    return json_response(EndedDocument(removed=gone))


def _check_owner(who: Identity, owner: Address | None) -> None:
    if owner is not None and who.address != owner:
        raise Problem(403, "forbidden", "an owner's own alerts are for the owner: sign in with that wallet")


def _document(one: Subscription, identifier: str | None = None, secret: str | None = None) -> SubscriptionDocument:
    return SubscriptionDocument(
        id=identifier or one.id,
        owner=one.owner,
        channel=one.channel,
        target=redact(one.target) if one.channel == WEBHOOK else one.target.partition("://")[0] + "://…",
        severity=one.severity,
        created_at=shown(one.created_at),
        secret=secret,
    )


routes = (
    Operation(
        "GET",
        "/v1/subscriptions",
        "subscriptions",
        "Your subscriptions",
        listed,
        answer=SubscriptionsDocument,
        writes=True,
        problems=(503,),
    ),
    Operation(
        "POST",
        "/v1/subscriptions",
        "subscribe",
        "Be told of alerts",
        subscribe,
        answer=SubscriptionDocument,
        body=SubscriptionBody,
        writes=True,
        problems=(503,),
    ),
    Operation(
        "DELETE",
        "/v1/subscriptions/{id}",
        "unsubscribe",
        "Be told no more",
        unsubscribe,
        answer=EndedDocument,
        writes=True,
        problems=(503,),
        parameters=(IDENTIFIER,),
    ),
)
