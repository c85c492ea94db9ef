"""What an alert can be about, and what passes trouble on to what: token → market → vault, underlying → token, bridge → token."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class NodeKind(StrEnum):
    """Upstream first: of two kinds that show signs in the same moment, the earlier is taken for the cause."""

    CHAIN = "chain"
    """only where all that is read of a chain fails together"""
    BRIDGE = "bridge"
    TOKEN = "token"
    PROTOCOL = "protocol"
    MARKET = "market"
    VAULT = "vault"
    OWNER = "owner"


UPSTREAM_FIRST = {kind: place for place, kind in enumerate(NodeKind)}
FARTHEST = 8
"""steps along which one cause is looked for"""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """`chain` and `protocol` are empty where the name alone tells it apart, as a token's does."""

    kind: NodeKind
    name: str
    chain: str = ""
    protocol: str = ""

    def __str__(self) -> str:
        """`market:morpho-blue/0x9e90…@eip155:42161`, `token:xUSD`."""
        protocol = f"{self.protocol}/" if self.protocol else ""
        return f"{self.kind}:{protocol}{self.name}" + (f"@{self.chain}" if self.chain else "")


class CausalGraph:
    """Edges from what may be a cause to what it may pull along. Once seen, an edge stays: a vault that has left was exposed."""

    def __init__(self) -> None:
        self._after: dict[Node, set[Node]] = {}

    def connect(self, cause: Node, effect: Node) -> None:
        if cause != effect:
            self._after.setdefault(cause, set()).add(effect)

    def effects(self, cause: Node) -> list[Node]:
        """What directly follows, in order."""
        return sorted(self._after.get(cause, ()))

    def path(self, cause: Node, effect: Node) -> tuple[Node, ...] | None:
        """The shortest way from cause to effect, both ends included; None where there is none within reach."""
        before: dict[Node, Node | None] = {cause: None}
        queue = deque([(cause, 0)])
        while queue:
            node, steps = queue.popleft()
            if node == effect:
                return _back(before, node)
            for following in self.effects(node) if steps < FARTHEST else ():
                if following not in before:
                    before[following] = node
                    queue.append((following, steps + 1))
        return None


def _back(before: dict[Node, Node | None], last: Node) -> tuple[Node, ...]:
    way: list[Node] = []
    step: Node | None = last
    while step is not None:
        way.append(step)
        step = before[step]
    return tuple(reversed(way))
