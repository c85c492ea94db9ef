"""What a token is made of, and looking through it down to plain assets.

A composition says: `denominator` raw units of `asset` are worth Σ `numerator_i` raw units of part i, at this block and at the canonical
rate of the contract. Amounts are floored, like every redemption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.model.identifiers import AssetId
from aggregator.model.position import Component

MAXIMUM_DEPTH = 8
"""deeper nesting than any real wrapper; a cycle of tokens ends here instead of never"""


@dataclass(frozen=True, slots=True)
class Part:
    """One constituent: `numerator` raw units of it per `Composition.denominator` raw units of the whole."""

    asset: AssetId
    symbol: str
    decimals: int
    numerator: int


@dataclass(frozen=True, slots=True)
class Composition:
    """What `denominator` raw units of a token are made of."""

    asset: AssetId
    denominator: int
    parts: tuple[Part, ...]
    kind: str
    """`vault`, `rate`, `pair`, `wrapped-native`, `pegged`: how the rate comes about"""


def look_through(asset: AssetId, amount: int, compositions: Mapping[AssetId, Composition], depth: int = 0) -> tuple[Component, ...]:
    """Components of `amount` raw units of `asset`, recursively; empty for a plain asset.

    Depth is bounded by MAXIMUM_DEPTH, so a cycle of hostile tokens terminates.
    """
    composition = compositions.get(asset)
    if composition is None or depth >= MAXIMUM_DEPTH or composition.denominator <= 0:
        return ()
    return tuple(
        Component(
            part.asset,
            part.symbol,
            amount * part.numerator // composition.denominator,
            part.decimals,
            look_through(part.asset, amount * part.numerator // composition.denominator, compositions, depth + 1),
        )
        for part in composition.parts
    )
