"""Value of a token from what it is made of: vault shares, rate tokens, wrappers, and pair tokens.

A share of a constant-product pair is worth 2·√(a·b·p·q) at fair prices p, q of the two tokens, where a, b are the amounts of one share:
moving the pool's price inside a transaction changes a and b but not their product. Its value by amounts, a·p + b·q, is never less
(inequality of the means) and equal where the pool stands at the fair price; it bounds the value from above.
Source: the invariant x·y = k; practice as in Alpha Homora's pair oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aggregator.model.composition import Composition
from aggregator.prices.estimate import Estimate, exact, merged, oldest, total, worst

PAIR = "pair"


@exact
def composition_value(composition: Composition, decimals: int, parts: Sequence[Estimate]) -> Estimate:
    """USD estimate of one whole token of `decimals`, from the USD estimates of its parts in their order.

    The composition's denominator must be positive. Rounding: none before the context's 50 digits.
    """
    amounts = [_amount_per_token(composition, index, decimals) for index in range(len(parts))]
    by_amounts = total(part.scaled(amount) for part, amount in zip(parts, amounts, strict=True))
    if composition.kind != PAIR or len(parts) != 2:
        return by_amounts
    (first, second), (amount, other) = parts, amounts
    fair = _fair(amount, other, first.value, second.value)
    low = _fair(amount, other, first.low, second.low)
    note = f"fair value of the pair; by its amounts it is worth {_short(by_amounts.value)} USD"
    return Estimate(
        fair,
        low,
        max(fair, by_amounts.high),
        oldest(parts),
        worst(parts),
        by_amounts.confidence,
        merged(*(part.sources for part in parts)),
        merged((note,), by_amounts.notes),
    )


def _amount_per_token(composition: Composition, index: int, decimals: int) -> Decimal:
    """Whole tokens of part `index` in one whole token."""
    part = composition.parts[index]
    return Decimal(part.numerator).scaleb(decimals - part.decimals) / composition.denominator


def _fair(amount: Decimal, other: Decimal, price: Decimal, other_price: Decimal) -> Decimal:
    return 2 * (amount * other * price * other_price).sqrt()


def _short(value: Decimal) -> str:
    return f"{value:.6g}"
