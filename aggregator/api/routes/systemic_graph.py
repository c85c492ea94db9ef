"""`GET /v1/systemic/graph`: who has lent to whom, the largest claims first."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from aiohttp import web
from pydantic import Field

from aggregator.api.context import app_of
from aggregator.api.operation import Operation, Query, json_response, query_of
from aggregator.api.schema import EdgeDocument, GraphDocument, NodeDocument
from aggregator.api.systemic import basis


class GraphQuery(Query):
    """`limit`: of claims."""

    limit: Annotated[int, Field(ge=1, le=5000)] = 500


async def graph(request: web.Request) -> web.StreamResponse:
    query = query_of(request, GraphQuery)
    systemic = app_of(request).systemic
    network = await systemic.exposures()
    population = systemic.population
    source, snapshots, coverage = basis(systemic, "exposures", population.evidence if population and network is not None else None)
    if network is None:
        return json_response(GraphDocument(source=source, nodes=(), edges=(), snapshots=snapshots, coverage=coverage))
    from aggregator.engine.systemic.document import usd

    claims = network.exposures.tocoo()
    largest = np.argsort(-claims.data, kind="stable")[: query.limit]
    pairs = [(int(claims.row[place]), int(claims.col[place]), float(claims.data[place])) for place in largest.tolist()]
    ends = sorted({end for source_node, target, _ in pairs for end in (source_node, target)})
    return json_response(
        GraphDocument(
            source=source,
            nodes=tuple(NodeDocument(id=str(node), name=network.names[node], kind=network.kinds[node].value) for node in ends),
            edges=tuple(EdgeDocument(source=str(holder), target=str(held), amount_usd=usd(amount)) for holder, held, amount in pairs),
            snapshots=snapshots,
            coverage=coverage,
        )
    )


routes = (Operation("GET", "/v1/systemic/graph", "systemic_graph", "Who has lent to whom", graph, answer=GraphDocument, query=GraphQuery),)
