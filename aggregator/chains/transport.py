"""One HTTP request: bytes out, bytes back, bounded in time and size, and every way in which it can fail named.

The layers above it, each in its own file: `endpoint` (turns, batch limits, chain id), `client` (retry and failover),
`network` (the session they share).
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp

from aggregator.chains.policy import Policy, retry_after_seconds
from aggregator.chains.urls import EndpointUrl
from aggregator.model.errors import EndpointInvalid, EndpointUnreachable

_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}


class EndpointTimedOut(EndpointUnreachable):
    """Silent for too long, or not done in time."""


class HostUnknown(EndpointUnreachable):
    """The name does not resolve or the certificate is not trusted: asking again at once would tell the same, slowly."""


class ConnectionLost(EndpointUnreachable):
    """The connection was closed before an answer came."""


class BodyTooLarge(EndpointInvalid):
    """The answer is more than is read here; it was cut off."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete HTTP answer. `retry_after_seconds` is the endpoint's wish, None where it has none."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None

    @property
    def shown_status(self) -> str:
        """`429 Too Many Requests`."""
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


@dataclass(slots=True)
class Statistics:
    """What one endpoint was asked for. `requests` are HTTP requests, `calls` the JSON-RPC calls in them; bytes are of bodies."""

    requests: int = 0
    calls: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    largest_request_bytes: int = 0
    retries: int = 0
    """requests that repeated what had failed before, here or at another endpoint"""
    failures: int = 0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.requests + other.requests,
            self.calls + other.calls,
            self.bytes_sent + other.bytes_sent,
            self.bytes_received + other.bytes_received,
            max(self.largest_request_bytes, other.largest_request_bytes),
            self.retries + other.retries,
            self.failures + other.failures,
        )


class Transport:
    """Sends to one URL over the process's session."""

    def __init__(self, url: EndpointUrl, session: Callable[[], aiohttp.ClientSession], policy: Policy, statistics: Statistics) -> None:
        self._url = url
        self._session = session
        self._policy = policy
        self._statistics = statistics
        self._timeout = aiohttp.ClientTimeout(
            total=policy.request_timeout_seconds,
            sock_connect=policy.connect_timeout_seconds,
            sock_read=policy.read_timeout_seconds,
        )

    async def post(self, body: bytes) -> HttpAnswer:
        """Send `body` and read the whole answer, whatever its HTTP status.

        A connection that turns out to be closed is replaced once without further ado: servers close idle ones at any moment, and
        JSON-RPC reads may be repeated. Raises EndpointUnreachable (refused, not found, lost, timed out) and EndpointInvalid (not HTTP,
        cut short, too large). No message holds more of the URL than its host.
        """
        return await self._twice("POST", body)

    async def get(self) -> HttpAnswer:
        """GET, in the same way."""
        return await self._twice("GET", b"")

    async def _twice(self, method: str, body: bytes) -> HttpAnswer:
        try:
            return await self._send(method, body)
        except ConnectionLost:
            self._statistics.retries += 1
            return await self._send(method, body)

    async def _send(self, method: str, body: bytes) -> HttpAnswer:
        statistics = self._statistics
        statistics.requests += 1
        statistics.bytes_sent += len(body)
        statistics.largest_request_bytes = max(statistics.largest_request_bytes, len(body))
        try:
            async with self._session().request(
                method, self._url.reveal(), data=body or None, headers=_HEADERS, timeout=self._timeout, allow_redirects=False
            ) as response:
                answer = await self._read(response)
                return HttpAnswer(response.status, answer, retry_after_seconds(response.headers.get("Retry-After")))
        except TimeoutError as error:
            raise EndpointTimedOut(_timeout_words(error, self._policy)) from None
        except aiohttp.ClientError as error:
            raise _failure(error) from None
        except ValueError:
            # Not the answer: a host name that the resolver or the client library cannot even encode.
            raise HostUnknown("the host name is not one that can be looked up") from None
        except OSError as error:
            raise ConnectionLost(f"the connection failed ({_reason(error)})") from None

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, read in pieces and cut at the limit; the connection of a cut answer is closed, not reused."""
        limit = self._policy.maximum_answer_bytes
        pieces: list[bytes] = []
        size = 0
        if (response.content_length or 0) > limit:
            response.close()
            raise BodyTooLarge(f"the answer announces {response.content_length} bytes, more than the {limit} read here")
        async for piece in response.content.iter_any():
            size += len(piece)
            self._statistics.bytes_received += len(piece)
            if size > limit:
                response.close()
                raise BodyTooLarge(f"the answer is longer than the {limit} bytes read here")
            pieces.append(piece)
        return b"".join(pieces)


def _failure(error: aiohttp.ClientError) -> EndpointUnreachable | EndpointInvalid:
    """Our name for a failure of the client library, whose own messages may hold the URL."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return HostUnknown("the host name is not known")
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            return HostUnknown("no trusted TLS connection")
        case aiohttp.ClientConnectorError():
            refused = error.errno is not None
            return EndpointUnreachable(f"the connection was refused ({_reason(error)})" if refused else "no connection")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return ConnectionLost("the connection was closed before an answer came")
        case aiohttp.ClientPayloadError():
            return EndpointInvalid("the answer was cut off")
        case aiohttp.ClientResponseError():
            return EndpointInvalid("the answer is not HTTP")
        case aiohttp.ClientConnectionError():
            return ConnectionLost("the connection was lost")
        case _:
            return EndpointInvalid(f"the request failed ({type(error).__name__})")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "TLS"
    return os.strerror(error.errno).lower() if error.errno is not None else type(error).__name__


def _timeout_words(error: TimeoutError, policy: Policy) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {policy.connect_timeout_seconds:g} s"
    if isinstance(error, aiohttp.SocketTimeoutError):
        return f"silent for {policy.read_timeout_seconds:g} s"
    return f"no complete answer within {policy.request_timeout_seconds:g} s"
