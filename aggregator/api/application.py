"""The HTTP application: every operation of `routes.MODULES`, one middleware around them, and the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from aggregator.api.context import APP, App
from aggregator.api.middleware import OPERATION, Operations, around, finish
from aggregator.api.operation import LARGEST_BODY, Operation
from aggregator.api.page import page_routes
from aggregator.api.routes import all_routes
from aggregator.chains.configuration import ChainsConfiguration


def application(
    app: App,
    operations: tuple[Operation, ...] | None = None,
    echarts: Path | None = None,
    configuration: ChainsConfiguration | None = None,
    examples: Mapping[str, str] | None = None,
) -> web.Application:
    """What aiohttp serves. `echarts`, `configuration` and `examples`: see the page."""
    served = operations if operations is not None else all_routes()
    made = web.Application(middlewares=[around], client_max_size=LARGEST_BODY)
    made[APP] = app
    made[OPERATION] = Operations((one.handler, one) for one in served)
    for one in served:
        if one.method == "GET":
            made.router.add_get(one.path, one.handler)
        else:
            made.router.add_route(one.method, one.path, one.handler)
    made.add_routes(page_routes(echarts, configuration, examples))
    made.on_response_prepare.append(finish)
    return made
