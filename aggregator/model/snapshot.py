"""The block a figure stands on, and what is missing from a picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aggregator.model.identifiers import ChainId


class SnapshotStatus(StrEnum):
    OK = "ok"
    STALE = "stale"
    """read, but the head is older than the chain's block time explains"""
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Block:
    """A block all reads of one chain are pinned to. `timestamp` in seconds since the epoch, UTC."""

    number: int
    hash: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """As-of of one chain; `block` is None where the chain could not be reached."""

    chain: ChainId
    block: Block | None
    status: SnapshotStatus
    detail: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Something that could not be read: it is named in the coverage. `protocol` is `*` for a whole chain."""

    chain: ChainId
    protocol: str
    what: str
    why: str
    vouched: bool = True
    """False for tokens that nobody listed: a stranger can send any number of those, so they must not be able to blank a figure"""


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """A remark on a figure that stands: `code` is stable and kebab-case, `detail` is for people."""

    code: str
    detail: str
