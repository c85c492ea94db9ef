"""Vaults on the local chains: listed ones by their adapter, the others found by discovery, all to the unit of the vault's own word."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import vaults
from aggregator.localnet.world import World
from aggregator.model.composition import look_through
from aggregator.model.identifiers import Address, erc20, evm_chain
from tests.adapters.local_reader import LocalReader, Reading, leaves, local_reader

pytestmark = pytest.mark.localnet

LISTED = ("sDAI", "sUSDS", "sUSDe", "syrupUSDC")
DAY = 86_400


def owners(world: World) -> list[str]:
    return [owner.address for owner in world.owners]


async def read(reader: LocalReader, chain_id: int, holders: list[str]) -> Reading:
    return await reader.read(["wallet", "erc4626"], chain_id, holders, discover=True)


async def assert_every_share_converts(world: World, reading: Reading, chain_id: int, holders: list[str]) -> int:
    """Every owner's shares of every vault: one leg, redeemable as the vault says, and the vault's own conversion one level down."""
    checked = 0
    for (on, symbol), made in world.recorded(vaults.Vault).items():  # type: ignore[misc]
        if on != chain_id:
            continue
        asset = world.token(chain_id, made.asset)
        for owner in holders:
            shares = await world.balance(chain_id, symbol, owner)
            positions = [p for p in reading.of(owner, made.address) if "status" not in p.identifiers]
            assert len(positions) == (1 if shares else 0), (symbol, owner)
            if not shares:
                continue
            (leg,) = positions[0].legs
            assets = await vaults.convert_to_assets(world, chain_id, symbol, shares)
            assert leg.amount == shares
            assert [(c.asset, c.amount) for c in leg.look_through] == [(asset_id(chain_id, asset.address), assets)], symbol
            if symbol != "sUSDe":
                most = cast(int, (await world.chains[chain_id].call(made.address, "maxRedeem(address)(uint256)", owner))[0])
                assert leg.redeemable == min(shares, most)
            checked += 1
    return checked


def asset_id(chain_id: int, address: str) -> str:
    return erc20(evm_chain(chain_id), Address(address.lower()))


@pytest.mark.parametrize(("chain_id", "at_least"), [(1, 10), (8453, 2)])
async def test_every_owners_shares_convert_as_the_vault_says(world: World, chain_id: int, at_least: int) -> None:
    holders = owners(world)
    async with local_reader(world) as reader:
        reading = await read(reader, chain_id, holders)
        assert await assert_every_share_converts(world, reading, chain_id, holders) >= at_least
        chain = world.chains[chain_id]
        await chain.set_time(await chain.now() + 40 * DAY)
        later = await read(reader, chain_id, holders)
        assert await assert_every_share_converts(world, later, chain_id, holders) >= at_least
        assert later.rounds == 2


async def test_nested_shares_are_looked_through_to_dollars_level_by_level(world: World) -> None:
    owner = next(owner.address for owner in world.owners if owner.name == "vault-nested")
    async with local_reader(world) as reader:
        reading = await read(reader, 1, [owner])
    outer = vaults.vault(world, 1, vaults.OUTER_VAULT)
    amount = await world.balance(1, vaults.OUTER_VAULT, owner)
    ((leg,),) = (p.legs for p in reading.of(owner, outer.address))
    expected, symbol = amount, vaults.OUTER_VAULT
    while (1, symbol) in world.recorded(vaults.Vault):
        expected = await vaults.convert_to_assets(world, 1, symbol, expected)
        symbol = vaults.vault(world, 1, symbol).asset
    assert leaves(leg.look_through) == {"USDC": expected}
    # what it is made of is the same for the shares as collateral anywhere
    compositions = {c.asset: c for holdings in reading.holdings for c in holdings.compositions}
    assert leaves(look_through(leg.asset, amount, compositions)) == {"USDC": expected}
    assert (reading.rounds, reading.gaps) == (3, [])


async def test_shares_on_the_way_out_are_neither_lost_nor_counted_twice(world: World) -> None:
    owner = "0x000000000000000000000000000000000000C001"
    shares = await vaults.deposit(world, 1, "sUSDe", owner, 10_000 * 10**18)
    cooled = shares // 3
    worth = await vaults.convert_to_assets(world, 1, "sUSDe", cooled)
    await vaults.cool_down(world, owner, cooled)
    async with local_reader(world) as reader:
        reading = await read(reader, 1, [owner])
        vault, silo = reading.positions
        assert (vault.legs[0].amount, vault.legs[0].redeemable) == (shares - cooled, 0)
        assert (silo.legs[0].symbol, silo.legs[0].redeemable) == ("USDe", 0)
        assert abs(silo.legs[0].amount - worth) <= 1
        await world.chains[1].set_time(await world.chains[1].now() + vaults.COOLDOWN_SECONDS)
        ready = await read(reader, 1, [owner])
    assert ready.positions[1].legs[0].redeemable == silo.legs[0].amount


async def test_impaired_loans_lower_the_exit_before_the_share_price(world: World) -> None:
    owner = "0x000000000000000000000000000000000000C002"
    shares = await vaults.deposit(world, 1, "syrupUSDC", owner, 10_000 * 10**6)
    await vaults.impair(world, 2_000_000 * 10**6)
    async with local_reader(world) as reader:
        reading = await read(reader, 1, [owner])
    (leg,) = reading.positions[0].legs
    assert (leg.amount, leg.redeemable) == (shares, 0)
    assert leaves(leg.look_through) == {"USDC": await vaults.convert_to_assets(world, 1, "syrupUSDC", shares)}
    assert [r.code for h in reading.holdings for r in h.remarks] == ["vault-exit-below-value"]


async def test_a_gift_to_a_vault_moves_the_shares_at_once(world: World) -> None:
    owner = "0x000000000000000000000000000000000000C003"
    await vaults.deposit(world, 1, vaults.DONATED_VAULT, owner, 10**18)
    async with local_reader(world) as reader:
        before = await read(reader, 1, [owner])
        await vaults.donate(world, 1, vaults.DONATED_VAULT, int(Decimal("1e19")))
        after = await read(reader, 1, [owner])
        assert await assert_every_share_converts(world, after, 1, [owner]) == 1
    worth = [leaves(reading.positions[0].legs[0].look_through)["WETH"] for reading in (before, after)]
    assert worth[1] > worth[0] * 105 // 100
