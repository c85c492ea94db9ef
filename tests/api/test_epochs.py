"""Epochs of a service that is killed again and again: no number ever has two roots, and proofs are given on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aggregator.cli.main import main
from aggregator.localnet.world import World
from tests.api.process import Process, begin, call, key_for, running
from tests.publish.attestation.examples import SIGNER, VERIFIER

pytestmark = pytest.mark.localnet

SECRET = "00" * 31 + "07"
PERIOD_SECONDS = 10
SETTINGS = {"CROSSMARGIN_SIGNING_KEY": SECRET, "CROSSMARGIN_EPOCH_SECONDS": str(PERIOD_SECONDS)}
PAUSES = (0.0, 0.05, 0.4, 11.0)
"""seconds between the first sight of an epoch and the kill; the last sees the next one too"""


class Truth:
    """Every root that was ever shown, by number."""

    def __init__(self) -> None:
        self.roots: dict[int, set[str]] = {}
        self.documents: dict[int, Any] = {}

    async def look(self, one: Process, client: aiohttp.ClientSession, owner: str) -> int | None:
        """Ask for the newest epoch and for the owner's proof in it."""
        status, newest = await call(client, "GET", f"{one.url}/v1/epochs/newest")
        if status != 200:
            return None
        number = int(newest["epoch"])
        self.roots.setdefault(number, set()).add(newest["root"])
        await self.prove(one, client, owner, number)
        return number

    async def prove(self, one: Process, client: aiohttp.ClientSession, owner: str, number: int) -> None:
        status, document = await call(client, "GET", f"{one.url}{_path(owner, number)}")
        assert status == 200, document
        self.roots[number].add(document["inclusion"]["epoch"]["root"])
        assert self.documents.setdefault(number, document) == document


def _path(owner: str, number: int) -> str:
    return f"/v1/scores/{owner}/attestation?chain_id=1&verifier={VERIFIER}&epoch={number}"


async def test_killed_at_any_moment_it_says_one_thing(lived: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    key, witness, truth = await key_for(url), lived.owner("three-chains").address, Truth()
    for number, pause in enumerate(PAUSES):
        one = await begin(lived, url, **SETTINGS)
        async with aiohttp.ClientSession() as client:
            await call(client, "POST", f"{one.url}/v1/watch", {"owners": [witness]}, key)
            # so that what would be sealed anew has another root
            await lived.mint(1, "USDC", witness, 1_000_000 + number)
            async with asyncio.timeout(60):
                while await truth.look(one, client, witness) is None:  # noqa: ASYNC110  it is another process
                    await asyncio.sleep(0.02)
            end = asyncio.get_running_loop().time() + pause
            while asyncio.get_running_loop().time() < end:
                await truth.look(one, client, witness)
                await asyncio.sleep(0.1)
            await one.kill()
    assert len(truth.roots) >= 2 and all(len(roots) == 1 for roots in truth.roots.values()), truth.roots
    async with running(lived, url, **SETTINGS) as one, aiohttp.ClientSession() as client:
        for number in truth.roots:
            await truth.prove(one, client, witness, number)
        status, problem = await call(client, "GET", f"{one.url}{_path(witness, 2**63)}")
        assert status == 404 and problem["type"].endswith("/not-in-epoch")
    for number, document in truth.documents.items():
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(document))
        at = str(document["statement"]["asOf"])
        assert main(["verify", str(file), "--signer", SIGNER.address, "--verifier", f"1:{VERIFIER}", "--at", at]) == 0
    capsys.readouterr()
