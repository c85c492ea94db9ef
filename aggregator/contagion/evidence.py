"""How much of a picture is known. Below a floor nothing is called calm: the verdict is unknown, with what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from aggregator.model.book import Book, BookHealth

FLOOR = 0.9
"""share of the picture that must be known before a figure is given a level"""


class Level(StrEnum):
    """How bad a share of loss is; `unknown` where too little is known to say, which is never the same as low."""

    LOW = "low"
    ELEVATED = "elevated"
    HIGH = "high"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Known share (0…1) of what a figure should stand on, and what is missing, each item once and in order."""

    known_share: float
    missing: tuple[str, ...] = ()
    floor: float = FLOOR

    @property
    def sufficient(self) -> bool:
        """The share reaches the floor; a share that is itself unknown (NaN) does not."""
        return self.known_share >= self.floor

    def level(self, share_lost: float, elevated: float = 0.01, high: float = 0.1) -> Level:
        """The level of a share of loss. Too little evidence gives `unknown`, except that what is known to be high stays high."""
        if share_lost >= high:
            return Level.HIGH
        if not self.sufficient or np.isnan(share_lost):
            return Level.UNKNOWN
        return Level.ELEVATED if share_lost >= elevated else Level.LOW

    def figure(self, value: float) -> float | None:
        """The value where the evidence carries it, else None."""
        return value if self.sufficient and not np.isnan(value) else None


def together(parts: Iterable[Evidence]) -> Evidence:
    """Evidence of a figure that stands on all parts: the weakest share, everything that is missing."""
    gathered = tuple(parts)
    if not gathered:
        return Evidence(np.nan, ("nothing was read",))
    missing = tuple(dict.fromkeys(item for part in gathered for item in part.missing))
    shares = np.array([part.known_share for part in gathered])
    return Evidence(float(shares.min()), missing, max(part.floor for part in gathered))


def of_book(book: Book, health: BookHealth | None = None, expected_accounts: int | None = None, floor: float = FLOOR) -> Evidence:
    """What is known of a population: accounts that can be judged, out of those that should be there.

    `expected_accounts`: how many the protocols say there are, where that is known; rows that never came count as missing then.
    """
    unknown = (health or book.health()).unknown
    known, missing = (
        book.size - int(np.count_nonzero(unknown)),
        [f"{gap.protocol} on {gap.chain}: {gap.what}: {gap.why}" for gap in book.gaps],
    )
    total = max(book.size, expected_accounts or 0)
    if total > book.size:
        missing.append(f"{total - book.size} of {total} accounts are not in the population")
    if known < book.size:
        missing.append(f"{book.size - known} accounts have an amount or a price that is not known")
        unpriced = np.isnan(book.reserves.oracle_price)
        missing += [f"oracle price of {book.assets[int(code)].symbol}" for code in np.unique(book.reserves.asset[unpriced])]
    return Evidence(known / total, tuple(dict.fromkeys(missing)), floor)
