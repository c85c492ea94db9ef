"""The jobs of a round: each one JSON-RPC call and what to make of its answer.

Settling a job resolves reads, and gives back those that have to go again and whether they may go through the lens.
"""

from __future__ import annotations

import re
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak

from aggregator.chains.lens import LENS_ADDRESS, lens_code
from aggregator.chains.lens.encoding import LensReply, NotALensReply, Status, decode_reply, encode_program
from aggregator.chains.plain import components, hex_bytes, plain_call, resolve_plain, revert_reason
from aggregator.chains.rpc import RpcAnswer, RpcCall
from aggregator.chains.work import Job, Place, Settled
from aggregator.model.errors import EndpointInvalid, EndpointRefused
from aggregator.model.identifiers import Address, evm_reference
from aggregator.model.outcome import Absent, Reason, Unknown, Value
from aggregator.reading.reads import BalanceRequest, CallRequest, Read, StorageRequest, resolve_missing

OUTPUT_LIMIT_BYTES = 400_000
"""answer of one lens call; more goes into the next round"""

_REVERT = re.compile(
    r"revert|invalid (?:opcode|jump)|invalidfeopcode|bad instruction|stack (?:under|over)flow|write protection", re.IGNORECASE
)
"""that the contract failed, in any of the ways that the machine knows: no fault of the endpoint"""
_GAS = re.compile(r"out ?of ?gas|oog\b|gas required exceeds|intrinsic gas|gas limit", re.IGNORECASE)
_INTRINSIC_GAS = 21_000
_BYTE_GAS = 40
"""of a transaction's data, at the dearest that any fork has made it"""


class LensJob(Job):
    """A chunk of a round inside one eth_call with the lens's code in a state override."""

    def __init__(self, reads: list[Read[Any]]) -> None:
        self.reads = reads
        self._decoded: tuple[RpcAnswer, LensReply] | None = None

    def call(self, place: Place) -> RpcCall:
        program = encode_program(self.reads, OUTPUT_LIMIT_BYTES)
        transaction = {"to": LENS_ADDRESS, "data": "0x" + program.hex(), "gas": hex(place.gas_cap)}
        return RpcCall("eth_call", (transaction, place.block_parameter, {LENS_ADDRESS: {"code": lens_code()}}))

    def settle(self, answer: RpcAnswer, place: Place) -> Settled:
        if self.block_gone(answer, place):
            return Settled()
        try:
            reply = self._reply(answer)
        except NotALensReply:
            return self._without_lens(place)
        place.abilities.lens = True
        again: list[Read[Any]] = []
        for read, step in zip(self.reads, reply.answers, strict=True):
            if step.status is Status.NOT_ATTEMPTED:
                again.append(read)
                continue
            if step.status is Status.VALUE:
                place.abilities.learn(read, step.gas_used)
            self._resolve(read, step.status, step.data)
            if read.raw is None:
                # its input was not attempted, so it goes with it into the next request
                again.append(read)
        if len(again) == len(self.reads):
            # not even the first step fits what this endpoint allows one request
            return Settled(again=again[1:], plainly=again[:1])
        return Settled(again=again)

    def _reply(self, answer: RpcAnswer) -> LensReply:
        """The answer decoded, once for believing and for using it."""
        if self._decoded is None or self._decoded[0] is not answer:
            self._decoded = (answer, decode_reply(hex_bytes(answer), len(self.reads)))
        return self._decoded[1]

    def _without_lens(self, place: Place) -> Settled:
        if place.abilities.lens is None:
            place.abilities.lens = False
        if not place.abilities.lens:
            return Settled(plainly=self.reads)
        # the lens works here, so something in this chunk does not: halve until it stands alone
        halves = self.halves()
        return Settled(jobs=halves) if halves else Settled(plainly=self.reads)

    def halves(self) -> list[Job]:
        groups = list(components(self.reads))
        if len(groups) == 1:
            return []
        middle = len(groups) // 2
        return [LensJob([read for group in part for read in group]) for part in (groups[:middle], groups[middle:])]

    def accept(self, answer: RpcAnswer, place: Place) -> None:
        try:
            reply = self._reply(answer)
        except NotALensReply:
            return
        timely = reply.timestamp == place.block.timestamp and reply.chain_reference == evm_reference(place.chain)
        if not timely or not (place.number_is_foreign or reply.number == place.block.number):
            answered = f"block {reply.number} of chain {reply.chain_reference}"
            raise EndpointInvalid(f"answered for {answered} instead of block {place.block.number}")

    @staticmethod
    def _resolve(read: Read[Any], status: Status, data: bytes) -> None:
        match status:
            case Status.VALUE:
                read.resolve(Value(data))
            case Status.REVERTED:
                read.resolve(Unknown(Reason.REVERTED, revert_reason(data), data))
            case Status.NO_CODE:
                read.resolve(Absent(Reason.NO_CODE))
            case Status.OUT_OF_GAS:
                read.resolve(Unknown(Reason.OUT_OF_GAS))
            case Status.TOO_LARGE:
                read.resolve(Unknown(Reason.TOO_LARGE))
            case _:
                resolve_missing(read)


TIMESTAMP = keccak(b"getCurrentBlockTimestamp()")[:4]
"""of Multicall3: by it an answer tells which block it is of"""


class WitnessJob(Job):
    """Asks for nothing but the block's time, beside jobs whose answers do not tell their block."""

    def __init__(self) -> None:
        self.reads = []

    def call(self, place: Place) -> RpcCall:
        assert place.multicall3 is not None
        return RpcCall("eth_call", ({"to": place.multicall3, "data": "0x" + TIMESTAMP.hex()}, place.block_parameter))

    def settle(self, answer: RpcAnswer, place: Place) -> Settled:
        return Settled()

    def accept(self, answer: RpcAnswer, place: Place) -> None:
        time = hex_bytes(answer)
        if len(time) == 32 and int.from_bytes(time, "big") != place.block.timestamp:
            raise EndpointInvalid(f"answered for another block than {place.block.number}")


class MulticallJob(Job):
    """Calls with known inputs through Multicall3, for endpoints without state overrides."""

    _SELECTOR = keccak(b"aggregate3((address,bool,bytes)[])")[:4]
    _BALANCE = keccak(b"getEthBalance(address)")[:4]

    def __init__(self, reads: list[Read[Any]]) -> None:
        self.reads = reads

    def call(self, place: Place) -> RpcCall:
        assert place.multicall3 is not None
        calls: list[tuple[str, bool, bytes]] = [(place.multicall3, True, TIMESTAMP)]
        for read in self.reads:
            target, data = plain_call(read)
            if isinstance(read.request, BalanceRequest):
                target, data = place.multicall3, self._BALANCE + bytes(12) + bytes.fromhex(target[2:])
            calls.append((target, True, data))
        payload = self._SELECTOR + encode(["(address,bool,bytes)[]"], [calls])
        transaction = {"to": place.multicall3, "data": "0x" + payload.hex(), "gas": hex(place.gas_cap)}
        return RpcCall("eth_call", (transaction, place.block_parameter))

    def settle(self, answer: RpcAnswer, place: Place) -> Settled:
        if self.block_gone(answer, place):
            return Settled()
        try:
            (results,) = decode(["(bool,bytes)[]"], hex_bytes(answer))
            results = results[1:]
            if len(results) != len(self.reads):
                raise ValueError("another number of results")
        except (DecodingError, ValueError, OverflowError):
            if place.abilities.multicall is None and (not isinstance(answer, EndpointRefused) or len(self.reads) == 1):
                place.abilities.multicall = False
            return Settled(jobs=[SingleJob(read) for read in self.reads] if place.abilities.multicall is False else self.halves())
        place.abilities.multicall = True
        alone: list[Job] = []
        silent: dict[Address, list[Read[Any]]] = {}
        for read, (success, data) in zip(self.reads, results, strict=True):
            if data:
                resolve_plain(read, data, success)
            elif success:
                silent.setdefault(plain_call(read)[0], []).append(read)
            else:
                # refused without a word, or out of the gas that another contract of this chunk used up
                alone.append(SingleJob(read))
        return Settled(jobs=[*alone, *(CodeJob(reads) for reads in silent.values())])

    def halves(self) -> list[Job]:
        if len(self.reads) == 1:
            return [SingleJob(self.reads[0])]
        middle = len(self.reads) // 2
        return [MulticallJob(self.reads[:middle]), MulticallJob(self.reads[middle:])]

    def accept(self, answer: RpcAnswer, place: Place) -> None:
        try:
            (results,) = decode(["(bool,bytes)[]"], hex_bytes(answer))
        except (DecodingError, ValueError, OverflowError):
            return
        if not results or int.from_bytes(results[0][1], "big") != place.block.timestamp:
            raise EndpointInvalid(f"answered for another block than {place.block.number}")


class SingleJob(Job):
    """One read as one JSON-RPC call: the last resort, and the form that no other contract can disturb."""

    def __init__(self, read: Read[Any]) -> None:
        self.reads = [read]

    def call(self, place: Place) -> RpcCall:
        request = self.reads[0].request
        if isinstance(request, StorageRequest):
            return RpcCall("eth_getStorageAt", (request.target, f"0x{request.slot:064x}", place.block_parameter))
        target, data = plain_call(self.reads[0])
        if isinstance(request, BalanceRequest):
            return RpcCall("eth_getBalance", (target, place.block_parameter))
        assert isinstance(request, CallRequest)
        gas = min(place.gas_cap, request.gas + _INTRINSIC_GAS + _BYTE_GAS * len(data))
        return RpcCall("eth_call", ({"to": target, "data": "0x" + data.hex(), "gas": hex(gas)}, place.block_parameter))

    def settle(self, answer: RpcAnswer, place: Place) -> Settled:
        (read,) = self.reads
        if self.block_gone(answer, place):
            return Settled()
        if isinstance(answer, EndpointRefused):
            data = hex_bytes(answer.data)
            if _GAS.search(answer.reason):
                read.resolve(Unknown(Reason.OUT_OF_GAS, answer.reason))
            elif answer.code == 3 or _REVERT.search(answer.reason):
                read.resolve(Unknown(Reason.REVERTED, revert_reason(data) or answer.reason, data))
            else:
                read.resolve(Unknown(Reason.ENDPOINT, answer.reason))
            return Settled()
        if isinstance(read.request, BalanceRequest | StorageRequest):
            try:
                number = int(str(answer), 16)
                read.resolve(Value(number.to_bytes(32, "big") if isinstance(read.request, BalanceRequest) else number))
            except (ValueError, OverflowError):
                self.fail("not a number")
            return Settled()
        payload = hex_bytes(answer)
        if not payload:
            return Settled(jobs=[CodeJob([read])])
        resolve_plain(read, payload, True)
        return Settled()


class CodeJob(Job):
    """Is there anything at the address that answered with nothing?"""

    def __init__(self, reads: list[Read[Any]]) -> None:
        """`reads` are all of one address."""
        self.reads = reads

    def call(self, place: Place) -> RpcCall:
        return RpcCall("eth_getCode", (plain_call(self.reads[0])[0], place.block_parameter))

    def settle(self, answer: RpcAnswer, place: Place) -> Settled:
        if not self.block_gone(answer, place):
            if isinstance(answer, EndpointRefused):
                self.fail(answer.reason)
            else:
                for read in self.reads:
                    read.resolve(Value(b"") if hex_bytes(answer) else Absent(Reason.NO_CODE))
        return Settled()
