"""`/v1/sign-in`: a wallet proves itself (EIP-4361), by its key or through its contracts (ERC-1271), and gets a session for an hour."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.contract_wallets import Proof, prove, unwrapped
from aggregator.api.middleware import spend
from aggregator.api.operation import Body, Operation, Query, body_of, json_response, query_of
from aggregator.api.owners import COLD_COST
from aggregator.api.problem import Problem
from aggregator.api.siwe import LONGEST_MESSAGE, SignIn, message_digest, read_message, signer_of
from aggregator.api.times import shown
from aggregator.engine.schema import Document
from aggregator.model.errors import InputError
from aggregator.model.identifiers import checksum, parse_address
from aggregator.store import access

SECOND = 1_000_000
NONCE_SECONDS, SESSION_SECONDS = 300, 3_600
LONGEST_SIGNATURE = 8_192
"""bytes: of a contract that a hundred keys sign for"""
MOST_OTHERS = 15
BAD_NONCE = "the nonce was not given out here, was used before, or has expired"


class NonceQuery(Query):
    """`address`: who will sign."""

    address: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")] | None = None


class NonceDocument(Document):
    """`domain` and `address`: what the message must name; wallets hand out addresses without the checksum that it needs."""

    nonce: str
    domain: str
    expires_at: str
    address: str | None = None


class SignedMessage(Body):
    """`signature`: of the address's own key, or whatever its contract accepts (ERC-1271); `0x` for what was signed on chain."""

    message: Annotated[str, Field(min_length=1, max_length=LONGEST_MESSAGE)]
    signature: Annotated[str, Field(pattern=r"^0x([0-9a-fA-F]{2})*$", max_length=2 + 2 * LONGEST_SIGNATURE)]


class SignInBody(SignedMessage):
    """`others`: for a wallet whose contracts on several chains each want a message that names their own chain."""

    others: Annotated[tuple[SignedMessage, ...], Field(max_length=MOST_OTHERS, strict=False)] = ()


class SessionDocument(Document):
    """`token` goes into `Authorization: Bearer …`."""

    token: str
    address: str
    expires_at: str


async def nonce(request: web.Request) -> web.StreamResponse:
    query, domain = query_of(request, NonceQuery), own_domain(request)
    address = checksum(parse_address(query.address)) if query.address is not None else None
    app = app_of(request)
    now = app.now()
    until = now + NONCE_SECONDS * SECOND
    made = await app.database.write(lambda connection: access.create_nonce(connection, now, until))
    return json_response(NonceDocument(nonce=made, domain=domain, expires_at=shown(until), address=address))


async def sign_in(request: web.Request) -> web.StreamResponse:
    body = await body_of(request, SignInBody)
    app = app_of(request)
    now = app.now()
    domain = own_domain(request)
    try:
        said = [read_message(one.message, domain, now / SECOND) for one in (body, *body.others)]
        first = said[0]
        if signer_of(message_digest(body.message), bytes.fromhex(body.signature[2:])) == first.address:
            said = said[:1]
        else:
            await _by_contract(request, body, said)
    except InputError as error:
        raise Problem(401, "sign-in-refused", str(error)) from None
    until = min([now + SESSION_SECONDS * SECOND, *(int(one.expires * SECOND) for one in said if one.expires is not None)])
    async with app.database.writing() as connection:
        for number in {one.nonce for one in said}:
            if not await access.use_nonce(connection, number, now):
                raise Problem(401, "sign-in-refused", BAD_NONCE)
        token = await access.open_session(connection, first.address, now, until)
    return json_response(SessionDocument(token=token, address=first.address, expires_at=shown(until)))


async def _by_contract(request: web.Request, body: SignInBody, said: Sequence[SignIn]) -> None:
    """Returns where the account's contracts accept. Chains are read for nobody whose nonces are not good."""
    if len({one.address for one in said}) > 1:
        raise InputError("the messages name different addresses")
    signed = (body, *body.others)
    proofs = [
        Proof(one.chain, message_digest(each.message), unwrapped(bytes.fromhex(each.signature[2:])))
        for each, one in zip(signed, said, strict=True)
    ]
    spend(request, COLD_COST - 1)
    app = app_of(request)
    now = app.now()
    async with app.database.reading() as connection:
        for number in {one.nonce for one in said}:
            if not await access.nonce_is_good(connection, number, now):
                raise InputError(BAD_NONCE)
    await prove(app.live.engine, app.live.chains, said[0].address, proofs)


def own_domain(request: web.Request) -> str:
    """What messages must name: as set, or as the browser calls this machine.

    Problem 421 for a name that nobody set: a page elsewhere could have its visitors sign its own name and send it here as the host.
    """
    settings = app_of(request).settings
    if settings.public_host:
        return settings.public_host
    # a proxy may have put this machine's address in the place of what the browser called
    if settings.trusted_proxies or not _is_ours(request):
        raise Problem(421, "unknown-host", "wallets sign in to the name that CROSSMARGIN_PUBLIC_HOST sets; here none is set")
    return request.host


def _is_ours(request: web.Request) -> bool:
    """Whether the request's host is this machine: `localhost`, a loopback address, or the address that the connection came in at."""
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
        if name == "localhost":
            return True
        address = _unmapped(name)
        place = request.transport.get_extra_info("sockname") if request.transport is not None else None
        return address.is_loopback or (isinstance(place, tuple) and _unmapped(place[0]) == address)
    except ValueError:
        return False


def _unmapped(text: str) -> IPv4Address | IPv6Address:
    """ValueError for what is no address."""
    address = ip_address(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


routes = (
    Operation(
        "POST", "/v1/sign-in/nonce", "nonce", "A number for one sign-in", nonce, answer=NonceDocument, query=NonceQuery, problems=(421, 503)
    ),
    Operation(
        "POST",
        "/v1/sign-in",
        "sign_in",
        "Sign in with a wallet (EIP-4361)",
        sign_in,
        answer=SessionDocument,
        body=SignInBody,
        problems=(401, 421, 503),
    ),
)
