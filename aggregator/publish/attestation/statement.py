"""What is signed: one owner's margin score in integers, and the root of all scores of an epoch.

Field by field these are `contracts/MarginScoreTypes.sol`. Probabilities and ratios have 18 decimals, the score is in hundredths of a
point, coverage in basis points. Rounded so that nothing looks better than it is: probabilities up, score, ratio and health down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aggregator.model.errors import InputError
from aggregator.model.identifiers import Address

UNKNOWN: Final = -(2**255)
"""a ratio that coverage does not support"""
UNBOUNDED: Final = 2**255 - 1
"""a ratio without anything to divide by: nothing is required, or nothing is owed"""
COMPLETE: Final = 10_000
"""basis points of coverage when nothing is missing, and only then"""
WAD: Final = 10**18
HIGHEST_SCORE: Final = 10_000
LONGEST_VALIDITY_SECONDS: Final = 86_400
"""that anything may be good for, counted from its oldest block, as in the contract: no signer can sign for ever"""


class StatementError(InputError):
    """A statement whose fields do not fit its types; the message names the field."""


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """A block that the statement was read at. `hash`: 32 bytes."""

    chain_id: int
    number: int
    hash: bytes

    def __post_init__(self) -> None:
        _unsigned("block.chain_id", self.chain_id, 64)
        _unsigned("block.number", self.number, 64)
        _word("block.hash", self.hash)


@dataclass(frozen=True, slots=True)
class MarginScore:
    """The statement. Times in unix seconds; `as_of` is the time of the oldest block it rests on."""

    owner: Address
    score: int
    probability_hour: int
    probability_day: int
    probability_week: int
    margin_ratio: int
    lowest_health_factor: int
    coverage: int
    blocks: tuple[ChainBlock, ...]
    model: str
    parameters: bytes
    snapshot: bytes
    as_of: int
    valid_until: int

    def __post_init__(self) -> None:
        _address(self.owner)
        for name in ("probability_hour", "probability_day", "probability_week"):
            value: int = getattr(self, name)
            if not 0 <= value <= WAD:
                raise StatementError(f"{name} lies in 0…10^18, not {value}")
        if not 0 <= self.score <= HIGHEST_SCORE:
            raise StatementError(f"score lies in 0…{HIGHEST_SCORE}, not {self.score}")
        if not 0 <= self.coverage <= COMPLETE:
            raise StatementError(f"coverage lies in 0…{COMPLETE}, not {self.coverage}")
        for name in ("margin_ratio", "lowest_health_factor"):
            if not UNKNOWN <= getattr(self, name) <= UNBOUNDED:
                raise StatementError(f"{name} does not fit 256 bits")
        _word("parameters", self.parameters)
        _word("snapshot", self.snapshot)
        _unsigned("as_of", self.as_of, 64)
        _unsigned("valid_until", self.valid_until, 64)


@dataclass(frozen=True, slots=True)
class ScoreEpoch:
    """All scores of one epoch. `root`: of the standard Merkle tree over (owner, hash of the statement), `count` leaves."""

    epoch: int
    root: bytes
    count: int
    as_of: int
    valid_until: int

    def __post_init__(self) -> None:
        _unsigned("epoch", self.epoch, 64)
        _word("root", self.root)
        _unsigned("count", self.count, 32)
        _unsigned("as_of", self.as_of, 64)
        _unsigned("valid_until", self.valid_until, 64)


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature is good: one verifying contract on one chain."""

    chain_id: int
    verifier: Address

    def __post_init__(self) -> None:
        _unsigned("chain_id", self.chain_id, 256)
        _address(self.verifier)


def covered(known: int, missing: int) -> int:
    """Coverage in basis points of `known` things read and `missing` ones, rounded down: complete only when nothing is missing."""
    if missing == 0:
        return COMPLETE
    return min(COMPLETE - 1, COMPLETE * known // (known + missing))


def oldest(times: Iterable[int]) -> int:
    """The time that a statement stands for. Raises StatementError without any."""
    known = sorted(times)
    if not known:
        raise StatementError("a statement needs at least one block that it was read at")
    return known[0]


def _unsigned(name: str, value: int, bits: int) -> None:
    if not 0 <= value < 1 << bits:
        raise StatementError(f"{name} does not fit {bits} bits: {value}")


def _word(name: str, value: bytes) -> None:
    if len(value) != 32:
        raise StatementError(f"{name} has {len(value)} bytes, not 32")


def _address(value: str) -> None:
    if len(value) != 42 or not value.startswith("0x"):
        raise StatementError(f"{value!r} is not an address")
