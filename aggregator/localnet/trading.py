"""Trade in the pools: others' business that leaves fees behind, and arbitrage that brings the pools back to the market.

An arbitrageur trades a pool only to where its fee makes him stop, so pools stand within their fee of the market's
price, as real ones do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isqrt
from random import Random
from typing import Literal, cast

from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3, uniswap_v4
from aggregator.localnet.deploy.shared import DEADLINE, TRADER, raw_worth, token_address, token_decimals
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World

_PURSE_USD = 10**12  # what the trader is given of every token, more than he can ever pay
_NATIVE_PURSE = 10**26
_STEP_USD = 30_000_000  # the most native currency that goes along with one trade; what is not needed comes back
_V2_FEE = 3_000
_BUSY = 0.6  # the chance that somebody trades in a pool in one step
_TYPICAL = 0.004  # of the pool's liquidity
_MILLION = 1_000_000  # fees are millionths

Generation = Literal["v2", "v3", "v4"]


@dataclass(frozen=True, slots=True)
class Venue:
    """One pool of any generation: ``fee`` in millionths, ``usd``: of liquidity at the genesis."""

    generation: Generation
    pool: uniswap_v2.Pair | uniswap_v3.Pool | uniswap_v4.SingletonPool
    fee: int
    usd: int

    @property
    def symbols(self) -> tuple[str, str]:
        return self.pool.symbol0, self.pool.symbol1


def venues(world: World, chain_id: int) -> tuple[Venue, ...]:
    """All pools of a chain."""
    v2, v3, v4 = (module.deployment(world, chain_id) for module in (uniswap_v2, uniswap_v3, uniswap_v4))
    assert isinstance(v2, uniswap_v2.UniswapV2)
    assert isinstance(v3, uniswap_v3.UniswapV3)
    assert isinstance(v4, uniswap_v4.UniswapV4)
    found = [Venue("v2", v2.pair(*pair), _V2_FEE, 2 * usd) for pair, usd in uniswap_v2.PAIRS[chain_id].items()]
    found += [Venue("v3", v3.pool(*key), key[2], usd) for key, usd in uniswap_v3.POOLS[chain_id].items()]
    for (one, other, fee, _, hooked), usd in uniswap_v4.POOLS[chain_id].items():
        found.append(Venue("v4", v4.pool(one, other, fee), uniswap_v4.HOOK_FEE if hooked else fee, usd))
    return tuple(found)


async def fund_trader(world: World, chain_id: int) -> None:
    """Everything the trader may sell, once, in one block. He has approved the routers when they were deployed."""
    chain = world.chains[chain_id]
    symbols = sorted({symbol for venue in venues(world, chain_id) for symbol in venue.symbols} - {"ETH"})
    await chain.set_balance(TRADER, _NATIVE_PURSE)
    await chain.set_balance(DEPLOYER, _NATIVE_PURSE)
    async with chain.block():
        for symbol in symbols:
            await world.mint(
                chain_id, symbol, TRADER, raw_worth(world, chain_id, symbol, _PURSE_USD if symbol != "WETH" else _PURSE_USD // 100)
            )


async def queue_business(world: World, chain_id: int, source: Random, busy: float = _BUSY, typical: float = _TYPICAL) -> None:
    """Trades of everybody else, of chance size and direction. Only inside ``chain.block()``.

    ``busy``: the chance that somebody trades in a pool; ``typical``: how much of its liquidity.
    """
    for venue in venues(world, chain_id):
        if source.random() > busy:
            continue
        sell = venue.symbols[source.randrange(2)]
        usd = Decimal(round(venue.usd * typical * abs(source.gauss(0, 1)), 2))
        await _queue(world, venue, sell, raw_worth(world, chain_id, sell, usd), 0)


async def arbitrage(world: World, chain_id: int, prices: Mapping[str, Decimal]) -> None:
    """Bring every pool of the chain back to within its fee of ``prices`` (USD a whole token), in one block."""
    async with world.chains[chain_id].block():
        await queue_arbitrage(world, chain_id, prices)


async def queue_arbitrage(world: World, chain_id: int, prices: Mapping[str, Decimal]) -> None:
    """The trades of ``arbitrage``, from where the pools stand at the head. Only inside ``chain.block()``."""
    chain, found = world.chains[chain_id], venues(world, chain_id)
    answers = await chain.calls([state_of(world, venue) for venue in found])
    for venue, answer in zip(found, answers, strict=True):
        decimals = [token_decimals(world, chain_id, symbol) for symbol in venue.symbols]
        price = prices[venue.symbols[0]] / prices[venue.symbols[1]]
        fee = Decimal(venue.fee) / _MILLION
        low, high = (maths.sqrt_price_of(price * factor, decimals[0], decimals[1]) for factor in (1 - fee, 1 + fee))
        if venue.generation == "v2":
            await _even_pair(world, venue, cast(int, answer[0]), cast(int, answer[1]), low, high)
            continue
        here = cast(int, answer[0])
        if here < low or here > high:
            sell = venue.symbols[1] if here < low else venue.symbols[0]
            amount = raw_worth(world, chain_id, sell, _STEP_USD)
            await _queue(world, venue, sell, amount, low if here < low else high)


def state_of(world: World, venue: Venue) -> tuple[str, str, tuple[object, ...]]:
    """The call that tells a pool's state: reserves first, or the square-root price."""
    pool = venue.pool
    if isinstance(pool, uniswap_v2.Pair):
        return pool.address, "getReserves()(uint112,uint112,uint32)", ()
    if isinstance(pool, uniswap_v3.Pool):
        return pool.address, "slot0()(uint160,int24,uint16,uint16,uint16,uint8,bool)", ()
    state_view = uniswap_v4.ADDRESSES[pool.chain_id].state_view
    return state_view, "getSlot0(bytes32)(uint160,int24,uint24,uint24)", (pool.id_bytes,)


async def _even_pair(world: World, venue: Venue, reserve0: int, reserve1: int, low: int, high: int) -> None:
    """The product of the reserves stays (the fee left aside), so the amount follows from where the price is to be."""
    product = reserve0 * reserve1
    here = isqrt((reserve1 << 192) // reserve0)
    if here < low:
        await _queue(world, venue, venue.symbols[1], (isqrt(product) * low >> 96) - reserve1, 0)
    elif here > high:
        await _queue(world, venue, venue.symbols[0], (isqrt(product) << 96) // high - reserve0, 0)


async def _queue(world: World, venue: Venue, sell: str, amount: int, limit: int) -> None:
    """Send one trade; ``limit``: the square-root price at which it stops (v3 and v4), 0 for none."""
    pool = venue.pool
    if amount <= 0:
        return
    chain, chain_id = world.chains[pool.chain_id], pool.chain_id
    down = sell == pool.symbol0
    tokens = [token_address(world, chain_id, symbol) for symbol in (venue.symbols if down else venue.symbols[::-1])]
    if isinstance(pool, uniswap_v2.Pair):
        signature = "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)"
        router = uniswap_v2.deployment(world, chain_id).router
        await chain.send(TRADER, router, signature, amount, 0, tokens, TRADER, DEADLINE)
    elif isinstance(pool, uniswap_v3.Pool):
        await chain.send(
            TRADER,
            uniswap_v3.deployment(world, chain_id).router,
            "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
            (*tokens, pool.fee, TRADER, DEADLINE, amount, 0, limit),
        )
    else:
        edge = maths.sqrt_price_at_tick(maths.MIN_TICK) + 1 if down else maths.sqrt_price_at_tick(maths.MAX_TICK) - 1
        await chain.send(
            TRADER,
            uniswap_v4.deployment(world, chain_id).swap_router,
            f"swap({uniswap_v4.KEY},(bool,int256,uint160))",
            *(pool.key, (down, -amount, limit or edge)),
            value=amount if sell == "ETH" else 0,
        )
