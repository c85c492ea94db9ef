"""Liquidity of the owners: where it stands to the price, what is owed, and what was taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from aggregator.localnet import market
from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3, uniswap_v4
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet
POSITION = "positions(uint256)(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)"
INFO = "getPoolAndPositionInfo(uint256)((address,address,uint24,int24,address),uint256)"
TRANSFERRED = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@dataclass(frozen=True, slots=True)
class Held:
    """One v3 NFT with its pool's price."""

    lower: int
    upper: int
    liquidity: int
    owed: tuple[int, int]
    growth: tuple[int, int]
    sqrt_price: int
    tick: int
    symbols: tuple[str, str]

    @property
    def in_range(self) -> bool:
        return self.lower <= self.tick < self.upper

    @property
    def amounts(self) -> tuple[int, int]:
        low, high = maths.sqrt_price_at_tick(self.lower), maths.sqrt_price_at_tick(self.upper)
        return maths.amounts_for_liquidity(self.sqrt_price, low, high, self.liquidity)


async def held(world: World, name: str, chain_id: int = 1) -> list[Held]:
    chain, who = world.chains[chain_id], world.owner(name).address
    deployed = uniswap_v3.deployment(world, chain_id)
    manager = deployed.position_manager
    (count,) = await chain.call(manager, "balanceOf(address)(uint256)", who)
    found: list[Held] = []
    for index in range(cast(int, count)):
        (token_id,) = await chain.call(manager, "tokenOfOwnerByIndex(address,uint256)(uint256)", who, index)
        one = await chain.call(manager, POSITION, token_id)
        pool = next(
            pool
            for pool in deployed.pools
            if [world.token(chain_id, symbol).address for symbol in (pool.symbol0, pool.symbol1)] == list(one[2:4]) and pool.fee == one[4]
        )
        price = await uniswap_v3.slot0(world, pool)
        lower, upper, liquidity, growth0, growth1, owed0, owed1 = cast("tuple[int, ...]", one[5:])
        found.append(
            Held(lower, upper, liquidity, (owed0, owed1), (growth0, growth1), price.sqrt_price, price.tick, (pool.symbol0, pool.symbol1))
        )
    return found


async def test_shares_of_pairs(inhabited: World) -> None:
    for name, chain_id, pair in (
        ("v2-lp", 1, ("USDC", "WETH")),
        ("v2-lp", 1, ("DAI", "WETH")),
        ("v2-lp-rollups", 42161, ("WETH", "USDC")),
        ("v2-lp-rollups", 8453, ("WETH", "USDC")),
    ):
        address = uniswap_v2.deployment(inhabited, chain_id).pair(*pair).address
        (shares,) = await inhabited.chains[chain_id].call(address, "balanceOf(address)(uint256)", inhabited.owner(name).address)
        assert cast(int, shares) > 0


async def test_in_range_and_out_of_it_on_both_sides(inhabited: World) -> None:
    (inside,) = await held(inhabited, "v3-in-range")
    assert inside.in_range
    assert all(inside.amounts)
    (below,) = await held(inhabited, "v3-below")
    assert below.upper <= below.tick
    assert below.amounts[0] == 0 < below.amounts[1]
    (above,) = await held(inhabited, "v3-above")
    assert above.tick < above.lower
    assert above.amounts[1] == 0 < above.amounts[0]


async def test_the_fall_left_a_position_behind(inhabited: World) -> None:
    (one,) = await held(inhabited, "v3-fell-out")
    assert not one.in_range
    price = market.PRICES["USDC"] / market.PRICES["WETH"]
    opened = maths.tick_at_sqrt_price(maths.sqrt_price_of(price, 6, 18))
    assert one.lower <= opened < one.upper
    assert one.symbols[0 if one.amounts[0] else 1] == "WETH", "what fell is what is left"


async def test_the_whole_range(inhabited: World) -> None:
    for chain_id, spacing in ((1, 60), (8453, 10)):
        (one,) = await held(inhabited, "v3-full-range", chain_id)
        assert (one.lower, one.upper) == maths.full_range(spacing)
        assert one.in_range


@pytest.mark.parametrize(
    ("name", "chain_id", "edge", "reached"),
    [
        ("v3-on-tick", 42161, "lower", 0),
        ("v3-on-tick-from-above", 8453, "lower", -1),
        ("v3-on-upper-tick", 42161, "upper", 0),
    ],
)
async def test_exactly_on_a_tick(inhabited: World, name: str, chain_id: int, edge: str, reached: int) -> None:
    (one,) = await held(inhabited, name, chain_id)
    bound = one.lower if edge == "lower" else one.upper
    assert one.sqrt_price == maths.sqrt_price_at_tick(bound)
    assert one.tick == bound + reached
    assert one.in_range is (name == "v3-on-tick")
    first, second = one.amounts
    assert (first > 0, second > 0) == ((True, False) if edge == "lower" else (False, True))


async def test_fees_written_down_and_fees_still_growing(inhabited: World) -> None:
    (one,) = await held(inhabited, "v3-uncollected-fees")
    assert one.liquidity > 0
    assert all(one.owed), "written down halfway"
    pool = uniswap_v3.deployment(inhabited, 1).pool("USDC", "USDT", 100)
    grown = [cast(int, (await inhabited.chains[1].call(pool.address, f"feeGrowthGlobal{side}X128()(uint256)"))[0]) for side in (0, 1)]
    inside = [await _growth_inside(inhabited, pool, one, side) for side in (0, 1)]
    since = [(now - then) % (1 << 256) for now, then in zip(inside, one.growth, strict=True)]
    assert all(value * one.liquidity >> 128 > 0 for value in since)
    assert all(value <= whole for value, whole in zip(since, grown, strict=True))


async def _growth_inside(world: World, pool: uniswap_v3.Pool, one: Held, side: int) -> int:
    """A pool's fee growth inside a range that its price stands in: what grew in all less what grew outside."""
    signature = "ticks(int24)(uint128,int128,uint256,uint256,int56,uint160,uint32,bool)"
    chain = world.chains[pool.chain_id]
    outside = [cast(int, (await chain.call(pool.address, signature, tick))[2 + side]) for tick in (one.lower, one.upper)]
    (whole,) = await chain.call(pool.address, f"feeGrowthGlobal{side}X128()(uint256)")
    assert one.in_range
    return (cast(int, whole) - sum(outside)) % (1 << 256)


async def test_half_withdrawn_and_emptied(inhabited: World) -> None:
    (half,) = await held(inhabited, "v3-half-withdrawn")
    assert half.liquidity > 0
    principal = half.amounts
    assert all(owed > amount // 10 for owed, amount in zip(half.owed, principal, strict=True)), "half of it lies in the NFT"
    (emptied,) = await held(inhabited, "v3-emptied")
    assert emptied.liquidity == 0
    assert any(emptied.owed)
    (burned,) = await held(inhabited, "v3-emptied", 42161)
    assert (burned.liquidity, burned.owed) == (0, (0, 0))


async def test_many_positions_side_by_side(inhabited: World) -> None:
    many = await held(inhabited, "v3-many", 42161)
    assert len(many) == 28
    assert sum(one.in_range for one in many) >= 1
    assert {one.tick < one.lower for one in many} == {True, False}
    assert len({(one.lower, one.upper) for one in many}) == 28


async def test_v4_positions(inhabited: World) -> None:
    expected = {("v4-lp", 1): [True, False], ("v4-lp", 8453): [True], ("v4-lp-hooked", 1): [True, True], ("v4-lp-emptied", 42161): [True]}
    for (name, chain_id), within in expected.items():
        found = await singleton_positions(inhabited, name, chain_id)
        assert [inside for inside, _ in found] == within
        assert all(liquidity > 0 for _, liquidity in found)
    ((_, liquidity),) = await singleton_positions(inhabited, "v4-lp-emptied", 1)
    assert liquidity == 0


async def singleton_positions(world: World, name: str, chain_id: int) -> list[tuple[bool, int]]:
    """Whether in range, and liquidity, of each v4 NFT that the owner was ever sent (none was passed on)."""
    chain, deployed = world.chains[chain_id], uniswap_v4.deployment(world, chain_id)
    who = world.owner(name).address
    topics = [TRANSFERRED, None, f"0x{int(who, 16):064x}"]
    request = {"fromBlock": "0x0", "toBlock": "latest", "address": deployed.position_manager, "topics": topics}
    logs = cast("list[dict[str, list[str]]]", await chain.rpc("eth_getLogs", request))
    found: list[tuple[bool, int]] = []
    for token_id in (int(log["topics"][3], 16) for log in logs):
        assert await chain.call(deployed.position_manager, "ownerOf(uint256)(address)", token_id) == (who,)
        key, info = await chain.call(deployed.position_manager, INFO, token_id)
        pool = next(pool for pool in deployed.pools if pool.key == key)
        lower, upper = (_signed(cast(int, info) >> shift & 0xFFFFFF) for shift in (8, 32))
        _, tick = await uniswap_v4.sqrt_price_and_tick(world, pool)
        found.append((lower <= tick < upper, await uniswap_v4.liquidity_of(world, chain_id, token_id)))
    return found


def _signed(value: int) -> int:
    return value - (1 << 24) if value >> 23 else value
