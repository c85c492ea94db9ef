"""What happens around every endpoint: limits, CORS, problems, metrics and one line in the log. One middleware, because each costs time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import CIMultiDict

from aggregator.api.context import App, app_of
from aggregator.api.limits import RateLimiter, Standing, network_of
from aggregator.api.operation import LARGEST_BODY, Operation
from aggregator.api.problem import Problem
from aggregator.model.errors import CrossmarginError, EndpointError, IncompleteError, InputError
from aggregator.store.database import DatabaseUnavailable

log = logging.getLogger("aggregator.api")

LONGEST_URL = 4_096
EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, Link"


class Operations(dict[object, Operation]):
    """By handler."""


OPERATION = web.AppKey("operations", Operations)
SPENT = web.RequestKey("spent", Standing)
_NONE = "none"


def client_address(request: web.Request, trusted_proxies: int) -> str:
    """Whom a limit is for. Behind `n` proxies of ours the n-th address from the right of X-Forwarded-For is what the outermost saw."""
    address = request.remote or ""
    if trusted_proxies:
        told = [part.strip() for part in ",".join(request.headers.getall("X-Forwarded-For", [])).split(",") if part.strip()]
        if len(told) >= trusted_proxies:
            address = told[-trusted_proxies][:64]
    return network_of(address)


def limiter_of(app: App, operation: Operation | None) -> RateLimiter:
    return app.writes if operation is not None and operation.writes else app.reads


def spend(request: web.Request, cost: int) -> None:
    """This request costs more than one unit. Problem 429 where the address has too few left."""
    app = app_of(request)
    limiter = limiter_of(app, request.app[OPERATION].get(request.match_info.handler))
    request[SPENT] = limiter.take(client_address(request, app.settings.trusted_proxies), cost)


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    """See the module."""
    started = time.perf_counter()
    app = app_of(request)
    operation = request.app[OPERATION].get(request.match_info.handler)
    endpoint = operation.identifier if operation is not None else _NONE
    limiter = limiter_of(app, operation)
    try:
        response = await _answer(request, handler, app, operation, limiter)
    except Problem as problem:
        response = problem.response()
        if problem.status == 429:
            app.metrics.throttled.labels(limiter.name).inc()
    took = time.perf_counter() - started
    method = request.method if operation is not None else _NONE
    app.metrics.answered(method, endpoint, response.status, took)
    if log.isEnabledFor(logging.DEBUG) or response.status >= 500:
        level = logging.ERROR if response.status == 500 else logging.WARNING if response.status > 500 else logging.DEBUG
        log.log(level, "%s %s %d %.1f ms", request.method, endpoint, response.status, took * 1000)
    return response


async def _answer(
    request: web.Request, handler: Handler, app: App, operation: Operation | None, limiter: RateLimiter
) -> web.StreamResponse:
    """The endpoint's answer; whatever it raises becomes a Problem."""
    if len(request.raw_path) > LONGEST_URL:
        raise Problem(414, "uri-too-long", f"an address has {LONGEST_URL} characters at most")
    request[SPENT] = limiter.take(client_address(request, app.settings.trusted_proxies))
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        return web.Response(status=204)
    try:
        return await handler(request)
    except Problem:
        raise
    except web.HTTPRequestEntityTooLarge:
        raise Problem(413, "body-too-large", f"a body has {LARGEST_BODY} bytes at most") from None
    except web.HTTPNotFound:
        raise Problem(404, "not-found", "there is nothing at this address") from None
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        raise Problem(405, "method-not-allowed", f"expected {allowed}", {"Allow": allowed}) from None
    except web.HTTPException as error:
        if error.status < 400:
            raise
        raise Problem(error.status, "http", error.reason) from None
    except InputError as error:
        raise Problem(400, "bad-input", str(error)) from None
    except (DatabaseUnavailable, EndpointError, IncompleteError) as error:
        raise Problem(503, "unavailable", str(error), {"Retry-After": "5"}) from None
    except (asyncio.CancelledError, ConnectionResetError):
        raise
    except CrossmarginError as error:
        raise Problem(400, "bad-input", str(error)) from None
    except Exception:  # a fault of ours: the client is told nothing of it, the log everything
        if app.hub.closed:  # whoever is still answered when the service ends misses what has ended before
            raise Problem(503, "unavailable", "the service ends", {"Retry-After": "5"}) from None
        log.exception("%s failed", operation.identifier if operation is not None else request.method)
        raise Problem(500, "fault", "the service failed to answer; the fault is in its log") from None


async def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Header fields that every answer has, streams too: a signal, called before the first byte."""
    app = app_of(request)
    headers = response.headers
    origin = request.headers.get("Origin")
    if origin is not None:
        _cors(request, headers, origin, app.settings.cors_origins)
    if SPENT in request:
        limiter = limiter_of(app, request.app[OPERATION].get(request.match_info.handler))
        standing = request[SPENT]
        headers["RateLimit-Policy"] = limiter.policy
        headers["RateLimit"] = f'"{limiter.name}";r={standing.left};t={standing.seconds}'
    headers.setdefault("X-Content-Type-Options", "nosniff")


def _cors(request: web.Request, headers: CIMultiDict[str], origin: str, origins: Collection[str]) -> None:
    allowed = "*" if "*" in origins else origin if origin in origins else None
    if allowed is None:
        return
    headers["Access-Control-Allow-Origin"] = allowed
    headers["Access-Control-Expose-Headers"] = EXPOSED
    if allowed != "*":
        headers["Vary"] = f"{headers['Vary']}, Origin" if "Vary" in headers else "Origin"
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, DELETE"
        headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-None-Match, Last-Event-ID"
        headers["Access-Control-Max-Age"] = "86400"
