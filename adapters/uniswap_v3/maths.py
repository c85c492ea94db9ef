"""What the NonfungiblePositionManager of Uniswap v3 keeps for an NFT. The pool's own maths is `aggregator.reading.concentrated`.

Source: NonfungiblePositionManager of Uniswap v3-periphery 1.4.4, decreaseLiquidity and collect.
"""

from __future__ import annotations

from aggregator.reading.concentrated import Pair, fees_since

UINT128_MASK = (1 << 128) - 1


def uncollected(owed: Pair, inside: Pair, inside_last: Pair, liquidity: int) -> Pair:
    """What `collect` would pay beside the liquidity's own amounts, raw units: tokensOwed and the fees since it was last updated.

    The contract casts the new fees to uint128 and adds them in uint128, unchecked; so does this. tokensOwed also holds principal that
    was taken out of the pool by `decreaseLiquidity` and not yet collected: it is no longer at work and counts here.
    """
    accrued = fees_since(inside, inside_last, liquidity)
    return Pair(owed.token0 + accrued.token0 & UINT128_MASK, owed.token1 + accrued.token1 & UINT128_MASK)
