"""The worked example of contagion: its code runs in order on the local network and prints what the page shows."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from aggregator.localnet.network import local_network
from aggregator.localnet.world import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "contagion-worked-example.md"
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
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


@pytest.fixture
async def untouched() -> AsyncIterator[World]:
    """A network of its own: the page shows figures of the very state that it starts in."""
    async with local_network() as world:
        yield world


@pytest.mark.localnet
async def test_the_page_prints_what_it_shows(untouched: World) -> None:
    names: dict[str, object] = {"world": untouched}
    assert len(steps()) == 6
    for code, shown in steps():
        compiled = compile(code, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with redirect_stdout(StringIO()) as out:
            result = eval(compiled, names)  # the page's own code
            if inspect.isawaitable(result):
                await result
        assert_alike(out.getvalue(), shown)


def assert_alike(printed: str, shown: str) -> None:
    """The same words, and figures within a tenth: what the network lived through changes with its sources."""
    assert _NUMBER.sub("#", printed) == _NUMBER.sub("#", shown)
    figures = [[float(text.replace(",", "")) for text in _NUMBER.findall(one)] for one in (printed, shown)]
    assert figures[0] == pytest.approx(figures[1], rel=0.1, abs=0.011)
