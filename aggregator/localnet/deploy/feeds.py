"""Price feeds at their production addresses, each with a history of hourly or daily rounds.

An aggregator stands behind one or several proxies (the standard feed, and those that the lending markets read). Older
rounds lie in a first phase's aggregator, newer ones in the second's, so round ids jump as they do on a public chain.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from aggregator.localnet import history
from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.deploy.feed_listings import DAY, LISTINGS, SEQUENCER_FEEDS, Listing
from aggregator.localnet.history import HOUR
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.together import together
from aggregator.localnet.world import Feed, World

FIRST_PHASE_DAYS = 30
SECOND_PHASE_DAYS = 90
_HOURS = (FIRST_PHASE_DAYS + SECOND_PHASE_DAYS) * 24
# Two chains never show quite the same price at the same time.
CHAIN_NOISE = 0.00015
# A feed refuses prices that are further away than this factor from where it started.
_BOUND = 1_000


@dataclass(frozen=True, slots=True)
class SequencerFeed:
    """The uptime feed of a rollup: ``set(bool down)``, sent by the deployer."""

    address: str


async def deploy(world: World) -> None:
    """All feeds with their histories on every chain, and the rollups' uptime feeds."""
    paths = _paths(world.seed)

    async def one_chain(chain_id: int) -> None:
        for listing in LISTINGS[chain_id]:
            await _feed(world, chain_id, listing, paths[listing.model])
        if chain_id in SEQUENCER_FEEDS:
            address = SEQUENCER_FEEDS[chain_id]
            arguments = [GENESIS_TIME - SECOND_PHASE_DAYS * DAY, DEPLOYER]
            await world.chains[chain_id].place(address, world.own("SequencerUptime"), ["uint256", "address"], arguments)
            world.record(chain_id, SequencerFeed(address))

    await together(*(one_chain(chain_id) for chain_id in world.chains))


def _paths(seed: int) -> dict[str, list[float]]:
    factor = history.common_factor(seed, _HOURS)
    listed = {listing.model: listing for listings in LISTINGS.values() for listing in listings}
    return {model: history.path(model, float(listing.last), seed, factor) for model, listing in listed.items()}


def rounds(listing: Listing, chain_id: int, seed: int, levels: Sequence[float]) -> list[tuple[int, int]]:
    """``(timestamp, answer)`` oldest first, a heartbeat apart; the last one shows exactly what the table says."""
    source = random.Random(f"{seed}/{chain_id}/{listing.description}")
    step = listing.heartbeat // HOUR
    unit = 10**listing.decimals
    scale = float(listing.last) / levels[-1]
    newest = GENESIS_TIME - source.randrange(60, listing.heartbeat // 2)
    chosen = range((len(levels) - 1) % step, len(levels), step)
    noise = 0.0 if listing.model in history.GROWING else CHAIN_NOISE
    past = [
        (
            newest - (len(levels) - 1 - hour) * HOUR,
            round(levels[hour] * scale * (1 + noise * source.gauss(0, 1)) * unit),
        )
        for hour in chosen[:-1]
    ]
    return [*past, (newest, int(listing.last * unit))]


def aggregator_arguments(listing: Listing) -> tuple[list[str], list[object]]:
    """Types and values of what an aggregator of this feed is created with."""
    answer = int(listing.last * 10**listing.decimals)
    bounds = [max(1, answer // _BOUND), answer * _BOUND]
    return ["string", "uint8", "int192", "int192", "address"], [listing.description, listing.decimals, *bounds, DEPLOYER]


async def _feed(world: World, chain_id: int, listing: Listing, levels: Sequence[float]) -> None:
    chain = world.chains[chain_id]
    types, arguments = aggregator_arguments(listing)
    border = GENESIS_TIME - SECOND_PHASE_DAYS * DAY
    written = rounds(listing, chain_id, world.seed, levels)
    phases = [[one for one in written if one[0] < border], [one for one in written if one[0] >= border]]
    async with chain.block():
        aggregators = [await chain.deploy(world.own("PriceAggregator"), types, arguments) for _ in phases]
        for aggregator, phase in zip(aggregators, phases, strict=True):
            packed = [timestamp << 192 | value for timestamp, value in phase]
            await chain.send(DEPLOYER, aggregator, "append(uint256[])", packed)
    for proxy in listing.proxies:
        await chain.place(proxy, world.own("AggregatorProxy"), ["address[]", "address"], [aggregators, DEPLOYER])
    world.feeds[chain_id, listing.description] = Feed(
        chain_id,
        listing.description,
        listing.symbol,
        listing.proxies,
        aggregators[-1],
        listing.decimals,
        listing.heartbeat,
    )
