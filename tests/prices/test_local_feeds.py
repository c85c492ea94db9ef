"""Feeds, history and prices on the local network's real rounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import numpy as np
import pytest

from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.localnet.node import DEPLOYER
from aggregator.localnet.world import World
from aggregator.model.identifiers import ChainId, evm_chain
from aggregator.model.price import PriceQuality
from aggregator.prices.answers import FeedAnswers
from aggregator.prices.book import price_book
from aggregator.prices.feeds import FeedShape, chain_feeds
from aggregator.prices.history_plan import DAY
from aggregator.prices.reader import PriceReader
from aggregator.reading.registry import registry
from tests.prices.kit import listed

pytestmark = pytest.mark.localnet

LATEST = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
FACTORS = ("ETH", "BTC", "LINK", "AAVE", "UNI", "CRV")


@pytest.fixture
async def clients(world: World) -> AsyncIterator[dict[ChainId, ChainClient]]:
    urls = {evm_chain(number): (chain.url,) for number, chain in world.chains.items()}
    async with Network(load_chains(), rpc_overrides=urls) as network:
        yield {chain: network.client(chain) for chain in urls}


async def read(client: ChainClient, prices: PriceReader | None = None) -> FeedAnswers:
    async with PinnedReads(client, await pin_block(client)) as reads:
        return await (prices or PriceReader(client.chain)).read_feeds(reads)


async def test_every_deployed_feed_says_what_its_contract_says(world: World, clients: dict[ChainId, ChainClient]) -> None:
    for number, chain in world.chains.items():
        client = clients[evm_chain(number)]
        before = client.statistics.requests
        answers = await read(client)
        assert client.statistics.requests - before == 2, "the head and one round"
        assert answers.gaps == ()
        deployed = [answer for answer in answers.feeds if answer.deployed]
        assert len(deployed) >= 10
        for answer in deployed:
            assert answer.estimate is not None, answer.reason
            if answer.feed.shape is not FeedShape.AGGREGATOR:
                continue
            round_id, value, _, updated, _ = await chain.call(answer.feed.address, LATEST)
            (decimals,) = await chain.call(answer.feed.address, "decimals()(uint8)")
            assert answer.round is not None and answer.round.round_id == round_id
            assert answer.estimate.value == Decimal(int(str(value))).scaleb(-int(str(decimals)))
            assert answer.estimate.age_seconds == answers.block.timestamp - int(str(updated))


async def test_history_is_daily_in_one_more_round_and_stays_within_its_budget(clients: dict[ChainId, ChainClient]) -> None:
    client = clients[ChainId("eip155:1")]
    prices = PriceReader(client.chain)
    async with PinnedReads(client, await pin_block(client)) as reads:
        answers = await prices.read_feeds(reads, with_history=True)
        before = client.statistics
        series = await prices.read_history(reads, FACTORS, answers)
        spent = client.statistics
        assert reads.rounds == 2
    assert spent.requests - before.requests == 1
    assert spent.bytes_sent - before.bytes_sent < 150_000
    assert [one.factor for one in series] == sorted(FACTORS)
    for one in series:
        assert one.timestamps[-1] - one.timestamps[0] >= 89 * DAY, one.source
        # CRV's feed writes one round a day, the others one an hour
        assert np.diff(one.timestamps).max() <= (1.5 if one.factor == "CRV" else 1) * DAY, one.source
        assert (one.prices > 0).all()
    async with PinnedReads(client, await pin_block(client)) as reads:
        again = await prices.read_history(reads, FACTORS, await prices.read_feeds(reads, with_history=True))
        assert reads.rounds == 1
    assert [len(one.timestamps) for one in again] == [len(one.timestamps) for one in series]


async def test_prices_of_what_the_network_lists(world: World, clients: dict[ChainId, ChainClient]) -> None:
    answers = [await read(client) for client in clients.values()]
    shipped = registry()
    tokens = {
        token.asset: (token, world.prices[symbol])
        for (number, symbol), known in world.tokens.items()
        if symbol in world.prices
        for token in (shipped.tokens(evm_chain(number)).get(known.address.lower()),)  # type: ignore[call-overload]
        if token is not None
    }
    book = price_book([token for token, _ in tokens.values()], answers)
    checked = 0
    for asset, (token, expected) in tokens.items():
        price = book[asset]
        if price.quality is PriceQuality.MISSING:
            # without compositions, savings tokens and the like have no source
            assert price.detail, token.symbol
            continue
        checked += 1
        assert price.value is not None and abs(price.value / expected - 1) < Decimal("0.03"), (token.symbol, token.chain)
    assert checked >= 25


async def test_a_moved_price_and_a_stopped_sequencer_are_seen(world: World, clients: dict[ChainId, ChainClient]) -> None:
    client, chain = clients[ChainId("eip155:42161")], world.chains[42161]
    weth = listed("WETH", client.chain)
    await world.set_price(42161, "ETH / USD", Decimal("1234.5"))
    moved = price_book([weth], [await read(client)])[weth.asset]
    assert (moved.value, moved.quality) == (Decimal("1234.5"), PriceQuality.FRESH)
    uptime = chain_feeds(client.chain).sequencer
    assert uptime is not None
    await chain.send(DEPLOYER, uptime.address, "set(bool)", True)
    stopped = price_book([weth], [await read(client)])[weth.asset]
    assert (stopped.value, stopped.quality) == (Decimal("1234.5"), PriceQuality.STALE)
    assert "sequencer is down" in stopped.detail
