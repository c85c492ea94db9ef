"""What a Uniswap v4 hook may do, told by its address alone.

A hook's permissions are the low 14 bits of its address; the pool manager calls nothing that the address does not allow.
Source: Hooks of Uniswap v4-core.
"""

from __future__ import annotations

from aggregator.model.identifiers import Address

BEFORE_REMOVE_LIQUIDITY = 1 << 9
AFTER_REMOVE_LIQUIDITY = 1 << 8
AFTER_REMOVE_LIQUIDITY_RETURNS_DELTA = 1 << 0


def influence_on_withdrawal(hook: Address) -> str:
    """What the hook can do to somebody who takes liquidity out, in words."""
    permissions = int(hook, 16)
    if permissions & AFTER_REMOVE_LIQUIDITY_RETURNS_DELTA:
        return "may keep part of what a withdrawal pays"
    if permissions & (BEFORE_REMOVE_LIQUIDITY | AFTER_REMOVE_LIQUIDITY):
        return "may refuse a withdrawal"
    return "has no say in withdrawals"
