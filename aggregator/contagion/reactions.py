"""What other venues do when prices fall: positions elsewhere that are closed by force, as curves of what is sold by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.model.book import Floats
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class Reaction:
    """Forced sales of one asset outside the population: perpetuals liquidated, vaults delevering, ranges of liquidity run through.

    `falls`: shares of the price, ascending from 0; `sold`: USD sold in all once the price has fallen so far, never falling; straight in
    between, and no more beyond the last point. `source` names the venue.
    """

    source: str
    asset: int
    falls: Floats
    sold: Floats

    def __post_init__(self) -> None:
        shaped = len(self.falls) == len(self.sold) >= 2 and self.falls[0] == 0.0 and self.sold[0] == 0.0
        if not (shaped and (np.diff(self.falls) > 0.0).all() and (np.diff(self.sold) >= 0.0).all() and np.isfinite(self.sold).all()):
            raise InputError(f"forced sales of {self.source} must start at no fall and nothing sold, and rise")


def forced_sales(reactions: Sequence[Reaction], moves: Floats) -> Floats:
    """USD by asset sold in all once prices are `moves` times those at the beginning; nothing where a move is not known."""
    sold = np.zeros(len(moves))
    for reaction in reactions:
        fall = 1.0 - moves[reaction.asset]
        if fall > 0.0:
            sold[reaction.asset] += float(np.interp(fall, reaction.falls, reaction.sold))
    return sold
