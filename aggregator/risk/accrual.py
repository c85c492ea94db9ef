"""How long an account lives at today's interest rates and prices: the debt grows, the collateral perhaps too, until they meet.

    Σ threshold · collateral · e^(r·t)  =  Σ debt · e^(r·t)          r a year, continuously compounded, t in years

A supply rate that was not read counts as none, which can only bring the day nearer; without a borrow rate there is no answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DAYS_PER_YEAR = 365.0
FARTHEST_YEARS = 100.0


@dataclass(frozen=True, slots=True)
class Growing:
    """One term of an account's cushion: threshold · collateral (positive) or −debt, and the rate at which it grows."""

    signed: float
    rate: float | None
    symbol: str


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Days until the account is liquidatable; None with the reason in `why`."""

    days: float | None
    why: str = ""


def lifetime(terms: Sequence[Growing]) -> Lifetime:
    """Of an account with these terms; 0 where it is below its line already."""
    if not any(term.signed < 0 for term in terms):
        return Lifetime(None, "nothing is owed")
    if sum(term.signed for term in terms) < 0:
        return Lifetime(0.0)
    unread = sorted({term.symbol for term in terms if term.signed < 0 and term.rate is None})
    if unread:
        return Lifetime(None, f"the borrow rate of {', '.join(unread)} was not read")
    signed = np.array([term.signed for term in terms])
    rates = np.array([term.rate or 0.0 for term in terms])
    # divided by the fastest growth, which changes no sign, nothing overflows
    slower = rates - rates.max()

    def cushion(years: float) -> float:
        return float(signed @ np.exp(slower * years))

    steps = np.concatenate([[0.0], np.geomspace(1e-4, FARTHEST_YEARS, 241)])
    below = np.exp(np.outer(steps, slower)) @ signed < 0
    if not below.any():
        return Lifetime(None, f"at these rates it is not liquidated within {FARTHEST_YEARS:g} years")
    index = int(np.argmax(below))
    low, high = (float(steps[index - 1]), float(steps[index])) if index else (0.0, 0.0)
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (low, middle) if cushion(middle) < 0 else (middle, high)
    return Lifetime(high * DAYS_PER_YEAR)
