"""The tables. Raw amounts and decimals are text, because SQLite keeps no more than 15 digits of a number; times are whole
microseconds since the epoch, UTC; identifiers are the CAIP keys of the model. Rows are written through SQLAlchemy Core.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

Moment = int
"""microseconds since the epoch, UTC"""


def _moment(*, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(sa.BigInteger, nullable=nullable)


def _number() -> sa.Column[int]:
    """A key that is never given twice: SQLite's own would start again after the newest rows are pruned."""
    return sa.Column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)


class WatchedOwner(SQLModel, table=True):
    """An owner who is followed at every block. `added_by`: an API key's id or an address."""

    __tablename__ = "owners"
    address: str = Field(primary_key=True, max_length=64)
    added_at: Moment = Field(sa_column=_moment())
    added_by: str = Field(max_length=64)


class BlockRow(SQLModel, table=True):
    """A block that figures stand on, or stood on before it was replaced."""

    __tablename__ = "blocks"
    __table_args__ = (sa.Index("blocks_by_number", "chain", "number"),)
    chain: str = Field(primary_key=True, max_length=64)
    hash: str = Field(primary_key=True, max_length=66)
    number: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    timestamp: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    orphaned_at: Moment | None = Field(default=None, sa_column=_moment(nullable=True))


class AssessmentRow(SQLModel, table=True):
    """One published assessment of one owner. `snapshot`: the id that HTTP answers carry as ETag."""

    __tablename__ = "assessments"
    __table_args__ = (sa.Index("assessments_by_owner", "owner", "id"), {"sqlite_autoincrement": True})
    id: int | None = Field(default=None, sa_column=_number())
    owner: str = Field(max_length=64)
    at: Moment = Field(sa_column=_moment())
    snapshot: str = Field(max_length=64)
    score: str | None
    margin_ratio: str | None
    equity_usd: str | None
    collateral_usd: str
    debt_usd: str | None
    requirement_usd: str | None
    complete: bool
    withdrawn_at: Moment | None = Field(default=None, sa_column=_moment(nullable=True))
    withdrawn_why: str | None = None


class AssessmentBlock(SQLModel, table=True):
    """Which blocks an assessment stands on."""

    __tablename__ = "assessment_blocks"
    __table_args__ = (sa.Index("assessments_by_block", "chain", "hash"),)
    assessment: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True))
    chain: str = Field(primary_key=True, max_length=64)
    number: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    hash: str = Field(max_length=66)


class EventRow(SQLModel, table=True):
    """What the stream told, in its order: a client that comes back with the last id it saw misses nothing."""

    __tablename__ = "events"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: int | None = Field(default=None, sa_column=_number())
    kind: str = Field(max_length=32)
    owner: str | None = Field(default=None, max_length=64)
    chain: str | None = Field(default=None, max_length=64)
    severity: str | None = Field(default=None, max_length=16)
    at: Moment = Field(sa_column=_moment())
    body: str
    """JSON"""


class AlertRow(SQLModel, table=True):
    """A message of an alert's life. `identifier` makes that the same message is kept once."""

    __tablename__ = "alerts"
    __table_args__ = (sa.Index("alerts_by_episode", "episode"), {"sqlite_autoincrement": True})
    id: int | None = Field(default=None, sa_column=_number())
    identifier: str = Field(max_length=64, unique=True)
    episode: str = Field(max_length=64)
    state: str = Field(max_length=16)
    severity: str = Field(max_length=16)
    rule: str = Field(max_length=64)
    owner: str | None = Field(default=None, max_length=64, index=True)
    """whose private alert it is; None for one that concerns everybody"""
    at: Moment = Field(sa_column=_moment())
    body: str
    """JSON"""


class SubscriptionRow(SQLModel, table=True):
    """Who is told of alerts, where. `owner` None: alerts that concern everybody."""

    __tablename__ = "subscriptions"
    id: str = Field(primary_key=True, max_length=32)
    owner: str | None = Field(default=None, max_length=64, index=True)
    channel: str = Field(max_length=16)
    target: str
    secret: str = Field(default="", sa_column=sa.Column(sa.String, nullable=False, server_default=""))
    """that webhooks are signed with, hex; it is needed to sign, so it cannot be kept as a hash"""
    severity: str = Field(max_length=16)
    """the least grave that is told"""
    created_by: str = Field(max_length=64, index=True)
    created_at: Moment = Field(sa_column=_moment())


class OutboxRow(SQLModel, table=True):
    """A message on its way to one destination, kept until the destination has acknowledged it. `body` holds no secret: what is needed
    to reach the destination is looked up under its id when the message is sent."""

    __tablename__ = "outbox"
    __table_args__ = (sa.Index("outbox_by_destination", "destination", "state", "id"), {"sqlite_autoincrement": True})
    id: int | None = Field(default=None, sa_column=_number())
    key: str = Field(max_length=96, unique=True)
    """the receiver knows a repetition by it"""
    destination: str = Field(max_length=64)
    body: str
    state: str = Field(max_length=16)
    """waiting, delivered or abandoned"""
    created_at: Moment = Field(sa_column=_moment())
    due_at: Moment = Field(sa_column=_moment())
    """not before then; while it is being sent, when another may try"""
    attempts: int
    settled_at: Moment | None = Field(default=None, sa_column=_moment(nullable=True))
    error: str | None = Field(default=None, max_length=200)
    """of the last attempt, without anything of the address but its host"""


class KeyRow(SQLModel, table=True):
    """An API key: what it may do and the hash of its secret, never the secret."""

    __tablename__ = "api_keys"
    id: str = Field(primary_key=True, max_length=32)
    name: str = Field(max_length=64)
    hash: str = Field(max_length=64)
    """SHA-256 of the secret, hex"""
    scopes: str
    """separated by spaces"""
    created_at: Moment = Field(sa_column=_moment())
    revoked_at: Moment | None = Field(default=None, sa_column=_moment(nullable=True))


class SessionRow(SQLModel, table=True):
    """A wallet that signed in: the hash of its token, and whose it is."""

    __tablename__ = "sessions"
    hash: str = Field(primary_key=True, max_length=64)
    address: str = Field(max_length=64)
    expires_at: Moment = Field(sa_column=_moment())


class NonceRow(SQLModel, table=True):
    """A number that a wallet may sign once."""

    __tablename__ = "nonces"
    nonce: str = Field(primary_key=True, max_length=32)
    expires_at: Moment = Field(sa_column=_moment())


class LabelRow(SQLModel, table=True):
    """What somebody calls an owner; seen by its author only."""

    __tablename__ = "labels"
    owner: str = Field(primary_key=True, max_length=64)
    author: str = Field(primary_key=True, max_length=64)
    label: str = Field(primary_key=True, max_length=64)
    created_at: Moment = Field(sa_column=_moment())


class CheckpointRow(SQLModel, table=True):
    """The last block of a chain whose changes are all stored."""

    __tablename__ = "checkpoints"
    chain: str = Field(primary_key=True, max_length=64)
    number: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    hash: str = Field(max_length=66)
    at: Moment = Field(sa_column=_moment())


class EpochRow(SQLModel, table=True):
    """A sealed epoch of signed scores. `as_of` and `valid_until` are unix seconds, as they are signed."""

    __tablename__ = "epochs"
    number: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    """given once: a root is never replaced"""
    root: str = Field(max_length=66)
    count: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    as_of: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    valid_until: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))
    sealed_at: Moment = Field(sa_column=_moment())
    scores: bytes
    """all statements, packed; asked for as a whole, because a proof needs every leaf"""


def table(kind: type[SQLModel]) -> sa.Table:
    """The Core table behind a class, for bulk statements."""
    return SQLModel.metadata.tables[str(kind.__tablename__)]
