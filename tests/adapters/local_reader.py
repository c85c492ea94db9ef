"""Any adapter on a chain of the local network, through the real client, with memories that last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.localnet.world import World
from aggregator.model.composition import Composition
from aggregator.model.identifiers import Address, evm_chain
from aggregator.model.position import Component, Position
from aggregator.model.snapshot import Block
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.kit import broken_laws, scope_of


@dataclass(frozen=True, slots=True)
class Reading:
    """All deployments of some adapters on one chain at one block, and what it cost, the head included."""

    block: Block
    holdings: tuple[Holdings, ...]
    rounds: int
    requests: int

    @property
    def positions(self) -> list[Position]:
        return [position for holdings in self.holdings for position in holdings.positions]

    @property
    def gaps(self) -> list[str]:
        return [f"{gap.protocol}: {gap.what}: {gap.why}" for holdings in self.holdings for gap in holdings.gaps]

    @property
    def compositions(self) -> dict[str, Composition]:
        return {composition.asset: composition for holdings in self.holdings for composition in holdings.compositions}

    def of(self, owner: str, market: str) -> list[Position]:
        return [p for p in self.positions if p.owner == owner.lower() and p.market == market.lower()]


@dataclass
class LocalReader:
    """Reads the local network; `memories` outlive a reading."""

    network: Network
    memories: dict[tuple[str, int, str], Memory] = field(default_factory=dict)
    abilities: dict[int, Abilities] = field(default_factory=dict)

    async def read(
        self, slugs: Iterable[str], chain_id: int, owners: Sequence[str], *, discover: bool = False, number: int | None = None
    ) -> Reading:
        chain = evm_chain(chain_id)
        client = self.network.client(chain)
        before = client.statistics
        block = await pin_block(client, number)
        lower = tuple(Address(owner.lower()) for owner in owners)
        wanted = [adapter for adapter in adapters() if adapter.slug in set(slugs)]
        async with PinnedReads(client, block, self.abilities.setdefault(chain_id, Abilities())) as reads:
            work = [
                adapter.read(
                    scope_of(
                        adapter,
                        chain,
                        deployment,
                        reads,
                        lower,
                        memory=self.memories.setdefault((adapter.slug, chain_id, deployment.market), Memory()),
                        discover=discover,
                    )
                )
                for adapter in wanted
                for deployment in adapter.manifest.deployments.get(chain, ())
            ]
            holdings = tuple(await asyncio.gather(*work))
            rounds = 1 + reads.rounds
        for one in holdings:
            assert broken_laws(one) == []
        return Reading(block, holdings, rounds, client.statistics.requests - before.requests)


@asynccontextmanager
async def local_reader(world: World) -> AsyncIterator[LocalReader]:
    """A reader of the local network's chains."""
    urls = {evm_chain(chain_id): (chain.url,) for chain_id, chain in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls, environment={}) as network:
        yield LocalReader(network)


def leaves(parts: Iterable[Component]) -> dict[str, int]:
    """Amounts of what nothing more is inside of, by symbol."""
    found: dict[str, int] = {}
    for part in parts:
        for symbol, amount in (leaves(part.parts) or {part.symbol: part.amount}).items():
            found[symbol] = found.get(symbol, 0) + amount
    return found
