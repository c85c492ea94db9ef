"""Who may send to an endpoint, and when: first come, first served, within its rate and its concurrency."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncio_throttle.throttler import Throttler

_POLL_SECONDS = 0.01


class Dispatcher:
    """One task per endpoint that takes tickets from a queue and waits for the throttler.

    Waiters of a `Throttler` poll: thousands of them use up a core, and whoever polls at the right moment goes first. Here the
    dispatcher alone polls and everybody else sleeps on a future. The task ends when the queue is empty and starts again with the next
    ticket, so that an idle endpoint costs nothing.
    """

    def __init__(self, requests_per_second: float, concurrency: int) -> None:
        """At most `requests_per_second` starts in any second (one start in 1 / rate seconds below one), `concurrency` at once."""
        starts = max(1, int(requests_per_second))
        self._limit(starts, starts / requests_per_second, concurrency)

    @classmethod
    def weighted(cls, weight: int, period_seconds: float, concurrency: int) -> Dispatcher:
        """At most `weight` in any `period_seconds`, of which a request may take more than one; the whole of it at once, if it is free."""
        made = cls.__new__(cls)
        made._limit(weight, period_seconds, concurrency)
        return made

    def _limit(self, starts: int, period_seconds: float, concurrency: int) -> None:
        self._throttler = Throttler(rate_limit=starts, period=period_seconds, retry_interval=_POLL_SECONDS)
        self._free = asyncio.Semaphore(concurrency)
        self._queue: deque[tuple[asyncio.Future[None], int]] = deque()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, weight: int = 1) -> AsyncIterator[None]:
        """Wait for one's turn, and hold it for the time of one HTTP request that costs `weight` of the rate."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((ticket, weight))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._dispatch(), name="endpoint dispatcher")
        try:
            await ticket
        except asyncio.CancelledError:
            # Cancelled in the moment in which the turn was given: hand it on.
            if ticket.done() and not ticket.cancelled():
                self._free.release()
            raise
        try:
            yield
        finally:
            self._free.release()

    async def _dispatch(self) -> None:
        while self._drop_cancelled():
            await self._free.acquire()
            paid = 0
            try:
                # whoever is first when it is paid for goes, whether or not it was first before
                while self._drop_cancelled() and paid < self._queue[0][1]:
                    await self._throttler.acquire()  # type: ignore[no-untyped-call]  # the package has no types
                    paid += 1
            except asyncio.CancelledError:
                self._free.release()
                raise
            if not self._drop_cancelled():
                self._free.release()
                return
            self._queue.popleft()[0].set_result(None)

    def _drop_cancelled(self) -> bool:
        """Forget tickets whose holders left; True while one is waiting."""
        while self._queue and self._queue[0][0].done():
            self._queue.popleft()
        return bool(self._queue)

    async def close(self) -> None:
        """End the task; whoever still waits is cancelled."""
        for ticket, _ in self._queue:
            ticket.cancel()
        self._queue.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
