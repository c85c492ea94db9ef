"""Lending markets of the Aave family once they are there: what was deployed, and what a user does with them.

The two generations share the pool's functions. Every function here sends at most a few transactions and may be used
inside ``chain.block()``; amounts are raw units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from aggregator.localnet.deploy import shared
from aggregator.localnet.deploy.lending_terms import Reserve
from aggregator.localnet.node import LocalChain
from aggregator.localnet.world import World

STABLE_RATE, VARIABLE_RATE = 1, 2
EVERYTHING = (1 << 256) - 1
MILLION = Decimal(10**6)
_COLLATERAL_TO_DEBT = Decimal("1.6")


@dataclass(frozen=True, slots=True)
class LendingReserve:
    """``stable_debt_token`` is empty in the newer generation."""

    symbol: str
    asset: str
    a_token: str
    variable_debt_token: str
    stable_debt_token: str
    oracle: str
    closed: str
    """``frozen`` or ``paused`` where ``close_reserves`` does that, otherwise empty."""


@dataclass(frozen=True, slots=True)
class LendingMarket:
    """One pool with everything that belongs to it; e-mode categories by label.

    ``ltv_zero``: (category, symbol) of e-mode collateral that ``close_reserves`` leaves to bear health alone.
    """

    chain_id: int
    provider: str
    pool: str
    configurator: str
    oracle: str
    data_provider: str
    ui_data_provider: str
    acl_manager: str
    sentinel: str
    admin: str
    reserves: dict[str, LendingReserve]
    e_modes: dict[str, int]
    ltv_zero: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class AaveMarket(LendingMarket):
    """Aave v3.6, recorded by chain id."""


@dataclass(frozen=True, slots=True)
class SparkMarket(LendingMarket):
    """SparkLend (v3.0.2), recorded under chain 1."""


@dataclass(frozen=True, slots=True)
class Account:
    """``getUserAccountData``: values with 8 decimals, LTV and threshold in basis points, health factor 1e18."""

    collateral: int
    debt: int
    available_borrows: int
    liquidation_threshold: int
    ltv: int
    health_factor: int


def aave(world: World, chain_id: int) -> AaveMarket:
    return world.recorded(AaveMarket)[chain_id]


def spark(world: World) -> SparkMarket:
    return world.recorded(SparkMarket)[1]


async def account(world: World, market: LendingMarket, owner: str) -> Account:
    signature = "getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)"
    values = cast(tuple[int, ...], await _chain(world, market).call(market.pool, signature, owner))
    return Account(*values)


async def supply(world: World, market: LendingMarket, owner: str, symbol: str, amount: int) -> None:
    """Supply tokens that ``owner`` holds. Usually the reserve becomes collateral by that (not when isolated)."""
    chain, asset = _chain(world, market), market.reserves[symbol].asset
    await chain.send(owner, asset, "approve(address,uint256)", market.pool, amount)
    await chain.send(owner, market.pool, "supply(address,uint256,address,uint16)", asset, amount, owner, 0)


async def withdraw(world: World, market: LendingMarket, owner: str, symbol: str, amount: int = EVERYTHING) -> None:
    asset = market.reserves[symbol].asset
    await _chain(world, market).send(owner, market.pool, "withdraw(address,uint256,address)", asset, amount, owner)


async def borrow(world: World, market: LendingMarket, owner: str, symbol: str, amount: int, rate_mode: int = VARIABLE_RATE) -> None:
    """``rate_mode``: ``STABLE_RATE`` only exists in the older generation."""
    asset = market.reserves[symbol].asset
    signature = "borrow(address,uint256,uint256,uint16,address)"
    await _chain(world, market).send(owner, market.pool, signature, asset, amount, rate_mode, 0, owner)


async def repay(world: World, market: LendingMarket, owner: str, symbol: str, amount: int, rate_mode: int = VARIABLE_RATE) -> None:
    """Repay with tokens that ``owner`` holds; more than the debt repays just the debt."""
    chain, asset = _chain(world, market), market.reserves[symbol].asset
    await chain.send(owner, asset, "approve(address,uint256)", market.pool, amount)
    signature = "repay(address,uint256,uint256,address)"
    await chain.send(owner, market.pool, signature, asset, amount, rate_mode, owner)


async def set_e_mode(world: World, market: LendingMarket, owner: str, category: int) -> None:
    """Enter the category, or leave with 0."""
    await _chain(world, market).send(owner, market.pool, "setUserEMode(uint8)", category)


async def use_as_collateral(world: World, market: LendingMarket, owner: str, symbol: str, use: bool = True) -> None:
    signature = "setUserUseReserveAsCollateral(address,bool)"
    await _chain(world, market).send(owner, market.pool, signature, market.reserves[symbol].asset, use)


async def liquidate(world: World, market: LendingMarket, liquidator: str, user: str, collateral: str, debt: str, amount: int) -> None:
    """Repay ``amount`` of the user's ``debt`` (tokens that the liquidator holds) for ``collateral``, both symbols."""
    chain, asset = _chain(world, market), market.reserves[debt].asset
    await chain.send(liquidator, asset, "approve(address,uint256)", market.pool, amount)
    signature = "liquidationCall(address,address,address,uint256,bool)"
    seized = market.reserves[collateral].asset
    await chain.send(liquidator, market.pool, signature, seized, asset, user, amount, False)


async def close_reserves(world: World, market: LendingMarket) -> None:
    """Freeze and pause the reserves that are meant to be, and take away the LTV of some e-mode collateral.

    Nobody could get such positions afterwards: it is for when owners have theirs.
    """
    chain = _chain(world, market)
    for reserve in market.reserves.values():
        if reserve.closed == "frozen":
            await chain.send(market.admin, market.configurator, "setReserveFreeze(address,bool)", reserve.asset, True)
        elif reserve.closed == "paused":
            await chain.send(market.admin, market.configurator, "setReservePause(address,bool)", reserve.asset, True)
    for category, symbol in market.ltv_zero:
        signature = "setAssetLtvzeroInEMode(address,uint8,bool)"
        await chain.send(market.admin, market.configurator, signature, market.reserves[symbol].asset, category, True)


async def give(world: World, chain_id: int, symbol: str, owner: str, amount: int) -> None:
    """Tokens for ``owner``: minted, or vault shares got by depositing (not inside a block then)."""
    token = world.token(chain_id, symbol)
    if token.supply != "none":
        await world.mint(chain_id, symbol, owner, amount)
        return
    await shared.provide(world, chain_id, symbol, amount)
    await world.chains[chain_id].send(shared.LIQUIDITY_PROVIDER, token.address, "transfer(address,uint256)", owner, amount)


async def lend_out(world: World, market: LendingMarket, terms: Sequence[Reserve], first_borrower: int) -> None:
    """The house supplies what the terms say of every reserve, and borrows the share that is in use against wstETH.

    ``first_borrower`` numbers the house's borrowers: one a reserve, as a siloed debt bears no other beside it.
    """
    chain_id = market.chain_id
    amounts = {one.symbol: shared.raw_worth(world, chain_id, one.symbol, one.supplied * MILLION) for one in terms}
    minted = {symbol for symbol in amounts if world.token(chain_id, symbol).supply != "none"}
    for symbol in sorted(amounts.keys() - minted):
        await give(world, chain_id, symbol, shared.LIQUIDITY_PROVIDER, amounts[symbol])
    async with _chain(world, market).block():
        for number, one in enumerate(terms, start=first_borrower):
            symbol, amount = one.symbol, amounts[one.symbol]
            if symbol in minted:
                await give(world, chain_id, symbol, shared.LIQUIDITY_PROVIDER, amount)
            await supply(world, market, shared.LIQUIDITY_PROVIDER, symbol, amount)
            if one.used:
                borrower = f"0x{int(shared.HOUSE_BORROWER, 16) + (number << 32):040x}"
                worth = one.supplied * MILLION * one.used / 100 * _COLLATERAL_TO_DEBT
                collateral = shared.raw_worth(world, chain_id, "wstETH", worth)
                await give(world, chain_id, "wstETH", borrower, collateral)
                await supply(world, market, borrower, "wstETH", collateral)
                await borrow(world, market, borrower, symbol, amount * one.used // 100)


def _chain(world: World, market: LendingMarket) -> LocalChain:
    return world.chains[market.chain_id]
