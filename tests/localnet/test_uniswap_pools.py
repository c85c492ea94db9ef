"""Uniswap v2, v3 and v4 on the local chains: production addresses, and what the seeding functions leave behind."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet import abi
from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3, uniswap_v4
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

OWNER = "0x00000000000000000000000000000000000c0ffe"
POSITION = "positions(uint256)(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)"


@pytest.mark.parametrize(
    ("chain_id", "one", "other", "address"),
    [
        (1, "USDC", "WETH", "0xB4e16d0168e52d35CaCD2c6185b44281Ec28C9Dc"),
        (1, "DAI", "WETH", "0xA478c2975Ab1Ea89e8196811F51A7B7Ade33eB11"),
        (1, "WETH", "USDT", "0x0d4a11d5EEaaC28EC3F61d100daF4d40471f1852"),
        (8453, "WETH", "USDC", "0x88A43bbDF9D098eEC7bCEda4e2494615dfD9bB9C"),
    ],
)
async def test_v2_pairs_lie_at_their_production_addresses(world: World, chain_id: int, one: str, other: str, address: str) -> None:
    pair = uniswap_v2.deployment(world, chain_id).pair(one, other)
    assert pair.address == address
    (factory,) = await world.chains[chain_id].call(address, "factory()(address)")
    assert factory == uniswap_v2.FACTORY[chain_id]


@pytest.mark.parametrize(
    ("chain_id", "one", "other", "fee", "address"),
    [
        (1, "USDC", "WETH", 500, "0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640"),
        (1, "USDC", "WETH", 3000, "0x8ad599c3A0ff1De082011EFDDc58f1908eb6e6D8"),
        (1, "WBTC", "WETH", 3000, "0xCBCdF9626bC03E24f779434178A73a0B4bad62eD"),
        (1, "wstETH", "WETH", 100, "0x109830a1AAaD605BbF02a9dFA7B0B92EC2FB7dAa"),
        (1, "USDC", "USDT", 100, "0x3416cF6C708Da44DB2624D63ea0AAef7113527C6"),
        (42161, "WETH", "USDC", 500, "0xC6962004f452bE9203591991D15f6b388e09E8D0"),
        (8453, "WETH", "USDC", 500, "0xd0b53D9277642d899DF5C87A3966A349A798F224"),
    ],
)
async def test_v3_pools_lie_at_their_production_addresses(
    world: World, chain_id: int, one: str, other: str, fee: int, address: str
) -> None:
    assert uniswap_v3.deployment(world, chain_id).pool(one, other, fee).address == address
    (unlocked,) = (await world.chains[chain_id].call(address, "slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)"))[-1:]
    assert unlocked is True


@pytest.mark.parametrize("chain_id", [1, 42161, 8453])
async def test_managers_know_their_core(world: World, chain_id: int) -> None:
    chain = world.chains[chain_id]
    wrapped = world.token(chain_id, "WETH").address
    v3 = uniswap_v3.deployment(world, chain_id)
    assert await chain.call(v3.position_manager, "factory()(address)") == (uniswap_v3.FACTORY[chain_id],)
    assert await chain.call(v3.router, "WETH9()(address)") == (wrapped,)
    assert await chain.call(v3.factory, "feeAmountTickSpacing(uint24)(int24)", 100) == (1,)
    v4 = uniswap_v4.deployment(world, chain_id)
    for address in (v4.position_manager, v4.state_view, v4.quoter):
        assert await chain.call(address, "poolManager()(address)") == (v4.pool_manager,)


@pytest.mark.parametrize("chain_id", [1, 42161, 8453])
async def test_pools_open_at_the_price_table(world: World, chain_id: int) -> None:
    for pool in uniswap_v3.deployment(world, chain_id).pools:
        decimals = [world.token(chain_id, symbol).decimals for symbol in (pool.symbol0, pool.symbol1)]
        price = maths.price_of((await uniswap_v3.slot0(world, pool)).sqrt_price, *decimals)
        assert abs(price * world.prices[pool.symbol1] / world.prices[pool.symbol0] - 1) < Decimal("1e-9")
    for hooked in uniswap_v4.deployment(world, chain_id).pools:
        sqrt_price, tick = await uniswap_v4.sqrt_price_and_tick(world, hooked)
        assert maths.tick_at_sqrt_price(sqrt_price) == tick


async def test_v2_liquidity_for_an_owner_keeps_the_price(world: World) -> None:
    pair = uniswap_v2.deployment(world, 1).pair("USDC", "WETH")
    before = await uniswap_v2.reserves(world, pair)
    minted = await uniswap_v2.add_liquidity_worth(world, 1, "USDC", "WETH", OWNER, 100_000)
    after = await uniswap_v2.reserves(world, pair)
    (supply,) = await world.chains[1].call(pair.address, "totalSupply()(uint256)")
    share = Decimal(minted) / Decimal(cast(int, supply))
    usd = share * (Decimal(after[0]).scaleb(-6) * world.prices["USDC"] + Decimal(after[1]).scaleb(-18) * world.prices["WETH"])
    assert abs(usd / 100_000 - 1) < Decimal("0.001")
    assert abs(Decimal(after[0] * before[1]) / (after[1] * before[0]) - 1) < Decimal("1e-9")


async def test_v2_protocol_fee_dilutes_after_swaps(world: World) -> None:
    pair = uniswap_v2.deployment(world, 1).pair("USDC", "WETH")
    held = "balanceOf(address)(uint256)"
    assert await world.chains[1].call(pair.address, held, uniswap_v2.FEE_COLLECTOR) == (0,)
    paid, received = await uniswap_v2.swap(world, 1, "USDC", "WETH", 2_000_000 * 10**6)
    assert received < paid * 10**12 / world.prices["WETH"]
    await uniswap_v2.add_liquidity_worth(world, 1, "USDC", "WETH", OWNER, 1_000)
    (fee_shares,) = await world.chains[1].call(pair.address, held, uniswap_v2.FEE_COLLECTOR)
    assert cast(int, fee_shares) > 0
    lp = await world.chains[1].call(pair.address, held, OWNER)
    await uniswap_v2.remove_liquidity(world, 1, "USDC", "WETH", OWNER, cast(int, lp[0]))
    assert await world.chains[1].call(pair.address, held, OWNER) == (0,)
    assert await world.balance(1, "WETH", OWNER) > 0


async def test_v3_position_of_an_owner(world: World) -> None:
    pool = uniswap_v3.deployment(world, 1).pool("USDC", "WETH", 500)
    lower, upper = await uniswap_v3.range_around(world, pool, Decimal("0.05"))
    token_id = await uniswap_v3.mint_worth(world, pool, OWNER, lower, upper, 50_000)
    manager = uniswap_v3.POSITION_MANAGER[1]
    position = await world.chains[1].call(manager, POSITION, token_id)
    assert position[2:7] == (world.token(1, "USDC").address, world.token(1, "WETH").address, 500, lower, upper)
    liquidity = cast(int, position[7])
    price = (await uniswap_v3.slot0(world, pool)).sqrt_price
    amounts = maths.amounts_for_liquidity(price, maths.sqrt_price_at_tick(lower), maths.sqrt_price_at_tick(upper), liquidity)
    usd = Decimal(amounts[0]).scaleb(-6) * world.prices["USDC"] + Decimal(amounts[1]).scaleb(-18) * world.prices["WETH"]
    assert abs(usd / 50_000 - 1) < Decimal("0.001")
    assert await world.chains[1].call(manager, "ownerOf(uint256)(address)", token_id) == (OWNER,)


async def test_v3_decreased_without_collecting_stays_owed(world: World) -> None:
    pool = uniswap_v3.deployment(world, 1).pool("USDC", "WETH", 500)
    token_id = await uniswap_v3.mint_worth(world, pool, OWNER, *maths.full_range(10), 20_000)
    liquidity = await uniswap_v3.liquidity_of(world, 1, token_id)
    await uniswap_v3.decrease_liquidity(world, 1, OWNER, token_id, liquidity)
    position = await world.chains[1].call(uniswap_v3.POSITION_MANAGER[1], POSITION, token_id)
    assert position[7] == 0
    owed0, owed1 = cast(int, position[10]), cast(int, position[11])
    assert abs(Decimal(owed0).scaleb(-6) * world.prices["USDC"] - 10_000) < 10
    await uniswap_v3.collect(world, 1, OWNER, token_id)
    assert (await world.balance(1, "USDC", OWNER), await world.balance(1, "WETH", OWNER)) == (owed0, owed1)


@pytest.mark.parametrize(("away", "reported"), [(400, 0), (-400, -1)], ids=["from below", "from above"])
async def test_v3_price_exactly_on_an_initialised_tick(world: World, away: int, reported: int) -> None:
    pool = uniswap_v3.deployment(world, 42161).pool("WETH", "USDC", 500)
    tick = maths.usable_tick((await uniswap_v3.slot0(world, pool)).tick + away, pool.tick_spacing)
    await uniswap_v3.mint_worth(world, pool, OWNER, tick, tick + 100, 5_000)
    await uniswap_v3.move_to_tick(world, pool, tick)
    now = await uniswap_v3.slot0(world, pool)
    assert now.sqrt_price == maths.sqrt_price_at_tick(tick)
    assert now.tick == tick + reported


async def test_v3_pool_follows_a_price(world: World) -> None:
    pool = uniswap_v3.deployment(world, 8453).pool("WETH", "USDC", 500)
    await uniswap_v3.move_to_price(world, pool, Decimal("2712.5"))
    reached = maths.price_of((await uniswap_v3.slot0(world, pool)).sqrt_price, 18, 6)
    assert abs(reached / Decimal("2712.5") - 1) < Decimal("1e-12")


@pytest.mark.parametrize("fee", [500, uniswap_v4.DYNAMIC_FEE])
async def test_v4_position_in_a_native_pool(world: World, fee: int) -> None:
    chain, deployed = world.chains[1], uniswap_v4.deployment(world, 1)
    pool = deployed.pool("ETH", "USDC", fee)
    assert pool.currency0 == abi.ZERO_ADDRESS
    lower, upper = await uniswap_v4.range_around(world, pool, Decimal("0.2"))
    token_id = await uniswap_v4.mint_worth(world, pool, OWNER, lower, upper, 30_000)
    assert await chain.call(deployed.position_manager, "ownerOf(uint256)(address)", token_id) == (OWNER,)
    liquidity = await uniswap_v4.liquidity_of(world, 1, token_id)
    salt = token_id.to_bytes(32, "big")
    stored = await chain.call(
        deployed.state_view,
        "getPositionInfo(bytes32,address,int24,int24,bytes32)(uint128,uint256,uint256)",
        *(pool.id_bytes, deployed.position_manager, lower, upper, salt),
    )
    assert stored[0] == liquidity > 0
    await uniswap_v4.decrease_liquidity(world, pool, OWNER, token_id, liquidity)
    assert await uniswap_v4.liquidity_of(world, 1, token_id) == 0
    ether = Decimal(await chain.balance(OWNER)).scaleb(-18) * world.prices["ETH"]
    dollars = Decimal(await world.balance(1, "USDC", OWNER)).scaleb(-6) * world.prices["USDC"]
    assert abs((ether + dollars) / 30_000 - 1) < Decimal("0.001")


async def test_v4_hook_has_no_permission_and_sets_the_fee(world: World) -> None:
    deployed = uniswap_v4.deployment(world, 1)
    pool = deployed.pool("ETH", "USDC", uniswap_v4.DYNAMIC_FEE)
    assert int(pool.hooks, 16) & 0x3FFF == 0
    slot0 = await world.chains[1].call(deployed.state_view, "getSlot0(bytes32)(uint160,int24,uint24,uint24)", pool.id_bytes)
    assert slot0[3] == uniswap_v4.HOOK_FEE


async def test_v4_pool_follows_a_price_both_ways(world: World) -> None:
    for symbols, price, decimals in ((("ETH", "USDC"), Decimal("3111"), (18, 6)), (("USDC", "USDT"), Decimal("0.998"), (6, 6))):
        pool = next(one for one in uniswap_v4.deployment(world, 1).pools if (one.symbol0, one.symbol1) == symbols)
        for target in (price, price * Decimal("0.97")):
            await uniswap_v4.move_to_price(world, pool, target)
            sqrt_price, _ = await uniswap_v4.sqrt_price_and_tick(world, pool)
            assert abs(maths.price_of(sqrt_price, *decimals) / target - 1) < Decimal("1e-9")


async def test_tick_maths_agrees_with_the_contract(world: World) -> None:
    """A fresh pool initialised at the maths' own price reports the maths' own tick."""
    chain = world.chains[8453]
    tokens = sorted((world.token(8453, symbol).address for symbol in ("DAI", "weETH")), key=lambda one: int(one, 16))
    factory = uniswap_v3.FACTORY[8453]
    await chain.send(OWNER, factory, "createPool(address,address,uint24)", *tokens, 3000)
    (pool,) = await chain.call(factory, "getPool(address,address,uint24)(address)", *tokens, 3000)
    for tick in (maths.MIN_TICK, -123_457, -1, 0, 77_777, maths.MAX_TICK - 1):
        snapshot = await chain.snapshot()
        await chain.send(OWNER, str(pool), "initialize(uint160)", maths.sqrt_price_at_tick(tick))
        answer = await chain.call(str(pool), "slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)")
        assert answer[1] == tick
        await chain.revert(snapshot)
    with pytest.raises(LocalChainError):
        await chain.send(OWNER, str(pool), "initialize(uint160)", maths.sqrt_price_at_tick(maths.MAX_TICK))
