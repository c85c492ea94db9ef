"""What the C library keeps of memory that was given back: little, in a process that runs for months with several threads.

The GNU library gives threads heaps of their own, up to eight for each processor. Large answers and readings pass through all of them, each
keeps its gaps, and the process looks as if it leaked. So there are two heaps, large blocks go straight back to the system, and gaps are
given back now and then.
Elsewhere than on that library nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
from functools import lru_cache

HEAPS = 2
EVERY_SECONDS = 30.0
LARGE_BYTES = 256 * 1024
"""blocks from this size on are mapped alone; left to itself the library raises the limit to the largest block that it has seen"""
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""`M_ARENA_MAX` and `M_MMAP_THRESHOLD` of malloc.h"""


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The C library of this process where it is GNU's."""
    try:
        found = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return found if hasattr(found, "gnu_get_libc_version") and hasattr(found, "malloc_trim") else None


def restrain() -> bool:
    """Let threads share two heaps, and keep large blocks out of them; to be called before there are any. False where that is not
    possible."""
    library = _library()
    if library is None:
        return False
    return bool(library.mallopt(_ARENA_MAX, HEAPS)) and bool(library.mallopt(_MMAP_THRESHOLD, LARGE_BYTES))


def give_back() -> bool:
    """Give free pages to the system; whether there were any. Takes milliseconds, in which other threads run on unless they allocate."""
    library = _library()
    return library is not None and bool(library.malloc_trim(ctypes.c_size_t(0)))


async def give_back_always(every_seconds: float = EVERY_SECONDS) -> None:
    """Again and again, until cancelled."""
    while _library() is not None:
        await asyncio.sleep(every_seconds)
        await asyncio.to_thread(give_back)
