"""What a venue adapter is given and what it must give. A venue is a trading system behind an HTTP API of JSON.

The conventions are those of chain adapters: it opens no connection, it asks first and awaits later, and every read ends in a `Value`, a
proven `Absent` or an `Unknown` with its reason. Equal reads are sent once.

    markets = reads.post("/info", {"type": "allPerpMetas"}, Metas, weight=20)      # first everything,
    states = {owner: reads.post("/info", {"type": "state", "user": owner.name}, State, weight=2) for owner in owners}
    match await markets:                                                          # then await
        case Value(metas): ...
        case Absent(): ...                        # the venue knows no such thing
        case Unknown() as unknown: ...            # say so
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from aggregator.model.identifiers import AccountId
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.model.snapshot import Gap
from aggregator.reading.abi import MalformedAnswer
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.text import clean_text
from aggregator.reading.venue_manifest import VenueManifest

T = TypeVar("T")
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Method: TypeAlias = Literal["GET", "POST"]

_NO_BODY: Mapping[str, Json] = MappingProxyType({})
_WORDS = 160
"""characters of a venue's own words that are repeated"""


class VenueRefusal(Exception):
    """Raised while decoding an answer that says no in its own form; the message is what the venue said."""


@dataclass(frozen=True, slots=True)
class VenueRequest:
    """One HTTP request: a path below the venue's base URL, and for POST a JSON body."""

    method: Method
    path: str
    body: Mapping[str, Json] = field(default_factory=dict)
    weight: int = 1
    """what it costs of the venue's rate limit"""

    @property
    def key(self) -> bytes:
        """Equal for equal requests."""
        return b" ".join((self.method.encode(), self.path.encode(), self.payload))

    @property
    def payload(self) -> bytes:
        """The JSON body; empty for GET."""
        return orjson.dumps(dict(self.body), option=orjson.OPT_SORT_KEYS) if self.method == "POST" else b""


class VenueRead(Generic[T]):
    """A read under way. Await it for its outcome; it can be awaited any number of times."""

    __slots__ = ("_decode", "_future", "request")

    def __init__(self, request: VenueRequest, decode: Callable[[bytes], T]) -> None:
        self.request = request
        self._decode = decode
        self._future: asyncio.Future[Outcome[T]] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, Outcome[T]]:
        return self._future.__await__()

    @property
    def done(self) -> bool:
        return self._future.done()

    def resolve(self, raw: Outcome[bytes]) -> None:
        """Give the read its outcome, the undecoded body where there is one. For the room that reaches the venue; adapters only await."""
        if not self._future.done():
            self._future.set_result(self._decoded(raw.value) if isinstance(raw, Value) else raw)

    def _decoded(self, body: bytes) -> Outcome[T]:
        try:
            return Value(self._decode(body))
        except VenueRefusal as refusal:
            return Unknown(Reason.REFUSED, clean_text(str(refusal), _WORDS))
        except ValidationError as error:
            return Unknown(Reason.MALFORMED, _first_fault(error))
        except MalformedAnswer as error:
            return Unknown(Reason.MALFORMED, clean_text(str(error), _WORDS))
        except RecursionError:
            return Unknown(Reason.MALFORMED, "nested too deeply")


class VenueReads(ABC):
    """All reads of one venue for one snapshot."""

    def __init__(self) -> None:
        self._asked: dict[bytes, list[VenueRead[Any]]] = {}
        self._known: dict[bytes, Outcome[bytes]] = {}

    @abstractmethod
    def submit(self, request: VenueRequest) -> None:
        """Send a request that was not sent before; its outcome goes to `settle`."""

    def settle(self, request: VenueRequest, outcome: Outcome[bytes]) -> None:
        """Resolve every read of an equal request, those that are still to come included."""
        self._known[request.key] = outcome
        for read in self._asked.get(request.key, ()):
            read.resolve(outcome)

    def get(self, path: str, kind: type[T], *, weight: int = 1) -> VenueRead[T]:
        """GET a path; the answer is checked as `kind`, anything that pydantic can. HTTP 404 with a JSON body is Absent."""
        return self.ask(VenueRequest("GET", path, _NO_BODY, weight), _checked(kind))

    def post(self, path: str, body: Mapping[str, Json], kind: type[T], *, weight: int = 1) -> VenueRead[T]:
        """POST a JSON body to a path; the answer is checked as `kind`."""
        return self.ask(VenueRequest("POST", path, body, weight), _checked(kind))

    def ask(self, request: VenueRequest, decode: Callable[[bytes], T]) -> VenueRead[T]:
        """Any request with a decoder of its own, which raises MalformedAnswer, VenueRefusal or pydantic's ValidationError."""
        read = VenueRead(request, decode)
        reads = self._asked.setdefault(request.key, [])
        reads.append(read)
        if len(reads) == 1:
            self.submit(request)
        elif request.key in self._known:
            read.resolve(self._known[request.key])
        return read


def _checked(kind: type[T]) -> Callable[[bytes], T]:
    adapter: TypeAdapter[T] = TypeAdapter(kind)
    return adapter.validate_json


def _first_fault(error: ValidationError) -> str:
    """Where and why the first part of an answer is not what it should be; nothing of its contents."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(key) for key in first["loc"]) or "the answer"
    return clean_text(f"{where}: {first['msg']}", _WORDS)


@dataclass(frozen=True, slots=True)
class VenueOwner:
    """Somebody whose accounts are wanted: how the picture calls them, and the name that the venue knows."""

    account: AccountId
    name: str
    """address, bech32 address or the venue's own account number"""


@dataclass(frozen=True, slots=True)
class VenueScope:
    """One venue for some owners."""

    owners: tuple[VenueOwner, ...]
    reads: VenueReads
    memory: Memory
    now_ms: int
    """milliseconds since the epoch when the reading began"""


class VenueAdapter(ABC):
    """One venue. Stateless: everything it needs is in the manifest and the scope."""

    def __init__(self, manifest: VenueManifest) -> None:
        self.manifest = manifest

    @property
    def slug(self) -> str:
        return self.manifest.slug

    @abstractmethod
    def names(self, text: str) -> AccountId | None:
        """The account that a person's words name at this venue, such as a bech32 address or a number; None where they name none.

        An EVM address as in `owner.address` comes as `0x` and 40 lower-case hex digits.
        """

    @abstractmethod
    async def read(self, scope: VenueScope) -> Holdings:
        """Venue accounts of `scope.owners`. Raises nothing for what a venue may answer: what could not be read becomes a gap."""

    def gap(self, what: str, why: str) -> Gap:
        """A gap at this venue."""
        return Gap(self.manifest.chain, self.slug, what, why)
