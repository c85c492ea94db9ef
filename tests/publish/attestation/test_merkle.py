"""The standard tree: a published example, and every proof of random trees."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from aggregator.publish.attestation.merkle import implied_root, leaf, tree
from tests.publish.attestation.examples import addresses

_hashes = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True)


def test_the_root_that_the_standard_tree_documents() -> None:
    """`@openzeppelin/merkle-tree`, README: two leaves of (address, uint256)."""
    values = [("0x" + "11" * 20, 5 * 10**18), ("0x" + "22" * 20, 25 * 10**17)]
    leaves = [keccak(keccak(encode(["address", "uint256"], list(value)))) for value in values]
    assert tree(leaves).root.hex() == "d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77"


@given(addresses, st.binary(min_size=32, max_size=32))
def test_a_leaf_is_hashed_twice_over_its_encoding(owner: str, statement: bytes) -> None:
    assert leaf(owner, statement) == keccak(keccak(encode(["address", "bytes32"], [owner, statement])))  # type: ignore[arg-type]


@given(_hashes, st.randoms())
def test_every_proof_leads_to_the_root_whatever_the_order(leaves: list[bytes], random: object) -> None:
    grown = tree(leaves)
    assert all(implied_root(one, grown.proof(number)) == grown.root for number, one in enumerate(leaves))
    assert tree(leaves[::-1]).root == grown.root


@given(_hashes, st.binary(min_size=32, max_size=32))
def test_no_proof_fits_another_leaf(leaves: list[bytes], other: bytes) -> None:
    grown = tree(leaves)
    if other not in leaves:
        assert all(implied_root(other, grown.proof(number)) != grown.root for number in range(len(leaves)))


def test_a_tree_needs_a_leaf() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        tree([])
