"""Pay-off: what a book or a portfolio gains or loses over the moves of one underlying, all else fixed.

Now: full revaluation. At expiry: every option at what it pays there, the same as at a volatility of zero, each at its own expiry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.model.errors import InputError
from aggregator.risk.exposure import Exposures
from aggregator.risk.margin.grid import profits
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import Array, Market
from aggregator.risk.margin.quotes import quotes
from aggregator.risk.requirement import loss_of
from aggregator.risk.scenarios import lot_multipliers

MOVES = np.round(np.linspace(-0.6, 0.6, 121), 4)


@dataclass(frozen=True, slots=True, eq=False)
class Payoff:
    """USD over relative moves (n,); `at_expiry` is None where nothing expires."""

    underlying: str
    moves: Array
    now: Array
    at_expiry: Array | None


def book_payoff(book: MarginBook, market: Market, underlying: str, moves: Array = MOVES) -> Payoff:
    """Profit of the holdings that follow an underlying. InputError where nothing does; MissingInput where a price is not there."""
    if underlying not in book.underlyings:
        raise InputError(f"nothing in the book follows {underlying!r}; it follows {', '.join(book.underlyings)}")
    own = book.of(underlying)
    quoted = quotes(own, market)
    still = np.broadcast_to(quoted.volatility[:, None], (len(own), len(moves)))
    now = profits(own, quoted, moves, np.asarray(still)).sum(axis=0)
    if not own.columns.option.any():
        return Payoff(underlying, moves, now, None)
    return Payoff(underlying, moves, now, profits(own, quoted, moves, np.where(np.isnan(still), still, 0.0)).sum(axis=0))


def portfolio_payoff(exposures: Exposures, factor: str, moves: Array = MOVES) -> Payoff:
    """Change of equity over the moves of one factor, with every token that follows it."""
    if factor not in exposures.factors:
        raise InputError(f"the portfolio does not follow {factor!r}; it follows {', '.join(exposures.factors)}")
    factors = np.ones((len(moves), len(exposures.factors)))
    factors[:, exposures.factors.index(factor)] += moves
    lots = lot_multipliers(exposures, factors, np.ones((len(moves), len(exposures.bases))))
    still = np.zeros(len(moves), dtype=np.int64)
    today, unmoved = np.ones((1, len(exposures.lots))), np.zeros(1, dtype=np.int64)
    change = np.zeros(len(moves))
    for holding in exposures.holdings:
        # what the width of the prices costs is no move
        change -= loss_of(holding, lots, still) - loss_of(holding, today, unmoved)
    return Payoff(factor, moves, change, None)


def main_factor(exposures: Exposures) -> str | None:
    """The market factor with the largest gross exposure, None where nothing moves with the market."""
    gross = exposures.gross()
    market = [name for name in exposures.factors if exposures.classes[name].volatile]
    return max(market, key=lambda name: (gross[name], name), default=None)
