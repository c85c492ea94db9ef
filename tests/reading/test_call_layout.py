"""Arguments with words of other answers in them are laid out as eth-abi lays out the values."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Value
from aggregator.model.snapshot import Block
from aggregator.reading.abi import Function
from aggregator.reading.reads import Argument, CallRequest, Read, Reads, Word

TARGET = Address("0x" + "11" * 20)
WORDS = st.integers(0, 2**256 - 1)


class RecordedReads(Reads):
    """Takes reads and answers none."""

    def __init__(self) -> None:
        self.chain = ChainId("eip155:1")
        self.block = Block(1, "0x" + "00" * 32, 1)
        self.taken: list[Read[Any]] = []

    def submit(self, read: Read[Any]) -> None:
        self.taken.append(read)


def _calldata(read: Read[Any]) -> bytes:
    assert isinstance(read.request, CallRequest)
    parts = []
    for piece in read.request.pieces:
        if isinstance(piece, Word):
            assert isinstance(piece.read.raw, Value)
            data = piece.read.raw.value
            parts.append(data[piece.index * 32 : piece.index * 32 + 32])
        else:
            parts.append(piece)
    return b"".join(parts)


def _laid_out(signature: str, values: list[int], shape: Any) -> bytes:
    """Calldata of `signature` where `shape(word)` builds the arguments from a function that gives the n-th value as a word."""

    async def build() -> bytes:
        reads = RecordedReads()
        source = reads.call(TARGET, Function("numbers()()"))
        source.resolve(Value(b"".join(v.to_bytes(32, "big") for v in values)))
        return _calldata(reads.call(TARGET, Function(signature), *shape(source.word)))

    return asyncio.run(build())


@given(st.lists(WORDS, min_size=4, max_size=4))
def test_struct_of_words(values: list[int]) -> None:
    signature = "rate((uint256,uint256),uint256,(uint256,uint256))(uint256)"

    def shape(word: Any) -> tuple[Argument, ...]:
        return (word(0), 7), word(1), (word(2), word(3))

    plain = Function(signature).encode(((values[0], 7), values[1], (values[2], values[3])))
    assert _laid_out(signature, values, shape) == plain


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_arrays_of_words(values: list[int], last: int) -> None:
    signature = "status(uint256[],address,uint256[])(uint256)"

    def shape(word: Any) -> tuple[Argument, ...]:
        return tuple(word(i) for i in range(len(values))), TARGET, (last, word(0))

    plain = Function(signature).encode((values, TARGET, (last, values[0])))
    assert _laid_out(signature, values, shape) == plain
