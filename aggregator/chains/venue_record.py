"""What a venue was asked and what it answered, kept for tests with everything taken out that says whose it is.

Addresses (EVM and bech32), longer hashes and the venue's account numbers are replaced, the same one by the same stand-in wherever it
occurs in one cassette; keys, tokens, signatures and labels that people chose are dropped. Headers, base URLs and query strings are never
kept. Amounts, prices and times stay as they are: they are what a replay must reproduce.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from aggregator.model.bech32 import bech32_of
from aggregator.reading.redaction import HIDDEN
from aggregator.reading.venue import Json, VenueRequest

SCHEMA = "crossmargin/cassette/1"

_HEX = re.compile(r"0x[0-9a-fA-F]{32,}")
_BECH32 = re.compile(r"\b([a-z]{2,12}1)([02-9ac-hj-np-z]{38,})\b")
_SECRET = re.compile(r"api_?key|secret|signature|passw|authori[sz]|private_?key|session_?key|jwt|cookie|mnemonic|^key$", re.IGNORECASE)
_NUMBERS = frozenset({"subaccount_id", "subaccount_ids", "subaccountid"})
"""keys whose integers name an account; `subaccountNumber` is a place among an address's own accounts and names nobody"""
_LABELS = frozenset({"label", "referrer", "displayname", "telegram", "discord", "email"})
_FIRST_NUMBER = 1_001


class Scrubber:
    """Replaces what names somebody, consistently."""

    def __init__(self) -> None:
        self._stand_ins: dict[str, str] = {}
        self._numbers: dict[int, int] = {}

    def scrub(self, value: Json, key: str = "") -> Json:
        """A copy without names; `key` is the member it stands under."""
        if isinstance(value, dict):
            # a person's own name for a sub-account stands beside its address
            personal = "subAccountUser" in value
            return {self.text(name): self._member(name, one, personal) for name, one in value.items()}
        if isinstance(value, list):
            return [self.scrub(one, key) for one in value]
        if key.lower() in _NUMBERS and isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdigit():
            number = self._numbers.setdefault(int(value), _FIRST_NUMBER + len(self._numbers))
            return number if isinstance(value, int) else str(number)
        return self.text(value) if isinstance(value, str) else value

    def _member(self, name: str, value: Json, personal: bool) -> Json:
        if _SECRET.search(name) and isinstance(value, str | int | float) and not _HEX.fullmatch(str(value)):
            return HIDDEN
        if (name.lower() in _LABELS or (personal and name == "name")) and isinstance(value, str) and value:
            return HIDDEN
        return self.scrub(value, name)

    def text(self, text: str) -> str:
        """Text without addresses and hashes. Those of one digit alone, such as the zero address, stay: they name nobody."""
        return _BECH32.sub(self._bech32, _HEX.sub(self._hex, text))

    def _hex(self, match: re.Match[str]) -> str:
        digits = match[0][2:].lower()
        if len(set(digits)) == 1:
            return match[0]
        number = self._number(f"0x{digits}")
        return f"0x{'a' * 4}{number:0{len(digits) - 4}x}"

    def _bech32(self, match: re.Match[str]) -> str:
        return bech32_of(match[1][:-1], self._number(match[0]), len(match[2]))

    def _number(self, name: str) -> int:
        """Numbered in the order of appearance."""
        return int(self._stand_ins.setdefault(name, str(len(self._stand_ins) + 1)))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and its answer, scrubbed."""

    method: str
    path: str
    body: Json
    status: int
    answer: Json

    @property
    def key(self) -> bytes:
        """As `VenueRequest.key` of the scrubbed request."""
        body = self.body if isinstance(self.body, dict) else {}
        return VenueRequest("POST" if self.method == "POST" else "GET", self.path, body).key


@dataclass(slots=True)
class Recorder:
    """Keeps one venue's exchanges and writes them as a cassette."""

    venue: str
    exchanges: list[Exchange] = field(default_factory=list)
    scrubber: Scrubber = field(default_factory=Scrubber)

    def keep(self, request: VenueRequest, status: int, answer: Json) -> None:
        """Take one exchange."""
        body = self.scrubber.scrub(dict(request.body)) if request.method == "POST" else None
        path = self.scrubber.text(request.path.partition("?")[0])
        self.exchanges.append(Exchange(request.method, path, body, status, self.scrubber.scrub(answer)))

    def write(self, folder: Path, name: str) -> Path:
        """Write `VENUE-NAME.json` into a folder, which is made where it is missing; an empty recording is written too."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.venue}-{name}.json"
        path.write_bytes(cassette(self.venue, self.exchanges))
        return path


def cassette(venue: str, exchanges: Iterable[Exchange]) -> bytes:
    """The cassette's JSON, its exchanges in a fixed order."""
    rows: list[Json] = [
        {"request": {"method": one.method, "path": one.path, "body": one.body}, "response": {"status": one.status, "body": one.answer}}
        for one in sorted(exchanges, key=lambda one: one.key)
    ]
    return orjson.dumps({"schema": SCHEMA, "venue": venue, "exchanges": rows}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
