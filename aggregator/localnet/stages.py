"""In which order the local chains come into being.

``PROTOCOLS`` builds the chains; ``POPULATION`` puts owners on them and lets the market live; ``CLOSING`` does what may
only happen when owners have their positions. Each stage is one coroutine over the world.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aggregator.localnet import chronicle, life, outlook, owners
from aggregator.localnet.deploy import (
    aave_v3,
    feeds,
    lending,
    lido,
    morpho,
    rates,
    rwa,
    spark,
    tokens,
    uniswap_v2,
    uniswap_v3,
    uniswap_v4,
    vaults,
)
from aggregator.localnet.world import World

HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    run: Callable[[World], Awaitable[None]]


async def align_clocks(world: World) -> None:
    """Bring all chains to one time, the next full hour after the latest, with every feed fresh."""
    heads = [await chain.now() for chain in world.chains.values()]
    time = (max(heads) // HOUR + 1) * HOUR
    for chain_id, chain in world.chains.items():
        await chain.set_time(time)
        await world.refresh_feeds(chain_id)


async def close_reserves(world: World) -> None:
    """Freeze and pause the lending reserves that are meant to be."""
    markets: list[lending.LendingMarket] = [lending.aave(world, chain_id) for chain_id in world.chains]
    for market in (*markets, lending.spark(world)):
        await lending.close_reserves(world, market)


async def vanish(world: World) -> None:
    """The token that its holders have heard of loses its code."""
    await tokens.vanish(world)


async def live_month(world: World) -> None:
    """The lived month, the owners acting in its middle, and its hourly prices in the feeds' history."""
    before = await chronicle.newest_rounds(world)
    course = life.month(world.seed)
    await life.follow(world, course, 0, outlook.HALFWAY)
    await owners.halfway(world)
    await life.follow(world, course, outlook.HALFWAY, outlook.MONTH_STEPS)
    await chronicle.tell(world, before, course.levels)


async def _savings_and_funds(world: World) -> None:
    await rates.deploy(world)
    await vaults.deploy(world)
    await rwa.deploy(world)


async def _exchanges(world: World) -> None:
    for deploy in (uniswap_v2.deploy, uniswap_v3.deploy, uniswap_v4.deploy):
        await deploy(world)


async def _morpho(world: World) -> None:
    await morpho.deploy(world)
    await vaults.deploy_nested(world)


PROTOCOLS: tuple[Stage, ...] = (
    Stage("tokens", tokens.deploy),
    Stage("feeds", feeds.deploy),
    Stage("lido", lido.deploy),
    Stage("savings and funds", _savings_and_funds),
    Stage("exchanges", _exchanges),
    Stage("morpho", _morpho),
    Stage("aave", aave_v3.deploy),
    Stage("spark", spark.deploy),
    Stage("clocks", align_clocks),
)

POPULATION: tuple[Stage, ...] = (
    Stage("owners", owners.seed),
    Stage("a month's life", live_month),
    Stage("owners settle", owners.settle),
)

CLOSING: tuple[Stage, ...] = (
    Stage("closed reserves", close_reserves),
    Stage("vanished token", vanish),
)


def all_stages(*, populated: bool = True) -> tuple[Stage, ...]:
    """Everything in its order; without the population the protocols stand as they were deployed."""
    return (*PROTOCOLS, *(POPULATION if populated else ()), *CLOSING)
