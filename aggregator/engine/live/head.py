"""Following the head of one chain: told by a WebSocket where the endpoint has one, asked for where it has not.

What a WebSocket tells is a hint that there is something new; blocks themselves are fetched and checked by whoever follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping

import aiohttp
import orjson

from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import ChainConfiguration
from aggregator.chains.heads import parse_block, pin_block
from aggregator.chains.network import Network
from aggregator.model.errors import EndpointError
from aggregator.model.snapshot import Block

log = logging.getLogger(__name__)

SLOWEST_POLL, FASTEST_POLL = 4.0, 0.25
POLL_SHARE = 0.2
"""how much of what an endpoint may be asked goes into asking for its head"""
CONNECT_SECONDS = 3.0
RETRY_WEBSOCKET_SECONDS = 300.0
"""how long polling goes on before the WebSocket is tried again"""
SILENT_BLOCKS, SILENT_SECONDS = 5, 10.0
"""a WebSocket that has been silent for so many block times, and seconds, is checked by asking"""
LARGEST_MESSAGE = 1 << 20
_SUBSCRIBE = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}


def poll_interval(chain: ChainConfiguration) -> float:
    """Seconds: a quarter of the block time, but never so often that the first endpoint has little left for anything else."""
    affordable = 1.0 / (POLL_SHARE * chain.endpoints[0].requests_per_second) if chain.endpoints else FASTEST_POLL
    return min(SLOWEST_POLL, max(FASTEST_POLL, chain.block_time_seconds / 4, affordable))


class HeadFollower:
    """`run` in a task of its own; `next` gives the newest head that was not given yet, and leaves out those in between."""

    def __init__(self, network: Network, client: ChainClient, *, websocket: bool = True, poll_seconds: float | None = None) -> None:
        self.chain = client.chain
        self.mode = "starting"
        """`websocket` or `polling`"""
        self.trouble = ""
        """why the head is not known now; empty while it is"""
        self.seen_at = 0.0
        """loop time at which a head was last heard of"""
        self._network, self._client = network, client
        self._websocket = websocket
        block_time = client.configuration.block_time_seconds
        self._poll_seconds = poll_seconds if poll_seconds is not None else poll_interval(client.configuration)
        self._silence = max(SILENT_SECONDS, SILENT_BLOCKS * block_time)
        self._last: Block | None = None
        """heard last"""
        self._latest: Block | None = None
        """not given yet"""
        self._news = asyncio.Event()

    async def next(self, timeout_seconds: float) -> Block | None:
        """None when nothing new was heard within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
        self._news.clear()
        latest, self._latest = self._latest, None
        return latest

    def again(self) -> None:
        """Give the newest head once more: what it brought could not be looked at."""
        self._latest = self._last
        self._news.set()

    async def run(self) -> None:
        """Until cancelled; endpoints' troubles are waited out."""
        while True:
            urls = self._websocket_urls(os.environ) if self._websocket else ()
            for url in urls:
                try:
                    await self._listen(url)
                except (aiohttp.ClientError, OSError, TimeoutError, ValueError, EndpointError) as error:
                    log.debug("%s: no WebSocket: %s", self.chain, type(error).__name__)
            await self._poll(RETRY_WEBSOCKET_SECONDS if urls else None)

    def _websocket_urls(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        endpoints = self._client.configuration.resolved_endpoints(environment)
        return tuple("ws" + endpoint.url.reveal().removeprefix("http") for endpoint in endpoints[:2])

    async def _listen(self, url: str) -> None:
        """Heads as they are told; returns or raises when the connection is of no use."""
        async with asyncio.timeout(CONNECT_SECONDS):
            socket = await self._network.session.ws_connect(url, max_msg_size=LARGEST_MESSAGE, heartbeat=20)
        async with socket:
            await socket.send_str(orjson.dumps(_SUBSCRIBE).decode())
            async with asyncio.timeout(CONNECT_SECONDS):
                answer = orjson.loads(await socket.receive_str())
            if not isinstance(answer, dict) or not isinstance(answer.get("result"), str):
                raise ValueError("no subscription")
            # what came between the last look and the subscription
            self._heard(await pin_block(self._client))
            self.mode = "websocket"
            while True:
                try:
                    async with asyncio.timeout(self._silence):
                        message = await socket.receive()
                except TimeoutError:
                    head = await pin_block(self._client)
                    missed = self._last is not None and head.number > self._last.number
                    self._heard(head)
                    if missed:
                        raise ValueError("blocks were not told") from None
                    continue
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                told = orjson.loads(message.data)
                if isinstance(told, dict) and told.get("method") == "eth_subscription":
                    self._heard(parse_block(told["params"]["result"]))

    async def _poll(self, seconds: float | None) -> None:
        """Ask again and again, for ever or for a while."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds if seconds is not None else None
        self.mode = "polling"
        pause = self._poll_seconds
        while until is None or clock() < until:
            try:
                self._heard(await pin_block(self._client))
                pause = self._poll_seconds
            except EndpointError as error:
                if not self.trouble:
                    log.warning("%s: no head: %s", self.chain, error)
                self.trouble = str(error)
                pause = min(max(pause, 0.5) * 2, 30.0)
            await asyncio.sleep(pause)

    def _heard(self, block: Block) -> None:
        if self.trouble:
            log.warning("%s: heads come again", self.chain)
        self.trouble = ""
        self.seen_at = asyncio.get_running_loop().time()
        if block != self._last:
            self._last = self._latest = block
            self._news.set()
