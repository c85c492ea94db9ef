"""One byte string for equal inputs, whatever order mappings and sets were filled in; SHA-256 over it is the inputs hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum

import numpy as np


def digest(value: object) -> str:
    """SHA-256 in hex of the canonical form. TypeError for something without one."""
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: object) -> bytes:
    """Typed, length-prefixed parts, so that no two different values share a form. Decimals count by value: 1.0 equals 1.00."""
    body = b"".join(_parts(value))
    return b"%d:" % len(body) + body


def _parts(value: object) -> Iterator[bytes]:
    match value:
        case None:
            yield b"none"
        case Enum():
            yield b"text" + str(value.value).encode()
        case bool():
            yield b"bool" + str(value).encode()
        case int():
            yield b"int" + str(value).encode()
        case float():
            yield b"float" + (value + 0.0).hex().encode()
        case Decimal():
            yield b"decimal" + str(value.normalize() + 0).encode()
        case str():
            yield b"text" + value.encode()
        case bytes():
            yield b"bytes" + value
        case np.ndarray():
            yield b"array" + value.dtype.str.encode() + str(value.shape).encode() + np.ascontiguousarray(value).tobytes()
        case Mapping():
            yield b"map"
            yield from sorted(canonical(key) + canonical(item) for key, item in value.items())
        case set() | frozenset():
            yield b"set"
            yield from sorted(canonical(item) for item in value)
        case tuple() | list():
            yield b"list"
            yield from (canonical(item) for item in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            yield b"record" + type(value).__name__.encode()
            yield from (canonical(field.name) + canonical(getattr(value, field.name)) for field in fields(value))
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")
