"""Rate tokens on the local chains: the protocol's own rate to the unit, on Ethereum by its view and elsewhere by its feed."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import rates
from aggregator.localnet.world import World
from tests.adapters.local_reader import Reading, leaves, local_reader

pytestmark = pytest.mark.localnet

ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
OWNER = "0x000000000000000000000000000000000000E001"
AMOUNT = 12_345_678_901_234_567_891


def leaf_of(world: World, reading: Reading, chain_id: int, symbol: str) -> dict[str, int]:
    ((leg,),) = (p.legs for p in reading.of(OWNER, world.token(chain_id, symbol).address))
    assert leg.amount == AMOUNT
    return leaves(leg.look_through)


@pytest.mark.parametrize("symbol", ["rETH", "cbETH", "weETH"])
async def test_the_protocols_rate_is_exact_and_falls_with_a_slashing(world: World, symbol: str) -> None:
    await world.mint(1, symbol, OWNER, AMOUNT)
    async with local_reader(world) as reader:
        for _ in range(2):
            reading = await reader.read(["rate-tokens"], 1, [OWNER])
            assert leaf_of(world, reading, 1, symbol) == {"ETH": AMOUNT * await rates.rate(world, symbol) // 10**18}
            # those that the network has not deployed are nothing and no gap
            assert reading.gaps == []
            await rates.set_rate(world, symbol, Decimal("0.97"))


@pytest.mark.parametrize(
    ("chain_id", "symbol", "description", "underlying"),
    [
        (42161, "rETH", "rETH / ETH Exchange Rate", "ETH"),
        (42161, "weETH", "weETH / eETH Exchange Rate", "ETH"),
        (8453, "cbETH", "cbETH / ETH Exchange Rate", "ETH"),
        (8453, "weETH", "weETH / eETH Exchange Rate", "ETH"),
        (8453, "sUSDS", "sUSDS / USDS Exchange Rate", "USDS"),
    ],
)
async def test_elsewhere_the_feed_of_the_rate_counts(world: World, chain_id: int, symbol: str, description: str, underlying: str) -> None:
    await world.mint(chain_id, symbol, OWNER, AMOUNT)
    feed = world.feed(chain_id, description)
    async with local_reader(world) as reader:
        reading = await reader.read(["rate-tokens"], chain_id, [OWNER])
    answer = cast(int, (await world.chains[chain_id].call(feed.proxies[0], ROUND))[1])
    assert leaf_of(world, reading, chain_id, symbol) == {underlying: AMOUNT * answer // 10**feed.decimals}
