"""Aave v3.6 on three chains and SparkLend (v3.0.2) on Ethereum, as a user meets them."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet import abi
from aggregator.localnet.deploy import lending
from aggregator.localnet.deploy.aave_markets import AAVE
from aggregator.localnet.deploy.feed_listings import SEQUENCER_FEEDS
from aggregator.localnet.deploy.lending import STABLE_RATE, LendingMarket
from aggregator.localnet.deploy.spark_market import SPARK
from aggregator.localnet.node import DEPLOYER, LocalChainError
from aggregator.localnet.world import CHAINS, World

pytestmark = pytest.mark.localnet

OWNER, SECOND = "0x" + "0a" * 20, "0x" + "0b" * 20
NO_DEBT = 2**256 - 1
ETHER = 10**18
PRICE = "getAssetPrice(address)(uint256)"
LATEST = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"


async def _supplied(world: World, market: LendingMarket, owner: str, symbol: str, amount: int) -> None:
    await lending.give(world, market.chain_id, symbol, owner, amount)
    await lending.supply(world, market, owner, symbol, amount)


async def _price(world: World, market: LendingMarket, symbol: str) -> int:
    chain = world.chains[market.chain_id]
    return cast(int, (await chain.call(market.oracle, PRICE, market.reserves[symbol].asset))[0])


async def test_everything_lies_where_production_has_it(deployed: World) -> None:
    for chain_id in CHAINS:
        market, listed, chain = lending.aave(deployed, chain_id), AAVE[chain_id], deployed.chains[chain_id]
        assert await chain.call(market.provider, "getPool()(address)") == (listed.pool,)
        assert await chain.call(market.provider, "getPriceOracle()(address)") == (listed.oracle,)
        assert await chain.call(market.provider, "getPoolDataProvider()(address)") == (listed.data_provider,)
        assert await chain.call(listed.pool, "POOL_REVISION()(uint256)") == (10,)
        (reserves,) = await chain.call(market.ui_data_provider, "getReservesList(address)(address[])", market.provider)
        assert reserves == tuple(market.reserves[one.symbol].asset for one in listed.reserves)
        for one in listed.reserves:
            made = market.reserves[one.symbol]
            assert made.a_token == one.a_token
            assert await chain.call(made.a_token, "UNDERLYING_ASSET_ADDRESS()(address)") == (made.asset,)
            assert await chain.call(market.oracle, "getSourceOfAsset(address)(address)", made.asset) == (one.oracle.address,)
    spark = lending.spark(deployed)
    assert await deployed.chains[1].call(SPARK.provider, "getPool()(address)") == (SPARK.pool,)
    assert [one.a_token for one in SPARK.reserves] == [spark.reserves[one.symbol].a_token for one in SPARK.reserves]


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_a_suppliers_and_borrowers_account_is_what_the_contracts_rounding_gives(world: World, chain_id: int) -> None:
    market, chain = lending.aave(world, chain_id), world.chains[chain_id]
    assert (await lending.account(world, market, OWNER)).health_factor == NO_DEBT
    await _supplied(world, market, OWNER, "WETH", 10 * ETHER)
    supplied = await lending.account(world, market, OWNER)
    weth, usdc = await _price(world, market, "WETH"), await _price(world, market, "USDC")
    assert 10 * weth - 1 <= supplied.collateral <= 10 * weth, "rounded down"
    assert supplied.debt == 0
    await lending.borrow(world, market, OWNER, "USDC", 12_000 * 10**6)
    account = await lending.account(world, market, OWNER)
    reserve = market.reserves
    (collateral,) = await chain.call(reserve["WETH"].a_token, "balanceOf(address)(uint256)", OWNER)
    (debt,) = await chain.call(reserve["USDC"].variable_debt_token, "balanceOf(address)(uint256)", OWNER)
    assert isinstance(collateral, int)
    assert isinstance(debt, int)
    value = collateral * weth // ETHER
    owed = -(-debt * usdc // 10**6)
    assert (account.collateral, account.debt) == (value, owed)
    assert account.health_factor == value * account.liquidation_threshold * ETHER // owed // 10_000
    assert account.liquidation_threshold == next(one.collateral[1] for one in AAVE[chain_id].reserves if one.symbol == "WETH")


async def test_some_collateral_counts_only_inside_an_e_mode(world: World) -> None:
    market = lending.aave(world, 1)
    await _supplied(world, market, OWNER, "weETH", 10 * ETHER)
    assert (await lending.account(world, market, OWNER)).collateral == 0
    await lending.set_e_mode(world, market, OWNER, market.e_modes["ETH correlated"])
    await lending.use_as_collateral(world, market, OWNER, "weETH")
    account = await lending.account(world, market, OWNER)
    assert (account.ltv, account.liquidation_threshold) == (9300, 9500)
    with pytest.raises(LocalChainError, match="NotBorrowableInEMode"):
        await lending.borrow(world, market, OWNER, "USDC", 10**6)
    await lending.borrow(world, market, OWNER, "WETH", 9 * ETHER)
    with pytest.raises(LocalChainError):
        await lending.set_e_mode(world, market, OWNER, 0)


async def test_an_e_modes_ltv_zero_asset_bears_health_but_no_borrowing(world: World) -> None:
    market, chain = lending.aave(world, 1), world.chains[1]
    category, asset = market.e_modes["ETH correlated"], market.reserves["cbETH"].asset
    await _supplied(world, market, OWNER, "wstETH", 10 * ETHER)
    await _supplied(world, market, OWNER, "cbETH", 10 * ETHER)
    with pytest.raises(LocalChainError, match="InvalidCollateralInEmode"):
        await lending.set_e_mode(world, market, OWNER, category)
    # as it was while owners took their positions
    setter = "setAssetLtvzeroInEMode(address,uint8,bool)"
    await chain.send(market.admin, market.configurator, setter, asset, category, False)
    await lending.set_e_mode(world, market, OWNER, category)
    before = await lending.account(world, market, OWNER)
    await chain.send(market.admin, market.configurator, setter, asset, category, True)
    after = await lending.account(world, market, OWNER)
    assert before.ltv == 9300
    share = 10 * await _price(world, market, "wstETH") / after.collateral
    assert after.ltv == pytest.approx(9300 * share, abs=2), "only wstETH allows to borrow"
    assert before.liquidation_threshold == after.liquidation_threshold == 9500


async def test_an_isolated_asset_has_a_ceiling_and_stands_alone(world: World) -> None:
    market = lending.aave(world, 42161)
    await _supplied(world, market, OWNER, "ARB", 1_000_000 * ETHER)
    assert (await lending.account(world, market, OWNER)).collateral == 0, "isolated collateral is not enabled by itself"
    await lending.use_as_collateral(world, market, OWNER, "ARB")
    with pytest.raises(LocalChainError, match="AssetNotBorrowableInIsolation"):
        await lending.borrow(world, market, OWNER, "WETH", ETHER)
    await lending.borrow(world, market, OWNER, "USDC", 50_000 * 10**6)
    chain, asset = world.chains[42161], market.reserves["ARB"].asset
    ceiling = await chain.call(market.data_provider, "getDebtCeiling(address)(uint256)", asset)
    assert ceiling == (20_000_000 * 100,)
    await _supplied(world, market, OWNER, "WETH", ETHER)
    with pytest.raises(LocalChainError, match="UserInIsolationModeOrLtvZero"):
        await lending.use_as_collateral(world, market, OWNER, "WETH")


async def test_a_siloed_debt_bears_no_other(world: World) -> None:
    market = lending.aave(world, 1)
    await _supplied(world, market, OWNER, "WETH", 10 * ETHER)
    await lending.borrow(world, market, OWNER, "GHO", 1_000 * ETHER)
    with pytest.raises(LocalChainError, match="SiloedBorrowingViolation"):
        await lending.borrow(world, market, OWNER, "USDC", 10**6)


async def test_caps_frozen_and_paused_reserves_refuse(world: World) -> None:
    market = lending.aave(world, 1)
    await lending.give(world, 1, "AAVE", OWNER, 3_000_000 * ETHER)
    with pytest.raises(LocalChainError, match="SupplyCapExceeded"):
        await lending.supply(world, market, OWNER, "AAVE", 3_000_000 * ETHER)
    await lending.supply(world, market, OWNER, "AAVE", 1_000 * ETHER)
    with pytest.raises(LocalChainError, match="BorrowingNotEnabled"):
        await lending.borrow(world, market, OWNER, "AAVE", ETHER)
    for symbol, reason in (("LUSD", "ReserveFrozen"), ("UNI", "ReservePaused")):
        await lending.give(world, 1, symbol, OWNER, ETHER)
        with pytest.raises(LocalChainError, match=reason):
            await lending.supply(world, market, OWNER, symbol, ETHER)


async def test_the_sentinel_holds_borrowing_back_after_an_outage(world: World) -> None:
    market, chain = lending.aave(world, 8453), world.chains[8453]
    await _supplied(world, market, OWNER, "WETH", 10 * ETHER)
    await chain.send(DEPLOYER, SEQUENCER_FEEDS[8453], "set(bool)", True)
    await chain.send(DEPLOYER, SEQUENCER_FEEDS[8453], "set(bool)", False)
    with pytest.raises(LocalChainError, match="PriceOracleSentinelCheckFailed"):
        await lending.borrow(world, market, OWNER, "USDC", 10**6)
    await chain.set_time(await chain.now() + 3_700)
    await lending.borrow(world, market, OWNER, "USDC", 10**6)


async def test_capped_oracles_hide_what_the_feed_says(world: World) -> None:
    market = lending.aave(world, 1)
    await world.set_price(1, "USDC / USD", Decimal("1.09"))
    assert await _price(world, market, "USDC") == 104_000_000
    assert await _price(world, market, "GHO") == 100_000_000, "a constant, whatever the market says"
    await world.set_price(1, "USDe / USD", Decimal("0.65"))
    assert await _price(world, market, "USDe") > 99_000_000, "priced by another dollar's feed"


async def test_a_falling_price_makes_an_account_liquidatable(world: World) -> None:
    market = lending.aave(world, 42161)
    await _supplied(world, market, OWNER, "WETH", 10 * ETHER)
    await lending.borrow(world, market, OWNER, "USDC", 20_000 * 10**6)
    await lending.give(world, 42161, "USDC", SECOND, 20_000 * 10**6)
    with pytest.raises(LocalChainError, match="HealthFactorNotBelowThreshold"):
        await lending.liquidate(world, market, SECOND, OWNER, "WETH", "USDC", 5_000 * 10**6)
    await world.set_price(42161, "ETH / USD", Decimal(2300))
    before = await lending.account(world, market, OWNER)
    assert before.health_factor < ETHER
    await lending.liquidate(world, market, SECOND, OWNER, "WETH", "USDC", 5_000 * 10**6)
    assert (await lending.account(world, market, OWNER)).debt < before.debt
    assert await world.balance(42161, "WETH", SECOND) > 2 * ETHER


async def test_the_older_generation_has_two_kinds_of_debt_and_one_price_for_an_e_mode(world: World) -> None:
    market, chain = lending.spark(world), world.chains[1]
    await world.set_price(1, "USDC / USD", Decimal("0.97"))
    await _supplied(world, market, OWNER, "USDC", 1_000_000 * 10**6)
    plain = await lending.account(world, market, OWNER)
    await lending.set_e_mode(world, market, OWNER, market.e_modes["Stablecoins"])
    inside = await lending.account(world, market, OWNER)
    assert plain.collateral == pytest.approx(970_000 * 10**8, rel=1e-6)
    assert inside.collateral == pytest.approx(1_000_000 * 10**8, rel=1e-6)
    await _supplied(world, market, SECOND, "WETH", 100 * ETHER)
    await lending.borrow(world, market, SECOND, "USDC", 50_000 * 10**6, STABLE_RATE)
    await lending.borrow(world, market, SECOND, "USDC", 30_000 * 10**6)
    reserve = market.reserves["USDC"]
    (stable,) = await chain.call(reserve.stable_debt_token, "balanceOf(address)(uint256)", SECOND)
    (variable,) = await chain.call(reserve.variable_debt_token, "balanceOf(address)(uint256)", SECOND)
    assert cast(int, stable) >= 50_000 * 10**6
    assert cast(int, variable) >= 30_000 * 10**6
    account = await lending.account(world, market, SECOND)
    assert account.debt == pytest.approx((cast(int, stable) + cast(int, variable)) * 97, rel=1e-6)
    assert account.health_factor == pytest.approx(account.collateral * 8_300 * ETHER // 10_000 // account.debt, rel=1e-6)


async def test_reserves_are_in_use_and_rates_follow(deployed: World) -> None:
    for market in (lending.aave(deployed, 1), lending.aave(deployed, 42161), lending.aave(deployed, 8453), lending.spark(deployed)):
        chain = deployed.chains[market.chain_id]
        reserve = market.reserves["USDC"]
        ((total,), (owed,)) = await chain.calls(
            [(reserve.a_token, "totalSupply()(uint256)", ()), (reserve.variable_debt_token, "totalSupply()(uint256)", ())]
        )
        assert 0.5 < cast(int, owed) / cast(int, total) < 0.9
        nonce = await chain.rpc("eth_getTransactionCount", market.configurator, "latest")
        assert isinstance(nonce, str)
        assert await chain.code(market.configurator)


def test_no_asset_is_collateral_and_closed_by_accident() -> None:
    for listed in (*AAVE.values(), SPARK):
        symbols = [one.symbol for one in listed.reserves]
        assert len(symbols) == len(set(symbols))
        for mode in listed.e_modes:
            assert {*mode.collateral, *mode.borrowable} <= set(symbols)
            assert set(mode.ltv_zero) <= set(mode.collateral)
        assert all(one.a_token.startswith("0x") and one.a_token != abi.ZERO_ADDRESS for one in listed.reserves)
