"""Lido's withdrawal queue: what is neither stETH any more nor ether yet.

A request is worth at most the stETH that was put in; a slashing before it is finalised lowers it. Once finalised, the queue itself says
what can be claimed. Source: lidofinance/core `WithdrawalQueue.sol`, `WithdrawalQueueBase.sol`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapters.erc20 import Missing, idle_leg
from adapters.rates import Ratio
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Unknown, Value
from aggregator.model.position import Position
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.owner_facts import OwnerFacts
from aggregator.reading.reads import Read, Word, why

REQUESTS = Function("getWithdrawalRequests(address)(uint256[])")
STATUS = Function("getWithdrawalStatus(uint256[])((uint256,uint256,address,uint256,bool,bool)[])")
LAST_CHECKPOINT = Function("getLastCheckpointIndex()(uint256)")
HINTS = Function("findCheckpointHints(uint256[],uint256,uint256)(uint256[])")
CLAIMABLE = Function("getClaimableEther(uint256[],uint256[])(uint256[])")

GUESSED_OWNERS = 4
"""up to so many owners, the first requests are read in the same round as the list of them"""
GUESSED_REQUESTS = 6
MAXIMUM_REQUESTS = 256
LIST_LIMIT = 64 + 32 * 1024
HINTS_GAS = 1_000_000

_COUNTS = "withdrawal requests"


@dataclass(frozen=True, slots=True)
class RequestReads:
    """Status and claimable ether of one request."""

    status: Read[Any]
    claimable: Read[Any]

    @classmethod
    def ask(cls, scope: Scope, queue: Address, last_checkpoint: Read[Any], request: int | Word) -> RequestReads:
        reads = scope.reads
        hint = reads.call(queue, HINTS, (request,), 1, last_checkpoint.word(0), gas=HINTS_GAS)
        return cls(reads.call(queue, STATUS, (request,)), reads.call(queue, CLAIMABLE, (request,), (hint.word(2),)))


class QueueReads:
    """Requests of all owners under way."""

    def __init__(self, scope: Scope, queue: Address) -> None:
        self._scope, self._queue = scope, queue
        self._counts: OwnerFacts[int] = scope.memory.of_owners(_COUNTS)
        self._checkpoint = scope.reads.call(queue, LAST_CHECKPOINT)
        self._lists = {owner: scope.reads.call(queue, REQUESTS, owner, limit=LIST_LIMIT) for owner in scope.owners}
        self._guesses = {owner: self._guess(owner) for owner in scope.owners}

    def _guess(self, owner: Address) -> list[RequestReads]:
        """Reads of as many requests as the owner is likely to have; those beyond the end of the list are skipped."""
        usual = GUESSED_REQUESTS if len(self._scope.owners) <= GUESSED_OWNERS else 0
        known = self._counts.get(owner)
        count = min(usual if known is None else known, MAXIMUM_REQUESTS)
        listed = self._lists[owner]
        return [self._ask(listed.word(2 + index)) for index in range(count)]

    def _ask(self, request: int | Word) -> RequestReads:
        return RequestReads.ask(self._scope, self._queue, self._checkpoint, request)

    async def positions(self, slug: str, share_rate: Ratio | None, missing: Missing) -> list[Position]:
        """One position a request, valued in ether; `share_rate` is raw ether a share, None where unknown."""
        reads: list[tuple[Address, int, RequestReads]] = []
        for owner, listed in self._lists.items():
            outcome = await listed
            if isinstance(outcome, Unknown):
                missing.note(f"withdrawal requests of {owner}", why(outcome))
            if isinstance(outcome, Value):
                ids = outcome.value
                self._counts.put(owner, len(ids))
                if len(ids) > MAXIMUM_REQUESTS:
                    missing.note(f"withdrawal requests of {owner}", f"only {MAXIMUM_REQUESTS} of {len(ids)} are read")
                reads += self._of(owner, ids[:MAXIMUM_REQUESTS])
        found = [await self._position(slug, owner, request, read, share_rate, missing) for owner, request, read in reads]
        return [position for position in found if position is not None]

    def _of(self, owner: Address, ids: Iterable[int]) -> list[tuple[Address, int, RequestReads]]:
        guesses = self._guesses[owner]
        return [(owner, request, guesses[i] if i < len(guesses) else self._ask(request)) for i, request in enumerate(ids)]

    async def _position(
        self, slug: str, owner: Address, request: int, read: RequestReads, share_rate: Ratio | None, missing: Missing
    ) -> Position | None:
        status, claimable = await read.status, await read.claimable
        if not isinstance(status, Value) or len(status.value) != 1:
            missing.note(f"withdrawal request {request} of {owner}", why(status))
            return None
        amount, shares, _, _, finalized, claimed = status.value[0]
        if claimed:
            return None
        worth, ready = _worth(amount, shares, finalized, claimable, share_rate), finalized
        leg = idle_leg(self._scope.native, worth, redeemable=worth if ready else 0)
        identifiers = {"token_id": str(request), "status": "finalized" if ready else "pending"}
        return Position(self._scope.chain, slug, self._queue, owner, (leg,), identifiers)


def _worth(amount: int, shares: int, finalized: bool, claimable: Any, share_rate: Ratio | None) -> int:
    """Wei a request is worth: what the queue says once it is finalised, else what it is asked for, or its shares where they fell below."""
    if finalized and isinstance(claimable, Value) and len(claimable.value) == 1:
        return int(claimable.value[0])
    return min(amount, share_rate.of(shares)) if share_rate is not None else amount
