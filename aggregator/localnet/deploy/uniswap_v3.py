"""Uniswap v3: factory, position manager, router and pools at their production addresses.

Bytecode as published (position descriptor 0, so ``tokenURI`` reverts). A pool's address follows from the factory, the
tokens, the fee and the published init code hash. Base has no production ``SwapRouter`` of this generation: there it
lies at an address of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from eth_utils.crypto import keccak

from aggregator.localnet import abi
from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy.shared import (
    DEADLINE,
    LIQUIDITY_PROVIDER,
    TRADER,
    approve,
    create2_address,
    expect_code,
    in_order,
    raw_worth,
)
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World, WorldError

# Uniswap's sdk-core address book; the router is the one of Uniswap's v3 deployment documentation.
FACTORY = MappingProxyType(
    {
        1: "0x1F98431c8aD98523631AE4a59f267346ea31F984",
        42161: "0x1F98431c8aD98523631AE4a59f267346ea31F984",
        8453: "0x33128a8fC17869897dcE68Ed026d694621f6FDfD",
    }
)
POSITION_MANAGER = MappingProxyType(
    {
        1: "0xC36442b4a4522E871399CD717aBDD847Ab11FE88",
        42161: "0xC36442b4a4522E871399CD717aBDD847Ab11FE88",
        8453: "0x03a520b32C04BF3bEEf7BEb72E919cf822Ed34f1",
    }
)
ROUTER = MappingProxyType({1: "0xE592427A0AEce92De3Edee1F18E0157C05861564", 42161: "0xE592427A0AEce92De3Edee1F18E0157C05861564"})
POOL_CODE_HASH = "0xe34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54"
SPACING = MappingProxyType({100: 1, 500: 10, 3000: 60, 10000: 200})
OBSERVATIONS = 60  # ring size for the pools' own time-weighted prices

# (one, other, fee) -> USD of base liquidity, half over the whole range and half within ±10 % of the first price.
POOLS: Mapping[int, Mapping[tuple[str, str, int], int]] = MappingProxyType(
    {
        1: {
            ("USDC", "WETH", 500): 60_000_000,
            ("USDC", "WETH", 3000): 40_000_000,
            ("WBTC", "WETH", 3000): 40_000_000,
            ("wstETH", "WETH", 100): 20_000_000,
            ("USDC", "USDT", 100): 30_000_000,
            ("DAI", "USDC", 100): 10_000_000,
        },
        42161: {
            ("WETH", "USDC", 500): 30_000_000,
            ("WETH", "USDT", 500): 10_000_000,
            ("WBTC", "WETH", 500): 15_000_000,
            ("wstETH", "WETH", 100): 6_000_000,
        },
        8453: {
            ("WETH", "USDC", 500): 30_000_000,
            ("cbETH", "WETH", 500): 5_000_000,
            ("wstETH", "WETH", 100): 6_000_000,
            ("USDC", "cbBTC", 500): 15_000_000,
        },
    }
)


@dataclass(frozen=True, slots=True)
class Pool:
    """``symbol0``/``symbol1``: in the pool's own order (by address)."""

    chain_id: int
    address: str
    symbol0: str
    symbol1: str
    fee: int
    tick_spacing: int


@dataclass(frozen=True, slots=True)
class UniswapV3:
    factory: str
    position_manager: str
    router: str
    pools: tuple[Pool, ...]

    def pool(self, one: str, other: str, fee: int) -> Pool:
        """The pool of two symbols in any order; WorldError when it was not deployed."""
        for pool in self.pools:
            if {pool.symbol0, pool.symbol1} == {one, other} and pool.fee == fee:
                return pool
        raise WorldError(f"no Uniswap v3 pool {one}/{other} at fee {fee}")


@dataclass(frozen=True, slots=True)
class Slot0:
    sqrt_price: int
    tick: int


def deployment(world: World, chain_id: int) -> UniswapV3:
    """What ``deploy`` recorded for a chain."""
    return world.recorded(UniswapV3)[chain_id]


async def deploy(world: World) -> None:
    """Deploy on every chain and record a ``UniswapV3`` for each."""
    await asyncio.gather(*(_deploy_on(world, chain_id) for chain_id in world.chains))


async def _deploy_on(world: World, chain_id: int) -> None:
    chain = world.chains[chain_id]
    factory, manager = FACTORY[chain_id], POSITION_MANAGER[chain_id]
    wrapped = world.token(chain_id, "WETH").address

    def code(package: str, path: str) -> bytes:
        name = path.rsplit("/", 1)[-1]
        return world.artifact(f"@uniswap/{package}", f"artifacts/contracts/{path}.sol/{name}.json").code

    await chain.place(factory, code("v3-core", "UniswapV3Factory"))
    manager_code = code("v3-periphery", "NonfungiblePositionManager")
    await chain.place(manager, manager_code, ["address"] * 3, [factory, wrapped, abi.ZERO_ADDRESS])
    router_code, router_arguments = code("v3-periphery", "SwapRouter"), [factory, wrapped]
    if chain_id in ROUTER:
        router = ROUTER[chain_id]
        await chain.place(router, router_code, ["address"] * 2, router_arguments)
    else:
        router = await chain.deploy(router_code, ["address"] * 2, router_arguments)
    pools: list[Pool] = []
    async with chain.block():
        await chain.send(DEPLOYER, factory, "enableFeeAmount(uint24,int24)", 100, SPACING[100])
        for one, other, fee in POOLS[chain_id]:
            pools.append(await _create_pool(world, chain_id, one, other, fee))
    for pool in pools:
        name = f"Uniswap v3 pool {pool.symbol0}/{pool.symbol1}"
        await expect_code(world, chain_id, pool.address, f"{name} at fee {pool.fee}")
    deployed = UniswapV3(factory, manager, router, tuple(pools))
    world.record(chain_id, deployed)
    symbols = {symbol for pool in pools for symbol in (pool.symbol0, pool.symbol1)}
    await approve(world, chain_id, LIQUIDITY_PROVIDER, manager, symbols)
    await approve(world, chain_id, TRADER, router, symbols)
    for (one, other, fee), usd in POOLS[chain_id].items():
        pool = deployed.pool(one, other, fee)
        whole = maths.full_range(pool.tick_spacing)
        for lower, upper in (whole, await range_around(world, pool, Decimal("0.1"))):
            await mint_worth(world, pool, LIQUIDITY_PROVIDER, lower, upper, Decimal(usd) / 2)


async def _create_pool(world: World, chain_id: int, one: str, other: str, fee: int) -> Pool:
    """Create and initialise at the world's prices; ``world.prices`` is the first price, the feeds the later ones."""
    chain = world.chains[chain_id]
    symbol0, symbol1 = in_order(world, chain_id, one, other)
    token0, token1 = (world.token(chain_id, symbol) for symbol in (symbol0, symbol1))
    factory = FACTORY[chain_id]
    salt = keccak(abi.encode(["address", "address", "uint24"], [token0.address, token1.address, fee]))
    address = create2_address(factory, salt, POOL_CODE_HASH)
    price = world.prices[symbol0] / world.prices[symbol1]
    first = maths.sqrt_price_of(price, token0.decimals, token1.decimals)
    await chain.send(DEPLOYER, factory, "createPool(address,address,uint24)", token0.address, token1.address, fee)
    await chain.send(DEPLOYER, address, "initialize(uint160)", first)
    await chain.send(DEPLOYER, address, "increaseObservationCardinalityNext(uint16)", OBSERVATIONS)
    return Pool(chain_id, address, symbol0, symbol1, fee, SPACING[fee])


async def slot0(world: World, pool: Pool) -> Slot0:
    """The pool's present square-root price and tick."""
    answer = await world.chains[pool.chain_id].call(pool.address, "slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)")
    return Slot0(cast(int, answer[0]), cast(int, answer[1]))


async def range_around(world: World, pool: Pool, width: Decimal) -> tuple[int, int]:
    """Usable ticks about ``width`` (0.1 = 10 %) below and above the present price."""
    return maths.ticks_around((await slot0(world, pool)).tick, width, pool.tick_spacing)


async def mint(world: World, pool: Pool, owner: str, tick_lower: int, tick_upper: int, amount0: int, amount1: int) -> int:
    """Mint a position NFT for ``owner`` from at most these raw amounts of fresh tokens; returns the token id.

    What the range does not take stays with the liquidity provider. Ticks must be multiples of the pool's spacing.
    """
    chain = world.chains[pool.chain_id]
    manager = deployment(world, pool.chain_id).position_manager
    tokens = [world.token(pool.chain_id, symbol).address for symbol in (pool.symbol0, pool.symbol1)]
    async with chain.block():
        await world.mint(pool.chain_id, pool.symbol0, LIQUIDITY_PROVIDER, amount0)
        await world.mint(pool.chain_id, pool.symbol1, LIQUIDITY_PROVIDER, amount1)
        receipt = await chain.send(
            LIQUIDITY_PROVIDER,
            manager,
            "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))",
            (*tokens, pool.fee, tick_lower, tick_upper, amount0, amount1, 0, 0, owner, DEADLINE),
        )
    (added,) = receipt.events("IncreaseLiquidity(uint256,uint128,uint256,uint256)", manager)
    return int(added.topics[1], 16)


async def mint_worth(world: World, pool: Pool, owner: str, tick_lower: int, tick_upper: int, usd: Decimal | int) -> int:
    """Mint a position worth about ``usd`` at the world's prices, split between the tokens as the range asks."""
    price = (await slot0(world, pool)).sqrt_price
    units = [raw_worth(world, pool.chain_id, symbol, 1_000_000) for symbol in (pool.symbol0, pool.symbol1)]
    liquidity = maths.liquidity_worth(price, tick_lower, tick_upper, Decimal(usd) / 1_000_000, units[0], units[1])
    low, high = (maths.sqrt_price_at_tick(tick) for tick in (tick_lower, tick_upper))
    amount0, amount1 = maths.amounts_for_liquidity(price, low, high, liquidity)
    return await mint(world, pool, owner, tick_lower, tick_upper, amount0, amount1)


async def liquidity_of(world: World, chain_id: int, token_id: int) -> int:
    """Liquidity of a position NFT."""
    answer = await world.chains[chain_id].call(
        deployment(world, chain_id).position_manager,
        "positions(uint256)(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)",
        token_id,
    )
    return cast(int, answer[7])


async def decrease_liquidity(world: World, chain_id: int, owner: str, token_id: int, liquidity: int) -> None:
    """Withdraw ``liquidity`` without collecting: the amounts stay in the NFT as ``tokensOwed``."""
    await world.chains[chain_id].send(
        owner,
        deployment(world, chain_id).position_manager,
        "decreaseLiquidity((uint256,uint128,uint256,uint256,uint256))",
        (token_id, liquidity, 0, 0, DEADLINE),
    )


async def collect(world: World, chain_id: int, owner: str, token_id: int) -> None:
    """Pay everything owed by the NFT to ``owner``."""
    everything = (1 << 128) - 1
    await world.chains[chain_id].send(
        owner,
        deployment(world, chain_id).position_manager,
        "collect((uint256,address,uint128,uint128))",
        (token_id, owner, everything, everything),
    )


async def swap(world: World, pool: Pool, sell: str, amount_in: int, sqrt_price_limit: int = 0, recipient: str = TRADER) -> None:
    """Sell up to ``amount_in`` raw of fresh ``sell`` in the pool; stops at ``sqrt_price_limit`` when given."""
    chain = world.chains[pool.chain_id]
    buy = pool.symbol1 if sell == pool.symbol0 else pool.symbol0
    tokens = [world.token(pool.chain_id, symbol).address for symbol in (sell, buy)]
    async with chain.block():
        await world.mint(pool.chain_id, sell, TRADER, amount_in)
        await chain.send(
            TRADER,
            deployment(world, pool.chain_id).router,
            "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
            (*tokens, pool.fee, recipient, DEADLINE, amount_in, 0, sqrt_price_limit),
        )


async def move_to_sqrt_price(world: World, pool: Pool, sqrt_price: int) -> None:
    """Trade until the pool stands exactly at ``sqrt_price``; raises when its liquidity is too deep for that."""
    usd = 10_000_000
    while (here := (await slot0(world, pool)).sqrt_price) != sqrt_price:
        if usd > 10**13:
            raise WorldError(f"pool {pool.address} could not be moved to {sqrt_price}")
        sell = pool.symbol0 if sqrt_price < here else pool.symbol1
        await swap(world, pool, sell, raw_worth(world, pool.chain_id, sell, usd), sqrt_price)
        usd *= 10


async def move_to_tick(world: World, pool: Pool, tick: int) -> None:
    """Trade until the price is exactly that of ``tick`` (``sqrtPriceX96`` equals the boundary).

    Coming from above over an initialised tick, the pool reports ``tick - 1`` at this very price; from below, ``tick``.
    """
    await move_to_sqrt_price(world, pool, maths.sqrt_price_at_tick(tick))


async def move_to_price(world: World, pool: Pool, price: Decimal) -> None:
    """Trade until one whole ``symbol0`` costs ``price`` whole ``symbol1``."""
    decimals = [world.token(pool.chain_id, symbol).decimals for symbol in (pool.symbol0, pool.symbol1)]
    await move_to_sqrt_price(world, pool, maths.sqrt_price_of(price, decimals[0], decimals[1]))
