"""What haircuts cost: forecasts of a history, the plain models beside them, and the live quantiles of a portfolio's factors.

    python -m benchmarks.haircuts

Prints milliseconds and the ratios that matter: the dynamic haircut against GJR-GARCH, and twice the assets against once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.market_risk import baselines, dynamic, gjr_garch
from aggregator.risk.market_risk.live import DAY, path_quantiles
from aggregator.risk.market_risk.panel import Panel

DAYS, ASSETS = 1_500, 16
FACTORS, ROUNDS = 20, 120
REPEATS = 3


def panel(days: int, assets: int) -> Panel:
    """Drawn daily prices."""
    close = 100 * np.exp(np.cumsum(0.04 * np.random.default_rng(1).standard_t(4, size=(days, assets)) / 2**0.5, axis=0))
    return Panel(tuple(f"A{number}" for number in range(assets)), np.arange(days, dtype=np.int64), close, close * 0.99)


def series(count: int) -> dict[str, PriceSeries]:
    """Feeds' rounds of three months."""
    random = np.random.default_rng(2)
    found = {}
    for number in range(count):
        times = 1.7e9 - np.sort(random.uniform(0, 92 * DAY, ROUNDS))[::-1]
        found[f"F{number}"] = PriceSeries(f"F{number}", times, np.exp(np.cumsum(0.03 * random.normal(size=ROUNDS))), "drawn")
    return found


def milliseconds(work: Callable[[], object]) -> float:
    """Fastest of REPEATS."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return 1_000 * best


def main() -> None:
    once, twice = panel(DAYS, ASSETS), panel(DAYS, 2 * ASSETS)
    single = milliseconds(lambda: dynamic.forecast(once, 1))
    double = milliseconds(lambda: dynamic.forecast(twice, 1))
    print(
        f"dynamic haircut, {ASSETS} assets x {DAYS} days: {single:.0f} ms, {2 * ASSETS} assets: {double:.0f} ms (x {double / single:.2f})"
    )
    for name, model in (
        ("historical simulation", baselines.historical_simulation),
        ("EWMA x t4", baselines.ewma_student),
        ("filtered historical simulation", baselines.filtered_historical_simulation),
        ("robust", baselines.robust),
    ):
        print(f"{name}: {milliseconds(lambda model=model: model(once, 1)):.0f} ms")  # type: ignore[misc]
    start = time.perf_counter()
    gjr_garch.forecasts(once, (1, 3))
    garch = 1_000 * (time.perf_counter() - start)
    print(f"GJR-GARCH, both horizons: {garch:.0f} ms (x {garch / (2 * single):.0f} of the dynamic haircut's)")
    feeds = series(FACTORS)
    print(f"live quantiles of {FACTORS} factors, 92 days: {milliseconds(lambda: path_quantiles(feeds)):.1f} ms")


if __name__ == "__main__":
    main()
