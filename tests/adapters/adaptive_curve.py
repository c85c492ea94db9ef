"""The rate that Morpho's adaptive curve gives, to turn recorded rates at target into the borrow rate a market accrues with.

Source: morpho-org/morpho-blue-irm `AdaptiveCurveIrm.sol`, `ExpLib.sol`. Integers; divisions towards zero, like Solidity's.
"""

from __future__ import annotations

from adapters.morpho_blue.maths import MarketState
from aggregator.model.units import WAD

YEAR = 365 * 86_400
TARGET = 9 * WAD // 10
STEEPNESS = 4 * WAD
SPEED = 50 * WAD // YEAR
LOWEST, HIGHEST, INITIAL = WAD // 1000 // YEAR, 2 * WAD // YEAR, 4 * WAD // 100 // YEAR
LN_2 = 693_147_180_559_945_309
LN_WEI = -41_446_531_673_892_822_312


def borrow_rate(state: MarketState, rate_at_target: int, timestamp: int) -> int:
    """Mean borrow rate a second since the last update, wad."""
    utilization = state.total_borrow_assets * WAD // state.total_supply_assets if state.total_supply_assets else 0
    distance = _divide((utilization - TARGET) * WAD, WAD - TARGET if utilization > TARGET else TARGET)
    if rate_at_target == 0:
        return _on_curve(INITIAL, distance)
    adaptation = _divide(SPEED * distance, WAD) * (timestamp - state.last_update)
    if adaptation == 0:
        return _on_curve(rate_at_target, distance)
    end, middle = _adapted(rate_at_target, adaptation), _adapted(rate_at_target, _divide(adaptation, 2))
    return _on_curve((rate_at_target + end + 2 * middle) // 4, distance)


def _on_curve(rate: int, distance: int) -> int:
    slope = WAD - WAD * WAD // STEEPNESS if distance < 0 else STEEPNESS - WAD
    return (_divide(slope * distance, WAD) + WAD) * rate // WAD


def _adapted(rate: int, adaptation: int) -> int:
    return min(max(rate * _exponential(adaptation) // WAD, LOWEST), HIGHEST)


def _exponential(x: int) -> int:
    if x < LN_WEI:
        return 0
    steps = _divide(x + (-(LN_2 // 2) if x < 0 else LN_2 // 2), LN_2)
    rest = x - steps * LN_2
    factor = WAD + rest + rest * rest // WAD // 2
    return factor << steps if steps >= 0 else factor >> -steps


def _divide(x: int, y: int) -> int:
    return abs(x) // y * (1 if x >= 0 else -1)
