"""Calls without the lens: their bytes once every input is known, and what their answers mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from aggregator.model.identifiers import Address, address_of_word
from aggregator.model.outcome import Reason, Unknown, Value
from aggregator.reading.reads import BalanceRequest, CallRequest, Read, Word, word_value


def components(reads: Sequence[Read[Any]]) -> Iterator[list[Read[Any]]]:
    """Groups of reads that depend on each other, each in the order of `reads`, by first member."""
    root: dict[int, int] = {id(read): index for index, read in enumerate(reads)}
    parent = list(range(len(reads)))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, read in enumerate(reads):
        for word in read.words:
            other = root.get(id(word.read))
            if other is not None:
                a, b = find(index), find(other)
                parent[max(a, b)] = min(a, b)
    groups: dict[int, list[Read[Any]]] = {}
    for index, read in enumerate(reads):
        groups.setdefault(find(index), []).append(read)
    yield from groups.values()


def plain_call(read: Read[Any]) -> tuple[Address, bytes]:
    """Target and calldata of a call or balance whose inputs are all known."""
    request = read.request
    assert isinstance(request, CallRequest | BalanceRequest)
    target = request.target
    if isinstance(target, Word):
        value = word_value(target)
        assert value is not None
        target = address_of_word(value)
    return target, b"".join(known_piece(piece) for piece in request.pieces) if isinstance(request, CallRequest) else b""


def known_piece(piece: bytes | Word) -> bytes:
    """Bytes of a piece whose word, if it is one, is known."""
    if not isinstance(piece, Word):
        return piece
    value = word_value(piece)
    assert value is not None
    return value.to_bytes(32, "big")


def resolve_plain(read: Read[Any], data: bytes, success: bool) -> None:
    """Resolve a call made without the lens, with the limits that the lens would have kept."""
    request = read.request
    if not success:
        read.resolve(Unknown(Reason.REVERTED, revert_reason(data[:256]), data[:256]))
    elif isinstance(request, CallRequest) and len(data) > request.limit:
        read.resolve(Unknown(Reason.TOO_LARGE))
    else:
        read.resolve(Value(data))


def revert_reason(data: bytes) -> str:
    """The text of `Error(string)`, printable characters only and at most 80 of them; else the selector; empty where there is none."""
    if data[:4] == b"\x08\xc3y\xa0" and len(data) >= 68:
        size = int.from_bytes(data[36:68], "big")
        text = data[68 : 68 + min(size, 80)].decode("utf-8", "replace")
        return "".join(character for character in text if character.isprintable())
    return "0x" + data[:4].hex() if len(data) >= 4 else ""


def hex_bytes(answer: object) -> bytes:
    """Bytes of a 0x-hex string; empty for anything else."""
    if isinstance(answer, str) and answer.startswith("0x"):
        try:
            return bytes.fromhex(answer[2:])
        except ValueError:
            return b""
    return b""
