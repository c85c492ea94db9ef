"""Contracts in Python for adapters to read: what they answer, and how many rounds it took to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode, encode

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.snapshot import Block
from aggregator.reading.abi import Function
from aggregator.reading.reads import BalanceRequest, CallRequest, Log, LogsRequest, Read, Reads, Request, Word, resolve_missing, word_value


class Reverts(Exception):
    """Raised by a contract's function: the call reverts."""


class Refuses(Exception):
    """Raised by a contract's function: the read is unknown for this reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


class Contract:
    """Functions by signature, `name(inputs)(outputs)`; what is not there reverts."""

    def __init__(self, functions: Mapping[str, Any] | None = None) -> None:
        self._functions: dict[bytes, tuple[Function, Any]] = {}
        for signature, answer in (functions or {}).items():
            self.put(signature, answer)

    def put(self, signature: str, answer: Any) -> None:
        """Set a function: a callable of the decoded arguments, or a plain value. Bytes for outputs `()` are the raw answer."""
        function = Function(signature)
        self._functions[function.selector] = function, answer

    def call(self, data: bytes) -> bytes:
        if data[:4] not in self._functions:
            raise Reverts
        function, answer = self._functions[data[:4]]
        value = answer(*decode(function.inputs, data[4:])) if callable(answer) else answer
        if not function.outputs:
            assert isinstance(value, bytes)
            return value
        return encode(function.outputs, [value] if len(function.outputs) == 1 else value)


@dataclass
class Chain:
    """Contracts by address, native balances, logs. `calls` counts what was executed."""

    contracts: dict[str, Contract] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    logs: list[Log] = field(default_factory=list)
    log_failure: Unknown | None = None
    calls: int = 0
    log_searches: list[LogsRequest] = field(default_factory=list)

    def answer(self, request: Request) -> Outcome[Any]:
        if isinstance(request, CallRequest):
            return self._call(request)
        if isinstance(request, BalanceRequest):
            return Value(self.balances.get(str(request.target), 0).to_bytes(32, "big"))
        if isinstance(request, LogsRequest):
            self.log_searches.append(request)
            return self.log_failure if self.log_failure is not None else Value([log for log in self.logs if _matches(log, request)])
        raise TypeError(request)

    def _call(self, request: CallRequest) -> Outcome[bytes]:
        contract = self.contracts.get(_address(request.target))
        if contract is None:
            return Absent(Reason.NO_CODE)
        self.calls += 1
        try:
            answer = contract.call(b"".join(_known(piece) for piece in request.pieces))
        except Reverts:
            return Unknown(Reason.REVERTED)
        except Refuses as refusal:
            return Unknown(refusal.reason)
        return Value(answer) if len(answer) <= request.limit else Unknown(Reason.TOO_LARGE)


class RoundReads(Reads):
    """Reads of a scripted chain, coalesced like the real ones; `rounds` counts how often somebody had to wait."""

    def __init__(self, chain: Chain, block: Block, chain_id: str = "eip155:1") -> None:
        self.chain, self.block = ChainId(chain_id), block
        self.rounds = 0
        self._scripted = chain
        self._pending: list[Read[Any]] = []

    def submit(self, read: Read[Any]) -> None:
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._wait, len(self._pending), 4)
        self._pending.append(read)

    def _wait(self, seen: int, turns: int) -> None:
        if len(self._pending) != seen or turns:
            asyncio.get_running_loop().call_soon(self._wait, len(self._pending), turns - 1 if len(self._pending) == seen else 4)
            return
        batch, self._pending = self._pending, []
        self.rounds += 1
        try:
            for read in batch:
                if not resolve_missing(read):
                    read.resolve(self._scripted.answer(read.request))
        finally:
            # a mistake in a script fails the test at once instead of leaving it waiting
            for read in batch:
                read.resolve(Unknown(Reason.ENDPOINT, "the script failed"))


def text(value: str) -> bytes:
    """An ABI-encoded string, for raw `symbol()`."""
    return encode(["string"], [value])


def token(symbol: str, decimals: int, balances: Mapping[str, int] | None = None, supply: int = 0) -> Contract:
    """A plain ERC-20."""
    held = {address.lower(): amount for address, amount in (balances or {}).items()}
    return Contract(
        {
            "balanceOf(address)(uint256)": lambda owner: held.get(owner, 0),
            "decimals()(uint8)": decimals,
            "symbol()()": text(symbol),
            "totalSupply()(uint256)": supply or sum(held.values()),
        }
    )


def topic(address: Address | str) -> str:
    """An address as a log topic."""
    return "0x" + "00" * 12 + address[2:].lower()


def _matches(log: Log, request: LogsRequest) -> bool:
    if log.block_number < request.from_block or (request.address is not None and request.address != log.address):
        return False
    wanted: Sequence[str | tuple[str, ...] | None] = request.topics
    if len(log.topics) < len([t for t in wanted if t is not None]):
        return False
    pairs = zip(wanted, (*log.topics, "", "", "", ""), strict=False)
    return all(want is None or have in ((want,) if isinstance(want, str) else want) for want, have in pairs)


def _address(target: Address | Word) -> str:
    if isinstance(target, Word):
        value = word_value(target)
        assert value is not None
        return f"0x{value & (1 << 160) - 1:040x}"
    return target


def _known(piece: bytes | Word) -> bytes:
    if isinstance(piece, Word):
        value = word_value(piece)
        assert value is not None
        return value.to_bytes(32, "big")
    return piece
