"""Records the scripted venues as cassettes: `python -m tests.adapters.record_cassettes`, after a change of what an adapter asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from aggregator.chains.policy import Policy
from aggregator.chains.urls import EndpointUrl
from aggregator.chains.venue import LiveVenueReads, Venues
from aggregator.chains.venue_record import Recorder
from aggregator.reading.venue import VenueAdapter
from aggregator.reading.venue_kit import read_venue
from aggregator.reading.venue_manifest import venues
from tests.adapters.test_every_venue import NAMES, SCRIPTS
from tests.venue_server import VenueServer, spoken

FOLDER = Path(__file__).parent / "cassettes"


async def record(adapter: VenueAdapter) -> Path:
    """One venue's cassette."""
    script, recorder = SCRIPTS[adapter.slug](), Recorder(adapter.slug)
    # whoever is asked for is the first to be named, whatever comes back first
    recorder.scrubber.text(NAMES[adapter.slug])
    async with VenueServer(lambda request: spoken(script(request))) as server, aiohttp.ClientSession() as session:
        network = Venues(lambda: session, Policy(), {adapter.slug: EndpointUrl(server.url)})
        async with LiveVenueReads(network.client(adapter.manifest), 20.0, recorder) as reads:
            await read_venue(adapter, reads, NAMES[adapter.slug])
        await network.close()
    return recorder.write(FOLDER, "scripted")


async def record_all() -> None:
    for adapter in venues():
        await record(adapter)


if __name__ == "__main__":
    asyncio.run(record_all())
