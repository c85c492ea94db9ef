"""The blocks of one chain as they come: which are new, which were replaced, and whom they touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aggregator.chains.client import ChainClient, RpcAnswer, RpcCall
from aggregator.chains.heads import parse_block
from aggregator.model.errors import EndpointError, EndpointInvalid, EndpointRefused
from aggregator.model.snapshot import Block

WINDOW = 128
"""blocks back to which a replaced block is noticed"""
LONGEST_WALK = 64
"""new blocks that are looked through one by one; after more of them everybody is read anew"""
_WORD = 64


@dataclass(frozen=True, slots=True)
class Touches:
    """What logs and transactions name. `words`: 32-byte words as 64 hex digits; `topics`: (emitter, word)."""

    words: frozenset[str] = frozenset()
    topics: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Advance:
    """One step of the chain. `touches` None: what the blocks touch is not known, so that anybody may be concerned."""

    head: Block
    blocks: tuple[Block, ...] = ()
    orphaned: tuple[Block, ...] = ()
    touches: Touches | None = field(default_factory=Touches)


class Trail:
    """The recent blocks of one chain, and those that figures stand on."""

    def __init__(self, known: Sequence[Block] = ()) -> None:
        """`known`: from before a restart, ascending."""
        self._canonical: dict[int, Block] = {block.number: block for block in known[-WINDOW:]}
        self._noted: dict[int, dict[str, Block]] = {}
        self._receipts = False
        """whether logs come out of receipts, because the endpoint refuses those of whole blocks"""

    @property
    def tip(self) -> Block | None:
        return self._canonical[max(self._canonical)] if self._canonical else None

    def note(self, block: Block) -> None:
        """Figures stand on this block; should another take its place, it is among the orphaned."""
        self._noted.setdefault(block.number, {})[block.hash] = block

    async def advance(self, client: ChainClient, head: Block) -> Advance | None:
        """What changed up to `head`; None where nothing did. EndpointError where the blocks were not told or do not follow one another."""
        tip = self.tip
        if tip is None:
            return self._accept(head, (head,), head.number, None)
        known = self._canonical.get(head.number)
        if known is not None and known.hash == head.hash:
            return None
        if head.number - tip.number > LONGEST_WALK:
            fork = await self._fork(client, tip.number)
            return self._accept(head, (head,), fork + 1, None)
        first = min(tip.number + 1, head.number)
        blocks, parents, touches = await self._fetch(client, first, head.number)
        before = self._canonical.get(first - 1)
        fork = first - 1
        if before is None or parents[0] != before.hash:
            fork = await self._fork(client, min(first - 1, tip.number))
            if fork < first - 1:
                earlier, _, more = await self._fetch(client, max(fork + 1, first - WINDOW), first - 1)
                blocks = (*earlier, *blocks)
                touches = _both(touches, more)
        return self._accept(blocks[-1], blocks, fork + 1, touches)

    async def _fork(self, client: ChainClient, last: int) -> int:
        """The newest known block that still belongs to the chain; the one before the oldest known where none does."""
        numbers = [number for number in sorted(self._canonical, reverse=True) if number <= last]
        answers = await client.batch([RpcCall("eth_getBlockByNumber", (hex(number), False)) for number in numbers])
        for number, answer in zip(numbers, answers, strict=True):
            if isinstance(answer, EndpointRefused):
                raise answer
            if answer is not None and parse_block(answer).hash == self._canonical[number].hash:
                return number
        return min(numbers, default=last + 1) - 1

    async def _fetch(self, client: ChainClient, first: int, last: int) -> tuple[tuple[Block, ...], tuple[str, ...], Touches | None]:
        """Blocks `first` to `last`, their parents' hashes, and what they touch, in one request (two where logs are refused for the first
        time). Many public endpoints give no logs of a whole block, but its receipts."""
        numbers = range(first, last + 1)
        receipts = [RpcCall("eth_getBlockReceipts", (hex(number),)) for number in numbers]
        logs = [RpcCall("eth_getLogs", ({"fromBlock": hex(first), "toBlock": hex(last)},))]
        calls = [RpcCall("eth_getBlockByNumber", (hex(number), True)) for number in numbers]
        answers = await client.batch([*calls, *(receipts if self._receipts else logs)])
        found = _from_receipts(answers[len(calls) :]) if self._receipts else answers[-1]
        if not isinstance(found, list):
            self._receipts = not self._receipts and isinstance(found, EndpointRefused)
            found = _from_receipts(await client.batch(receipts)) if self._receipts else None
        blocks, parents, words = _read(numbers, answers)
        touched = _touches(found, {block.hash for block in blocks})
        if touched is None:
            return blocks, parents, None
        return blocks, parents, Touches(touched.words | words, touched.topics)

    def _accept(self, head: Block, blocks: Iterable[Block], first_new: int, touches: Touches | None) -> Advance:
        new = tuple(blocks)
        former = self.tip.number if self.tip is not None else -1
        gone = [block for number, block in self._canonical.items() if number >= first_new]
        for block in gone:
            del self._canonical[block.number]
        self._canonical.update({block.number: block for block in new})
        standing = [block for number, known in self._noted.items() if number >= first_new for block in known.values()]

        def replaced(block: Block) -> bool:
            """By another of its number, or by a chain that is shorter. What was never looked at may still be part of the chain."""
            if block.number in self._canonical:
                return self._canonical[block.number].hash != block.hash
            return block.number <= former or block.number > head.number

        orphaned = {block.hash: block for block in (*gone, *standing) if replaced(block)}
        for block in orphaned.values():
            self._noted.get(block.number, {}).pop(block.hash, None)
        for number in [number for number in self._canonical if number <= head.number - WINDOW]:
            del self._canonical[number]
        for number in [number for number, known in self._noted.items() if not known or number <= head.number - WINDOW]:
            del self._noted[number]
        return Advance(head, new, tuple(sorted(orphaned.values(), key=lambda block: block.number)), touches)


def _both(one: Touches | None, other: Touches | None) -> Touches | None:
    if one is None or other is None:
        return None
    return Touches(one.words | other.words, one.topics | other.topics)


def _read(numbers: range, answers: Sequence[RpcAnswer]) -> tuple[tuple[Block, ...], tuple[str, ...], set[str]]:
    """Blocks, their parents' hashes, and senders and receivers. EndpointError where they are not what was asked for, or no chain."""
    blocks, parents, words = list[Block](), list[str](), set[str]()
    for number, answer in zip(numbers, answers, strict=False):
        if isinstance(answer, EndpointRefused):
            raise answer
        block = parse_block(answer)
        if block.number != number or not isinstance(answer, Mapping):
            raise EndpointInvalid(f"block {block.number} was given for block {number}")
        parent = str(answer.get("parentHash")).lower()
        if blocks and parent != blocks[-1].hash:
            raise EndpointError("the chain was replaced while it was read")
        blocks.append(block)
        parents.append(parent)
        words |= _parties(answer.get("transactions"))
    return tuple(blocks), tuple(parents), words


def _from_receipts(answers: Sequence[RpcAnswer]) -> RpcAnswer:
    """The logs in the receipts of blocks; None where a block's were not told."""
    logs: list[Any] = []
    for answer in answers:
        if not isinstance(answer, list) or not all(isinstance(one, Mapping) and isinstance(one.get("logs"), list) for one in answer):
            return None
        logs += [log for receipt in answer for log in receipt["logs"]]
    return logs


def _parties(transactions: object) -> set[str]:
    """Senders and receivers."""
    if not isinstance(transactions, list):
        return set()
    named = (one.get(side) for one in transactions if isinstance(one, Mapping) for side in ("from", "to"))
    return {address[2:].lower().rjust(_WORD, "0") for address in named if isinstance(address, str)}


def _touches(logs: RpcAnswer, hashes: set[str]) -> Touches | None:
    """None where the logs were refused, are none, or belong to other blocks."""
    if not isinstance(logs, list):
        return None
    words, topics = set[str](), set[tuple[str, str]]()
    for entry in logs:
        try:
            emitter, data = str(entry["address"]).lower(), str(entry["data"])[2:]
            if str(entry["blockHash"]).lower() not in hashes:
                return None
            indexed = [str(topic)[2:].lower() for topic in entry["topics"][1:]]
        except (KeyError, TypeError, IndexError):
            return None
        words.update(indexed)
        topics.update((emitter, topic) for topic in indexed)
        words.update(data[start : start + _WORD].lower() for start in range(0, len(data), _WORD))
    return Touches(frozenset(words), frozenset(topics))
