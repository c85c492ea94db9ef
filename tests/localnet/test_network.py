"""The network as a whole: built once, kept, started again, ended without a trace."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from aggregator.localnet import network
from aggregator.localnet.anvil import AnvilProcess
from aggregator.localnet.artifacts import Artifacts
from aggregator.localnet.deploy import lending, vaults
from aggregator.localnet.network import local_network, world_key
from aggregator.localnet.packages import cache_directory
from aggregator.localnet.progress import Timings
from aggregator.localnet.stages import PROTOCOLS, Stage, all_stages
from aggregator.localnet.together import together
from aggregator.localnet.world import CHAINS, Token, World

TRANSFERS = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    number: int
    parts: tuple[str, ...]
    table: dict[int, Decimal]


def test_a_world_without_chains_is_written_and_read_back() -> None:
    world = World({}, Artifacts(Path("nowhere")), seed=3)
    world.add_token(Token(1, "USDC", "0x" + "01" * 20, 6))
    world.record(1, Thing("a", 2**255, ("x", "y"), {1: Decimal("0.1")}))
    world.record((1, "second"), Thing("b", -1, (), {}))
    world.prices["ETH"] = Decimal("2999.5")
    other = World({}, Artifacts(Path("nowhere")))
    other.restore(json.loads(json.dumps(world.document())))
    assert other.seed == 3
    assert other.tokens == world.tokens
    assert other.prices == world.prices
    assert other.recorded(Thing) == world.recorded(Thing)
    assert other.recorded(int) == {}


def test_the_key_of_a_world_knows_seed_and_stages() -> None:
    first = all_stages()[0]
    everything = all_stages()
    assert world_key(1, everything) == world_key(1, everything)
    assert (
        len({world_key(1, everything), world_key(2, everything), world_key(1, (first,)), world_key(1, (Stage("other", first.run),))}) == 4
    )


def test_timings_add_up_and_are_told() -> None:
    told: list[tuple[str, bool]] = []
    timings = Timings(lambda stage, detail: told.append((stage, detail == "…")))
    for name in ("a", "b", "a"):
        with timings.stage(name):
            pass
    assert told == [(name, beginning) for name in ("a", "b", "a") for beginning in (True, False)]
    assert list(timings.seconds) == ["a", "b"]


async def test_together_raises_the_failure_itself_and_ends_the_others() -> None:
    ended = asyncio.Event()

    async def patient() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 1

    async def failing() -> int:
        await asyncio.sleep(0)
        raise KeyError("mine")

    async def one() -> int:
        return 1

    with pytest.raises(KeyError, match="mine"):
        await together(patient(), failing())
    assert ended.is_set()
    assert await together(one(), one()) == [1, 1]


@pytest.mark.localnet
async def test_a_started_world_is_the_one_that_was_built(deployed: World) -> None:
    assert tuple(deployed.chains) == CHAINS
    assert len({await chain.now() for chain in deployed.chains.values()}) == 1, "one time on all chains"
    kept = json.loads(
        (cache_directory() / "worlds" / world_key(deployed.seed, all_stages(populated=False)) / "world.json").read_text(encoding="utf-8")
    )
    assert kept["world"]["seed"] == deployed.seed
    for kind in (lending.AaveMarket, lending.SparkMarket, vaults.Vault):
        assert deployed.recorded(kind)


@pytest.mark.localnet
async def test_a_started_chain_has_its_logs_and_its_finality(deployed: World) -> None:
    for chain_id, chain in deployed.chains.items():
        token = deployed.token(chain_id, "WETH").address
        for block in ("latest", "safe", "finalized"):
            assert await chain.call(token, "totalSupply()(uint256)", block=block) != (0,)
        usdc = deployed.token(chain_id, "USDC").address
        logs = await chain.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "address": usdc, "topics": [TRANSFERS]})
        assert isinstance(logs, list)
        assert len(logs) > 3


@pytest.mark.localnet
async def test_a_seed_gives_the_same_blocks_and_nothing_keeps_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "all_stages", lambda *, populated: PROTOCOLS)
    heads: list[object] = []
    directory = cache_directory() / "worlds" / world_key(2, PROTOCOLS)
    nodes: list[AnvilProcess] = []
    for fresh in (True, True, False):
        told: list[str] = []
        async with local_network(2, fresh=fresh, progress=lambda stage, detail, told=told: told.append(stage)) as world:
            nodes += [chain.process for chain in world.chains.values()]
            assert all(node.running for node in nodes[-3:])
            assert ("keep" in told) is fresh
        heads.append(json.loads((directory / "world.json").read_text(encoding="utf-8"))["heads"])
    assert heads[0] == heads[1] == heads[2]
    assert len(nodes) == 9
    assert not any(node.running for node in nodes)


@pytest.mark.localnet
async def test_a_failing_stage_leaves_nothing_running_and_nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[AnvilProcess] = []

    async def fail(world: World) -> None:
        raise RuntimeError("the stage failed")

    async def look(world: World) -> None:
        processes.extend(chain.process for chain in world.chains.values())

    stages = (Stage("look", look), Stage("fails", fail))
    monkeypatch.setattr(network, "all_stages", lambda *, populated: stages)
    key = world_key(4, stages)
    with pytest.raises(RuntimeError, match="the stage failed"):
        async with local_network(4):
            pass
    assert len(processes) == 3
    assert not any(process.running for process in processes)
    assert not (cache_directory() / "worlds" / key).exists()
