"""The Morpho adapter on the real contract: accounts, suppliers and verdicts equal to the contract's own, to the last unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest

from adapters.morpho_blue.accounts import FROZEN
from aggregator.localnet import abi
from aggregator.localnet.deploy import morpho
from aggregator.localnet.deploy.morpho import PARAMS, Market
from aggregator.localnet.deploy.shared import HOUSE_BORROWER, LIQUIDITY_PROVIDER
from aggregator.localnet.deploy.tokens import MULTICALL3
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World
from aggregator.model.position import MarginAccount, Position, Side
from aggregator.model.units import WAD
from aggregator.reading.abi import Event
from tests.adapters.local_reader import LocalReader, Reading, local_reader

pytestmark = pytest.mark.localnet

CHAINS = (1, 42161, 8453)
DAY = 86_400
STATE = "market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)"


@dataclass(frozen=True, slots=True)
class Totals:
    supply_assets: int
    supply_shares: int
    borrow_assets: int
    borrow_shares: int


def owners(world: World) -> list[str]:
    """Everybody, the house, and the fee recipient."""
    return [*(owner.address for owner in world.owners), HOUSE_BORROWER, LIQUIDITY_PROVIDER, morpho.FEE_RECIPIENT]


async def accrued(world: World, chain_id: int, markets: Sequence[Market]) -> dict[str, Totals]:
    """The contract's own totals with interest to the head: it accrues inside a call that is not kept."""
    blue = morpho.deployment(world, chain_id).morpho
    calls = []
    for market in markets:
        calls.append((blue, True, abi.parse(f"accrueInterest({PARAMS})").encode([market.params])))
        calls.append((blue, False, abi.parse(STATE).encode([market.id_bytes])))
    aggregate = "aggregate3((address,bool,bytes)[])((bool,bytes)[])"
    (answers,) = await world.chains[chain_id].call(MULTICALL3, aggregate, calls)
    states = [abi.parse(STATE).decode(data) for _, data in cast(list[tuple[bool, bytes]], answers)[1::2]]
    return {market.id: Totals(*cast(tuple[int, int, int, int], state[:4])) for market, state in zip(markets, states, strict=True)}


async def verdict(world: World, market: Market, borrower: str) -> bool | None:
    """Whether the contract lets somebody liquidate; None where its oracle stops it."""
    blue = morpho.deployment(world, market.chain_id).morpho
    call = f"liquidate({PARAMS},address,uint256,uint256,bytes)"
    try:
        await world.chains[market.chain_id].call(blue, call, market.params, borrower, 1, 0, b"")
    except LocalChainError as error:
        if "position is healthy" in str(error):
            return False
        return None if "OracleBroken" in str(error) or "oracle" in str(error).lower() else True
    return True


async def assert_equals_the_contract(world: World, reader: LocalReader, chain_id: int) -> Reading:
    """Every owner in every market."""
    markets = morpho.deployment(world, chain_id).markets
    everybody = owners(world)
    reading = await reader.read(["morpho-blue"], chain_id, everybody)
    totals = await accrued(world, chain_id, markets)
    accounts = {(a.market, str(a.owner)): a for holdings in reading.holdings for a in holdings.margin_accounts}
    supplies = {(p.market, str(p.owner)): p for p in reading.positions}
    for market in markets:
        price = await oracle_price(world, market)
        for owner in everybody:
            raw = await morpho.position(world, market, owner)
            key = (market.id, owner.lower())
            shares = raw.supply_shares
            if owner == morpho.FEE_RECIPIENT:
                shares += totals[market.id].supply_shares - await stored_supply_shares(world, market)
            supply = supplies.pop(key, None)
            if shares and (raw.supply_shares or owner != morpho.FEE_RECIPIENT):
                assert supply is not None, (market.name, owner)
                assert_supply(supply, totals[market.id], shares)
            account = accounts.pop(key, None)
            assert (account is None) == (not raw.borrow_shares and not raw.collateral)
            if account is not None:
                assert_account(account, market, totals[market.id], raw, price)
                if raw.borrow_shares and raw.collateral:
                    assert account.liquidatable == await verdict(world, market, owner), (market.name, owner)
    assert not accounts
    assert not supplies
    return reading


def assert_supply(position: Position, totals: Totals, shares: int) -> None:
    (leg,) = position.legs
    assets = shares * (totals.supply_assets + 1) // (totals.supply_shares + 10**6)
    assert (leg.side, leg.amount) == (Side.IDLE, assets)
    assert leg.redeemable == min(assets, totals.supply_assets - totals.borrow_assets)


def assert_account(account: MarginAccount, market: Market, totals: Totals, raw: morpho.Position, price: int | None) -> None:
    owed = -(-raw.borrow_shares * (totals.borrow_assets + 1) // (totals.borrow_shares + 10**6))
    by_side = {leg.side: leg.amount for leg in account.legs}
    assert by_side.get(Side.COLLATERAL, 0) == raw.collateral
    assert by_side.get(Side.DEBT, 0) == owed
    assert account.debt_free == (raw.borrow_shares == 0)
    assert account.liquidation_threshold == Decimal(market.lltv).scaleb(-18)
    if price is None:
        assert account.health_factor is None
        return
    limit = raw.collateral * price // 10**36 * market.lltv // WAD
    assert account.health_factor == (limit * WAD // owed if owed else None)
    assert account.liquidatable == (owed > limit)


async def oracle_price(world: World, market: Market) -> int | None:
    if market.oracle == abi.ZERO_ADDRESS:
        return None
    try:
        return await morpho.oracle_price(world, market)
    except LocalChainError:
        return None


async def stored_supply_shares(world: World, market: Market) -> int:
    blue = morpho.deployment(world, market.chain_id).morpho
    return cast(int, (await world.chains[market.chain_id].call(blue, STATE, market.id_bytes))[1])


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_everybody_equals_the_contract_through_time(world: World, chain_id: int) -> None:
    async with local_reader(world) as reader:
        first = await assert_equals_the_contract(world, reader, chain_id)
        assert (first.rounds, first.gaps) == (3, [])
        assert any(h.margin_accounts for h in first.holdings)
        chain = world.chains[chain_id]
        await chain.set_time(await chain.now() + 45 * DAY)
        later = await assert_equals_the_contract(world, reader, chain_id)
        assert later.rounds == 2


async def test_a_fall_of_prices_liquidates_whom_the_contract_says(world: World) -> None:
    async with local_reader(world) as reader:
        await assert_equals_the_contract(world, reader, 1)
        for fall in (Decimal("0.8"), Decimal("0.55")):
            await world.set_price(1, "ETH / USD", world.prices["ETH"] * fall)
            await world.set_price(1, "BTC / USD", world.prices["BTC"] * fall)
            fallen = await assert_equals_the_contract(world, reader, 1)
        verdicts = [account.liquidatable for holdings in fallen.holdings for account in holdings.margin_accounts]
        assert True in verdicts


async def test_a_broken_oracle_freezes_its_market_alone(world: World) -> None:
    market = morpho.market(world, 1, "brittle WETH/USDC")
    owner = "0x00000000000000000000000000000000000B417E"
    await morpho.open_position(world, market, owner, 10**18, Decimal("0.5"))
    async with local_reader(world) as reader:
        whole = await reader.read(["morpho-blue"], 1, [owner])
        await morpho.set_oracle_broken(world, 1, True)
        broken = await reader.read(["morpho-blue"], 1, [owner])
    ((before,),) = (holdings.margin_accounts for holdings in whole.holdings)
    ((after,),) = (holdings.margin_accounts for holdings in broken.holdings)
    assert before.health_factor is not None
    assert (after.health_factor, after.liquidatable) == (None, None)
    assert after.liquidation_blocked is not None
    assert after.liquidation_blocked.startswith(FROZEN)
    assert after.legs[0].redeemable == 0
    assert len(broken.gaps) == 1
    assert await verdict(world, market, owner) is None


async def test_a_market_made_a_moment_ago_is_found(world: World) -> None:
    blue = morpho.deployment(world, 8453)
    known = blue.markets[0]
    params: tuple[Any, ...] = (*known.params[:4], 77 * 10**16)
    owner = "0x0000000000000000000000000000000000005EED"
    async with local_reader(world) as reader:
        assert (await reader.read(["morpho-blue"], 8453, [owner])).positions == []
        await world.chains[8453].send(owner, blue.morpho, f"createMarket({PARAMS})", params)
        made = Market(8453, "new", morpho.market_id(cast(Any, params)), known.loan, known.collateral, *cast(Any, params))
        await morpho.supply(world, made, owner, 5_000_000)
        found = await reader.read(["morpho-blue"], 8453, [owner])
    assert [(p.market, p.legs[0].amount) for p in found.positions] == [(made.id, 5_000_000)]


async def participants(world: World, chain_id: int) -> list[str]:
    """Everybody on whose behalf anything was ever supplied or borrowed, by the contract's logs."""
    supplied = Event("Supply(bytes32 indexed,address indexed,address indexed,uint256,uint256)").topic
    pledged = Event("SupplyCollateral(bytes32 indexed,address indexed,address indexed,uint256)").topic
    query = {"address": morpho.deployment(world, chain_id).morpho, "fromBlock": "0x0", "topics": [[supplied, pledged]]}
    logs = cast(list[dict[str, list[str]]], await world.chains[chain_id].rpc("eth_getLogs", query))
    return sorted({"0x" + log["topics"][3][-40:] for log in logs})


@pytest.mark.parametrize("chain_id", CHAINS)
async def test_the_sum_of_all_positions_is_what_the_contract_owes_and_is_owed(world: World, chain_id: int) -> None:
    everybody = [*await participants(world, chain_id), morpho.FEE_RECIPIENT.lower()]
    async with local_reader(world) as reader:
        reading = await reader.read(["morpho-blue"], chain_id, everybody)
    markets = morpho.deployment(world, chain_id).markets
    totals = await accrued(world, chain_id, markets)
    accounts = [account for holdings in reading.holdings for account in holdings.margin_accounts]
    for market in markets:
        supplied = sum(p.legs[0].amount for p in reading.positions if p.market == market.id)
        owed = sum(leg.amount for a in accounts if a.market == market.id for leg in a.legs if leg.side is Side.DEBT)
        # suppliers are rounded down and borrowers up, each by less than a unit; virtual shares own what is left
        assert 0 <= totals[market.id].supply_assets - supplied <= len(everybody) + 1, market.name
        assert 0 <= owed - totals[market.id].borrow_assets <= len(everybody) + 1, market.name
    pledged = {market.collateral_token.lower() for market in markets if market.collateral}
    for token in pledged:
        held = cast(
            int, (await world.chains[chain_id].call(token, "balanceOf(address)(uint256)", morpho.deployment(world, chain_id).morpho))[0]
        )
        found = sum(leg.amount for a in accounts for leg in a.legs if leg.side is Side.COLLATERAL and leg.asset.endswith(token))
        lent = [m for m in markets if m.loan_token.lower() == token]
        idle = sum(totals[m.id].supply_assets - totals[m.id].borrow_assets for m in lent)
        assert held == found + idle, token
