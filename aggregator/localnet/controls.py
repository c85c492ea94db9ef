"""What one does to a running network: move prices, let time pass, reorganise, break what may break.

Every function leaves the chains usable and, but for ``reorganise``, can be undone by its opposite.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from aggregator.localnet import market
from aggregator.localnet.deploy import rwa
from aggregator.localnet.deploy.feeds import SequencerFeed
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.together import together
from aggregator.localnet.world import Feed, World, WorldError

_ANSWER = "latestAnswer()(int256)"
_REVERTS = "0x60006000fd"


async def move_price(world: World, symbol: str, factor: Decimal | float | str) -> None:
    """Multiply what the feeds show for ``symbol``, on every chain that has it, and of what follows it.

    ``ETH`` moves stETH's own feeds along (and with the rates everything staked), ``BTC`` the wrapped coins. stETH and
    WBTC move by themselves too, which breaks their peg. A fund's price is published anew. Pools stay where they are:
    until somebody trades, they show the old price. Raises WorldError for what no feed and no fund prices.
    """
    by = Decimal(str(factor))
    if (rwa.CHAIN, symbol) in world.recorded(rwa.Fund):
        await rwa.publish_price(world, symbol, world.prices[symbol] * by)
        return
    # A wrapped coin's rate in its original shows a broken peg as well as its price does.
    against = {"stETH": "STETH / ETH", "WBTC": "WBTC / BTC"}.get(symbol, "")
    moved = {symbol, *market.FOLLOWERS.get(symbol, ())}
    feeds = [feed for feed in world.feeds.values() if feed.symbol in moved or feed.description == against]
    if not feeds:
        raise WorldError(f"no feed and no fund prices {symbol}")
    await together(*(_scale(world, chain_id, feeds, by) for chain_id in world.chains))
    for one in moved:
        world.prices[one] *= by


async def _scale(world: World, chain_id: int, feeds: list[Feed], by: Decimal) -> None:
    chain = world.chains[chain_id]
    here = [feed for feed in feeds if feed.chain_id == chain_id]
    answers = await chain.calls([(feed.aggregator, _ANSWER, ()) for feed in here])
    async with chain.block():
        for feed, (answer,) in zip(here, answers, strict=True):
            await chain.send(DEPLOYER, feed.aggregator, "transmit(int192)", int(cast(int, answer) * by))


async def mine(world: World, blocks: int = 1, seconds: int | None = None) -> None:
    """Mine ``blocks`` on every chain, the last of them ``seconds`` from now, or in the chain's own rhythm when None.

    Feeds stay as they are: after hours of it they are stale. ``life.live`` lets time pass with everything else.
    """
    now = {chain_id: await chain.now() for chain_id, chain in world.chains.items()}
    for chain_id, chain in world.chains.items():
        rhythm = chain.spacing * blocks
        if blocks > 1:
            await chain.mine(blocks - 1)
        await chain.set_time(now[chain_id] + max(seconds or rhythm, rhythm))


async def reorganise(world: World, chain_id: int, depth: int) -> tuple[str, str]:
    """Replace the last ``depth`` blocks of a chain by empty ones; returns the head's hash before and after.

    Whatever happened in those blocks did not happen. Snapshots taken before are gone.
    """
    chain = world.chains[chain_id]
    before = await head_hash(world, chain_id)
    await chain.reorg(depth)
    return before, await head_hash(world, chain_id)


async def head_hash(world: World, chain_id: int) -> str:
    """Hash of a chain's newest block, 0x-hex."""
    block = await world.chains[chain_id].rpc("eth_getBlockByNumber", "latest", False)
    assert isinstance(block, dict)
    return str(block["hash"])


@dataclass(frozen=True, slots=True)
class Broken:
    """A contract whose calls fail, and the code that mends it."""

    chain_id: int
    address: str
    code: str

    async def mend(self, world: World) -> None:
        await world.chains[self.chain_id].rpc("anvil_setCode", self.address, self.code)


async def break_feed(world: World, chain_id: int, description: str) -> Broken:
    """Let every reading of a feed (``"LINK / USD"``) revert, and with it what a lending market says of whoever holds
    the asset. Undone by ``mend`` of what is returned."""
    feed = world.feed(chain_id, description)
    code = await world.chains[chain_id].code(feed.aggregator)
    broken = Broken(chain_id, feed.aggregator, "0x" + code.hex())
    await world.chains[chain_id].rpc("anvil_setCode", feed.aggregator, _REVERTS)
    return broken


async def stop_sequencer(world: World, chain_id: int, stopped: bool = True) -> None:
    """Let a rollup's uptime feed say that the sequencer is down (or up again, which starts the grace period)."""
    feed = world.recorded(SequencerFeed).get(chain_id)
    if feed is None:
        raise WorldError(f"chain {chain_id} has no sequencer")
    await world.chains[chain_id].send(DEPLOYER, feed.address, "set(bool)", stopped)
