"""Tokenised funds on the local chain: balances, and what their issuers let holders do."""

from __future__ import annotations

import pytest

from aggregator.localnet.deploy import rwa
from aggregator.localnet.world import World
from tests.adapters.local_reader import local_reader

pytestmark = pytest.mark.localnet

FUNDS = ("BUIDL", "USTB", "TBILL", "USYC", "OUSG", "USDY")


async def test_every_owners_shares_are_there(deployed: World) -> None:
    owners = [owner.address for owner in deployed.owners]
    async with local_reader(deployed) as reader:
        reading = await reader.read(["rwa"], 1, owners)
    held = {(p.owner, p.market): p.legs[0].amount for p in reading.positions}
    expected = {}
    for symbol in FUNDS:
        for owner in owners:
            if amount := await deployed.balance(1, symbol, owner):
                expected[owner.lower(), rwa.fund(deployed, symbol).address.lower()] = amount
    assert held == expected
    assert len(expected) >= 8
    assert reading.gaps == []


async def test_a_pause_and_a_bar_stop_redemption_and_are_said(world: World) -> None:
    owner = "0x000000000000000000000000000000000000F001"
    for symbol in ("OUSG", "USDY"):
        await rwa.issue(world, symbol, owner, 10**18)
    async with local_reader(world) as reader:
        free = await reader.read(["rwa"], 1, [owner])
        await rwa.set_paused(world, "OUSG", True)
        # a note of USDY's kind is barred by putting the holder on its list
        await rwa.set_listed(world, "USDY", [owner], True)
        stopped = await reader.read(["rwa"], 1, [owner])
    assert {leg.redeemable for p in free.positions for leg in p.legs} == {None}
    assert {leg.redeemable for p in stopped.positions for leg in p.legs} == {0}
    assert {r.code for h in stopped.holdings for r in h.remarks} == {"transfers-paused", "holder-not-permitted"}
