"""The arithmetic of SPAN on risk arrays: scan, spread charges between months, credits between commodities, short option minimum.

Profits are positive here, losses negative; requirements are positive. Source: CME's SPAN as described by L. G. McMillan, Options as a
Strategic Investment, ch. 34, and by exchanges' own walk-throughs of their parameter files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aggregator.risk.margin.market import Array
from aggregator.risk.pricing.black76 import price


@dataclass(frozen=True, slots=True)
class SpanScenario:
    """`price` in price scan ranges, `volatility` in volatility scan ranges, `weight` the part of the result that counts."""

    price: float
    volatility: float
    weight: float = 1.0

    @property
    def name(self) -> str:
        move = "price unchanged" if self.price == 0 else f"price {self.price:+.3g} ranges"
        side = {1.0: ", volatility up", -1.0: ", volatility down"}.get(self.volatility, "")
        return f"{move}{side}" + (f", {100 * self.weight:.4g} % counted" if self.weight != 1 else "")


def scenarios(extreme_move: float, cover: float) -> tuple[SpanScenario, ...]:
    """The sixteen, in SPAN's order. The extreme move's multiple and the fraction covered are the clearing house's parameters."""
    grid = [SpanScenario(move, side) for move in (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0) for side in (1.0, -1.0)]
    return (*grid, SpanScenario(extreme_move, 0.0, cover), SpanScenario(-extreme_move, 0.0, cover))


def linear_array(value: Array, price_range: Array, shocks: Sequence[SpanScenario]) -> Array:
    """Profit of linear positions worth `value` (n,), with ranges as fractions of the price (n,): shape (n, scenarios)."""
    moves = np.array([one.price * one.weight for one in shocks])
    return np.asarray((value * price_range)[:, None] * moves, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class OptionTerms:
    """Arrays of shape (n,): forwards, strikes, years to expiry, volatilities, sides (±1), rates; ranges as fractions and in volatility."""

    forward: Array
    strike: Array
    years: Array
    volatility: Array
    side: Array
    rate: Array
    price_range: Array
    volatility_range: Array

    def value(self, move: Array | float = 0.0, volatility: Array | float = 0.0, ahead: float = 0.0) -> Array:
        """Discounted Black-76 values `ahead` years later; shocks in scan ranges broadcast against (n, 1)."""
        years = np.maximum(self.years - ahead, 0.0)[:, None]
        moved = np.maximum(self.forward[:, None] * (1.0 + np.asarray(move) * self.price_range[:, None]), 0.0)
        level = np.maximum(self.volatility[:, None] + np.asarray(volatility) * self.volatility_range[:, None], 0.0)
        return price(moved, self.strike[:, None], years, level, self.side[:, None], np.exp(-self.rate[:, None] * years))

    def array(self, shocks: Sequence[SpanScenario], ahead: float = 0.0) -> Array:
        """Profit of one long option in each scenario, shape (n, scenarios)."""
        moves, sides, weights = (np.array([getattr(one, name) for one in shocks]) for name in ("price", "volatility", "weight"))
        return np.asarray((self.value(moves, sides, ahead) - self.value()) * weights, dtype=np.float64)


def composite_delta(moves: Array, deltas: Array, weights: Mapping[float, float]) -> Array:
    """Average of deltas (n, moves) over price moves in scan ranges, weighted by the size of the move; the weights are made to sum to 1."""
    table = np.array(list(weights.items()), dtype=np.float64)
    share = table[np.abs(table[:, 0][None, :] - np.abs(moves)[:, None]).argmin(axis=1), 1]
    return np.asarray(deltas @ (share / share.sum()), dtype=np.float64)


def combine(arrays: Array, quantities: Array) -> Array:
    """Profit of a portfolio by scenario: arrays of one unit each (n, scenarios), signed quantities (n,)."""
    return np.asarray(quantities @ arrays, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ScanRisk:
    """The largest loss, ≥ 0, and the scenario that makes it, counted from 1 (the first of equals); None where nothing can be lost."""

    amount: float
    worst: int | None


def scan_risk(pnl: Array) -> ScanRisk:
    """Of a portfolio's profit by scenario."""
    worst = int(np.argmin(pnl)) if len(pnl) else 0
    amount = -float(pnl[worst]) if len(pnl) else 0.0
    return ScanRisk(amount, worst + 1) if amount > 0 else ScanRisk(0.0, None)


def price_risk(pnl: Array, scan: ScanRisk) -> float:
    """Part of scan risk that comes from price alone, ≥ 0: the mean of the worst scenario and its partner less that of the first two.

    Partners move the price alike and the volatility the other way; the extreme moves have none.
    """
    if scan.worst is None:
        return 0.0
    index = scan.worst - 1
    paired = index < len(pnl) - 2
    adjusted = -(pnl[index] + pnl[index ^ 1]) / 2 if paired else -pnl[index]
    return max(float(adjusted + (pnl[0] + pnl[1]) / 2), 0.0)


@dataclass(frozen=True, slots=True)
class MonthSpread:
    """Charge for a spread of one delta in tier `near` against one in tier `far`, in currency. The order of a table is its priority."""

    near: int
    far: int
    charge: float


def inter_month(deltas: Mapping[int, tuple[int, float]], spreads: Sequence[MonthSpread]) -> tuple[float, dict[int, float]]:
    """Charge for months that offset each other in the scan, and how much of each month's delta went into spreads.

    `deltas`: net delta by month (any sortable key) with its tier. Each delta is used once, by the first spread that can use it.
    """
    left = {month: delta for month, (_, delta) in deltas.items()}
    used = dict.fromkeys(deltas, 0.0)
    charge = 0.0
    for one in spreads:
        for long_tier, short_tier in ((one.near, one.far), (one.far, one.near)) if one.near != one.far else ((one.near, one.far),):
            longs = {month: left[month] for month, (tier, _) in deltas.items() if tier == long_tier and left[month] > 0}
            shorts = {month: -left[month] for month, (tier, _) in deltas.items() if tier == short_tier and left[month] < 0}
            matched = min(sum(longs.values()), sum(shorts.values()))
            if matched <= 0:
                continue
            charge += matched * one.charge
            for side, sign in ((longs, 1.0), (shorts, -1.0)):
                total = sum(side.values())
                for month, amount in side.items():
                    left[month] -= sign * matched * amount / total
                    used[month] += matched * amount / total
    return charge, used


@dataclass(frozen=True, slots=True)
class SpreadLeg:
    """Deltas of a commodity in one spread; `side` +1 and −1 must be held against each other, either way round."""

    commodity: str
    deltas: float
    side: int


@dataclass(frozen=True, slots=True)
class CommoditySpread:
    """A credit, as a fraction of each leg's price risk. The order of a table is its priority."""

    legs: tuple[SpreadLeg, ...]
    credit: float


def inter_commodity(deltas: Mapping[str, float], price_risks: Mapping[str, float], spreads: Sequence[CommoditySpread]) -> dict[str, float]:
    """Credit by commodity, ≥ 0: spreads formed · deltas · (price risk / |net delta|) · credit. Each delta is used once."""
    left = dict(deltas)
    credits = dict.fromkeys(deltas, 0.0)
    for one in spreads:
        if any(left.get(leg.commodity, 0.0) == 0 for leg in one.legs):
            continue
        orientations = {np.sign(left[leg.commodity]) * leg.side for leg in one.legs}
        if len(orientations) != 1:
            continue
        count = min(abs(left[leg.commodity]) / leg.deltas for leg in one.legs)
        for leg in one.legs:
            taken = count * leg.deltas
            credits[leg.commodity] += taken * price_risks[leg.commodity] / abs(deltas[leg.commodity]) * one.credit
            left[leg.commodity] -= float(np.sign(left[leg.commodity])) * taken
    return credits


@dataclass(frozen=True, slots=True)
class CommodityRisk:
    """Everything that one combined commodity is charged, in currency."""

    scan: ScanRisk
    inter_month: float = 0.0
    delivery: float = 0.0
    credit: float = 0.0
    short_option_minimum: float = 0.0
    net_option_value: float = 0.0

    @property
    def risk(self) -> float:
        return max(self.scan.amount + self.inter_month + self.delivery - self.credit, self.short_option_minimum)

    @property
    def requirement(self) -> float:
        """(risk − net option value)⁺, held against cash without the options' value."""
        return max(self.risk - self.net_option_value, 0.0)

    @property
    def held_against_equity(self) -> float:
        """The same against equity that counts the options' value: what a long option is worth beyond the risk backs nothing else."""
        return max(self.risk, self.net_option_value)
