"""At which prices margin accounts are liquidated, and which one first.

Per account and asset, with everything else fixed: the price at which Σ threshold·collateral = Σ debt, exact over the rationals from the
protocol's own oracle values. An asset on both sides counts once with its net. Per factor: the move that all tokens following it
(collateral and debt, wrapped or not) make together. For the order: all market factors move by the same fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np

from aggregator.model.identifiers import AssetId
from aggregator.risk.claims import Claim, Claims
from aggregator.risk.exposure import Exposures
from aggregator.risk.rays import first_of_grid
from aggregator.risk.scenarios import lot_multipliers
from aggregator.risk.shapes import Array, BoolArray, Shape, delta_weights

SHOWN = Context(prec=40)


@dataclass(frozen=True, slots=True)
class LiquidationPrice:
    """The price of one asset at which the account is exactly at health 1, everything else fixed."""

    asset: AssetId
    symbol: str
    price_usd: Decimal | None
    """None where the asset has no USD price, though the move is known"""
    move: Decimal
    """relative to the price now, −0.31 for 31 % down, to forty digits"""
    factor: str
    """the risk factor that the asset follows most"""
    volatile: bool
    """whether that factor moves with the market; False for pegs and net asset values"""
    factor_move: float | None
    """the nearest move of that factor which brings the account to health 1 with all its tokens moving along; None if none does"""


@dataclass(frozen=True, slots=True)
class Trigger:
    """An account and the common market move at which it breaches; 0 where it already does, None where no move does."""

    account: int
    down: float | None
    up: float | None

    @property
    def nearest(self) -> float | None:
        """The smaller of both moves, signed."""
        moves = [move for move in (self.down, self.up) if move is not None]
        return min(moves, key=abs) if moves else None


def liquidation_prices(claim: Claim, exposures: Exposures) -> tuple[LiquidationPrice, ...]:
    """Prices for every asset of the account that can bring it to health 1 by itself, by asset; empty where none can."""
    net: dict[AssetId, Fraction] = {}
    moves: dict[str, float | None] = {}
    for term in claim.terms:
        net[term.asset] = net.get(term.asset, Fraction(0)) + Fraction(term.signed)
    cushion = sum(net.values(), Fraction(0))
    return tuple(price for asset in sorted(net) for price in _single(claim, exposures, asset, net[asset], cushion, moves))


def _single(
    claim: Claim, exposures: Exposures, asset: AssetId, own: Fraction, cushion: Fraction, moves: dict[str, float | None]
) -> Iterator[LiquidationPrice]:
    if own == 0:
        return
    ratio = -(cushion - own) / own
    if ratio <= 0:
        return
    term = next(term for term in claim.terms if term.asset == asset)
    factor = main_factor(exposures, term.shape)
    if factor not in moves:
        moves[factor] = factor_move(claim, exposures, factor)
    price = None if term.price is None else _decimal(Fraction(term.price) * ratio)
    yield LiquidationPrice(asset, term.symbol, price, _decimal(ratio - 1), factor, exposures.classes[factor].volatile, moves[factor])


def _decimal(value: Fraction) -> Decimal:
    with localcontext(SHOWN):
        return Decimal(value.numerator) / Decimal(value.denominator)


def main_factor(exposures: Exposures, shape: Shape) -> str:
    """The factor with the largest weight in a shape."""
    weights: dict[str, float] = {}
    for lot, weight in delta_weights(shape).items():
        name = exposures.lots[lot].factor
        weights[name] = weights.get(name, 0.0) + weight
    return max(sorted(weights), key=lambda name: weights[name])


def factor_move(claim: Claim, exposures: Exposures, factor: str) -> float | None:
    """The nearest move of one factor, all its tokens together, at which the account breaches; 0 if it already does."""
    down = first_breach(claim, lambda size: _moved(exposures, {factor: 1.0 - size}), 1.0)
    up = first_breach(claim, lambda size: _moved(exposures, {factor: 1.0 + size}), MAXIMUM_UP)
    moves = [-down if down is not None else None, up]
    found = [move for move in moves if move is not None]
    return min(found, key=abs) if found else None


MAXIMUM_UP = 100.0
"""a hundredfold price is looked at, not more"""


def triggers(claims: Claims) -> tuple[Trigger, ...]:
    """All indebted accounts, first to be liquidated in a common fall first; those that only a rise endangers come after, then the rest."""
    exposures = claims.exposures
    market = [factor for factor in exposures.factors if exposures.classes[factor].volatile]
    found = []
    for number, claim in claims.by_account.items():
        down = first_breach(claim, lambda size: _moved(exposures, dict.fromkeys(market, 1.0 - size)), 1.0)
        up = first_breach(claim, lambda size: _moved(exposures, dict.fromkeys(market, 1.0 + size)), MAXIMUM_UP)
        found.append(Trigger(number, -down if down is not None else None, up))
    return tuple(sorted(found, key=lambda one: (one.down is None, -(one.down or 0.0), one.up is None, one.up or 0.0, one.account)))


def first_breach(claim: Claim, moved: Callable[[Array], Array], largest: float) -> float | None:
    """Smallest size in 0…largest at which the cushion is negative, by a grid and then to rounding; None where it never is."""

    def negative(sizes: Array) -> BoolArray:
        return np.asarray(claim.cushions(moved(sizes)) < 0)

    return first_of_grid(negative, np.concatenate([[0.0], np.geomspace(1e-6, largest, 400)]))


def _moved(exposures: Exposures, factors: Mapping[str, Array]) -> Array:
    count = len(next(iter(factors.values()))) if factors else 1
    moves = np.ones((count, len(exposures.factors)))
    for number, name in enumerate(exposures.factors):
        if name in factors:
            moves[:, number] = factors[name]
    return lot_multipliers(exposures, moves, np.ones((count, len(exposures.bases))))
