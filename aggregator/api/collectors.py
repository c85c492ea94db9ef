"""What `/metrics` shows that nobody counts along the way: the loop, the store and the memory at the moment they are asked for."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aggregator.api.readiness import Readiness, readiness
from aggregator.store import outbox
from aggregator.store.database import DatabaseUnavailable

if TYPE_CHECKING:
    from aggregator.api.context import App
    from aggregator.engine.live.live import Live

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What had to be asked for. `deliveries` is None where the database did not tell; `at`: microseconds since the epoch."""

    readiness: Readiness
    deliveries: outbox.Load | None
    at: int


async def look(app: App) -> Seen:
    """Ask the database, which may be away."""
    ready, deliveries = await readiness(app), None
    if ready.database:
        try:
            async with asyncio.timeout(2), app.database.reading() as connection:
                deliveries = await outbox.load(connection)
        except (DatabaseUnavailable, TimeoutError):
            deliveries = None
    return Seen(ready, deliveries, app.now())


class StoreCollector(Collector):
    """Readiness, the database, and alerts on their way, as they were last seen."""

    seen: Seen | None = None

    def collect(self) -> Iterable[Metric]:
        if self.seen is None:
            return
        ready, deliveries = self.seen.readiness, self.seen.deliveries
        yield GaugeMetricFamily("crossmargin_ready", "1 where /readyz says yes", value=ready.why is None)
        yield GaugeMetricFamily("crossmargin_served_ratio", "What /readyz looks at: chains known, watched owners read", value=ready.share)
        yield GaugeMetricFamily("crossmargin_database_up", "1 where the database answers", value=ready.database)
        if deliveries is None:
            return
        age = 0.0 if deliveries.oldest is None else max(self.seen.at - deliveries.oldest, 0) / SECOND
        yield GaugeMetricFamily("crossmargin_alerts_waiting", "Messages about alerts still to arrive", value=deliveries.waiting)
        yield GaugeMetricFamily("crossmargin_alerts_oldest_waiting_seconds", "Age of the oldest of them; 0 where none waits", value=age)
        yield GaugeMetricFamily("crossmargin_alerts_abandoned", "Messages given up within the last 30 days", value=deliveries.abandoned)


class LiveCollector(Collector):
    """The loop's state."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterable[Metric]:
        live = self._live
        followed = GaugeMetricFamily("crossmargin_owners", "Owners that are followed", labels=("kind",))
        for kind, wanted in (("watched", True), ("guest", False)):
            followed.add_metric((kind,), sum(one.watched is wanted for one in live.followed.values()))
        yield followed
        whole = [one.assessed.figures.complete for one in live.followed.values() if one.assessed is not None]
        coverage = GaugeMetricFamily("crossmargin_coverage_ratio", "Share of the assessed owners whose picture is complete", labels=())
        if whole:
            coverage.add_metric((), sum(whole) / len(whole))
        yield coverage
        yield GaugeMetricFamily("crossmargin_stream_subscribers", "Open streams", value=live.hub.subscribers)
        yield GaugeMetricFamily("crossmargin_tasks", "Tasks of the event loop", value=len(asyncio.all_tasks()))
        yield from self._chains()
        yield from self._endpoints()

    def _chains(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("crossmargin_chain_up", "1 where its head is known and its endpoints answer", labels=("chain",))
        head = GaugeMetricFamily("crossmargin_chain_head_block", "Newest block that was looked through", labels=("chain",))
        age = GaugeMetricFamily("crossmargin_chain_staleness_seconds", "Time since a head was heard of", labels=("chain",))
        waiting = GaugeMetricFamily("crossmargin_chain_owners_waiting", "Owners to be read again", labels=("chain",))
        reads = CounterMetricFamily("crossmargin_owner_reads", "Owners that were read", labels=("chain",))
        for loop in self._live.loops.values():
            state, chain = loop.state, (loop.chain,)
            up.add_metric(chain, state.head is not None and not state.trouble)
            if state.head is not None:
                head.add_metric(chain, state.head.number)
            if (silent := self._live.silent_seconds(state)) is not None:
                age.add_metric(chain, silent)
            waiting.add_metric(chain, state.waiting)
            reads.add_metric(chain, loop.reads)
        return (up, head, age, waiting, reads)

    def _endpoints(self) -> Iterable[Metric]:
        """By scheme and host: the rest of a URL may be a key."""
        labels = ("chain", "host")
        requests = CounterMetricFamily("crossmargin_rpc_requests", "HTTP requests to endpoints", labels=labels)
        failures = CounterMetricFamily("crossmargin_rpc_failures", "Requests to endpoints that failed", labels=labels)
        for chain in self._live.loops:
            for host, statistics in self._live.engine.network.client(chain).endpoint_statistics.items():
                requests.add_metric((chain, host), statistics.requests)
                failures.add_metric((chain, host), statistics.failures)
        return (requests, failures)


class WorkerCollector(Collector):
    """The processes that assess; of the server itself `process_resident_memory_bytes` tells."""

    def collect(self) -> Iterable[Metric]:
        resident = [resident_bytes(process.pid) for process in multiprocessing.active_children() if process.pid is not None]
        known = [size for size in resident if size is not None]
        yield GaugeMetricFamily("crossmargin_workers", "Processes that assess", value=len(resident))
        if len(known) == len(resident):
            yield GaugeMetricFamily("crossmargin_worker_resident_memory_bytes", "Their resident memory, together", value=sum(known))


def resident_bytes(process: int) -> int | None:
    """Resident memory of a process; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
