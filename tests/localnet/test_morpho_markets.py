"""Morpho Blue on the local chains: production ids, real accounting, and the odd markets."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet import abi
from aggregator.localnet.deploy import morpho, morpho_markets
from aggregator.localnet.deploy.shared import raw
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World

pytestmark = pytest.mark.localnet

OWNER = "0x00000000000000000000000000000000000c0ffe"
MARKET = "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)"
CHAINS = (1, 42161, 8453)


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_ids_are_hashes_of_the_parameters_on_chain(world: World, chain_id: int) -> None:
    deployed = morpho.deployment(world, chain_id)
    assert deployed.morpho == morpho.BLUE[chain_id]
    assert len(deployed.markets) >= 6
    signature = f"idToMarketParams(bytes32){morpho.PARAMS}"
    for market in deployed.markets:
        params = await world.chains[chain_id].call(deployed.morpho, signature, market.id_bytes)
        assert params == market.params
        assert morpho.market_id(params) == market.id


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_production_ids(world: World, chain_id: int) -> None:
    expected = {one.name: one.production_id for one in morpho_markets.LISTINGS[chain_id] if one.production_id}
    assert len(expected) >= 4
    assert {name: morpho.market(world, chain_id, name).id for name in expected} == expected


async def test_known_ids() -> None:
    """Two of Morpho's best known markets, from their parameters alone."""
    usdc, irm = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", morpho.ADAPTIVE_CURVE[1]
    wsteth = (usdc, "0x7f39C581F595B53c5cb19bD0b3f8dA6c935E2Ca0", "0x48F7E36EB6B826B2dF4B2E630B62Cd25e89E40e2")
    assert morpho.market_id((*wsteth, irm, 86 * 10**16)).startswith("0xb323495f7e4148be5643a4ea4a8221ee")
    wbtc = (usdc, "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599", "0xDddd770BADd886dF3864029e4B377B5F6a2B6b83")
    assert morpho.market_id((*wbtc, irm, 86 * 10**16)).startswith("0x3a85e619751152991742810df6ec69ce")


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_oracles_show_the_price_table(world: World, chain_id: int) -> None:
    """collateral price / loan price * 1e(36 + loan decimals - collateral decimals), but for the wrong scale."""
    for market in morpho.deployment(world, chain_id).markets:
        if not market.collateral:
            continue
        decimals = [world.token(chain_id, symbol).decimals for symbol in (market.loan, market.collateral)]
        expected = (world.prices[market.collateral] / world.prices[market.loan]).scaleb(36 + decimals[0] - decimals[1])
        if market.name.startswith("wrong-scale"):
            expected = expected.scaleb(12)
        assert abs(await morpho.oracle_price(world, market) / expected - 1) < Decimal("0.003"), market.name


async def test_a_borrower_owes_what_he_received_and_interest_grows(world: World) -> None:
    market = morpho.market(world, 1, "wstETH/USDC")
    collateral = raw(10, 18)
    borrowed = await morpho.open_position(world, market, OWNER, collateral, Decimal("0.7"))
    assert await world.balance(1, "USDC", OWNER) == borrowed
    position = await morpho.position(world, market, OWNER)
    assert position.collateral == collateral
    first = await _debt(world, market, position.borrow_shares)
    assert borrowed <= first <= borrowed + 1
    await world.chains[1].set_time(await world.chains[1].now() + 30 * 86_400)
    await morpho.accrue_interest(world, market)
    assert await _debt(world, market, position.borrow_shares) > borrowed
    with pytest.raises(LocalChainError, match="insufficient collateral"):
        await morpho.borrow(world, market, OWNER, borrowed)


async def test_supply_repay_and_withdraw(world: World) -> None:
    market = morpho.market(world, 8453, "cbBTC/USDC")
    await morpho.supply(world, market, OWNER, raw(1_000, 6))
    assert (await morpho.position(world, market, OWNER)).supply_shares > 0
    await morpho.withdraw(world, market, OWNER, raw(400, 6))
    assert await world.balance(8453, "USDC", OWNER) == raw(400, 6)
    borrowed = await morpho.open_position(world, market, OWNER, raw(1, 8), Decimal("0.5"))
    before = (await morpho.position(world, market, OWNER)).borrow_shares
    await morpho.repay(world, market, OWNER, borrowed // 2)
    assert (await morpho.position(world, market, OWNER)).borrow_shares < before * 0.51
    await morpho.withdraw_collateral(world, market, OWNER, raw("0.1", 8))
    assert (await morpho.position(world, market, OWNER)).collateral == raw("0.9", 8)


async def test_fee_market_dilutes_suppliers(world: World) -> None:
    market = morpho.market(world, 1, "weETH/WETH")
    (fee,) = (await world.chains[1].call(morpho.BLUE[1], MARKET, market.id_bytes))[-1:]
    assert fee == morpho.MARKET_FEE
    await world.chains[1].set_time(await world.chains[1].now() + 86_400)
    await morpho.accrue_interest(world, market)
    assert (await morpho.position(world, market, morpho.FEE_RECIPIENT)).supply_shares > 0


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_rate_rises_with_utilisation_and_adapts(world: World, chain_id: int) -> None:
    deployed = morpho.deployment(world, chain_id)
    signature = f"borrowRateView({morpho.PARAMS},(uint128,uint128,uint128,uint128,uint128,uint128))(uint256)"
    unused = (*deployed.markets[0].params[:4], 0)  # no rate at target yet: four per cent a year

    async def yearly(utilization: str) -> Decimal:
        now = await world.chains[chain_id].now()
        state = (10**18, 10**18, raw(utilization, 18), 10**18, now, 0)
        (rate,) = await world.chains[chain_id].call(deployed.irm, signature, unused, state)
        return Decimal(cast(int, rate)) * 365 * 86_400 / 10**18

    assert abs(await yearly("0") - Decimal("0.01")) < Decimal("1e-6")
    assert abs(await yearly("0.9") - Decimal("0.04")) < Decimal("1e-6")
    assert abs(await yearly("1") - Decimal("0.16")) < Decimal("1e-6")
    # above the target for a day: the rate at target grows by e^(50 distance / 365)
    market = max(deployed.markets, key=lambda one: one.lltv)
    state = await world.chains[chain_id].call(deployed.morpho, MARKET, market.id_bytes)
    getter = "rateAtTarget(bytes32)(int256)"
    (before,) = await world.chains[chain_id].call(deployed.irm, getter, market.id_bytes)
    utilization = Decimal(cast(int, state[2])) / Decimal(cast(int, state[0]))
    room = Decimal("0.1") if utilization > Decimal("0.9") else Decimal("0.9")
    distance = (utilization - Decimal("0.9")) / room
    await world.chains[chain_id].set_time(cast(int, state[4]) + 86_400)
    await morpho.accrue_interest(world, market)
    (after,) = await world.chains[chain_id].call(deployed.irm, getter, market.id_bytes)
    expected = cast(int, before) * (50 * distance / 365).exp()
    assert abs(Decimal(cast(int, after)) / expected - 1) < Decimal("0.005")


async def test_broken_oracle_freezes_its_market(world: World) -> None:
    market = morpho.market(world, 1, "brittle WETH/USDC")
    await morpho.open_position(world, market, OWNER, raw(5, 18), Decimal("0.5"))
    await morpho.set_oracle_broken(world, 1, True)
    with pytest.raises(LocalChainError):
        await morpho.oracle_price(world, market)
    with pytest.raises(LocalChainError):
        await morpho.withdraw_collateral(world, market, OWNER, 1)
    await morpho.set_oracle_broken(world, 1, False)
    await morpho.withdraw_collateral(world, market, OWNER, 1)


async def test_liquidation_of_everything_leaves_bad_debt(world: World) -> None:
    market = morpho.market(world, 1, "WETH/USDC")
    collateral = raw(100, 18)
    await morpho.open_position(world, market, OWNER, collateral, Decimal("0.8"))
    with pytest.raises(LocalChainError, match="position is healthy"):
        await morpho.liquidate(world, market, OWNER, collateral)
    await world.set_price(1, "ETH / USD", world.prices["ETH"] * Decimal("0.6"))
    await morpho.accrue_interest(world, market)
    before = await world.chains[1].call(morpho.BLUE[1], MARKET, market.id_bytes)
    await morpho.liquidate(world, market, OWNER, collateral)
    after = await world.chains[1].call(morpho.BLUE[1], MARKET, market.id_bytes)
    assert await morpho.position(world, market, OWNER) == morpho.Position(0, 0, 0)
    assert cast(int, after[0]) < cast(int, before[0])  # assets fall, shares do not
    assert after[1] == before[1]


async def test_idle_market_has_neither_oracle_nor_rate(world: World) -> None:
    market = morpho.market(world, 1, "idle/USDC")
    assert market.params[1:] == (abi.ZERO_ADDRESS, abi.ZERO_ADDRESS, abi.ZERO_ADDRESS, 0)
    supplied = (await world.chains[1].call(morpho.BLUE[1], MARKET, market.id_bytes))[0]
    assert cast(int, supplied) > 0


async def test_wrong_scale_lets_dust_borrow_everything(world: World) -> None:
    market = morpho.market(world, 1, "wrong-scale LINK/USDC")
    await morpho.supply_collateral(world, market, OWNER, raw("0.001", 18))
    await morpho.borrow(world, market, OWNER, raw(1_000_000, 6))
    assert await world.balance(1, "USDC", OWNER) == raw(1_000_000, 6)


async def test_oracle_parts_can_be_read(world: World) -> None:
    market = morpho.market(world, 1, "sUSDe/DAI")
    chain = world.chains[1]
    assert await chain.call(market.oracle, "BASE_VAULT()(address)") == (world.token(1, "sUSDe").address,)
    assert await chain.call(market.oracle, "BASE_FEED_1()(address)") == world.feed(1, "USDe / USD").proxies[:1]
    assert await chain.call(market.oracle, "QUOTE_FEED_1()(address)") == world.feed(1, "DAI / USD").proxies[:1]
    assert await chain.call(market.oracle, "BASE_FEED_2()(address)") == (abi.ZERO_ADDRESS,)


async def _debt(world: World, market: morpho.Market, shares: int) -> int:
    state = await world.chains[market.chain_id].call(morpho.BLUE[market.chain_id], MARKET, market.id_bytes)
    assets, total = cast(int, state[2]), cast(int, state[3])
    return -(-shares * (assets + 1) // (total + 10**6))
