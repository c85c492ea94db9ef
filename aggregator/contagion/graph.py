"""Walks over who holds whom: rows hold columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components


def in_order(matrix: csr_array[np.float64]) -> list[NDArray[np.intp]]:
    """Strongly connected components as node codes (Tarjan), each after everything that its nodes hold."""
    count, labels = connected_components(matrix, directed=True, connection="strong")
    edges = matrix.tocoo()
    across = labels[edges.row] != labels[edges.col]
    pairs = np.unique(np.column_stack([labels[edges.row[across]], labels[edges.col[across]]]), axis=0)
    holders: dict[int, list[int]] = {}
    waiting = np.zeros(count, dtype=np.intp)
    for holder, held in pairs.tolist():
        holders.setdefault(held, []).append(holder)
        waiting[holder] += 1
    by_label = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[by_label], np.arange(count + 1))
    ready = [label for label in range(count) if waiting[label] == 0]
    result = []
    for label in ready:  # grows while it is walked
        result.append(by_label[bounds[label] : bounds[label + 1]])
        for holder in holders.get(label, ()):
            waiting[holder] -= 1
            if waiting[holder] == 0:
                ready.append(holder)
    return result


def circular(matrix: csr_array[np.float64], members: NDArray[np.intp]) -> bool:
    """Whether the nodes of a component hold one another, or its one node holds itself."""
    if len(members) > 1:
        return True
    node = int(members[0])
    return bool((matrix.indices[matrix.indptr[node] : matrix.indptr[node + 1]] == node).any())


def reachable(matrix: csr_array[np.float64], start: int) -> list[int]:
    """The node and everything beneath it, ascending."""
    seen, waiting = {start}, [start]
    while waiting:
        row = waiting.pop()
        for code in matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist():
            if code not in seen:
                seen.add(code)
                waiting.append(code)
    return sorted(seen)


def shortest_circle(matrix: csr_array[np.float64], members: Sequence[int]) -> list[int]:
    """A shortest circle through the first member that has one of that length."""
    inside, best = set(members), list[int]()
    for start in members:
        before: dict[int, int] = {}
        front = [start]
        while front and start not in before:
            following = []
            for row in front:
                for code in matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]].tolist():
                    if code in inside and code not in before:
                        before[code] = row
                        following.append(code)
            front = following
        circle = [start]
        while before[circle[-1]] != start:
            circle.append(before[circle[-1]])
        circle = [circle[0], *reversed(circle[1:])]
        if not best or len(circle) < len(best):
            best = circle
    return best
