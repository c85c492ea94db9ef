"""The same block tells the same, whoever is asked about beside it, however often, and after the chain has gone on."""

from __future__ import annotations

import pytest

from aggregator.localnet import controls
from aggregator.localnet.world import World
from aggregator.model.identifiers import AccountId, Address, evm_chain
from tests.engine.support import CHAINS, Proxies, Sight, Urls, engine_on, held, look, look_once, take, time_of, urls_of

pytestmark = pytest.mark.localnet


@pytest.fixture(scope="module")
def urls(deployed: World) -> Urls:
    return {chain_id: (chain.url,) for chain_id, chain in deployed.chains.items()}


@pytest.fixture(scope="module")
async def heads(deployed: World) -> dict[int, int]:
    return {chain_id: await chain.head() for chain_id, chain in deployed.chains.items()}


async def test_each_owner_alone_has_what_he_has_among_all(deployed: World, urls: Urls) -> None:
    """Also read by an engine that has met everybody, and by one that meets the owner first."""
    async with engine_on(urls) as engine:
        together = await take(engine, [owner.address for owner in deployed.owners])
        for owner in deployed.owners:
            assert held(await take(engine, [owner.address])) == held(together, owner=owner.address), owner.name
    for owner in [one for one in deployed.owners if len(one.chains) > 1][::4]:
        async with engine_on(urls) as fresh:
            assert held(await take(fresh, [owner.address])) == held(together, owner=owner.address), owner.name
    strangers = {one.owner for one in together.portfolio.margin_accounts} - {Address(one.address.lower()) for one in deployed.owners}
    assert not strangers


async def test_each_owner_is_found_where_his_story_puts_him(deployed: World, everybody: Sight) -> None:
    """Nobody is overlooked: who holds something on a chain has a position there, and who holds nothing has none."""
    nothing_left = {"morpho-wiped-out"}
    for owner in deployed.owners:
        accounts, positions = everybody.held(owner=owner.address)
        mine = {one.chain for one in accounts} | {one.chain for one in positions}
        assert mine == {evm_chain(chain_id) for chain_id in owner.chains if owner.name not in nothing_left}, owner.name


async def test_a_pinned_block_is_the_same_document_every_time(deployed: World, urls: Urls, heads: dict[int, int], witness: str) -> None:
    """By one engine after another, and twice by the same one."""
    async with engine_on(urls) as engine:
        once = await look(engine, [witness], blocks=heads)
        again = await look(engine, [witness], blocks=heads)
    async with engine_on(urls) as another:
        afresh = await look(another, [witness], blocks=heads)
    assert once.json == again.json
    assert once.json == afresh.json
    assert [(one.block, one.status) for one in once.document.snapshots] == [(heads[chain_id], "ok") for chain_id in CHAINS]


async def test_the_order_of_owners_changes_nothing(deployed: World, urls: Urls, heads: dict[int, int]) -> None:
    owners = [deployed.owner(name).address for name in ("whale", "hedged-across-chains", "v4-lp", "morpho-several-markets", "rwa-treasury")]
    async with engine_on(urls) as engine:
        forward = await look(engine, owners, blocks=heads)
    async with engine_on(urls) as engine:
        backward = await look(engine, owners[::-1], blocks=heads)
    assert forward.held() == backward.held()
    assert forward.document.model_copy(update={"owners": ()}) == backward.document.model_copy(update={"owners": ()})


async def test_owners_given_twice_or_in_another_form_count_once(deployed: World, urls: Urls, heads: dict[int, int], witness: str) -> None:
    async with engine_on(urls) as engine:
        once = await look(engine, [witness], blocks=heads)
        twice = await look(engine, [witness, witness.lower()], blocks=heads)
        by_chain = await look(engine, [f"{name}:{witness}" for name in ("eth", "eip155:42161", "base")], blocks=heads)
    assert twice.json == once.json
    assert by_chain.held() == once.held()
    assert by_chain.document.health == once.document.health
    assert by_chain.picture.portfolio.owners[0] == AccountId(evm_chain(1), Address(witness.lower()))


async def test_a_pin_gives_the_old_figures_after_the_chain_went_on(world: World, urls: Urls, heads: dict[int, int], witness: str) -> None:
    async with engine_on(urls) as engine:
        before = await look(engine, [witness], blocks=heads)
        await controls.move_price(world, "ETH", "0.9")
        await controls.mine(world, 3, 3_600)
        latest = await look(engine, [witness])
        back = await look(engine, [witness], blocks=heads)
        onward = await look(engine, [witness])
    async with engine_on(urls) as fresh:
        afresh = await look(fresh, [witness], blocks=heads)
        anew = await look(fresh, [witness])
    assert latest.document.health.equity_usd != before.document.health.equity_usd
    assert all(
        now.health_factor != then.health_factor for now, then in zip(latest.held()[0], before.held()[0], strict=True) if then.health_factor
    )
    assert back.json == before.json == afresh.json
    assert onward.held() == latest.held() == anew.held()


async def test_one_chain_alone_tells_what_it_tells_among_three(deployed: World, urls: Urls, witness: str, whole: Sight, now: float) -> None:
    for chain_id in CHAINS:
        alone = await look_once({chain_id: urls[chain_id]}, [witness], now=now)
        assert alone.held([chain_id]) == whole.held([chain_id])
        assert alone.held() == alone.held([chain_id])


async def test_a_pin_that_does_not_exist_yet_is_a_gap(
    proxies: Proxies, heads: dict[int, int], witness: str, whole: Sight, now: float
) -> None:
    async with engine_on(urls_of(proxies), now=now) as engine:
        sight = await look(engine, [witness], blocks={1: heads[1] + 10_000})
    assert sight.missing == [("eip155:1", "*", "everything on this chain", "the endpoint does not have this block")]
    assert sight.held([42161, 8453]) == whole.held([42161, 8453])


async def test_what_changes_between_two_snapshots_is_seen(world: World, urls: Urls) -> None:
    """A memory of structure must not hide what is new: a transfer, a new NFT's owner, a repaid debt."""
    giver, taker = world.owner("v3-in-range").address, world.owner("empty").address
    now = await time_of(world)
    async with engine_on(urls, now=now) as engine:
        before = await look(engine, [giver, taker])
        (position,) = [one for one in before.held(owner=giver)[1] if one.protocol == "uniswap-v3"][:1]
        manager = "0xC36442b4a4522E871399CD717aBDD847Ab11FE88"
        token_id = int(position.identifiers["token_id"])
        await world.chains[1].send(giver, manager, "transferFrom(address,address,uint256)", giver, taker, token_id)
        after = await look(engine, [giver, taker])
    assert str(token_id) in {one.identifiers.get("token_id") for one in after.held(owner=taker)[1]}
    assert str(token_id) not in {one.identifiers.get("token_id") for one in after.held(owner=giver)[1]}
    assert before.held(owner=taker) == ([], [])
