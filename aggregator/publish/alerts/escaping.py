"""Names of vaults, markets and tokens are anybody's text. Before a person sees them they lose everything that could act."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 200


def plain(text: str, longest: int = LONGEST) -> str:
    """Text that a terminal, a mail or a chat shows as it stands: one line; no control, format, direction or private characters (each
    becomes `?`); cut with `…` beyond `longest` characters."""
    shown = "".join(" " if one.isspace() else "?" if unicodedata.category(one)[0] == "C" else one for one in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def link_free(text: str, longest: int = LONGEST) -> str:
    """As `plain`, and nothing in it is taken for a link, a mention or mark-up by a chat: brackets and such are set apart, and so is what
    follows a dot, for chats make links of bare names of hosts."""
    found = plain(text, longest)
    for one in _APART:
        found = found.replace(one, _APART[one])
    return _HOST_DOT.sub("\\1\u2009", found.replace("://", ":/\u2009/"))


_HOST_DOT = re.compile(r"(?<=\w)([.\u3002\uff0e\uff61])(?=[^\W\d_])")
"""a dot between a letter or digit and a letter, and what browsers take for one"""


_APART = {
    "&": "＆",
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
