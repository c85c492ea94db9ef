"""Bech32 addresses of Cosmos chains: a readable prefix, `1`, 5-bit digits, the last six of them a checksum.

Source: BIP-173, section Bech32.
"""

from __future__ import annotations

from collections.abc import Iterable

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_DIGITS = 6


def is_bech32(text: str, prefix: str) -> bool:
    """Whether `text` is a lower-case bech32 string of this prefix with a right checksum."""
    given, separator, digits = text.rpartition("1")
    if given != prefix or not separator or len(digits) < _CHECKSUM_DIGITS or any(digit not in _ALPHABET for digit in digits):
        return False
    return _polymod([*_expanded(prefix), *(_ALPHABET.index(digit) for digit in digits)]) == 1


def bech32_of(prefix: str, number: int, digits: int) -> str:
    """The bech32 string of a number in big-endian 5-bit digits, `digits` long with its checksum."""
    values = [(number >> 5 * place) & 31 for place in reversed(range(digits - _CHECKSUM_DIGITS))]
    checked = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM_DIGITS]) ^ 1
    values += [(checked >> 5 * place) & 31 for place in reversed(range(_CHECKSUM_DIGITS))]
    return f"{prefix}1{''.join(_ALPHABET[value] for value in values)}"


def _expanded(prefix: str) -> list[int]:
    return [*(ord(character) >> 5 for character in prefix), 0, *(ord(character) & 31 for character in prefix)]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            checksum ^= generator if (top >> place) & 1 else 0
    return checksum
