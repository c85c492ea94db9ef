"""The command against the local network's real contracts, as a process: one owner, several, a chain that is down, hostile tokens."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

import pytest

from aggregator.localnet.world import World
from tests.cli import live

POOL = "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"
USER_DATA = "getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)"

pytestmark = pytest.mark.localnet


async def document(world: World, *words: str, rpc: dict[int, str] | None = None) -> dict[str, Any]:
    return await live.document(world, "health", *words, rpc=rpc)


async def test_one_owner_on_three_chains(deployed: World) -> None:
    owner = deployed.owner("three-chains").address
    made = await document(deployed, owner)
    assert {snapshot["status"] for snapshot in made["snapshots"]} <= {"ok", "stale"}
    assert len({account["chain"] for account in made["margin_accounts"]}) >= 2
    assert Decimal(made["health"]["equity_usd"]) > 0 and 0 < float(made["health"]["score"]) < 100
    block = next(snapshot["block"] for snapshot in made["snapshots"] if snapshot["chain"] == "eip155:1")
    said = await deployed.chains[1].call(POOL, USER_DATA, owner, block=block)
    ours = next(one for one in made["margin_accounts"] if one["chain"] == "eip155:1" and one["protocol"] == "aave-v3")
    assert int(Decimal(ours["health_factor"]).scaleb(18)) == said[5]


async def test_several_owners_add_up(deployed: World) -> None:
    owners = [deployed.owner(name).address for name in ("aave-tight", "v3-in-range")]
    alone = [await document(deployed, owner) for owner in owners]
    together = await document(deployed, *owners)
    sums = sum(Decimal(one["health"]["equity_usd"]) for one in alone)
    assert abs(Decimal(together["health"]["equity_usd"]) - sums) < Decimal("0.001") * sums
    assert len(together["margin_accounts"]) == sum(len(one["margin_accounts"]) for one in alone)


async def test_the_report_of_a_liquidatable_owner(deployed: World) -> None:
    code, out, err = await live.crossmargin(deployed, "health", deployed.owner("aave-liquidatable").address)
    assert (code, err) == (0, "")
    assert "LIQUIDATABLE" in out and "0.0 of 100" in out and max(map(len, out.splitlines())) <= 80


async def test_a_chain_that_is_down_withholds_and_does_not_hide(deployed: World) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{held.getsockname()[1]}"
        made = await document(deployed, deployed.owner("three-chains").address, rpc={8453: closed})
    assert made["health"]["equity_usd"] is None and made["health"]["score"] is None
    assert [gap["chain"] for gap in made["coverage"]["missing"]] == ["eip155:8453"]
    assert made["margin_accounts"] and all(account["chain"] != "eip155:8453" for account in made["margin_accounts"])


async def test_hostile_tokens_add_nothing_and_print_nothing_odd(deployed: World) -> None:
    owner = deployed.owner("hostile-tokens").address
    plain, discovered = await document(deployed, owner), await document(deployed, owner, "--discover")
    assert discovered["health"]["equity_usd"] == plain["health"]["equity_usd"]
    code, out, _ = await live.crossmargin(deployed, "health", owner, "--discover")
    assert code == 0
    assert not any(ord(character) < 32 and character != "\n" for character in out)
