"""Logs in ranges that endpoints serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aggregator.chains.plain import hex_bytes
from aggregator.chains.rpc import RpcAnswer, RpcCall
from aggregator.chains.work import Job, Place, Settled
from aggregator.model.errors import EndpointRefused
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Reason, Unknown, Value
from aggregator.reading.reads import Log, LogsRequest, Read

MAXIMUM_RANGES = 64
"""calls that one log read may take; more would be a history download, not a snapshot"""


@dataclass(slots=True)
class LogSearch:
    """One log read, cut into ranges; resolved when the last of them is in."""

    read: Read[Any]
    open_ranges: int = 0
    made_ranges: int = 0
    logs: list[Log] = field(default_factory=list)

    def jobs(self, place: Place, span: int) -> list[Job]:
        """One job a range of `span` blocks; Unknown at once where that are too many."""
        request = self.read.request
        assert isinstance(request, LogsRequest)
        last = place.block.number
        ranges = [(first, min(first + span - 1, last)) for first in range(request.from_block, last + 1, span)]
        if len(ranges) > MAXIMUM_RANGES:
            self.read.resolve(
                Unknown(Reason.RANGE, f"blocks {request.from_block} to {last} are more than {MAXIMUM_RANGES} ranges of {span} blocks")
            )
            return []
        self.open_ranges = self.made_ranges = len(ranges)
        if not ranges:
            self.read.resolve(Value([]))
        return [LogJob(self, first, final) for first, final in ranges]

    def take(self, logs: list[Log]) -> None:
        self.logs.extend(logs)
        self.open_ranges -= 1
        if self.open_ranges == 0:
            self.read.resolve(Value(sorted(self.logs, key=lambda log: (log.block_number, log.index))))


class LogJob(Job):
    """One range of a search; halved where the endpoint finds it too much."""

    def __init__(self, search: LogSearch, first: int, last: int) -> None:
        self.reads = [search.read]
        self.search, self.first, self.last = search, first, last

    def call(self, place: Place) -> RpcCall:
        request = self.search.read.request
        assert isinstance(request, LogsRequest)
        query: dict[str, object] = {"fromBlock": hex(self.first), "toBlock": hex(self.last), "topics": list(request.topics)}
        if request.address is not None:
            query["address"] = request.address if isinstance(request.address, str) else list(request.address)
        return RpcCall("eth_getLogs", (query,))

    def settle(self, answer: RpcAnswer, place: Place) -> Settled:
        if isinstance(answer, EndpointRefused):
            if self.first == self.last or self.search.made_ranges >= 2 * MAXIMUM_RANGES:
                self.fail(answer.reason)
                return Settled()
            middle = (self.first + self.last) // 2
            self.search.open_ranges += 1
            self.search.made_ranges += 1
            return Settled(jobs=[LogJob(self.search, self.first, middle), LogJob(self.search, middle + 1, self.last)])
        try:
            logs = [self._log(entry, place) for entry in answer] if isinstance(answer, list) else None
        except (KeyError, ValueError, TypeError):
            logs = None
        if logs is None:
            self.fail("an endpoint gave logs that were not asked for or are no logs")
        else:
            self.search.take(logs)
        return Settled()

    def _log(self, entry: object, place: Place) -> Log:
        """A log that is what was asked for; ValueError for anything else."""
        request = self.search.read.request
        assert isinstance(request, LogsRequest)
        if not isinstance(entry, Mapping) or entry.get("removed"):
            raise ValueError("not a log")
        log = Log(
            Address(str(entry["address"]).lower()),
            tuple(str(topic).lower() for topic in entry["topics"]),
            hex_bytes(entry["data"]),
            int(str(entry["blockNumber"]), 16),
            int(str(entry["logIndex"]), 16),
        )
        emitters = (request.address,) if isinstance(request.address, str) else request.address
        if not self.first <= log.block_number <= self.last or (emitters is not None and log.address not in emitters):
            raise ValueError("a log of another range or address")
        if log.block_number == place.block.number and str(entry.get("blockHash", place.block.hash)).lower() != place.block.hash:
            raise ValueError("a log of another block")
        for wanted, topic in zip(request.topics, (*log.topics, *[""] * 4), strict=False):
            if wanted is not None and topic not in ((wanted.lower(),) if isinstance(wanted, str) else tuple(w.lower() for w in wanted)):
                raise ValueError("a log of another topic")
        return log
