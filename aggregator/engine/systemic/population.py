"""Everybody at once: the margin accounts of whole protocols, from their logs, as one `Book`.

A first reading folds all logs of a deployment; later ones take the logs since then and accrue by the indices of the block. No account
is asked for what its logs tell: a reading costs the market, one log search a deployment, and the feeds, in as few rounds as they need.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aggregator.chains.arguments import parse_block_pin, resolve_chain, rpc_overrides
from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.contagion.evidence import Evidence
from aggregator.engine.chain import ChainMemory, Clock, Progress, at_one_block, snapshot_of
from aggregator.engine.snapshot import EngineMemory
from aggregator.engine.systemic.population_book import Census, population_book, population_evidence
from aggregator.model.book import Book
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId, ChainId
from aggregator.model.price import PriceBook
from aggregator.model.snapshot import Gap, Remark, Snapshot, SnapshotStatus
from aggregator.prices.answers import FeedAnswers
from aggregator.reading.adapter import Adapter, Scope
from aggregator.reading.catalogue import adapters
from aggregator.reading.manifest import Deployment
from aggregator.reading.population import Population
from aggregator.reading.registry import registry

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PopulationRequest:
    """What a person asks for, as written: see DESIGN's command line. `chains_file` None takes the shipped chains.yaml."""

    chains_file: Path | None = None
    rpc: tuple[str, ...] = ()
    """`CHAIN=URL` each; replaces that chain's endpoints"""
    only_chains: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    """`CHAIN=N` each"""


@dataclass(frozen=True, slots=True)
class LivePopulation:
    """A population and what it stands on. `book` is None where no account was found at all; `gaps` say why."""

    book: Book | None
    prices: PriceBook
    snapshots: tuple[Snapshot, ...]
    gaps: tuple[Gap, ...]
    remarks: tuple[Remark, ...]
    evidence: Evidence
    """share of the deployments whose accounts could all be read"""
    requests: Mapping[ChainId, int]
    """HTTP requests by chain"""
    rounds: Mapping[ChainId, int]
    """dependent rounds by chain, the head included"""
    supplied: Mapping[tuple[ChainId, str, str], Mapping[AssetId, int]] = field(default_factory=dict)
    """raw amounts that lenders supplied, by chain, protocol and market, where lenders are no margin accounts"""
    facts: Mapping[str, int] = field(default_factory=dict)
    """logs folded, and balances that were read after all"""


async def take_population(request: PopulationRequest, progress: Progress | None = None) -> LivePopulation:
    """Read everybody once. InputError for what the request gets wrong; what chains do not tell is in the gaps."""
    configuration = load_chains(request.chains_file)
    async with Network(configuration, rpc_overrides=rpc_overrides(request.rpc, configuration)) as network:
        return await PopulationReader(network).take(request, progress)


class PopulationReader:
    """Reads populations over one network and keeps them current: what it has folded stays in its memory."""

    def __init__(self, network: Network, memory: EngineMemory | None = None, clock: Clock = time.time) -> None:
        self.network = network
        self.memory = memory if memory is not None else EngineMemory()
        self.clock = clock

    async def take(self, request: PopulationRequest = PopulationRequest(), progress: Progress | None = None) -> LivePopulation:
        """One reading of all chains asked for that have a protocol whose accounts can be found."""
        configuration = self.network.configuration
        only = tuple(dict.fromkeys(resolve_chain(text, configuration) for text in request.only_chains))
        work = {chain: deployments for chain in only or tuple(configuration.chains) if (deployments := _deployments(chain))}
        if not work:
            raise InputError(f"no protocol whose accounts can be found is known on {', '.join(only)}")
        pins = dict(parse_block_pin(text, configuration) for text in request.blocks)
        if unread := [chain for chain in pins if chain not in work]:
            raise InputError(f"--block names {unread[0]}, which is not read")
        clients = {chain: self.network.client(chain) for chain in work}
        before = {chain: client.requests for chain, client in clients.items()}
        readings = await asyncio.gather(
            *(
                _read_chain(clients[chain], deployments, self.memory.of(chain), pins.get(chain), self.clock, progress)
                for chain, deployments in work.items()
            )
        )
        census = [one for reading in readings for one in reading.census]
        feeds = [reading.feeds for reading in readings if reading.feeds is not None]
        book, prices = population_book(census, feeds, tuple(reading.snapshot for reading in readings))
        facts: dict[str, int] = {}
        for one in census:
            for name, count in one.population.facts.items():
                facts[name] = facts.get(name, 0) + count
        gaps = {gap for one in census for gap in (*one.population.unread, *one.population.gaps)}
        return LivePopulation(
            book,
            prices,
            tuple(reading.snapshot for reading in readings),
            tuple(sorted(gaps | {gap for answers in feeds for gap in answers.gaps})),
            tuple(sorted({remark for one in census for remark in one.population.remarks})),
            population_evidence(census),
            {chain: client.requests - before[chain] for chain, client in clients.items()},
            {reading.snapshot.chain: reading.rounds for reading in readings},
            {
                (one.chain, one.protocol, market.market): market.supplied
                for one in census
                for market in one.population.markets
                if market.supplied
            },
            facts,
        )


@dataclass(frozen=True, slots=True)
class _ChainReading:
    snapshot: Snapshot
    census: tuple[Census, ...]
    feeds: FeedAnswers | None = None
    rounds: int = 0


def _deployments(chain: ChainId) -> tuple[tuple[Adapter, Deployment], ...]:
    """Deployments whose adapter can find everybody."""
    able = [adapter for adapter in adapters() if type(adapter).population is not Adapter.population]
    return tuple((adapter, deployment) for adapter in able for deployment in adapter.manifest.deployments.get(chain, ()))


async def _read_chain(
    client: ChainClient,
    deployments: tuple[tuple[Adapter, Deployment], ...],
    memory: ChainMemory,
    number: int | None,
    clock: Clock,
    progress: Progress | None,
) -> _ChainReading:
    """Everybody on one chain at one block; again where the block is replaced meanwhile. Never raises for what endpoints do."""
    report = progress if progress is not None else lambda chain, stage: None

    async def work(reads: PinnedReads) -> _ChainReading:
        report(client.chain, "logs and markets")
        feeds = asyncio.ensure_future(memory.prices(client.chain).read_feeds(reads))
        found = await asyncio.gather(*(_read_deployment(adapter, one, memory, reads) for adapter, one in deployments))
        answers = await feeds
        report(client.chain, "done")
        return _ChainReading(snapshot_of(reads.block, client, number, clock), tuple(found), answers, 1 + reads.rounds)

    reading = await at_one_block(client, number, memory, report, clock, work)
    if isinstance(reading, str):
        return _unreachable(client.chain, deployments, reading)
    memory.read_at = reading.snapshot.block
    return reading


async def _read_deployment(adapter: Adapter, deployment: Deployment, memory: ChainMemory, reads: PinnedReads) -> Census:
    known = registry()
    scope = Scope(
        chain=reads.chain,
        block=reads.block,
        deployment=deployment,
        owners=(),
        reads=reads,
        tokens=known.tokens(reads.chain),
        native=known.native(reads.chain),
        memory=memory.of(adapter.slug, deployment),
    )
    try:
        population = await adapter.population(scope) or Population()
    except Exception as error:  # a fault of ours in one adapter must not cost the others their answers
        log.exception("%s on %s failed", adapter.slug, reads.chain)
        population = Population(unread=(adapter.gap(scope, "all accounts", f"the adapter failed: {type(error).__name__}"),))
    return Census(reads.chain, adapter.slug, population)


def _unreachable(chain: ChainId, deployments: tuple[tuple[Adapter, Deployment], ...], why: str) -> _ChainReading:
    census = [
        Census(chain, adapter.slug, Population(unread=(Gap(chain, adapter.slug, "all accounts", why),))) for adapter, _ in deployments
    ]
    return _ChainReading(Snapshot(chain, None, SnapshotStatus.UNREACHABLE, why), tuple(census))
