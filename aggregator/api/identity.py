"""Who writes: an API key with scopes, or a wallet that signed in."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from aggregator.api.context import app_of
from aggregator.api.problem import Problem
from aggregator.model.identifiers import Address
from aggregator.store import access

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
LONGEST_TOKEN = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` is what is kept beside whatever this one writes; `address` is a wallet's, None for a key."""

    name: str
    scopes: frozenset[str]
    address: Address | None = None

    def may_watch(self, owner: Address) -> bool:
        """A key with the scope may watch anybody, a wallet itself."""
        return "watch" in self.scopes or owner == self.address


async def identify(request: web.Request) -> Identity | None:
    """Whose token the request carries; None without one. Problem 401 for one that is not good."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    kind, _, token = header.partition(" ")
    if kind.lower() != "bearer":
        raise Problem(401, "unauthorised", "expected Authorization: Bearer with an API key or a session", _CHALLENGE)
    return await identity_of(request, token.strip())


async def identity_of(request: web.Request, token: str) -> Identity:
    """Whose token it is. Problem 401 where it is nobody's."""
    app = app_of(request)
    if len(token) <= LONGEST_TOKEN:
        async with app.database.reading() as connection:
            address = await access.session_address(connection, token, app.now())
            if address is not None:
                return Identity(f"wallet:{address}", frozenset(), address)
            key = await access.check_key(connection, token)
            if key is not None:
                return Identity(f"key:{key.id}", key.scopes)
    raise Problem(401, "unauthorised", "this key or session is unknown, revoked or expired", _CHALLENGE)


async def require(request: web.Request, scope: str | None = None) -> Identity:
    """Whoever writes. Problem 401 without a token, 403 for a key without the scope; wallets are judged by the endpoint."""
    who = await identify(request)
    if who is None:
        raise Problem(401, "unauthorised", "this needs an API key or a wallet's session", _CHALLENGE)
    if scope is not None and who.address is None and scope not in who.scopes:
        raise Problem(403, "forbidden", f"this key does not have the scope {scope}")
    return who
