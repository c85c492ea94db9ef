"""OpenZeppelin's standard Merkle tree: leaves hashed twice and sorted, parents over sorted pairs, a complete binary tree in an array.

Source: the layout that `@openzeppelin/merkle-tree` documents; `MerkleProof.sol` verifies its proofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from aggregator.model.identifiers import Address


@dataclass(frozen=True, slots=True)
class Tree:
    """`nodes`: 2·leaves − 1 hashes of 32 bytes, root first; the children of i stand at 2i + 1 and 2i + 2."""

    nodes: tuple[bytes, ...]
    positions: tuple[int, ...]
    """of each leaf as it was given"""

    @property
    def root(self) -> bytes:
        return self.nodes[0]

    def proof(self, number: int) -> tuple[bytes, ...]:
        """Siblings from the leaf given as `number` up to the root."""
        index, siblings = self.positions[number], []
        while index > 0:
            siblings.append(self.nodes[index + 1 if index % 2 else index - 1])
            index = (index - 1) // 2
        return tuple(siblings)


def leaf(owner: Address, statement_hash: bytes) -> bytes:
    """Hash of one leaf, 32 bytes."""
    return keccak(keccak(bytes(12) + bytes.fromhex(owner[2:]) + statement_hash))


def tree(leaves: Sequence[bytes]) -> Tree:
    """The tree of these leaf hashes, whatever their order. Raises ValueError without any."""
    if not leaves:
        raise ValueError("a Merkle tree needs at least one leaf")
    count = len(leaves)
    order = sorted(range(count), key=lambda number: leaves[number])
    nodes = [b""] * (2 * count - 1)
    positions = [0] * count
    for rank, number in enumerate(order):
        positions[number] = len(nodes) - 1 - rank
        nodes[positions[number]] = leaves[number]
    for index in range(count - 2, -1, -1):
        nodes[index] = parent(nodes[2 * index + 1], nodes[2 * index + 2])
    return Tree(tuple(nodes), tuple(positions))


def parent(one: bytes, other: bytes) -> bytes:
    """Hash over two nodes in ascending order."""
    return keccak(one + other if one <= other else other + one)


def implied_root(leaf_hash: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that a proof leads to."""
    node = leaf_hash
    for sibling in proof:
        node = parent(node, sibling)
    return node
