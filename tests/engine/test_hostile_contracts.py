"""Contracts that mean harm cost their holder a line, and nobody a figure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from aggregator.localnet import controls
from aggregator.localnet.deploy import tokens
from aggregator.localnet.owners.holding_parts import Uninvited
from aggregator.localnet.world import World
from aggregator.model.identifiers import evm_chain
from aggregator.reading.registry import registry
from tests.conftest import put_back
from tests.engine.node_faults import NoOverrides
from tests.engine.support import Proxies, Sight, Urls, engine_on, look, look_once, urls_of

pytestmark = pytest.mark.localnet

ETHEREUM = evm_chain(1)
NEIGHBOURS = (
    "wallet-only",
    "spammed",
    "three-chains",
    "whale",
    "aave-edge",
    "morpho-borrower-safe",
    "v3-in-range",
    "v4-lp",
    "vault-nested",
)


@pytest.fixture(scope="module")
async def ethereum(deployed: World) -> Urls:
    return {1: (deployed.chains[1].url,)}


@pytest.fixture(scope="module")
async def neighbours(deployed: World) -> list[str]:
    return [deployed.owner(name).address for name in NEIGHBOURS]


@pytest.fixture(scope="module")
async def unharmed(ethereum: Urls, neighbours: list[str], now: float) -> Sight:
    """What the neighbours have when nobody asks about the victim."""
    return await look_once(ethereum, neighbours, now=now, discover=True)


@pytest.fixture(scope="module")
async def victim(deployed: World) -> str:
    return deployed.owner("hostile-tokens").address


async def test_everybody_else_has_what_he_had(ethereum: Urls, neighbours: list[str], unharmed: Sight, victim: str, now: float) -> None:
    sight = await look_once(ethereum, [*neighbours, victim], now=now, discover=True)
    for address in neighbours:
        assert sight.held(owner=address) == unharmed.held(owner=address)
    assert set(unharmed.missing) <= set(sight.missing)
    own = [gap for gap in sight.missing if victim.lower() in gap[2]]
    assert own and all(chain == ETHEREUM and protocol == "wallet" for chain, protocol, _, _ in own)


async def test_the_victim_keeps_what_is_his(ethereum: Urls, victim: str, deployed: World, now: float) -> None:
    """The honest wallet to the unit, each hostile token by its name, and not a cent from any of them."""
    honest = await look_once(ethereum, [victim], now=now)
    sight = await look_once(ethereum, [victim], now=now, discover=True)
    assert honest.document.coverage.complete
    for name in ("equity_usd", "collateral_usd", "collateral_after_haircuts_usd", "requirement_usd", "margin_ratio", "debt_usd"):
        assert getattr(sight.document.health, name) == getattr(honest.document.health, name), name
    known = registry().tokens(ETHEREUM)
    legs = [leg for position in sight.document.positions for leg in position.legs]
    assert [leg for leg in legs if leg.value_usd is not None] == [leg for position in honest.document.positions for leg in position.legs]
    assert all(leg.asset.partition("erc20:")[2] not in known for leg in legs if leg.value_usd is None)

    sent = tokens.uninvited(deployed).tokens
    said = " ".join(what for _, _, what, _ in sight.missing)
    for name in ("EndlessToken", "BloatedToken", "RevertingToken", "LookupToken", "BoundlessToken"):
        assert sent[name].lower() in said, name
    assert "\x1b" not in sight.json and "\\u001b" not in sight.json


async def test_the_same_without_overrides(proxies: Proxies, victim: str, deployed: World, now: float) -> None:
    owners = [victim, deployed.owner("spammed").address, deployed.owner("wallet-only").address]
    through_lens = await look_once({1: urls_of(proxies)[1]}, owners, now=now, discover=True)
    proxies[1].inject(NoOverrides())
    plainly = await look_once({1: urls_of(proxies)[1]}, owners, now=now, discover=True)
    assert plainly.held() == through_lens.held()
    assert plainly.missing == through_lens.missing
    assert plainly.document.health == through_lens.document.health


async def test_spam_changes_no_figure(deployed: World, ethereum: Urls, now: float) -> None:
    """A block in which strangers send everything they have, and the same block without it."""
    target = deployed.owner("aave-safe").address
    async with put_back(deployed) as world:
        await world.chains[1].mine()
        before = await look_once(ethereum, [target], now=now, discover=True)
    async with put_back(deployed) as world:
        await Uninvited().open(world, target)
        after = await look_once(ethereum, [target], now=now, discover=True)
    (then,), (later,) = before.document.snapshots, after.document.snapshots
    assert (then.block, then.timestamp) == (later.block, later.timestamp) and then.block_hash != later.block_hash
    assert len(after.held()[1]) > len(before.held()[1])
    assert after.held()[0] == before.held()[0]
    assert after.document.health == before.document.health
    assert after.document.isolated_versus_cross == before.document.isolated_versus_cross


@pytest.fixture(scope="module")
async def engine_urls(deployed: World) -> AsyncIterator[Urls]:
    yield {chain_id: (chain.url,) for chain_id, chain in deployed.chains.items()}


async def test_a_broken_oracle_costs_only_its_own_accounts(world: World, engine_urls: Urls, now: float) -> None:
    """A feed that reverts leaves the health of whoever stands on it unknown, and the others' as it was."""
    owners = {name: world.owner(name).address for name in ("aave-bad-debt", "aave-safe", "spark-safe", "morpho-borrower-safe")}
    async with engine_on(engine_urls, now=now) as engine:
        before = await look(engine, list(owners.values()))
        broken = await controls.break_feed(world, 1, "LINK / USD")
        await world.chains[1].mine()
        during = await look(engine, list(owners.values()))
        await broken.mend(world)
        await world.chains[1].mine()
        after = await look(engine, list(owners.values()))
    for name, address in owners.items():
        ((then,), _), ((now_,), _) = before.held(owner=address), during.held(owner=address)
        assert then.health_factor is not None
        if name == "aave-bad-debt":
            assert (now_.health_factor, now_.debt_free, now_.liquidatable) == (None, False, None)
        else:
            assert now_.health_factor is not None
            assert abs(now_.health_factor - then.health_factor) < 10**14
    assert not during.document.coverage.complete
    assert any("LINK" in what or "LINK" in why or owners["aave-bad-debt"].lower() in what for _, _, what, why in during.missing)
    assert during.document.health.margin_ratio is None
    assert after.document.health.margin_ratio is not None
    assert after.missing == before.missing


async def test_a_self_destructed_token_is_not_there_any_more(world: World, ethereum: Urls, now: float) -> None:
    """A listed token whose code is gone is no balance and no gap: that is what the chain says."""
    who = world.owner("wallet-only").address
    link = world.token(1, "LINK").address
    before = await look_once(ethereum, [who], now=now)
    await world.chains[1].rpc("anvil_setCode", link, "0x")
    after = await look_once(ethereum, [who], now=now)
    held = {leg.symbol: leg.amount for position in before.held()[1] for leg in position.legs}
    assert {leg.symbol: leg.amount for position in after.held()[1] for leg in position.legs} == {
        symbol: amount for symbol, amount in held.items() if symbol != "LINK"
    }
    assert after.missing == before.missing
    assert Decimal(str(after.document.health.equity_usd)) < Decimal(str(before.document.health.equity_usd))
