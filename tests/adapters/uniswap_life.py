"""Liquidity providers on the real contracts, a market that trades through their ranges, and what the contracts would pay each of them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import cast

from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.localnet import abi
from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3, uniswap_v4
from aggregator.localnet.deploy.shared import DEADLINE, LIQUIDITY_PROVIDER, NATIVE, raw_worth
from aggregator.localnet.node import LocalChain
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address, evm_chain
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import scope_of

MAXIMUM = (1 << 128) - 1
BALANCE = "balanceOf(address)(uint256)"
POSITION = "positions(uint256)(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)"
DECREASE = "decreaseLiquidity((uint256,uint128,uint256,uint256,uint256))(uint256,uint256)"
COLLECT = "collect((uint256,address,uint128,uint128))(uint256,uint256)"
KEY = "getPoolAndPositionInfo(uint256)((address,address,uint24,int24,address),uint256)"

Pays = tuple[tuple[int, int], tuple[int, int]]
"""amounts of token0 and token1 for the liquidity, and fees of both"""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one reading cost, the head included."""

    rounds: int
    requests: int
    bytes_sent: int


class Reader:
    """Reads one adapter on one local chain through the real client."""

    def __init__(self, network: Network, slug: str, chain_id: int) -> None:
        self.adapter = next(adapter for adapter in adapters() if adapter.slug == slug)
        self._chain = evm_chain(chain_id)
        self._client = network.client(self._chain)
        self.abilities = Abilities()
        self.memory = Memory()

    async def read(self, owners: Sequence[str], *, discover: bool = False) -> tuple[Holdings, Costs]:
        before = self._client.statistics
        block = await pin_block(self._client)
        deployment = self.adapter.manifest.deployments[self._chain][0]
        lower = tuple(Address(owner.lower()) for owner in owners)
        async with PinnedReads(self._client, block, self.abilities) as reads:
            scope = scope_of(self.adapter, self._chain, deployment, reads, lower, memory=self.memory, discover=discover)
            holdings = await self.adapter.read(scope)
            rounds = reads.rounds + 1
        after = self._client.statistics
        return holdings, Costs(rounds, after.requests - before.requests, after.bytes_sent - before.bytes_sent)


@asynccontextmanager
async def readers(world: World) -> AsyncIterator[dict[tuple[str, int], Reader]]:
    """A reader for each adapter and chain, by slug and chain."""
    urls = {evm_chain(chain_id): (chain.url,) for chain_id, chain in world.chains.items()}
    slugs = ("uniswap-v2", "uniswap-v3", "uniswap-v4")
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        yield {(slug, chain_id): Reader(network, slug, chain_id) for slug in slugs for chain_id in world.chains}


def person(number: int) -> str:
    """Address of the crowd's member with this number."""
    return f"0x{0x11900D << 96 | number:040x}"


def ranges(tick: int, spacing: int, dice: random.Random) -> list[tuple[int, int]]:
    """In range, narrow, full, all below, all above, and touching the present tick from both sides."""
    here, (lowest, highest) = tick // spacing * spacing, maths.full_range(spacing)
    wide, far = spacing * dice.randint(2, 60), spacing * dice.randint(3, 40)
    chosen = [
        (here - wide, here + wide),
        (here, here + spacing),
        (lowest, highest),
        (here - far - wide, here - far),
        (here + far, here + far + wide),
        (here, here + wide),
        (here - wide, here),
    ]
    return [(max(lower, lowest), min(upper, highest)) for lower, upper in chosen]


async def crowd_v3(world: World, chain_id: int, seed: int) -> list[str]:
    """Owners of every kind of range in every pool; some withdrew half, some all, some collected."""
    dice = random.Random(f"v3 {chain_id} {seed}")
    owners = [person(number) for number in range(12)]
    minted: list[tuple[str, int]] = []
    for pool in uniswap_v3.deployment(world, chain_id).pools:
        tick = (await uniswap_v3.slot0(world, pool)).tick
        for lower, upper in ranges(tick, pool.tick_spacing, dice):
            owner = dice.choice(owners[:10])
            minted.append((owner, await uniswap_v3.mint_worth(world, pool, owner, lower, upper, dice.randint(1, 200_000))))
    await trade_v3(world, chain_id, dice)
    for owner, token_id in dice.sample(minted, len(minted) // 2):
        liquidity = await uniswap_v3.liquidity_of(world, chain_id, token_id)
        what = dice.randrange(4)
        if what < 3:
            await uniswap_v3.decrease_liquidity(world, chain_id, owner, token_id, liquidity if what == 0 else liquidity // 3)
        if what > 1:
            await uniswap_v3.collect(world, chain_id, owner, token_id)
    await trade_v3(world, chain_id, dice)
    return owners


async def trade_v3(world: World, chain_id: int, dice: random.Random) -> None:
    """Swaps both ways, small and through many ticks."""
    for pool in uniswap_v3.deployment(world, chain_id).pools:
        for sell in (pool.symbol0, pool.symbol1) * 2:
            await uniswap_v3.swap(world, pool, sell, raw_worth(world, chain_id, sell, dice.randint(1_000, 3_000_000)))


async def crowd_v4(world: World, chain_id: int, seed: int) -> list[str]:
    """Owners of every kind of range in every pool; some withdrew a part, and some gave their NFT away."""
    dice = random.Random(f"v4 {chain_id} {seed}")
    owners = [person(number) for number in range(12)]
    chain, manager = world.chains[chain_id], uniswap_v4.deployment(world, chain_id).position_manager
    minted = []
    for pool in uniswap_v4.deployment(world, chain_id).pools:
        _, tick = await uniswap_v4.sqrt_price_and_tick(world, pool)
        for lower, upper in ranges(tick, pool.tick_spacing, dice):
            owner = dice.choice(owners[:10])
            token_id = await uniswap_v4.mint_worth(world, pool, owner, lower, upper, dice.randint(1, 200_000))
            minted.append((pool, owner, token_id))
    await trade_v4(world, chain_id, dice)
    for pool, owner, token_id in dice.sample(minted, len(minted) // 2):
        liquidity = await uniswap_v4.liquidity_of(world, chain_id, token_id)
        what = dice.randrange(3)
        if what == 0:
            await chain.send(owner, manager, "transferFrom(address,address,uint256)", owner, dice.choice(owners[:10]), token_id)
        else:
            await uniswap_v4.decrease_liquidity(world, pool, owner, token_id, liquidity if what == 1 else liquidity // 3)
    await trade_v4(world, chain_id, dice)
    return owners


async def trade_v4(world: World, chain_id: int, dice: random.Random) -> None:
    for pool in uniswap_v4.deployment(world, chain_id).pools:
        for sell in (pool.symbol0, pool.symbol1) * 2:
            await uniswap_v4.swap(world, pool, sell, raw_worth(world, chain_id, sell, dice.randint(1_000, 1_000_000)))


async def crowd_v2(world: World, chain_id: int, seed: int) -> list[str]:
    """Owners of shares in every pair, between swaps."""
    dice = random.Random(f"v2 {chain_id} {seed}")
    owners = [person(number) for number in range(6)]
    for pair in uniswap_v2.deployment(world, chain_id).pairs:
        for owner in dice.sample(owners[:5], 3):
            usd = Decimal(dice.randint(1, 10**8)) / 1000
            await uniswap_v2.add_liquidity_worth(world, chain_id, pair.symbol0, pair.symbol1, owner, usd)
            sell, buy = dice.sample((pair.symbol0, pair.symbol1), 2)
            await uniswap_v2.swap(world, chain_id, sell, buy, raw_worth(world, chain_id, sell, dice.randint(1_000, 2_000_000)))
    return owners


async def holders_v3(world: World, chain_id: int) -> dict[int, str]:
    """Every NFT of the position manager and its owner."""
    chain, manager = world.chains[chain_id], uniswap_v3.deployment(world, chain_id).position_manager
    (supply,) = cast("tuple[int]", await chain.call(manager, "totalSupply()(uint256)"))
    ids = await chain.calls([(manager, "tokenByIndex(uint256)(uint256)", (index,)) for index in range(supply)])
    owners = await chain.calls([(manager, "ownerOf(uint256)(address)", one) for one in ids])
    return {cast(int, one[0]): str(owner[0]).lower() for one, owner in zip(ids, owners, strict=True)}


async def pays_v3(world: World, chain_id: int, owner: str, token_id: int) -> Pays:
    """What a full withdrawal and a collection would pay, asked of the contract in the owner's name."""
    chain, manager = world.chains[chain_id], uniswap_v3.deployment(world, chain_id).position_manager
    liquidity = cast(int, (await chain.call(manager, POSITION, token_id))[7])
    collect = abi.parse(COLLECT).encode([(token_id, owner, MAXIMUM, MAXIMUM)])
    steps = [abi.parse(DECREASE).encode([(token_id, liquidity, 0, 0, DEADLINE)]), collect] if liquidity else [collect]
    (answers,) = cast("tuple[tuple[bytes, ...]]", await chain.call(manager, "multicall(bytes[])(bytes[])", steps, sender=owner))
    paid = cast("list[tuple[int, int]]", [abi.decode(["uint256", "uint256"], answer) for answer in answers])
    principal = paid[0] if liquidity else (0, 0)
    return principal, (paid[-1][0] - principal[0], paid[-1][1] - principal[1])


async def holders_v4(world: World, chain_id: int) -> dict[int, str]:
    """Every NFT of the position manager that is not burned and its owner."""
    chain, manager = world.chains[chain_id], uniswap_v4.deployment(world, chain_id).position_manager
    (following,) = cast("tuple[int]", await chain.call(manager, "nextTokenId()(uint256)"))
    owners = await chain.calls([(manager, "ownerOf(uint256)(address)", (token_id,)) for token_id in range(1, following)])
    return {token_id: str(owner[0]).lower() for token_id, owner in enumerate(owners, 1)}


async def pays_v4(world: World, chain_id: int, owner: str, token_id: int) -> Pays:
    """What the owner receives for taking the fees, and then for taking the liquidity; the chain is put back."""
    chain, deployed = world.chains[chain_id], uniswap_v4.deployment(world, chain_id)
    key = cast("tuple[tuple[str, str, int, int, str], int]", await chain.call(deployed.position_manager, KEY, token_id))[0]
    pool = next(pool for pool in deployed.pools if pool.key == key)
    snapshot = await chain.snapshot()
    try:
        held = [await _balances(chain, key[:2], owner)]
        for liquidity in (0, await uniswap_v4.liquidity_of(world, chain_id, token_id)):
            await uniswap_v4.decrease_liquidity(world, pool, owner, token_id, liquidity)
            held.append(await _balances(chain, key[:2], owner))
    finally:
        await chain.revert(snapshot)
    fees, principal = ((after[0] - before[0], after[1] - before[1]) for before, after in pairwise(held))
    return principal, fees


async def pays_v2(world: World, chain_id: int, pair: uniswap_v2.Pair, owner: str) -> tuple[int, int]:
    """What the owner receives for burning all his shares; the chain is put back."""
    chain = world.chains[chain_id]
    tokens = [world.token(chain_id, symbol).address for symbol in (pair.symbol0, pair.symbol1)]
    (shares,) = cast("tuple[int]", await chain.call(pair.address, BALANCE, owner))
    snapshot = await chain.snapshot()
    try:
        before = await _balances(chain, tokens, owner)
        await uniswap_v2.remove_liquidity(world, chain_id, pair.symbol0, pair.symbol1, owner, shares)
        after = await _balances(chain, tokens, owner)
    finally:
        await chain.revert(snapshot)
    return after[0] - before[0], after[1] - before[1]


async def _balances(chain: LocalChain, tokens: Sequence[str], owner: str) -> tuple[int, int]:
    first, second = [
        await chain.balance(owner) if token == NATIVE else cast(int, (await chain.call(token, BALANCE, owner))[0]) for token in tokens
    ]
    return first, second


async def dust_nfts(world: World, pool: uniswap_v3.Pool, owner: str, count: int) -> None:
    """Mint many small position NFTs to one owner, a hundred in a transaction."""
    chain, manager = world.chains[pool.chain_id], uniswap_v3.deployment(world, pool.chain_id).position_manager
    tokens = [world.token(pool.chain_id, symbol).address for symbol in (pool.symbol0, pool.symbol1)]
    lower, upper = maths.full_range(pool.tick_spacing)
    amount = raw_worth(world, pool.chain_id, pool.symbol0, 1), raw_worth(world, pool.chain_id, pool.symbol1, 1)
    for symbol, one in zip((pool.symbol0, pool.symbol1), amount, strict=True):
        await world.mint(pool.chain_id, symbol, LIQUIDITY_PROVIDER, one * count)
    signature = "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"
    mint = abi.parse(signature).encode([(*tokens, pool.fee, lower, upper, *amount, 0, 0, owner, DEADLINE)])
    for first in range(0, count, 50):
        await chain.send(LIQUIDITY_PROVIDER, manager, "multicall(bytes[])", [mint] * min(50, count - first))
