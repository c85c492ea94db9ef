"""What came of a read: a value, a proven absence, or an unknown with its reason. Missing is never zero."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Reason(StrEnum):
    """Why a read has no value."""

    NO_CODE = "no-code"
    """nothing is deployed at the address in this block"""
    SKIPPED = "skipped"
    """an input of the call was itself absent, for example an array element beyond its length"""
    REVERTED = "reverted"
    """the contract refused the call"""
    OUT_OF_GAS = "out-of-gas"
    """the call used up its own gas allowance"""
    TOO_LARGE = "too-large"
    """the contract returned more bytes than the read allows"""
    MALFORMED = "malformed"
    """the answer does not decode as the declared types"""
    ENDPOINT = "endpoint"
    """no endpoint of the chain gave a usable answer"""
    RANGE = "range"
    """the log range is more than the endpoints serve"""
    NOT_FOUND = "not-found"
    """a venue says that there is no such account"""
    REFUSED = "refused"
    """a venue understood the request and said no"""


@dataclass(frozen=True, slots=True)
class Value(Generic[T_co]):
    """The read succeeded."""

    value: T_co


@dataclass(frozen=True, slots=True)
class Absent:
    """Proven at this block: there is nothing to read."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not known at this block, and why. It lowers the coverage and never makes a portfolio look calmer."""

    reason: Reason
    detail: str = ""
    data: bytes = b""
    """revert data where the contract gave some"""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value


Outcome: TypeAlias = Value[T_co] | Absent | Unknown
