"""Venues in a snapshot: only where asked, once, beside the chains and never before them; and what the document says of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.chains.policy import Policy
from aggregator.engine.judgement import judge
from aggregator.engine.snapshot import Engine, SnapshotRequest
from aggregator.engine.venues import venue_work
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, ChainId
from aggregator.reading.venue_kit import Cassette
from tests.adapters import test_derive, test_dydx_v4
from tests.adapters.hyperliquid_venue import SUB, USER
from tests.adapters.test_every_venue import SCRIPTS
from tests.venue_server import Said, VenueServer, spoken

HASTY = Policy(backoff_base_seconds=0.001, backoff_cap_seconds=0.002, connect_timeout_seconds=0.5, deadline_seconds=2.0, rounds=1)
OWNER = AccountId(ChainId("eip155:1"), Address(USER))


@asynccontextmanager
async def engine() -> AsyncIterator[Engine]:
    """Its one chain cannot be reached, at once."""
    configuration = load_chains()
    overrides = {ChainId("eip155:1"): ("http://127.0.0.1:1",)}
    async with Network(configuration, rpc_overrides=overrides, policy=HASTY) as network:
        yield Engine(network, clock=lambda: 1_790_000_000.0)


def request(*owners: str, **more: Any) -> SnapshotRequest:
    return SnapshotRequest(owners or (USER,), only_chains=("eth",), **more)


def served(slug: str) -> VenueServer:
    script = SCRIPTS[slug]()
    return VenueServer(lambda asked: spoken(script(asked)))


async def test_nobody_is_asked_unless_somebody_asks() -> None:
    async with engine() as made, served("hyperliquid") as server:
        picture = await made.take(request(venue_urls=(f"hyperliquid={server.url}",)))
    assert picture.portfolio.venue_accounts == () and server.requests == [] and picture.venue_requests == {}


async def test_every_venue_that_knows_the_owner_and_each_account_once() -> None:
    async with engine() as made, served("hyperliquid") as hyperliquid, served("derive") as derive, served("dydx-v4") as dydx:
        urls = (f"hyperliquid={hyperliquid.url}", f"derive={derive.url}", f"dydx-v4={dydx.url}")
        asked = request(USER, SUB, venues=True, venue_urls=urls, venue_accounts=(f"dydx-v4={test_dydx_v4.OWNER}", "derive=101"))
        picture = await made.take(asked)
        again = await made.take(asked)
    accounts = picture.portfolio.venue_accounts
    assert [one.venue for one in accounts] == sorted(one.venue for one in accounts)
    assert {one.venue for one in accounts} == {"derive", "dydx-v4", "hyperliquid"}
    names = [(one.venue, one.account) for one in accounts]
    assert len(set(names)) == len(names)
    assert {one.owner for one in accounts if one.venue == "hyperliquid"} == {OWNER}
    # warm, the builders' dexes are known and nothing is asked twice
    assert picture.venue_requests == again.venue_requests and picture.venue_requests["dydx-v4"] == 3
    assert again.portfolio.venue_accounts == accounts
    codes = {warning.code for warning in picture.portfolio.warnings}
    assert "venue-account-unknown" not in codes


async def test_a_venue_that_is_down_is_a_gap_and_costs_its_deadline_at_most() -> None:
    async with engine() as made, VenueServer(lambda _: Said(500)) as server:
        started = time.monotonic()
        picture = await made.take(request(venues=True, venue_urls=(f"hyperliquid={server.url}", "derive=http://127.0.0.1:1")))
        assert time.monotonic() - started < 5.5
    gaps = {gap.protocol: gap for gap in picture.portfolio.gaps}
    assert len(gaps) == len(picture.portfolio.gaps) == 3
    assert (gaps["hyperliquid"].chain, gaps["hyperliquid"].what) == ("eip155:999", "everything at this venue")
    assert "HTTP 500" in gaps["hyperliquid"].why
    assert gaps["derive"].chain == "eip155:957" and "the connection was refused" in gaps["derive"].why
    assert picture.portfolio.venue_accounts == ()
    assert [warning.code for warning in picture.portfolio.warnings if warning.code.startswith("venue")] == ["venue-account-unknown"]


async def test_the_document_has_every_figure_as_the_venue_stated_it(tmp_path: Path) -> None:
    async with engine() as made, served("derive") as derive:
        picture = await made.take(
            request(test_derive.WALLET, venue_accounts=("derive=102",), venue_urls=(f"derive={derive.url}",), record=tmp_path)
        )
    _, document = judge(picture)
    (account,) = document.venue_accounts
    assert (account.venue, account.account, account.mode, account.equity_usd) == ("derive", "102", "portfolio-margin", "1190")
    assert (account.maintenance_margin_usd, account.liquidatable, account.as_of) == ("879.5", False, "2026-09-21T14:13:10.000Z")
    call = account.holdings[0]
    assert (call.instrument, call.kind, call.strike, call.size) == (test_derive.CALL, "call", "3500", "-2")
    assert call.expiry == "2026-12-25T08:00:00.000Z" and call.greeks is not None and call.greeks.vega == "4.5"
    assert account.parameters["subaccount.margin_type"] == "PM2" and account.parameters["subaccount.is_delayed_liquidation"] == "false"
    assert Decimal(account.balances[0].collateral_weight or 0) == 1
    cassette = tmp_path / "derive-1790000000000.json"
    assert Cassette(cassette).venue == "derive" and b"102" not in await asyncio.to_thread(cassette.read_bytes)


async def test_venue_accounts_stand_among_the_margin_accounts_and_in_every_figure() -> None:
    async with engine() as made, served("derive") as derive:
        picture = await made.take(request(test_derive.WALLET, venue_accounts=("derive=102",), venue_urls=(f"derive={derive.url}",)))
    # its chain cannot be reached, so that what needs every debt is withheld: the venue alone is judged
    _, document = judge(replace(picture, portfolio=replace(picture.portfolio, snapshots=(), gaps=(), warnings=())))
    (row,) = document.margin_accounts
    assert (row.kind, row.chain, row.protocol, row.market) == ("options", "derive", "derive", "102")
    assert Decimal(row.health_factor or 0) == pytest.approx(Decimal(1190) / Decimal("879.5")) and row.liquidation.liquidatable is False
    health = document.health
    assert health.equity_usd == "1190.000000" and row.shadow_health_factor is not None and row.liquidation.probability is not None
    assert (
        Decimal(health.isolated_requirement_usd or 0)
        >= Decimal(health.requirement_usd or 0)
        >= Decimal(health.pooled_requirement_usd or 0)
        > 0
    )
    legs = [leg for position in row.positions for leg in position.legs]
    assert {leg.side for leg in legs} == {"collateral", "long", "short"} and all(leg.value_usd is not None for leg in legs)
    assert document.isolated_versus_cross.vega.isolated not in (None, "0.000000")


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("derive", "expected NAME=ACCOUNT"),
        ("derive=", "expected NAME=ACCOUNT"),
        ("nowhere=1", "expected one of derive, dydx-v4, hyperliquid"),
        ("dydx-v4=0x12", "is not a dydx1… address"),
        ("hyperliquid=130837", "is not an EVM address"),
    ],
)
def test_accounts_that_are_none(account: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        venue_work((OWNER,), False, (account,))
