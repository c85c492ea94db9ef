"""The way data walks once: owners → chains → adapters → one portfolio → prices. `aggregator.risk` judges what comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from aggregator.chains.arguments import OwnerAddress, OwnerName, parse_block_pin, parse_owner, resolve_chain, rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.urls import EndpointUrl
from aggregator.chains.venue import Venues, venue_urls
from aggregator.engine.assemble import assemble, merge_compositions
from aggregator.engine.chain import ChainMemory, ChainReading, ChainRequest, Clock, read_chain
from aggregator.engine.venues import VenueReading, read_venues, venue_work
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId, Address, ChainId
from aggregator.model.portfolio import Portfolio
from aggregator.model.price import PriceBook, PriceSeries
from aggregator.model.snapshot import Remark, Snapshot, SnapshotStatus
from aggregator.prices.book import feed_remarks, price_book, price_remarks
from aggregator.prices.history import best_series
from aggregator.reading.adapter import Memory
from aggregator.reading.catalogue import adapters
from aggregator.reading.registry import registry

Progress = Callable[[ChainId, str], None]
_NO_VENUES = VenueReading()
_LATEST: Mapping[ChainId, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What a person asks for, as written: see DESIGN's command line. `chains_file` None takes the shipped chains.yaml."""

    owners: tuple[str, ...]
    chains_file: Path | None = None
    rpc: tuple[str, ...] = ()
    """`CHAIN=URL` each; replaces that chain's endpoints"""
    only_chains: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    """`CHAIN=N` each"""
    discover: bool = False
    venues: bool = False
    """also ask the trading venues that know the owners by address"""
    venue_accounts: tuple[str, ...] = ()
    """`VENUE=ACCOUNT` each; asked for even without `venues`"""
    venue_urls: tuple[str, ...] = ()
    """`VENUE=URL` each; replaces that venue's API"""
    record: Path | None = None
    """folder for cassettes of what the venues answered"""


@dataclass(frozen=True, slots=True)
class Picture:
    """What was read: the portfolio, its prices, the history of its risk factors, and what the reading cost."""

    portfolio: Portfolio
    prices: PriceBook
    history: tuple[PriceSeries, ...]
    requests: Mapping[ChainId, int]
    """HTTP requests by chain"""
    rounds: Mapping[ChainId, int]
    """dependent rounds by chain, the head included"""
    venue_requests: Mapping[str, int] = field(default_factory=dict)
    """HTTP requests by venue"""


@dataclass(slots=True)
class EngineMemory:
    """What outlives a snapshot, by chain; a long-running engine keeps one, a single command starts with an empty one."""

    chains: dict[ChainId, ChainMemory] = field(default_factory=dict)
    venues: dict[str, Memory] = field(default_factory=dict)
    """by slug"""

    def of(self, chain: ChainId) -> ChainMemory:
        return self.chains.setdefault(chain, ChainMemory())

    def of_venue(self, slug: str) -> Memory:
        return self.venues.setdefault(slug, Memory())


async def take(request: SnapshotRequest, progress: Progress | None = None) -> Picture:
    """Read everything that the request asks for. InputError for what the request gets wrong; what chains do not tell is in the gaps."""
    configuration = load_chains(request.chains_file)
    async with Network(configuration, rpc_overrides=rpc_overrides(request.rpc, configuration)) as network:
        return await Engine(network).take(request, progress)


class Engine:
    """Takes snapshots over one network, and remembers structure between them."""

    def __init__(self, network: Network, memory: EngineMemory | None = None, clock: Clock = time.time) -> None:
        """`clock` says how late it is: what a head's age is measured by."""
        self.network = network
        self.memory = memory if memory is not None else EngineMemory()
        self.clock = clock
        self._venues = Venues(lambda: network.session, network.policy)

    async def take(self, request: SnapshotRequest, progress: Progress | None = None) -> Picture:
        """One snapshot; see the module's `take`."""
        configuration = self.network.configuration
        report = progress if progress is not None else _silent
        if not request.owners:
            raise InputError("no owner given; expected 0x and 40 hex digits, CHAIN:0x…, or a name such as example.eth")
        only = tuple(dict.fromkeys(resolve_chain(text, configuration) for text in request.only_chains))
        chains = only or tuple(configuration.chains)
        pins = dict(parse_block_pin(text, configuration) for text in request.blocks)
        if unread := [chain for chain in pins if chain not in chains]:
            raise InputError(f"--block names {unread[0]}, which is not read")
        written = [parse_owner(text, configuration) for text in request.owners]
        owners = await self.resolve(written, pins)
        by_chain = _owners_by_chain(owners, chains)
        named = tuple(_account(owner, tuple(by_chain)) for owner in owners)
        work = venue_work(named, request.venues, request.venue_accounts, request.record)
        venues = self._venues_at(venue_urls(request.venue_urls))
        clients = {chain: self.network.client(chain) for chain in by_chain}
        before = {chain: client.requests for chain, client in clients.items()}
        told, readings = await asyncio.gather(
            read_venues(venues, work, self.memory.of_venue, int(self.clock() * 1000)),
            asyncio.gather(
                *(
                    read_chain(
                        clients[chain],
                        ChainRequest(addresses, adapters(), pins.get(chain), request.discover),
                        self.memory.of(chain),
                        report,
                        self.clock,
                    )
                    for chain, addresses in by_chain.items()
                )
            ),
        )
        requests = {chain: client.requests - before[chain] for chain, client in clients.items()}
        return picture(named, readings, requests, told)

    async def read_venues(self, owner: AccountId, urls: Mapping[str, EndpointUrl]) -> VenueReading:
        """What the venues that know the owner by address tell now; `urls` by venue, in place of its own."""
        work = venue_work((owner,), True, ())
        return await read_venues(self._venues_at(urls), work, self.memory.of_venue, int(self.clock() * 1000))

    def _venues_at(self, urls: Mapping[str, EndpointUrl]) -> Venues:
        """The venues' clients, kept from one snapshot to the next while their URLs stay."""
        if urls != self._venues.urls:
            self._venues = Venues(lambda: self.network.session, self.network.policy, urls)
        return self._venues

    async def resolve(self, written: Iterable[OwnerAddress | OwnerName], pins: Mapping[ChainId, int] = _LATEST) -> list[OwnerAddress]:
        """Owners by address, each once; names are looked up at the registry's chain in one round. InputError for a name without one."""
        given = list(dict.fromkeys(written))
        names = [owner for owner in given if isinstance(owner, OwnerName)]
        addresses = dict(zip(names, await self._look_up(names, pins), strict=True)) if names else {}
        resolved = [owner if isinstance(owner, OwnerAddress) else OwnerAddress(addresses[owner], owner.chain) for owner in given]
        return list(dict.fromkeys(resolved))

    async def _look_up(self, names: list[OwnerName], pins: Mapping[ChainId, int]) -> list[Address]:
        from aggregator.chains.ens import registry_chain, resolve_name

        chain, contract = registry_chain(self.network.configuration)
        client = self.network.client(chain)
        block = await pin_block(client, pins.get(chain))
        async with PinnedReads(client, block, self.memory.of(chain).abilities) as reads:
            return list(await asyncio.gather(*(resolve_name(reads, contract, owner.name) for owner in names)))


def picture(
    owners: tuple[AccountId, ...],
    readings: Iterable[ChainReading],
    requests: Mapping[ChainId, int],
    venues: VenueReading = _NO_VENUES,
) -> Picture:
    """Put the chains' and the venues' readings together and price them. Pure."""
    readings = tuple(readings)
    found = [*(item for reading in readings for item in reading.found), *venues.found]
    feeds = [reading.feeds for reading in readings if reading.feeds is not None]
    portfolio = assemble(
        owners,
        tuple(reading.snapshot for reading in readings),
        found,
        registry().token,
        (gap for reading in readings for gap in (*reading.gaps, *(reading.feeds.gaps if reading.feeds is not None else ()))),
        (*venues.remarks, *(remark for reading in readings for remark in (*reading.remarks, *_staleness(reading.snapshot)))),
    )
    compositions = merge_compositions(item.holdings for item in found)
    book = price_book(portfolio.tokens.values(), feeds, compositions.values(), [quote for item in found for quote in item.holdings.quotes])
    remarks = [*price_remarks(book), *(remark for answers in feeds for remark in feed_remarks(answers, portfolio.tokens.values()))]
    return Picture(
        portfolio=_with_remarks(portfolio, remarks),
        prices=book,
        history=best_series(series for reading in readings for series in reading.history),
        requests=dict(requests),
        rounds={reading.snapshot.chain: reading.rounds for reading in readings},
        venue_requests=dict(venues.requests),
    )


def _owners_by_chain(owners: Iterable[OwnerAddress], chains: tuple[ChainId, ...]) -> dict[ChainId, tuple[Address, ...]]:
    by_chain: dict[ChainId, list[Address]] = {}
    for owner in owners:
        accounts = owner.accounts(chains)
        if not accounts:
            raise InputError(f"{owner.chain}:{owner.address} is on a chain that --chain leaves out")
        for account in accounts:
            known = by_chain.setdefault(account.chain, [])
            if account.address not in known:
                known.append(account.address)
    return {chain: tuple(by_chain[chain]) for chain in chains if chain in by_chain}


def _account(owner: OwnerAddress, chains: tuple[ChainId, ...]) -> AccountId:
    """How an owner is named in the picture: on its own chain, or on the first that was read."""
    return AccountId(owner.chain if owner.chain is not None else chains[0], owner.address)


def _staleness(snapshot: Snapshot) -> tuple[Remark, ...]:
    if snapshot.status is SnapshotStatus.STALE:
        return (Remark("head-stale", f"{snapshot.chain}: {snapshot.detail}"),)
    return ()


def _with_remarks(portfolio: Portfolio, remarks: Iterable[Remark]) -> Portfolio:
    return replace(portfolio, warnings=tuple(sorted({*portfolio.warnings, *remarks})))


def _silent(_: ChainId, __: str) -> None:
    """No progress is wanted."""
