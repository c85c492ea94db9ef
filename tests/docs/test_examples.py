"""What the documentation shows, works: Python examples run as doctests, commands run as they stand."""

from __future__ import annotations

import asyncio
import doctest
import os
import re
import sys
from pathlib import Path

import pytest

from aggregator.localnet.world import World

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PORTS = {"8545": 1, "8546": 42161, "8547": 8453}
_LEFT_OUT = re.compile(r"make |crossmargin localnet|0xd8dA6BF2|vitalik\.eth")
"""commands that other tests run (make, the local network) or that need the world outside"""


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path) -> list[str]:
    lines = [line for body in blocks(page, "console") for line in body.splitlines()]
    return [
        line.removeprefix("$ ").split("  #")[0].strip() for line in lines if line.startswith("$ crossmargin") and not _LEFT_OUT.search(line)
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if ">>> " in page.read_text(encoding="utf-8")], ids=lambda page: page.stem)
def test_python_examples_give_what_they_show(page: Path) -> None:
    failures = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failures.attempted > 0
    assert failures.failed == 0


@pytest.mark.localnet
@pytest.mark.parametrize(("page", "command"), [(page, command) for page in PAGES for command in commands(page)], ids=str)
async def test_commands_run_as_they_stand(page: Path, command: str, deployed: World) -> None:
    owner = max(deployed.owners, key=lambda one: len(one.chains)).address
    words = command.replace("$OWNER", owner).split()
    for port, chain in _PORTS.items():
        words = [word.replace(f"http://127.0.0.1:{port}", deployed.chains[chain].url) for word in words]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name(words[0])),
        *words[1:],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert output.strip()


@pytest.mark.localnet
@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
async def test_examples_run(example: Path, deployed: World) -> None:
    owner = max(deployed.owners, key=lambda one: len(one.chains)).address
    endpoints = [f"{number}={chain.url}" for number, chain in deployed.chains.items()]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(example), owner, *endpoints, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"margin ratio" in output


def test_every_link_inside_the_documentation_leads_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
