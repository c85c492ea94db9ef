"""Reaching a trading venue over HTTP: within its own weight limits, within a deadline, and with a name for every way in which it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType

import aiohttp
import orjson

from aggregator.chains.dispatcher import Dispatcher
from aggregator.chains.policy import Policy
from aggregator.chains.transport import HttpAnswer, Statistics, Transport
from aggregator.chains.urls import EndpointUrl
from aggregator.chains.venue_record import Recorder
from aggregator.model.errors import EndpointError, EndpointInvalid, InputError
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.text import clean_text
from aggregator.reading.venue import VenueReads, VenueRequest
from aggregator.reading.venue_manifest import VenueManifest, venue

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 5.0
"""for everything that one snapshot asks of one venue: a venue that is down costs a named gap and this much, beside the chains' time"""
ATTEMPTS = 2
BACKOFF_SECONDS = 0.25
LEFT_ALONE_SECONDS = 60.0
"""how long a venue is not asked again that answered nothing at all"""
MAXIMUM_ANSWER_BYTES = 16 * 1024 * 1024

_WORDS = 160
_NO_URLS: Mapping[str, EndpointUrl] = MappingProxyType({})


class VenueClient:
    """One venue's API: its turns by weight and its standing outlive a snapshot."""

    def __init__(
        self,
        manifest: VenueManifest,
        url: EndpointUrl,
        session: Callable[[], aiohttp.ClientSession],
        policy: Policy,
    ) -> None:
        limits = manifest.limits
        self.slug = manifest.slug
        self.shown = str(url)
        self.statistics = Statistics()
        self.left_alone_until = 0.0
        """of the event loop's clock"""
        self._url = url
        self._session = session
        self._policy = policy
        self._dispatcher = Dispatcher.weighted(limits.weight, limits.period_seconds, limits.concurrency)

    async def fetch(self, request: VenueRequest, until: float, recorder: Recorder | None = None) -> Outcome[bytes]:
        """The body of one answer. Trouble that may pass is tried again once; `until` is of the event loop's clock. Never raises."""
        clock = asyncio.get_running_loop().time
        if clock() < self.left_alone_until:
            return Unknown(Reason.ENDPOINT, f"{self.shown} answered nothing a moment ago and is left alone")
        try:
            async with asyncio.timeout_at(until):
                for attempt in range(ATTEMPTS):
                    try:
                        answer = await self._send(request)
                    except EndpointError as error:
                        failure, wait = self._failure(error), BACKOFF_SECONDS
                        if isinstance(error, EndpointInvalid):
                            return failure
                    else:
                        if answer.status != 429 and answer.status < 500:
                            return self._outcome(request, answer, recorder)
                        failure = Unknown(Reason.ENDPOINT, f"{self.shown}: HTTP {answer.shown_status}")
                        wait = answer.retry_after_seconds if answer.retry_after_seconds is not None else BACKOFF_SECONDS
                    if attempt + 1 == ATTEMPTS or clock() + wait >= until:
                        return failure
                    await asyncio.sleep(wait)
                    self.statistics.retries += 1
        except TimeoutError:
            pass
        return Unknown(Reason.ENDPOINT, f"{self.shown}: no answer in the time that venues have")

    async def _send(self, request: VenueRequest) -> HttpAnswer:
        transport = Transport(EndpointUrl(self._url.reveal() + request.path), self._session, self._policy, self.statistics)
        async with self._dispatcher.turn(request.weight):
            self.statistics.calls += 1
            try:
                return await (transport.post(request.payload) if request.method == "POST" else transport.get())
            except EndpointError:
                self.statistics.failures += 1
                raise

    def _failure(self, error: EndpointError) -> Unknown:
        return Unknown(Reason.ENDPOINT, f"{self.shown}: {self._url.scrub(str(error))}")

    def _outcome(self, request: VenueRequest, answer: HttpAnswer, recorder: Recorder | None) -> Outcome[bytes]:
        words = f"{self.shown}: HTTP {answer.shown_status}"
        if 300 <= answer.status < 400:
            return Unknown(Reason.ENDPOINT, f"{words}: redirects elsewhere")
        try:
            said = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return Unknown(Reason.ENDPOINT, f"{words}: an answer that is not JSON")
        if recorder is not None:
            recorder.keep(request, answer.status, said)
        if answer.status < 300:
            return Value(answer.body)
        reason = self._url.scrub(_reason(said))
        if answer.status == 404 and request.method == "GET" and isinstance(said, dict):
            return Absent(Reason.NOT_FOUND, reason)
        return Unknown(Reason.REFUSED, f"{words}{f': {reason}' if reason else ''}")

    async def close(self) -> None:
        await self._dispatcher.close()


class LiveVenueReads(VenueReads):
    """Reads of one snapshot, each sent at once in its turn. Use as an async context manager: leaving it ends what is under way."""

    def __init__(self, client: VenueClient, deadline_seconds: float = DEADLINE_SECONDS, recorder: Recorder | None = None) -> None:
        super().__init__()
        self.answered = 0
        self._client = client
        self._recorder = recorder
        self._until = asyncio.get_running_loop().time() + deadline_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, request: VenueRequest) -> None:
        task = asyncio.get_running_loop().create_task(self._fetch(request), name=f"{self._client.slug} read")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, request: VenueRequest) -> None:
        outcome = await self._client.fetch(request, self._until, self._recorder)
        self.answered += not (isinstance(outcome, Unknown) and outcome.reason is Reason.ENDPOINT)
        self.settle(request, outcome)

    async def __aenter__(self) -> LiveVenueReads:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._known and not self.answered:
            self._client.left_alone_until = asyncio.get_running_loop().time() + LEFT_ALONE_SECONDS
            log.warning("%s: %s answers nothing", self._client.slug, self._client.shown)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Venues:
    """A client for each venue over one HTTP session. `urls` replace the manifests' base URLs."""

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        policy: Policy,
        urls: Mapping[str, EndpointUrl] = _NO_URLS,
    ) -> None:
        self._session = session
        self._policy = replace(policy, maximum_answer_bytes=min(policy.maximum_answer_bytes, MAXIMUM_ANSWER_BYTES))
        self.urls = dict(urls)
        self._clients: dict[str, VenueClient] = {}

    def client(self, manifest: VenueManifest) -> VenueClient:
        """The client of a venue."""
        known = self._clients.get(manifest.slug)
        if known is None:
            url = self.urls.get(manifest.slug) or EndpointUrl(manifest.base_url)
            known = VenueClient(manifest, url, self._session, self._policy)
            self._clients[manifest.slug] = known
        return known

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients.values()))


def venue_urls(texts: tuple[str, ...]) -> dict[str, EndpointUrl]:
    """All `--venue NAME=URL` values; InputError for a name that is no venue or a URL that is none. No error shows the URL."""
    urls: dict[str, EndpointUrl] = {}
    for text in texts:
        name, separator, url = text.partition("=")
        if not separator or "://" in name:
            raise InputError("--venue: expected NAME=URL, for example hyperliquid=https://api.example")
        slug = venue(name.strip().lower()).slug
        try:
            urls[slug] = EndpointUrl(url.strip().rstrip("/"))
        except ValueError:
            raise InputError(f"--venue {name}=…: expected an http:// or https:// URL after the equals sign") from None
    return urls


def _reason(said: object) -> str:
    """What a JSON error says, in the forms that venues use: `{"error": {"message"}}`, `{"errors": [{"msg"}]}`, a string."""
    if isinstance(said, dict):
        inner = said.get("errors", said.get("error", said.get("message", said.get("msg"))))
        return _reason(inner) if inner is not said else ""
    if isinstance(said, list) and said:
        return _reason(said[0])
    return clean_text(said, _WORDS) if isinstance(said, str) else ""
