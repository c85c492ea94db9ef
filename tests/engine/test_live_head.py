"""How often a head is asked for where nobody tells it, and what is said where none comes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import load_chains
from aggregator.chains.network import Network
from aggregator.engine.live import head
from aggregator.engine.live.head import POLL_SHARE, HeadFollower, poll_interval
from aggregator.model.errors import EndpointError
from aggregator.model.identifiers import ChainId
from aggregator.model.snapshot import Block

CHAINS = load_chains(None).chains


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_asking_for_heads_takes_no_more_than_its_share_of_an_endpoint(chain: str) -> None:
    configuration = CHAINS[ChainId(chain)]
    seconds = poll_interval(configuration)
    assert seconds == 4.0 or 1 / seconds <= POLL_SHARE * configuration.endpoints[0].requests_per_second + 1e-9
    assert seconds >= min(configuration.block_time_seconds / 4, 4.0)


def test_a_node_of_ones_own_is_asked_as_often_as_blocks_come() -> None:
    fast = min(CHAINS.values(), key=lambda one: one.block_time_seconds)
    own = fast.endpoints[0].model_copy(update={"requests_per_second": 1_000.0})
    assert poll_interval(fast.model_copy(update={"endpoints": (own,)})) == 0.25 < poll_interval(fast)


async def test_an_operator_reads_once_that_heads_stay_away_and_once_that_they_come_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, head.__name__)
    refusals = iter([EndpointError("https://rpc.example: connection refused")] * 3)
    asked = 0

    async def pin(_: ChainClient) -> Block:
        nonlocal asked
        asked += 1
        for refusal in refusals:
            raise refusal
        return Block(number=7, hash="0x" + "7" * 64, timestamp=1_700_000_000)

    monkeypatch.setattr(head, "pin_block", pin)
    monkeypatch.setattr(asyncio, "sleep", lambda _, sleep=asyncio.sleep: sleep(0))
    async with Network(load_chains(None)) as network:
        follower = HeadFollower(network, network.client(ChainId("eip155:1")), websocket=False)
        running = asyncio.create_task(follower.run())
        found = await follower.next(5)
        running.cancel()
    assert found is not None and found.number == 7 and asked >= 4 and follower.trouble == ""
    told = [record.message for record in caplog.records if record.name == head.__name__]
    assert told == ["eip155:1: no head: https://rpc.example: connection refused", "eip155:1: heads come again"]
