"""What is asked of Morpho Blue, and how: storage slots of positions in bulk, and everything about one market in one go.

Source: morpho-org/morpho-blue `IMorpho.sol`, `MorphoStorageLib.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from eth_hash.auto import keccak

from adapters.erc20 import TokenReads
from aggregator.model.identifiers import Address
from aggregator.model.outcome import Outcome, Reason, Unknown, Value
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read

EXT_SLOADS = Function("extSloads(bytes32[])(bytes32[])")
MARKET_PARAMS = Function("idToMarketParams(bytes32)(address,address,address,address,uint256)")
MARKET = Function("market(bytes32)(uint128,uint128,uint128,uint128,uint128,uint128)")
PRICE = Function("price()(uint256)")
BORROW_RATE = Function(
    "borrowRateView((address,address,address,address,uint256),(uint128,uint128,uint128,uint128,uint128,uint128))(uint256)"
)

FEE_RECIPIENT_SLOT = 1
POSITION_SLOT = 2
PAIRS_PER_CALL = 128
"""positions that one `extSloads` reads: two cold slots each, about 0.65 million gas"""
SLOTS_GAS = 1_500_000
PRICE_GAS = 1_500_000
"""an oracle may walk through several feeds, vaults and rate providers"""
RATE_GAS = 600_000
UINT128 = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class RawPosition:
    """What the contract stores of a user in a market."""

    supply_shares: int
    borrow_shares: int
    collateral: int

    @property
    def is_empty(self) -> bool:
        return not (self.supply_shares or self.borrow_shares or self.collateral)


Pair: TypeAlias = tuple[bytes, Address]
"""market id and user"""


@lru_cache(maxsize=1 << 17)
def position_slot(market: bytes, user: Address) -> int:
    """First of the two slots of a position: supply shares; the next one holds collateral above borrow shares."""
    inner = keccak(market + POSITION_SLOT.to_bytes(32, "big"))
    return int.from_bytes(keccak(bytes(12) + bytes.fromhex(user[2:]) + inner), "big")


class PositionReads:
    """Positions of many users in many markets, through few calls."""

    def __init__(self, scope: Scope, morpho: Address, pairs: Sequence[Pair]) -> None:
        self._chunks = [(part, _slots(scope, morpho, part)) for part in _parts(pairs)]

    async def outcomes(self) -> dict[Pair, Outcome[RawPosition]]:
        """Each position, or why it could not be read."""
        result: dict[Pair, Outcome[RawPosition]] = {}
        for pairs, read in self._chunks:
            outcome = await read
            if isinstance(outcome, Value) and len(outcome.value) != 2 * len(pairs):
                outcome = Unknown(Reason.MALFORMED, f"{len(outcome.value)} slots where {2 * len(pairs)} were asked for")
            for index, pair in enumerate(pairs):
                result[pair] = _position(outcome.value, index) if isinstance(outcome, Value) else outcome
        return result


def fee_recipient(scope: Scope, morpho: Address) -> Read[Any]:
    """Read of the fee recipient's slot; also tells whether Morpho is there at all."""
    return scope.reads.call(morpho, EXT_SLOADS, (FEE_RECIPIENT_SLOT.to_bytes(32, "big"),))


@dataclass(frozen=True, slots=True)
class MarketReads:
    """Everything about one market under way, in one round: parameters, totals, oracle price, borrow rate, its two tokens."""

    params: Read[Any]
    totals: Read[Any]
    price: Read[Any]
    rate: Read[Any]
    loan: TokenReads
    collateral: TokenReads

    @classmethod
    def ask(cls, scope: Scope, morpho: Address, market: bytes) -> MarketReads:
        reads = scope.reads
        params = reads.call(morpho, MARKET_PARAMS, market)
        totals = reads.call(morpho, MARKET, market)
        loan, collateral, oracle, irm = (params.word(i) for i in range(4))
        arguments = tuple(params.word(i) for i in range(5)), tuple(totals.word(i) for i in range(6))
        return cls(
            params,
            totals,
            # an idle market has no oracle, no rate model and no collateral: nothing is asked of them
            reads.call(oracle, PRICE, gas=PRICE_GAS, when=oracle),
            reads.call(irm, BORROW_RATE, *arguments, gas=RATE_GAS, when=irm),
            TokenReads.ask(scope, loan, when=loan),
            TokenReads.ask(scope, collateral, when=collateral),
        )


def _parts(pairs: Sequence[Pair]) -> list[Sequence[Pair]]:
    return [pairs[i : i + PAIRS_PER_CALL] for i in range(0, len(pairs), PAIRS_PER_CALL)]


def _slots(scope: Scope, morpho: Address, pairs: Sequence[Pair]) -> Read[Any]:
    slots: list[bytes] = []
    for market, user in pairs:
        first = position_slot(market, user)
        slots += (first.to_bytes(32, "big"), ((first + 1) % (1 << 256)).to_bytes(32, "big"))
    return scope.reads.call(morpho, EXT_SLOADS, tuple(slots), gas=SLOTS_GAS, limit=64 + 32 * len(slots))


def _position(words: Sequence[bytes], index: int) -> Value[RawPosition]:
    supply, packed = (int.from_bytes(word, "big") for word in words[2 * index : 2 * index + 2])
    return Value(RawPosition(supply, packed & UINT128, packed >> 128))
