"""Tokens and price feeds at their production addresses."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from aggregator.localnet.deploy import tokens
from aggregator.localnet.deploy.feed_listings import LISTINGS, SEQUENCER_FEEDS
from aggregator.localnet.node import DEPLOYER, LocalChainError
from aggregator.localnet.world import World, WorldError

pytestmark = pytest.mark.localnet

OWNER = "0x" + "5a" * 20
ROUND = "(uint80,int256,uint256,uint256,uint80)"
LATEST, GET = f"latestRoundData(){ROUND}", f"getRoundData(uint80){ROUND}"
DAY = 86_400


async def test_tokens_say_what_the_registry_says(deployed: World) -> None:
    for (chain_id, symbol), token in deployed.tokens.items():
        (decimals,) = await deployed.chains[chain_id].call(token.address, "decimals()(uint8)")
        assert decimals == token.decimals, (chain_id, symbol)


async def test_every_feed_is_fresh_and_shows_the_worlds_price(deployed: World) -> None:
    for (chain_id, description), feed in deployed.feeds.items():
        chain = deployed.chains[chain_id]
        now = await chain.now()
        for proxy in feed.proxies:
            assert await chain.call(proxy, "description()(string)") == (description,)
            assert await chain.call(proxy, "decimals()(uint8)") == (feed.decimals,)
            assert await chain.call(proxy, "aggregator()(address)") == (feed.aggregator,)
            round_id, answer, _, updated, answered_in = cast(tuple[int, ...], await chain.call(proxy, LATEST))
            assert round_id == answered_in
            assert now - updated <= feed.heartbeat
            if feed.symbol:
                assert Decimal(answer).scaleb(-feed.decimals) == pytest.approx(deployed.prices[feed.symbol], rel=Decimal("1e-7"))


async def test_ninety_days_of_rounds_lie_in_the_current_phase(deployed: World) -> None:
    chain = deployed.chains[1]
    proxy = deployed.feed(1, "ETH / USD").proxies[0]
    latest = cast(int, (await chain.call(proxy, LATEST))[0])
    phase, number = latest >> 64, latest & (2**64 - 1)
    assert phase == 2
    assert number > 90 * 24
    rounds = await chain.calls([(proxy, GET, ((phase << 64) + one,)) for one in range(1, number + 1)])
    times = [cast(int, one[3]) for one in rounds]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 90 * DAY - 3_600
    assert all(one[1] for one in rounds)
    # the phase before has a month more, and ends where this one begins
    older = await chain.calls([(proxy, GET, ((1 << 64) + one,)) for one in (1, 30 * 24)])
    assert all(one[3] for one in older)
    assert cast(int, older[1][3]) < times[0]


async def test_a_round_that_does_not_exist_is_all_zeros_and_a_phase_that_does_not_reverts(deployed: World) -> None:
    chain, proxy = deployed.chains[1], deployed.feed(1, "ETH / USD").proxies[0]
    beyond = (2 << 64) + 10**6
    assert await chain.call(proxy, GET, beyond) == (beyond, 0, 0, 0, beyond)
    with pytest.raises(LocalChainError):
        await chain.call(proxy, GET, (3 << 64) + 1)


async def test_a_price_moves_its_followers_and_can_leave_them_behind(world: World) -> None:
    chain = world.chains[1]
    ratio = world.prices["stETH"] / world.prices["ETH"]
    await world.set_price(1, "ETH / USD", Decimal(2000))
    steth = world.feed(1, "STETH / USD").proxies[0]
    (answer,) = await chain.call(steth, "latestAnswer()(int256)")
    assert Decimal(cast(int, answer)) == pytest.approx(Decimal(2000 * 10**8) * ratio, rel=Decimal("1e-7"))
    assert world.prices["WETH"] == Decimal(2000)
    await world.set_price(1, "STETH / USD", Decimal(1800))
    assert world.prices["stETH"] == Decimal(1800)
    assert world.prices["ETH"] == Decimal(2000)
    with pytest.raises(WorldError, match="no feed 'XYZ / USD' on chain 1"):
        await world.set_price(1, "XYZ / USD", Decimal(1))


async def test_a_feed_refuses_what_is_out_of_its_bounds(world: World) -> None:
    chain, feed = world.chains[1], world.feed(1, "ETH / USD")
    (lowest,) = await chain.call(feed.aggregator, "minAnswer()(int192)")
    with pytest.raises(LocalChainError, match="out of min-max range"):
        await chain.send(DEPLOYER, feed.aggregator, "transmit(int192)", cast(int, lowest) - 1)
    with pytest.raises(LocalChainError, match="unauthorized transmitter"):
        await chain.send(OWNER, feed.aggregator, "transmit(int192)", lowest)


async def test_refreshing_keeps_answers_and_renews_times(world: World) -> None:
    chain, feeds = world.chains[8453], [feed for feed in world.feeds.values() if feed.chain_id == 8453]
    await chain.set_time(await chain.now() + 2 * DAY)
    before = await chain.calls([(feed.aggregator, LATEST, ()) for feed in feeds])
    await world.refresh_feeds(8453, older_than=DAY)
    after = await chain.calls([(feed.aggregator, LATEST, ()) for feed in feeds])
    assert [one[1] for one in before] == [one[1] for one in after]
    now = await chain.now()
    assert all(one[3] == now for one in after)


async def test_the_sequencer_feed_says_since_when(world: World) -> None:
    for chain_id, address in SEQUENCER_FEEDS.items():
        chain = world.chains[chain_id]
        _, answer, since, _, _ = cast(tuple[int, ...], await chain.call(address, LATEST))
        assert answer == 0
        assert await chain.now() - since > DAY
        await chain.send(DEPLOYER, address, "set(bool)", True)
        _, answer, since, _, _ = cast(tuple[int, ...], await chain.call(address, LATEST))
        assert (answer, since) == (1, await chain.now())


async def test_old_tokens_keep_their_old_ways(world: World) -> None:
    chain, tether, maker = world.chains[1], world.token(1, "USDT"), world.token(1, "MKR")
    await world.mint(1, "USDT", OWNER, 10**9)
    await chain.send(OWNER, tether.address, "approve(address,uint256)", DEPLOYER, 5)
    with pytest.raises(LocalChainError, match="approve to zero first"):
        await chain.send(OWNER, tether.address, "approve(address,uint256)", DEPLOYER, 6)
    data = await chain.rpc("eth_call", {"from": OWNER, "to": tether.address, "data": "0xa9059cbb" + "0" * 24 + "22" * 20 + f"{1:064x}"})
    assert data == "0x", "transfer returns nothing"
    assert await chain.call(maker.address, "symbol()(bytes32)") == (b"MKR".ljust(32, b"\0"),)


async def test_uninvited_tokens_do_what_they_are_for(world: World) -> None:
    chain, made = world.chains[1], tokens.uninvited(world)
    balance = "balanceOf(address)(uint256)"
    for name in ("EndlessToken", "RevertingToken", "LookupToken"):
        with pytest.raises(LocalChainError):
            await chain.call(made.tokens[name], balance, OWNER)
    answer = await chain.rpc("eth_call", {"to": made.tokens["BloatedToken"], "data": "0x70a08231" + "00" * 32})
    assert isinstance(answer, str)
    assert len(answer) == 2 + 2 * 10 * 2**20
    receipt = await chain.send(OWNER, made.tokens["MistypedToken"], "announce(address,uint256)", OWNER, 7)
    assert len(receipt.events("Transfer(address,address,uint256)")) == 1
    for name in ("Advertisement", "Lookalike", "Markup"):
        await chain.send(OWNER, made.tokens[name], "announce(address,uint256)", OWNER, 7)
        assert await chain.call(made.tokens[name], balance, OWNER) == (7,)
    assert await chain.code(made.vanished) == b""


async def test_minting_by_wrapping_and_what_cannot_be_minted(world: World) -> None:
    async with world.chains[42161].block():
        await world.mint(42161, "WETH", OWNER, 10**18)
        await world.mint(42161, "WETH", OWNER, 2 * 10**18)
    assert await world.balance(42161, "WETH", OWNER) == 3 * 10**18
    with pytest.raises(WorldError, match="no token NOPE on chain 1"):
        await world.mint(1, "NOPE", OWNER, 1)
    unmintable = next(token for token in world.tokens.values() if token.supply == "none")
    with pytest.raises(WorldError, match="cannot be minted"):
        await world.mint(unmintable.chain_id, unmintable.symbol, OWNER, 1)


def test_no_address_is_listed_twice() -> None:
    for listings in LISTINGS.values():
        proxies = [proxy for listing in listings for proxy in listing.proxies]
        assert len(proxies) == len(set(proxies))
