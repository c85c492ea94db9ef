"""Memory that was given back goes to the system, on the library that can."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

import pytest

from aggregator.engine.live import allocator

GNU = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not the GNU C library")


def resident_kb() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


@GNU
async def test_gaps_go_back_to_the_system() -> None:
    assert allocator.restrain()
    # what stays between them keeps the library from giving the rest back by itself
    pieces, between = list[bytearray](), list[bytearray]()
    for _ in range(800):
        pieces.append(bytearray(100_000))
        between.append(bytearray(1_000))
    full = resident_kb()
    del pieces
    assert resident_kb() > full - 20_000
    running = asyncio.create_task(allocator.give_back_always(0.01))
    async with asyncio.timeout(10):
        while resident_kb() > full - 60_000:  # noqa: ASYNC110  the kernel has no event for it
            await asyncio.sleep(0.01)
    assert len(between) == 800
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
