"""Integer units and the multiplications that contracts do, with the rounding direction in the name.

Raw: a token's smallest unit. Wad: 1e18. Ray: 1e27. Bps: 1e-4. Rounding rule of the house: collateral down, debt up.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NewType

Raw = NewType("Raw", int)
Wad = NewType("Wad", int)
Ray = NewType("Ray", int)
Bps = NewType("Bps", int)

WAD = 10**18
RAY = 10**27
BPS = 10**4
UINT256_MAX = (1 << 256) - 1


def mul_div_down(x: int, y: int, denominator: int) -> int:
    """floor(x·y / denominator) for non-negative x, y; ZeroDivisionError like the contract's revert."""
    return x * y // denominator


def mul_div_up(x: int, y: int, denominator: int) -> int:
    """ceil(x·y / denominator) for non-negative x, y."""
    return -(-x * y // denominator)


def mul_div_half_up(x: int, y: int, denominator: int) -> int:
    """(x·y + denominator/2) / denominator, the half-up rounding of Aave's WadRayMath and PercentageMath."""
    return (x * y + denominator // 2) // denominator


def to_decimal(amount: int, decimals: int) -> Decimal:
    """Exact decimal value of a raw amount: amount · 10^−decimals, never rounded."""
    return Decimal((1 if amount < 0 else 0, tuple(int(d) for d in str(abs(amount))), -decimals))
