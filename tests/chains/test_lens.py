"""The lens on a real node: bounded steps, words that feed later steps, and honest statuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth_hash.auto import keccak

from aggregator.chains.lens import LENS_ADDRESS, lens_code
from aggregator.chains.lens.encoding import LensReply, NotALensReply, Status, decode_reply, encode_program
from aggregator.localnet.node import LocalChain
from aggregator.model.identifiers import Address
from aggregator.reading.abi import Function
from aggregator.reading.reads import Read, Reads

pytestmark = pytest.mark.localnet

ANSWERS_42 = Address("0x" + "a1" * 20)
ECHO = Address("0x" + "a2" * 20)
ENDLESS = Address("0x" + "a3" * 20)
TEN_MEGABYTES = Address("0x" + "a4" * 20)
REFUSES = Address("0x" + "a5" * 20)
POINTS_TO_42 = Address("0x" + "a6" * 20)
NOBODY = Address("0x" + "a7" * 20)
CODE = {
    ANSWERS_42: "602a60005260206000f3",
    # returns its calldata without the selector
    ECHO: "600436038060046000376000f3",
    ENDLESS: "5b600056",
    TEN_MEGABYTES: "629896806000f3",
    REFUSES: "63deadbeef60e01b60005260046000fd",
    POINTS_TO_42: "73" + "a1" * 20 + "60005260206000f3",
}
GET = Function("get()(uint256)")
ECHO_TWO = Function("echo(uint256,uint256)(uint256,uint256)")


class Collected(Reads):
    """Reads that only collects."""

    def __init__(self) -> None:
        self.reads: list[Read[Any]] = []

    def submit(self, read: Read[Any]) -> None:
        self.reads.append(read)


@pytest.fixture(scope="module")
async def chain(bare_chain: LocalChain) -> LocalChain:
    for address, code in CODE.items():
        await bare_chain.rpc("anvil_setCode", address, "0x" + code)
    await bare_chain.mine(2)
    return bare_chain


async def run(chain: LocalChain, reads: Sequence[Read[Any]], *, gas: int = 50_000_000, output_limit: int = 400_000) -> LensReply:
    call = {"to": LENS_ADDRESS, "data": "0x" + encode_program(reads, output_limit).hex(), "gas": hex(gas)}
    answer = await chain.rpc("eth_call", call, "latest", {LENS_ADDRESS: {"code": lens_code()}})
    return decode_reply(bytes.fromhex(str(answer)[2:]), len(reads))


async def test_values_and_block_come_back(chain: LocalChain) -> None:
    reads = Collected()
    reads.call(ANSWERS_42, GET)
    reads.balance(NOBODY)
    reads.keccak(1, ANSWERS_42)
    reply = await run(chain, reads.reads)
    assert [a.status for a in reply.answers] == [Status.VALUE] * 3
    assert int.from_bytes(reply.answers[0].data, "big") == 42
    assert reply.answers[2].data == keccak((1).to_bytes(32, "big") + bytes(12) + bytes.fromhex(ANSWERS_42[2:]))
    assert (reply.chain_reference, reply.number, reply.timestamp) == (1, await chain.head(), await chain.now())


async def test_words_feed_later_steps(chain: LocalChain) -> None:
    reads = Collected()
    pointer = reads.call(POINTS_TO_42, GET)
    answer = reads.call(pointer.word(0), GET)
    echoed = reads.call(ECHO, ECHO_TWO, answer.word(0, add=-50), 7)
    shifted = reads.call(ECHO, ECHO_TWO, answer.word(0, shift=1), answer.word(0, bits=3))
    signed = reads.call(ECHO, ECHO_TWO, echoed.word(0, bits=24, signed=True), 1)
    reply = await run(chain, [pointer, answer, echoed, shifted, signed])
    values = [[int.from_bytes(a.data[i : i + 32], "big") for i in range(0, len(a.data), 32)] for a in reply.answers]
    assert values[1:] == [[42], [2**256 - 8, 7], [21, 2], [2**256 - 8, 1]]


async def test_missing_inputs_and_zero_conditions_skip(chain: LocalChain) -> None:
    reads = Collected()
    answer = reads.call(ANSWERS_42, GET)
    beyond = reads.call(answer.word(1), GET)
    after = reads.call(beyond.word(0), GET)
    zero = reads.call(ECHO, ECHO_TWO, 0, 1)
    guarded = reads.call(ENDLESS, GET, when=zero.word(0))
    allowed = reads.call(ANSWERS_42, GET, when=zero.word(1))
    reply = await run(chain, [answer, beyond, after, zero, guarded, allowed])
    assert [a.status for a in reply.answers] == [
        Status.VALUE,
        Status.INPUT_MISSING,
        Status.INPUT_MISSING,
        Status.VALUE,
        Status.CONDITION_ZERO,
        Status.VALUE,
    ]


async def test_one_hostile_contract_costs_nobody_else_an_answer(chain: LocalChain) -> None:
    reads = Collected()
    for _ in range(20):
        reads.call(ANSWERS_42, GET)
        for hostile in (ENDLESS, TEN_MEGABYTES, REFUSES, NOBODY):
            reads.call(hostile, GET, gas=300_000)
    reads.call(TEN_MEGABYTES, GET, gas=3_000_000, limit=64)
    reply = await run(chain, reads.reads)
    expected = [Status.VALUE, Status.OUT_OF_GAS, Status.OUT_OF_GAS, Status.REVERTED, Status.NO_CODE]
    assert [a.status for a in reply.answers[:-1]] == expected * 20
    assert reply.answers[3].data == bytes.fromhex("deadbeef")


async def test_answers_beyond_their_limit_are_refused_not_cut(chain: LocalChain) -> None:
    reads = Collected()
    reads.call(ECHO, ECHO_TWO, 1, 2, limit=32)
    reads.call(ECHO, ECHO_TWO, 1, 2, limit=64)
    reply = await run(chain, reads.reads)
    assert [(a.status, len(a.data)) for a in reply.answers] == [(Status.TOO_LARGE, 0), (Status.VALUE, 64)]


async def test_what_does_not_fit_one_request_is_said_to_be_unattempted(chain: LocalChain) -> None:
    reads = Collected()
    for _ in range(40):
        reads.call(ENDLESS, GET, gas=300_000)
    by_gas = await run(chain, reads.reads, gas=3_000_000)
    attempted = [a.status for a in by_gas.answers].count(Status.OUT_OF_GAS)
    assert 5 <= attempted < 10
    assert all(a.status is Status.NOT_ATTEMPTED for a in by_gas.answers[attempted:])
    wide = Collected()
    for _ in range(40):
        wide.call(ECHO, ECHO_TWO, 1, 2, limit=64)
    by_bytes = await run(chain, wide.reads, output_limit=1_000)
    assert {a.status for a in by_bytes.answers} == {Status.VALUE, Status.NOT_ATTEMPTED}


def test_a_reply_of_something_else_is_not_believed() -> None:
    for data in (b"", bytes(128), bytes(200), bytes(128) + b"\x09" + bytes(7), bytes(128) + bytes(4) + (99).to_bytes(4, "big")):
        with pytest.raises(NotALensReply):
            decode_reply(data, 1)
