"""Names and symbols as contracts give them: anyone may deploy a token, so they are hostile until cleaned."""

from __future__ import annotations

import unicodedata

MAXIMUM_LENGTH = 32
"""characters that are kept: enough for every honest symbol and too few to bury a report under"""
_WORD = 32


def clean_text(raw: bytes | str, limit: int = MAXIMUM_LENGTH) -> str:
    """Printable text of a contract's `symbol()` or `name()`, at most `limit` characters; empty where nothing printable is left.

    Bytes may be the undecoded answer in any of the forms that tokens use: an ABI string, a zero-padded bytes32 (as MKR), or plain
    text. Control, format and direction characters, lone surrogates and private-use characters are dropped, white space collapses to
    single blanks, and look-alike forms are folded (NFKC). Never raises.
    """
    text = _text_of(raw) if isinstance(raw, bytes) else raw
    # what is far beyond the limit is cut first: folding a megabyte of ligatures is work that nobody asked for
    folded = unicodedata.normalize("NFKC", text[: 8 * limit])
    kept = (" " if character.isspace() else character for character in folded if character.isspace() or _is_shown(character))
    return " ".join("".join(kept).split())[:limit].rstrip()


def _is_shown(character: str) -> bool:
    category = unicodedata.category(character)
    # C*: control, format, surrogate, private, unassigned; Me: marks that enclose, and so disfigure, what stands before
    return category[0] != "C" and category != "Me"


def _text_of(raw: bytes) -> str:
    if len(raw) >= 2 * _WORD and int.from_bytes(raw[:_WORD], "big") == _WORD:
        size = int.from_bytes(raw[_WORD : 2 * _WORD], "big")
        content = raw[2 * _WORD : 2 * _WORD + size]
    else:
        content = raw.rstrip(b"\0")
    return content.decode("utf-8", "replace").replace("\ufffd", "")
