"""An endpoint that repeats the key in its URL wherever it can, and then fails: nobody who looks at the service learns the key."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from aggregator.localnet.world import World
from tests.api.process import running, until
from tests.faults import Exchange, Fault
from tests.faulty_endpoint import FaultyEndpoint

pytestmark = pytest.mark.localnet
USER, WORD, SEGMENT, QUERY = "keyuser77", "keypass88secret", "PathKeyABCDEF0123456789", "QueryKeyZZ99"
BASIC = "a2V5dXNlcjc3OmtleXBhc3M4OHNlY3JldA"
"""what the Authorization field says of user and word"""
LOOKS = ("/readyz", "/metrics", "/v1/coverage", "/v1/adapters", "/v1/systemic/rank", "/v1/owners/name.eth/health", "/v1/haircuts")


class Telltale(Fault):
    """Refuses, and says all that it was told: as an answer's error where `status` is 200."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def before(self, exchange: Exchange) -> web.StreamResponse | None:
        request = exchange.request
        told = f"bad key: {request.url} {request.path_qs} {request.headers.get('Authorization')}"
        if self.status != 200:
            return web.Response(status=self.status, text=told, reason=f"Refused {request.path_qs.replace('/', ' ')}")
        errors = [{"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": told, "data": told}} for call in exchange.calls]
        return web.json_response(errors if exchange.batched else errors[0])


async def test_a_key_in_an_endpoints_url_is_in_no_answer_and_no_log(deployed: World, tmp_path: Path) -> None:
    owner = deployed.owner("three-chains").address
    seen: list[str] = []
    async with FaultyEndpoint(upstream=deployed.chains[1].url) as endpoint:
        keyed = endpoint.url.replace("http://", f"http://{USER}:{WORD}@") + f"/v2/{SEGMENT}?apikey={QUERY}"
        world = cast(World, SimpleNamespace(chains={1: SimpleNamespace(url=keyed)}))
        noisy = {"CROSSMARGIN_LOG": "DEBUG", "CROSSMARGIN_DEBUG": "1", "CROSSMARGIN_SWEEP_SECONDS": "1"}
        async with running(world, f"sqlite:///{tmp_path / 'service.db'}", **noisy) as one, aiohttp.ClientSession() as client:

            async def look() -> None:
                for path in (*LOOKS, f"/v1/owners/{owner}/health", f"/v1/owners/0x{9:040x}/health"):
                    async with client.get(one.url + path) as response:
                        seen.append(await response.text())

            await until(client, f"{one.url}/readyz", lambda found: found["ready"])
            await look()
            for status in (200, 401, 500):
                endpoint.heal()
                endpoint.inject(Telltale(status))
                await until(client, f"{one.url}/readyz", lambda found: not found["ready"])
                await look()
            code, log = await one.end()
    assert code == 0
    assert "no head" in log and "bad key" in "".join(seen), "what the endpoint said is told, without the key"
    for secret in (USER, WORD, SEGMENT, QUERY, BASIC):
        assert secret not in log and not any(secret in text for text in seen), secret
