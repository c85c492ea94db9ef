"""Option pricing against QuantLib, one owner's what-if by every method, and ten thousand portfolios: ratios of one run.

    .venv/bin/python -m benchmarks.margin [--repeats 5] [--portfolios 10000]

QuantLib is asked the way one asks it for a book: an instrument object each, its engine and quotes set up once, spot and volatility set
and NPV called for every instrument in every scenario. Its bare formula without instruments stands beside it. Books are made by a seeded
generator; the shortest of several repeats counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import QuantLib as ql  # noqa: N813

from aggregator.model.instrument import Holding
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import SECONDS_PER_DAY, Array, Market
from aggregator.risk.margin.population import requirements
from aggregator.risk.margin.registry import models
from aggregator.risk.pricing.black76 import CALL, PUT, greeks, price
from tests.risk.margin.kit import market_of, option, perpetual

OPTIONS, SCENARIOS = 60, 33
SPOT = 2600.0


def shortest(work: Callable[[], object], repeats: int, loops: int) -> float:
    """Processor seconds of one call, the best of several repeats: what else the machine does is not counted."""
    work()
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(loops):
            work()
        best = min(best, (time.process_time() - began) / loops)
    return best


def made(count: int, random: np.random.Generator) -> list[Holding]:
    """Options of six expiries around the money, and a perpetual."""
    strikes, sizes = random.integers(15, 40, count) * 100, random.integers(1, 6, count) * random.choice([-1, 1], count)
    days, calls = random.choice([7, 14, 30, 60, 90, 180], count), random.integers(0, 2, count)
    return [
        *(
            option(float(strike), float(size), call=bool(call), expiry=int(day) * SECONDS_PER_DAY)
            for strike, size, day, call in zip(strikes, sizes, days, calls, strict=True)
        ),
        perpetual(1.5, unrealised=0),
    ]


def pricing(repeats: int, random: np.random.Generator) -> None:
    strikes, sides = random.uniform(1500, 4000, OPTIONS), random.choice([CALL, PUT], OPTIONS)
    days = random.integers(7, 180, OPTIONS).astype(np.float64)
    moves, volatilities = SPOT * random.uniform(0.5, 2.0, SCENARIOS), random.uniform(0.3, 1.2, SCENARIOS)
    grid = (moves[None, :], strikes[:, None], (days / 365.0)[:, None], volatilities[None, :], sides[:, None])
    ours = shortest(lambda: price(*grid), repeats, 200)
    with_greeks = shortest(lambda: greeks(*grid), repeats, 100)
    instrument_loop, formula_loop, values = quantlib(strikes, sides, days, moves, volatilities)
    difference = float(np.abs(price(*grid) - values()).max())
    instruments, formula = shortest(instrument_loop, repeats, 2), shortest(formula_loop, repeats, 2)
    cells = OPTIONS * SCENARIOS
    print(f"full revaluation of {OPTIONS} options x {SCENARIOS} scenarios (largest difference of a value {difference:.1e} USD)")
    for name, seconds in (
        ("ours", ours),
        ("ours with all Greeks", with_greeks),
        ("QuantLib, an instrument each", instruments),
        ("QuantLib's bare formula", formula),
    ):
        print(f"  {name:30} {1e6 * seconds:9.0f} us {1e9 * seconds / cells:8.0f} ns each {seconds / ours:8.1f} x ours")


def quantlib(
    strikes: Array, sides: Array, days: Array, moves: Array, volatilities: Array
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], Array]]:
    """The same grid through instruments, through the bare formula, and its values."""
    today = ql.Date(2, 1, 2025)
    ql.Settings.instance().evaluationDate = today
    counter = ql.Actual365Fixed()
    spot, volatility = ql.SimpleQuote(SPOT), ql.SimpleQuote(0.6)
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, counter))
    surface = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(volatility), counter))
    engine = ql.AnalyticEuropeanEngine(ql.BlackProcess(ql.QuoteHandle(spot), flat, surface))
    kinds = [ql.Option.Call if side == CALL else ql.Option.Put for side in sides]
    instruments: list[Any] = []
    for strike, kind, day in zip(strikes, kinds, days, strict=True):
        one = ql.VanillaOption(ql.PlainVanillaPayoff(kind, float(strike)), ql.EuropeanExercise(today + int(day)))
        one.setPricingEngine(engine)
        instruments.append(one)

    def by_instrument() -> None:
        for move, level in zip(moves.tolist(), volatilities.tolist(), strict=True):
            spot.setValue(move)
            volatility.setValue(level)
            for one in instruments:
                one.NPV()

    roots = np.sqrt(days / 365.0).tolist()

    def by_formula() -> None:
        for move, level in zip(moves.tolist(), volatilities.tolist(), strict=True):
            for strike, kind, root in zip(strikes.tolist(), kinds, roots, strict=True):
                ql.blackFormula(kind, strike, move, level * root)

    def values() -> Array:
        result = np.zeros((len(instruments), len(moves)))
        for column, (move, level) in enumerate(zip(moves.tolist(), volatilities.tolist(), strict=True)):
            spot.setValue(move)
            volatility.setValue(level)
            result[:, column] = [one.NPV() for one in instruments]
        return result

    return by_instrument, by_formula, values


def what_if(repeats: int, random: np.random.Generator) -> None:
    holdings = made(OPTIONS, random)
    book, market = MarginBook(tuple(holdings)), market_of(holdings, SPOT)
    print(f"what-if of one owner with {OPTIONS} options and a perpetual: the market moved, the requirement anew with its explanation")
    for name, model in models().items():
        if model.refusal(book, market) is not None:
            print(f"  {name:16} does not apply: {model.refusal(book, market)}")
            continue
        parameters = model.default_parameters()

        def ask(model: Any = model, parameters: Any = parameters) -> object:
            return model.requirement(book, market.shocked("ETH", -0.1, 0.2), parameters, Kind.INITIAL)

        print(f"  {name:16} {1e3 * shortest(ask, repeats, 20):7.2f} ms")


def population(repeats: int, count: int, random: np.random.Generator) -> None:
    books = [MarginBook(tuple(made(9, random))) for _ in range(count)]
    market: Market = market_of([one for book in books for one in book.holdings], SPOT)
    print(f"{count:,} portfolios of 9 options and a perpetual, initial margin of each")
    for name in ("derive-pmrm2", "derive-pmrm", "paradex", "derive-standard"):
        model: Any = models()[name]
        parameters = model.default_parameters()
        scenarios = len(getattr(parameters, "scenarios", ()))

        def ask(model: Any = model, parameters: Any = parameters) -> object:
            return requirements(model, books, market, parameters, Kind.INITIAL)

        seconds = shortest(ask, max(repeats // 2, 1), 1)
        print(f"  {name:16} {seconds:6.2f} s for {scenarios or 'no'} scenarios, {1e6 * seconds / count:6.0f} us a portfolio")


def growth(repeats: int, random: np.random.Generator) -> None:
    """Ten times the positions: how many times the time. Every method on a book that it takes."""
    print("one book of 1,000 and of 10,000 positions: requirement, and every position alone")
    sizes = (1_000, 10_000)
    mixed = [tuple(made(count - 1, random)) for count in sizes]
    perpetuals = [tuple(perpetual(float(one), 2_500.0) for one in random.choice([-3, -2, -1, 1, 2, 3], count)) for count in sizes]
    options = [tuple(made(count, random)[:-1]) for count in sizes]
    for name, model in models().items():
        books = next(pair for pair in (mixed, perpetuals, options) if model.refusal(MarginBook(pair[0]), market_of(pair[0], SPOT)) is None)
        parameters, whole, alone = model.default_parameters(), list[float](), list[float]()
        for holdings in books:
            book, market = MarginBook(holdings), market_of(holdings, SPOT)

            def ask(model: Any = model, parameters: Any = parameters, book: MarginBook = book, market: Market = market) -> object:
                return model.requirement(book, market, parameters, Kind.INITIAL)

            def each(model: Any = model, parameters: Any = parameters, book: MarginBook = book, market: Market = market) -> object:
                return model.isolated(book, market, parameters, Kind.INITIAL)

            whole.append(shortest(ask, repeats if books is not options else 1, 1))
            alone.append(shortest(each, 1, 1))
        print(
            f"  {name:16} {1e3 * whole[0]:7.1f} ms {1e3 * whole[1]:8.1f} ms, {whole[1] / whole[0]:5.1f} times;"
            f"  alone {1e3 * alone[0]:7.1f} ms {1e3 * alone[1]:8.1f} ms, {alone[1] / alone[0]:5.1f} times"
        )


def approximation(random: np.random.Generator, count: int = 1_500) -> None:
    """What an expansion in Greeks requires against a full revaluation of the same scan, on random books."""
    model = models()["greeks"]
    every = model.default_parameters()
    near = replace(every, scenarios=tuple(one for one in every.scenarios if abs(one.move) < 0.17))
    books = [MarginBook(tuple(made(int(random.integers(1, 9)), random))) for _ in range(count)]
    market: Market = market_of([one for book in books for one in book.holdings], SPOT)
    print(f"an expansion in Greeks against full revaluation, {count:,} random books of up to eight options and a perpetual")
    for name, parameters in (("within 16 %", near), ("with the tails", every)):
        found = [model.requirement(book, market, parameters, Kind.INITIAL) for book in books]
        errors = [100 * (one.amount / full - 1) for one in found if (full := one.components["full-revaluation"]) > 1]
        low, quarter, middle, three, high = np.percentile(errors, [5, 25, 50, 75, 95])
        print(
            f"  {name:16} 5 % below {low:.0f} %, quartiles {quarter:+.0f}, {middle:+.0f}, {three:+.0f} %, 95 % below {high:+.0f} %, "
            f"least {min(errors):.0f}, most {max(errors):+,.0f} %"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--portfolios", type=int, default=10_000)
    given = parser.parse_args()
    random = np.random.default_rng(7)
    pricing(given.repeats, random)
    what_if(given.repeats, random)
    population(given.repeats, given.portfolios, random)
    growth(given.repeats, random)
    approximation(np.random.default_rng(11))


if __name__ == "__main__":
    main()
