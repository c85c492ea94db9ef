"""`GET /openapi.json`: this API, described."""

from __future__ import annotations

from aiohttp import web

from aggregator.api.operation import JSON, Operation


async def document(request: web.Request) -> web.StreamResponse:
    from aggregator.api.openapi import openapi_json

    response = web.Response(body=openapi_json(), content_type=JSON)
    response.enable_compression()
    return response


routes = (Operation("GET", "/openapi.json", "openapi", "This API as OpenAPI 3.1", document),)
