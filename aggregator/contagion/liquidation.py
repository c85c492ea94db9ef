"""Closed forms of one liquidation. Values in one unit of account; thresholds, bonuses and close factors are shares of 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from aggregator.model.book import Floats, LiquidationRule, Mask
from aggregator.model.errors import InputError

Number = TypeVar("Number", float, Floats)

MAXIMUM_INCENTIVE = 1.15
INCENTIVE_CURSOR = 0.3
"""Morpho Blue, ConstantsLib: MAX_LIQUIDATION_INCENTIVE_FACTOR and LIQUIDATION_CURSOR"""


def repay_to_reach(target: float, collateral: float, debt: float, threshold: float, bonus: float) -> float:
    """Repayment after which health is `target`: (target·D − LT·C) / (target − LT·(1 + bonus)); InputError where none can reach it."""
    per_unit = target - threshold * (1.0 + bonus)
    if per_unit <= 0.0:
        raise InputError(f"no repayment reaches health {target:g}: seizing at a bonus of {bonus:g} takes more than it restores")
    return (target * debt - threshold * collateral) / per_unit


def toxic_line(bonus: float) -> float:
    """Loan-to-value above which a liquidation makes the account worse: 1 / (1 + bonus)."""
    return 1.0 / (1.0 + bonus)


def morpho_incentive(lltv: Number) -> Number:
    """Morpho Blue's liquidation incentive factor of a market, min(1.15, 1 / (1 − 0.3·(1 − LLTV)))."""
    factor = 1.0 / (1.0 - INCENTIVE_CURSOR * (1.0 - lltv))
    result: Number = np.minimum(MAXIMUM_INCENTIVE, factor) if isinstance(factor, np.ndarray) else min(MAXIMUM_INCENTIVE, factor)
    return result


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one liquidation does to an account."""

    repaid: float
    seized: float
    collateral: float
    debt: float
    bad_debt: float
    """debt left when the collateral is gone"""


def liquidate(collateral: float, debt: float, bonus: float, close_factor: float = 1.0) -> Outcome:
    """Repay min(close factor · debt, collateral / (1 + bonus)) and seize that times (1 + bonus)."""
    whole = collateral / (1.0 + bonus)
    if close_factor * debt >= whole:
        return Outcome(whole, collateral, 0.0, 0.0, debt - whole)
    repaid = close_factor * debt
    return Outcome(repaid, repaid * (1.0 + bonus), collateral - repaid * (1.0 + bonus), debt - repaid, 0.0)


def close_factors(rule: LiquidationRule, factor: Floats, collateral: Floats, debt: Floats) -> Floats:
    """Share of the debt that one liquidation may repay, by account."""
    mild: Mask = (factor > rule.mild_above) & (collateral >= rule.small_value) & (debt >= rule.small_value)
    return np.where(mild, rule.mild_close_factor, rule.close_factor)


def loop_leverage(loan_to_value: float, turns: int) -> float:
    """Collateral per unit of equity after borrowing and depositing again `turns` times: (1 − l^(n+1)) / (1 − l)."""
    if not 0.0 <= loan_to_value < 1.0:
        raise InputError(f"a loan-to-value of {loan_to_value:g} loops without end; expected 0 to below 1")
    return float((1.0 - loan_to_value ** (turns + 1)) / (1.0 - loan_to_value))


def loop_limit(loan_to_value: float) -> float:
    """Leverage that looping tends to, 1 / (1 − l)."""
    return loop_leverage(loan_to_value, 0) / (1.0 - loan_to_value)


def drop_to_liquidation(loan_to_value: float, threshold: float) -> float:
    """Fall of the collateral that brings health to 1: 1 − LTV / LT."""
    return 1.0 - loan_to_value / threshold


def uniform_gain(low: float, high: float, impact_if_all_sold: float) -> float:
    """Loop gain where liquidation prices lie evenly between two levels: sales per unit of fall times their impact."""
    return impact_if_all_sold / (high - low)


def uniform_price(shock: float, low: float, high: float, impact_if_all_sold: float) -> float:
    """Price after the cascade of such a population, from 1: the largest p with p = (1 − shock) − K·F(p)."""
    start, gain = 1.0 - shock, uniform_gain(low, high, impact_if_all_sold)
    if start >= high:
        return start
    if gain < 1.0:
        inside = (start - gain * high) / (1.0 - gain)
        if inside >= low:
            return inside
    return start - impact_if_all_sold
