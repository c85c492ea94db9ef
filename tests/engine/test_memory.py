"""What an engine remembers saves requests and changes no figure: two services say the same of the same blocks, whoever asked before."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.engine.chain import ChainRequest, read_chain
from aggregator.engine.document import to_json
from aggregator.engine.haircuts_reading import read_facts
from aggregator.engine.haircuts_request import chosen_tokens
from aggregator.engine.judgement import judge
from aggregator.engine.live.owner import of_owner
from aggregator.engine.snapshot import Engine, picture
from aggregator.localnet import controls
from aggregator.localnet.world import World
from aggregator.model.identifiers import AccountId, Address, evm_chain
from aggregator.reading.catalogue import adapters
from aggregator.reading.registry import registry
from tests.engine.support import CHAINS, Proxies, engine_on, look

pytestmark = pytest.mark.localnet

STEPS: tuple[tuple[int, str | None], ...] = (
    (0, None),
    (40, "2450"),
    (1_900, None),
    (5 * 3_600, "2600"),
    (30, "2590.5"),
    (3 * 86_400, "2222"),
    (7_200, None),
    (12, None),
)
"""seconds that pass, and what ether costs on one of the chains then"""


def urls_of(world: World) -> dict[int, tuple[str, ...]]:
    return {number: (chain.url,) for number, chain in world.chains.items()}


def on_several_chains(world: World) -> list[Address]:
    found = [Address(one.address.lower()) for one in world.owners if len(one.chains) > 1][:6]
    assert len(found) > 2
    return found


async def late(world: World) -> float:
    """A clock that stands still after everything that the tests do."""
    return float(max([await chain.now() for chain in world.chains.values()])) + sum(seconds for seconds, _ in STEPS)


async def in_one_reading(engine: Engine, owners: list[Address], owner: Address) -> str:
    """One owner's document out of a reading of several, as the live service makes it."""
    readings = []
    for chain in (evm_chain(number) for number in CHAINS):
        request = ChainRequest(tuple(owners), adapters())
        reading = await read_chain(engine.network.client(chain), request, engine.memory.of(chain), lambda *_: None, engine.clock)
        readings.append(of_owner(reading, owner, owners))
    return to_json(judge(picture((AccountId(evm_chain(CHAINS[0]), owner),), readings, {}))[1])


async def test_the_same_blocks_give_the_same_document_cold_and_after_a_long_watch(world: World) -> None:
    """Prices move, hours and days pass, owners come and go; each document is, byte for byte, that of an engine that knows nothing."""
    owners, now = on_several_chains(world), await late(world)
    async with engine_on(urls_of(world), now=now) as warm:
        for number, (seconds, price) in enumerate(STEPS):
            if price is not None:
                await world.set_price((1, 42161)[number % 2], "ETH / USD", Decimal(price))
            await controls.mine(world, 2, seconds)
            owner, other = owners[number % len(owners)], owners[(number + 1) % len(owners)]
            # somebody else is read first, so that other histories are remembered too
            await look(warm, [other])
            seen = await look(warm, [owner])
            together = await in_one_reading(warm, owners, owner)
            async with engine_on(urls_of(world), now=now) as cold:
                fresh = await look(cold, [owner])
            assert fresh.document.coverage.complete
            assert seen.json == fresh.json, number
            assert together == fresh.json, number


async def test_histories_of_all_listed_assets_cost_owners_nothing(deployed: World, proxies: Proxies) -> None:
    """Whoever reads everything with the same memory leaves the readings of owners as small, and as few, as they were."""
    owner = on_several_chains(deployed)[0]
    ethereum = evm_chain(CHAINS[0])
    async with engine_on({number: (proxy.url,) for number, proxy in proxies.items()}, now=await late(deployed)) as engine:
        await look(engine, [owner])
        alone = await look(engine, [owner])
        sizes = [one.request_bytes for one in proxies[CHAINS[0]].record[-2:]]
        tokens = chosen_tokens((), (ethereum,), registry())
        await read_facts(engine.network.client(ethereum), engine.memory.of(ethereum), tokens, registry(), lambda *_: None, engine.clock)
        beside = await look(engine, [owner])
        assert beside.json == alone.json
        assert beside.picture.rounds == alone.picture.rounds and beside.picture.requests == alone.picture.requests
        assert [one.request_bytes for one in proxies[CHAINS[0]].record[-2:]] == pytest.approx(sizes, rel=0.02)
