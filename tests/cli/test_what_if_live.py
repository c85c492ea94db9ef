"""What-if against the real contracts: a price is moved on the local chains, and the pools say what the shock had said before."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from aggregator.engine.judgement import policy_for
from aggregator.engine.snapshot import Picture, SnapshotRequest, take
from aggregator.localnet.controls import move_price
from aggregator.localnet.world import World
from aggregator.reading.catalogue import adapters
from aggregator.risk.prepared import prepare
from aggregator.risk.shock import shock_of
from aggregator.risk.what_if import State, WhatIf
from tests.cli.live import document

OWNERS = ("three-chains", "aave-tight", "whale", "aave-liquidatable")

pytestmark = pytest.mark.localnet


async def picture(world: World) -> Picture:
    owners = tuple(world.owner(name).address for name in OWNERS)
    rpc = tuple(f"{number}={chain.url}" for number, chain in world.chains.items())
    return await take(SnapshotRequest(owners, rpc=rpc, only_chains=tuple(str(number) for number in world.chains)))


async def after(world: World, *shocks: str) -> tuple[Picture, State]:
    read = await picture(world)
    view = WhatIf(prepare(read.portfolio, read.prices, read.history, policy_for(adapters())))
    return read, view.after(shock_of(shocks))


MOVES = [("ETH", "0.7", "ETH=-30%"), ("ETH", "1.25", "ETH=+25%"), ("BTC", "0.65", "BTC=-35%")]
RESERVE_DATA = (
    "getReserveData(address)(uint256,uint128,uint128,uint128,uint128,uint128,uint40,uint16,"
    "address,address,address,address,uint128,uint128,uint128)"
)


@pytest.mark.parametrize(("symbol", "factor", "shock"), MOVES)
async def test_the_pools_say_what_the_shock_said(world: World, symbol: str, factor: str, shock: str) -> None:
    before, foreseen = await after(world, shock)
    await move_price(world, symbol, factor)
    seen = await picture(world)
    assert seen.portfolio.margin_accounts != before.portfolio.margin_accounts
    compared = changed = 0
    for own, then, now in zip(foreseen.accounts, before.portfolio.margin_accounts, seen.portfolio.margin_accounts, strict=True):
        assert (then.protocol, then.market, then.owner) == (now.protocol, now.market, now.owner)
        if now.health_factor is None or own.health is None:
            assert now.health_factor is None and own.health is None
            continue
        said = Decimal(now.health_factor).scaleb(-18)
        # a pool rounds its mean threshold to a basis point, its feeds to eight decimals, and a block of interest has passed
        assert abs(own.health - said) <= said * Decimal("0.0002"), (then.protocol, then.market_label, own.health, said)
        if abs(said - 1) > Decimal("0.0005"):
            assert own.liquidatable == now.liquidatable
        compared += 1
        changed += own.liquidatable != then.liquidatable
    assert compared >= 4
    if shock == "ETH=-30%":
        assert changed >= 1 and foreseen.order


async def test_the_rates_are_the_pools_own(deployed: World) -> None:
    read = await picture(deployed)
    legs = [(account, leg) for account in read.portfolio.margin_accounts for leg in account.legs if leg.side.value == "debt"]
    assert legs and all(leg.terms is not None and leg.terms.yearly_rate is not None for _, leg in legs)
    account, leg = next((account, leg) for account, leg in legs if account.protocol == "aave-v3" and account.chain == "eip155:1")
    block = next(one.block for one in read.portfolio.snapshots if one.chain == account.chain)
    assert block is not None and leg.terms is not None
    data = await deployed.chains[1].call(account.market, RESERVE_DATA, leg.asset.rpartition(":")[2], block=block.number)
    assert leg.terms.yearly_rate == Decimal(str(data[4])).scaleb(-27) > 0


async def test_the_command_as_a_process(deployed: World, tmp_path: Path) -> None:
    words = [
        "what-if",
        deployed.owner("three-chains").address,
        "--shock",
        "ETH=-30%",
        "--restore",
        "1.3",
        "--plot",
        str(tmp_path),
    ]
    made = await document(deployed, *words)
    fallen = next(one for one in made["margin_accounts"] if one["order"] == 1)
    assert fallen["after"]["liquidatable"] and Decimal(fallen["loss"]["owner_usd"]) > 0 and fallen["restore"]["cheapest"]["actions"]
    assert fallen["before"]["days_to_liquidation"] is not None
    written = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    assert len(written) == 3 + sum(one["surface"] is not None for one in made["margin_accounts"]) >= 5
