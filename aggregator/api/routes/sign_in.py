"""`/v1/sign-in`: a wallet proves itself (EIP-4361) and gets a session for an hour."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import Body, Operation, body_of, json_response
from aggregator.api.problem import Problem
from aggregator.api.siwe import LONGEST_MESSAGE, read_message, signer_of
from aggregator.api.times import shown
from aggregator.engine.schema import Document
from aggregator.model.errors import InputError
from aggregator.store import access

SECOND = 1_000_000
NONCE_SECONDS, SESSION_SECONDS = 300, 3_600


class NonceDocument(Document):
    """`domain`: what the message must name."""

    nonce: str
    domain: str
    expires_at: str


class SignInBody(Body):
    message: Annotated[str, Field(min_length=1, max_length=LONGEST_MESSAGE)]
    signature: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{130}$")]


class SessionDocument(Document):
    """`token` goes into `Authorization: Bearer …`."""

    token: str
    address: str
    expires_at: str


async def nonce(request: web.Request) -> web.StreamResponse:
    app = app_of(request)
    now = app.now()
    until = now + NONCE_SECONDS * SECOND
    made = await app.database.write(lambda connection: access.create_nonce(connection, now, until))
    return json_response(NonceDocument(nonce=made, domain=_domain(request), expires_at=shown(until)))


async def sign_in(request: web.Request) -> web.StreamResponse:
    body = await body_of(request, SignInBody)
    app = app_of(request)
    now = app.now()
    try:
        said = read_message(body.message, _domain(request), now / SECOND)
        if signer_of(body.message, body.signature) != said.address:
            raise InputError("the signature is not of the address in the message")
    except InputError as error:
        raise Problem(401, "sign-in-refused", str(error)) from None
    until = now + SESSION_SECONDS * SECOND
    if said.expires is not None:
        until = min(until, int(said.expires * SECOND))
    async with app.database.writing() as connection:
        if not await access.use_nonce(connection, said.nonce, now):
            raise Problem(401, "sign-in-refused", "the nonce was not given out here, was used before, or has expired")
        token = await access.open_session(connection, said.address, now, until)
    return json_response(SessionDocument(token=token, address=said.address, expires_at=shown(until)))


def _domain(request: web.Request) -> str:
    """What this service is called: as set, or as the browser calls it."""
    return app_of(request).settings.public_host or request.host


routes = (
    Operation("POST", "/v1/sign-in/nonce", "nonce", "A number for one sign-in", nonce, answer=NonceDocument, problems=(503,)),
    Operation(
        "POST",
        "/v1/sign-in",
        "sign_in",
        "Sign in with a wallet (EIP-4361)",
        sign_in,
        answer=SessionDocument,
        body=SignInBody,
        problems=(401, 503),
    ),
)
