"""The adapter on the real pools of the local network: every figure equal to the contracts' own, to the last unit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from aggregator.localnet.deploy import lending, shared
from aggregator.localnet.deploy.feed_listings import SEQUENCER_FEEDS
from aggregator.localnet.deploy.lending import LendingMarket
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World
from aggregator.model.position import MarginAccount, Side
from aggregator.model.units import UINT256_MAX, WAD
from aggregator.reading.adapter import Holdings
from aggregator.reading.kit import broken_laws
from tests.adapters.lending_life import Reader, Truth, crowd, markets, person, put, raw, readers, take, truth

pytestmark = pytest.mark.localnet

CROWD = 30
DAY = 86_400


def amounts(account: MarginAccount, side: Side) -> dict[str, int]:
    found: dict[str, int] = {}
    for leg in account.legs:
        if leg.side is side:
            found[leg.symbol] = found.get(leg.symbol, 0) + leg.amount
    return found


def assert_equal(account: MarginAccount, told: Truth) -> None:
    """One account against the contracts, nothing rounded, nothing left out."""
    theirs = told.account
    assert (account.health_factor if account.health_factor is not None else UINT256_MAX) == theirs.health_factor
    assert account.liquidatable == (theirs.health_factor < WAD)
    assert account.debt_free == (not told.owed)
    assert account.collateral_value == Decimal(theirs.collateral).scaleb(-8)
    assert account.debt_value == Decimal(theirs.debt).scaleb(-8)
    assert account.liquidation_threshold == Decimal(theirs.liquidation_threshold).scaleb(-4)
    assert amounts(account, Side.COLLATERAL) == told.supplied
    assert amounts(account, Side.DEBT) == told.owed
    values = [leg.terms.oracle_value for leg in account.legs if leg.side is Side.DEBT and leg.terms is not None]
    assert sum((value for value in values if value is not None), Decimal(0)) == account.debt_value


async def assert_equals_the_pool(world: World, market: LendingMarket, reader: Reader, owners: Sequence[str]) -> Holdings:
    """Read everybody and compare with the pool; the recomputation must agree too."""
    holdings, _ = await reader.read(owners)
    assert broken_laws(holdings) == []
    assert (holdings.gaps, holdings.remarks) == ((), ())
    by_owner = {str(account.owner): account for account in holdings.margin_accounts}
    for owner, told in zip(owners, await truth(world, market, owners), strict=True):
        account = by_owner.pop(owner.lower(), None)
        assert (account is None) == told.is_nothing, owner
        if account is not None:
            assert_equal(account, told)
    assert not by_owner
    return holdings


def everybody(owners: Sequence[str]) -> list[str]:
    """A crowd, the house and its borrowers, and somebody who was never there."""
    house = [f"0x{int(shared.HOUSE_BORROWER, 16) + (number << 32):040x}" for number in range(20)]
    return [*owners, shared.LIQUIDITY_PROVIDER, shared.HOUSE_BORROWER, *house, person(9_999)]


@pytest.mark.parametrize(("slug", "chain_id"), [("aave-v3", 1), ("aave-v3", 42161), ("aave-v3", 8453), ("spark", 1)])
async def test_a_crowd_equals_the_pool_through_time_and_prices(world: World, slug: str, chain_id: int) -> None:
    market, chain = markets(world)[slug, chain_id], world.chains[chain_id]
    owners = everybody(await crowd(world, market, CROWD, seed=7))
    async with readers(world) as by_market:
        reader = by_market[slug, chain_id]
        healthy = await assert_equals_the_pool(world, market, reader, owners)
        assert sum(not account.debt_free for account in healthy.margin_accounts) >= 8
        positions = [position for account in healthy.margin_accounts for position in account.positions]
        assert any("e_mode" in position.identifiers for position in positions)
        assert any(position.identifiers.get("rate") == "stable" for position in positions) == (slug == "spark")
        await chain.set_time(await chain.now() + 41 * DAY + 12_345)
        await assert_equals_the_pool(world, market, reader, owners)
        await world.set_price(chain_id, "ETH / USD", world.prices["ETH"] * Decimal("0.45"))
        await world.set_price(chain_id, "BTC / USD", world.prices["BTC"] * Decimal("0.45"))
        fallen = await assert_equals_the_pool(world, market, reader, owners)
        assert any(account.liquidatable for account in fallen.margin_accounts)
        await chain.send(market.admin, market.configurator, "setReserveFreeze(address,bool)", market.reserves["WETH"].asset, True)
        await chain.send(market.admin, market.configurator, "setReservePause(address,bool)", market.reserves["USDC"].asset, True)
        await assert_equals_the_pool(world, market, reader, owners)


async def test_a_liquidation_down_to_bad_debt(world: World) -> None:
    """SparkLend keeps bad debt with its owner; the newer generation writes it off and the account is gone."""
    for key in (("spark", 1), ("aave-v3", 1)):
        market, owner, liquidator = markets(world)[key], person(1), person(2)
        await put(world, market, owner, "WETH", "2")
        await take(world, market, owner, "USDC", "3500")
        price = world.prices["ETH"]
        await world.set_price(1, "ETH / USD", price * Decimal("0.4"))
        await lending.give(world, 1, "USDC", liquidator, raw(world, market, "USDC", "10000"))
        await lending.liquidate(world, market, liquidator, owner, "WETH", "USDC", raw(world, market, "USDC", "10000"))
        async with readers(world) as by_market:
            holdings = await assert_equals_the_pool(world, market, by_market[key], [owner])
        if key[0] == "spark":
            (account,) = holdings.margin_accounts
            assert (account.health_factor, account.liquidatable) == (0, True)
            assert account.liquidation_blocked == "no collateral is left to seize"
        else:
            assert holdings.margin_accounts == ()
        await world.set_price(1, "ETH / USD", price)


async def test_special_collateral(world: World) -> None:
    """E-mode-only and isolated collateral, a siloed debt, a receipt that was sent, collateral switched off."""
    market = markets(world)["aave-v3", 1]
    alone, isolated, siloed, given, off = (person(number) for number in range(11, 16))
    await put(world, market, alone, "weETH", "3")
    await lending.set_e_mode(world, market, alone, market.e_modes["weETH Stablecoins"])
    await lending.use_as_collateral(world, market, alone, "weETH")
    await take(world, market, alone, "USDC", "5000")
    await put(world, market, isolated, "CRV", "20000")
    await lending.use_as_collateral(world, market, isolated, "CRV")
    await take(world, market, isolated, "USDC", "1000")
    await put(world, market, siloed, "WETH", "2")
    await take(world, market, siloed, "GHO", "1500")
    await world.chains[1].send(siloed, market.reserves["WETH"].a_token, "transfer(address,uint256)", given, 10**17)
    await put(world, market, off, "WETH", "1")
    await lending.use_as_collateral(world, market, off, "WETH", False)
    async with readers(world) as by_market:
        holdings = await assert_equals_the_pool(world, market, by_market["aave-v3", 1], [alone, isolated, siloed, given, off])
    accounts = {str(account.owner): account for account in holdings.margin_accounts}
    terms = {owner: accounts[owner.lower()].positions for owner in (alone, isolated, siloed, given, off)}
    weeth = next(leg.terms for position in terms[alone] for leg in position.legs if leg.symbol == "weETH")
    assert weeth is not None and weeth.liquidation_threshold == Decimal("0.8")
    assert any(position.identifiers.get("isolated") == "true" for position in terms[isolated])
    assert any(position.identifiers.get("siloed") == "true" for position in terms[siloed])
    for owner in (given, off):
        (position,) = terms[owner]
        assert "used_as_collateral" not in position.identifiers
        assert position.legs[0].terms is not None and position.legs[0].terms.liquidation_threshold == 0


async def test_a_sleeping_sequencer_blocks_liquidation_and_wakes_slowly(world: World) -> None:
    market, chain, owner = markets(world)["aave-v3", 42161], world.chains[42161], person(1)
    await put(world, market, owner, "WETH", "10")
    await take(world, market, owner, "USDC", Decimal(10) * world.prices["ETH"] * Decimal("0.79"))
    await world.set_price(42161, "ETH / USD", world.prices["ETH"] * Decimal("0.94"))
    feed = SEQUENCER_FEEDS[42161]
    async with readers(world) as by_market:
        reader = by_market["aave-v3", 42161]

        async def state() -> str | None:
            (account,) = (await assert_equals_the_pool(world, market, reader, [owner])).margin_accounts
            assert account.liquidatable
            return account.liquidation_blocked

        assert await state() is None
        await chain.send(DEPLOYER, feed, "set(bool)", True)
        assert await state() is not None
        await chain.send(DEPLOYER, feed, "set(bool)", False)
        assert await state() is not None
        await chain.set_time(await chain.now() + 2 * 3_600)
        assert await state() is None
        pause, ether = "setReservePause(address,bool,uint40)", market.reserves["WETH"].asset
        await chain.send(market.admin, market.configurator, pause, ether, True, 0)
        assert await state() == "collateral: WETH is paused"
        await chain.send(market.admin, market.configurator, pause, ether, False, 7_200)
        blocked = await state()
        assert blocked is not None and blocked.startswith("collateral: WETH is in a grace period until ")
        await chain.set_time(await chain.now() + 7_201)
        assert await state() is None


async def test_a_dead_feed_costs_only_its_holders(world: World) -> None:
    market = markets(world)["aave-v3", 1]
    holder, other, supplier = person(1), person(2), person(3)
    for owner, symbol in ((holder, "LINK"), (other, "WETH"), (supplier, "LINK")):
        await put(world, market, owner, symbol, "100")
    for owner in (holder, other):
        await take(world, market, owner, "USDC", "500")
    await world.chains[1].rpc("anvil_setCode", market.reserves["LINK"].oracle, "0xfe")
    async with readers(world) as by_market:
        holdings, _ = await by_market["aave-v3", 1].read([holder, other, supplier])
    assert broken_laws(holdings) == []
    hit, fine, free = holdings.margin_accounts
    assert (hit.health_factor, hit.liquidatable, hit.debt_free, hit.collateral_value) == (None, None, False, None)
    assert len(hit.legs) == 2
    assert fine.health_factor is not None
    assert (free.debt_free, free.liquidatable, free.collateral_value) == (True, False, None)
    assert {gap.what for gap in holdings.gaps} == {
        "oracle price of LINK (Core)",
        f"health of {holder.lower()} (Core)",
        f"health of {supplier.lower()} (Core)",
    }


async def test_what_it_costs(world: World) -> None:
    """One owner: one round beside the head, cold and warm. A hundred: at most two, each a single request."""
    market = markets(world)["aave-v3", 1]
    owners = everybody(await crowd(world, market, 4, seed=3)) + [person(number) for number in range(100, 174)]
    assert len(owners) == 101
    async with readers(world) as by_market:
        for key in (("aave-v3", 1), ("spark", 1), ("aave-v3", 42161), ("aave-v3", 8453)):
            reader = by_market[key]
            for _ in range(2):
                _, costs = await reader.read(owners[:1])
                assert (costs.rounds, costs.requests) == (2, 2)
            holdings, costs = await reader.read(owners)
            assert costs.requests == costs.rounds <= 3
            assert costs.bytes_sent < 400_000
            assert holdings.gaps == ()
