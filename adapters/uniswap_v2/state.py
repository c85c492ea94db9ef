"""What a burn of a pair looks at, read at one block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adapters.erc20 import BALANCE_OF, TOTAL_SUPPLY
from adapters.uniswap_v2.maths import PairState
from aggregator.model.identifiers import ZERO_ADDRESS, Address
from aggregator.model.outcome import Outcome, Value
from aggregator.reading.abi import Function
from aggregator.reading.adapter import Scope
from aggregator.reading.reads import Read, Word, why

GET_RESERVES = Function("getReserves()(uint112,uint112)")
K_LAST = Function("kLast()(uint256)")
FEE_TO = Function("feeTo()(address)")


@dataclass(frozen=True, slots=True)
class StateReads:
    """The reads that make a `PairState`, beside the factory's receiver of the protocol fee."""

    supply: Read[Any]
    reserves: Read[Any]
    k_last: Read[Any]
    balance0: Read[Any]
    balance1: Read[Any]


def ask_state(scope: Scope, pair: Address, token0: Address | Word, token1: Address | Word) -> StateReads:
    """Ask a pair for its state; its tokens need not be known yet."""
    call = scope.reads.call
    return StateReads(
        call(pair, TOTAL_SUPPLY),
        call(pair, GET_RESERVES),
        call(pair, K_LAST),
        call(token0, BALANCE_OF, pair),
        call(token1, BALANCE_OF, pair),
    )


async def state_of(asked: StateReads, fee_to: Outcome[Any]) -> PairState | str:
    """The pair's state, or why it is not known. A state always has supply."""
    outcomes = [fee_to, *[await read for read in (asked.supply, asked.reserves, asked.k_last, asked.balance0, asked.balance1)]]
    unknown = next((outcome for outcome in outcomes if not isinstance(outcome, Value)), None)
    if unknown is not None:
        return why(unknown)
    receiver, supply, (reserve0, reserve1), k_last, balance0, balance1 = (o.value for o in outcomes if isinstance(o, Value))
    if supply == 0:
        return "malformed: tokens of a pair without supply"
    return PairState(supply, reserve0, reserve1, balance0, balance1, k_last, fee_on=receiver != ZERO_ADDRESS)
