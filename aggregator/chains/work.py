"""What a round is made of: where it is sent, one piece of its work, and what is left over once that piece is settled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from aggregator.chains.rpc import BlockUnavailable, RpcAnswer, RpcCall
from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Reason, Unknown
from aggregator.model.snapshot import Block
from aggregator.reading.reads import CallRequest, Read, Word

EXPECTED_GAS = 40_000
"""of a call whose selector was never seen"""


@dataclass(slots=True)
class Abilities:
    """What the endpoints of a chain were seen to be able to do, and what calls were seen to cost. Outlives a snapshot."""

    lens: bool | None = None
    """None until tried"""
    multicall: bool | None = None
    gas_by_selector: dict[bytes, int] = field(default_factory=dict)

    def expected_gas(self, read: Read[Any]) -> int:
        request = read.request
        if not isinstance(request, CallRequest) or isinstance(request.pieces[0], Word):
            return 3_000
        return min(request.gas, self.gas_by_selector.get(request.pieces[0][:4], EXPECTED_GAS))

    def learn(self, read: Read[Any], used: int) -> None:
        request = read.request
        if isinstance(request, CallRequest) and not isinstance(request.pieces[0], Word):
            selector = request.pieces[0][:4]
            self.gas_by_selector[selector] = max(used, self.gas_by_selector.get(selector, 0) * 15 // 16)


@dataclass(slots=True)
class Place:
    """Where the jobs of a round are sent: the pinned block and what is known of the chain."""

    chain: ChainId
    block: Block
    abilities: Abilities
    gas_cap: int
    multicall3: Address | None
    number_is_foreign: bool
    """True where the NUMBER opcode is another chain's, as on Arbitrum"""
    orphaned: str = ""
    """why the block can no longer be read, once an endpoint said so"""

    @property
    def block_parameter(self) -> dict[str, object]:
        return {"blockHash": self.block.hash, "requireCanonical": True}


@dataclass(slots=True)
class Settled:
    """What a settled job leaves over: jobs to send, reads to plan again, and reads that may only go plainly from now on."""

    jobs: list[Job] = field(default_factory=list)
    again: list[Read[Any]] = field(default_factory=list)
    plainly: list[Read[Any]] = field(default_factory=list)


class Job(ABC):
    """One JSON-RPC call of a round."""

    reads: list[Read[Any]]

    @abstractmethod
    def call(self, place: Place) -> RpcCall: ...

    @abstractmethod
    def settle(self, answer: RpcAnswer, place: Place) -> Settled: ...

    def accept(self, answer: RpcAnswer, place: Place) -> None:  # noqa: B027 (most answers do not tell their block)
        """EndpointInvalid for an answer of another block than the pinned one, so that another endpoint is asked."""

    def halves(self) -> list[Job]:
        """The same work in smaller pieces, for an endpoint that takes too long over it; empty where it cannot be cut."""
        return []

    def fail(self, reason: str) -> None:
        """No endpoint gave a usable answer."""
        for read in self.reads:
            read.resolve(Unknown(Reason.ENDPOINT, reason))

    def block_gone(self, answer: RpcAnswer, place: Place) -> bool:
        if isinstance(answer, BlockUnavailable):
            place.orphaned = f"block {place.block.number} could not be read: {answer.reason}"
            self.fail(place.orphaned)
            return True
        return False
