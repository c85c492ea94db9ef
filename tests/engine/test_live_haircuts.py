"""The service's table of haircuts: what it does when chains fall silent, prices move, and blocks are replaced."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from aggregator.chains.heads import pin_block
from aggregator.chains.pinned import PinnedReads
from aggregator.engine.live import haircuts as module
from aggregator.engine.live.assess import Workers
from aggregator.engine.live.haircuts import ListedHaircuts, Table
from aggregator.engine.snapshot import Engine
from aggregator.localnet import controls
from aggregator.localnet.world import World
from aggregator.model.identifiers import ChainId, evm_chain
from aggregator.model.snapshot import SnapshotStatus
from aggregator.prices.answers import FeedAnswers
from aggregator.risk.volatility import volatilities
from tests.engine.support import CHAINS, Proxies, engine_on, time_of, urls_of
from tests.faults import Delay

pytestmark = pytest.mark.localnet

ETHEREUM, ARBITRUM, BASE = (evm_chain(number) for number in CHAINS)


@asynccontextmanager
async def listing(
    engine: Engine, every: float = 3_600.0, feeds: Callable[[ChainId], FeedAnswers | None] = lambda _: None
) -> AsyncIterator[ListedHaircuts]:
    workers = Workers(0)
    listed = ListedHaircuts(engine, [evm_chain(number) for number in CHAINS], workers, every, feeds)
    task = asyncio.create_task(listed.run())
    try:
        yield listed
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await workers.close()


async def until(listed: ListedHaircuts, holds: Callable[[Table], bool], seconds: float = 30) -> Table:
    async with asyncio.timeout(seconds):
        while not holds(table := await listed.current()):  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.05)
    return table


def rows(table: Table, symbol: str) -> dict[str, Any]:
    """Documents of a symbol by chain."""
    found = [json.loads(table.rows[one.token.asset]) for one in table.assets if one.token.symbol == symbol]
    return {one["chain"]: one for one in found}


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(module, "MOVED_SECONDS", 0.2)


async def test_a_chain_that_is_down_is_missing_with_its_reason_and_comes_back(deployed: World, proxies: Proxies) -> None:
    await proxies[8453].refuse()
    async with engine_on(urls_of(proxies), now=await time_of(deployed)) as engine, listing(engine) as listed:
        table = await listed.current()
        assert set(rows(table, "WETH")) == {ETHEREUM, ARBITRUM}
        own = [token for token in listed.tokens if token.chain == BASE]
        (gap,) = table.gaps(own)
        assert (gap.chain, gap.what) == (BASE, f"haircuts of {len(own)} listed assets") and gap.why
        assert table.gaps([token for token in listed.tokens if token.chain == ETHEREUM]) == ()
        await proxies[8453].listen()
        table = await until(listed, lambda one: BASE not in one.missing)
        assert set(rows(table, "WETH")) == {ETHEREUM, ARBITRUM, BASE} and table.gaps(own) == ()


async def test_what_a_chain_told_stays_for_a_while_when_it_falls_silent(
    deployed: World, proxies: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine_on(urls_of(proxies), now=await time_of(deployed)) as engine, listing(engine, every=0.3) as listed:
        before = rows(await listed.current(), "WETH")
        await proxies[8453].refuse()
        table = await until(listed, lambda one: "not reached since" in (one.snapshots[BASE].detail or ""))
        assert rows(table, "WETH")[BASE] == before[BASE]
        assert table.snapshots[BASE].status is SnapshotStatus.STALE and table.snapshots[BASE].block is not None
        monkeypatch.setattr(module, "KEPT_SECONDS", 0.0)
        table = await until(listed, lambda one: BASE in one.missing)
        assert set(rows(table, "WETH")) == {ETHEREUM, ARBITRUM}


async def test_a_slow_chain_holds_up_no_other(deployed: World, proxies: Proxies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OTHERS_WAIT_SECONDS", 0.5)
    proxies[1].inject(Delay(2.0), times=1)
    async with engine_on(urls_of(proxies), now=await time_of(deployed)) as engine, listing(engine) as listed:
        table = await until(listed, lambda one: ARBITRUM in rows(one, "WETH"))
        assert ETHEREUM not in table.snapshots and table.missing[ETHEREUM] == "the chain is being read"
        table = await until(listed, lambda one: not one.missing)
        assert set(rows(table, "WETH")) == {ETHEREUM, ARBITRUM, BASE}


async def test_blocks_that_are_replaced_while_they_are_read_are_not_believed(
    deployed: World, proxies: Proxies, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heads() -> int:
        return sum("eth_getBlockByNumber" in one.methods for one in proxies[1].record)

    monkeypatch.setattr(module, "OTHERS_WAIT_SECONDS", 0.5)
    proxies[1].inject(Delay(2.0), times=1, after=2)
    async with engine_on(urls_of(proxies), now=await time_of(deployed)) as engine, listing(engine) as listed:
        head = (await pin_block(engine.network.client(ETHEREUM))).number
        await until(listed, lambda one: ARBITRUM in rows(one, "WETH"))
        assert heads() == 2, "asked for by this test, and by the reading that is under way"
        listed.replaced(ETHEREUM, head)
        await until(listed, lambda one: not one.missing)
        assert heads() == 3, "it was read once more from the head on"


async def test_a_feed_that_moves_has_its_chain_read_again(world: World) -> None:
    seen: dict[ChainId, FeedAnswers] = {}
    urls = {number: (chain.url,) for number, chain in world.chains.items()}
    async with engine_on(urls, now=await time_of(world)) as engine, listing(engine, feeds=seen.get) as listed:
        first = await listed.current()
        await controls.mine(world, 1, 12)
        await world.set_price(1, "ETH / USD", Decimal("1500"))
        await asyncio.sleep(0.5)
        assert await listed.current() is first, "nobody has seen it yet"
        client = engine.network.client(ETHEREUM)
        async with PinnedReads(client, await pin_block(client)) as reads:
            seen[ETHEREUM] = await engine.memory.of(ETHEREUM).prices(ETHEREUM).read_feeds(reads)
        table = await until(listed, lambda one: one is not first)
        assert table.snapshots[BASE] == first.snapshots[BASE], "no other chain is read for it"
        now, before = table.snapshots[ETHEREUM].block, first.snapshots[ETHEREUM].block
        assert now is not None and before is not None and now.number > before.number
        # ether fell by a third or more, which moves what follows it, wherever it is
        for chain in (ETHEREUM, BASE):
            moved, calm = rows(table, "WETH")[chain], rows(first, "WETH")[chain]
            assert moved["volatility"]["path_quantile"] > calm["volatility"]["path_quantile"]
            assert Decimal(moved["haircut"]) > Decimal(calm["haircut"])


async def test_only_new_histories_are_worked_out_anew(deployed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []

    def counted(factors: Any, classes: Any, history: Any) -> Any:
        worked.extend(factors)
        return volatilities(factors, classes, history)

    monkeypatch.setattr("aggregator.engine.haircuts_judgement.volatilities", counted)
    urls = {number: (chain.url,) for number, chain in deployed.chains.items()}
    async with engine_on(urls, now=await time_of(deployed)) as engine, listing(engine, every=0.3) as listed:
        first = await listed.current()
        assert len(worked) == len(set(worked)) == len({token.factor for token in listed.tokens})
        again = await until(listed, lambda one: one is not first)
        assert again.rows == first.rows, "nothing happened meanwhile"
        assert len(worked) == len({token.factor for token in listed.tokens})


async def test_replaced_blocks_take_their_haircuts_back(deployed: World) -> None:
    urls = {number: (chain.url,) for number, chain in deployed.chains.items()}
    async with engine_on(urls, now=await time_of(deployed)) as engine, listing(engine) as listed:
        table = await listed.current()
        block = table.snapshots[ETHEREUM].block
        assert block is not None
        listed.replaced(ETHEREUM, block.number + 1)
        assert await listed.current() is table, "blocks that nothing stands on"
        listed.replaced(ETHEREUM, block.number)
        gone = await listed.current()
        assert ETHEREUM not in rows(gone, "WETH") and ETHEREUM not in gone.snapshots and "replaced" in gone.missing[ETHEREUM]
        assert ARBITRUM in rows(gone, "WETH")
        back = await until(listed, lambda one: not one.missing)
        assert rows(back, "WETH") == rows(table, "WETH")
