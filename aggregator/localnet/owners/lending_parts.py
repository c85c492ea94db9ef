"""Accounts in lending markets of the Aave family, steered to the health factor that they are meant to end with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, cast

from aggregator.localnet import outlook
from aggregator.localnet.deploy import lending
from aggregator.localnet.deploy.lending import STABLE_RATE, VARIABLE_RATE, LendingMarket
from aggregator.localnet.deploy.shared import LIQUIDITY_PROVIDER, raw_worth
from aggregator.localnet.owners.profile import Part, spend
from aggregator.localnet.world import World, WorldError

LIQUIDATOR = "0x0000000000000000000000000000000000011c1d"
_WAD = 10**18
# How close to the most that a market lends an account is opened, and how far below its target one that can only be
# repaired (it ends below 1: neither borrowing nor withdrawing is allowed there) is left by the month.
_MOST = Decimal("0.999")
_RESERVE = Decimal("0.985")


def market_of(world: World, chain_id: int, protocol: str) -> LendingMarket:
    return lending.spark(world) if protocol == "spark" else lending.aave(world, chain_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingAccount(Part):
    """``supplied``: USD by symbol. ``borrowed``: shares of the debt by symbol when the account has a ``health`` that
    it is to end with, otherwise USD by symbol, and it drifts. ``e_mode``: a category's label. ``enabled``: symbols to
    switch on as collateral (isolated ones are not by themselves); ``disabled``: to switch off. What was borrowed is
    spent."""

    chain_id: int = 1
    protocol: Literal["aave", "spark"] = "aave"
    supplied: Mapping[str, int] = field(default_factory=dict)
    borrowed: Mapping[str, int] = field(default_factory=dict)
    health: Decimal | None = None
    e_mode: str = ""
    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    stable_rate: bool = False

    async def open(self, world: World, owner: str) -> None:
        market = market_of(world, self.chain_id, self.protocol)
        amounts = {symbol: raw_worth(world, self.chain_id, symbol, usd) for symbol, usd in self.supplied.items()}
        shares = [symbol for symbol in amounts if world.token(self.chain_id, symbol).supply == "none"]
        for symbol in shares:
            await lending.give(world, self.chain_id, symbol, owner, amounts[symbol])
        async with world.chains[self.chain_id].block():
            if self.e_mode:
                # Before the supply: what is collateral in the e-mode alone is switched on by itself then.
                await lending.set_e_mode(world, market, owner, market.e_modes[self.e_mode])
            for symbol, amount in amounts.items():
                if symbol not in shares:
                    await lending.give(world, self.chain_id, symbol, owner, amount)
                await lending.supply(world, market, owner, symbol, amount)
            for symbol in self.enabled:
                await lending.use_as_collateral(world, market, owner, symbol)
            for symbol in self.disabled:
                await lending.use_as_collateral(world, market, owner, symbol, False)
        if self.borrowed:
            await self._borrow(world, market, owner)

    async def _borrow(self, world: World, market: LendingMarket, owner: str) -> None:
        debts = {symbol: Decimal(usd) for symbol, usd in self.borrowed.items()}
        if self.health is not None:
            account = await lending.account(world, market, owner)
            limit = Decimal(account.collateral * account.ltv) / 10**12 * _MOST
            weighted = Decimal(account.collateral * account.liquidation_threshold) / 10**12
            total = min(limit, weighted / self._first_health(world.seed))
            whole = sum(debts.values())
            debts = {symbol: total * share / whole for symbol, share in debts.items()}
        rate_mode = STABLE_RATE if self.stable_rate else VARIABLE_RATE
        async with world.chains[self.chain_id].block():
            for symbol, usd in debts.items():
                amount = raw_worth(world, self.chain_id, symbol, usd)
                await lending.borrow(world, market, owner, symbol, amount, rate_mode)
                await spend(world, self.chain_id, owner, symbol, amount)

    def _first_health(self, seed: int) -> Decimal:
        """The health factor from which the month leads to about the one meant."""
        assert self.health is not None
        counted = {symbol: usd for symbol, usd in self.supplied.items() if symbol not in self.disabled}
        fall = _mean_factor(seed, counted) / _mean_factor(seed, self.borrowed)
        return self.health / fall * (_RESERVE if self.health < 1 else 1)

    async def settle(self, world: World, owner: str) -> None:
        if self.health is not None and self.borrowed:
            rate_mode = STABLE_RATE if self.stable_rate else VARIABLE_RATE
            market = market_of(world, self.chain_id, self.protocol)
            await steer(world, market, owner, self.health, tuple(self.supplied), tuple(self.borrowed), rate_mode)


def _mean_factor(seed: int, usd: Mapping[str, int]) -> Decimal:
    return Decimal(sum(amount * outlook.factor(seed, symbol) for symbol, amount in usd.items()) / sum(usd.values()))


async def steer(
    world: World,
    market: LendingMarket,
    owner: str,
    health: Decimal,
    supplied: tuple[str, ...],
    borrowed: tuple[str, ...],
    rate_mode: int = VARIABLE_RATE,
) -> None:
    """Bring an account to a health factor: repay, borrow, or where that is not allowed withdraw.

    Raises WorldError when it stands above a target below 1, where only prices lead to.
    """
    account = await lending.account(world, market, owner)
    target = int(health * _WAD)
    # What keeps the health factor at the target is the debt times (now / target).
    excess = account.debt - account.debt * account.health_factor // target
    symbol = borrowed[0]
    if excess >= 0:
        amount = await _raw(world, market, symbol, excess)
        async with world.chains[market.chain_id].block():
            await lending.give(world, market.chain_id, symbol, owner, amount)
            await lending.repay(world, market, owner, symbol, amount, rate_mode)
    elif -excess <= account.available_borrows * 999 // 1000:
        amount = await _raw(world, market, symbol, -excess)
        async with world.chains[market.chain_id].block():
            await lending.borrow(world, market, owner, symbol, amount, rate_mode)
            await spend(world, market.chain_id, owner, symbol, amount)
    elif target < _WAD:
        raise WorldError(f"{owner} stands at {account.health_factor / _WAD:.4f}: the fall did not reach {health}")
    else:
        for collateral in supplied:
            token = market.reserves[collateral].a_token
            (held,) = await world.chains[market.chain_id].call(token, "balanceOf(address)(uint256)", owner)
            part = cast(int, held) * (account.health_factor - target) // account.health_factor
            await lending.withdraw(world, market, owner, collateral, part)


async def _raw(world: World, market: LendingMarket, symbol: str, value: int) -> int:
    """Raw units worth ``value`` (8 decimals) at the market's own oracle, rounded down."""
    asset = market.reserves[symbol].asset
    (price,) = await world.chains[market.chain_id].call(market.oracle, "getAssetPrice(address)(uint256)", asset)
    unit: int = 10 ** world.token(market.chain_id, symbol).decimals
    return value * unit // cast(int, price)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedShares(Part):
    """aTokens that somebody else supplied for and sent over."""

    chain_id: int = 1
    protocol: Literal["aave", "spark"] = "aave"
    symbol: str
    usd: int

    async def open(self, world: World, owner: str) -> None:
        token = market_of(world, self.chain_id, self.protocol).reserves[self.symbol].a_token
        amount = raw_worth(world, self.chain_id, self.symbol, self.usd)
        await world.chains[self.chain_id].send(LIQUIDITY_PROVIDER, token, "transfer(address,uint256)", owner, amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidatedAccount(LendingAccount):
    """Liquidated once at the end: ``repaid`` is the share of the first debt that goes, as far as the first collateral
    reaches."""

    repaid: Decimal

    async def settle(self, world: World, owner: str) -> None:
        market = market_of(world, self.chain_id, self.protocol)
        collateral, debt = next(iter(self.supplied)), next(iter(self.borrowed))
        token = market.reserves[debt].variable_debt_token
        (owed,) = await world.chains[self.chain_id].call(token, "balanceOf(address)(uint256)", owner)
        amount = int(cast(int, owed) * self.repaid)
        async with world.chains[self.chain_id].block():
            await lending.give(world, self.chain_id, debt, LIQUIDATOR, amount)
            await lending.liquidate(world, market, LIQUIDATOR, owner, collateral, debt, amount)
