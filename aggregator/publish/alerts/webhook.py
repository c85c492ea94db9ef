"""Sending one signed webhook. What comes back is a status and nothing else: no redirect is followed, no body believed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from aggregator.model.errors import InputError
from aggregator.publish.alerts.addresses import AddressRefused, GuardedResolver, is_public
from aggregator.publish.alerts.signature import DELIVERY_HEADER, SHORTEST_SECRET, SIGNATURE_HEADER, sign

TIMEOUT_SECONDS = 10.0
LARGEST_RESPONSE = 65_536
"""bytes that are read so that the connection can serve again; a longer answer is cut off with its connection"""
LONGEST_WAIT = 3_600.0
"""seconds that a receiver may make us wait"""
LONGEST_URL = 2_048
GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` None: acknowledged. Never holds anything of the URL but its host. `final`: no use to try again."""

    error: str | None = None
    final: bool = False
    retry_after: float | None = None


def check_webhook(url: str, secret: bytes, allow_private: bool = False) -> None:
    """InputError, without the URL in it, for one that would never be sent to."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InputError("the webhook's URL is none; expected https://HOST/PATH") from None
    if len(url) > LONGEST_URL or not host or not url.isascii() or any(one.isspace() or not one.isprintable() for one in url):
        raise InputError("the webhook's URL is none; expected https://HOST/PATH")
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise InputError("a webhook's URL begins with https://")
    if _literal(host) and not allow_private and not is_public(host):
        raise InputError("the webhook's address is not a public one")
    if len(secret) < SHORTEST_SECRET:
        raise InputError(f"the webhook's secret is shorter than {SHORTEST_SECRET} bytes")


def _literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class WebhookSender:
    """Connections to receivers. `allow_private`: for tests and for receivers in one's own network."""

    def __init__(
        self,
        allow_private: bool = False,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allow_private, self._timeout, self._clock = allow_private, timeout, clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=None if self._allow_private else GuardedResolver(), use_dns_cache=False, limit=64)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, url: str, secret: bytes, key: str, body: str) -> Outcome:
        """Send once. Never raises for what the receiver or the network does."""
        try:
            check_webhook(url, secret, self._allow_private)
        except InputError as error:
            return Outcome(str(error), final=True)
        assert self._session is not None
        content = body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "crossmargin",
            SIGNATURE_HEADER: sign(secret, content, int(self._clock())),
            DELIVERY_HEADER: key,
        }
        host = urlsplit(url).hostname
        try:
            async with self._session.post(url, data=content, headers=headers, allow_redirects=False) as response:
                await self._drain(response)
                return self._judge(response, host)
        except aiohttp.InvalidURL:
            # numbers that some resolvers take for addresses end here
            return Outcome("the webhook's URL is none; expected https://HOST/PATH", final=True)
        except AddressRefused as error:
            return Outcome(f"{host}: {error}")
        except aiohttp.ClientConnectorError as error:
            # the connector wraps what the resolver raised; of the message nothing is kept
            refused = isinstance(error.os_error, AddressRefused)
            return Outcome(f"{host}: {error.os_error if refused else 'cannot be reached'}")
        except TimeoutError:
            return Outcome(f"{host}: no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(f"{host}: {type(error).__name__}")

    async def _drain(self, response: aiohttp.ClientResponse) -> None:
        """Read the answer away, or cut it off where it is long."""
        left = LARGEST_RESPONSE
        while left > 0 and (chunk := await response.content.read(left)):
            left -= len(chunk)
        if left <= 0:
            response.close()

    def _judge(self, response: aiohttp.ClientResponse, host: str | None) -> Outcome:
        if 200 <= response.status < 300:
            return Outcome()
        if 300 <= response.status < 400:
            return Outcome(f"{host}: status {response.status}; redirects are not followed")
        return Outcome(f"{host}: status {response.status}", response.status == GONE, self._wait(response.headers.get("Retry-After")))

    def _wait(self, text: str | None) -> float | None:
        """Seconds that the receiver asks for: a number or a date; None for anything else."""
        if text is None:
            return None
        if text.isascii() and text.isdigit():
            return min(float(text), LONGEST_WAIT)
        try:
            asked = parsedate_to_datetime(text).timestamp() - self._clock()
        except (ValueError, OverflowError):
            return None
        return min(max(asked, 0.0), LONGEST_WAIT)
