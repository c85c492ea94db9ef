"""Seeded price histories that end exactly at the market table's prices.

Hourly log-returns are a common crypto factor and an own part, both heavy-tailed (Student t with four degrees of
freedom) and with volatility that clusters; dollar tokens move around their peg and now and then lose it for hours;
exchange rates only grow. Everything comes from ``random.Random``, so a seed gives the same history everywhere.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

HOUR = 3_600
_HOURS_A_YEAR = 365 * 24


@dataclass(frozen=True, slots=True)
class Volatile:
    """``volatility``: a year's standard deviation of the own and common part together; ``beta``: how much of it is
    the common factor's (0…1, the correlation with it)."""

    volatility: float
    beta: float


@dataclass(frozen=True, slots=True)
class Pegged:
    """``noise``: standard deviation around the peg; ``depegs``: how many times in the whole history it slips."""

    noise: float
    depegs: int = 0


@dataclass(frozen=True, slots=True)
class Growing:
    """``growth``: a year's growth."""

    growth: float


@dataclass(frozen=True, slots=True)
class Product:
    """Two histories multiplied: a token's rate in another, times that other's price."""

    first: str
    second: str


Model = Volatile | Pegged | Growing | Product

MODELS: dict[str, Model] = {
    "ETH": Volatile(0.68, 0.92),
    "BTC": Volatile(0.46, 0.90),
    "stETH": Product("stETH / ETH", "ETH"),
    "WBTC": Product("WBTC / BTC", "BTC"),
    "LINK": Volatile(0.88, 0.80),
    "AAVE": Volatile(0.95, 0.78),
    "UNI": Volatile(0.95, 0.74),
    "ARB": Volatile(1.02, 0.79),
    "CRV": Volatile(1.10, 0.68),
    "EUR": Volatile(0.065, 0.10),
    "USDC": Pegged(0.0002),
    "USDT": Pegged(0.0003),
    "DAI": Pegged(0.0003),
    "USDS": Pegged(0.0003),
    "USDe": Pegged(0.0006, depegs=2),
    "GHO": Pegged(0.0012, depegs=1),
    "LUSD": Pegged(0.0025, depegs=2),
    "WBTC / BTC": Pegged(0.0008, depegs=1),
    "stETH / ETH": Pegged(0.0006, depegs=2),
    "wstETH": Growing(0.028),
    "rETH": Growing(0.023),
    "cbETH": Growing(0.024),
    "weETH": Growing(0.029),
    "sUSDS": Growing(0.042),
    "sUSDe": Growing(0.061),
    "syrupUSDC": Growing(0.068),
}

GROWING = frozenset(name for name, model in MODELS.items() if isinstance(model, Growing))


def common_factor(seed: int, hours: int) -> list[float]:
    """Standardised hourly returns of the market factor (unit variance on average), oldest first."""
    return _clustered(random.Random(f"{seed}/market"), hours)


def path(name: str, last: float, seed: int, market: Sequence[float]) -> list[float]:
    """Hourly levels of ``name``, oldest first, ``len(market) + 1`` of them, the last being ``last`` exactly."""
    model = MODELS[name]
    source = random.Random(f"{seed}/{name}")
    if isinstance(model, Product):
        first, second = path(model.first, 1.0, seed, market), path(model.second, last, seed, market)
        return [one * other for one, other in zip(first, second, strict=True)]
    if isinstance(model, Growing):
        hourly = math.log1p(model.growth) / _HOURS_A_YEAR
        return [last * math.exp(-hourly * (len(market) - hour)) for hour in range(len(market) + 1)]
    if isinstance(model, Pegged):
        return _pegged(source, model, last, len(market))
    hourly = model.volatility / math.sqrt(_HOURS_A_YEAR)
    own = _clustered(source, len(market))
    rest = math.sqrt(1 - model.beta**2)
    levels = [last]
    for common, alone in zip(reversed(market), reversed(own), strict=True):
        levels.append(levels[-1] / math.exp(hourly * (model.beta * common + rest * alone)))
    levels.reverse()
    return levels


def _student(source: random.Random, freedom: int = 4) -> float:
    """A Student t draw scaled to unit variance."""
    draw = source.gauss(0, 1) / math.sqrt(source.gammavariate(freedom / 2, 2) / freedom)
    return draw * math.sqrt((freedom - 2) / freedom)


def _clustered(source: random.Random, hours: int) -> list[float]:
    """Unit-variance returns whose variance follows a GARCH(1,1) with long memory (alpha 0.06, beta 0.92)."""
    alpha, beta = 0.06, 0.92
    variance = 1.0
    returns: list[float] = []
    for _ in range(hours):
        # Heavy tails feeding back into the variance could run away: no hour moves more than 12 deviations.
        value = max(-12.0, min(12.0, math.sqrt(variance) * _student(source)))
        returns.append(value)
        variance = (1 - alpha - beta) + alpha * value * value + beta * variance
    scale = math.sqrt(sum(value * value for value in returns) / hours)
    return [value / scale for value in returns]


def _pegged(source: random.Random, model: Pegged, last: float, hours: int) -> list[float]:
    pull = 0.05
    step = model.noise * math.sqrt(2 * pull)
    # Walked backwards from the last level, so that it is hit exactly; the process looks the same in both directions.
    distance = last - 1.0
    levels = [last]
    for _ in range(hours):
        distance += -pull * distance + step * source.gauss(0, 1)
        levels.append(1.0 + distance)
    levels.reverse()
    for _ in range(model.depegs):
        start = source.randrange(hours // 20, hours - hours // 10)
        depth = model.noise * source.uniform(8, 25)
        length = source.randrange(8, 60)
        for hour in range(start, min(start + 4 * length, hours)):
            levels[hour] -= depth * math.exp(-(hour - start) / length)
    return levels
