"""Function signatures as they are written in documentation, with a codec for each.

`Function("balanceOf(address)(uint256)")` encodes arguments and decodes answers. Calls whose arguments are all single words are encoded
here, so that a word of another call's answer can stand in for one; anything dynamic goes through eth-abi. Answers of plain static words
are decoded here (checked against eth-abi in the tests), the rest by eth-abi.

Source: Solidity ABI specification, strict mode: unused high bits must be clean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from aggregator.model.identifiers import Address

WORD = 32
WordDecoder: TypeAlias = Callable[[int], object]


class MalformedAnswer(ValueError):
    """An answer does not decode as the declared types."""


def split_types(text: str) -> tuple[str, ...]:
    """Top-level comma split of `a,(b,c)[],d`."""
    types, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            types.append(text[start:position])
            start = position + 1
    return (*types, text[start:]) if text else ()


def _unsigned(bits: int) -> WordDecoder:
    def decoder(word: int) -> int:
        if word >> bits:
            raise MalformedAnswer(f"{word:#x} does not fit uint{bits}")
        return word

    return decoder


def _signed(bits: int) -> WordDecoder:
    low, high = -(1 << bits - 1), 1 << bits - 1

    def decoder(word: int) -> int:
        value = word - (1 << 256) if word >> 255 else word
        if not low <= value < high:
            raise MalformedAnswer(f"{word:#x} does not fit int{bits}")
        return value

    return decoder


def _address(word: int) -> Address:
    if word >> 160:
        raise MalformedAnswer(f"{word:#x} is not an address")
    return Address(f"0x{word:040x}")


def _boolean(word: int) -> bool:
    if word > 1:
        raise MalformedAnswer(f"{word:#x} is not a bool")
    return word == 1


def _fixed_bytes(size: int) -> WordDecoder:
    def decoder(word: int) -> bytes:
        data = word.to_bytes(WORD, "big")
        if any(data[size:]):
            raise MalformedAnswer(f"{word:#x} does not fit bytes{size}")
        return data[:size]

    return decoder


@lru_cache(maxsize=256)
def word_decoder(kind: str) -> WordDecoder | None:
    """Decoder of a type that is one static word; None for every other type."""
    if kind == "address":
        return _address
    if kind == "bool":
        return _boolean
    for prefix, maker in (("uint", _unsigned), ("int", _signed)):
        if kind.startswith(prefix) and kind[len(prefix) :].isdigit():
            return maker(int(kind[len(prefix) :]))
    if kind.startswith("bytes") and kind[5:].isdigit():
        return _fixed_bytes(int(kind[5:]))
    return None


def word_of(kind: str, value: object) -> int:
    """The 256-bit word of an argument of a one-word type; ValueError where the value does not fit."""
    if kind == "address":
        return int(str(value), 16)
    if kind == "bool":
        return int(bool(value))
    if isinstance(value, bytes):
        if not kind.startswith("bytes") or len(value) > int(kind[5:]):
            raise ValueError(f"{value!r} is not {kind}")
        return int.from_bytes(value.ljust(WORD, b"\0"), "big")
    if isinstance(value, int):
        bits = int(kind.removeprefix("u").removeprefix("int"))
        low, high = (0, 1 << bits) if kind.startswith("u") else (-(1 << bits - 1), 1 << bits - 1)
        if not low <= value < high:
            raise ValueError(f"{value} does not fit {kind}")
        return value % (1 << 256)
    raise ValueError(f"{value!r} is not {kind}")


@lru_cache(maxsize=1 << 16)
def word_bytes(kind: str, value: object) -> bytes:
    """The 32 bytes of an argument of a one-word type. Cached: a snapshot gives the same few owners to thousands of calls."""
    return word_of(kind, value).to_bytes(WORD, "big")


class Function:
    """A contract function: `name(inputs)(outputs)`. With empty outputs `()` the answer is the raw bytes.

    Decoding gives the bare value for one output and a tuple for several. Addresses are lower case.
    """

    __slots__ = ("_decoders", "inputs", "name", "outputs", "selector", "signature", "takes_words")

    def __init__(self, signature: str) -> None:
        name, _, rest = signature.partition("(")
        inputs, _, outputs = rest.partition(")(")
        depth = 1
        for position, character in enumerate(rest):
            depth += (character == "(") - (character == ")")
            if depth == 0:
                inputs, outputs = rest[:position], rest[position + 1 :]
                break
        if not (outputs.startswith("(") and outputs.endswith(")")):
            raise ValueError(f"{signature!r}: expected name(inputs)(outputs)")
        self.signature = signature
        self.name = name
        self.inputs = split_types(inputs)
        self.outputs = split_types(outputs[1:-1])
        self.selector = keccak(f"{name}({inputs})".encode())[:4]
        self.takes_words = all(word_decoder(kind) for kind in self.inputs)
        """whether every input is one static word"""
        decoders = [word_decoder(kind) for kind in self.outputs]
        self._decoders = [d for d in decoders if d is not None] if all(decoders) else None

    def __repr__(self) -> str:
        return f"Function({self.signature!r})"

    def encode(self, arguments: Sequence[object]) -> bytes:
        """Selector and arguments."""
        if self.takes_words and len(arguments) == len(self.inputs):
            return self.selector + b"".join(map(word_bytes, self.inputs, arguments))
        return self.selector + encode(self.inputs, arguments)

    def decode(self, data: bytes) -> Any:
        """Decoded outputs; MalformedAnswer where the bytes are not these types. Trailing bytes are ignored, as Solidity does."""
        if not self.outputs:
            return data
        if self._decoders is not None:
            if len(data) < WORD * len(self._decoders):
                raise MalformedAnswer(f"{self.name}: {len(data)} bytes where {WORD * len(self._decoders)} were expected")
            values = tuple(decoder(int.from_bytes(data[i * WORD : (i + 1) * WORD], "big")) for i, decoder in enumerate(self._decoders))
        else:
            try:
                values = decode(self.outputs, data)
            except (DecodingError, OverflowError, UnicodeDecodeError, ValueError) as error:
                raise MalformedAnswer(f"{self.name}: {error}") from None
        return values[0] if len(values) == 1 else values


class Event:
    """An event `Name(type indexed,type)`: its topic and the decoding of its unindexed data."""

    __slots__ = ("data_types", "name", "topic")

    def __init__(self, signature: str) -> None:
        name, _, rest = signature.partition("(")
        fields = split_types(rest.removesuffix(")"))
        self.name = name
        self.data_types = tuple(f for f in fields if not f.endswith(" indexed"))
        canonical = ",".join(f.removesuffix(" indexed") for f in fields)
        self.topic = "0x" + keccak(f"{name}({canonical})".encode()).hex()

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """Unindexed fields in order; MalformedAnswer where the bytes are not these types."""
        try:
            return tuple(decode(self.data_types, data))
        except (DecodingError, OverflowError, ValueError) as error:
            raise MalformedAnswer(f"{self.name}: {error}") from None
