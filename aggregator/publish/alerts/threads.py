"""Work that may take for ever, in threads that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_a_thread(work: Callable[[], T], done: Callable[[], None] = lambda: None) -> T:
    """`work()` in a thread of its own, which neither a later call nor the end of the process waits for; `done` is called on the loop when
    the thread ends, also where nobody waits any more."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def settle(outcome: Callable[[], None]) -> None:
        done()
        if not found.done():
            outcome()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            outcome = partial(found.set_exception, error)
        else:
            outcome = partial(found.set_result, result)
        with contextlib.suppress(RuntimeError):
            # the loop may have ended meanwhile
            loop.call_soon_threadsafe(settle, outcome)

    threading.Thread(target=run, name="crossmargin-aside", daemon=True).start()
    return await found
