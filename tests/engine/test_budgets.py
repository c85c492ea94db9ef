"""How many requests a snapshot costs, counted at the endpoint as somebody outside would count them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pytest

from aggregator.engine.snapshot import Picture
from aggregator.localnet import controls
from aggregator.localnet.deploy.vaults import OUTER_VAULT
from aggregator.localnet.owners.exchange_parts import PairShare, Position, SingletonPosition
from aggregator.localnet.owners.holding_parts import FundShares, StakedEther, VaultShares, Wallet
from aggregator.localnet.owners.lending_parts import LendingAccount
from aggregator.localnet.owners.morpho_parts import Borrow, Supply
from aggregator.localnet.owners.profile import Profile
from aggregator.localnet.world import World
from aggregator.model.identifiers import evm_chain
from tests.engine.support import CHAINS, Proxies, engine_on, look, take, urls_of

pytestmark = pytest.mark.localnet

MAXIMUM_BODY_BYTES = 500_000

EVERYTHING = Profile(
    "everything",
    "has something in every protocol there is",
    (
        Wallet(tokens={"USDC": "1000", "LINK": "50", "rETH": "1"}, native="2"),
        LendingAccount(supplied={"WETH": 50_000, "AAVE": 10_000}, borrowed={"USDC": 20_000}),
        LendingAccount(protocol="spark", supplied={"WETH": 30_000}, borrowed={"DAI": 10_000}),
        Supply(market="wstETH/USDC", usd=5_000),
        Borrow(market="WBTC/USDC", usd=20_000, health=Decimal("1.5")),
        PairShare(pair=("USDC", "WETH"), usd=5_000),
        Position(pool=("USDC", "WETH", 500), bounds=(-0.1, 0.1), usd=5_000),
        SingletonPosition(pool=("ETH", "USDC", 500), bounds=(-0.1, 0.1), usd=5_000),
        VaultShares(vault="sUSDe", usd=3_000),
        VaultShares(vault=OUTER_VAULT, usd=3_000),
        StakedEther(steth="2", wsteth="1"),
        FundShares(fund="USDY", usd=5_000),
        FundShares(fund="OUSG", usd=5_000),
        Wallet(chain_id=42161, tokens={"USDC": "1000", "ARB": "100"}, native="1"),
        LendingAccount(chain_id=42161, supplied={"WETH": 20_000}, borrowed={"USDC": 5_000}),
        Supply(chain_id=42161, market="wstETH/USDC", usd=5_000),
        Position(chain_id=42161, pool=("WBTC", "WETH", 500), bounds=(-0.1, 0.1), usd=5_000),
        Wallet(chain_id=8453, tokens={"cbETH": "2", "USDC": "100"}, native="1"),
        LendingAccount(chain_id=8453, supplied={"cbBTC": 20_000}, borrowed={"USDC": 5_000}),
        Borrow(chain_id=8453, market="cbBTC/USDC", usd=20_000, health=Decimal("1.5")),
        SingletonPosition(chain_id=8453, pool=("ETH", "USDC", 500), bounds=(-0.1, 0.1), usd=5_000),
    ),
)
PROTOCOLS = {
    1: {"wallet", "aave-v3", "spark", "morpho-blue", "uniswap-v2", "uniswap-v3", "uniswap-v4", "erc4626", "lido", "rate-tokens", "rwa"},
    42161: {"wallet", "aave-v3", "morpho-blue", "uniswap-v3"},
    8453: {"wallet", "aave-v3", "morpho-blue", "uniswap-v4", "rate-tokens"},
}
"""where EVERYTHING must show up, so that no count is small because something was not found"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one snapshot on one chain."""

    rounds: int
    requests: int


def cost(picture: Picture, proxies: Proxies) -> dict[int, Cost]:
    """What the endpoints counted since they were last asked. What the engine counts of itself must be the same."""
    counted = {chain_id: proxy.requests for chain_id, proxy in proxies.items()}
    assert counted == {chain_id: picture.requests[evm_chain(chain_id)] for chain_id in proxies}
    for proxy in proxies.values():
        assert proxy.largest_request_bytes < MAXIMUM_BODY_BYTES
        proxy.record.clear()
    return {chain_id: Cost(picture.rounds[evm_chain(chain_id)], counted[chain_id]) for chain_id in proxies}


async def test_one_owner_in_every_protocol(world: World, proxies: Proxies) -> None:
    who = EVERYTHING.owner.address
    for part in EVERYTHING.parts:
        await part.open(world, who)
    async with engine_on(urls_of(proxies)) as engine:
        sight = await look(engine, [who])
        for chain_id in CHAINS:
            accounts, positions = sight.held([chain_id])
            found = {one.protocol for one in accounts} | {one.protocol for one in positions}
            assert found >= PROTOCOLS[chain_id], sight.missing
        cold = cost(sight.picture, proxies)
        assert all(one.rounds <= 3 and one.requests <= 4 for one in cold.values()), cold

        warm = cost(await take(engine, [who]), proxies)
        assert all(one.rounds <= 2 and one.requests <= 3 for one in warm.values()), warm

        for seconds in (60, 7 * 3_600):
            await controls.mine(world, 5, seconds)
            await world.chains[1].send(who, world.token(1, "USDC").address, "transfer(address,uint256)", world.owner("empty").address, 1)
            again = await look(engine, [who])
            assert again.held()[0] != sight.held()[0]
            later = cost(again.picture, proxies)
            assert all(one.rounds <= 2 and one.requests <= 3 for one in later.values()), (seconds, later)


async def test_seeded_owners_cold_and_warm(deployed: World, proxies: Proxies) -> None:
    """Every fifth of them, and those who are on several chains or the like of nobody else."""
    unlike = ("empty", "v4-lp-hooked", "morpho-wrong-oracle")
    owners = [one for place, one in enumerate(deployed.owners) if place % 5 == 0 or len(one.chains) == 3 or one.name in unlike]
    assert len(owners) > 20
    for owner in owners:
        async with engine_on(urls_of(proxies)) as engine:
            cold = cost(await take(engine, [owner.address]), proxies)
            assert all(one.rounds <= 3 and one.requests <= 4 for one in cold.values()), (owner.name, cold)
            warm = cost(await take(engine, [owner.address]), proxies)
            assert all(one.rounds <= 2 and one.requests <= 3 for one in warm.values()), (owner.name, warm)


async def test_a_hundred_owners(deployed: World, proxies: Proxies) -> None:
    strangers = [f"0x{number:040x}" for number in range(0x5EED0000, 0x5EED0000 + 100 - len(deployed.owners))]
    owners = [*(owner.address for owner in deployed.owners), *strangers][:100]
    assert len(owners) == 100
    async with engine_on(urls_of(proxies)) as engine:
        for state in ("cold", "warm"):
            spent = cost(await take(engine, owners), proxies)
            assert all(one.requests <= 12 for one in spent.values()), (state, spent)
