"""Why something happened: events with what led to each, so that every amount can be followed back to the shock it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class CauseKind(StrEnum):
    SHOCK = "shock"
    """given by the scenario"""
    BACKING = "backing"
    """what stands behind a token is worth less"""
    PRICE = "price"
    """a market price moved"""
    ORACLE = "oracle"
    """a contract sees another price, or the same one in spite of the market"""
    LIQUIDATION = "liquidation"
    SALE = "sale"
    """forced sales elsewhere"""
    BAD_DEBT = "bad-debt"
    WRITE_DOWN = "write-down"
    """a claim or a share is worth less"""
    WITHDRAWAL = "withdrawal"
    FREEZE = "freeze"
    """nothing can be withdrawn, bridged or liquidated"""


@dataclass(frozen=True, slots=True)
class Cause:
    """One event. `amount` in micro-dollars: what was lost, sold or withdrawn by it; `parents`: numbers of what led to it, the main one
    first, none for what the scenario gives."""

    number: int
    tick: int
    kind: CauseKind
    subject: str
    amount: int
    parents: tuple[int, ...]


class Causes:
    """All events in the order in which they happened; what leads to an event stands before it, so there is no circle."""

    def __init__(self) -> None:
        self._events: list[Cause] = []

    def add(self, tick: int, kind: CauseKind, subject: str, amount: int, parents: Iterable[int] = ()) -> int:
        """Note an event and give it a number; what led to it once each, in the order given."""
        self._events.append(Cause(len(self._events), tick, kind, subject, amount, tuple(dict.fromkeys(parents))))
        return len(self._events) - 1

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Cause]:
        return iter(self._events)

    def __getitem__(self, number: int) -> Cause:
        return self._events[number]

    def path(self, number: int) -> tuple[Cause, ...]:
        """From what the scenario gave to the event, along the main cause of each."""
        found = [self._events[number]]
        while found[-1].parents:
            found.append(self._events[found[-1].parents[0]])
        return tuple(reversed(found))

    def origins(self, number: int) -> tuple[Cause, ...]:
        """Everything without a cause of its own that the event goes back to, in order."""
        seen, waiting = {number}, [number]
        while waiting:
            for parent in self._events[waiting.pop()].parents:
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
        return tuple(self._events[place] for place in sorted(seen) if not self._events[place].parents)
