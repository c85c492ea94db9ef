"""Who may write: API keys and signed-in wallets. Secrets are kept as SHA-256, which is enough for 256 random bits."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address
from aggregator.store.tables import KeyRow, Moment, NonceRow, SessionRow, table

KEYS, SESSIONS, NONCES = table(KeyRow), table(SessionRow), table(NonceRow)
SCOPES = ("watch", "alerts", "labels")
"""what a key may write: watch lists, subscriptions to alerts that concern everybody, labels"""
_KEY = re.compile(r"cm_([0-9a-f]{16})_([0-9a-f]{64})\Z")
_SESSION = re.compile(r"cs_[0-9a-f]{64}\Z")
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept; the secret was shown once when it was made."""

    id: str
    name: str
    scopes: frozenset[str]
    created_at: Moment
    revoked_at: Moment | None = None


async def create_key(connection: AsyncConnection, name: str, scopes: frozenset[str], at: Moment) -> tuple[ApiKey, str]:
    """A new key and its secret, which nobody can show again. InputError for a scope that does not exist."""
    if not scopes or (unknown := scopes - set(SCOPES)):
        raise InputError(f"{next(iter(sorted(unknown)), '') if scopes else 'no scope'}: expected scopes among {', '.join(SCOPES)}")
    if not 1 <= len(name) <= 64 or not name.isprintable():
        raise InputError("a key's name has 1 to 64 printable characters")
    key = ApiKey(secrets.token_hex(8), name, scopes, at)
    secret = secrets.token_hex(32)
    row = {"id": key.id, "name": name, "hash": _hash(secret), "scopes": " ".join(sorted(scopes)), "created_at": at, "revoked_at": None}
    await connection.execute(sa.insert(KEYS).values(row))
    return key, f"cm_{key.id}_{secret}"


async def check_key(connection: AsyncConnection, presented: str) -> ApiKey | None:
    """The key that was presented, None for one that is unknown, wrong or revoked; as long for each of them."""
    match = _KEY.match(presented)
    if match is None:
        return None
    row = (await connection.execute(sa.select(KEYS).where(KEYS.c.id == match[1]))).one_or_none()
    same = hmac.compare_digest(_hash(match[2]), row.hash if row is not None else _NOBODY)
    return _key(row) if same and row is not None and row.revoked_at is None else None


async def revoke_key(connection: AsyncConnection, identifier: str, at: Moment) -> bool:
    """False where there is no such key in force."""
    there = sa.update(KEYS).where(KEYS.c.id == identifier, KEYS.c.revoked_at.is_(None))
    return bool((await connection.execute(there.values(revoked_at=at))).rowcount)


async def list_keys(connection: AsyncConnection) -> tuple[ApiKey, ...]:
    """Every key, the oldest first."""
    return tuple(_key(row) for row in await connection.execute(sa.select(KEYS).order_by(KEYS.c.created_at, KEYS.c.id)))


def _key(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(row.id, row.name, frozenset(row.scopes.split()), row.created_at, row.revoked_at)


async def create_nonce(connection: AsyncConnection, now: Moment, expires_at: Moment) -> str:
    """A number for one signature. Expired ones are let go."""
    await connection.execute(sa.delete(NONCES).where(NONCES.c.expires_at < now))
    nonce = secrets.token_hex(16)
    await connection.execute(sa.insert(NONCES).values(nonce=nonce, expires_at=expires_at))
    return nonce


async def nonce_is_good(connection: AsyncConnection, nonce: str, now: Moment) -> bool:
    """Whether it could be used now; it is not used by asking."""
    found = sa.select(NONCES.c.nonce).where(NONCES.c.nonce == nonce, NONCES.c.expires_at >= now)
    return (await connection.execute(found)).first() is not None


async def use_nonce(connection: AsyncConnection, nonce: str, now: Moment) -> bool:
    """True exactly once for a number that was given out and has not expired."""
    used = sa.delete(NONCES).where(NONCES.c.nonce == nonce, NONCES.c.expires_at >= now)
    return bool((await connection.execute(used)).rowcount)


async def open_session(connection: AsyncConnection, address: Address, now: Moment, expires_at: Moment) -> str:
    """The token of a wallet that proved itself."""
    await connection.execute(sa.delete(SESSIONS).where(SESSIONS.c.expires_at < now))
    token = f"cs_{secrets.token_hex(32)}"
    await connection.execute(sa.insert(SESSIONS).values(hash=_hash(token), address=address, expires_at=expires_at))
    return token


async def session_address(connection: AsyncConnection, token: str, now: Moment) -> Address | None:
    """Whose session it is, None where there is none."""
    if not _SESSION.match(token):
        return None
    found = sa.select(SESSIONS.c.address).where(SESSIONS.c.hash == _hash(token), SESSIONS.c.expires_at >= now)
    address = (await connection.execute(found)).scalar_one_or_none()
    return Address(address) if address is not None else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
