"""Calls written as text: ``"balanceOf(address)(uint256)"``, encoded and decoded with eth_abi.

Addresses come back EIP-55, so that they compare equal to the addresses in the deployment records.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from eth_abi.codec import ABICodec
from eth_abi.decoding import AddressDecoder
from eth_abi.encoding import AddressEncoder
from eth_abi.registry import BaseEquals, registry
from eth_utils.abi import function_signature_to_4byte_selector
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

ERROR_SELECTOR = bytes.fromhex("08c379a0")  # Error(string)
PANIC_SELECTOR = bytes.fromhex("4e487b71")  # Panic(uint256)
ZERO_ADDRESS = "0x0000000000000000000000000000000000000000"
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


class _ChecksumAddressDecoder(AddressDecoder):
    decoder_fn = staticmethod(to_checksum_address)


def _codec() -> ABICodec:
    own = registry.copy()  # type: ignore[no-untyped-call]
    own.unregister("address")
    is_address = BaseEquals("address", with_sub=False)  # type: ignore[no-untyped-call]
    own.register(is_address, AddressEncoder, _ChecksumAddressDecoder, label="address")
    return ABICodec(own)


_CODEC = _codec()


class SignatureError(ValueError):
    """The text is not of the form ``name(types)`` or ``name(types)(types)``."""


@dataclass(frozen=True, slots=True)
class Function:
    """One parsed signature: the 4-byte selector, the argument types and the return types."""

    name: str
    selector: bytes
    arguments: tuple[str, ...]
    returns: tuple[str, ...]

    def encode(self, arguments: Sequence[object]) -> bytes:
        if len(arguments) != len(self.arguments):
            raise SignatureError(f"{self.name} takes {len(self.arguments)} arguments, {len(arguments)} given")
        return self.selector + encode(self.arguments, arguments)

    def decode(self, data: bytes) -> tuple[object, ...]:
        return decode(self.returns, data)


def split_types(text: str) -> tuple[str, ...]:
    """Split ``"(uint256,address)[],bool"`` at its top-level commas."""
    parts: list[str] = []
    depth = start = 0
    for index, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    last = text[start:].strip()
    if last or parts:
        parts.append(last)
    if depth != 0 or any(not part for part in parts):
        raise SignatureError(f"unbalanced or empty types in {text!r}")
    return tuple(parts)


def _group_end(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        if text[index] == "(":
            depth += 1
        elif text[index] == ")":
            depth -= 1
            if depth == 0:
                return index
    raise SignatureError(f"unbalanced parentheses in {text!r}")


@lru_cache(maxsize=4096)
def parse(signature: str) -> Function:
    """Parse ``name(types)`` or ``name(types)(types)``; no parameter names, canonical types (``uint256``)."""
    text = signature.replace(" ", "")
    named = _NAME.match(text)
    if named is None or not text[named.end() :].startswith("("):
        raise SignatureError(f"not a function signature: {signature!r}")
    end = _group_end(text, named.end())
    returns: tuple[str, ...] = ()
    if end + 1 < len(text):
        if text[end + 1] != "(" or _group_end(text, end + 1) != len(text) - 1:
            raise SignatureError(f"not a function signature: {signature!r}")
        returns = split_types(text[end + 2 : -1])
    selector = bytes(function_signature_to_4byte_selector(text[: end + 1]))
    return Function(named.group(), selector, split_types(text[named.end() + 1 : end]), returns)


def encode(types: Sequence[str], values: Sequence[object]) -> bytes:
    return bytes(_CODEC.encode(list(types), list(values)))


def decode(types: Sequence[str], data: bytes) -> tuple[object, ...]:
    return tuple(_CODEC.decode(list(types), data))


def topic(event: str) -> str:
    """The first log topic of an event, ``topic("Transfer(address,address,uint256)")``, as 0x-hex."""
    return "0x" + keccak(text=event.replace(" ", "")).hex()


def revert_reason(data: bytes, errors: dict[bytes, str] | None = None) -> str:
    """What a revert says: the text of ``Error(string)``, the panic code, a known custom error's name, or its hex."""
    if not data:
        return "reverted without a reason"
    selector, rest = data[:4], data[4:]
    if selector == ERROR_SELECTOR:
        return str(decode(["string"], rest)[0])
    if selector == PANIC_SELECTOR:
        return f"panic {decode(['uint256'], rest)[0]}"
    name = (errors or {}).get(selector)
    return f"{name}({rest.hex()})" if name is not None else f"custom error 0x{data.hex()}"
