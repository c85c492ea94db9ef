"""What-if after the picture is taken: one owner on chains and venues, and a book of 60 options, against assessing everything anew.

    .venv/bin/python -m benchmarks.what_if [--repeats 200]

Median and 99th percentile of many shocks, all different, in one process; the ratio to a full assessment is what to compare with.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from aggregator.model.identifiers import AccountId
from aggregator.model.instrument import (
    Holding,
    Instrument,
    InstrumentKind,
    MarginMode,
    VenueAccount,
    VenueBalance,
    VenueFigures,
)
from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import assess
from aggregator.risk.book_shock import book_moves, shocked_book, shocked_market
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_YEAR, Forward, Market, Quote
from aggregator.risk.margin.registry import model
from aggregator.risk.prepared import prepare
from aggregator.risk.pricing.black76 import CALL, PUT, price
from aggregator.risk.remedy import restore
from aggregator.risk.shock import Shock, shock_of
from aggregator.risk.surface import surface
from aggregator.risk.what_if import WhatIf
from tests.builders import (
    ARBITRUM,
    BASE,
    DAI,
    ETHEREUM,
    LINK,
    OUSG,
    OWNER,
    PAIR,
    USDC,
    VAULT,
    WBTC,
    WETH,
    WSTETH,
    account,
    book,
    borrowed,
    concentrated,
    leg,
    on,
    portfolio,
    supplied,
    walk,
    wallet,
)

GOAL_MS = 2.0
SPOT = 2600.0
NOW = 1_735_804_800.0
METHODS = ("derive-pmrm2", "paradex", "span", "deribit", "okx")


def owner() -> Portfolio:
    """Three debts on three chains, a curve, a range, a vault and a fund: 24 legs."""
    there = {token.symbol: on(ARBITRUM, token) for token in (WETH, USDC, WBTC)}
    return portfolio(
        [
            account(supplied(WETH, 100), supplied(WSTETH, 50), borrowed(USDC, 155_000), borrowed(DAI, 20_000)),
            account(supplied(WSTETH, 50, "0.93"), borrowed(WETH, 48), market="prime"),
            account(
                supplied(there["WBTC"], 2, usd="60000"),
                supplied(there["WETH"], 5, usd="2000"),
                borrowed(there["USDC"], 90_000, usd="1"),
                chain=ARBITRUM,
            ),
            account(
                supplied(on(BASE, WBTC), 1, usd="60000"), borrowed(on(BASE, USDC), 35_000, usd="1"), chain=BASE, protocol="morpho-blue"
            ),
        ],
        [
            *wallet(leg(WETH, 3), leg(VAULT, 1000), leg(PAIR, 1), leg(OUSG, 10), leg(LINK, 100), leg(USDC, 5000)),
            *wallet(leg(there["WETH"], 2), leg(there["USDC"], 900), chain=ARBITRUM),
            concentrated(WETH, USDC, 1800, 2200, 2000, 10**16, (10**15, 10**6)),
        ],
    )


def options(count: int = 60) -> tuple[MarginBook, Market]:
    """Calls and puts on four expiries, long and short."""
    holdings, volatilities, forwards = [], {}, {}
    for number in range(count):
        expiry, strike = int(NOW) + 86_400 * (7 + 30 * (number % 4)), 2000 + 100 * (number % 15)
        kind = InstrumentKind.CALL if number % 2 else InstrumentKind.PUT
        holdings.append(Holding(Instrument(kind, "ETH", expiry, Decimal(strike)), Decimal((-1) ** (number // 3) * (1 + number % 5))))
        volatilities["ETH", expiry, float(strike)] = Quote(0.6)
        forwards["ETH", expiry] = Forward(2610.0)
    return MarginBook(tuple(holdings), 50_000.0), Market(NOW, {"ETH": Quote(SPOT)}, {}, {"ETH": Quote(2601.0)}, forwards, volatilities)


def options_owner() -> Portfolio:
    """The same 60 options in a portfolio-margin account at a venue, marked at a volatility of 60 %, and a wallet."""
    positions, _ = options()
    marked = []
    for holding in positions.holdings:
        one = holding.instrument
        side = CALL if one.kind is InstrumentKind.CALL else PUT
        value = float(price(SPOT, float(one.strike or 0), ((one.expiry or 0) - NOW) / SECONDS_PER_YEAR, 0.6, side))
        marked.append(replace(holding, mark_price=Decimal(f"{value:.6f}")))
    account = VenueAccount(
        "derive",
        "1",
        AccountId(ETHEREUM, OWNER),
        MarginMode.PORTFOLIO,
        (VenueBalance("USDC", Decimal(80_000)), VenueBalance("ETH", Decimal(1), Decimal(SPOT))),
        tuple(marked),
        int(NOW * 1000),
        VenueFigures(equity=Decimal(100_000), maintenance_margin=Decimal(20_000)),
    )
    return replace(portfolio((), wallet(leg(USDC, 5000))), venue_accounts=(account,))


def measure(name: str, work: Callable[[int], object], repeats: int, goal: float | None = None) -> float:
    """Print and return the median in milliseconds; `work` gets a number that is different every time."""
    for number in range(3):
        work(number)
    taken = []
    for number in range(repeats):
        start = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - start))
    median, late = statistics.median(taken), sorted(taken)[int(0.99 * len(taken))]
    verdict = "" if goal is None else f"   goal {goal:g} ms {'met' if median <= goal else 'MISSED'}"
    print(f"  {name:44} median {median:7.2f} ms   best {min(taken):7.2f}   99 % {late:7.2f}{verdict}")
    return median


def price_shock(number: int) -> Shock:
    return Shock({"ETH": 1 - Fraction(number % 89 + 1, 100), "BTC": 1 - Fraction(number % 53, 100), "wstETH": Fraction(97, 100)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    one, prices = owner(), book()
    history = [walk("ETH", 0.03, 90), walk("BTC", 0.03, 90, start=60_000.0), walk("USDC", 0.0005, 90, start=1.0)]
    few = max(repeats // 10, 5)
    print("One owner: four margin accounts on three chains, 24 legs; every named scenario and 2 × 2,048 draws")
    anew = measure("everything assessed anew", lambda _: assess(one, prices, history), few)
    measure("prepared once a picture", lambda _: WhatIf(prepare(one, prices, history)), few)
    view = WhatIf(prepare(one, prices, history))
    shocked = measure("after a price shock", lambda n: view.after(price_shock(n)), repeats, GOAL_MS)
    measure("after a volatility shock", lambda n: view.after(Shock(volatilities={"ETH": 1 + Fraction(n + 1, 100)})), repeats, GOAL_MS)
    fallen = view.after(shock_of(["ETH=-50%", "BTC=-40%"]))
    measure("the way back of every account", lambda _: restore(view, fallen, Fraction(6, 5)), repeats, GOAL_MS)
    measure("the score from there on", lambda _: view.scored(fallen), few)
    measure("a liquidation surface, 61 × 61", lambda n: surface(view, n % 4), few)
    print(f"  a shock takes 1/{anew / shocked:.0f} of assessing everything anew")
    at_a_venue = {**prices, WETH.asset: replace(prices[WETH.asset], value=Decimal(SPOT))}
    look = WhatIf(prepare(options_owner(), at_a_venue, history))
    print("\nOne owner with 60 options at a venue and a wallet: every figure after a shock")
    measure("after a price shock", lambda n: look.after(Shock({"ETH": 1 - Fraction(n % 89 + 1, 100)})), repeats, GOAL_MS)
    measure("after a volatility shock", lambda n: look.after(Shock(volatilities={"ETH": 1 + Fraction(n + 1, 100)})), few)
    positions, market = options()
    print("\nA book of 60 options: shocked, revalued and margined")
    for name in METHODS:
        method = model(name)
        parameters = method.default_parameters()

        def margined(number: int, method=method, parameters=parameters) -> object:  # type: ignore[no-untyped-def]
            shock = Shock({"ETH": 1 - Fraction(number % 60 + 1, 100)}, {"ETH": 1 + Fraction(number % 50, 100)})
            moves = book_moves(shock, positions, market)
            there = shocked_market(market, positions, moves)
            return method.requirement(shocked_book(positions, market, there, moves), there, parameters, Kind.MAINTENANCE)

        measure(name, margined, repeats, GOAL_MS)


if __name__ == "__main__":
    main()
