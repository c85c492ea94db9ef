"""Who bears a loss in the end: bad debt falls on a pool's reserve, its safety module, then on its suppliers' shares, on vaults that hold
those, and on tokens that hold the vaults. Whole micro-dollars: what is borne adds up to what was lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from aggregator.contagion.composition import composition
from aggregator.contagion.graph import circular, in_order
from aggregator.contagion.money import Micros, micros, share_out
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

SETTLED = 1e-15
ROUNDS = 10_000


@dataclass(frozen=True, slots=True)
class Claims:
    """Pools, vaults and tokens with who holds them. `holdings` (n × n): share of node j that node i holds; what no node holds belongs to
    others. `layers` absorb a node's losses before its holders do, in their order: `buffers` (layers × n) micro-dollars each."""

    names: tuple[str, ...]
    holdings: csr_array[np.float64]
    layers: tuple[str, ...]
    buffers: Micros

    def __post_init__(self) -> None:
        if self.buffers.shape != (len(self.layers), len(self.names)) or (self.buffers < 0).any():
            raise InputError(f"buffers are amounts of 0 or more for {len(self.layers)} layers of {len(self.names)} nodes")


def claims(
    names: Sequence[str], holdings: Iterable[tuple[str, str, float]], buffers: Mapping[str, Mapping[str, float]] | None = None
) -> Claims:
    """Claims from (holder, held, share) rows and USD buffers by layer and node. InputError as `composition`, or for a stranger."""
    checked = composition(dict.fromkeys(names, 0.0), holdings)
    given = buffers or {}
    amounts = np.zeros((len(given), len(checked)))
    for layer, (what, by_node) in enumerate(given.items()):
        for name, amount in by_node.items():
            if not 0.0 <= amount < np.inf:
                raise InputError(f"{what} of {name} is {amount:g}; expected 0 or more")
            amounts[layer, checked.code(name)] = amount
    return Claims(checked.names, checked.holdings, tuple(given), micros(amounts))


@dataclass(frozen=True, slots=True)
class WriteDown:
    """Micro-dollars. `lost` by node: what its value falls by, whoever bears it; `absorbed` (layers × n); `outside` by node: borne by its
    holders that are no node; `passed`: (holder, held, amount) of every claim written down.

    Σ absorbed + Σ outside is what was lost to begin with. In a circle of claims a dollar is written down more than once, and borne once.
    """

    lost: Micros
    absorbed: Micros
    outside: Micros
    passed: tuple[tuple[int, int, int], ...]

    @property
    def borne(self) -> int:
        """All that is borne."""
        return int(self.absorbed.sum()) + int(self.outside.sum())


def write_down(given: Claims, losses: Micros) -> WriteDown:
    """Send losses (micro-dollars by node, 0 or more) on to whoever bears them."""
    count = len(given.names)
    if losses.shape != (count,) or (losses < 0).any():
        raise InputError(f"losses are amounts of 0 or more for each of the {count} nodes")
    passing = _Passing(given, losses)
    for members in in_order(given.holdings):
        if not passing.lost[members].any():
            continue
        if circular(given.holdings, members):
            passing.go_round(members, given.holdings[members][:, members])
        else:
            passing.pass_on(int(members[0]))
    return WriteDown(passing.lost, passing.absorbed, passing.outside, tuple(passing.passed))


class _Passing:
    """Losses on their way to whoever bears them."""

    def __init__(self, given: Claims, losses: Micros) -> None:
        self._buffers = given.buffers
        self._by_held = given.holdings.tocsc()
        self.lost: Micros = losses.astype(np.int64)
        self.absorbed: Micros = np.zeros_like(given.buffers)
        self.outside: Micros = np.zeros(len(given.names), dtype=np.int64)
        self.passed: list[tuple[int, int, int]] = []

    def _holders(self, node: int) -> tuple[list[int], Floats, float]:
        """(holders, their shares, the share of others)."""
        place = slice(int(self._by_held.indptr[node]), int(self._by_held.indptr[node + 1]))
        shares: Floats = self._by_held.data[place]
        return self._by_held.indices[place].tolist(), shares, max(1.0 - float(shares.sum()), 0.0)

    def _hand(self, holder: int, node: int, amount: int) -> None:
        if amount:
            self.lost[holder] += amount
            self.passed.append((holder, node, amount))

    def pass_on(self, node: int) -> None:
        """A node's loss to its buffers, then to its holders by their shares."""
        amount = int(self.lost[node])
        for layer, buffer in enumerate(self._buffers[:, node].tolist()):
            taken = min(amount, buffer)
            self.absorbed[layer, node] += taken
            amount -= taken
        holders, shares, others = self._holders(node)
        parts = share_out(amount, np.append(shares, others)).tolist()
        self.outside[node] += parts[-1]
        for holder, part in zip(holders, parts[:-1], strict=True):
            self._hand(holder, node, part)

    def go_round(self, members: NDArray[np.intp], inside: csr_array[np.float64]) -> None:
        """Nodes that hold one another: what goes round is solved for, what leaves the circle is shared out exactly."""
        entering, own = self.lost[members].astype(np.float64), set(members.tolist())
        buffer = self._buffers[:, members].sum(axis=0).astype(np.float64)
        falls = _falls(entering, buffer, inside)
        whole = int(self.lost[members].sum())
        self.lost[members] = np.rint(falls).astype(np.int64)
        leaving: list[tuple[str, int, int]] = []
        weights: list[float] = []
        for node, fall, held_back in zip(members.tolist(), falls.tolist(), np.minimum(falls, buffer).tolist(), strict=True):
            rest, onward = held_back, fall - held_back
            for layer, amount in enumerate(self._buffers[:, node].tolist()):
                leaving.append(("absorbed", layer, node))
                weights.append(min(rest, float(amount)))
                rest -= weights[-1]
            holders, shares, others = self._holders(node)
            for holder, share in zip(holders, shares.tolist(), strict=True):
                if holder in own:
                    if round(onward * share):
                        self.passed.append((holder, node, round(onward * share)))
                else:
                    leaving.append(("holder", holder, node))
                    weights.append(onward * share)
            leaving.append(("outside", 0, node))
            weights.append(onward * others)
        for (way, code, node), part in zip(leaving, share_out(whole, np.array(weights)).tolist(), strict=True):
            if way == "absorbed":
                self.absorbed[code, node] += part
            elif way == "outside":
                self.outside[node] += part
            else:
                self._hand(code, node, part)


def _falls(entering: Floats, buffer: Floats, inside: csr_array[np.float64]) -> Floats:
    """What each node of a circle loses in all: what enters, and what comes round beyond the buffers."""
    falls = entering.copy()
    for _ in range(ROUNDS):
        following = entering + np.asarray(inside @ np.maximum(falls - buffer, 0.0))
        settled = float(np.abs(following - falls).max()) <= SETTLED * max(float(following.max()), 1.0)
        falls = following
        if settled:
            break
    return falls
