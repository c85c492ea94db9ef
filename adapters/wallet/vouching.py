"""Which discovered vaults are believed. Anybody can send a share that claims to be worth a million.

A vault is believed for what it could pay out now: what it holds of its asset itself, and what it has lent in Morpho that nobody has
borrowed. Both are said by contracts that are not the vault's. A claim beyond that adds no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.erc20 import BALANCE_OF
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Value
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Word

QUEUE = Function("withdrawQueue(uint256)(bytes32)")
POSITION = Function("position(bytes32,address)(uint256,uint128,uint128)")
MARKET = Function("market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)")
PARAMS = Function("idToMarketParams(bytes32)(address,address,address,address,uint256)")
QUEUE_LENGTH = 6
"""markets of a vault's withdrawal queue that are looked at; assets in later ones prove nothing"""
VIRTUAL_SHARES = 10**6
PROBE_GAS = 100_000


@dataclass(frozen=True, slots=True)
class LentReads:
    """What a vault has supplied in one Morpho market."""

    id: Read[Any]
    position: Read[Any]
    market: Read[Any]
    params: Read[Any]


@dataclass(frozen=True, slots=True)
class BackingReads:
    """What a vault could pay out now, under way."""

    held: Read[Any]
    lent: tuple[LentReads, ...]

    @classmethod
    def ask(cls, scope: Scope, vault: Address | Word, asset: Word) -> BackingReads:
        """Ask in this round; `asset` is the word of the vault's answer that names its asset, and nothing is asked of what names none."""
        reads = scope.reads
        morpho = scope.deployment.contracts.get("morpho")
        held = reads.call(asset, BALANCE_OF, vault, when=asset)
        return cls(held, tuple(_lent(scope, morpho, vault, asset, index) for index in range(QUEUE_LENGTH)) if morpho is not None else ())

    async def amount(self, asset: Address) -> int:
        """Raw units of `asset` that are shown to be there; what could not be read shows nothing."""
        held = await self.held
        total, seen = held.value if isinstance(held, Value) else 0, set()
        for one in self.lent:
            id_, position, market, params = await one.id, await one.position, await one.market, await one.params
            if not (isinstance(id_, Value) and isinstance(position, Value) and isinstance(market, Value) and isinstance(params, Value)):
                continue
            if id_.value in seen or params.value[0] != asset:
                continue
            # a queue that names a market twice has lent in it once
            seen.add(id_.value)
            supplied_assets, supplied_shares, borrowed_assets = market.value[:3]
            supplied = position.value[0] * (supplied_assets + 1) // (supplied_shares + VIRTUAL_SHARES)
            total += max(0, min(supplied, supplied_assets - borrowed_assets))
        return int(total)


def _lent(scope: Scope, morpho: Address, vault: Address | Word, asset: Word, index: int) -> LentReads:
    reads = scope.reads
    id_ = reads.call(vault, QUEUE, index, gas=PROBE_GAS, when=asset)
    market = id_.word(0)
    return LentReads(
        id_,
        reads.call(morpho, POSITION, market, vault, when=market),
        reads.call(morpho, MARKET, market, when=market),
        reads.call(morpho, PARAMS, market, when=market),
    )
