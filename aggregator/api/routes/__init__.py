"""One file an endpoint; each exposes `routes`. A new one is served once it stands in `MODULES`."""

from __future__ import annotations

from aggregator.api.operation import Operation
from aggregator.api.routes import (
    adapters,
    attestations,
    coverage,
    haircuts,
    health,
    history,
    labels,
    margin,
    openapi_document,
    owner_alerts,
    probes,
    scores,
    sign_in,
    stream,
    subscriptions,
    systemic_alerts,
    systemic_curves,
    systemic_graph,
    systemic_rank,
    watch,
    what_if,
)

MODULES = (
    health,
    margin,
    what_if,
    history,
    owner_alerts,
    scores,
    attestations,
    systemic_curves,
    systemic_rank,
    systemic_alerts,
    systemic_graph,
    haircuts,
    coverage,
    adapters,
    watch,
    labels,
    subscriptions,
    sign_in,
    stream,
    probes,
    openapi_document,
)


def all_routes() -> tuple[Operation, ...]:
    """Every operation, in the order of the modules."""
    return tuple(one for module in MODULES for one in module.routes)
