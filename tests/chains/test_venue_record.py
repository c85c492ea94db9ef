"""Recordings without names: what a venue answered is kept, whose it is is not, and a replay reads the same account."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from aggregator.chains.policy import Policy
from aggregator.chains.urls import EndpointUrl
from aggregator.chains.venue import LiveVenueReads, Venues
from aggregator.chains.venue_record import Recorder, Scrubber
from aggregator.model.bech32 import bech32_of, is_bech32
from aggregator.model.errors import InputError
from aggregator.reading.venue import VenueAdapter, VenueRequest
from aggregator.reading.venue_kit import Cassette, read_venue
from aggregator.reading.venue_manifest import venues
from tests.adapters.test_every_venue import NAMES, SCRIPTS
from tests.venue_server import VenueServer, spoken

ADDRESS = "0x" + "Ab" * 19 + "cd"


def test_names_are_replaced_consistently_and_secrets_dropped() -> None:
    scrubber = Scrubber()
    dydx = bech32_of("dydx", 123_456_789, 38)
    made = scrubber.scrub(
        {
            "user": ADDRESS,
            "again": f"paid to {ADDRESS.lower()}.",
            "other": "0x" + "12" * 20,
            "zero": "0x" + "00" * 20,
            "hash": "0x" + "34" * 32,
            "dydx": dydx,
            "subaccount_id": 130_837,
            "subaccount_ids": [130_837, 7],
            "subaccountNumber": 128,
            "label": "my savings",
            "api_key": "k3y",
            "signature": "0x" + "56" * 65,
            "deep": [{"subAccountUser": ADDRESS, "name": "hedge", "equity": "1.5"}],
            "amount": "123.456",
            "coin": "flx:CRCL",
            ADDRESS: 1,
        }
    )
    text = json.dumps(made)
    for name in (ADDRESS, ADDRESS.lower(), "12" * 20, "34" * 32, "56" * 20, dydx, "130837", "savings", "k3y", "hedge"):
        assert name not in text
    assert isinstance(made, dict)
    assert str(made["user"]) in str(made["again"]) and str(made["user"]) in made and made["user"] != made["other"]
    assert len(str(made["user"])) == 42 and len(str(made["hash"])) == 66
    assert is_bech32(str(made["dydx"]), "dydx") and len(str(made["dydx"])) == 43
    assert made["subaccount_id"] == 1_001 and made["subaccount_ids"] == [1_001, 1_002] and made["subaccountNumber"] == 128
    assert (made["zero"], made["amount"], made["coin"]) == ("0x" + "00" * 20, "123.456", "flx:CRCL")
    assert made["deep"][0]["equity"] == "1.5"  # type: ignore[index, call-overload]


def test_only_paths_and_bodies_are_kept() -> None:
    recorder = Recorder("example")
    recorder.keep(VenueRequest("GET", f"/addresses/{ADDRESS}?api_key=k3y"), 200, {"ok": True})
    (one,) = recorder.exchanges
    assert one.path.startswith("/addresses/0xaaaa") and "k3y" not in one.path and one.body is None


@pytest.mark.parametrize("adapter", venues(), ids=lambda adapter: adapter.slug)
async def test_a_recording_replays(adapter: VenueAdapter, tmp_path: Path) -> None:
    """Over HTTP, recorded, written, read back: the same accounts but for their names."""
    script, name = SCRIPTS[adapter.slug](), NAMES[adapter.slug]
    recorder = Recorder(adapter.slug)
    async with VenueServer(lambda request: spoken(script(request))) as server, aiohttp.ClientSession() as session:
        network = Venues(lambda: session, Policy(), {adapter.slug: EndpointUrl(server.url)})
        async with LiveVenueReads(network.client(adapter.manifest), 20.0, recorder) as reads:
            live = await read_venue(adapter, reads, name)
        await network.close()
    assert live.venue_accounts and live.gaps == (await read_venue(adapter, script, name)).gaps
    path = recorder.write(tmp_path / "made", "test")
    text = path.read_text()
    assert name not in text and json.loads(text)["venue"] == adapter.slug
    replayed = await read_venue(adapter, Cassette(path), recorder.scrubber.text(name))
    assert [gap.why for gap in replayed.gaps] == [gap.why for gap in live.gaps]
    assert [(one.mode, one.figures, len(one.holdings)) for one in replayed.venue_accounts] == [
        (one.mode, one.figures, len(one.holdings)) for one in live.venue_accounts
    ]
    assert [holding for one in replayed.venue_accounts for holding in one.holdings] == [
        holding for one in live.venue_accounts for holding in one.holdings
    ]
    # byte for byte the same, whatever order the answers came in
    other = Recorder(adapter.slug, list(reversed(recorder.exchanges)))
    assert other.write(tmp_path, "test").read_bytes() == path.read_bytes()


CASSETTES = sorted((Path(__file__).parents[1] / "adapters/cassettes").glob("*.json"))
FIRST_ADDRESS = "0xaaaa" + "0" * 35 + "1"
"""what the first address of a recording becomes"""
THIRD_ADDRESS = FIRST_ADDRESS[:-1] + "3"
COMMITTED = {
    "hyperliquid": (
        FIRST_ADDRESS,
        {
            "": "None",
            "/isolated/HYPE": "40.0",
            "/isolated/flx:CRCL": "39.9600",
            f"/vault/{THIRD_ADDRESS}": "5.0",
            THIRD_ADDRESS: "9000.0",
            f"{THIRD_ADDRESS}/isolated/HYPE": "40.0",
            f"{THIRD_ADDRESS}/spot": "None",
        },
    ),
    "derive": (FIRST_ADDRESS, {"1001": "8050", "1002": "1190"}),
    "dydx-v4": (bech32_of("dydx", 1, 38), {"/0": "13000", "/128": "500"}),
}
"""by venue: whose cassette it is, and the equity of each account by the end of its name"""


def test_there_is_a_cassette_of_every_venue() -> None:
    assert sorted(Cassette(path).venue for path in CASSETTES) == sorted(adapter.slug for adapter in venues()) == sorted(COMMITTED)


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)
async def test_what_is_read_of_a_cassette_does_not_change_unnoticed(path: Path) -> None:
    cassette = Cassette(path)
    (adapter,) = [one for one in venues() if one.slug == cassette.venue]
    owner, equities = COMMITTED[cassette.venue]
    holdings = await read_venue(adapter, cassette, owner)
    assert holdings.gaps == ()
    assert {one.account.removeprefix(owner): str(one.figures.equity) for one in holdings.venue_accounts} == equities


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"venue": "x", "exchanges": [{}]}'])
def test_files_that_are_no_cassettes(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(InputError, match="is not a cassette"):
        Cassette(path)
    with pytest.raises(InputError, match="is not a cassette"):
        Cassette(tmp_path / "absent.json")
