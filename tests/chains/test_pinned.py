"""Pinned reads on a real node: coalesced, the same by every way of asking, and rejected when they are of another block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aggregator.chains.client import ChainClient
from aggregator.chains.configuration import load_chains
from aggregator.chains.heads import pin_block
from aggregator.chains.network import Network
from aggregator.chains.pinned import PinnedReads
from aggregator.chains.work import Abilities
from aggregator.localnet.node import LocalChain
from aggregator.model.identifiers import Address, evm_chain
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.abi import Function
from aggregator.reading.reads import Reads

pytestmark = pytest.mark.localnet

ETHEREUM = evm_chain(1)
ANSWERS_42 = Address("0x" + "b1" * 20)
ECHO = Address("0x" + "b2" * 20)
ENDLESS = Address("0x" + "b3" * 20)
TEN_MEGABYTES = Address("0x" + "b4" * 20)
REFUSES = Address("0x" + "b5" * 20)
SILENT = Address("0x" + "b6" * 20)
LOGS = Address("0x" + "b7" * 20)
NOBODY = Address("0x" + "b8" * 20)
CODE = {
    ANSWERS_42: "602a60005260206000f3",
    ECHO: "600436038060046000376000f3",
    ENDLESS: "5b600056",
    TEN_MEGABYTES: "629896806000f3",
    REFUSES: "63deadbeef60e01b60005260046000fd",
    SILENT: "00",
    # emits one log with topic 7 and its calldata's first word
    LOGS: "60003560005260076020600060006000a1".replace("60006000a1", "a1"),
}
GET = Function("get()(uint256)")
ECHO_TWO = Function("echo(uint256,uint256)(uint256,uint256)")


@pytest.fixture(scope="module")
async def chain(bare_chain: LocalChain) -> LocalChain:
    for address, code in CODE.items():
        await bare_chain.rpc("anvil_setCode", address, "0x" + code)
    await bare_chain.mine(3)
    return bare_chain


@pytest.fixture
async def client(chain: LocalChain) -> AsyncIterator[ChainClient]:
    async with Network(load_chains(), rpc_overrides={ETHEREUM: (chain.url,)}) as network:
        yield network.client(ETHEREUM)


async def ask_everything(reads: Reads) -> list[Outcome[Any]]:
    """One of each kind, dependent and hostile ones included, all awaited together."""
    answer = reads.call(ANSWERS_42, GET)
    echoed = reads.call(ECHO, ECHO_TWO, answer.word(0, add=1), 9)
    zero = reads.call(ECHO, ECHO_TWO, 0, 1)
    asked = [
        answer,
        echoed,
        reads.call(ECHO, ECHO_TWO, echoed.word(0), echoed.word(1)),
        reads.call(NOBODY, GET),
        reads.call(REFUSES, GET),
        reads.call(SILENT, GET),
        reads.call(ANSWERS_42, ECHO_TWO, 1, 2),
        reads.call(echoed.word(5), GET),
        reads.call(ENDLESS, GET, when=zero.word(0)),
        reads.keccak(answer.word(0)),
        reads.balance(NOBODY),
        reads.storage(NOBODY, 0),
        reads.call(ECHO, ECHO_TWO, 1, 2, limit=32),
    ]
    return [await read for read in asked]


async def test_every_way_of_asking_gives_the_same_outcomes(client: ChainClient) -> None:
    block = await pin_block(client)
    by_way = []
    for abilities in (Abilities(), Abilities(lens=False), Abilities(lens=False, multicall=False)):
        async with PinnedReads(client, block, abilities) as reads:
            by_way.append([(type(o), getattr(o, "value", None), getattr(o, "reason", None)) for o in await ask_everything(reads)])
    assert by_way[0] == by_way[1] == by_way[2]
    kinds = [kind for kind, _, _ in by_way[0]]
    assert kinds == [Value, Value, Value, Absent, Unknown, Unknown, Unknown, Absent, Absent, Value, Value, Value, Unknown]
    assert [value for _, value, _ in by_way[0][:3]] == [42, (43, 9), (43, 9)]


async def test_reads_awaited_together_travel_in_one_request(client: ChainClient) -> None:
    block = await pin_block(client)
    before = client.requests
    async with PinnedReads(client, block) as reads:

        async def one(number: int) -> Outcome[Any]:
            await asyncio.sleep(0)
            return await reads.call(ECHO, ECHO_TWO, number, number)

        outcomes = await asyncio.gather(*(one(number) for number in range(500)), ask_everything(reads))
        assert reads.rounds == 1
    assert [o.value for o in outcomes[:-1] if isinstance(o, Value)] == [(n, n) for n in range(500)]
    assert client.requests - before == 1


async def test_more_than_a_request_holds_is_split_and_nothing_is_lost(client: ChainClient) -> None:
    block = await pin_block(client)
    async with PinnedReads(client, block) as reads:
        asked = [reads.call(ECHO, ECHO_TWO, 2**255 + number, number) for number in range(9_000)]
        poison = [reads.call(ENDLESS, GET), reads.call(TEN_MEGABYTES, GET)]
        outcomes = [await read for read in asked]
        hostile = [await read for read in poison]
    assert [o.value[1] for o in outcomes if isinstance(o, Value)] == list(range(9_000))
    assert all(isinstance(o, Unknown) and o.reason is Reason.OUT_OF_GAS for o in hostile)


async def test_what_depends_on_an_unattempted_call_goes_with_it(client: ChainClient) -> None:
    block = await pin_block(client)
    client.configuration = client.configuration.model_copy(update={"gas_cap": 2_500_000})
    async with PinnedReads(client, block) as reads:
        hostile = [reads.call(ENDLESS, GET) for _ in range(12)]
        chains = []
        for number in range(30):
            first = reads.call(ECHO, ECHO_TWO, number, 1)
            second = reads.call(ECHO, ECHO_TWO, first.word(0, add=1), first.word(1))
            chains.append(reads.call(ECHO, ECHO_TWO, second.word(0, add=1), second.word(1)))
            hostile.append(reads.call(ENDLESS, GET))
        outcomes = [await read for read in chains]
        bad = [await read for read in hostile]
    assert outcomes == [Value((number + 2, 1)) for number in range(30)]
    assert all(isinstance(o, Unknown) and o.reason is Reason.OUT_OF_GAS for o in bad)


async def test_an_answer_of_another_block_is_rejected(client: ChainClient, chain: LocalChain) -> None:
    block = await pin_block(client)
    from dataclasses import replace

    for abilities in (Abilities(), Abilities(lens=False)):
        async with PinnedReads(client, replace(block, timestamp=block.timestamp + 1), abilities) as reads:
            if abilities.lens is None:
                outcome = await reads.call(ANSWERS_42, GET)
                assert isinstance(outcome, Unknown)
                assert outcome.reason is Reason.ENDPOINT
    async with PinnedReads(client, replace(block, hash="0x" + "77" * 32)) as reads:
        outcome = await reads.call(ANSWERS_42, GET)
        assert isinstance(outcome, Unknown)
        assert reads.orphaned


async def test_leaving_resolves_what_is_under_way(client: ChainClient) -> None:
    block = await pin_block(client)
    async with PinnedReads(client, block) as reads:
        unsent = reads.call(ANSWERS_42, GET)
    outcome = await unsent
    assert isinstance(outcome, Unknown)
