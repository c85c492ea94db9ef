"""The stream: every change as it is published, from where the client left off, over SSE and WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aggregator.engine.live.stream import Filter, Lagging, StreamHub
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address, ChainId
from aggregator.store import chronicle
from aggregator.store.chronicle import Entry, Event
from aggregator.store.database import Database
from tests.api.serving import serving

ALICE, BOB = Address("0x" + "a1" * 20), Address("0x" + "b0" * 20)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[StreamHub]:
    async with Database.at(f"sqlite:///{tmp_path / 'x.db'}") as database:
        hub = StreamHub(database)
        await hub.open()
        yield hub


async def tell(hub: StreamHub, *events: Event, shown: bool = True) -> list[int]:
    """Stored and, unless it happened before this hub began, told."""
    async with hub._database.writing() as connection:
        ids = await chronicle.record(connection, Entry(events=events))
    if shown:
        hub.publish([Event(e.kind, e.at, e.body, e.owner, e.chain, e.severity, n) for e, n in zip(events, ids, strict=True)])
    return list(ids)


def health(owner: Address, at: int = 1) -> Event:
    return Event("health", at, json.dumps({"owner": owner}), owner, ChainId("eip155:1"))


async def test_who_comes_back_misses_nothing_and_hears_nothing_twice(hub: StreamHub) -> None:
    ids = await tell(hub, *(health(ALICE, n) for n in range(5)))
    again = await hub.subscribe(Filter(), ids[1])
    await tell(hub, health(BOB))
    assert [event.id for event in await again.take(1)] == [*ids[2:], ids[-1] + 1]
    only_new = await hub.subscribe(Filter())
    assert await only_new.take(0.01) == ()


async def test_after_a_restart_the_store_tells_what_was_missed(hub: StreamHub) -> None:
    ids = await tell(hub, *(health(ALICE, n) for n in range(30)))
    second = StreamHub(hub._database)
    await second.open()
    assert second.last_id == ids[-1]
    again = await second.subscribe(Filter(), ids[3])
    assert [event.id for event in await again.take(1)] == ids[4:]


async def test_what_memory_has_forgotten_comes_from_the_store(hub: StreamHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.engine.live.stream.BACKLOG", 4)
    small = StreamHub(hub._database)
    ids = await tell(small, *(health(ALICE, n) for n in range(20)))
    again = await small.subscribe(Filter(), ids[2])
    assert [event.id for event in await again.take(1)] == ids[3:]


async def test_who_was_away_too_long_or_comes_from_elsewhere_is_told_to_begin_anew(hub: StreamHub) -> None:
    ids = await tell(hub, *(health(ALICE, n) for n in range(6)), shown=False)
    async with hub._database.writing() as connection:
        await chronicle.prune(connection, 10**9, 10**9)
    fresh = StreamHub(hub._database)
    await fresh.open()
    for known in (ids[1], ids[-1] + 1_000):
        late = await fresh.subscribe(Filter(owners=frozenset([BOB])), known)
        assert [event.kind for event in await late.take(1)] == ["reset"]


async def test_who_does_not_read_is_let_go_and_costs_nothing(hub: StreamHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.engine.live.stream.LONGEST_QUEUE", 3)
    slow = await hub.subscribe(Filter())
    await tell(hub, *(health(ALICE, n) for n in range(5)))
    assert len(slow.queue) == 3
    with pytest.raises(Lagging):
        await slow.take(1)


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        (Filter(), ["health", "withdrawn", "alert"]),
        (Filter(owners=frozenset([ALICE])), ["health", "alert"]),
        (Filter(owners=frozenset([BOB])), ["alert"]),
        (Filter(chains=frozenset([ChainId("eip155:10")])), ["alert"]),
        (Filter(kinds=frozenset(["withdrawn"])), ["withdrawn"]),
        (Filter(severity="critical"), []),
        (Filter(severity="warning"), ["alert"]),
    ],
)
async def test_filters(hub: StreamHub, wanted: Filter, heard: list[str]) -> None:
    one = await hub.subscribe(wanted)
    await tell(hub, health(ALICE), Event("withdrawn", 1, "{}", None, ChainId("eip155:1")), Event("alert", 1, "{}", severity="warning"))
    assert [event.kind for event in await one.take(0.05)] == heard


async def sse(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[int, str, Any]]:
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if not line and "data" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}
        name, _, value = line.partition(": ")
        fields[name] = value


@pytest.mark.localnet
async def test_a_change_on_a_chain_reaches_both_kinds_of_stream(lived: World, tmp_path: Path) -> None:
    owner = lived.owner("three-chains").address
    async with serving(lived, tmp_path, (owner,)) as served:
        await served.until(lambda: served.app.live.followed[owner.lower()].assessed is not None)
        before = served.app.hub.last_id
        async with (
            served.client.get(f"{served.url}/v1/stream?owner={owner}") as stream,
            served.client.ws_connect(f"{served.url}/v1/ws?owner={owner}&chain=eth") as socket,
        ):
            assert stream.content_type == "text/event-stream" and stream.headers["Cache-Control"] == "no-store"
            events = sse(stream)
            await lived.mint(1, "USDC", owner, 5_000_000)
            number, kind, data = await asyncio.wait_for(anext(events), 20)
            assert kind == "health" and data["owner"] == owner.lower() and number > before
            told = json.loads((await socket.receive(20)).data)
            assert (told["id"], told["event"], told["data"]) == (number, kind, data)
            _, document = await served.get(f"/v1/owners/{owner}/health")
            assert document["snapshots"][0]["block"] == next(b["block"] for b in data["blocks"] if b["chain"] == "eip155:1")
            await socket.send_str('{"owners": ["0x12"]}')
            assert "not an address" in json.loads((await socket.receive(5)).data)["error"]
            await socket.send_str('{"nonsense": 1}')
            assert "nonsense" in json.loads((await socket.receive(5)).data)["error"]
            await socket.send_str(json.dumps({"owners": [owner], "last_event_id": before}))
            first, second = [json.loads((await socket.receive(5)).data) for _ in range(2)]
            assert {first.get("id"), second.get("id")} == {None, number}
        async with served.client.get(f"{served.url}/v1/stream", headers={"Last-Event-ID": str(before)}) as stream:
            assert (await asyncio.wait_for(anext(sse(stream)), 5))[0] == before + 1
        assert (await served.get("/v1/stream", headers={"Last-Event-ID": "abc"}))[0] == 400
        await served.until(lambda: not served.app.streams and served.app.hub.subscribers == 0, 5)


@pytest.mark.localnet
async def test_an_address_has_a_share_of_the_streams(deployed: World, tmp_path: Path) -> None:
    async with serving(deployed, tmp_path, maximum_streams_per_address=2) as served:
        opened = [await served.client.get(f"{served.url}/v1/stream") for _ in range(2)]
        assert [one.status for one in opened] == [200, 200]
        assert (await served.get("/v1/stream"))[0] == 429
        for one in opened:
            one.close()
        await served.until(lambda: not served.app.streams, 20)


async def test_an_ending_service_ends_its_streams(hub: StreamHub) -> None:
    listening = await hub.subscribe(Filter())
    waiting = asyncio.create_task(listening.take(10))
    await asyncio.sleep(0)
    hub.close()
    assert await asyncio.wait_for(waiting, 1) == () and listening.closed
