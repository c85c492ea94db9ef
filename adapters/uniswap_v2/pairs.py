"""Which pairs there may be: an address for each two tokens, known without asking anybody.

Source: UniswapV2Library.pairFor of v2-periphery 1.1.0-beta.0, EIP-1014.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eth_hash.auto import keccak

from aggregator.model.identifiers import Address
from aggregator.model.token import Token


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A pair and its tokens, the lower address first as the factory has it."""

    address: Address
    token0: Address
    token1: Address


def pair_of(factory: Address, init_code_hash: bytes, one: Address, other: Address) -> Pair:
    """The pair that `factory` has created, or would create, for two tokens in any order."""
    token0, token1 = sorted((one, other))
    salt = keccak(bytes.fromhex(token0[2:] + token1[2:]))
    digest = keccak(b"\xff" + bytes.fromhex(factory[2:]) + salt + init_code_hash)
    return Pair(Address("0x" + digest[12:].hex()), token0, token1)


def candidates(factory: Address, init_code_hash: bytes, bases: frozenset[str], tokens: Mapping[Address, Token]) -> tuple[Pair, ...]:
    """Pairs of every listed token with every listed token whose symbol is in `bases`, by address."""
    based = sorted(address for address, token in tokens.items() if token.symbol in bases)
    combinations = {tuple(sorted((base, other))) for base in based for other in tokens if base != other}
    return tuple(sorted(pair_of(factory, init_code_hash, one, other) for one, other in combinations))


def each_once(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """`pairs` without repetitions, by address."""
    return tuple(sorted(set(pairs)))
