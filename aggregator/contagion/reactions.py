"""What other venues do when prices fall: positions elsewhere that are closed by force, as curves of what is sold by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.contagion.overlap import Thresholds
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

STEP = 0.001
"""fall over which what is sold at a level is sold"""
POINTS = 201


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


def liquidation_levels(source: str, asset: int, levels: Sequence[tuple[float, float]]) -> Reaction:
    """Positions that a venue closes at known falls: (fall that closes it, USD then sold), in any order; InputError for a fall outside 0…1.

    Each is sold over the last thousandth of the price before its level, as a level is a step and a curve is not.
    """
    if not levels or any(not (0.0 < fall <= 1.0 and 0.0 <= usd < np.inf) for fall, usd in levels):
        raise InputError(f"liquidation levels of {source} are falls above 0 and up to 1, with USD of 0 or more")
    ordered = sorted(levels)
    ends = np.array([fall for fall, _ in ordered])
    running = np.cumsum([usd for _, usd in ordered])
    falls, sold = [0.0], [0.0]
    for end, usd in zip(ends.tolist(), running.tolist(), strict=True):
        start = max(end - STEP, falls[-1])
        if start > falls[-1]:
            falls.append(start)
            sold.append(sold[-1])
        if end > falls[-1]:
            falls.append(end)
            sold.append(usd)
        else:
            sold[-1] = usd
    return Reaction(source, asset, np.array(falls), np.array(sold))


def deleveraging(source: str, asset: int, holdings_usd: float, debt_usd: float, thresholds: Thresholds) -> Reaction:
    """A leveraged holder who sells back to a target once equity over assets falls below his buffer, and everything below the minimum.

    Values at the price before any fall (Cont, Schaanning 2017). InputError for a holder without equity.
    """
    if not 0.0 <= debt_usd < holdings_usd < np.inf:
        raise InputError(f"{source} owes {debt_usd:g} against {holdings_usd:g} USD; expected less")
    acts = 1.0 - debt_usd / holdings_usd / (1.0 - thresholds.buffer)
    falls = np.unique(np.concatenate([[0.0], np.linspace(max(acts, 0.0), 1.0, POINTS), [max(acts - STEP, 0.0)]]))
    assets = holdings_usd * (1.0 - falls)
    equity = assets - debt_usd
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(assets > 0.0, equity / assets, -np.inf)
    wanted = np.where(ratio < thresholds.minimum, assets, np.where(ratio <= thresholds.buffer, assets - equity / thresholds.target, 0.0))
    wanted[0] = 0.0
    return Reaction(source, asset, falls, np.maximum.accumulate(np.clip(wanted, 0.0, assets)))
