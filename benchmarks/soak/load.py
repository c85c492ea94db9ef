"""The mixture: people who look, ask, listen, stall, vanish, sign in and get things wrong, from a process of its own.

Takes one JSON object on stdin (`url`, `owners`, `key`, `receiver`, `rate`) and goes on until SIGTERM; then prints what was answered.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.api.wallets import Wallet

READERS = 12
SSE_CLIENTS, SOCKETS = 24, 12
WALLETS = 8
RETURNING_GUESTS = 40
BULK_OWNERS = 30
SHOCKS = (("ETH=-30%",), ("BTC=-20%", "ETH=-25%"), ("USDC=-3%",), ("LINK=-50%", "ETH=+10%"))
METHODS = ("", "?methods=unified", "?methods=hyperliquid,drift", "?methods=unified,paradex")
ASSETS = ("ETH", "WBTC", "USDC", "LINK")
WRONG: tuple[tuple[str, str, str], ...] = (
    ("GET", "/v1/owners/nobody/health", ""),
    ("GET", "/v1/owners/0x12/health", ""),
    ("GET", "/v1/owners/eip155:999:0x{owner}/health", ""),
    ("GET", "/v1/nothing/{word}", ""),
    ("GET", "/{word}", ""),
    ("POST", "/v1/scores", "{{not json"),
    ("POST", "/v1/scores", '{{"owners": [], "{word}": 1}}'),
    ("DELETE", "/v1/scores", ""),
    ("GET", "/v1/systemic/curves?asset={word}", ""),
    ("GET", "/v1/stream?kind={word}", ""),
    ("POST", "/v1/watch", '{{"owners": ["0x{owner}"]}}'),
    ("GET", "/v1/owners/0x{owner}/margin?methods={word}", ""),
    ("POST", "/v1/sign-in", '{{"message": "{word}", "signature": "0x"}}'),
)


@dataclass(slots=True)
class Load:
    """Everybody at once. `answers` counts by endpoint and status; `latencies` are of cached health, in seconds."""

    url: str
    owners: list[str]
    key: str
    receiver: str
    rate: float
    client: aiohttp.ClientSession
    source: random.Random = field(default_factory=lambda: random.Random(1))
    answers: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    _tags: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        kinds: list[tuple[int, float, Callable[[], Awaitable[None]]]] = [
            (READERS, READERS / self.rate, self.look),
            (1, 1.0, self.guest),
            (1, 1.5, self.what_if),
            (1, 2.0, self.margin),
            (1, 5.0, self.bulk),
            (1, 3.0, self.systemic),
            (2, 0.5, self.wrong),
            (1, 10.0, self.sign_in_and_subscribe),
            (SSE_CLIENTS, 0.2, self.listen),
            (SOCKETS, 0.2, self.talk),
        ]
        await asyncio.gather(*(self._again(every, work) for count, every, work in kinds for _ in range(count)))

    async def _again(self, every: float, work: Callable[[], Awaitable[None]]) -> None:
        """Each in its rhythm; where the service is slower than that, it waits for the answer."""
        await asyncio.sleep(self.source.random() * every)
        while True:
            begun = time.monotonic()
            try:
                await work()
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                self.answers[f"{getattr(work, '__name__', '')} {type(error).__name__}"] += 1
            await asyncio.sleep(max(0.0, every - (time.monotonic() - begun)))

    async def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """`body`: text as it is, anything else as JSON."""
        data = body if isinstance(body, str | None) else json.dumps(body)
        given = {"Content-Type": "application/json"} if data is not None else {}
        async with self.client.request(method, self.url + path, headers={**given, **(headers or {})}, data=data) as response:
            raw = await response.read()
            name = path.partition("?")[0].split("/")
            place = f"/{'/'.join(name[1:3])}" if response.status != 404 else "elsewhere"
            self.answers[f"{method} {place} {response.status}"] += 1
            return response.status, json.loads(raw) if response.content_type.endswith("json") and raw else None

    async def look(self) -> None:
        """Cached health of somebody who is watched; half of the time with the tag of last time."""
        owner = self.source.choice(self.owners)
        headers = {"If-None-Match": self._tags[owner]} if owner in self._tags and self.source.random() < 0.5 else {}
        path = self.source.choice(("health", "health", "health", "health", "history"))
        asked = time.perf_counter()
        async with self.client.get(f"{self.url}/v1/owners/{owner}/{path}", headers=headers) as response:
            await response.read()
            self.answers[f"GET {path} {response.status}"] += 1
            if path == "health":
                self.latencies.append(time.perf_counter() - asked)
                self._tags[owner] = response.headers.get("ETag", "")

    async def guest(self) -> None:
        """Somebody nobody knows, asked for once; or one of a few who come back."""
        stranger = secrets.token_hex(20) if self.source.random() < 0.7 else f"{self.source.randrange(RETURNING_GUESTS) + 1:040x}"
        await self.ask("GET", f"/v1/owners/0x{stranger}/health")

    async def what_if(self) -> None:
        await self.ask("POST", f"/v1/owners/{self.source.choice(self.owners)}/what-if", {"shocks": self.source.choice(SHOCKS)})

    async def margin(self) -> None:
        await self.ask("GET", f"/v1/owners/{self.source.choice(self.owners)}/margin{self.source.choice(METHODS)}")

    async def bulk(self) -> None:
        known = self.source.sample(self.owners, min(BULK_OWNERS, len(self.owners)))
        await self.ask("POST", "/v1/scores", {"owners": [*known, "0x" + secrets.token_hex(20)]})

    async def systemic(self) -> None:
        paths = ("curves", "curves?asset=ETH", "rank", "graph", "alerts")
        await self.ask("GET", f"/v1/systemic/{self.source.choice(paths)}")
        sized = f"/v1/haircuts?asset={self.source.choice(ASSETS)}&size_usd={self.source.randrange(1, 10**7)}"
        others = ("/v1/coverage", "/v1/haircuts", sized, "/v1/epochs/newest", "/", "/openapi.json", "/readyz")
        await self.ask("GET", self.source.choice(others))

    async def wrong(self) -> None:
        method, path, body = self.source.choice(WRONG)
        words = {"owner": secrets.token_hex(20), "word": secrets.token_hex(8)}
        await self.ask(method, path.format(**words), body.format(**words) or None)

    async def sign_in_and_subscribe(self) -> None:
        """A wallet signs in and wants its own alerts; somebody with a key wants everybody's; both leave again."""
        wallet = Wallet(bytes([self.source.randrange(WALLETS) + 1] * 32))
        _, given = await self.ask("POST", "/v1/sign-in/nonce")
        message = wallet.message(given["domain"], given["nonce"], time.time())
        status, session = await self.ask("POST", "/v1/sign-in", {"message": message, "signature": wallet.sign(message)})
        if status != 200:
            return
        wanted = {"channel": "webhook", "target": self.receiver, "severity": "info"}
        for token, owner in ((session["token"], wallet.address), (self.key, None)):
            header = {"Authorization": f"Bearer {token}"}
            status, made = await self.ask("POST", "/v1/subscriptions", {**wanted, "owner": owner}, header)
            await self.ask("PUT", f"/v1/owners/{self.source.choice(self.owners)}/labels", {"labels": [secrets.token_hex(4)]}, header)
            if status == 200:
                await asyncio.sleep(self.source.uniform(1, 20))
                await self.ask("DELETE", f"/v1/subscriptions/{made['id']}", headers=header)

    async def listen(self) -> None:
        """A stream that is read for a while, then left properly, cut off, or not read any more for a while before that."""
        chosen = self.source.choice(("", f"?owner={self.source.choice(self.owners)}", "?chain=eth", "?kind=health", "?last_event_id=1"))
        async with self.client.get(f"{self.url}/v1/stream{chosen}", timeout=aiohttp.ClientTimeout(None)) as response:
            self.answers[f"stream {response.status}"] += 1
            try:
                async with asyncio.timeout(self.source.uniform(2, 40)):
                    async for _ in response.content:
                        pass
            except TimeoutError:
                await self._leave(response.close)

    async def talk(self) -> None:
        """The same over a WebSocket, with changes of mind and nonsense."""
        async with self.client.ws_connect(f"{self.url}/v1/ws") as connection:
            self.answers["socket"] += 1
            try:
                async with asyncio.timeout(self.source.uniform(2, 40)):
                    await connection.send_json({"owners": self.source.sample(self.owners, 5)})
                    await connection.send_str(self.source.choice(("nonsense", '{"owners": ["nobody"]}', '{"kinds": ["health"]}')))
                    async for _ in connection:
                        pass
            except TimeoutError:
                await self._leave(lambda: connection._response.close())

    async def _leave(self, cut_off: Callable[[], None]) -> None:
        how = self.source.randrange(3)
        if how == 0:
            await asyncio.sleep(self.source.uniform(5, 30))
        if how < 2:
            cut_off()


async def main() -> None:
    given = json.loads(await asyncio.to_thread(sys.stdin.readline))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as client:
        load = Load(**given, client=client)
        running = asyncio.create_task(load.run())
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    ordered = sorted(load.latencies)
    places = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3 for name, share in (("p50", 0.5), ("p99", 0.99))}
    print(json.dumps({"answers": dict(sorted(load.answers.items())), "health_ms": places if ordered else {}}))


if __name__ == "__main__":
    asyncio.run(main())
