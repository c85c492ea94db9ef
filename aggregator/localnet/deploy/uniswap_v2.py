"""Uniswap v2: factory, router and pairs at their production addresses, with liquidity.

Bytecode as published; a pair's address follows from the factory, the tokens and the published init code hash. On
Ethereum the protocol fee is on, so an LP share is diluted by a sixth of the growth at every mint and burn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import cast

from eth_utils.crypto import keccak

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

# Factories: Uniswap's sdk-core address book; routers: Uniswap's v2 deployment documentation.
FACTORY = MappingProxyType(
    {
        1: "0x5C69bEe701ef814a2B6a3EDD4B1652CB9cc5aA6f",
        42161: "0xf1D7CC64Fb4452F05c498126312eBE29f30Fbcf9",
        8453: "0x8909Dc15e40173Ff4699343b6eB8132c65e18eC6",
    }
)
ROUTER = MappingProxyType(
    {
        1: "0x7a250d5630B4cF539739dF2C5dAcb4c659F2488D",
        42161: "0x4752ba5DBc23f44D87826276BF6Fd6b1C372aD24",
        8453: "0x4752ba5DBc23f44D87826276BF6Fd6b1C372aD24",
    }
)
PAIR_CODE_HASH = "0x96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f"
FEE_COLLECTOR = "0x0000000000000000000000000000000000000FEE"
PROTOCOL_FEE_CHAINS = frozenset({1})

# What each side of a pair holds at the genesis, in USD.
PAIRS: Mapping[int, Mapping[tuple[str, str], int]] = MappingProxyType(
    {
        1: {("USDC", "WETH"): 20_000_000, ("DAI", "WETH"): 8_000_000, ("WETH", "USDT"): 12_000_000},
        42161: {("WETH", "USDC"): 2_000_000},
        8453: {("WETH", "USDC"): 3_000_000},
    }
)


@dataclass(frozen=True, slots=True)
class Pair:
    """``symbol0``/``symbol1``: in the pair's own order (by address)."""

    chain_id: int
    address: str
    symbol0: str
    symbol1: str


@dataclass(frozen=True, slots=True)
class UniswapV2:
    factory: str
    router: str
    pairs: tuple[Pair, ...]

    def pair(self, one: str, other: str) -> Pair:
        """The pair of two symbols in any order; WorldError when it was not deployed."""
        for pair in self.pairs:
            if {pair.symbol0, pair.symbol1} == {one, other}:
                return pair
        raise WorldError(f"no Uniswap v2 pair {one}/{other}")


def deployment(world: World, chain_id: int) -> UniswapV2:
    """What ``deploy`` recorded for a chain."""
    return world.recorded(UniswapV2)[chain_id]


async def deploy(world: World) -> None:
    """Deploy on every chain and record a ``UniswapV2`` for each."""
    await asyncio.gather(*(_deploy_on(world, chain_id) for chain_id in world.chains))


async def _deploy_on(world: World, chain_id: int) -> None:
    chain = world.chains[chain_id]
    factory, router = FACTORY[chain_id], ROUTER[chain_id]
    wrapped = world.token(chain_id, "WETH").address
    factory_code = world.artifact("@uniswap/v2-core", "build/UniswapV2Factory.json").code
    router_code = world.artifact("@uniswap/v2-periphery", "build/UniswapV2Router02.json").code
    await chain.place(factory, factory_code, ["address"], [DEPLOYER])
    await chain.place(router, router_code, ["address", "address"], [factory, wrapped])
    pairs: list[Pair] = []
    async with chain.block():
        if chain_id in PROTOCOL_FEE_CHAINS:
            await chain.send(DEPLOYER, factory, "setFeeTo(address)", FEE_COLLECTOR)
        for one, other in PAIRS[chain_id]:
            symbol0, symbol1 = in_order(world, chain_id, one, other)
            tokens = [world.token(chain_id, symbol).address for symbol in (symbol0, symbol1)]
            address = create2_address(factory, keccak(b"".join(bytes.fromhex(token[2:]) for token in tokens)), PAIR_CODE_HASH)
            await chain.send(DEPLOYER, factory, "createPair(address,address)", *tokens)
            pairs.append(Pair(chain_id, address, symbol0, symbol1))
    for pair in pairs:
        await expect_code(world, chain_id, pair.address, f"Uniswap v2 pair {pair.symbol0}/{pair.symbol1}")
    world.record(chain_id, UniswapV2(factory, router, tuple(pairs)))
    for (one, other), usd in PAIRS[chain_id].items():
        amounts = {symbol: raw_worth(world, chain_id, symbol, usd) for symbol in (one, other)}
        await add_liquidity(world, chain_id, one, other, LIQUIDITY_PROVIDER, amounts[one], amounts[other])
    await approve(world, chain_id, TRADER, router, {symbol for pair in PAIRS[chain_id] for symbol in pair})


async def reserves(world: World, pair: Pair) -> tuple[int, int]:
    """Raw reserves of ``symbol0`` and ``symbol1``."""
    answer = await world.chains[pair.chain_id].call(pair.address, "getReserves()(uint112,uint112,uint32)")
    return cast(int, answer[0]), cast(int, answer[1])


async def add_liquidity(world: World, chain_id: int, one: str, other: str, owner: str, amount_one: int, amount_other: int) -> int:
    """Give ``owner`` LP tokens for raw amounts of fresh tokens; returns the LP tokens received (raw, 18 decimals).

    What exceeds the pair's ratio goes to the pair, as with any direct mint: see ``matching_amount``.
    """
    chain = world.chains[chain_id]
    pair = deployment(world, chain_id).pair(one, other)
    before = await _lp_balance(world, pair, owner)
    async with chain.block():
        await world.mint(chain_id, one, pair.address, amount_one)
        await world.mint(chain_id, other, pair.address, amount_other)
        await chain.send(LIQUIDITY_PROVIDER, pair.address, "mint(address)", owner)
    return await _lp_balance(world, pair, owner) - before


async def matching_amount(world: World, chain_id: int, symbol: str, amount: int, other: str) -> int:
    """How much of ``other`` goes with ``amount`` of ``symbol`` at the pair's present ratio, rounded up."""
    pair = deployment(world, chain_id).pair(symbol, other)
    reserve0, reserve1 = await reserves(world, pair)
    mine, theirs = (reserve0, reserve1) if pair.symbol0 == symbol else (reserve1, reserve0)
    return -(-amount * theirs // mine)


async def add_liquidity_worth(world: World, chain_id: int, one: str, other: str, owner: str, usd: Decimal | int) -> int:
    """Give ``owner`` LP tokens worth about ``usd``, half a side, at the pair's present ratio."""
    amount = raw_worth(world, chain_id, one, Decimal(usd) / 2)
    matching = await matching_amount(world, chain_id, one, amount, other)
    return await add_liquidity(world, chain_id, one, other, owner, amount, matching)


async def remove_liquidity(world: World, chain_id: int, one: str, other: str, owner: str, liquidity: int) -> None:
    """Burn ``liquidity`` LP tokens of ``owner``, who receives both tokens."""
    chain = world.chains[chain_id]
    pair = deployment(world, chain_id).pair(one, other)
    async with chain.block():
        await chain.send(owner, pair.address, "transfer(address,uint256)", pair.address, liquidity)
        await chain.send(owner, pair.address, "burn(address)", owner)


async def swap(world: World, chain_id: int, sell: str, buy: str, amount_in: int, recipient: str = TRADER) -> tuple[int, int]:
    """Sell raw ``amount_in`` of ``sell`` through the router with fresh tokens; returns (amount in, amount out)."""
    chain = world.chains[chain_id]
    path = [world.token(chain_id, symbol).address for symbol in (sell, buy)]
    router = deployment(world, chain_id).router
    (amounts,) = await chain.call(router, "getAmountsOut(uint256,address[])(uint256[])", amount_in, path)
    signature = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
    async with chain.block():
        await world.mint(chain_id, sell, TRADER, amount_in)
        await chain.send(TRADER, router, signature, amount_in, 0, path, recipient, DEADLINE)
    amount_out = cast("tuple[int, ...]", amounts)[-1]
    return amount_in, amount_out


async def _lp_balance(world: World, pair: Pair, owner: str) -> int:
    (balance,) = await world.chains[pair.chain_id].call(pair.address, "balanceOf(address)(uint256)", owner)
    return cast(int, balance)
