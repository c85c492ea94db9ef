"""The engine on the local network through endpoints that can misbehave, and what a fault may do to a portfolio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from aggregator.chains.arguments import rpc_overrides
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.chains.policy import Policy
from aggregator.engine.document import HealthDocument, to_json
from aggregator.engine.judgement import judge
from aggregator.engine.snapshot import Engine, Picture, SnapshotRequest
from aggregator.localnet.world import World
from aggregator.model.identifiers import Address, evm_chain
from aggregator.model.position import MarginAccount, Position
from tests.faulty_endpoint import FaultyEndpoint

QUICK = Policy(
    backoff_base_seconds=0.001,
    backoff_cap_seconds=0.004,
    connect_timeout_seconds=2.0,
    read_timeout_seconds=20.0,
    request_timeout_seconds=20.0,
    deadline_seconds=40.0,
    longest_wait_seconds=1.0,
)
"""patient with a busy machine, not with endpoints that fail at once"""
CHAINS = (1, 42161, 8453)

Urls = Mapping[int, Sequence[str]]
Proxies = Mapping[int, FaultyEndpoint]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the engine read and what was made of it."""

    picture: Picture
    document: HealthDocument

    @property
    def json(self) -> str:
        return to_json(self.document)

    @property
    def missing(self) -> list[tuple[str, str, str, str]]:
        return [(gap.chain, gap.protocol, gap.what, gap.why) for gap in self.document.coverage.missing]

    @property
    def warnings(self) -> list[tuple[str, str]]:
        return [(warning.code, warning.detail) for warning in self.document.warnings]

    def held(self, chain_ids: Iterable[int] = CHAINS, owner: str | None = None) -> Held:
        return held(self.picture, chain_ids, owner)


Held: TypeAlias = tuple[list[MarginAccount], list[Position]]


def held(picture: Picture, chain_ids: Iterable[int] = CHAINS, owner: str | None = None) -> Held:
    """Margin accounts and positions on these chains, of one owner or of all."""
    chains = {evm_chain(chain_id) for chain_id in chain_ids}
    whose = None if owner is None else Address(owner.lower())
    portfolio = picture.portfolio
    return (
        [one for one in portfolio.margin_accounts if one.chain in chains and whose in (None, one.owner)],
        [one for one in portfolio.positions if one.chain in chains and whose in (None, one.owner)],
    )


def urls_of(proxies: Proxies) -> dict[int, tuple[str, ...]]:
    return {chain_id: (proxy.url,) for chain_id, proxy in proxies.items()}


@asynccontextmanager
async def engine_on(urls: Urls, *, now: float | None = None, policy: Policy = QUICK) -> AsyncIterator[Engine]:
    """An engine that knows nothing yet. `now` is what its clock shows; the machine's own time by default."""
    configuration = load_chains()
    given = [f"{chain_id}={url}" for chain_id, several in urls.items() for url in several]
    async with Network(configuration, rpc_overrides=rpc_overrides(given, configuration), policy=policy) as network:
        yield Engine(network) if now is None else Engine(network, clock=lambda: now)


async def look(
    engine: Engine,
    owners: Sequence[str],
    *,
    chains: Iterable[int] = CHAINS,
    blocks: Mapping[int, int] | None = None,
    discover: bool = False,
) -> Sight:
    """One snapshot and its judgement."""
    picture = await take(engine, owners, chains=chains, blocks=blocks, discover=discover)
    return Sight(picture, judge(picture)[1])


async def take(
    engine: Engine,
    owners: Sequence[str],
    *,
    chains: Iterable[int] = CHAINS,
    blocks: Mapping[int, int] | None = None,
    discover: bool = False,
) -> Picture:
    """One snapshot."""
    request = SnapshotRequest(
        owners=tuple(owners),
        only_chains=tuple(str(chain_id) for chain_id in chains),
        blocks=tuple(f"{chain_id}={number}" for chain_id, number in (blocks or {}).items()),
        discover=discover,
    )
    return await engine.take(request)


async def look_once(
    urls: Urls, owners: Sequence[str], *, now: float | None = None, policy: Policy = QUICK, discover: bool = False
) -> Sight:
    """What a command that is run once sees of the chains in `urls`."""
    async with engine_on(urls, now=now, policy=policy) as engine:
        return await look(engine, owners, chains=tuple(urls), discover=discover)


async def time_of(world: World) -> float:
    """What a clock would show in the world: the time of the latest of the chains' heads."""
    return float(max([await chain.now() for chain in world.chains.values()]))


def assert_not_calmer(faulty: Sight, whole: Sight) -> None:
    """What is missing is named, and no figure looks better than when everything was read."""
    assert not faulty.document.coverage.complete
    assert faulty.missing
    seen, true = faulty.document.health, whole.document.health
    for name in ("equity_usd", "collateral_usd", "collateral_after_haircuts_usd", "margin_ratio", "score"):
        assert not _exceeds(getattr(seen, name), getattr(true, name)), name
    assert not _exceeds(true.debt_usd, seen.debt_usd)
    if seen.liquidation_probability is not None and true.liquidation_probability is not None:
        for horizon, chance in seen.liquidation_probability.items():
            assert not _exceeds(true.liquidation_probability[horizon], chance)


def _exceeds(one: str | None, other: str | None) -> bool:
    """Whether `one` is known to be more than `other`."""
    return one is not None and other is not None and Decimal(one) > Decimal(other)


def assert_same_elsewhere(faulty: Sight, whole: Sight, chain_id: int) -> None:
    """The other chains tell what they told without the fault, at the same blocks."""
    others = tuple(other for other in CHAINS if other != chain_id)
    assert faulty.held(others) == whole.held(others)
    wanted = {evm_chain(other) for other in others}
    assert [one for one in faulty.picture.portfolio.snapshots if one.chain in wanted] == [
        one for one in whole.picture.portfolio.snapshots if one.chain in wanted
    ]


def assert_whole(sight: Sight, whole: Sight) -> None:
    """Nothing is missing: every holding and every figure of the fault-free reading."""
    assert sight.held() == whole.held()
    assert sight.missing == whole.missing
    assert sight.document.health == whole.document.health
