"""Prometheus metrics of the service. Labels are endpoints, methods, chains and hosts; never an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest

from aggregator.api.collectors import LiveCollector, Seen, StoreCollector, WorkerCollector

if TYPE_CHECKING:
    from aggregator.engine.live.live import Live

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LIMITS = ("reads", "writes")
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
        # a series that begins with its first event shows Prometheus no increase: those that alerts look at begin with 0
        self.faults = Counter("crossmargin_http_faults", "Answers with status 500: faults of the service", registry=self.registry)
        self.throttled = Counter("crossmargin_http_throttled", "Requests refused for their rate", ("limit",), registry=self.registry)
        for limit in LIMITS:
            self.throttled.labels(limit)
        self.lag = Histogram(
            "crossmargin_publish_lag_seconds",
            "From hearing of a block until what it changed was published",
            ("chain",),
            buckets=LAGS,
            registry=self.registry,
        )
        self._store = StoreCollector()
        self.registry.register(self._store)
        self.registry.register(WorkerCollector())
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """One answer. Series are looked up once: that takes longer than to count."""
        key = (method, endpoint, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = (self.latency.labels(method, endpoint), self.requests.labels(method, endpoint, str(status)))
        series[0].observe(seconds)
        series[1].inc()
        if status == 500:
            self.faults.inc()

    def observe(self, live: Live) -> None:
        """Show the loop's state too."""
        for chain in live.chains:
            self.lag.labels(chain)
        live.lag_listeners.append(lambda chain, seconds: self.lag.labels(chain).observe(seconds))
        self.registry.register(LiveCollector(live))

    def text(self, seen: Seen) -> bytes:
        """Everything, in Prometheus' text format."""
        self._store.seen = seen
        return generate_latest(self.registry)
