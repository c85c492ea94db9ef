"""Facts by owner that outlive a snapshot, of those who were read last: strangers are asked for without end."""

from __future__ import annotations

from typing import Generic, TypeVar

from aggregator.model.identifiers import Address

F = TypeVar("F")

MOST_OWNERS = 100_000
"""as many as a service watches by default; whoever is forgotten is only asked as if for the first time"""


class OwnerFacts(Generic[F]):
    """One fact an owner. Beyond `most` owners the one whose fact was put longest ago is forgotten."""

    __slots__ = ("_facts", "_most")

    def __init__(self, most: int = MOST_OWNERS) -> None:
        self._facts: dict[Address, F] = {}
        self._most = most

    def get(self, owner: Address) -> F | None:
        return self._facts.get(owner)

    def put(self, owner: Address, fact: F) -> None:
        self._facts.pop(owner, None)
        self._facts[owner] = fact
        if len(self._facts) > self._most:
            del self._facts[next(iter(self._facts))]

    def drop(self, owner: Address) -> None:
        self._facts.pop(owner, None)

    def __len__(self) -> int:
        return len(self._facts)
