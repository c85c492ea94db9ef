"""The worked example of contagion: its code runs in order on the local network and prints what the page shows."""

from __future__ import annotations

import ast
import inspect
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from aggregator.localnet.world import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contagion-worked-example.md"
_BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """(code, what it prints); a block without output is followed by another block of code."""
    blocks = _BLOCK.findall(PAGE.read_text("utf-8"))
    found = []
    for place, (kind, body) in enumerate(blocks):
        if kind == "python":
            following = blocks[place + 1] if place + 1 < len(blocks) else ("", "")
            found.append((body, following[1] if following[0] == "text" else ""))
    return found


@pytest.mark.localnet
async def test_the_page_prints_what_it_shows(world: World) -> None:
    names: dict[str, object] = {"world": world}
    assert len(steps()) == 6
    for code, shown in steps():
        compiled = compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with redirect_stdout(StringIO()) as out:
            result = eval(compiled, names)  # the page's own code
            if inspect.isawaitable(result):
                await result
        assert out.getvalue() == shown
