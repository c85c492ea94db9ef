"""The lived month, time that passes on a running network, and a seed that gives the same blocks again."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import cast

import pytest

from aggregator.localnet import history, life, market, outlook, trading
from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.deploy import lending, lido, morpho, rates, vaults
from aggregator.localnet.deploy.feed_listings import DAY, LISTINGS, Listing
from aggregator.localnet.history import HOUR
from aggregator.localnet.network import local_network, world_key
from aggregator.localnet.outlook import MONTH_END
from aggregator.localnet.packages import cache_directory
from aggregator.localnet.stages import all_stages
from aggregator.localnet.world import World
from tests.localnet.pools import distance

ROUND = "latestRoundData()(uint80,int256,uint256,uint256,uint80)"
PAST = "getRoundData(uint80)(uint80,int256,uint256,uint256,uint80)"


@pytest.mark.parametrize("seed", [1, 2, 77])
def test_paths_start_at_one_and_end_where_they_are_meant_to(seed: int) -> None:
    month = life.month(seed)
    assert month == life.month(seed)
    for model, levels in month.levels.items():
        assert len(levels) == outlook.MONTH_STEPS * 12 + 1
        assert levels[0] == pytest.approx(1.0, abs=1e-12)
        assert min(levels) > 0
        if model in outlook.factors(seed):
            assert levels[-1] == pytest.approx(outlook.factors(seed)[model], rel=1e-12)
    assert outlook.factor(seed, "weETH") == outlook.factors(seed)["ETH"]
    assert outlook.factor(seed, "USDC") == 1.0
    assert outlook.factors(seed) != outlook.factors(seed + 1)


def test_prices_fall_together_with_fat_tails() -> None:
    levels = life.month(1).levels
    returns = {
        model: [later / earlier - 1 for earlier, later in pairwise(path)]
        for model, path in levels.items()
        if isinstance(history.MODELS[model], history.Volatile)
    }
    assert _correlation(returns["ETH"], returns["BTC"]) > 0.6
    assert _correlation(returns["ETH"], returns["LINK"]) > 0.4
    spread = (sum(value**2 for value in returns["ETH"]) / len(returns["ETH"])) ** 0.5
    assert max(abs(value) for value in returns["ETH"]) > 3.5 * spread


def _correlation(one: list[float], other: list[float]) -> float:
    mean_one, mean_other = sum(one) / len(one), sum(other) / len(other)
    together = sum((a - mean_one) * (b - mean_other) for a, b in zip(one, other, strict=True))
    alone = [sum((value - mean) ** 2 for value in values) for values, mean in ((one, mean_one), (other, mean_other))]
    return together / float((alone[0] * alone[1]) ** 0.5)


@pytest.mark.localnet
async def test_a_month_has_passed_on_every_chain(inhabited: World) -> None:
    for chain in inhabited.chains.values():
        assert MONTH_END < await chain.now() < MONTH_END + 2 * HOUR
    fallen = outlook.factors(inhabited.seed)
    assert inhabited.prices["ETH"] == pytest.approx(market.PRICES["ETH"] * Decimal(fallen["ETH"]), rel=Decimal("1e-9"))
    assert inhabited.prices["WETH"] == inhabited.prices["ETH"]
    assert inhabited.prices["EURC"] == inhabited.prices["EUR"]


@pytest.mark.localnet
@pytest.mark.parametrize(
    ("chain_id", "listing"),
    [(chain_id, listing) for chain_id, listings in LISTINGS.items() for listing in listings],
    ids=[f"{chain_id} {listing.description}" for chain_id, listings in LISTINGS.items() for listing in listings],
)
async def test_a_feed_tells_the_month_by_its_heartbeat(inhabited: World, chain_id: int, listing: Listing) -> None:
    """Going back round by round, as a reader does: no gap, over the phases' border, and the world's price at the end."""
    chain, proxy = inhabited.chains[chain_id], listing.proxies[0]
    newest, answer, _, updated, _ = cast("tuple[int, int, int, int, int]", await chain.call(proxy, ROUND))
    assert 0 <= await chain.now() - updated <= listing.heartbeat, "fresh"
    if listing.model not in history.GROWING:
        shown = Decimal(answer).scaleb(-listing.decimals)
        assert abs(shown / life.quote(inhabited, listing, {}) - 1) < Decimal("0.003")
    count = newest & 0xFFFFFFFF
    assert count == pytest.approx((MONTH_END - GENESIS_TIME) / listing.heartbeat, abs=4)
    rounds = await chain.calls([(proxy, PAST, (newest - back,)) for back in range(count)])
    times = [cast(int, one[3]) for one in rounds]
    assert {earlier - later for earlier, later in pairwise(times)} == {listing.heartbeat}
    before_phase = (newest >> 64) - 1
    last_before = await _newest_of_phase(inhabited, chain_id, proxy, before_phase)
    assert 0 < times[-1] - last_before[3] <= listing.heartbeat, "no gap between the phases"
    assert abs(cast(int, rounds[-1][1]) / last_before[1] - 1) < 0.1


async def _newest_of_phase(world: World, chain_id: int, proxy: str, phase: int) -> tuple[int, int, int, int, int]:
    chain = world.chains[chain_id]
    (aggregator,) = await chain.call(proxy, "phaseAggregators(uint16)(address)", phase)
    return cast("tuple[int, int, int, int, int]", await chain.call(str(aggregator), ROUND))


@pytest.mark.localnet
async def test_pools_stand_within_their_fee_of_the_market(inhabited: World) -> None:
    moved = {"v3-on-tick", "v3-on-tick-from-above", "v3-on-upper-tick"}
    assert moved <= {owner.name for owner in inhabited.owners}
    for chain_id in inhabited.chains:
        for venue in trading.venues(inhabited, chain_id):
            # Three pools were brought to a tick near by for an owner.
            assert await distance(inhabited, chain_id, venue) <= Decimal(venue.fee) / 10**6 + Decimal("0.0015"), venue


@pytest.mark.localnet
async def test_a_month_of_income_was_paid_and_owed(inhabited: World) -> None:
    growth = Decimal(await lido.rate(inhabited)).scaleb(-18) / market.RATES["wstETH"]
    assert Decimal("1.0015") < growth < Decimal("1.0025")
    for symbol in ("sDAI", "sUSDS", "sUSDe", "syrupUSDC"):
        decimals = inhabited.token(1, symbol).decimals
        assets = await vaults.convert_to_assets(inhabited, 1, symbol, 10**decimals)
        assert Decimal("1.001") < Decimal(assets).scaleb(-decimals) / market.RATES[symbol] < Decimal("1.007")
    rate = Decimal(await rates.rate(inhabited, "rETH")).scaleb(-18)
    assert rate > market.RATES["rETH"] * Decimal("1.001")
    for chain_id in inhabited.chains:
        where = lending.aave(inhabited, chain_id)
        index = "getReserveNormalizedVariableDebt(address)(uint256)"
        (debt,) = await inhabited.chains[chain_id].call(where.pool, index, where.reserves["USDC"].asset)
        assert 1.002 < cast(int, debt) / 10**27 < 1.02


@pytest.mark.localnet
async def test_rollups_tell_ethereums_rates(inhabited: World) -> None:
    for chain_id, description, symbol in (
        (42161, "wstETH / stETH Exchange Rate", "wstETH"),
        (8453, "wstETH / stETH Exchange Rate", "wstETH"),
        (8453, "cbETH / ETH Exchange Rate", "cbETH"),
    ):
        proxy = inhabited.feed(chain_id, description).proxies[0]
        (answer,) = await inhabited.chains[chain_id].call(proxy, "latestAnswer()(int256)")
        rate = await (lido.rate(inhabited) if symbol == "wstETH" else rates.rate(inhabited, symbol))
        assert 0.9995 < cast(int, answer) / rate <= 1


@pytest.mark.localnet
async def test_time_passes_on_a_running_network(lived: World) -> None:
    before = {chain_id: await chain.now() for chain_id, chain in lived.chains.items()}
    ether, healthy = lived.prices["ETH"], lived.owner("aave-safe").address
    pools = {venue: await lived.chains[1].calls([trading.state_of(lived, venue)]) for venue in trading.venues(lived, 1)}
    account = await lending.account(lived, lending.aave(lived, 1), healthy)
    supplied = morpho.market(lived, 1, "wstETH/USDC")
    await life.live(lived, days=3)
    for chain_id, chain in lived.chains.items():
        assert 2.5 * DAY <= await chain.now() - before[chain_id] <= 3.5 * DAY
        for feed in lived.feeds.values():
            if feed.chain_id == chain_id and feed.heartbeat == HOUR:
                shown = await chain.call(feed.proxies[0], ROUND)
                assert await chain.now() - cast(int, shown[3]) < HOUR
    assert lived.prices["ETH"] != ether
    assert lived.prices["weETH"] / lived.prices["ETH"] > 1
    later = await lending.account(lived, lending.aave(lived, 1), healthy)
    assert later.debt > account.debt, "interest"
    assert later.health_factor != account.health_factor
    traded = [venue for venue, state in pools.items() if await lived.chains[1].calls([trading.state_of(lived, venue)]) != state]
    assert len(traded) >= len(pools) - 2
    assert await morpho.oracle_price(lived, supplied) > 0


@pytest.mark.localnet
async def test_the_same_seed_gives_the_same_blocks(inhabited: World) -> None:
    """The whole network is built a second time: deployment, owners and month."""
    record = cache_directory() / "worlds" / world_key(inhabited.seed, all_stages()) / "world.json"
    first = json.loads(record.read_text(encoding="utf-8"))
    async with local_network(inhabited.seed, fresh=True) as again:
        second = json.loads(record.read_text(encoding="utf-8"))
        assert second["heads"] == first["heads"]
        assert second["world"] == first["world"]
        assert again.owners == inhabited.owners


@pytest.mark.localnet
async def test_another_seed_gives_another_market_and_the_same_intentions() -> None:
    async with local_network(3) as other:
        assert other.prices["ETH"] == pytest.approx(market.PRICES["ETH"] * Decimal(outlook.factors(3)["ETH"]), rel=Decimal("1e-9"))
        below = await lending.account(other, lending.aave(other, 1), other.owner("aave-liquidatable").address)
        assert 0.97 < below.health_factor / 10**18 < 0.98
        bad = await lending.account(other, lending.aave(other, 1), other.owner("aave-bad-debt").address)
        assert bad.collateral < bad.debt
