"""Filtered historical simulation: joint days on record at today's volatility."""

from __future__ import annotations

import numpy as np
import pytest

from aggregator.model.price import PriceSeries
from aggregator.risk.assessment import assess
from aggregator.risk.filtered import LEAST_BARS, WARM_UP, filtered
from aggregator.risk.prepared import prepare
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import by_factor
from tests.builders import LINK, USDC, WBTC, WETH, account, book, borrowed, leg, portfolio, supplied, walk, wallet
from tests.risk.strategies import QUICK

DAYS = 400


def series(name: str, returns: Array) -> PriceSeries:
    prices: Array = np.asarray(100.0 * np.exp(np.concatenate([[0.0], np.cumsum(returns)])), dtype=np.float64)
    return PriceSeries(name, np.asarray(1.7e9 + 86_400.0 * np.arange(len(prices)), dtype=np.float64), prices, "test")


def returns(seed: int, days: int = DAYS, size: float = 0.03) -> Array:
    return np.asarray(np.random.default_rng(seed).standard_normal(days) * size)


def test_shocks_are_returns_over_the_volatility_before_them() -> None:
    own = returns(1)
    found = filtered(("ETH",), {"ETH": series("ETH", own)})
    assert found is not None and found.factors == ("ETH",) and found.shocks.shape == (DAYS - WARM_UP, 1)
    variance = float(np.mean(own[:WARM_UP] ** 2))
    for day in range(WARM_UP, WARM_UP + 5):
        assert found.shocks[day - WARM_UP, 0] == pytest.approx(own[day] / variance**0.5, rel=1e-9)
        variance = 0.97 * variance + 0.03 * own[day] ** 2


def test_a_louder_market_gives_the_same_shocks() -> None:
    """The volatility on record is divided out: only today's counts."""
    quiet, loud = (filtered(("ETH",), {"ETH": series("ETH", returns(1) * scale)}) for scale in (1.0, 3.0))
    assert quiet is not None and loud is not None
    assert loud.shocks == pytest.approx(quiet.shocks, rel=1e-6)


def test_days_stay_joint() -> None:
    common = returns(2)
    history = {"ETH": series("ETH", common), "BTC": series("BTC", -0.5 * common)}
    found = filtered(("BTC", "ETH"), history)
    assert found is not None and found.factors == ("BTC", "ETH")
    assert found.shocks[:, 0] == pytest.approx(-found.shocks[:, 1], rel=1e-6)


def test_too_short_a_history_is_left_out_and_without_any_there_is_none() -> None:
    long, short = series("ETH", returns(3)), series("LINK", returns(4, LEAST_BARS // 2))
    found = filtered(("ETH", "LINK"), {"ETH": long, "LINK": short})
    assert found is not None and found.factors == ("ETH",)
    assert filtered(("LINK",), {"LINK": short}) is None
    assert filtered(("ETH",), {}) is None


def test_a_price_that_never_moves_has_no_shocks() -> None:
    found = filtered(("USDC",), {"USDC": series("USDC", np.zeros(DAYS))})
    assert found is not None and not found.shocks.any()


def test_the_regime_stands_beside_the_others_at_todays_volatility() -> None:
    history = (walk("ETH", 0.03, 400), walk("BTC", 0.025, 400, start=60_000.0, seed=8))
    one = portfolio((), wallet(leg(WETH, 1), leg(WBTC, 1), leg(LINK, 1)))
    ready = prepare(one, book(), history, QUICK)
    assert [moves.names[0] for moves in ready.scenarios.draws] == ["stressed", "decoupled", "filtered-history"]
    lots = ready.scenarios.draws[2].lots
    own = filtered(ready.exposures.factors, by_factor(history))
    assert own is not None and len(lots) == len(own.shocks)
    place = next(number for number, lot in enumerate(ready.exposures.lots) if lot.factor == "ETH")
    expected = np.exp(ready.volatilities["ETH"].daily * own.shocks[:, own.factors.index("ETH")])
    assert lots[:, place] == pytest.approx(expected)
    assert lots[:, [n for n, lot in enumerate(ready.exposures.lots) if lot.factor == "LINK"]].std() > 0


def test_a_day_on_record_that_broke_a_hedge_sets_the_shortfall() -> None:
    """Long one coin, short another that always moved with it, but for three days: only the record knows those."""
    common, own = returns(5), returns(5)
    own[[100, 200, 300]] += 0.6
    history = (series("ETH", common), series("BTC", own))
    hedge = portfolio([account(supplied(USDC, 200_000), borrowed(WBTC, 1))], wallet(leg(WETH, 30)))
    with_it = assess(hedge, book(), history, QUICK).requirement
    assert with_it is not None
    ready = prepare(hedge, book(), history, QUICK)
    assert ready.history is not None
    assert with_it.expected_shortfall_99 > 0
    names = {moves.names[0]: moves.lots for moves in ready.scenarios.draws}
    btc = next(number for number, lot in enumerate(ready.exposures.lots) if lot.factor == "BTC")
    eth = next(number for number, lot in enumerate(ready.exposures.lots) if lot.factor == "ETH")
    gaps = {name: float((lots[:, btc] - lots[:, eth]).max()) for name, lots in names.items()}
    assert gaps["filtered-history"] > gaps["stressed"]
