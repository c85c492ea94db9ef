"""A crowd of lending users that do what the real pools let them, and the pools' own word on each of them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.localnet.deploy import lending
from aggregator.localnet.deploy.lending import LendingMarket
from aggregator.localnet.node import LocalChainError
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address, evm_chain
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import scope_of

BALANCE = "balanceOf(address)(uint256)"
ACCOUNT = "getUserAccountData(address)(uint256,uint256,uint256,uint256,uint256,uint256)"


@dataclass(frozen=True, slots=True)
class Truth:
    """What the contracts say of one owner: the six figures, and by symbol what is supplied and owed."""

    account: lending.Account
    supplied: dict[str, int]
    owed: dict[str, int]

    @property
    def is_nothing(self) -> bool:
        return not self.supplied and not self.owed


@dataclass(frozen=True, slots=True)
class Costs:
    """What one reading cost, the head included."""

    rounds: int
    requests: int
    bytes_sent: int


class Reader:
    """Reads one market of the local network through the real client, with a memory that lasts."""

    def __init__(self, network: Network, slug: str, chain_id: int) -> None:
        self._adapter = next(adapter for adapter in adapters() if adapter.slug == slug)
        self._client = network.client(evm_chain(chain_id))
        self._chain = evm_chain(chain_id)
        self._abilities = Abilities()
        self.memory = Memory()

    async def read(self, owners: Sequence[str]) -> tuple[Holdings, Costs]:
        before = self._client.statistics
        block = await pin_block(self._client)
        deployment = self._adapter.manifest.deployments[self._chain][0]
        lower = tuple(Address(owner.lower()) for owner in owners)
        async with PinnedReads(self._client, block, self._abilities) as reads:
            holdings = await self._adapter.read(scope_of(self._adapter, self._chain, deployment, reads, lower, memory=self.memory))
            rounds = reads.rounds + 1
        after = self._client.statistics
        return holdings, Costs(rounds, after.requests - before.requests, after.bytes_sent - before.bytes_sent)


@asynccontextmanager
async def readers(world: World) -> AsyncIterator[dict[tuple[str, int], Reader]]:
    """A reader for every lending market of the local network, by slug and chain."""
    urls = {evm_chain(chain_id): (chain.url,) for chain_id, chain in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        yield {key: Reader(network, *key) for key in markets(world)}


def markets(world: World) -> dict[tuple[str, int], LendingMarket]:
    """Every lending market of the local network, by slug and chain."""
    found: dict[tuple[str, int], LendingMarket] = {("aave-v3", chain_id): lending.aave(world, chain_id) for chain_id in world.chains}
    return {**found, ("spark", 1): lending.spark(world)}


def person(number: int) -> str:
    """Address of the crowd's member with this number."""
    return f"0x{0xC20FD << 96 | number:040x}"


async def put(world: World, market: LendingMarket, owner: str, symbol: str, whole: str | Decimal) -> None:
    """Give tokens and supply them."""
    amount = raw(world, market, symbol, whole)
    await lending.give(world, market.chain_id, symbol, owner, amount)
    await lending.supply(world, market, owner, symbol, amount)


async def take(world: World, market: LendingMarket, owner: str, symbol: str, whole: str | Decimal, rate: int = 2) -> None:
    """Borrow."""
    await lending.borrow(world, market, owner, symbol, raw(world, market, symbol, whole), rate)


def raw(world: World, market: LendingMarket, symbol: str, whole: str | Decimal) -> int:
    return int(Decimal(whole).scaleb(world.token(market.chain_id, symbol).decimals))


async def crowd(world: World, market: LendingMarket, size: int, seed: int) -> list[str]:
    """Owners who supply, borrow, enter e-modes, switch collateral off and hand receipts on; what the pool refuses they go without."""
    dice = random.Random(f"{seed} {market.pool}")
    owners = [person(number) for number in range(size)]
    plain = [symbol for symbol in market.reserves if world.token(market.chain_id, symbol).supply != "none"]
    chain = world.chains[market.chain_id]
    for owner in owners:
        for symbol in dice.sample(plain, dice.randint(1, 3)):
            await _attempt(put(world, market, owner, symbol, _worth(world, symbol, dice.uniform(20, 50_000))))
        if market.e_modes and dice.random() < 0.4:
            await _attempt(lending.set_e_mode(world, market, owner, dice.choice(list(market.e_modes.values()))))
        if dice.random() < 0.3:
            await _attempt(lending.use_as_collateral(world, market, owner, dice.choice(plain), dice.random() < 0.5))
        for symbol in dice.sample(plain, dice.randint(0, 3)):
            free = Decimal((await lending.account(world, market, owner)).available_borrows).scaleb(-8)
            rate = lending.STABLE_RATE if market.reserves[symbol].stable_debt_token and dice.random() < 0.4 else lending.VARIABLE_RATE
            if free > 1:
                await _attempt(take(world, market, owner, symbol, _worth(world, symbol, float(free) * dice.uniform(0.4, 0.98)), rate))
        receipt = market.reserves[dice.choice(plain)].a_token
        held = cast(int, (await chain.call(receipt, BALANCE, owner))[0])
        if held and dice.random() < 0.4:
            await _attempt(chain.send(owner, receipt, "transfer(address,uint256)", dice.choice(owners), held // 7))
    return owners


async def truth(world: World, market: LendingMarket, owners: Sequence[str]) -> list[Truth]:
    """The contracts' own word at the head."""
    chain = world.chains[market.chain_id]
    told = []
    for owner in owners:
        requests: list[tuple[str, str, Sequence[object]]] = [(market.pool, ACCOUNT, (owner,))]
        for reserve in market.reserves.values():
            requests.append((reserve.a_token, BALANCE, (owner,)))
            requests.append((reserve.variable_debt_token, BALANCE, (owner,)))
            requests.append((reserve.stable_debt_token or reserve.variable_debt_token, BALANCE, (owner,)))
        account, *balances = cast(list[tuple[int, ...]], await chain.calls(requests))
        supplied, owed = {}, {}
        for index, (symbol, reserve) in enumerate(market.reserves.items()):
            (supply,), (variable,), (stable,) = balances[3 * index : 3 * index + 3]
            supplied[symbol] = supply
            owed[symbol] = variable + (stable if reserve.stable_debt_token else 0)
        told.append(Truth(lending.Account(*account), _nonzero(supplied), _nonzero(owed)))
    return told


def _nonzero(amounts: dict[str, int]) -> dict[str, int]:
    return {symbol: amount for symbol, amount in amounts.items() if amount}


def _worth(world: World, symbol: str, usd: float) -> Decimal:
    return Decimal(usd) / world.prices[symbol]


async def _attempt(action: Awaitable[object]) -> None:
    with suppress(LocalChainError):
        await action
