"""A venue over HTTP: every failure has a name, weight limits hold, silence costs no more than the deadline, and URLs keep their secrets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from aggregator.chains.policy import Policy
from aggregator.chains.urls import EndpointUrl
from aggregator.chains.venue import LiveVenueReads, VenueClient, Venues, venue_urls
from aggregator.model.errors import InputError
from aggregator.model.identifiers import ChainId
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.manifest import Capability, Support, Tier
from aggregator.reading.venue import VenueRequest
from aggregator.reading.venue_manifest import Limits, VenueManifest
from tests.venue_server import Said, VenueServer

POLICY = Policy(maximum_answer_bytes=10_000)


def manifest(weight: int = 1_000, period: float = 1.0, concurrency: int = 8) -> VenueManifest:
    return VenueManifest(
        slug="example",
        name="Example",
        transport="http",
        base_url="https://api.example",
        chain=ChainId("eip155:1"),
        account="an address",
        documentation="https://docs.example",
        tier=Tier.BRONZE,
        capabilities={Capability.POSITIONS: Support.EXACT},
        limits=Limits(weight=weight, period_seconds=period, concurrency=concurrency, source="its page"),
        source="its page",
    )


@asynccontextmanager
async def reading(
    handler: Callable[[VenueRequest], Said], *, deadline: float = 2.0, venue: VenueManifest | None = None
) -> AsyncIterator[tuple[LiveVenueReads, VenueServer, VenueClient]]:
    async with VenueServer(handler) as server, aiohttp.ClientSession() as session:
        url = EndpointUrl(server.url)
        client = Venues(lambda: session, POLICY, {"example": url}).client(venue or manifest())
        async with LiveVenueReads(client, deadline) as reads:
            yield reads, server, client
        await client.close()


async def outcome(*said: Said, deadline: float = 2.0) -> Outcome[object]:
    """What becomes of a GET where the venue says this, one after the other and the last for ever."""
    left = list(said)
    async with reading(lambda _: left.pop(0) if len(left) > 1 else left[0], deadline=deadline) as (reads, _, _):
        return await reads.get("/thing", dict[str, int])


def why(found: Outcome[object]) -> str:
    assert isinstance(found, Unknown), found
    return str(found)


async def test_an_answer() -> None:
    assert await outcome(Said(body=b'{"a": 1}')) == Value({"a": 1})


async def test_not_there() -> None:
    found = await outcome(Said(404, b'{"errors": [{"msg": "No subaccounts found"}]}'))
    assert found == Absent(Reason.NOT_FOUND, "No subaccounts found")
    assert "not JSON" in why(await outcome(Said(404, b"<html>not here</html>")))


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        (Said(200, b"<html>"), Reason.ENDPOINT, "not JSON"),
        (Said(200, b'{"a": "x"}'), Reason.MALFORMED, "a: Input should be a valid integer"),
        (Said(302, b"{}", {"Location": "https://elsewhere"}), Reason.ENDPOINT, "redirects elsewhere"),
        (Said(400, b'{"error": {"code": 1, "message": "bad wallet"}}'), Reason.REFUSED, "HTTP 400 Bad Request: bad wallet"),
        (Said(403, b'{"message": "region"}'), Reason.REFUSED, "HTTP 403 Forbidden: region"),
        (Said(422, b'"Failed to deserialize"'), Reason.REFUSED, "HTTP 422 Unprocessable Entity: Failed to deserialize"),
        (Said(503, b"{}"), Reason.ENDPOINT, "HTTP 503 Service Unavailable"),
        (Said(429, b"{}", {"Retry-After": "60"}), Reason.ENDPOINT, "HTTP 429 Too Many Requests"),
        (Said(hang_up=True), Reason.ENDPOINT, "connection"),
        (Said(200, b'"' + b"x" * 20_000 + b'"'), Reason.ENDPOINT, "bytes"),
    ],
)
async def test_every_failure_has_a_name(said: Said, reason: Reason, words: str) -> None:
    found = await outcome(said)
    assert isinstance(found, Unknown) and found.reason is reason
    assert words in found.detail


async def test_trouble_that_passes_costs_one_more_try() -> None:
    assert await outcome(Said(500), Said(body=b'{"a": 1}')) == Value({"a": 1})
    assert await outcome(Said(429, b"{}", {"Retry-After": "0.05"}), Said(body=b'{"a": 1}')) == Value({"a": 1})


async def test_silence_costs_no_more_than_the_deadline_and_is_remembered() -> None:
    async with reading(lambda _: Said(delay=5.0), deadline=0.2) as (reads, server, client):
        started = time.monotonic()
        found = await asyncio.gather(*(reads.get(f"/{number}", dict[str, int]) for number in range(3)))
        assert time.monotonic() - started < 1.5
        assert all("no answer in the time that venues have" in why(one) for one in found)
        await reads.__aexit__(None, None, None)
        async with LiveVenueReads(client) as again:
            assert "left alone" in why(await again.get("/0", dict[str, int]))
        assert len(server.requests) == 3


async def test_a_venue_that_is_not_there_is_one_gap_at_once() -> None:
    async with aiohttp.ClientSession() as session:
        client = Venues(lambda: session, POLICY, {"example": EndpointUrl("http://127.0.0.1:1/api")}).client(manifest())
        async with LiveVenueReads(client, 2.0) as reads:
            assert "http://127.0.0.1:1: the connection was refused" in why(await reads.get("/a", dict[str, int]))


async def test_one_answer_is_enough_not_to_be_left_alone() -> None:
    async with reading(lambda request: Said(body=b"{}") if request.path == "/a" else Said(500)) as (reads, _, client):
        await asyncio.gather(reads.get("/a", dict[str, int]), reads.get("/b", dict[str, int]))
        await reads.__aexit__(None, None, None)
        assert client.left_alone_until == 0


async def test_equal_requests_are_sent_once() -> None:
    async with reading(lambda _: Said(body=b'{"a": 1}')) as (reads, server, _):
        first = reads.post("/info", {"type": "x", "user": "y"}, dict[str, int])
        second = reads.post("/info", {"user": "y", "type": "x"}, dict[str, int])
        assert (await first, await second) == (Value({"a": 1}), Value({"a": 1}))
        late = await reads.post("/info", {"type": "x", "user": "y"}, dict[str, str])
        assert isinstance(late, Unknown) and late.reason is Reason.MALFORMED
        assert len(server.requests) == 1 and server.requests[0].body == {"type": "x", "user": "y"}


async def test_weight_limits_hold() -> None:
    """Forty of weight in .4 s: four reads of ten at once, the next four after it."""
    async with reading(lambda _: Said(body=b"{}"), venue=manifest(40, 0.4, 2)) as (reads, server, _):
        started = time.monotonic()
        await asyncio.gather(*(reads.get(f"/{number}", dict[str, int], weight=10) for number in range(4)))
        assert time.monotonic() - started < 0.35
        await asyncio.gather(*(reads.get(f"/more/{number}", dict[str, int], weight=10) for number in range(4)))
        assert time.monotonic() - started >= 0.4
        assert server.most_at_once <= 2 and len(server.requests) == 8


async def test_leaving_ends_what_is_under_way() -> None:
    asked = asyncio.Event()

    def slow(_: VenueRequest) -> Said:
        asked.set()
        return Said(delay=30.0)

    async with reading(slow, deadline=60.0) as (reads, server, _):
        read = reads.get("/slow", dict[str, int])
        await asked.wait()
        await reads.__aexit__(None, None, None)
        assert not read.done and len(server.requests) == 1


async def test_a_url_keeps_its_secrets() -> None:
    async with (
        VenueServer(lambda _: Said(400, b'{"message": "no such path for 0123456789abcdef"}')) as server,
        aiohttp.ClientSession() as session,
    ):
        url = EndpointUrl(server.url.replace("/api", "/api/0123456789abcdef"))
        client = Venues(lambda: session, POLICY, {"example": url}).client(manifest())
        async with LiveVenueReads(client, 2.0) as reads:
            words = why(await reads.get("/a", dict[str, int]))
    assert "0123456789abcdef" not in words and "127.0.0.1" in words


def test_urls_on_the_command_line() -> None:
    assert venue_urls(("hyperliquid=http://127.0.0.1:9/",)) == {"hyperliquid": EndpointUrl("http://127.0.0.1:9")}
    for text, words in [
        ("hyperliquid", "expected NAME=URL"),
        ("http://x=y", "expected NAME=URL"),
        ("nowhere=http://x", "expected one of derive, dydx-v4, hyperliquid"),
        ("derive=ftp://secret@x", "after the equals sign"),
    ]:
        with pytest.raises(InputError, match=words) as caught:
            venue_urls((text,))
        assert "secret" not in str(caught.value)
