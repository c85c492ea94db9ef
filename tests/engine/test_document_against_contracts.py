"""The document against the contracts, asked at its own block by other means than the engine's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from math import isqrt
from typing import Any, cast

import pytest

from aggregator.engine.schema import HealthDocument, LegDocument, MarginAccountDocument, PositionDocument
from aggregator.localnet.deploy import lending
from aggregator.localnet.node import LocalChain, LocalChainError
from aggregator.localnet.world import World
from tests.engine.support import Sight

pytestmark = pytest.mark.localnet

WAD = 10**18
MAX_128, FAR = 2**128 - 1, 2**40
MORPHO = {
    1: "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb",
    42161: "0x6c247b1F6182318877311737BaC0844bAa518F5e",
    8453: "0xBBBBBbbBBb9cC5e90e3b3Af64bdAF62C37EEFFCb",
}
NFT_MANAGER = {1: "0xC36442b4a4522E871399CD717aBDD847Ab11FE88", 42161: "0xC36442b4a4522E871399CD717aBDD847Ab11FE88"}
NFT_MANAGER[8453] = "0x03a520b32C04BF3bEEf7BEb72E919cf822Ed34f1"
PARAMETERS, MARKET = "(address,address,address,address,uint256)", "(uint128,uint128,uint128,uint128,uint128,uint128)"


class Contracts:
    """Calls at the blocks of a document."""

    def __init__(self, world: World, document: HealthDocument) -> None:
        self.world, self.document = world, document
        self.blocks = {int(one.chain[7:]): one.block for one in document.snapshots}

    async def call(self, chain_id: int, to: str, signature: str, *arguments: object, sender: str | None = None) -> Any:
        """All that it returns, or the only thing."""
        block = self.blocks[chain_id]
        assert block is not None
        answer = await self.world.chains[chain_id].call(to, signature, *arguments, sender=sender, block=block)
        return answer[0] if len(answer) == 1 else answer

    async def time(self, chain_id: int) -> int:
        block = await self.chain(chain_id).rpc("eth_getBlockByNumber", hex(cast(int, self.blocks[chain_id])), False)
        return int(cast(dict[str, str], block)["timestamp"], 16)

    def chain(self, chain_id: int) -> LocalChain:
        return self.world.chains[chain_id]

    def accounts(self, protocol: str) -> list[MarginAccountDocument]:
        return [one for one in self.document.margin_accounts if one.protocol == protocol]

    def positions(self, protocol: str) -> list[PositionDocument]:
        return [one for one in self.document.positions if one.protocol == protocol]


@pytest.fixture(scope="module")
async def contracts(deployed: World, everybody: Sight) -> Contracts:
    return Contracts(deployed, everybody.document)


def number(chain: str) -> int:
    return int(chain.removeprefix("eip155:"))


def token(leg: LegDocument) -> str:
    return leg.asset.partition("/erc20:")[2]


def amounts(account: MarginAccountDocument) -> Counter[tuple[str, str]]:
    """Raw amounts by token and side."""
    summed: Counter[tuple[str, str]] = Counter()
    for position in account.positions:
        for leg in position.legs:
            summed[token(leg), leg.side] += int(leg.amount_raw)
    return summed


def as_wad(figure: str | None) -> int | None:
    return None if figure is None else int(Decimal(figure).scaleb(18))


async def test_lending_accounts_are_what_the_pools_say(contracts: Contracts) -> None:
    """Health to the last unit, and every supply and debt as the data provider gives them."""
    world = contracts.world
    markets = {one.pool.lower(): one for one in (lending.spark(world), *(lending.aave(world, chain_id) for chain_id in world.chains))}

    async def check(account: MarginAccountDocument) -> None:
        chain_id, market = number(account.chain), markets[account.market]
        collateral, debt, _, threshold, _, health = await contracts.call(
            chain_id, market.pool, "getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)", account.owner
        )
        assert as_wad(account.health_factor) == (None if debt == 0 and health > 10**60 else health), account.owner
        assert account.liquidation.liquidatable is (health < WAD)
        if collateral:
            assert account.liquidation_threshold is not None
            assert int(Decimal(account.liquidation_threshold) * 10_000) == threshold
        expected: Counter[tuple[str, str]] = Counter()
        for reserve in market.reserves.values():
            held, stable, variable, *_ = await contracts.call(
                chain_id,
                market.data_provider,
                "getUserReserveData(address,address)(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint40,bool)",
                *(reserve.asset, account.owner),
            )
            expected[reserve.asset.lower(), "collateral"] += held
            expected[reserve.asset.lower(), "debt"] += stable + variable
        assert +amounts(account) == +expected

    accounts = [*contracts.accounts("aave-v3"), *contracts.accounts("spark")]
    assert len(accounts) > 40
    await asyncio.gather(*map(check, accounts))


async def test_no_lending_account_is_overlooked(contracts: Contracts) -> None:
    """Whoever a pool knows is in the document."""
    world = contracts.world
    seen = {(one.chain, one.market, one.owner) for one in contracts.document.margin_accounts}
    for market in (lending.spark(world), *(lending.aave(world, chain_id) for chain_id in world.chains)):
        for owner in world.owners:
            signature = "getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)"
            collateral, debt, *_ = await contracts.call(market.chain_id, market.pool, signature, owner.address)
            if collateral or debt:
                assert (f"eip155:{market.chain_id}", market.pool.lower(), owner.address.lower()) in seen, owner.name


def up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


async def accrued(contracts: Contracts, chain_id: int, market_id: str) -> tuple[tuple[Any, ...], list[int]]:
    """Parameters, and the market's totals with the interest until the block: assets and shares of supply, assets and shares of debt."""
    identifier = bytes.fromhex(market_id[2:])
    parameters = await contracts.call(chain_id, MORPHO[chain_id], f"idToMarketParams(bytes32){PARAMETERS}", identifier)
    state = await contracts.call(chain_id, MORPHO[chain_id], f"market(bytes32){MARKET}", identifier)
    supplied, supply_shares, borrowed, borrow_shares, updated, fee = state
    if int(parameters[3], 16):
        rate = await contracts.call(chain_id, parameters[3], f"borrowRateView({PARAMETERS},{MARKET})(uint256)", parameters, state)
        first = rate * (await contracts.time(chain_id) - updated)
        second = first * first // (2 * WAD)
        third = second * first // (3 * WAD)
        interest = borrowed * (first + second + third) // WAD
        supplied, borrowed = supplied + interest, borrowed + interest
        to_taker = interest * fee // WAD
        supply_shares += to_taker * (supply_shares + 10**6) // (supplied - to_taker + 1)
    return parameters, [supplied, supply_shares, borrowed, borrow_shares]


async def test_morpho_accounts_are_what_its_storage_implies(contracts: Contracts) -> None:
    async def check(account: MarginAccountDocument) -> None:
        chain_id = number(account.chain)
        parameters, (_, _, borrowed, borrow_shares) = await accrued(contracts, chain_id, account.market)
        loan, collateral_token, oracle, _, lltv = parameters
        position = "position(bytes32,address)(uint256,uint128,uint128)"
        _, shares, collateral = await contracts.call(chain_id, MORPHO[chain_id], position, bytes.fromhex(account.market[2:]), account.owner)
        debt = up(shares * (borrowed + 1), borrow_shares + 10**6)
        expected = Counter({(loan.lower(), "debt"): debt, (collateral_token.lower(), "collateral"): collateral})
        assert +amounts(account) == +expected
        if not debt:
            assert (account.health_factor, account.liquidation.liquidatable) == (None, False)
            return
        price = await contracts.call(chain_id, oracle, "price()(uint256)")
        carries = collateral * price // 10**36 * lltv // WAD
        assert as_wad(account.health_factor) == carries * WAD // debt, account.owner
        assert account.liquidation.liquidatable is (carries < debt)

    accounts = contracts.accounts("morpho-blue")
    assert len(accounts) > 12
    await asyncio.gather(*map(check, accounts))


async def test_morpho_supplies_are_what_a_withdrawal_would_pay(contracts: Contracts) -> None:
    positions = contracts.positions("morpho-blue")
    assert len(positions) > 5
    for one in positions:
        chain_id = number(one.chain)
        _, (supplied, supply_shares, _, _) = await accrued(contracts, chain_id, one.market)
        position = "position(bytes32,address)(uint256,uint128,uint128)"
        shares, _, _ = await contracts.call(chain_id, MORPHO[chain_id], position, bytes.fromhex(one.market[2:]), one.owner)
        assert [int(leg.amount_raw) for leg in one.legs] == [shares * (supplied + 1) // (supply_shares + 10**6)]


async def test_concentrated_positions_are_what_leaving_pays(contracts: Contracts) -> None:
    """Removing all liquidity, then collecting, tried out in the owner's name."""

    async def check(one: PositionDocument) -> None:
        chain_id = number(one.chain)
        manager, token_id = NFT_MANAGER[chain_id], int(one.identifiers["token_id"])
        signature = "positions(uint256)(uint96,address,address,address,uint24,int24,int24,uint128,uint256,uint256,uint128,uint128)"
        liquidity = (await contracts.call(chain_id, manager, signature, token_id))[7]
        paid: tuple[int, int] = (0, 0)
        if liquidity:
            leave = "decreaseLiquidity((uint256,uint128,uint256,uint256,uint256))(uint256,uint256)"
            paid = await contracts.call(chain_id, manager, leave, (token_id, liquidity, 0, 0, FAR), sender=one.owner)
        collect = "collect((uint256,address,uint128,uint128))(uint256,uint256)"
        fees = await contracts.call(chain_id, manager, collect, (token_id, one.owner, MAX_128, MAX_128), sender=one.owner)
        assert tuple(int(leg.amount_raw) for leg in one.legs) == tuple(paid), token_id
        assert tuple(int(leg.fees_raw) for leg in one.legs) == tuple(fees), token_id

    positions = contracts.positions("uniswap-v3")
    assert len(positions) > 40
    await asyncio.gather(*map(check, positions))


async def test_pairs_are_what_burning_pays(contracts: Contracts) -> None:
    positions = contracts.positions("uniswap-v2")
    assert len(positions) > 4
    for one in positions:
        chain_id, pair = number(one.chain), one.market
        shares = await contracts.call(chain_id, pair, "balanceOf(address)(uint256)", one.owner)
        supply = await contracts.call(chain_id, pair, "totalSupply()(uint256)")
        first, second, _ = await contracts.call(chain_id, pair, "getReserves()(uint112,uint112,uint32)")
        factory = await contracts.call(chain_id, pair, "factory()(address)")
        last = await contracts.call(chain_id, pair, "kLast()(uint256)")
        if int(await contracts.call(chain_id, factory, "feeTo()(address)"), 16) and last:
            root, root_last = isqrt(first * second), isqrt(last)
            supply += supply * (root - root_last) // (root * 5 + root_last) if root > root_last else 0
        (leg,) = one.legs
        tokens = [await contracts.call(chain_id, pair, f"token{side}()(address)") for side in (0, 1)]
        held = [await contracts.call(chain_id, address, "balanceOf(address)(uint256)", pair) for address in tokens]
        assert int(leg.amount_raw) == shares
        assert [int(part.amount_raw) for part in leg.look_through] == [shares * balance // supply for balance in held]


def share_legs(contracts: Contracts) -> Iterator[tuple[PositionDocument, LegDocument]]:
    """Listed vaults, and those that only their interface tells of; with them whatever else in a wallet is looked through."""
    for one in (*contracts.positions("erc4626"), *contracts.positions("wallet")):
        yield from ((one, leg) for leg in one.legs if token(leg) == one.market and leg.look_through)


async def test_vault_shares_are_what_the_vaults_convert_them_to(contracts: Contracts) -> None:
    """Down to the innermost vault, each by its own word."""
    checked = Counter[int]()
    for one, leg in share_legs(contracts):
        vault, shares, parts = token(leg), int(leg.amount_raw), leg.look_through
        for depth in range(10):
            try:
                assets = await contracts.call(number(one.chain), vault, "convertToAssets(uint256)(uint256)", shares)
            except LocalChainError:
                # no vault any more, or none at all
                assert depth or one.protocol == "wallet"
                break
            (part,) = parts
            assert int(part.amount_raw) == assets, (leg.symbol, part.symbol)
            checked[depth] += 1
            vault, shares, parts = part.asset.partition("/erc20:")[2], assets, part.look_through
    assert checked[0] > 7 and checked[2] > 0, checked


async def test_rates_are_the_tokens_own(contracts: Contracts) -> None:
    getters = {
        "wstETH": "getStETHByWstETH(uint256)(uint256)",
        "rETH": "getEthValue(uint256)(uint256)",
        "weETH": "getEETHByWeETH(uint256)(uint256)",
    }
    checked = Counter[str]()
    for one in (*contracts.positions("lido"), *contracts.positions("rate-tokens")):
        for leg in one.legs:
            if one.chain == "eip155:1" and leg.symbol in getters:
                (part,) = leg.look_through
                assert int(part.amount_raw) == await contracts.call(1, token(leg), getters[leg.symbol], int(leg.amount_raw))
                checked[leg.symbol] += 1
    assert set(checked) == set(getters)


async def test_wallets_are_what_the_tokens_say(contracts: Contracts) -> None:
    legs = [(one, leg) for protocol in ("wallet", "rwa", "rate-tokens") for one in contracts.positions(protocol) for leg in one.legs]
    assert len(legs) > 60

    async def check(one: PositionDocument, leg: LegDocument) -> None:
        chain_id = number(one.chain)
        if token(leg):
            balance = await contracts.call(chain_id, token(leg), "balanceOf(address)(uint256)", one.owner)
        else:
            balance = await contracts.chain(chain_id).balance(one.owner)
        assert int(leg.amount_raw) == balance, leg.symbol

    await asyncio.gather(*(check(one, leg) for one, leg in legs))
