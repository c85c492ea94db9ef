"""The lived month as the feeds will tell it: hourly rounds where half-daily ones were written.

While the month is lived, feeds speak twice a day, which is all that the chains need. A reader of price history expects
what their heartbeat promises. So afterwards every feed moves on to a new phase whose past, in code like the older ones,
holds the whole month, and the rounds that were written meanwhile are taken out of the phase before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import cast

from aggregator.localnet import history
from aggregator.localnet.deploy.feed_listings import LISTINGS, Listing
from aggregator.localnet.deploy.feeds import CHAIN_NOISE, aggregator_arguments
from aggregator.localnet.history import HOUR
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.outlook import MONTH_END
from aggregator.localnet.together import together
from aggregator.localnet.world import Feed, World

_LATEST_SLOT = 2  # of PriceAggregator: how many rounds there are
_ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"


@dataclass(frozen=True, slots=True)
class Shown:
    """A feed's newest round."""

    number: int
    answer: int
    time: int


async def newest_rounds(world: World) -> dict[tuple[int, str], Shown]:
    """What every feed shows now, by (chain, description); to be taken before the month."""
    found: dict[tuple[int, str], Shown] = {}
    for key, feed in world.feeds.items():
        number, answer, _, time, _ = await world.chains[feed.chain_id].call(feed.aggregator, _ROUND)
        found[key] = Shown(cast(int, number), cast(int, answer), cast(int, time))
    return found


async def tell(world: World, before: Mapping[tuple[int, str], Shown], levels: Mapping[str, Sequence[float]]) -> None:
    """Rewrite what the feeds said since ``before``, along hourly ``levels`` by model; each shows in the end what it
    shows now."""
    now = await newest_rounds(world)
    await together(*(_tell_chain(world, chain_id, before, now, levels) for chain_id in world.chains))


async def _tell_chain(
    world: World,
    chain_id: int,
    before: Mapping[tuple[int, str], Shown],
    now: Mapping[tuple[int, str], Shown],
    levels: Mapping[str, Sequence[float]],
) -> None:
    for listing in LISTINGS[chain_id]:
        key = (chain_id, listing.description)
        rounds = between(listing, before[key], now[key], levels.get(listing.model), Random(f"{world.seed}/{key}/chronicle"))
        await _new_phase(world, world.feeds[key], before[key].number, rounds)


def between(listing: Listing, before: Shown, now: Shown, levels: Sequence[float] | None, source: Random) -> list[tuple[int, int]]:
    """``(time, answer)`` a heartbeat apart, after ``before`` and up to ``now``, which is the last of them.

    The path is that of the month's hourly ``levels``; without any it is a straight line between the two answers.
    """
    count = -(-(now.time - before.time) // listing.heartbeat)
    times = [now.time - listing.heartbeat * number for number in range(count)][::-1]
    if levels is None:
        path = [before.answer + (now.answer - before.answer) * (index + 1) / count for index in range(count)]
    else:
        last = len(levels) - 1
        hours = [min(max(last + round((time - MONTH_END) / HOUR), 0), last) for time in times]
        path = [now.answer * levels[hour] / levels[hours[-1]] for hour in hours]
    noise = 0.0 if listing.model in history.GROWING else CHAIN_NOISE
    answers = [round(answer * (1 + noise * source.gauss(0, 1))) for answer in path[:-1]]
    return list(zip(times, [*answers, now.answer], strict=True))


async def _new_phase(world: World, feed: Feed, kept: int, rounds: Sequence[tuple[int, int]]) -> None:
    chain = world.chains[feed.chain_id]
    listing = next(one for one in LISTINGS[feed.chain_id] if one.description == feed.description)
    types, arguments = aggregator_arguments(listing)
    packed = [time << 192 | answer for time, answer in rounds]
    async with chain.block():
        aggregator = await chain.deploy(world.own("PriceAggregator"), types, arguments)
        await chain.send(DEPLOYER, aggregator, "append(uint256[])", packed)
        for proxy in feed.proxies:
            await chain.send(DEPLOYER, proxy, "switchTo(address)", aggregator)
    await chain.rpc("anvil_setStorageAt", feed.aggregator, hex(_LATEST_SLOT), f"0x{kept:064x}")
    world.feeds[feed.chain_id, feed.description] = replace(feed, aggregator=aggregator)
