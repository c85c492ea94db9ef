"""ERC-4626 vaults on the local chains: the well-known ones, the odd ones and the nested ones."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet import market
from aggregator.localnet.deploy import morpho, vaults
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

OWNER = "0x00000000000000000000000000000000000c0ffe"
OTHER = "0x0000000000000000000000000000000000000B0b"
DAY = 86_400


@pytest.mark.parametrize(
    ("symbol", "address", "decimals"),
    [
        ("sDAI", "0x83F20F44975D03b1b09e64809B757c47f942BEeA", 18),
        ("sUSDS", "0xa3931d71877C0E7a3148CB7Eb4463524FEc27fbD", 18),
        ("sUSDe", "0x9D39A5DE30e57443BfF2A8307A4256c8797A3497", 18),
        ("syrupUSDC", "0x80ac24aA929eaF5013f6436cdA2a7ba190f5Cc0b", 6),
    ],
)
async def test_well_known_vaults(world: World, symbol: str, address: str, decimals: int) -> None:
    made = vaults.vault(world, 1, symbol)
    assert made.address == address
    assert await world.chains[1].call(address, "asset()(address)") == (world.token(1, made.asset).address,)
    assert world.token(1, symbol).decimals == decimals
    rate = Decimal(await vaults.convert_to_assets(world, 1, symbol, 10**decimals)).scaleb(-decimals)
    assert abs(rate / market.RATES[symbol] - 1) < Decimal("0.0001")


async def test_savings_grow_by_the_second_without_a_transaction(world: World) -> None:
    chain = world.chains[1]
    shares = await vaults.deposit(world, 1, "sUSDS", OWNER, raw(10_000, 18))
    first = await vaults.convert_to_assets(world, 1, "sUSDS", shares)
    assert raw(10_000, 18) - 2 <= first <= raw(10_001, 18)
    await chain.set_time(await chain.now() + 365 * DAY)
    later = await vaults.convert_to_assets(world, 1, "sUSDS", shares)
    assert abs(Decimal(later) / first - Decimal("1.045")) < Decimal("1e-6")
    await vaults.redeem(world, 1, "sUSDS", OWNER, shares)
    assert await world.balance(1, "USDS", OWNER) >= later


async def test_cooldown_moves_assets_out_of_the_shares(world: World) -> None:
    chain = world.chains[1]
    shares = await vaults.deposit(world, 1, "sUSDe", OWNER, raw(5_000, 18))
    with pytest.raises(LocalChainError, match="OperationNotAllowed"):
        await vaults.redeem(world, 1, "sUSDe", OWNER, shares)
    expected = await vaults.convert_to_assets(world, 1, "sUSDe", shares // 2)
    await vaults.cool_down(world, OWNER, shares // 2)
    end, amount = await chain.call(vaults.STAKED_USDE, "cooldowns(address)(uint104,uint152)", OWNER)
    assert end == await chain.now() + vaults.COOLDOWN_SECONDS
    assert amount == expected
    assert await world.balance(1, "sUSDe", OWNER) == shares - shares // 2
    with pytest.raises(LocalChainError, match="InvalidCooldown"):
        await chain.send(OWNER, vaults.STAKED_USDE, "unstake(address)", OWNER)
    await chain.set_time(end)
    await chain.send(OWNER, vaults.STAKED_USDE, "unstake(address)", OWNER)
    assert await world.balance(1, "USDe", OWNER) == amount


async def test_rewards_of_the_staked_dollar_vest(world: World) -> None:
    chain = world.chains[1]
    before = await vaults.convert_to_assets(world, 1, "sUSDe", 10**18)
    await vaults.distribute_rewards(world, raw(100_000, 18))
    assert await vaults.convert_to_assets(world, 1, "sUSDe", 10**18) == before
    await chain.set_time(await chain.now() + 8 * 3_600)
    assert await vaults.convert_to_assets(world, 1, "sUSDe", 10**18) > before


async def test_credit_vault_lets_nobody_out_and_shows_losses_at_the_exit(world: World) -> None:
    chain = world.chains[1]
    shares = await vaults.deposit(world, 1, "syrupUSDC", OWNER, raw(1_000, 6))
    assert await chain.call(vaults.SYRUP_USDC, "maxWithdraw(address)(uint256)", OWNER) == (0,)
    with pytest.raises(LocalChainError, match="ERC4626ExceededMaxRedeem"):
        await vaults.redeem(world, 1, "syrupUSDC", OWNER, shares)
    value = await vaults.convert_to_assets(world, 1, "syrupUSDC", shares)
    await vaults.impair(world, raw(1_000_000, 6))
    (exit_value,) = await chain.call(vaults.SYRUP_USDC, "convertToExitAssets(uint256)(uint256)", shares)
    assert cast(int, exit_value) < value * 0.98
    assert await vaults.convert_to_assets(world, 1, "syrupUSDC", shares) >= value
    await vaults.write_off(world, raw(1_000_000, 6))
    assert await vaults.convert_to_assets(world, 1, "syrupUSDC", shares) < value * 0.98
    await vaults.request_redeem(world, OWNER, shares)
    assert await chain.call(vaults.SYRUP_USDC, "requestedShares(address)(uint256)", OWNER) == (shares,)
    assert await world.balance(1, "syrupUSDC", OWNER) == 0


async def test_offset_vault_has_more_decimals_than_its_asset(world: World) -> None:
    made = vaults.vault(world, 1, vaults.OFFSET_VAULT)
    assert (world.token(1, made.symbol).decimals, world.token(1, made.asset).decimals) == (18, 6)
    shares = await vaults.deposit(world, 1, made.symbol, OWNER, raw("123.456789", 6))
    assert shares == raw("123.456789", 18)
    assert await vaults.convert_to_assets(world, 1, made.symbol, shares) == raw("123.456789", 6)


async def test_gated_vault_shows_value_and_lets_nothing_out(world: World) -> None:
    shares = await vaults.deposit(world, 1, vaults.GATED_VAULT, OWNER, raw(50, 6))
    made = vaults.vault(world, 1, vaults.GATED_VAULT)
    assert await world.chains[1].call(made.address, "maxWithdraw(address)(uint256)", OWNER) == (0,)
    assert await vaults.convert_to_assets(world, 1, made.symbol, shares) == raw(50, 6)
    with pytest.raises(LocalChainError, match="ERC4626ExceededMaxRedeem"):
        await vaults.redeem(world, 1, made.symbol, OWNER, shares)
    await vaults.set_gate(world, 1, made.symbol, False)
    await vaults.redeem(world, 1, made.symbol, OWNER, shares)
    assert await world.balance(1, "USDC", OWNER) == raw(50, 6)


async def test_donation_lifts_the_share_price_at_once(world: World) -> None:
    before = await vaults.convert_to_assets(world, 1, vaults.DONATED_VAULT, 10**18)
    assert abs(Decimal(before).scaleb(-18) - Decimal("1.037")) < Decimal("1e-9")
    await vaults.donate(world, 1, vaults.DONATED_VAULT, raw(100, 18))
    assert await vaults.convert_to_assets(world, 1, vaults.DONATED_VAULT, 10**18) > 1.9 * before


@pytest.mark.parametrize("chain_id", [1, 8453])
async def test_nested_vaults_are_worth_what_lies_inside(world: World, chain_id: int) -> None:
    deposited = raw(1_000, 6)
    shares = await vaults.deposit_through(world, chain_id, vaults.OUTER_VAULT, OWNER, deposited)
    inner = await vaults.convert_to_assets(world, chain_id, vaults.OUTER_VAULT, shares)
    middle = await vaults.convert_to_assets(world, chain_id, vaults.INNER_VAULT, inner)
    assets = await vaults.convert_to_assets(world, chain_id, vaults.MARKET_VAULT, middle)
    # less by three roundings, more by the interest of the blocks since
    assert deposited - 3 <= assets <= deposited + deposited // 10**7
    chain = world.chains[chain_id]
    outer, inner_vault = vaults.vault(world, chain_id, vaults.OUTER_VAULT), vaults.vault(world, chain_id, vaults.INNER_VAULT)
    assert await chain.call(outer.address, "asset()(address)") == (inner_vault.address,)
    await chain.set_time(await chain.now() + 30 * DAY)
    grown = await vaults.convert_to_assets(world, chain_id, vaults.MARKET_VAULT, middle)
    assert grown > assets * 1.0005


@pytest.mark.parametrize("chain_id", [1, 8453])
async def test_market_vault_adds_up_its_markets_with_interest(world: World, chain_id: int) -> None:
    """totalAssets before anybody accrues equals what the markets say after they did."""
    chain, made = world.chains[chain_id], vaults.vault(world, chain_id, vaults.MARKET_VAULT)
    await chain.set_time(await chain.now() + 10 * DAY)
    (length,) = await chain.call(made.address, "withdrawQueueLength()(uint256)")
    ids = [(await chain.call(made.address, "withdrawQueue(uint256)(bytes32)", index))[0] for index in range(cast(int, length))]
    found = [one for one in morpho.deployment(world, chain_id).markets if one.id_bytes in ids]
    assert len(found) == len(ids) >= 2
    async with chain.block():
        for one in found:
            await morpho.accrue_interest(world, one)
    blue = morpho.BLUE[chain_id]
    total = 0
    for one in found:
        state = await chain.call(blue, "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)", one.id_bytes)
        shares = (await morpho.position(world, one, made.address)).supply_shares
        total += shares * (cast(int, state[0]) + 1) // (cast(int, state[1]) + 10**6)
    (shown,) = await chain.call(made.address, "totalAssets()(uint256)")
    assert shown == total
    head = await chain.head()
    (foreseen,) = await chain.call(made.address, "totalAssets()(uint256)", block=head - 1)
    assert 0 <= total - cast(int, foreseen) < raw(100, 6)


async def test_market_vault_pays_out_only_what_the_markets_hold(world: World) -> None:
    shares = await vaults.deposit(world, 1, vaults.MARKET_VAULT, OWNER, raw(40_000_000, 6))
    weth = morpho.market(world, 1, "WETH/USDC")
    await morpho.supply_collateral(world, weth, OTHER, raw(60_000, 18))
    chain, made = world.chains[1], vaults.vault(world, 1, vaults.MARKET_VAULT)
    state = await chain.call(morpho.BLUE[1], "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)", weth.id_bytes)
    await morpho.borrow(world, weth, OTHER, cast(int, state[0]) - cast(int, state[2]))
    (withdrawable,) = await chain.call(made.address, "maxWithdraw(address)(uint256)", OWNER)
    value = await vaults.convert_to_assets(world, 1, vaults.MARKET_VAULT, shares)
    assert 0 < cast(int, withdrawable) < value
    await chain.send(OWNER, made.address, "withdraw(uint256,address,address)", withdrawable, OWNER, OWNER)
    assert await world.balance(1, "USDC", OWNER) == withdrawable
