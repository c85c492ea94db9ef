"""Reads on one pinned block of one chain, and how one read feeds another.

`reads.call(...)` returns a `Read` at once. A word of its answer can be used as target, argument or condition of further calls before it
is known: what depends on each other then still travels in one request where the endpoint allows it, and level by level where not.

    token_id = reads.call(manager, TOKEN_OF_OWNER_BY_INDEX, owner, 0)
    position = reads.call(manager, POSITIONS, token_id.word(0))
    pool = reads.call(factory, GET_POOL, position.word(2), position.word(3), position.word(4))
    slot = reads.call(pool.word(0), SLOT0)
    match await slot:
        case Value((sqrt_price, tick, *_)): ...
        case Absent(): ...                        # no such NFT
        case Unknown() as unknown: ...            # say so

Reads created before the first await, by any number of adapters, are coalesced.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from aggregator.model.identifiers import Address, ChainId
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.model.snapshot import Block
from aggregator.reading.abi import Function, MalformedAnswer, split_types, word_bytes, word_of

T = TypeVar("T")

DEFAULT_GAS = 300_000
"""allowance of one call: many times what an honest getter uses, and little enough that a hostile one costs nobody else"""
DEFAULT_LIMIT = 8_192
"""bytes that one answer may have"""


@dataclass(frozen=True, slots=True)
class Word:
    """A 32-byte word of another read's answer, not yet known: `((word >> shift) & (2^bits − 1))`, sign-extended if `signed`, `+ add`.

    Word indices count 32-byte words of the ABI-encoded answer: of a returned `address[]`, word 0 is the offset, word 1 the length and
    word 2 + i the i-th element.
    """

    read: Read[Any]
    index: int
    shift: int = 0
    bits: int = 256
    signed: bool = False
    add: int = 0


Argument: TypeAlias = "int | bool | str | bytes | Word | tuple[Argument, ...]"
"""a tuple stands for a struct or an array"""
Piece: TypeAlias = bytes | Word


@dataclass(frozen=True, slots=True)
class CallRequest:
    """`target.call(pieces)` with `gas`, keeping at most `limit` bytes; skipped where `when` is given and zero."""

    target: Address | Word
    pieces: tuple[Piece, ...]
    gas: int
    limit: int
    when: Word | None = None


@dataclass(frozen=True, slots=True)
class BalanceRequest:
    """Native balance of an address, in wei."""

    target: Address | Word


@dataclass(frozen=True, slots=True)
class KeccakRequest:
    """keccak256 over the concatenated pieces; computed beside the calls, for ids that are hashes of answers."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class StorageRequest:
    """One storage slot."""

    target: Address
    slot: int


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """Logs from `from_block` (inclusive) to the pinned block; `topics` as in eth_getLogs; of one address, of several, or of any."""

    address: Address | tuple[Address, ...] | None
    topics: tuple[str | tuple[str, ...] | None, ...]
    from_block: int


Request: TypeAlias = CallRequest | BalanceRequest | KeccakRequest | StorageRequest | LogsRequest


@dataclass(frozen=True, slots=True)
class Log:
    """One log of the pinned chain. Topics are 0x-hex strings, the first the event's."""

    address: Address
    topics: tuple[str, ...]
    data: bytes
    block_number: int
    index: int


class Read(Generic[T]):
    """A read under way. Await it for its outcome; it can be awaited any number of times."""

    __slots__ = ("_decode", "_future", "raw", "request", "words")

    def __init__(self, request: Request, decode: Callable[[Any], T]) -> None:
        self.request = request
        self.words = _words_of(request)
        """the words of other reads that this one needs, its condition included"""
        self._decode = decode
        self._future: asyncio.Future[Outcome[T]] = asyncio.get_running_loop().create_future()
        self.raw: Outcome[Any] | None = None
        """the undecoded outcome once known: what words of this read are taken from"""

    def __await__(self) -> Generator[Any, None, Outcome[T]]:
        return self._future.__await__()

    def word(self, index: int, *, shift: int = 0, bits: int = 256, signed: bool = False, add: int = 0) -> Word:
        """A word of the answer for use in another read; see `Word`."""
        return Word(self, index, shift, bits, signed, add)

    @property
    def done(self) -> bool:
        return self._future.done()

    def resolve(self, raw: Outcome[Any]) -> None:
        """Give the read its outcome. For the room that reaches the chain; adapters only await."""
        if self._future.done():
            return
        self.raw = raw
        outcome: Outcome[T]
        if isinstance(raw, Value):
            try:
                outcome = Value(self._decode(raw.value))
            except MalformedAnswer as error:
                outcome = Unknown(Reason.MALFORMED, str(error))
        else:
            outcome = raw
        self._future.set_result(outcome)


class Reads(ABC):
    """All reads of one chain at one block. `discover` says whether long log searches are wanted."""

    chain: ChainId
    block: Block

    @abstractmethod
    def submit(self, read: Read[Any]) -> None:
        """Take a read into the next round."""

    def call(
        self,
        target: Address | Word,
        function: Function,
        *arguments: Argument,
        gas: int = DEFAULT_GAS,
        limit: int = DEFAULT_LIMIT,
        when: Word | None = None,
    ) -> Read[Any]:
        """Call a contract. `gas` and `limit` (bytes) bound what it may use; `when` skips the call where that word is zero.

        A skipped call and a call of a target without code are Absent; a revert is Unknown with reason REVERTED and the revert data.
        """
        return self._submit(CallRequest(target, _pieces(function, arguments), gas, limit, when), function.decode)

    def balance(self, target: Address | Word) -> Read[int]:
        """Native balance in wei."""
        return self._submit(BalanceRequest(target), _integer)

    def keccak(self, *words: Argument) -> Read[bytes]:
        """keccak256(abi.encode(words)) of one-word values; ints as uint256, strings as addresses, bytes as they are."""
        pieces = tuple(
            w if isinstance(w, Word | bytes) else word_of("address" if isinstance(w, str) else "uint256", w).to_bytes(32, "big")
            for w in words
        )
        return self._submit(KeccakRequest(pieces), bytes)

    def storage(self, target: Address, slot: int) -> Read[int]:
        """One storage slot as an unsigned integer."""
        return self._submit(StorageRequest(target, slot), int)

    def logs(
        self,
        address: Address | tuple[Address, ...] | None,
        topics: Sequence[str | Sequence[str] | None],
        from_block: int,
    ) -> Read[tuple[Log, ...]]:
        """Logs up to the pinned block, of one contract, of several or of any, within the endpoint's range limit; beyond it the outcome is
        Unknown with reason RANGE."""
        frozen = tuple(tuple(t) if t is not None and not isinstance(t, str) else t for t in topics)
        return self._submit(LogsRequest(address, frozen, from_block), tuple)

    def _submit(self, request: Request, decode: Callable[[Any], T]) -> Read[T]:
        read = Read(request, decode)
        self.submit(read)
        return read


def _integer(data: bytes | int) -> int:
    return data if isinstance(data, int) else int.from_bytes(data, "big")


def _pieces(function: Function, arguments: Sequence[Argument]) -> tuple[Piece, ...]:
    if len(arguments) != len(function.inputs):
        raise TypeError(f"{function!r} takes {len(function.inputs)} arguments, not {len(arguments)}")
    if function.takes_words:
        words = zip(function.inputs, arguments, strict=True)
        return (function.selector, *(a if isinstance(a, Word) else word_bytes(kind, a) for kind, a in words))
    if not any(_has_word(argument) for argument in arguments):
        return (function.encode(arguments),)
    return (function.selector, *_layout(function.inputs, arguments))


def _has_word(argument: Argument) -> bool:
    return isinstance(argument, Word) or (isinstance(argument, tuple) and any(_has_word(part) for part in argument))


def _layout(kinds: Sequence[str], arguments: Sequence[Argument]) -> list[Piece]:
    """ABI layout, a piece a word: one-word types, structs of such, and arrays of one-word types."""
    heads: list[list[Piece] | None] = []
    tails: list[list[Piece]] = []
    for kind, argument in zip(kinds, arguments, strict=True):
        if not isinstance(argument, tuple):
            heads.append([argument if isinstance(argument, Word) else word_bytes(kind, argument)])
        elif kind.endswith("[]"):
            heads.append(None)
            tails.append([len(argument).to_bytes(32, "big"), *_layout([kind[:-2]] * len(argument), argument)])
        else:
            heads.append(_layout(split_types(kind[1:-1]), argument))
    pieces: list[Piece] = []
    offset = sum(1 if head is None else len(head) for head in heads) * 32
    remaining = iter(tails)
    for head in heads:
        pieces.extend(head if head is not None else [offset.to_bytes(32, "big")])
        offset += 0 if head is not None else len(next(remaining)) * 32
    for tail in tails:
        pieces.extend(tail)
    return pieces


def _words_of(request: Request) -> tuple[Word, ...]:
    if isinstance(request, CallRequest):
        own = (request.when, request.target, *request.pieces)
        return tuple(part for part in own if isinstance(part, Word))
    if isinstance(request, KeccakRequest):
        return tuple(piece for piece in request.pieces if isinstance(piece, Word))
    return (request.target,) if isinstance(request, BalanceRequest) and isinstance(request.target, Word) else ()


def word_value(word: Word) -> int | None:
    """Value of a word whose read is resolved; None where the read has none or its answer is too short."""
    outcome = word.read.raw
    data = getattr(outcome, "value", None)
    if not isinstance(data, bytes) or len(data) < (word.index + 1) * 32:
        return None
    value = int.from_bytes(data[word.index * 32 : (word.index + 1) * 32], "big") >> word.shift
    if word.bits < 256:
        value &= (1 << word.bits) - 1
        if word.signed and value >> (word.bits - 1):
            value -= 1 << word.bits
    return (value + word.add) % (1 << 256)


def resolve_missing(read: Read[Any]) -> bool:
    """Resolve a read that cannot be made because of what is known of its inputs; True where it was resolved.

    A zero condition or an input beyond an answer is a proven absence; an input that is unknown makes this one unknown too.
    """
    request = read.request
    when = request.when if isinstance(request, CallRequest) else None
    for word in read.words:
        raw = word.read.raw
        if isinstance(raw, Unknown):
            read.resolve(Unknown(Reason.SKIPPED, f"an input is unknown ({raw})"))
        elif isinstance(raw, Absent) or (raw is not None and word_value(word) is None):
            read.resolve(Absent(Reason.SKIPPED))
        elif word is when and raw is not None and word_value(word) == 0:
            read.resolve(Absent(Reason.SKIPPED, "its condition is zero"))
        if read.raw is not None:
            return True
    return False


def value_or(outcome: Outcome[T], default: T) -> T:
    """The value, or `default` where it is proven absent or unknown. Only where the default makes no portfolio calmer."""
    return outcome.value if isinstance(outcome, Value) else default


def why(outcome: Outcome[Any]) -> str:
    """The reason in words, for a gap."""
    if isinstance(outcome, Unknown):
        return str(outcome)
    return (
        f"{outcome.reason.value}: {outcome.detail}"
        if isinstance(outcome, Absent) and outcome.detail
        else (outcome.reason.value if isinstance(outcome, Absent) else "known")
    )
