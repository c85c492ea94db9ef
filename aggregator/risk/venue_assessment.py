"""What is known of one venue account beyond what the venue says: equity, maintenance margin, the line between them and how near it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from aggregator.risk.claims import Claim, Claims
from aggregator.risk.exposure import Exposures
from aggregator.risk.liquidation import Trigger, factor_move
from aggregator.risk.venue_book import VenueBook
from aggregator.risk.venue_exposure import VenueLine, equity_at, maintenance_at


@dataclass(frozen=True, slots=True)
class VenueLiquidationPrice:
    """The price of one underlying at which equity is exactly the maintenance margin, everything else fixed."""

    factor: str
    price_usd: float | None
    """None where no price of the underlying is known"""
    move: float


@dataclass(frozen=True, slots=True)
class VenueAssessment:
    """USD; `book` has the reason where there are no figures, and everything else is None then."""

    book: VenueBook
    equity: float | None
    maintenance: float | None
    prices: tuple[VenueLiquidationPrice, ...]
    trigger: Trigger | None
    probability: Mapping[str, float] | None
    loss: float | None
    """what liquidation at the line takes at most: the maintenance margin that is left there"""

    @property
    def health(self) -> float | None:
        """Equity over maintenance margin, below 1 is liquidatable; None without a maintenance margin."""
        return self.equity / self.maintenance if self.equity is not None and self.maintenance else None


def venue_assessments(
    books: Sequence[VenueBook],
    first: int,
    exposures: Exposures,
    owed: Claims,
    order: Sequence[Trigger],
    chances: Mapping[int, Mapping[str, float]],
    horizons: Sequence[str],
) -> tuple[VenueAssessment, ...]:
    """All accounts in their order; `first` is the number of the first one among all accounts."""
    lines = {line.account: line for line in exposures.venues}
    return tuple(_assessed(book, lines.get(first + book.account), exposures, owed, order, chances, horizons) for book in books)


def _assessed(
    book: VenueBook,
    line: VenueLine | None,
    exposures: Exposures,
    owed: Claims,
    order: Sequence[Trigger],
    chances: Mapping[int, Mapping[str, float]],
    horizons: Sequence[str],
) -> VenueAssessment:
    if line is None:
        return VenueAssessment(book, None, None, (), None, None, None)
    today = np.ones(len(exposures.lots))
    equity, maintenance = float(equity_at(line, today)), float(maintenance_at(line, today))
    claim = owed.by_account.get(line.account)
    return VenueAssessment(
        book,
        equity,
        maintenance,
        () if claim is None else _prices(book, claim, owed.exposures),
        next((trigger for trigger in order if trigger.account == line.account), None),
        chances.get(line.account) if claim is not None else dict.fromkeys(horizons, 0.0),
        None if claim is None else max(min(maintenance, equity), 0.0),
    )


def _prices(book: VenueBook, claim: Claim, exposures: Exposures) -> tuple[VenueLiquidationPrice, ...]:
    """For every underlying of a position whose move alone can bring the account to its line."""
    found = []
    for factor in sorted({part.factor for part in book.parts if part.factor in exposures.factors and part.unit_price is not None}):
        move = factor_move(claim, exposures, factor)
        price = next(part.unit_price for part in book.parts if part.factor == factor and part.unit_price is not None)
        if move is not None and move != 0.0 and price is not None:
            found.append(VenueLiquidationPrice(factor, price * (1.0 + move), move))
    return tuple(found)


def venue_totals(books: Sequence[VenueBook]) -> tuple[Decimal, Decimal, Decimal]:
    """Balances owned, owed, and what positions are worth beyond them, USD, of the accounts with figures."""
    known = [book for book in books if not book.why]
    return (
        sum((book.collateral_usd for book in known), Decimal(0)),
        sum((book.debt_usd for book in known), Decimal(0)),
        sum((book.mark_to_market_usd for book in known), Decimal(0)),
    )
