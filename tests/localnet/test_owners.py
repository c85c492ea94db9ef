"""Who the owners are, and that those in lending markets end as their stories say, by the contracts' own account."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import lending, morpho
from aggregator.localnet.deploy.lending import LendingMarket
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.owners import PROFILES, address_of
from aggregator.localnet.owners.lending_parts import LendingAccount, LiquidatedAccount, market_of
from aggregator.localnet.owners.morpho_parts import Borrow, LiquidatedBorrow, state
from aggregator.localnet.world import CHAINS, World, WorldError

pytestmark = pytest.mark.localnet
WAD = 10**18


def market(world: World, key: str) -> LendingMarket:
    return {
        "aave": lending.aave(world, 1),
        "arbitrum": lending.aave(world, 42161),
        "base": lending.aave(world, 8453),
        "spark": lending.spark(world),
    }[key]


async def account(world: World, key: str, name: str) -> lending.Account:
    return await lending.account(world, market(world, key), world.owner(name).address)


async def used(world: World, key: str, name: str, symbol: str) -> bool:
    """Whether the market counts the owner's supply of the asset as collateral."""
    where = market(world, key)
    signature = "getUserReserveData(address,address)(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint40,bool)"
    answer = await world.chains[where.chain_id].call(
        where.data_provider, signature, where.reserves[symbol].asset, world.owner(name).address
    )
    assert cast(int, answer[0]) > 0, "supplied"
    return cast(bool, answer[8])


def test_everybody_has_a_name_a_story_and_one_address() -> None:
    assert len(PROFILES) >= 45
    assert len({profile.name for profile in PROFILES}) == len({address_of(profile.name) for profile in PROFILES}) == len(PROFILES)
    for profile in PROFILES:
        assert profile.story
        assert not profile.story.endswith(".")
        assert len(profile.story) <= 140
        assert set(profile.owner.chains) <= set(CHAINS)
    assert address_of("empty") == "0x1f59eE5F566Dd99Ed9D096924484E2497F9aB91d"


async def test_the_world_remembers_its_owners(inhabited: World) -> None:
    assert inhabited.owners == tuple(profile.owner for profile in PROFILES)
    assert inhabited.owner("three-chains").chains == CHAINS
    assert inhabited.owner("empty").chains == ()
    with pytest.raises(WorldError, match="no owner nobody"):
        inhabited.owner("nobody")


STEERED = [
    (profile.name, part)
    for profile in PROFILES
    for part in profile.parts
    if isinstance(part, LendingAccount) and part.health is not None and not isinstance(part, LiquidatedAccount)
]


@pytest.mark.parametrize(("name", "part"), STEERED, ids=[f"{name}-{part.chain_id}-{part.protocol}" for name, part in STEERED])
async def test_an_account_ends_where_it_is_meant_to(inhabited: World, name: str, part: LendingAccount) -> None:
    assert part.health is not None
    where = market_of(inhabited, part.chain_id, part.protocol)
    found = await lending.account(inhabited, where, inhabited.owner(name).address)
    assert abs(Decimal(found.health_factor) / WAD / part.health - 1) < Decimal("2e-4")


@pytest.mark.parametrize(
    ("key", "name", "low", "high"),
    [
        ("aave", "aave-safe", "3", "4"),
        ("aave", "aave-tight", "1.07", "1.09"),
        ("aave", "aave-edge", "1.0015", "1.0025"),
        ("aave", "aave-liquidatable", "0.95", "0.9999"),
        ("aave", "aave-deep-under-water", "0.85", "0.9499"),
        ("aave", "aave-partly-liquidated", "0.95", "1.1"),
        ("arbitrum", "rich-but-liquidatable", "0.95", "0.9999"),
        ("base", "base-liquidatable", "0.95", "0.9999"),
        ("spark", "spark-edge", "1.002", "1.004"),
        ("spark", "spark-liquidatable", "0.95", "0.9999"),
    ],
)
async def test_from_safe_to_liquidatable(inhabited: World, key: str, name: str, low: str, high: str) -> None:
    found = await account(inhabited, key, name)
    assert Decimal(low) <= Decimal(found.health_factor) / WAD <= Decimal(high)


async def test_a_liquidator_may_only_touch_whom_he_may(lived: World) -> None:
    where, liquidator = lending.aave(lived, 1), "0x0000000000000000000000000000000000000B0b"
    await lending.give(lived, 1, "USDC", liquidator, 10**10)
    before = await account(lived, "aave", "aave-liquidatable")
    await lending.liquidate(lived, where, liquidator, lived.owner("aave-liquidatable").address, "WETH", "USDC", 10**10)
    after = await account(lived, "aave", "aave-liquidatable")
    assert after.debt < before.debt
    with pytest.raises(LocalChainError, match="HealthFactorNotBelowThreshold"):
        await lending.liquidate(lived, where, liquidator, lived.owner("aave-edge").address, "wstETH", "USDC", 10**6)


async def test_bad_debt_and_debt_alone(inhabited: World) -> None:
    bad = await account(inhabited, "aave", "aave-bad-debt")
    assert 0 < bad.collateral < bad.debt
    alone = await account(inhabited, "spark", "spark-debt-only")
    assert (alone.collateral, alone.health_factor) == (0, 0)
    assert alone.debt > 10**8


async def test_supply_alone_owes_nothing(inhabited: World) -> None:
    found = await account(inhabited, "aave", "aave-supplier")
    assert found.collateral > 100_000 * 10**8
    assert (found.debt, found.health_factor) == (0, (1 << 256) - 1)


@pytest.mark.parametrize(
    ("key", "name", "label"),
    [
        ("aave", "aave-emode-ether", "ETH correlated"),
        ("aave", "aave-emode-ltv-zero", "ETH correlated"),
        ("aave", "aave-emode-only-collateral", "USDe Stablecoins"),
        ("arbitrum", "arbitrum-emode-dollars", "Stablecoins"),
        ("base", "base-emode-bitcoin", "cbBTC Stablecoins"),
        ("spark", "spark-emode-dollars", "Stablecoins"),
        ("aave", "aave-safe", ""),
    ],
)
async def test_e_modes(inhabited: World, key: str, name: str, label: str) -> None:
    where = market(inhabited, key)
    (category,) = await inhabited.chains[where.chain_id].call(where.pool, "getUserEMode(address)(uint256)", inhabited.owner(name).address)
    assert category == (where.e_modes[label] if label else 0)


async def test_collateral_that_lends_nothing_still_counts(inhabited: World) -> None:
    """cbETH has no LTV in the e-mode: the account could borrow less than its threshold alone would say."""
    found = await account(inhabited, "aave", "aave-emode-ltv-zero")
    assert await used(inhabited, "aave", "aave-emode-ltv-zero", "cbETH")
    assert found.ltv < found.liquidation_threshold / 1.5


@pytest.mark.parametrize(
    ("key", "name", "symbol", "expected"),
    [
        ("aave", "aave-collateral-disabled", "WETH", False),
        ("aave", "aave-collateral-disabled", "USDC", True),
        ("aave", "aave-received-shares", "WETH", False),
        ("spark", "spark-received-shares", "WETH", True),
        ("aave", "aave-isolation", "CRV", True),
        ("arbitrum", "arbitrum-isolation", "ARB", True),
        ("spark", "spark-isolation", "cbBTC", True),
        ("aave", "aave-frozen-collateral", "LUSD", True),
        ("aave", "aave-paused-collateral", "UNI", True),
    ],
)
async def test_what_counts_as_collateral(inhabited: World, key: str, name: str, symbol: str, expected: bool) -> None:
    assert await used(inhabited, key, name, symbol) is expected


async def test_special_reserves_are_what_they_are_for(inhabited: World) -> None:
    chain, where = inhabited.chains[1], lending.aave(inhabited, 1)

    async def ask(function: str, symbol: str, returns: str) -> object:
        (answer,) = await chain.call(where.data_provider, f"{function}(address)({returns})", where.reserves[symbol].asset)
        return answer

    assert cast(int, await ask("getDebtCeiling", "CRV", "uint256")) > 0
    assert await ask("getSiloedBorrowing", "GHO", "bool") is True
    assert await ask("getPaused", "UNI", "bool") is True
    configuration = "getReserveConfigurationData(address)(uint256,uint256,uint256,uint256,uint256,bool,bool,bool,bool,bool)"
    assert (await chain.call(where.data_provider, configuration, where.reserves["LUSD"].asset))[9] is True
    for key, name, symbol in (("aave", "aave-siloed-debt", "GHO"), ("spark", "spark-siloed-debt", "USDT")):
        token = market(inhabited, key).reserves[symbol].variable_debt_token
        (debt,) = await chain.call(token, "balanceOf(address)(uint256)", inhabited.owner(name).address)
        assert cast(int, debt) > 0
    stable = lending.spark(inhabited).reserves["USDC"].stable_debt_token
    (debt,) = await chain.call(stable, "balanceOf(address)(uint256)", inhabited.owner("spark-stable-rate").address)
    assert cast(int, debt) > 1_000 * 10**6


BORROWS = [
    (profile.name, part)
    for profile in PROFILES
    for part in profile.parts
    if isinstance(part, Borrow) and part.health is not None and not isinstance(part, LiquidatedBorrow)
]


@pytest.mark.parametrize(("name", "part"), BORROWS, ids=[f"{name}-{part.chain_id}-{part.market}" for name, part in BORROWS])
async def test_a_morpho_position_ends_where_it_is_meant_to(lived: World, name: str, part: Borrow) -> None:
    assert part.health is not None
    _, most, debt = await state(lived, morpho.market(lived, part.chain_id, part.market), lived.owner(name).address)
    assert abs(Decimal(most) / debt / part.health - 1) < Decimal("5e-5")


async def test_every_kind_of_morpho_position(lived: World) -> None:
    async def position(name: str, chain_id: int, market_name: str) -> morpho.Position:
        return await morpho.position(lived, morpho.market(lived, chain_id, market_name), lived.owner(name).address)

    supplier = await position("morpho-supplier", 1, "WBTC/USDC")
    assert (supplier.supply_shares > 0, supplier.borrow_shares, supplier.collateral) == (True, 0, 0)
    alone = await position("morpho-collateral-only", 1, "wstETH/USDC")
    assert (alone.supply_shares, alone.borrow_shares, alone.collateral > 0) == (0, 0, True)
    both = await position("morpho-both-sides", 1, "wstETH/USDC")
    assert all((both.supply_shares, both.borrow_shares, both.collateral))
    assert await position("morpho-wiped-out", 1, "WETH/USDC") == morpho.Position(0, 0, 0)
    assert (await position("morpho-supplier-with-fee", 1, "idle/USDC")).supply_shares > 0
    part = await position("morpho-partly-liquidated", 42161, "WETH/USDC")
    assert 0 < part.collateral < 30 * WAD * 7 // 10
    bad = morpho.market(lived, 8453, "WETH/USDC")
    collateral, _, debt = await state(lived, bad, lived.owner("morpho-borrower-bad-debt").address)
    assert debt > collateral * await morpho.oracle_price(lived, bad) // 10**36


async def test_a_wrong_oracle_makes_a_worthless_position_look_healthy(lived: World) -> None:
    where = morpho.market(lived, 1, "wrong-scale LINK/USDC")
    collateral, most, debt = await state(lived, where, lived.owner("morpho-wrong-oracle").address)
    assert most > 10**6 * debt
    assert Decimal(collateral).scaleb(-18) * lived.prices["LINK"] < Decimal(debt).scaleb(-6) / 100


async def test_hedged_owners_hardly_move_with_ether(inhabited: World) -> None:
    """Ether held and owed, in whole ether: staked balance at its rate against the WETH debt."""
    for name, steth in (("hedged-staker", True), ("treasury-desk", True), ("hedged-across-chains", False)):
        who = inhabited.owner(name).address
        debt_market = market(inhabited, "aave" if steth else "arbitrum")
        chain = inhabited.chains[debt_market.chain_id]
        (owed,) = await chain.call(debt_market.reserves["WETH"].variable_debt_token, "balanceOf(address)(uint256)", who)
        if steth:
            (rate,) = await inhabited.chains[1].call(inhabited.token(1, "wstETH").address, "stEthPerToken()(uint256)")
            held = await inhabited.balance(1, "wstETH", who) * cast(int, rate) // WAD
        else:
            base = market(inhabited, "base")
            (supplied,) = await inhabited.chains[8453].call(base.reserves["WETH"].a_token, "balanceOf(address)(uint256)", who)
            held = cast(int, supplied)
        assert abs(Decimal(held) / cast(int, owed) - 1) < Decimal("0.06")


async def test_what_was_borrowed_is_spent(inhabited: World) -> None:
    for name, symbol in (("aave-liquidatable", "USDC"), ("hedged-staker", "WETH"), ("morpho-borrower-edge", "USDC")):
        assert await inhabited.balance(1, symbol, inhabited.owner(name).address) == 0


async def test_a_whale_is_a_whale(inhabited: World) -> None:
    total = sum([(await account(inhabited, key, "whale")).collateral for key in ("aave", "arbitrum", "base", "spark")])
    assert total > 40_000_000 * 10**8
