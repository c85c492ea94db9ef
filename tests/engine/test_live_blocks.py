"""Blocks as they come, on chains that are rewritten at random: what is new, what was replaced, and whom it names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.chains.client import ChainClient, RpcCall
from aggregator.engine.live import blocks as live_blocks
from aggregator.engine.live.blocks import Advance, Trail
from aggregator.model.errors import EndpointError, EndpointRefused
from aggregator.model.snapshot import Block

OWNER = "a1" * 20
START = 100


def block_hash(branch: int, number: int) -> str:
    return f"0x{branch:032x}{number:032x}"


class Chain:
    """A chain that can be rewritten; every block names its own number in a log."""

    def __init__(self) -> None:
        self.blocks = [Block(START, block_hash(0, START), START)]
        self.branch = 0
        self.refuses_logs = self.refuses_receipts = False
        self.requests = 0

    def grow(self, count: int) -> None:
        for _ in range(count):
            number = self.head.number + 1
            self.blocks.append(Block(number, block_hash(self.branch, number), number))

    def rewrite(self, depth: int, count: int) -> None:
        """Take `depth` blocks away and put `count` others there."""
        self.branch += 1
        del self.blocks[max(1, len(self.blocks) - depth) :]
        self.grow(count)

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    async def batch(self, calls: Sequence[RpcCall]) -> list[Any]:
        self.requests += 1
        return [self._answer(call) for call in calls]

    def _answer(self, call: RpcCall) -> Any:
        if call.method == "eth_getLogs":
            if self.refuses_logs:
                return EndpointRefused(-32005, "too many results")
            query = cast(dict[str, str], call.params[0])
            first, last = (int(query[name], 16) for name in ("fromBlock", "toBlock"))
            return [_log(block) for block in self.blocks if first <= block.number <= last]
        place = int(str(call.params[0]), 16) - START
        if call.method == "eth_getBlockReceipts":
            if self.refuses_receipts:
                return EndpointRefused(-32601, "no such method")
            return [{"logs": [_log(self.blocks[place])]}, {"logs": []}]
        return self._shown(place) if 0 <= place < len(self.blocks) else None

    def _shown(self, place: int) -> dict[str, Any]:
        block = self.blocks[place]
        return {
            "number": hex(block.number),
            "hash": block.hash,
            "timestamp": hex(block.timestamp),
            "parentHash": self.blocks[place - 1].hash if place else "0x" + "0" * 64,
            "transactions": [{"from": "0x" + OWNER, "to": None}] if block.number % 5 == 0 else [],
        }


def _log(block: Block) -> dict[str, Any]:
    word = f"{block.number:064x}"
    return {"address": "0x" + "ee" * 20, "blockHash": block.hash, "topics": ["0x" + "00" * 32, "0x" + word], "data": "0x" + word}


def advance(trail: Trail, chain: Chain) -> Advance | None:
    return asyncio.run(trail.advance(cast(ChainClient, chain), chain.head))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("rewrite"), st.integers(1, 20), st.integers(1, 24)),
    ),
    max_size=12,
)


@given(steps)
def test_whatever_happens_exactly_the_blocks_that_are_gone_are_orphaned(changes: list[tuple[str, int, int]]) -> None:
    chain, trail = Chain(), Trail()
    advance(trail, chain)
    followed = {chain.head.hash: chain.head}
    for kind, one, two in changes:
        if kind == "grow":
            chain.grow(one)
        else:
            chain.rewrite(one, two)
        found = advance(trail, chain)
        now = {block.hash: block for block in chain.blocks}
        gone = {hash_ for hash_ in followed if hash_ not in now}
        assert {block.hash for block in (found.orphaned if found else ())} == gone
        followed = {hash_: block for hash_, block in followed.items() if hash_ in now}
        followed |= {block.hash: block for block in (found.blocks if found else ())}
        assert trail.tip == chain.head
        if found is not None and found.touches is not None:
            assert {f"{block.number:064x}" for block in found.blocks} <= found.touches.words
            assert (OWNER.rjust(64, "0") in found.touches.words) == any(block.number % 5 == 0 for block in found.blocks)


def test_a_block_that_figures_stand_on_is_missed_though_it_was_never_followed() -> None:
    chain, trail = Chain(), Trail()
    advance(trail, chain)
    ahead = Block(START + 1, block_hash(7, START + 1), 0)
    trail.note(ahead)
    chain.grow(2)
    found = advance(trail, chain)
    assert found is not None and found.orphaned == (ahead,)
    chain.grow(1)
    again = advance(trail, chain)
    assert again is not None and again.orphaned == ()


def test_after_too_many_blocks_nobody_is_left_out_and_a_fork_is_still_found() -> None:
    chain, trail = Chain(), Trail()
    chain.grow(5)
    trail = Trail(chain.blocks)
    chain.rewrite(2, live_blocks.LONGEST_WALK + 10)
    found = advance(trail, chain)
    assert found is not None and found.touches is None and found.blocks == (chain.head,)
    assert [block.number for block in found.orphaned] == [START + 4, START + 5]


def test_refused_logs_mean_that_anybody_may_be_concerned() -> None:
    chain, trail = Chain(), Trail()
    advance(trail, chain)
    chain.grow(1)
    chain.refuses_logs = chain.refuses_receipts = True
    found = advance(trail, chain)
    assert found is not None and found.touches is None and trail.tip == chain.head


def test_refused_logs_are_taken_out_of_receipts_from_then_on_without_asking_twice() -> None:
    chain, trail = Chain(), Trail()
    advance(trail, chain)
    chain.refuses_logs = True
    for grown, requests in ((2, 2), (3, 1), (1, 1)):
        chain.grow(grown)
        before = chain.requests
        found = advance(trail, chain)
        assert found is not None and found.touches is not None and chain.requests == before + requests
        assert {f"{block.number:064x}" for block in found.blocks} <= found.touches.words
    chain.refuses_logs, chain.refuses_receipts = False, True
    chain.grow(1)
    unknown = advance(trail, chain)
    chain.grow(1)
    known = advance(trail, chain)
    assert unknown is not None and unknown.touches is None and known is not None and known.touches is not None


def test_an_ordinary_block_takes_one_request() -> None:
    chain, trail = Chain(), Trail()
    advance(trail, chain)
    chain.grow(3)
    before = chain.requests
    advance(trail, chain)
    assert chain.requests == before + 1


def test_a_chain_that_is_replaced_while_it_is_read_is_read_again_later() -> None:
    chain, trail = Chain(), Trail()
    advance(trail, chain)
    chain.grow(3)
    chain.blocks[-2] = Block(START + 2, block_hash(9, START + 2), 0)
    shown = chain._shown

    def torn(place: int) -> dict[str, Any]:
        return shown(place) | ({"parentHash": block_hash(0, START + 2)} if place == 3 else {})

    chain._shown = torn  # type: ignore[method-assign]  # two nodes behind one address
    with pytest.raises(EndpointError, match="replaced while"):
        advance(trail, chain)
    assert trail.tip == chain.blocks[0]
