"""The adapters on the real contracts of the local network: what they report is what a withdrawal pays, to the last unit."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from aggregator.localnet.deploy import uniswap_math as maths
from aggregator.localnet.deploy import uniswap_v2, uniswap_v3, uniswap_v4
from aggregator.localnet.deploy.shared import LIQUIDITY_PROVIDER
from aggregator.localnet.world import World
from aggregator.model.identifiers import erc20, evm_chain, native
from aggregator.model.position import Position
from aggregator.reading.adapter import Holdings
from aggregator.reading.kit import broken_laws
from tests.adapters import uniswap_life as life
from tests.adapters.uniswap_life import Reader, person, readers

pytestmark = pytest.mark.localnet

CHAINS = (1, 42161, 8453)


def by_id(holdings: Holdings) -> dict[int, Position]:
    found = {int(position.identifiers["token_id"]): position for position in holdings.positions}
    assert len(found) == len(holdings.positions)
    return found


def paid(position: Position) -> life.Pays:
    (first, second) = position.legs
    return (first.amount, second.amount), (first.fees, second.fees)


async def assert_v3_equals_the_contract(world: World, chain_id: int, reader: Reader) -> dict[int, Position]:
    """Every NFT there is, of crowd, house and seeded owners alike."""
    holders = await life.holders_v3(world, chain_id)
    holdings, _ = await reader.read(sorted(set(holders.values())))
    assert (broken_laws(holdings), holdings.gaps, holdings.remarks) == ([], (), ())
    positions = by_id(holdings)
    for token_id, owner in holders.items():
        pays = await life.pays_v3(world, chain_id, owner, token_id)
        position = positions.get(token_id)
        if position is None:
            assert pays == ((0, 0), (0, 0)), token_id
        else:
            assert (position.owner, paid(position)) == (owner, pays), token_id
    return positions


async def assert_v4_equals_the_contract(world: World, chain_id: int, reader: Reader) -> dict[int, Position]:
    holders = await life.holders_v4(world, chain_id)
    holdings, _ = await reader.read(sorted(set(holders.values())))
    assert (broken_laws(holdings), holdings.gaps) == ([], ())
    positions = by_id(holdings)
    for token_id, owner in holders.items():
        position = positions.get(token_id)
        if position is None:
            assert await uniswap_v4.liquidity_of(world, chain_id, token_id) == 0
        else:
            assert (position.owner, paid(position)) == (owner, await life.pays_v4(world, chain_id, owner, token_id)), token_id
    return positions


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_v3_equals_a_withdrawal_while_the_market_trades(world: World, chain_id: int) -> None:
    await life.crowd_v3(world, chain_id, seed=3)
    async with readers(world) as by_key:
        reader = by_key["uniswap-v3", chain_id]
        positions = (await assert_v3_equals_the_contract(world, chain_id, reader)).values()
        assert {position.identifiers["in_range"] for position in positions} == {"true", "false"}
        assert any(legs[0].amount == 0 < legs[1].amount for legs in (position.legs for position in positions))
        assert any(legs[1].amount == 0 < legs[0].amount for legs in (position.legs for position in positions))
        assert any(position.range is not None and position.range.liquidity == 0 for position in positions)
        assert sum(leg.fees > 0 for position in positions for leg in position.legs) > 10
        await life.trade_v3(world, chain_id, random.Random(5))
        await assert_v3_equals_the_contract(world, chain_id, reader)


async def test_v3_exactly_on_a_tick_from_both_sides(world: World) -> None:
    pool = uniswap_v3.deployment(world, 1).pool("USDC", "WETH", 500)
    here = (await uniswap_v3.slot0(world, pool)).tick // pool.tick_spacing * pool.tick_spacing
    edge = here + 3 * pool.tick_spacing
    ids = [
        await uniswap_v3.mint_worth(world, pool, person(number), lower, upper, 1_000)
        for number, (lower, upper) in enumerate([(edge, edge + 100), (edge - 100, edge), (edge - 50, edge + 50)])
    ]
    async with readers(world) as by_key:
        reader = by_key["uniswap-v3", 1]
        for beyond, expected in ((edge - 40, edge), (edge + 40, edge - 1)):
            # from below the pool says the edge's tick, from above the tick before it, both at the edge's price
            await uniswap_v3.move_to_tick(world, pool, beyond)
            await uniswap_v3.move_to_tick(world, pool, edge)
            slot = await uniswap_v3.slot0(world, pool)
            assert (slot.sqrt_price, slot.tick) == (maths.sqrt_price_at_tick(edge), expected)
            positions = await assert_v3_equals_the_contract(world, 1, reader)
            above, below, both = (positions[token_id].legs for token_id in ids)
            assert (above[0].amount > 0, above[1].amount) == (True, 0)
            assert (below[0].amount, below[1].amount > 0) == (0, True)
            assert both[0].amount > 0 < both[1].amount


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_v4_equals_a_withdrawal_while_the_market_trades(world: World, chain_id: int) -> None:
    await life.crowd_v4(world, chain_id, seed=3)
    async with readers(world) as by_key:
        reader = by_key["uniswap-v4", chain_id]
        positions = await assert_v4_equals_the_contract(world, chain_id, reader)
        ether = native(evm_chain(chain_id), 60)
        assert any(leg.asset == ether for position in positions.values() for leg in position.legs)
        assert sum(leg.fees > 0 for position in positions.values() for leg in position.legs) > 10
        await life.trade_v4(world, chain_id, random.Random(5))
        again = await assert_v4_equals_the_contract(world, chain_id, reader)
        assert again.keys() == positions.keys()
        hooked = {position.identifiers["token_id"] for position in again.values() if "hooks" in position.identifiers}
        holdings, _ = await reader.read([position.owner for position in again.values()])
        assert bool(hooked) == (chain_id == 1)
        assert {remark.detail.split()[2] for remark in holdings.remarks} == hooked


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_v2_equals_a_burn_with_and_without_the_protocol_fee(world: World, chain_id: int) -> None:
    owners = [*await life.crowd_v2(world, chain_id, seed=3), LIQUIDITY_PROVIDER]
    async with readers(world) as by_key:
        reader = by_key["uniswap-v2", chain_id]
        for _ in range(2):
            holdings, _ = await reader.read(owners)
            assert (broken_laws(holdings), holdings.gaps, holdings.remarks) == ([], (), ())
            found = {(position.market, str(position.owner)): position for position in holdings.positions}
            for pair in uniswap_v2.deployment(world, chain_id).pairs:
                for owner in owners:
                    position = found.pop((pair.address.lower(), owner.lower()), None)
                    (shares,) = await world.chains[chain_id].call(pair.address, life.BALANCE, owner)
                    assert (position.legs[0].amount if position is not None else 0) == shares
                    if position is not None:
                        (leg,) = position.legs
                        assert leg.asset in holdings.claims
                        assert tuple(part.amount for part in leg.look_through) == await life.pays_v2(world, chain_id, pair, owner)
            assert found == {}
            pair = uniswap_v2.deployment(world, chain_id).pairs[0]
            amount = 10 ** world.token(chain_id, pair.symbol0).decimals * 1_000
            await uniswap_v2.swap(world, chain_id, pair.symbol0, pair.symbol1, amount)


async def test_v2_pairs_of_any_tokens_are_found_with_discovery(world: World) -> None:
    """The pairs are unknown when no token is listed: only the logs and the factory can tell of them."""
    owners = await life.crowd_v2(world, 1, seed=4)
    async with readers(world) as by_key:
        listed, _ = await by_key["uniswap-v2", 1].read(owners)
        reader = by_key["uniswap-v2", 1]
        reader.memory.keep("candidates", ())
        reader.memory.keep("pairs", None)
        found, costs = await reader.read(owners, discover=True)
        assert {(position.market, position.owner) for position in found.positions} == {
            (position.market, position.owner) for position in listed.positions
        }
        assert {position.legs[0].look_through for position in found.positions} == {
            position.legs[0].look_through for position in listed.positions
        }
        assert costs.rounds <= 3


async def test_a_thousand_and_one_nfts_on_the_real_manager(world: World) -> None:
    pool = uniswap_v3.deployment(world, 42161).pool("WETH", "USDC", 500)
    owner = person(77)
    await life.dust_nfts(world, pool, owner, 1_001)
    async with readers(world) as by_key:
        reader = by_key["uniswap-v3", 42161]
        holdings, costs = await reader.read([owner])
        assert (len(by_id(holdings)), holdings.gaps) == (1_001, ())
        assert costs.rounds == 3
        warm, costs = await reader.read([owner])
        assert (len(by_id(warm)), costs.rounds) == (1_001, 2)
        for token_id in list(by_id(holdings))[::100]:
            assert paid(by_id(holdings)[token_id]) == await life.pays_v3(world, 42161, owner, token_id)


@pytest.mark.parametrize(("slug", "cold"), [("uniswap-v2", 3), ("uniswap-v3", 2), ("uniswap-v4", 3)])
async def test_rounds_requests_and_bytes_stay_small(world: World, slug: str, cold: int) -> None:
    """The head included: a round for it, then one for what can be enumerated, two for what must be found first."""
    await life.crowd_v2(world, 1, seed=6)
    owners = [*(await life.crowd_v3(world, 1, seed=6)), *(await life.crowd_v4(world, 1, seed=6))]
    async with readers(world) as by_key:
        everything, _ = await by_key[slug, 1].read(owners)
        busiest = Counter(position.owner for position in everything.positions).most_common(1)[0][0]
    async with readers(world) as by_key:
        reader = by_key[slug, 1]
        holdings, first = await reader.read([busiest])
        again, second = await reader.read([busiest])
        assert len(holdings.positions) >= 2
        assert again.positions == holdings.positions
        assert (first.rounds, first.requests) == (cold, cold)
        assert (second.rounds, second.requests) == (2, 2)
        assert first.bytes_sent < 150_000
        assert second.bytes_sent < 100_000


async def test_v2_assets_are_the_pairs_own_tokens(world: World) -> None:
    async with readers(world) as by_key:
        holdings, _ = await by_key["uniswap-v2", 8453].read([LIQUIDITY_PROVIDER])
    pair = uniswap_v2.deployment(world, 8453).pair("WETH", "USDC")
    assert holdings.claims == {erc20(evm_chain(8453), holdings.positions[0].market)}  # type: ignore[arg-type]
    assert holdings.positions[0].market == pair.address.lower()


@pytest.mark.parametrize("slug", ["uniswap-v2", "uniswap-v3", "uniswap-v4"])
async def test_an_endpoint_without_state_overrides_gives_the_same(world: World, slug: str) -> None:
    owners = await life.crowd_v2(world, 8453, seed=8)
    await life.crowd_v3(world, 8453, seed=8)
    await life.crowd_v4(world, 8453, seed=8)
    async with readers(world) as by_key:
        expected, _ = await by_key[slug, 8453].read(owners)
    async with readers(world) as by_key:
        by_key[slug, 8453].abilities.lens = False
        plain, _ = await by_key[slug, 8453].read(owners)
    assert expected.positions
    assert (plain.positions, plain.gaps) == (expected.positions, ())
