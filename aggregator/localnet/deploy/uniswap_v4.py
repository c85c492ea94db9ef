"""Uniswap v4: pool manager, position manager, state view and quoter at their production addresses.

Bytecode as published; Permit2 is not needed, as the position manager pays from what it was sent. Pools hold native
ether (currency 0) or two tokens; one has a dynamic fee and a hook that has no permission at all.
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
    NATIVE,
    TRADER,
    approve,
    in_order,
    raw_worth,
    token_address,
    token_decimals,
)
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World, WorldError

PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"  # an immutable of the position manager; nothing lies there
UNSUBSCRIBE_GAS = 300_000
DYNAMIC_FEE = 0x800000
HOOK = "0x00000000000000000000000000000000F0004000"
"""The lowest 14 bits of a hook's address are its permissions: here none, which is valid for a dynamic-fee pool."""
HOOK_FEE = 2_500  # hundredths of a basis point


@dataclass(frozen=True, slots=True)
class Addresses:
    pool_manager: str
    position_manager: str
    state_view: str
    quoter: str


# Uniswap's sdk-core address book.
ADDRESSES = MappingProxyType(
    {
        1: Addresses(
            "0x000000000004444c5dc75cB358380D2e3dE08A90",
            "0xbD216513d74C8cf14cf4747E6AaA6420FF64ee9e",
            "0x7fFE42C4a5DEeA5b0feC41C94C136Cf115597227",
            "0x52F0E24D1c21C8A0cB1e5a5dD6198556BD9E1203",
        ),
        42161: Addresses(
            "0x360E68faCcca8cA495c1B759Fd9EEe466db9FB32",
            "0xd88F38F930b7952f2DB2432Cb002E7abbF3dD869",
            "0x76Fd297e2D437cd7f76d50F01AfE6160f86e9990",
            "0x3972C00f7ed4885e145823eb7C655375d275A1C5",
        ),
        8453: Addresses(
            "0x498581fF718922c3f8e6A244956aF099B2652b2b",
            "0x7C5f5A4bBd8fD63184577525326123B519429bDc",
            "0xA3c0c9b65baD0b08107Aa264b0f3dB444b867A71",
            "0x0d5e0F971ED27FBfF6c2837bf31316121532048D",
        ),
    }
)

KEY = "(address,address,uint24,int24,address)"
PoolKey = tuple[str, str, int, int, str]

# The position manager's actions.
_MINT_POSITION, _DECREASE_LIQUIDITY, _SETTLE, _TAKE_PAIR, _SWEEP = 0x02, 0x01, 0x0B, 0x11, 0x14
_WHOLE_DEBT = 0

# (one, other, fee, spacing, with the hook) -> USD of base liquidity
POOLS: Mapping[int, Mapping[tuple[str, str, int, int, bool], int]] = MappingProxyType(
    {
        1: {
            ("ETH", "USDC", 500, 10, False): 30_000_000,
            ("ETH", "USDC", DYNAMIC_FEE, 60, True): 3_000_000,
            ("WBTC", "USDC", 3000, 60, False): 10_000_000,
            ("USDC", "USDT", 10, 1, False): 12_000_000,
        },
        42161: {
            ("ETH", "USDC", 500, 10, False): 8_000_000,
            ("WBTC", "USDC", 3000, 60, False): 2_000_000,
        },
        8453: {
            ("ETH", "USDC", 500, 10, False): 10_000_000,
            ("USDC", "cbBTC", 3000, 60, False): 3_000_000,
        },
    }
)


@dataclass(frozen=True, slots=True)
class SingletonPool:
    """``id``: keccak of the encoded key. ``symbol0`` is ``ETH`` where currency 0 is native."""

    chain_id: int
    id: str
    symbol0: str
    symbol1: str
    currency0: str
    currency1: str
    fee: int
    tick_spacing: int
    hooks: str

    @property
    def key(self) -> PoolKey:
        return self.currency0, self.currency1, self.fee, self.tick_spacing, self.hooks

    @property
    def id_bytes(self) -> bytes:
        return bytes.fromhex(self.id[2:])


@dataclass(frozen=True, slots=True)
class UniswapV4:
    pool_manager: str
    position_manager: str
    state_view: str
    quoter: str
    swap_router: str
    pools: tuple[SingletonPool, ...]

    def pool(self, one: str, other: str, fee: int) -> SingletonPool:
        """The pool of two symbols in any order (``fee`` DYNAMIC_FEE for the hooked one)."""
        for pool in self.pools:
            if {pool.symbol0, pool.symbol1} == {one, other} and pool.fee == fee:
                return pool
        raise WorldError(f"no Uniswap v4 pool {one}/{other} at fee {fee}")


def deployment(world: World, chain_id: int) -> UniswapV4:
    """What ``deploy`` recorded for a chain."""
    return world.recorded(UniswapV4)[chain_id]


def pool_id(key: PoolKey) -> str:
    """keccak256(abi.encode(key)), 0x-hex."""
    return "0x" + keccak(abi.encode([KEY], [key])).hex()


async def deploy(world: World) -> None:
    """Deploy on every chain and record a ``UniswapV4`` for each."""
    await asyncio.gather(*(_deploy_on(world, chain_id) for chain_id in world.chains))


async def _deploy_on(world: World, chain_id: int) -> None:
    chain, at = world.chains[chain_id], ADDRESSES[chain_id]
    wrapped = world.token(chain_id, "WETH").address

    def code(name: str, file: str = "") -> bytes:
        return world.artifact("@uniswap/v4-periphery", f"foundry-out/{name}.sol/{file or name}.json").code

    await chain.place(at.pool_manager, code("PoolManager", "PoolManager.default"), ["address"], [DEPLOYER])
    types = ["address", "address", "uint256", "address", "address"]
    arguments = [at.pool_manager, PERMIT2, UNSUBSCRIBE_GAS, abi.ZERO_ADDRESS, wrapped]
    await chain.place(at.position_manager, code("PositionManager"), types, arguments)
    await chain.place(at.state_view, code("StateView"), ["address"], [at.pool_manager])
    await chain.place(at.quoter, code("V4Quoter"), ["address"], [at.pool_manager])
    router = await chain.deploy(world.own("SingletonSwapRouter"), ["address"], [at.pool_manager])
    await chain.place(HOOK, world.own("FeeSettingHook"), ["address", "address"], [at.pool_manager, DEPLOYER])
    pools: list[SingletonPool] = []
    async with chain.block():
        for one, other, fee, spacing, hooked in POOLS[chain_id]:
            pool = _pool(world, chain_id, one, other, fee, spacing, HOOK if hooked else abi.ZERO_ADDRESS)
            price = world.prices[pool.symbol0] / world.prices[pool.symbol1]
            decimals = [token_decimals(world, chain_id, symbol) for symbol in (pool.symbol0, pool.symbol1)]
            first = maths.sqrt_price_of(price, decimals[0], decimals[1])
            await chain.send(DEPLOYER, at.pool_manager, f"initialize({KEY},uint160)", pool.key, first)
            if hooked:
                await chain.send(DEPLOYER, HOOK, f"setFee({KEY},uint24)", pool.key, HOOK_FEE)
            pools.append(pool)
    deployed = UniswapV4(at.pool_manager, at.position_manager, at.state_view, at.quoter, router, tuple(pools))
    world.record(chain_id, deployed)
    await approve(world, chain_id, TRADER, router, {symbol for pool in pools for symbol in (pool.symbol0, pool.symbol1)})
    for pool, usd in zip(pools, POOLS[chain_id].values(), strict=True):
        lower, upper = maths.full_range(pool.tick_spacing)
        await mint_worth(world, pool, LIQUIDITY_PROVIDER, lower, upper, Decimal(usd) / 2)
        lower, upper = await range_around(world, pool, Decimal("0.1"))
        await mint_worth(world, pool, LIQUIDITY_PROVIDER, lower, upper, Decimal(usd) / 2)


def _pool(world: World, chain_id: int, one: str, other: str, fee: int, spacing: int, hooks: str) -> SingletonPool:
    symbol0, symbol1 = in_order(world, chain_id, one, other)
    currency0, currency1 = (token_address(world, chain_id, symbol) for symbol in (symbol0, symbol1))
    key = (currency0, currency1, fee, spacing, hooks)
    return SingletonPool(chain_id, pool_id(key), symbol0, symbol1, *key)


async def sqrt_price_and_tick(world: World, pool: SingletonPool) -> tuple[int, int]:
    """The pool's present square-root price and tick."""
    answer = await world.chains[pool.chain_id].call(
        ADDRESSES[pool.chain_id].state_view, "getSlot0(bytes32)(uint160,int24,uint24,uint24)", pool.id_bytes
    )
    return cast(int, answer[0]), cast(int, answer[1])


async def range_around(world: World, pool: SingletonPool, width: Decimal) -> tuple[int, int]:
    """Usable ticks about ``width`` (0.1 = 10 %) below and above the present price."""
    _, here = await sqrt_price_and_tick(world, pool)
    return maths.ticks_around(here, width, pool.tick_spacing)


async def mint(world: World, pool: SingletonPool, owner: str, tick_lower: int, tick_upper: int, liquidity: int) -> int:
    """Mint a position NFT of ``liquidity`` for ``owner``, paid with fresh tokens; returns the token id."""
    chain, manager = world.chains[pool.chain_id], ADDRESSES[pool.chain_id].position_manager
    price, _ = await sqrt_price_and_tick(world, pool)
    low, high = (maths.sqrt_price_at_tick(tick) for tick in (tick_lower, tick_upper))
    amount0, amount1 = maths.amounts_for_liquidity(price, low, high, liquidity)
    (token_id,) = await chain.call(manager, "nextTokenId()(uint256)")
    minted = abi.encode(
        [KEY, "int24", "int24", "uint256", "uint128", "uint128", "address", "bytes"],
        [pool.key, tick_lower, tick_upper, liquidity, amount0, amount1, owner, b""],
    )
    settled = [abi.encode(["address", "uint256", "bool"], [currency, _WHOLE_DEBT, False]) for currency in (pool.currency0, pool.currency1)]
    swept = [abi.encode(["address", "address"], [currency, LIQUIDITY_PROVIDER]) for currency in (pool.currency0, pool.currency1)]
    actions = bytes([_MINT_POSITION, _SETTLE, _SETTLE, _SWEEP, _SWEEP])
    async with chain.block():
        value = 0
        for symbol, amount in ((pool.symbol0, amount0), (pool.symbol1, amount1)):
            if symbol == "ETH":
                value = amount
            elif amount:
                await world.mint(pool.chain_id, symbol, manager, amount)
        await _modify(world, pool, LIQUIDITY_PROVIDER, actions, [minted, *settled, *swept], value)
    return cast(int, token_id)


async def mint_worth(world: World, pool: SingletonPool, owner: str, tick_lower: int, tick_upper: int, usd: Decimal | int) -> int:
    """Mint a position worth about ``usd`` at the world's prices, split between the tokens as the range asks."""
    price, _ = await sqrt_price_and_tick(world, pool)
    units = [raw_worth(world, pool.chain_id, symbol, 1_000_000) for symbol in (pool.symbol0, pool.symbol1)]
    liquidity = maths.liquidity_worth(price, tick_lower, tick_upper, Decimal(usd) / 1_000_000, units[0], units[1])
    return await mint(world, pool, owner, tick_lower, tick_upper, liquidity)


async def decrease_liquidity(world: World, pool: SingletonPool, owner: str, token_id: int, liquidity: int) -> None:
    """Withdraw ``liquidity`` of the NFT to its owner, with all fees (v4 never leaves anything owed)."""
    decreased = abi.encode(["uint256", "uint256", "uint128", "uint128", "bytes"], [token_id, liquidity, 0, 0, b""])
    taken = abi.encode(["address", "address", "address"], [pool.currency0, pool.currency1, owner])
    await _modify(world, pool, owner, bytes([_DECREASE_LIQUIDITY, _TAKE_PAIR]), [decreased, taken])


async def _modify(world: World, pool: SingletonPool, sender: str, actions: bytes, parameters: list[bytes], value: int = 0) -> None:
    data = abi.encode(["bytes", "bytes[]"], [actions, parameters])
    manager = ADDRESSES[pool.chain_id].position_manager
    await world.chains[pool.chain_id].send(sender, manager, "modifyLiquidities(bytes,uint256)", data, DEADLINE, value=value)


async def liquidity_of(world: World, chain_id: int, token_id: int) -> int:
    """Liquidity of a position NFT."""
    manager = ADDRESSES[chain_id].position_manager
    (liquidity,) = await world.chains[chain_id].call(manager, "getPositionLiquidity(uint256)(uint128)", token_id)
    return cast(int, liquidity)


async def swap(world: World, pool: SingletonPool, sell: str, amount_in: int, sqrt_price_limit: int = 0) -> None:
    """Sell up to ``amount_in`` raw of fresh ``sell`` in the pool; stops at ``sqrt_price_limit`` when given."""
    chain = world.chains[pool.chain_id]
    down = sell == pool.symbol0
    edge = maths.sqrt_price_at_tick(maths.MIN_TICK) + 1 if down else maths.sqrt_price_at_tick(maths.MAX_TICK) - 1
    async with chain.block():
        if sell != "ETH":
            await world.mint(pool.chain_id, sell, TRADER, amount_in)
        await chain.send(
            TRADER,
            deployment(world, pool.chain_id).swap_router,
            f"swap({KEY},(bool,int256,uint160))",
            *(pool.key, (down, -amount_in, sqrt_price_limit or edge)),
            value=amount_in if pool.currency0 == NATIVE and down else 0,
        )


async def move_to_sqrt_price(world: World, pool: SingletonPool, sqrt_price: int) -> None:
    """Trade until the pool stands exactly at ``sqrt_price``; raises when its liquidity is too deep for that."""
    usd = 10_000_000
    while (here := (await sqrt_price_and_tick(world, pool))[0]) != sqrt_price:
        if usd > 10**13:
            raise WorldError(f"pool {pool.id} could not be moved to {sqrt_price}")
        sell = pool.symbol0 if sqrt_price < here else pool.symbol1
        await swap(world, pool, sell, raw_worth(world, pool.chain_id, sell, usd), sqrt_price)
        usd *= 10


async def move_to_price(world: World, pool: SingletonPool, price: Decimal) -> None:
    """Trade until one whole ``symbol0`` costs ``price`` whole ``symbol1``."""
    decimals = [token_decimals(world, pool.chain_id, symbol) for symbol in (pool.symbol0, pool.symbol1)]
    await move_to_sqrt_price(world, pool, maths.sqrt_price_of(price, decimals[0], decimals[1]))
