"""Reads of one chain pinned to one block, coalesced: what is asked for together travels together."""

from __future__ import annotations

import asyncio
from typing import Any

from aggregator.chains.client import ChainClient
from aggregator.chains.rounds import RoundRunner
from aggregator.chains.work import Abilities
from aggregator.model.identifiers import ChainId
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.snapshot import Block
from aggregator.reading.reads import Read, Reads

QUIET_TICKS = 4
"""turns of the event loop without a new read before a round is sent: adapters that wake together then travel together"""


class PinnedReads(Reads):
    """All reads of one chain at one block.

    Use as an async context manager: leaving it cancels what is still under way and resolves it as Unknown, so that nobody waits for ever.
    `rounds` counts rounds sent; the client's statistics count HTTP requests.
    """

    def __init__(self, client: ChainClient, block: Block, abilities: Abilities | None = None) -> None:
        self.chain: ChainId = client.chain
        self.block = block
        self.rounds = 0
        self._runner = RoundRunner(client, block, abilities if abilities is not None else Abilities())
        self._pending: list[Read[Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet = 0
        self._seen = 0

    @property
    def orphaned(self) -> str:
        """Why the block can no longer be read, once an endpoint said so: the whole snapshot of this chain is void. Empty while it can."""
        return self._runner.place.orphaned

    @property
    def silence(self) -> str:
        """Why nothing at all was told of the block's state; empty where something was."""
        return self._runner.silence

    async def __aenter__(self) -> PinnedReads:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for read in self._pending:
            read.resolve(Unknown(Reason.ENDPOINT, "the snapshot was closed"))
        self._pending.clear()

    def submit(self, read: Read[Any]) -> None:
        if not self._pending:
            self._quiet = 0
            asyncio.get_running_loop().call_soon(self._tick)
        self._pending.append(read)

    def _tick(self) -> None:
        if not self._pending:
            return
        if len(self._pending) != self._seen:
            self._seen, self._quiet = len(self._pending), 0
        else:
            self._quiet += 1
        if self._quiet < QUIET_TICKS:
            asyncio.get_running_loop().call_soon(self._tick)
            return
        batch, self._pending, self._seen = self._pending, [], 0
        self.rounds += 1
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: list[Read[Any]]) -> None:
        try:
            await self._runner.run(batch)
        finally:
            for read in batch:
                read.resolve(Unknown(Reason.ENDPOINT, "the round was cut short"))
