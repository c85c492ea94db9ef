"""Names of vaults, markets and tokens are anybody's text. Before a person sees them they lose everything that could act."""

from __future__ import annotations

import unicodedata

LONGEST = 200


def plain(text: str, longest: int = LONGEST) -> str:
    """Text that a terminal, a mail or a chat shows as it stands: one line; no control, format, direction or private characters (each
    becomes `?`); cut with `…` beyond `longest` characters."""
    shown = "".join(" " if one.isspace() else "?" if unicodedata.category(one)[0] == "C" else one for one in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def link_free(text: str) -> str:
    """As `plain`, and nothing in it is taken for a link, a mention or mark-up by a chat: brackets and such are set apart."""
    found = plain(text)
    for one in "@#<>[]()*_`~|\\":
        found = found.replace(one, _APART[one])
    return found.replace("://", ":/\u2009/")


_APART = {
    "@": "＠",
    "#": "＃",
    "<": "‹",
    ">": "›",
    "[": "［",
    "]": "］",
    "(": "（",
    ")": "）",
    "*": "∗",
    "_": "＿",
    "`": "ʼ",
    "~": "∼",
    "|": "❘",
    "\\": "＼",
}
