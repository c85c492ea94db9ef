"""The shared test kit for venues: reads that answer by script or from a cassette, and the laws that every venue adapter must keep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from aggregator.model.errors import InputError
from aggregator.model.instrument import VenueAccount
from aggregator.model.outcome import Absent, Outcome, Reason, Unknown, Value
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.venue import Json, VenueAdapter, VenueOwner, VenueReads, VenueRequest, VenueScope
from aggregator.reading.venue_answers import DIGITS

VenueScript: TypeAlias = Callable[[VenueRequest], Outcome[bytes]]
"""what a venue answers: the body"""

SOME_MOMENT_MS = 1_770_000_000_000


class ScriptedVenue(VenueReads):
    """Reads whose answers come from a function."""

    def __init__(self, script: VenueScript) -> None:
        super().__init__()
        self.requests: list[VenueRequest] = []
        """in the order in which they were sent"""
        self.unwaited = 0
        """how many of them were sent before any answer came"""
        self._script = script
        self._answered = False

    def submit(self, request: VenueRequest) -> None:
        self.requests.append(request)
        self.unwaited += not self._answered
        asyncio.get_running_loop().call_soon(self._answer, request)

    def _answer(self, request: VenueRequest) -> None:
        self._answered = True
        self.settle(request, self._script(request))

    @property
    def weight(self) -> int:
        """What all of them cost."""
        return sum(request.weight for request in self.requests)


class Cassette:
    """A recording as a script; see `aggregator.chains.venue_record`. What was not recorded is unknown."""

    def __init__(self, path: Path) -> None:
        """InputError for a file that is no cassette."""
        try:
            recorded = orjson.loads(path.read_bytes())
            self.venue = str(recorded["venue"])
            self._answers: dict[bytes, tuple[int, Json]] = {}
            for row in recorded["exchanges"]:
                asked, answered = row["request"], row["response"]
                self._answers[VenueRequest(asked["method"], asked["path"], asked["body"] or {}).key] = (
                    answered["status"],
                    answered["body"],
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not a cassette ({type(error).__name__})") from None

    def __call__(self, request: VenueRequest) -> Outcome[bytes]:
        known = self._answers.get(request.key)
        if known is None:
            return Unknown(Reason.ENDPOINT, "not recorded")
        status, body = known
        if status == 404:
            return Absent(Reason.NOT_FOUND)
        return Value(orjson.dumps(body)) if status < 300 else Unknown(Reason.REFUSED, f"HTTP {status}")


def answering(answers: Mapping[tuple[str, str], Any] | Callable[[VenueRequest], Any]) -> VenueScript:
    """A script of JSON by method and path, or by request; anything else is unknown. None answers `null`."""

    def script(request: VenueRequest) -> Outcome[bytes]:
        try:
            answer = answers(request) if callable(answers) else answers[request.method, request.path]
        except KeyError:
            return Unknown(Reason.ENDPOINT, "not scripted")
        return Value(orjson.dumps(answer))

    return script


def silent(_: VenueRequest) -> Outcome[bytes]:
    """The venue is down."""
    return Unknown(Reason.ENDPOINT, "no answer")


async def read_venue(
    adapter: VenueAdapter, venue: VenueReads | VenueScript, *names: str, now_ms: int = SOME_MOMENT_MS, memory: Memory | None = None
) -> Holdings:
    """Holdings of the accounts that `names` name, under a script or reads of one's own. InputError for a name that the venue lacks."""
    owners = []
    for name in names:
        account = adapter.names(name)
        if account is None:
            raise InputError(f"{adapter.slug} has no account called {name!r}")
        owners.append(VenueOwner(account, account.address))
    reads = venue if isinstance(venue, VenueReads) else ScriptedVenue(venue)
    return await adapter.read(VenueScope(tuple(owners), reads, memory if memory is not None else Memory(), now_ms))


def broken_venue_laws(holdings: Holdings) -> list[str]:
    """What is wrong with venue holdings whatever the venue said; empty where all is well."""
    problems: list[str] = []
    accounts = holdings.venue_accounts
    keys = [(one.venue, one.account) for one in accounts]
    problems.extend(f"{key[1]}: stands twice" for key in sorted({key for key in keys if keys.count(key) > 1}))
    for one in accounts:
        pool = one.shares_collateral_with
        if pool is not None and (one.venue, pool) not in keys:
            problems.append(f"{one.account}: shares the collateral of {pool}, which is not there")
        if one.figures.liquidatable is False and one.holdings and one.figures.equity is None and one.figures.margin_ratio is None:
            problems.append(f"{one.account}: called safe without a figure that says so")
        if one.parameters is not None and one.parameters.as_of_ms <= 0:
            problems.append(f"{one.account}: parameters without a time")
        if one.holdings and one.parameters is None:
            problems.append(f"{one.account}: positions without the parameters that margin them")
    return problems


def equity_of(account: VenueAccount) -> Decimal | None:
    """Σ balances at the venue's prices, options at their marks, unrealised profit of the rest in USD; None where a part is not known."""
    prices = {balance.symbol: balance.price_usd for balance in account.balances} | {"USDC": Decimal(1)}
    parts = [(balance.amount, balance.price_usd) for balance in account.balances]
    for one in account.holdings:
        if one.instrument.kind.is_option:
            parts.append((one.units, one.mark_price))
        else:
            parts.append((one.unrealised or Decimal(0), None if one.unrealised is None else prices.get(one.instrument.settlement)))
    with localcontext(prec=DIGITS):
        return None if any(price is None for _, price in parts) else sum((amount * (price or 0) for amount, price in parts), Decimal(0))
