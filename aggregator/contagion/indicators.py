"""Early signs in what is observed of markets, tokens and bridges: pure arithmetic on a few figures. A result that the figures do not
support is None, never zero. Shares are of 1, values USD, lengths of time not known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median_high

_ROUNDS = 10_000
_SETTLED = 1e-12


def share_lost(now: float | None, before: float | None) -> float | None:
    """What is gone of `before`, negative where it grew; of nothing nothing is lost. None where a figure is missing."""
    if now is None or before is None:
        return None
    return 1 - now / before if before > 0 else 0.0


def utilisation(supplied: float | None, borrowed: float | None) -> float | None:
    """Borrowed share of what is supplied. Debt without any supply is not a utilisation but a reading that went wrong: None."""
    return None if supplied is None or borrowed is None or supplied <= 0 else borrowed / supplied


def bridge_shortfall(locked: float | None, minted: Iterable[float | None], in_flight: float | None = None) -> float | None:
    """Share of what is minted that is neither locked nor in flight, 0 where all is covered.

    Amounts minted on chains that could not be read count as nothing, so the result is then the least that is missing.
    """
    known = [amount for amount in minted if amount is not None]
    total = sum(known)
    if locked is None or not known or total <= 0:
        return None
    return max(0.0, 1 - (locked + (in_flight or 0.0)) / total)


def price_gap(oracle: float | None, fair: float | None) -> float | None:
    """|oracle / fair − 1|, both in USD."""
    return None if oracle is None or fair is None or fair <= 0 else abs(oracle / fair - 1)


def soundness(backing: Mapping[str, Mapping[str, float]], worth: Mapping[str, float], unshown: bool) -> dict[str, float]:
    """Look-through value of each backed token over its market price, at most 1: the greatest solution of

        φᵢ = min(1, Σⱼ sᵢⱼ wⱼ φⱼ / wᵢ)

    `backing` sᵢⱼ: share of token i's backing that is token j; `worth` w: price over what it was when sound, 1 where nobody knows.
    `unshown`: whether the part of a backing that is not shown counts as sound (then the result is the best case) or as nothing.
    Tokens that back each other, or themselves, are solved together by going down from 1; a claim is worth no more than itself.
    """
    tokens = sorted(backing)
    sound = dict.fromkeys(tokens, 1.0)
    rest = {token: max(0.0, 1 - sum(backing[token].values())) if unshown else 0.0 for token in tokens}
    for _ in range(_ROUNDS):
        change = 0.0
        for token in tokens:
            own = worth.get(token, 1.0)
            held = sum(backing[token][part] * worth.get(part, 1.0) * sound.get(part, 1.0) for part in sorted(backing[token]))
            value = min(sound[token], held / own + rest[token] if own > 0 else 1.0)
            change, sound[token] = max(change, sound[token] - value), value
        if change < _SETTLED:
            break
    return sound


def liquidatable_debt(accounts: Iterable[tuple[float, float]], fall: float) -> float:
    """Debt in USD of the accounts (health factor, debt) that can be liquidated once all collateral has lost `fall`, debts unmoved."""
    return sum(debt for health, debt in accounts if debt > 0 and health * (1 - fall) < 1)


def cadence(gaps: Sequence[int]) -> int | None:
    """Usual distance between observations, from those before: the lower median; None before the first."""
    return int(sorted(gaps)[(len(gaps) - 1) // 2]) if gaps else None


def middle(values: Sequence[float]) -> float | None:
    """One price from many venues, so that one venue alone brings nothing down: the median, of two the higher; None without any."""
    return median_high(values) if values else None
