"""What a running service costs now, as the kernel and its own metrics tell it."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, fields
from pathlib import Path

import aiohttp

_SERIES = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)
_MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment. Memory in MiB: `pss` shares what processes have in common, `rss` counts it in full; workers together."""

    seconds: float
    service_rss: float
    service_pss: float
    worker_rss: float
    worker_pss: float
    descriptors: int
    tasks: int
    streams: int
    owners: int
    requests: int
    answer_ms: float
    """of /healthz, as long as the event loop makes it wait"""
    database_mb: float
    log_mb: float
    """SQLite's write-ahead log"""
    journals_mb: float

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(one.name for one in fields(cls))

    def row(self) -> tuple[str, ...]:
        values = (getattr(self, name) for name in self.names())
        return tuple(f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)


def _memory(pid: int) -> tuple[float, float]:
    """Resident and proportional set size; zero for a process that has just gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    figures = {parts[0]: int(parts[1]) / 1024 for line in lines if len(parts := line.split()) == 3}
    return figures["Rss:"], figures["Pss:"]


def _children(pid: int) -> list[int]:
    """Processes below this one, however deep; threads may end while they are looked through."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text(encoding="ascii").split():
                    found += [int(child), *_children(int(child))]
    return found


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _size(path: Path) -> float:
    if path.is_dir():
        return sum(_size(one) for one in path.iterdir())
    try:
        return path.stat().st_size / _MEBI
    except FileNotFoundError:
        return 0.0


async def take(client: aiohttp.ClientSession, url: str, pid: int, database: Path, started: float) -> Sample:
    """`started`: `time.monotonic()` at which the seconds begin."""
    asked = time.perf_counter()
    async with client.get(f"{url}/healthz") as response:
        await response.read()
    answered = time.perf_counter() - asked
    async with client.get(f"{url}/metrics") as response:
        told = await response.text()
    totals: dict[str, float] = {}
    for name, value in _SERIES.findall(told):
        totals[name] = totals.get(name, 0.0) + float(value)
    rss, pss = _memory(pid)
    workers = [_memory(child) for child in _children(pid)]
    return Sample(
        seconds=time.monotonic() - started,
        service_rss=rss,
        service_pss=pss,
        worker_rss=sum(one for one, _ in workers),
        worker_pss=sum(one for _, one in workers),
        descriptors=_descriptors(pid),
        tasks=int(totals["crossmargin_tasks"]),
        streams=int(totals["crossmargin_stream_subscribers"]),
        owners=int(totals["crossmargin_owners"]),
        requests=int(totals["crossmargin_http_requests_total"]),
        answer_ms=answered * 1e3,
        database_mb=_size(database),
        log_mb=_size(database.with_name(database.name + "-wal")),
        journals_mb=_size(database.with_name(database.name + ".journals")),
    )
