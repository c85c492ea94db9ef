"""How the market of the lived month goes: paths with a beginning and an end that are known in advance.

It is a falling month. Where each price ends follows from the seed alone, so an owner who is to end close to liquidation
(or beyond it) can be given his debt before the fall, as real ones got theirs. On the way the paths are those of
``history``: a common factor, heavy tails, clustered volatility.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from aggregator.localnet import history, market
from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.history import HOUR

DAY = 24 * HOUR
STEPS_A_DAY = 2
MONTH_STEPS = 57
HALFWAY = 28
MONTH_END = GENESIS_TIME + (MONTH_STEPS - 1) * DAY // STEPS_A_DAY + 10 * HOUR
"""29 January 2026, 10:00: a Thursday morning, so that the newest net asset values are half a day old."""

# Between which factors each price ends the month; what is not listed ends where chance takes it.
_FALLS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "ETH": (0.805, 0.825),
        "BTC": (0.86, 0.89),
        "LINK": (0.56, 0.60),
        "AAVE": (0.74, 0.79),
        "UNI": (0.72, 0.77),
        "ARB": (0.62, 0.68),
        "CRV": (0.60, 0.66),
    }
)
_LEADERS: Mapping[str, str] = MappingProxyType({symbol: leader for leader, followers in market.FOLLOWERS.items() for symbol in followers})


def factors(seed: int) -> dict[str, float]:
    """By what each falling price is multiplied over the month."""
    return {symbol: random.Random(f"{seed}/month/{symbol}").uniform(*bounds) for symbol, bounds in _FALLS.items()}


def factor(seed: int, symbol: str) -> float:
    """By what the USD price of a token is multiplied over the month, its own growth (staking, interest) left out."""
    return factors(seed).get(_LEADERS.get(symbol, symbol), 1.0)


def paths(models: Sequence[str], hours: int, seed: str, ends: Mapping[str, float]) -> dict[str, list[float]]:
    """Hourly levels of each model of ``history.MODELS`` relative to its start: ``hours + 1`` of them from 1.0 on.

    A model in ``ends`` is bent so that its last level is exactly that; a product is made of its bent parts.
    """
    number = int.from_bytes(random.Random(seed).randbytes(6), "big")
    common = history.common_factor(number, hours)
    made: dict[str, list[float]] = {}

    def one(name: str) -> list[float]:
        if name not in made:
            model = history.MODELS[name]
            if isinstance(model, history.Product):
                made[name] = [first * second for first, second in zip(one(model.first), one(model.second), strict=True)]
            else:
                levels = history.path(name, 1.0, number, common)
                made[name] = _bent([level / levels[0] for level in levels], ends.get(name))
        return made[name]

    return {name: one(name) for name in models}


def _bent(levels: list[float], end: float | None) -> list[float]:
    """The same path with its end moved, the correction growing evenly (in logarithms) along the way."""
    if end is None:
        return levels
    steps = len(levels) - 1
    missing = math.log(end / levels[-1])
    return [level * math.exp(missing * index / steps) for index, level in enumerate(levels[:-1])] + [end]
