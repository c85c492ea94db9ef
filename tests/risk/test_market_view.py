"""Equal histories are recognised by what they hold; any change is seen."""

from __future__ import annotations

import numpy as np

from aggregator.model.price import PriceSeries
from aggregator.risk.classes import FactorClass
from aggregator.risk.market_view import market_view

CLASSES = {"BTC": FactorClass.BTC, "ETH": FactorClass.ETH}


def history(seed: int = 7, last: float = 1.0) -> dict[str, PriceSeries]:
    random = np.random.default_rng(seed)
    times = np.arange(0.0, 200.0) * 86_400.0
    prices = {name: np.asarray(100.0 * np.exp(np.cumsum(random.normal(0.0, 0.03, 200))), dtype=np.float64) for name in CLASSES}
    prices["ETH"][-1] *= last
    return {name: PriceSeries(name, times, one, "feed") for name, one in prices.items()}


def test_the_same_content_gives_the_very_same_view() -> None:
    assert market_view(tuple(CLASSES), CLASSES, history()) is market_view(tuple(CLASSES), CLASSES, history())


def test_one_changed_price_one_more_factor_or_another_class_gives_another() -> None:
    usual = market_view(tuple(CLASSES), CLASSES, history())
    assert market_view(tuple(CLASSES), CLASSES, history(last=0.5)).volatilities["ETH"].daily > usual.volatilities["ETH"].daily
    other = market_view(tuple(CLASSES), CLASSES | {"BTC": FactorClass.VOLATILE}, history())
    assert other.volatilities["BTC"].factor_class is FactorClass.VOLATILE
    assert market_view(("ETH",), CLASSES, history()).correlation.shape == (1, 1)


def test_what_is_shared_cannot_be_written_to() -> None:
    assert not market_view(tuple(CLASSES), CLASSES, history()).correlation.flags.writeable
