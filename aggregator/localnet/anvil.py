"""The anvil process: started on a free port of the loopback interface, and never left behind.

* The process leads a group of its own, so Ctrl-C in the terminal reaches only us, and we end it in order.
* On Linux the kernel kills it when we die for any reason (``PR_SET_PDEATHSIG``); elsewhere an exit hook does.
* ``HOME`` is a throw-away directory and ``--prune-history`` keeps the newest states in memory: by default anvil writes
  them to ``~/.foundry/anvil/tmp`` (gigabytes, never removed) and silently loses them again on a reorganisation.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

GENESIS_TIME = 1_767_225_600  # 2026-01-01T00:00:00Z
# In memory: what a whole test run asks for, and for a chain that is left running, where they are what grows, what any
# reorganisation or reader asks for.
STATES_KEPT, STATES_KEPT_RUNNING = 100_000, 1_000
BLOCKS_KEPT = 100_000
# Also what an eth_call may burn. Room for a block of several hundred transactions; low enough that a token whose
# balanceOf never ends costs a reader a fraction of a second, as on a public node.
BLOCK_GAS_LIMIT = 300_000_000
_HOME_PREFIX, _ERRORS, _READY = "crossmargin-anvil-", "errors.txt", "ready.ipc"

# Runs between fork and exec in a fresh interpreter: `preexec_fn` is unsafe beside threads.
_LAUNCHER = """
import ctypes, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != parent:
    sys.exit(1)
os.execv(command[0], command)
"""

_running: dict[int, str] = {}


class AnvilError(RuntimeError):
    """The node could not be started, or ended by itself."""


@dataclass(slots=True)
class AnvilProcess:
    """One running anvil."""

    chain_id: int
    port: int
    process: asyncio.subprocess.Process
    home: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    async def stop(self) -> None:
        """End the process group and wait until it is gone; harmless when it already is."""
        if self.running:
            _kill_group(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        _forget(self.process.pid)


def _kill_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _forget(pid: int) -> None:
    home = _running.pop(pid, None)
    if home is not None:
        shutil.rmtree(home, ignore_errors=True)


@atexit.register
def _end_all() -> None:
    for pid in list(_running):
        _kill_group(pid, signal.SIGKILL)
        _forget(pid)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def start(
    binary: Path, chain_id: int, *, port: int | None = None, state: Path | None = None, states: int = STATES_KEPT, attempts: int = 4
) -> AnvilProcess:
    """Start anvil for ``chain_id`` and wait until it listens.

    ``port``: a fixed port, otherwise a free one (tried anew when another program takes it in between).
    ``state``: a dumped state to begin with, otherwise an empty chain whose genesis is at ``GENESIS_TIME``.
    ``states``: how many states are kept for readers of old blocks, and for reorganisations.
    Raises AnvilError with what the process said.
    """
    _clear_left_behind()
    said = ""
    for _ in range(attempts if port is None else 1):
        anvil = await _spawn(binary, chain_id, port if port is not None else free_port(), state, states)
        try:
            if await _listens(anvil):
                return anvil
        except BaseException:
            await anvil.stop()
            raise
        said = await asyncio.to_thread(_said, anvil)
        await anvil.stop()
    raise AnvilError(f"anvil for chain {chain_id} did not start: {said or 'no message'}")


def _errors_file(home: str) -> BinaryIO:
    return Path(home, _ERRORS).open("wb")


def _is_ready(anvil: AnvilProcess) -> bool:
    return Path(anvil.home, _READY).exists()


def _said(anvil: AnvilProcess) -> str:
    lines = Path(anvil.home, _ERRORS).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[-5:])


def _clear_left_behind() -> None:
    """Remove the directories of processes that were killed together with the program that started them."""
    for path in Path(tempfile.gettempdir()).glob(f"{_HOME_PREFIX}*-*"):
        owner = path.name.removeprefix(_HOME_PREFIX).partition("-")[0]
        if not owner.isdigit():
            continue
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            shutil.rmtree(path, ignore_errors=True)
        except PermissionError:
            continue


async def _spawn(binary: Path, chain_id: int, port: int, state: Path | None, states: int) -> AnvilProcess:
    home = tempfile.mkdtemp(prefix=f"{_HOME_PREFIX}{os.getpid()}-")
    command = [
        *(str(binary), "--silent", "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id)),
        *("--prune-history", str(states), "--transaction-block-keeper", str(BLOCKS_KEPT)),
        *("--no-mining", "--order", "fifo", "--accounts", "0", "--auto-impersonate", "--no-request-size-limit"),
        *("--gas-limit", str(BLOCK_GAS_LIMIT), "--base-fee", "0", "--gas-price", "0"),
        *("--timestamp", str(GENESIS_TIME), "--cache-path", home),
        *("--ipc", str(Path(home, _READY))),
    ]
    if state is not None:
        command += ["--load-state", str(state)]
    with contextlib.closing(_errors_file(home)) as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            env={"HOME": home, "PATH": os.environ.get("PATH", ""), "NO_COLOR": "1"},
        )
    _running[process.pid] = home
    return AnvilProcess(chain_id, port, process, home)


async def _listens(anvil: AnvilProcess, seconds: float = 60) -> bool:
    """Wait until the process serves; False when it ended instead.

    An answer on the port could be another program's. The node opens the pipe in its own directory only after it has
    got the port.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while anvil.running and loop.time() < deadline:
        if _is_ready(anvil):
            return True
        await asyncio.sleep(0.01)
    return False
