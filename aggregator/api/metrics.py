"""Prometheus metrics of the service. Labels are endpoints, methods, chains and protocols; never an address."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from aggregator.engine.live.live import Live

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LAGS = (0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Everything that `/metrics` shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}
        labels = ("method", "endpoint")
        self.latency = Histogram(
            "crossmargin_http_request_duration_seconds", "Time to answer, by endpoint", labels, buckets=LATENCIES, registry=self.registry
        )
        self.requests = Counter("crossmargin_http_requests", "Answers by endpoint and status", (*labels, "status"), registry=self.registry)
        self.throttled = Counter("crossmargin_http_throttled", "Requests refused for their rate", ("limit",), registry=self.registry)
        self.lag = Histogram(
            "crossmargin_publish_lag_seconds",
            "From hearing of a block until what it changed was published",
            ("chain",),
            buckets=LAGS,
            registry=self.registry,
        )

    def answered(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """One answer. Series are looked up once: that takes longer than to count."""
        key = (method, endpoint, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = (self.latency.labels(method, endpoint), self.requests.labels(method, endpoint, str(status)))
        series[0].observe(seconds)
        series[1].inc()

    def observe(self, live: Live) -> None:
        """Show the loop's state too."""
        live.lag_listeners.append(lambda chain, seconds: self.lag.labels(chain).observe(seconds))
        self.registry.register(_LiveCollector(live))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _LiveCollector(Collector):
    """The loop's state at the moment it is asked for."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterable[Metric]:
        live = self._live
        followed = GaugeMetricFamily("crossmargin_owners", "Owners that are followed", labels=("kind",))
        for kind, wanted in (("watched", True), ("guest", False)):
            followed.add_metric((kind,), sum(one.watched is wanted for one in live.followed.values()))
        yield followed
        whole = [one.assessed.figures.complete for one in live.followed.values() if one.assessed is not None]
        coverage = GaugeMetricFamily("crossmargin_coverage_ratio", "Share of the followed owners whose picture is complete")
        coverage.add_metric((), sum(whole) / len(whole) if whole else 1.0)
        yield coverage
        yield GaugeMetricFamily("crossmargin_stream_subscribers", "Open streams", value=live.hub.subscribers)
        yield GaugeMetricFamily("crossmargin_tasks", "Tasks of the event loop", value=len(asyncio.all_tasks()))
        yield from self._chains()

    def _chains(self) -> Iterable[Metric]:
        head = GaugeMetricFamily("crossmargin_chain_head_block", "Newest block that was looked through", labels=("chain",))
        age = GaugeMetricFamily("crossmargin_chain_staleness_seconds", "Time since a head was heard of", labels=("chain",))
        waiting = GaugeMetricFamily("crossmargin_chain_owners_waiting", "Owners to be read again", labels=("chain",))
        reads = CounterMetricFamily("crossmargin_owner_reads", "Owners that were read", labels=("chain",))
        requests = CounterMetricFamily("crossmargin_rpc_requests", "HTTP requests to endpoints", labels=("chain",))
        failures = CounterMetricFamily("crossmargin_rpc_failures", "Requests to endpoints that failed", labels=("chain",))
        for loop in self._live.loops.values():
            state, chain = loop.state, (loop.chain,)
            if state.head is not None:
                head.add_metric(chain, state.head.number)
            if (silent := self._live.silent_seconds(state)) is not None:
                age.add_metric(chain, silent)
            waiting.add_metric(chain, state.waiting)
            reads.add_metric(chain, loop.reads)
            statistics = self._live.engine.network.client(loop.chain).statistics
            requests.add_metric(chain, statistics.requests)
            failures.add_metric(chain, statistics.failures)
        return (head, age, waiting, reads, requests, failures)
