"""Runs on lending markets: withdrawals against cash, utilisation up to 100 %, and the rates that follow.

Cash is what is supplied less what is borrowed. While it lasts withdrawals are paid, first come first served or pro rata; after that the
rest waits and the market is frozen for withdrawals, though not for repayments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregator.contagion.money import MICRO, Micros, share_out
from aggregator.model.book import Floats, Mask
from aggregator.model.errors import InputError

HOUR, DAY = 3_600.0, 86_400.0
YEAR = 365.0 * DAY
STEEPNESS = 4.0
TARGET = 0.9
SPEED = 50.0
"""per year"""
LOWEST_AT_TARGET, HIGHEST_AT_TARGET = 0.001, 2.0
"""Morpho AdaptiveCurveIRM, ConstantsLib: CURVE_STEEPNESS, TARGET_UTILIZATION, ADJUSTMENT_SPEED, MIN_ and MAX_RATE_AT_TARGET"""


@dataclass(frozen=True, slots=True)
class Pools:
    """Lending pools in columns, micro-dollars: what is supplied and what is borrowed of it."""

    supplied: Micros
    borrowed: Micros

    def __post_init__(self) -> None:
        wrong = (self.supplied < 0) | (self.borrowed < 0) | (self.borrowed > self.supplied)
        if wrong.any():
            place = int(np.argmax(wrong))
            lent, given = self.borrowed[place] / MICRO, self.supplied[place] / MICRO
            raise InputError(f"pool {place}: {lent:.2f} USD borrowed of {given:.2f} supplied; expected 0 up to all of it")

    @property
    def cash(self) -> Micros:
        result: Micros = self.supplied - self.borrowed
        return result

    @property
    def utilisation(self) -> Floats:
        """Borrowed over supplied; 0 for an empty pool."""
        return np.where(self.supplied > 0, self.borrowed / np.maximum(self.supplied, 1), 0.0)

    @property
    def frozen(self) -> Mask:
        """Nothing is left to withdraw from a pool that lends."""
        result: Mask = (self.borrowed > 0) & (self.cash == 0)
        return result


def utilisation_after(supplied: float, borrowed: float, outflow: Floats) -> Floats:
    """B / (S − x), at most 1: utilisation once suppliers have taken `outflow` out, as far as cash allows."""
    left = np.maximum(supplied - outflow, borrowed)
    return np.where(left > 0.0, borrowed / np.where(left > 0.0, left, 1.0), 0.0)


def hours_to_freeze(cash: Floats, outflow_an_hour: Floats) -> Floats:
    """Cash over the trailing outflow, by pool, in one unit; infinite where nothing flows out, NaN where either is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        hours = np.where(outflow_an_hour > 0.0, cash / outflow_an_hour, np.inf)
    return np.where(np.isnan(cash) | np.isnan(outflow_an_hour), np.nan, hours)


def pay_out(cash: int, demands: Micros, *, pro_rata: bool) -> Micros:
    """What each depositor gets of his demand, exactly; first come first served in the order given, or in proportion."""
    total = int(demands.sum())
    if total <= cash:
        return demands.copy()
    if pro_rata:
        return np.minimum(share_out(cash, demands.astype(np.float64)), demands)
    before = np.cumsum(demands) - demands
    paid: Micros = np.clip(cash - before, 0, demands)
    return paid


def kinked_rate(utilisation: Floats, optimal: float, base: float, slope1: float, slope2: float) -> Floats:
    """Aave's default strategy: base + slope1 up to the optimal utilisation, plus slope2 over the rest, a year."""
    below = np.minimum(utilisation / optimal, 1.0) * slope1
    above = np.maximum((utilisation - optimal) / (1.0 - optimal), 0.0) * slope2 if optimal < 1.0 else 0.0
    result: Floats = base + below + above
    return result


def adaptive_rate(utilisation: float, rate_at_target: float, seconds: float = 0.0) -> tuple[float, float]:
    """(borrow rate a year, rate at target) of Morpho's AdaptiveCurveIRM after `seconds` at a utilisation, both a year as shares."""
    error = (utilisation - TARGET) / ((1.0 - TARGET) if utilisation > TARGET else TARGET)
    moved = rate_at_target * float(np.exp(SPEED * error * seconds / YEAR))
    at_target = min(max(moved, LOWEST_AT_TARGET), HIGHEST_AT_TARGET)
    coefficient = STEEPNESS - 1.0 if error > 0.0 else 1.0 - 1.0 / STEEPNESS
    return at_target * (1.0 + coefficient * error), at_target


def growth(rate: float, seconds: float) -> float:
    """Factor by which a debt grows at a continuous rate a year."""
    return float(np.exp(rate * seconds / YEAR))


def doubling_growth(rate: float, doubling_seconds: float, ceiling: float, seconds: float) -> float:
    """Factor by which a debt grows, interest not bearing interest, while its rate doubles every so often up to a ceiling.

    What a time-weighted rate does at full utilisation: the debt alone brings the liquidation price closer, without any price moving.
    """
    if not (rate > 0.0 and ceiling > 0.0 and doubling_seconds > 0.0 and seconds >= 0.0):
        raise InputError("a doubling rate needs a rate, a ceiling and a doubling time above 0")
    start = min(rate, ceiling)
    rising = min(float(np.log2(ceiling / start)) * doubling_seconds, seconds)
    risen = start * doubling_seconds / float(np.log(2.0)) * (2.0 ** (rising / doubling_seconds) - 1.0)
    return float(1.0 + (risen + ceiling * (seconds - rising)) / YEAR)


@dataclass(frozen=True, slots=True)
class Tranche:
    """Reserves of one kind behind a redeemable token: `worth` micro-dollars, of which selling in a hurry loses the share `cost`."""

    name: str
    worth: int
    cost: float = 0.0

    def __post_init__(self) -> None:
        if self.worth < 0 or not 0.0 <= self.cost < 1.0:
            raise InputError(f"reserves of {self.name} need a worth of 0 or more and a cost of selling of 0 to below 1")


@dataclass(frozen=True, slots=True)
class Redemption:
    """A run on a redeemable token, micro-dollars. `sold` by tranche at its worth; `lost` in selling; what is `left` behind the tokens
    that remain, and their `value` each as a share of par: those who stay hold what could not be sold well."""

    paid: int
    unpaid: int
    sold: Micros
    lost: int
    left: int
    value: float


def redeem(tranches: tuple[Tranche, ...], outstanding: int, demand: int) -> Redemption:
    """Redemptions at par out of reserves in their order, most liquid first. InputError for more demand than is outstanding.

    `outstanding` and `demand`: tokens at par, micro-dollars. Demand beyond what the reserves bring stays unpaid.
    """
    if not 0 <= demand <= outstanding:
        raise InputError(f"{demand / MICRO:.2f} USD are redeemed of {outstanding / MICRO:.2f} outstanding")
    sold, paid = np.zeros(len(tranches), dtype=np.int64), 0
    for place, tranche in enumerate(tranches):
        wanted = demand - paid
        all_of_it = tranche.worth - round(tranche.worth * tranche.cost)
        if wanted >= all_of_it:
            sold[place], brought = tranche.worth, all_of_it
        else:
            sold[place], brought = min(int(np.ceil(wanted / (1.0 - tranche.cost))), tranche.worth), wanted
        paid += brought
    lost = int(sold.sum()) - paid
    left = sum(tranche.worth for tranche in tranches) - int(sold.sum())
    remaining = outstanding - paid
    return Redemption(paid, demand - paid, sold, lost, left, min(left / remaining, 1.0) if remaining else 1.0)
