"""What the C library keeps of memory that was given back: little, in a process that runs for months with several threads.

The GNU library gives threads heaps of their own, up to eight for each processor. Large answers and readings pass through all of them, each
keeps its gaps, and the process looks as if it leaked. Two heaps and giving gaps back now and then cost nothing that can be measured.
Elsewhere than on that library nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
from functools import lru_cache

HEAPS = 2
EVERY_SECONDS = 30.0
_ARENA_MAX = -8
"""`M_ARENA_MAX` of malloc.h"""


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The C library of this process where it is GNU's."""
    try:
        found = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return found if hasattr(found, "gnu_get_libc_version") and hasattr(found, "malloc_trim") else None


def restrain() -> bool:
    """Let threads share two heaps; to be called before there are any. False where that is not possible."""
    library = _library()
    return library is not None and bool(library.mallopt(_ARENA_MAX, HEAPS))


def give_back() -> bool:
    """Give free pages to the system; whether there were any. Takes milliseconds, in which other threads run on unless they allocate."""
    library = _library()
    return library is not None and bool(library.malloc_trim(ctypes.c_size_t(0)))


async def give_back_always(every_seconds: float = EVERY_SECONDS) -> None:
    """Again and again, until cancelled."""
    while _library() is not None:
        await asyncio.sleep(every_seconds)
        await asyncio.to_thread(give_back)
