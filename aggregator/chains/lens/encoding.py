"""Programs for the lens and their answers, as bytes. The format stands at the head of `Lens.yul`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from aggregator.model.identifiers import Address
from aggregator.reading.reads import BalanceRequest, CallRequest, KeccakRequest, Piece, Read, Word, word_value

MAXIMUM_STEPS = 0xFFFF
HEAD_BYTES = 128
"""number, timestamp, chain id, parent hash"""
STEP_HEAD_BYTES = 8


class Status(IntEnum):
    """What the lens says of a step."""

    VALUE = 0
    REVERTED = 1
    NO_CODE = 2
    OUT_OF_GAS = 3
    TOO_LARGE = 4
    INPUT_MISSING = 5
    NOT_ATTEMPTED = 6
    CONDITION_ZERO = 7


_STATUSES = tuple(Status)


@dataclass(frozen=True, slots=True)
class Answer:
    """One step's answer. `data` is the value, or the reason of a revert."""

    status: Status
    gas_used: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LensReply:
    """A whole reply with the block that the node says it ran on."""

    number: int
    timestamp: int
    chain_reference: int
    parent_hash: bytes
    answers: tuple[Answer, ...]


class NotALensReply(ValueError):
    """The bytes are not a reply of the lens: the endpoint ignores state overrides, or lies."""


def encode_program(reads: Sequence[Read[Any]], output_limit: int) -> bytes:
    """Program for `reads` in order. Words must refer to reads earlier in `reads`, or be known already (their value is put in)."""
    positions: dict[int, int] = {id(read): index for index, read in enumerate(reads)}
    parts = [len(reads).to_bytes(2, "big"), output_limit.to_bytes(4, "big")]
    parts.extend(encode_step(read, positions) for read in reads)
    return b"".join(parts)


def encode_step(read: Read[Any], positions: Mapping[int, int]) -> bytes:
    """One step; `positions` gives the index of each read of the program by its identity."""
    request = read.request
    match request:
        case CallRequest(target, pieces, gas, limit, when):
            kind = 0x80 if when is not None else 0
            encoded = [_piece(part, positions) for piece in pieces for part in _compact(piece)]
            head = bytes((kind, len(encoded))) + min(gas, 0xFFFFFF).to_bytes(3, "big") + min(-(-limit // 32), 0xFFFF).to_bytes(2, "big")
            condition = _operand(when, positions) if when is not None else b""
            return head + condition + _operand(target, positions) + b"".join(encoded)
        case BalanceRequest(target):
            return b"\x01\0" + bytes(5) + _operand(target, positions)
        case KeccakRequest(pieces):
            return bytes((2, len(pieces))) + bytes(5) + b"".join(_piece(piece, positions) for piece in pieces)
        case _:
            raise TypeError(f"{type(request).__name__} is not a step of the lens")


def step_size(read: Read[Any]) -> int:
    """Bytes that a step takes at the most."""
    request = read.request
    pieces = request.pieces if isinstance(request, CallRequest | KeccakRequest) else ()
    return 40 + sum(12 if isinstance(piece, Word) else len(piece.lstrip(b"\0")) + 3 for piece in pieces)


def decode_reply(data: bytes, steps: int) -> LensReply:
    """Answers in the order of the program; NotALensReply where the bytes are anything else."""
    if len(data) < HEAD_BYTES + STEP_HEAD_BYTES * steps:
        raise NotALensReply(f"{len(data)} bytes for {steps} steps")
    number, timestamp, chain = (int.from_bytes(data[i : i + 32], "big") for i in (0, 32, 64))
    answers = []
    at = HEAD_BYTES
    for _ in range(steps):
        status, used, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
        at += STEP_HEAD_BYTES
        if status >= len(_STATUSES) or at + size > len(data):
            raise NotALensReply(f"step at byte {at} does not fit the reply")
        answers.append(Answer(_STATUSES[status], used, data[at : at + size]))
        at += size
    if at != len(data):
        raise NotALensReply(f"{len(data) - at} bytes too many")
    return LensReply(number, timestamp, chain, data[96:128], tuple(answers))


def _compact(piece: Piece) -> list[Piece]:
    """Split encoded calldata into selector and words, whose leading zeros need not travel."""
    if isinstance(piece, Word) or len(piece) % 32 != 4 or len(piece) > 4 + 32 * 16:
        return [piece]
    return [piece[:4], *(piece[i : i + 32] for i in range(4, len(piece), 32))]


def _piece(piece: Piece, positions: Mapping[int, int]) -> bytes:
    return _operand(piece, positions) if isinstance(piece, Word) else _bytes(piece)


@lru_cache(maxsize=1 << 16)
def _bytes(piece: bytes) -> bytes:
    if len(piece) == 4:
        return b"\x81" + piece
    if len(piece) == 32:
        significant = piece.lstrip(b"\0")
        return bytes((len(significant),)) + significant
    return b"\x80" + len(piece).to_bytes(2, "big") + piece


@lru_cache(maxsize=1 << 14)
def _address(address: Address) -> bytes:
    return _literal(int(address, 16))


def _operand(operand: Address | Word, positions: Mapping[int, int]) -> bytes:
    if not isinstance(operand, Word):
        return _address(operand)
    position = positions.get(id(operand.read))
    if position is None:
        value = word_value(operand)
        if value is None:
            raise ValueError("a word of a read that has no value")
        return _literal(value)
    where = position.to_bytes(2, "big") + operand.index.to_bytes(2, "big")
    if operand.shift == 0 and operand.bits == 256 and operand.add == 0:
        return b"\x40" + where
    bits = operand.bits if operand.bits < 256 else 0
    return b"\x41" + where + bytes((operand.shift, bits, operand.signed)) + (operand.add % (1 << 32)).to_bytes(4, "big")


def _literal(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8
    return bytes((size,)) + value.to_bytes(size, "big")
