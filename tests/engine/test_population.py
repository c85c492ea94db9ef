"""Everybody in Aave, Spark and Morpho from their logs alone, against what the contracts themselves say of each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import cast

import numpy as np
import pytest

from adapters.aave_v3.ledger import Ledger
from adapters.aave_v3.maths import Generation, Holding, ReserveConfiguration, account_data
from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.engine.systemic.population import LivePopulation, PopulationReader, PopulationRequest, take_population
from aggregator.localnet.deploy import morpho
from aggregator.localnet.life import live
from aggregator.localnet.network import local_network
from aggregator.localnet.world import World
from aggregator.model.book import Book
from aggregator.model.identifiers import evm_chain
from aggregator.model.outcome import Outcome, Reason, Unknown
from aggregator.reading.adapter import Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import ScriptedReads, scope_of
from aggregator.reading.population import Population, PopulationLegs, PopulationMarket
from aggregator.reading.reads import Request
from tests.adapters.lending_life import crowd, markets, truth
from tests.adapters.test_morpho_chain import accrued

pytestmark = pytest.mark.localnet

GENERATIONS = {"aave-v3": Generation.V3_6, "spark": Generation.V3_0}
LENDING = [("aave-v3", 1), ("aave-v3", 42161), ("aave-v3", 8453), ("spark", 1)]


class Populations:
    """Populations of single deployments through the real client, each with a memory that lasts."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._memories: dict[tuple[str, int], Memory] = {}
        self._abilities: dict[int, Abilities] = {}

    def memory(self, slug: str, chain_id: int) -> Memory:
        return self._memories.setdefault((slug, chain_id), Memory())

    async def read(self, slug: str, chain_id: int) -> tuple[Population, int]:
        """(population, requests, the head's included)."""
        chain = evm_chain(chain_id)
        client = self._network.client(chain)
        before = client.requests
        adapter = next(adapter for adapter in adapters() if adapter.slug == slug)
        memory = self.memory(slug, chain_id)
        async with PinnedReads(client, await pin_block(client), self._abilities.setdefault(chain_id, Abilities())) as reads:
            scope = scope_of(adapter, chain, adapter.manifest.deployments[chain][0], reads, (), memory=memory)
            population = await adapter.population(scope)
        assert population is not None
        return population, client.requests - before


@asynccontextmanager
async def populations(world: World) -> AsyncIterator[Populations]:
    urls = {evm_chain(chain_id): (chain.url,) for chain_id, chain in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        yield Populations(network)


def rpc(world: World) -> PopulationRequest:
    chains = tuple(str(evm_chain(chain_id)) for chain_id in world.chains)
    return PopulationRequest(rpc=tuple(f"{evm_chain(i)}={chain.url}" for i, chain in world.chains.items()), only_chains=chains)


def by_account(market: PopulationMarket, legs: PopulationLegs) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for account, reserve, amount in zip(legs.accounts, legs.reserves, legs.amounts, strict=True):
        assert amount is not None
        found.setdefault(market.owners[account], {})[reserve] = amount
    return found


def health_factor(generation: Generation, market: PopulationMarket, supplied: Mapping[int, int], owed: Mapping[int, int]) -> int:
    """The contract's own integer arithmetic over the population's amounts, prices and thresholds."""
    holdings = []
    for side, amounts in (("supply", supplied), ("debt", owed)):
        for reserve_id, amount in amounts.items():
            reserve = market.reserves[reserve_id]
            assert reserve.oracle_price is not None
            word = int(reserve.threshold * 10_000) << 16 | reserve.decimals << 48
            collateral = side == "supply" and reserve.threshold > 0
            if side == "supply" and not collateral:
                continue
            configuration = ReserveConfiguration.decode(word)
            price = int(reserve.oracle_price * 10**8)
            if side == "supply":
                holdings.append(Holding(reserve_id, configuration, price, amount, 0, 0, True, False))
            else:
                holdings.append(Holding(reserve_id, configuration, price, 0, amount, 0, False, True))
    return account_data(generation, holdings, None).health_factor


async def assert_equals_the_pool(world: World, slug: str, chain_id: int, population: Population) -> None:
    """Every account that the logs name: amounts and health factor to the last unit; and no owner of the network is missing."""
    assert (population.unread, population.gaps) == ((), ())
    (found,) = population.markets
    market = markets(world)[slug, chain_id]
    supplied, owed = by_account(found, found.collateral), by_account(found, found.debt)
    told = await truth(world, market, found.owners)
    for owner, one in zip(found.owners, told, strict=True):
        assert {found.reserves[r].symbol: amount for r, amount in supplied.get(owner, {}).items() if amount} == one.supplied, owner
        assert {found.reserves[r].symbol: amount for r, amount in owed.get(owner, {}).items() if amount} == one.owed, owner
        theirs = one.account.health_factor
        assert health_factor(GENERATIONS[slug], found, supplied.get(owner, {}), owed.get(owner, {})) == theirs, owner
    others = [owner.address.lower() for owner in world.owners if owner.address.lower() not in found.owners]
    assert all(one.is_nothing for one in await truth(world, market, others))


@pytest.mark.parametrize(("slug", "chain_id"), LENDING)
async def test_every_lending_account_from_logs_equals_the_pool_and_stays_so_without_being_read_again(
    world: World, slug: str, chain_id: int
) -> None:
    market, chain = markets(world)[slug, chain_id], world.chains[chain_id]
    async with populations(world) as reader:
        cold, requests = await reader.read(slug, chain_id)
        await assert_equals_the_pool(world, slug, chain_id, cold)
        # only a debt at a stable rate is read: it grows at its owner's own rate
        assert requests <= 8 and (cold.facts["balances read"] > 0) == (slug == "spark")
        members = await crowd(world, market, 12, seed=3)
        await chain.set_time(await chain.now() + 17 * 86_400 + 321)
        await world.set_price(chain_id, "ETH / USD", world.prices["ETH"] * Decimal("0.7"))
        warm, requests = await reader.read(slug, chain_id)
        await assert_equals_the_pool(world, slug, chain_id, warm)
        assert requests <= 6 and warm.facts["logs"] < cold.facts["logs"]
        assert (warm.facts["balances read"] > 0) == (slug == "spark")
        names = set(warm.markets[0].owners)
        assert names > set(cold.markets[0].owners) and names & {member.lower() for member in members}


@pytest.mark.parametrize("slug", ["aave-v3", "spark"])
async def test_balances_that_do_not_add_up_are_read_again_and_what_stays_wrong_is_named(world: World, slug: str) -> None:
    async with populations(world) as reader:
        await reader.read(slug, 1)
        ledger = reader.memory(slug, 1).recall("population", Ledger)
        assert ledger is not None
        token, users = max(ledger.scaled.items(), key=lambda one: len(one[1]))
        user = next(iter(users))
        users[user] += 5
        mended, _ = await reader.read(slug, 1)
        await assert_equals_the_pool(world, slug, 1, mended)
        assert mended.facts["balances read"] >= len(users)
        del ledger.scaled[token][user]
        broken, _ = await reader.read(slug, 1)
        assert [gap.why for gap in broken.unread] == ["the accounts that logs name do not add up to the token's own total"]


@pytest.fixture
async def own() -> AsyncIterator[World]:
    """A network of our own: a reorganisation drops the snapshots by which a shared one is put back."""
    async with local_network() as world:
        yield world


async def test_a_chain_that_is_rewritten_is_read_from_the_start(own: World) -> None:
    """A position that a reorganisation takes back is not remembered."""
    world = own
    chain, market = world.chains[1], markets(world)["aave-v3", 1]
    urls = {evm_chain(chain_id): (one.url,) for chain_id, one in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        reader = PopulationReader(network)
        await chain.mine(2)
        first = await reader.take(rpc(world))
        number = int(str(await chain.rpc("eth_blockNumber")), 16)
        await crowd(world, market, 2, seed=9)
        grown = await reader.take(rpc(world))
        later = int(str(await chain.rpc("eth_blockNumber")), 16)
        assert not same(first.book, grown.book)
        await chain.reorg(later - number)
        again = await reader.take(rpc(world))
        fresh = await take_population(rpc(world))
    assert same(again.book, fresh.book) and not same(again.book, grown.book)


@pytest.mark.parametrize("chain_id", [1, 42161, 8453])
async def test_every_morpho_borrower_from_logs_equals_the_contract(world: World, chain_id: int) -> None:
    async with populations(world) as reader:
        await assert_equals_morpho(world, chain_id, (await reader.read("morpho-blue", chain_id))[0])
        (market, *_) = morpho.deployment(world, chain_id).markets
        await morpho.open_position(world, market, "0x" + "c1" * 20, 10**18, Decimal("0.5"))
        chain = world.chains[chain_id]
        await chain.set_time(await chain.now() + 5 * 86_400)
        warm, requests = await reader.read("morpho-blue", chain_id)
        await assert_equals_morpho(world, chain_id, warm)
        assert any("0x" + "c1" * 20 in one.owners for one in warm.markets) and requests <= 5


async def assert_equals_morpho(world: World, chain_id: int, population: Population) -> None:
    assert (population.unread, population.gaps) == ((), ())
    known = {market.id: market for market in morpho.deployment(world, chain_id).markets}
    totals = await accrued(world, chain_id, list(known.values()))
    assert population.markets
    for found in population.markets:
        market, total = known[found.market], totals[found.market]
        collateral, debt = by_account(found, found.collateral), by_account(found, found.debt)
        for owner in found.owners:
            told = await morpho.position(world, market, owner)
            assert collateral.get(owner, {}).get(0, 0) == told.collateral
            owed = -(-told.borrow_shares * (total.borrow_assets + 1) // (total.borrow_shares + 10**6))
            assert debt.get(owner, {}).get(1, 0) == owed
    for market in known.values():
        others = [owner.address for owner in world.owners if not any(owner.address.lower() in one.owners for one in population.markets)]
        for other in others:
            told = await morpho.position(world, market, other)
            assert (told.collateral, told.borrow_shares) == (0, 0)


async def test_the_book_of_the_whole_network_in_few_requests_and_the_same_after_life_in_one_go_or_two(world: World) -> None:
    urls = {evm_chain(chain_id): (chain.url,) for chain_id, chain in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        reader = PopulationReader(network)
        first = await reader.take(rpc(world))
        assert max(first.requests.values()) <= 12 and max(first.rounds.values()) <= 4
        await live(world, days=1)
        kept = await reader.take(rpc(world))
        assert max(kept.rounds.values()) <= 3 and kept.facts["balances read"] <= 1
    fresh = await take_population(rpc(world))
    assert same(kept.book, fresh.book)
    assert_healthy(fresh)


def same(one: Book | None, other: Book | None) -> bool:
    """The same accounts with the same health, whatever their order."""
    assert one is not None and other is not None
    return rows(one) == rows(other)


def rows(book: Book) -> dict[tuple[str, str, str], tuple[float, float]]:
    health = book.health()
    markets_ = [(str(market.chain), market.market) for market in book.markets]
    return {
        (*markets_[int(book.account_market[row])], book.owner(row)): (float(health.weighted[row]), float(health.debt[row]))
        for row in range(book.size)
    }


def assert_healthy(live_population: LivePopulation) -> None:
    book = live_population.book
    assert book is not None and live_population.evidence.known_share == 1.0
    assert {market.protocol for market in book.markets} == {"aave-v3", "spark", "morpho-blue"}
    assert not book.health().unknown.any()
    assert np.isfinite(book.reserves.oracle_price).all()
    assert len({str(market.chain) for market in book.markets}) == 3


async def test_an_unreachable_chain_is_missing_and_says_so(deployed: World) -> None:
    request = rpc(deployed)
    broken = PopulationRequest(rpc=(*request.rpc[:-1], "eip155:8453=http://127.0.0.1:9"), only_chains=request.only_chains)
    found = await take_population(broken)
    assert found.book is not None and not found.evidence.sufficient
    assert any("eip155:8453" in missing for missing in found.evidence.missing)


async def test_a_pool_that_tells_nothing_is_missing_rather_than_empty() -> None:
    def silent(_: Request) -> Outcome[object]:
        return Unknown(Reason.ENDPOINT, "nobody answers")

    for adapter in adapters():
        if adapter.slug not in ("aave-v3", "spark", "morpho-blue"):
            continue
        chain, (deployment, *_) = next(iter(adapter.manifest.deployments.items()))
        scope = scope_of(adapter, chain, deployment, ScriptedReads(chain, silent), (), memory=Memory())
        population = cast(Population, await adapter.population(scope))
        assert population.markets == () and population.unread
