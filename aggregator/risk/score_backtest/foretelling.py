"""The score's own probability of every made-up account, from what was known at its start: the very functions of the live score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aggregator.risk.classes import FactorClass
from aggregator.risk.correlation import root
from aggregator.risk.outlook import DAILY_ROWS, HOURLY_ROWS, HOURS, Outlook, Recent, Tier, forecast
from aggregator.risk.policy import DEFAULT
from aggregator.risk.probability import market_probability, moves
from aggregator.risk.rays import first_breach
from aggregator.risk.score_backtest.panel import HOUR, Panel
from aggregator.risk.score_backtest.population import Accounts
from aggregator.risk.shapes import Array

DRAWS = 512
"""an account; the live score takes more, for owners are judged one by one"""

_CLASSES = {
    "BTC": FactorClass.BTC,
    "WBTC": FactorClass.BTC,
    "ETH": FactorClass.ETH,
    "PAXG": FactorClass.GOLD,
    "XAUT": FactorClass.GOLD,
    "XAU": FactorClass.GOLD,
}


def class_of(symbol: str) -> FactorClass:
    """Class of a symbol in a history file: gold, BTC and ETH by name, any other coin as volatile."""
    return _CLASSES.get(symbol.upper(), FactorClass.VOLATILE)


def foretell(
    one: Panel, accounts: Accounts, tier: Tier = Tier.HOURLY, draws: int = DRAWS, report: Callable[[float], None] | None = None
) -> Array:
    """Probability of each account by horizon, (accounts, horizons). `tier`: how fine a history the score may see, at most."""
    result = np.full((len(accounts), len(HOURS)), np.nan)
    logs = np.log(one.prices)
    for row, where in accounts.starts():
        part = accounts.part(where)
        used = np.unique([*np.flatnonzero(part.shares.any(axis=0)).tolist(), *part.debt[part.debt >= 0].tolist()]).astype(np.int64)
        result[where] = _probabilities(outlook_at(one, logs, row, used, tier), part, used, draws)
        if report is not None:
            report(where.stop / len(accounts))
    return result


def outlook_at(one: Panel, logs: Array, row: int, assets: NDArray[np.int64], tier: Tier) -> Outlook:
    """Outlook of some assets from rows up to `row`, which is the last one known; `logs` are the logarithms of the panel's prices."""
    age = one.age[row, assets].astype(np.int64)
    hourly = _returns(logs, row, assets, 1, HOURLY_ROWS, age if tier is Tier.HOURLY else np.zeros_like(age))
    daily = _returns(logs, row, assets, 24, DAILY_ROWS, age // 24 if tier is not Tier.CLASS else np.zeros_like(age))
    names = [one.symbols[asset] for asset in assets.tolist()]
    return forecast(names, [class_of(name) for name in names], hourly, daily, one.time(row) // HOUR)


def _returns(logs: Array, row: int, assets: NDArray[np.int64], step: int, rows: int, ages: NDArray[np.int64]) -> Recent:
    ages = np.minimum(ages, rows)
    count = int(ages.max(initial=0))
    steps = np.diff(logs[row - step * np.arange(count, -1, -1)][:, assets], axis=0)
    known = np.arange(count)[:, None] >= count - ages
    return Recent(np.where(known, steps, 0.0), ages)


def _probabilities(ahead: Outlook, part: Accounts, used: NDArray[np.int64], draws: int) -> Array:
    """(accounts, horizons) of the accounts of one start."""
    shares = np.column_stack([part.shares[:, used], part.stable])
    kept = max(int((shares > 0).sum(axis=1).max()), 1)
    held = np.argsort(-shares, axis=1, kind="stable")[:, :kept]
    ratios = part.health[:, None] * np.take_along_axis(shares, held, axis=1)
    owed = np.where(part.debt >= 0, np.searchsorted(used, np.maximum(part.debt, 0)), len(used))
    result = np.empty((len(part), len(HOURS)))
    for place, (name, prospect) in enumerate(ahead.horizons.items()):
        drawn = moves(ahead.factors, prospect, root(prospect.correlation, ahead.classes), draws, DEFAULT.seed)
        drawn = np.vstack([drawn.T, np.zeros(len(drawn))]).astype(np.float32)  # the last one is the stablecoin, which does not move
        slopes = drawn[held.T] - drawn[owed]
        result[:, place] = market_probability(first_breach(ratios, slopes), name)
    return np.maximum.accumulate(result, axis=1)
