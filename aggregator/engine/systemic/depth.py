"""How deep the markets of a population's assets are, out of the pools on its chains at the very blocks that it was read at."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.chains.arguments import rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.contagion.depth import Concentrated, Venue, measured
from aggregator.contagion.impact import ExponentialImpact, Impact, MixedImpact
from aggregator.engine.chain import Progress
from aggregator.engine.systemic.population import LivePopulation, PopulationReader, PopulationRequest
from aggregator.model.book import Book
from aggregator.model.errors import EndpointError
from aggregator.model.identifiers import Address, AssetId, ChainId, asset_address, asset_chain
from aggregator.model.snapshot import Block
from aggregator.reading.adapter import Adapter, Memory, Scope
from aggregator.reading.catalogue import adapters
from aggregator.reading.depth import PoolDepth
from aggregator.reading.registry import registry

SMALLEST_USD = 1_000.0
"""liquidity of a pool at its price below which it is left out: nobody sells anything there"""


@dataclass(frozen=True, slots=True)
class PopulationWithDepth:
    """A population, and what its chains' pools say of prices when something is sold. `pools`: how many were used."""

    population: LivePopulation
    impact: Impact | None
    pools: int


async def take_with_depth(request: PopulationRequest, progress: Progress | None = None) -> PopulationWithDepth:
    """Everybody, and the depths of what they hold, at the same blocks. No impact where nobody was found."""
    configuration = load_chains(request.chains_file)
    async with Network(configuration, rpc_overrides=rpc_overrides(request.rpc, configuration)) as network:
        population = await PopulationReader(network).take(request, progress)
        if population.book is None:
            return PopulationWithDepth(population, None, 0)
        blocks = {one.chain: one.block for one in population.snapshots if one.block is not None}
        found = await asyncio.gather(*(read_depths(network, chain, block, population.book) for chain, block in blocks.items()))
    pools = [pool for own in found for pool in own]
    return PopulationWithDepth(population, pool_impact(population.book, pools), len(pools))


async def read_depths(network: Network, chain: ChainId, block: Block, book: Book) -> tuple[PoolDepth, ...]:
    """Pools of one chain that take what accounts hold there as collateral. Nothing where the block is gone or no endpoint answers."""
    tokens = _held_on(book, chain)
    client = network.client(chain)
    try:
        if not tokens or await pin_block(client, block.number) != block:
            return ()
    except EndpointError:
        return ()
    known = registry()
    async with PinnedReads(client, block) as reads:
        work = [
            adapter.depths(
                Scope(
                    chain=chain,
                    block=block,
                    deployment=deployment,
                    owners=(),
                    reads=reads,
                    tokens=known.tokens(chain),
                    native=known.native(chain),
                    memory=Memory(),
                ),
                tokens,
            )
            for adapter in adapters()
            if type(adapter).depths is not Adapter.depths
            for deployment in adapter.manifest.deployments.get(chain, ())
        ]
        found = await asyncio.gather(*work)
    return tuple(depth for own in found for depth in own)


def _held_on(book: Book, chain: ChainId) -> tuple[Address, ...]:
    """Tokens that count as somebody's collateral on a chain."""
    held = (np.diff(book.collateral.pointers) > 0) & (book.reserves.threshold > 0.0)
    assets = [book.assets[code].asset for code in np.unique(book.reserves.asset[held]).tolist()]
    addresses = {address for asset in assets if asset_chain(asset) == chain and (address := asset_address(asset)) is not None}
    return tuple(sorted(addresses))


def pool_impact(book: Book, pools: Sequence[PoolDepth]) -> Impact:
    """The measured impact of selling into pools; an asset without one has a depth that is not known, unless nobody pledges it."""
    codes: dict[AssetId, int] = {one.asset: code for code, one in enumerate(book.assets)}
    venues: dict[int, list[Venue]] = {}
    for pool in pools:
        code = codes.get(pool.asset)
        if code is None or not book.prices[code] > 0.0:
            continue
        worth = np.array(pool.liquidity) / 10 ** book.assets[code].decimals * book.prices[code]
        if worth[0] >= SMALLEST_USD:
            venues.setdefault(code, []).append(Concentrated(np.array(pool.bounds), worth, pool.fee))
    count = len(book.assets)
    pledged = np.zeros(count, dtype=np.bool_)
    pledged[book.reserves.asset[(np.diff(book.collateral.pointers) > 0) & (book.reserves.threshold > 0.0)]] = True
    which = np.where(pledged | np.isin(np.arange(count), list(venues)), 0, 1)
    return MixedImpact((measured(count, venues), ExponentialImpact(np.full(count, np.inf))), which)
