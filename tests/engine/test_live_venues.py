"""Followed owners' accounts at trading venues: in every picture, told anew when they change, kept for a while when a venue is silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aggregator.chains.arguments import OwnerAddress
from aggregator.engine.live import venues as live_venues
from aggregator.engine.live.owner import Followed
from aggregator.engine.replay.file import read_history
from aggregator.engine.replay.record_file import HistoryFile
from aggregator.localnet.world import World
from aggregator.model.identifiers import parse_address
from aggregator.publish.alerts.instant import Instant
from aggregator.reading.venue import VenueRequest
from tests.adapters import test_derive
from tests.adapters.hyperliquid_venue import USER, Account, balance, hyperliquid, position, state
from tests.engine.living import Living, living, urls_of
from tests.venue_server import Said, VenueServer, spoken

pytestmark = pytest.mark.localnet
OTHER = "0x" + "5b" * 20
NO_SUBACCOUNTS = test_derive.script()


class Venue:
    """A Hyperliquid with one account that is worth `equity`, or a venue that is down."""

    def __init__(self) -> None:
        self.equity, self.down = 9_000, False

    def __call__(self, asked: VenueRequest) -> Said:
        if self.down:
            return Said(500)
        long = position("ETH", "2.0", "8000.0", "10.0", "400.0", 20, 25, entry="3995.0")
        main = state(f"{self.equity}.0", used="400.0", maintenance="160.0", positions=(long,))
        account = Account({"": main}, {"balances": [balance("USDC", 0, f"{self.equity}.0")]})
        return spoken(hyperliquid(account)(asked))


@asynccontextmanager
async def following(world: World, folder: Path, owners: list[str], **given: Any) -> AsyncIterator[tuple[Living, Venue, VenueServer]]:
    venue = Venue()
    async with VenueServer(venue) as server, VenueServer(lambda asked: spoken(NO_SUBACCOUNTS(asked))) as derive:
        urls = (f"hyperliquid={server.url}", f"derive={derive.url}")
        settings = {"venues": True, "venue_urls": urls, "venue_seconds": 0.2} | given
        async with living({1: urls_of(world)[1]}, f"sqlite:///{folder / 'x.db'}", owners, **settings) as one:
            yield one, venue, server


def equities(one: Living) -> list[str]:
    return [account["equity_usd"] for account in one.document(USER)["venue_accounts"] if account["equity_usd"] is not None]


def warned(one: Living) -> bool:
    return any(warning["code"] == "venue-stale" for warning in one.document(USER)["warnings"])


async def test_a_change_at_a_venue_is_told_and_what_does_not_change_is_not(deployed: World, tmp_path: Path) -> None:
    async with following(deployed, tmp_path, [USER, OTHER]) as (one, venue, server):
        await one.settled()
        assert equities(one) == ["9000.0"] and one.document(USER)["coverage"]["missing"] == []
        await one.told(0)
        before = len(server.requests)
        await one.until(lambda: len(server.requests) > before + 10)
        assert await one.told(0) == [], "asked again and again, and nothing was new"
        venue.equity = 7_500
        await one.until(lambda: equities(one) == ["7500.0"])
        assert await one.told() == [("health", USER)]


async def test_whoever_asks_for_a_stranger_gets_the_venues_too(deployed: World, tmp_path: Path) -> None:
    async with following(deployed, tmp_path, [], venue_seconds=3_600.0) as (one, _, _server):
        found = await one.live.current(OwnerAddress(parse_address(USER)))
        assert found.venues is not None and equities(one) == ["9000.0"]
        alone = await one.live.current(OwnerAddress(parse_address(USER), one.live.chains[0]))
        assert alone.venues is None, "an owner on one chain is on that chain only"


async def test_a_silent_venue_stands_as_it_was_and_later_is_missing(
    deployed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.chains.venue.LEFT_ALONE_SECONDS", 0.5)
    async with following(deployed, tmp_path, [USER]) as (one, venue, _):
        await one.settled()
        venue.down = True
        await one.until(lambda: warned(one))
        assert equities(one) == ["9000.0"] and one.document(USER)["health"]["equity_usd"] is not None
        monkeypatch.setattr(live_venues, "KEPT_SECONDS", 0.0)
        await one.until(lambda: not one.document(USER)["coverage"]["complete"])
        document = one.document(USER)
        assert equities(one) == [] and document["health"]["equity_usd"] is None
        assert any(gap["protocol"] == "hyperliquid" for gap in document["coverage"]["missing"])
        venue.down = False
        await one.until(lambda: equities(one) == ["9000.0"] and not warned(one) and one.document(USER)["coverage"]["complete"])


@pytest.mark.parametrize(("equity", "health"), [(9_000, 56.25), (80, 0.5), (-20, 0.0)])
async def test_alerts_look_at_what_is_liquidated_at_a_venue(deployed: World, tmp_path: Path, equity: int, health: float) -> None:
    async with following(deployed, tmp_path, []) as (one, venue, _):
        venue.equity = equity
        found = await one.live.current(OwnerAddress(parse_address(USER)))
        assert found.assessed is not None
        (seen,) = [row for row in found.assessed.accounts if row.protocol == "hyperliquid" and row.debt_usd == 160.0]
    assert (seen.health_factor, seen.debt_usd, seen.collateral_usd) == (health, 160.0, max(equity, 0))
    with HistoryFile(tmp_path / "wallets.jsonl") as journal:
        journal.write([replace(seen, t=Instant(1_790_000_000_000_000))])
    (row,) = read_history(tmp_path / "wallets.jsonl")
    assert row == replace(seen, t=Instant(1_790_000_000_000_000))


def test_an_older_picture_never_takes_the_place_of_a_newer() -> None:
    one = Followed(OwnerAddress(parse_address(USER)), watched=True)
    take = one.published.take
    assert take(2) and not take(1) and not take(2) and take(3)
