"""Workers: one that dies is replaced, and none outlives its parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aggregator.engine.live.assess import Workers
from aggregator.model.errors import InputError

ROOT = Path(__file__).parents[2]


def refuse(words: str) -> None:
    raise InputError(words)


async def test_a_worker_that_dies_is_replaced_and_its_work_done_again() -> None:
    workers = Workers(1)
    try:
        first = await workers.run(os.getpid)
        assert first != os.getpid()
        os.kill(first, signal.SIGKILL)
        second = await workers.run(os.getpid)
        assert second not in (first, os.getpid())
    finally:
        await workers.close()


@pytest.mark.parametrize("processes", [0, 1])
async def test_what_work_raises_comes_back(processes: int) -> None:
    workers = Workers(processes)
    try:
        with pytest.raises(InputError, match="not so"):
            await workers.run(refuse, "not so")
        assert await asyncio.gather(*(workers.run(abs, -n) for n in range(5))) == list(range(5))
    finally:
        await workers.close()


def test_workers_end_when_their_parent_is_killed() -> None:
    program = (
        "import asyncio, os\n"
        "from aggregator.engine.live.assess import Workers\n"
        "async def main():\n"
        "    print(await Workers(1).run(os.getpid), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    left_over = False
    with contextlib.suppress(ProcessLookupError):
        for _ in range(200):
            os.kill(worker, 0)
            time.sleep(0.1)
        os.kill(worker, signal.SIGKILL)
        left_over = True
    assert not left_over, "the worker was still there after twenty seconds"
