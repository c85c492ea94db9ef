"""The liquidation probability: of one owner live, and a year's calibration record of sixteen assets.

    .venv/bin/python -m benchmarks.score [--accounts 40] [--days 365]

Processor seconds beside those of reading a Student-t law for as many accounts, so that the ratio can be compared between machines.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from scipy import stats

from aggregator.model.price import PriceSeries
from aggregator.risk.prepared import prepare
from aggregator.risk.probability import probabilities
from aggregator.risk.score_backtest.foretelling import foretell
from aggregator.risk.score_backtest.panel import HOUR, Panel, panel
from aggregator.risk.score_backtest.population import population, starts
from aggregator.risk.score_backtest.record import record
from tests.builders import LINK, USDC, WBTC, WETH, account, book, borrowed, portfolio, supplied, walk

ASSETS = 16
LIVE_REPEATS = 30


def history(days: int) -> Panel:
    """Hourly prices of sixteen coins with a common part."""
    random = np.random.default_rng(1)
    hours = 24 * days
    moves = 0.008 * (0.8 * random.standard_t(4, (hours, 1)) + 0.6 * random.standard_t(4, (hours, ASSETS))) / 2**0.5
    prices = 100 * np.exp(np.cumsum(moves, axis=0))
    opened = 1_650_000_000 // HOUR * HOUR + HOUR * np.arange(hours, dtype=np.float64)
    names = ["BTC", "ETH", *(f"C{number:02}" for number in range(ASSETS - 2))]
    return panel({name: (opened, prices[:, column]) for column, name in enumerate(names)})


def live() -> None:
    """Three margin accounts, hourly histories."""
    accounts = [
        account(supplied(WETH, 10), borrowed(USDC, 13_000), market="a"),
        account(supplied(WBTC, 1), supplied(LINK, 500), borrowed(USDC, 40_000), market="b"),
        account(supplied(USDC, 30_000), borrowed(WETH, 10), market="c"),
    ]
    histories = []
    for factor, start in (("ETH", 2000.0), ("BTC", 60_000.0), ("LINK", 14.0)):
        one = walk(factor, 0.04, 92, 3600.0, start)
        histories.append(PriceSeries(factor, one.timestamps - one.timestamps[-1] + 1_700_000_000, one.prices, "hourly"))
    ready = prepare(portfolio(accounts), book(), histories)
    taken = []
    for _ in range(LIVE_REPEATS):
        begun = time.process_time()
        probabilities(ready.claims, ready.breached, ready.outlook, ready.policy)
        taken.append(time.process_time() - begun)
    print(f"one owner, 3 accounts, 3 horizons: {1e3 * statistics.median(taken):.1f} ms (median of {LIVE_REPEATS})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=40, help="made-up accounts every five hours")
    parser.add_argument("--days", type=int, default=365)
    arguments = parser.parse_args()
    live()
    one = history(arguments.days)
    begun = time.process_time()
    record(one, arguments.accounts)
    whole = time.process_time() - begun
    made = population(one, frozenset(), starts(one, one.hours // 2, one.hours)[:100], arguments.accounts)
    begun = time.process_time()
    foretell(one, made)
    ours = (time.process_time() - begun) / len(made)
    begun = time.process_time()
    for health in made.health[:400].tolist():
        for days in (1 / 24, 1.0, 7.0):
            stats.t.sf(np.log(health) / (0.04 * days**0.5), 4)
    plain = (time.process_time() - begun) / 400
    print(f"record of {arguments.days} days, {ASSETS} assets, {arguments.accounts} accounts every five hours: {whole:.1f} s")
    print(f"probabilities of one account: {1e6 * ours:.0f} µs, {ours / plain:.2f} × three calls of a Student-t law")


if __name__ == "__main__":
    main()
