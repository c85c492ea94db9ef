"""Depths read from pools, against what selling into the very pools does to their price."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.contagion.depth import Concentrated
from aggregator.engine.systemic.depth import read_depths, take_with_depth
from aggregator.engine.systemic.population import take_population
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3
from aggregator.localnet.world import World
from aggregator.model.identifiers import evm_chain
from aggregator.reading.depth import PoolDepth
from tests.engine.test_population import rpc

pytestmark = pytest.mark.localnet

BALANCE = "balanceOf(address)(uint256)"


async def depths(world: World, chain_id: int) -> tuple[PoolDepth, ...]:
    book = (await take_population(rpc(world))).book
    assert book is not None
    urls = {evm_chain(number): (chain.url,) for number, chain in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        client = network.client(evm_chain(chain_id))
        before = client.requests
        found = await read_depths(network, evm_chain(chain_id), await pin_block(client), book)
        assert client.requests - before <= 6
    return found


@pytest.mark.parametrize(
    ("chain_id", "sell", "other", "fee"),
    [
        (1, "WETH", "USDC", 500),
        (1, "WBTC", "WETH", 3000),
        (1, "wstETH", "WETH", 100),
        (8453, "WETH", "USDC", 500),
        (8453, "cbBTC", "USDC", 500),
    ],
)
@pytest.mark.parametrize("factor", [0.97, 0.6])
async def test_so_much_sold_takes_a_pool_to_the_price_that_was_foretold(
    world: World, chain_id: int, sell: str, other: str, fee: int, factor: float
) -> None:
    pool = uniswap_v3.deployment(world, chain_id).pool(sell, other, fee)
    token = world.token(chain_id, sell)
    (found,) = (one for one in await depths(world, chain_id) if one.pool == pool.address.lower() and token.address.lower() in one.asset)
    foretold = float(Concentrated(np.array(found.bounds), np.array(found.liquidity), found.fee).sold_down_to(np.array([factor]))[0])
    here = (await uniswap_v3.slot0(world, pool)).sqrt_price
    wanted = factor if sell == pool.symbol0 else 1.0 / factor
    held = await in_pool(world, chain_id, token.address, pool.address)
    await uniswap_v3.swap(world, pool, sell, int(foretold * 3), int(here * wanted**0.5))
    moved = (await uniswap_v3.slot0(world, pool)).sqrt_price / here
    assert moved**2 == pytest.approx(wanted, rel=1e-9)
    assert await in_pool(world, chain_id, token.address, pool.address) - held == pytest.approx(foretold, rel=1e-6)


async def in_pool(world: World, chain_id: int, token: str, pool: str) -> int:
    return cast(int, (await world.chains[chain_id].call(token, BALANCE, pool))[0])


async def test_a_pair_falls_as_its_reserves_say(world: World) -> None:
    weth = world.token(1, "WETH").address.lower()

    async def of_ether() -> dict[str, PoolDepth]:
        return {one.pool: one for one in await depths(world, 1) if one.bounds == (1.0, 0.0) and weth in one.asset}

    before = await of_ether()
    pair = uniswap_v2.deployment(world, 1).pair("USDC", "WETH")
    found = before[pair.address.lower()]
    venue = Concentrated(np.array(found.bounds), np.array(found.liquidity), found.fee)
    sold = float(venue.sold_down_to(np.array([0.7]))[0])
    zero, one = await uniswap_v2.reserves(world, pair)
    await uniswap_v2.swap(world, 1, "WETH", "USDC", int(sold))
    after_zero, after_one = await uniswap_v2.reserves(world, pair)
    moved = (after_zero / after_one) / (zero / one)
    moved = moved if moved < 1.0 else 1.0 / moved
    assert moved == pytest.approx(0.7, rel=2e-3)  # the fee stays in the pair, so its price falls a little less than foretold
    others = {name: depth for name, depth in (await of_ether()).items() if name != found.pool}
    assert others == {name: depth for name, depth in before.items() if name != found.pool}


async def test_what_no_pool_takes_has_no_known_depth(deployed: World) -> None:
    found = await take_with_depth(rpc(deployed))
    book, impact = found.population.book, found.impact
    assert book is not None and impact is not None and found.pools > 20
    unknown = {book.assets[code].symbol for code in np.flatnonzero(impact.unknown).tolist()}
    assert "LINK" in unknown and not unknown & {"WETH", "wstETH", "WBTC"}
    half = impact.factor(np.full(len(book.assets), 10e6))
    weth = [code for code, one in enumerate(book.assets) if one.symbol == "WETH"]
    assert (half[weth] < 1.0).all() and (half[weth] > 0.1).all()
