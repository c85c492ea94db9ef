"""What burning pair tokens of Uniswap v2 pays, to the last unit.

Source: UniswapV2Pair of v2-core 1.0.1, `burn` and `_mintFee`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt


@dataclass(frozen=True, slots=True)
class PairState:
    """A pair at one block, raw units. `balance*` is what the pair holds of each token, `reserve*` what it last recorded."""

    supply: int
    reserve0: int
    reserve1: int
    balance0: int
    balance1: int
    k_last: int
    """reserve0 · reserve1 after the last mint or burn while the protocol fee was on; 0 while it was off"""
    fee_on: bool
    """whether the factory names a receiver of the protocol fee"""

    @property
    def supply_at_burn(self) -> int:
        """Supply that a burn divides by: the protocol's share of the growth since `k_last` is minted first."""
        return self.supply + protocol_fee_shares(self)


def protocol_fee_shares(state: PairState) -> int:
    """Pair tokens that the next mint or burn creates for the protocol: a sixth of the growth in sqrt(k), floored.

    Zero while the fee is off, before the first liquidity event with it on, and without growth.
    """
    if not state.fee_on or state.k_last == 0:
        return 0
    root, root_last = isqrt(state.reserve0 * state.reserve1), isqrt(state.k_last)
    if root <= root_last:
        return 0
    return state.supply * (root - root_last) // (root * 5 + root_last)


def burn_amounts(liquidity: int, state: PairState) -> tuple[int, int]:
    """What burning `liquidity` pays of token0 and token1, floored. ZeroDivisionError for a pair without supply, as the contract reverts."""
    supply = state.supply_at_burn
    return liquidity * state.balance0 // supply, liquidity * state.balance1 // supply
