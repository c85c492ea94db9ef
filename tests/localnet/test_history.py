"""Seeded price histories."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest

from aggregator.localnet import history, market
from aggregator.localnet.anvil import GENESIS_TIME
from aggregator.localnet.deploy.feed_listings import LISTINGS
from aggregator.localnet.deploy.feeds import rounds

HOURS = 24 * 120


@pytest.fixture(scope="module")
def factor() -> list[float]:
    return history.common_factor(7, HOURS)


def _returns(levels: list[float], step: int = 1) -> list[float]:
    chosen = levels[::step]
    return [math.log(later / earlier) for earlier, later in itertools.pairwise(chosen)]


@pytest.mark.parametrize("name", sorted(history.MODELS))
def test_a_path_ends_at_the_last_level_and_stays_positive(name: str, factor: list[float]) -> None:
    last = 0.998 if isinstance(history.MODELS[name], history.Pegged) else 123.0
    levels = history.path(name, last, 7, factor)
    assert len(levels) == HOURS + 1
    assert levels[-1] == pytest.approx(last, rel=1e-12)
    assert min(levels) > 0


def test_a_seed_gives_the_same_path_and_another_seed_another(factor: list[float]) -> None:
    assert history.path("ETH", 3000, 7, factor) == history.path("ETH", 3000, 7, factor)
    assert history.path("ETH", 3000, 7, factor) != history.path("ETH", 3000, 8, factor)


def test_volatility_correlation_and_tails_are_as_modelled(factor: list[float]) -> None:
    ether, bitcoin = (_returns(history.path(name, 1.0, 7, factor)) for name in ("ETH", "BTC"))
    for name, returns in (("ETH", ether), ("BTC", bitcoin)):
        model = history.MODELS[name]
        assert isinstance(model, history.Volatile)
        # common and own part are each of unit variance in the sample; what they share by chance remains
        assert statistics.pstdev(returns) * math.sqrt(365 * 24) == pytest.approx(model.volatility, rel=0.1)
    assert 0.7 < statistics.correlation(ether, bitcoin) < 0.95
    spread = statistics.pstdev(ether)
    kurtosis = statistics.fmean((one / spread) ** 4 for one in ether)
    assert kurtosis > 4, "a normal distribution has 3"


def test_volatility_comes_in_clusters(factor: list[float]) -> None:
    size = [abs(one) for one in factor]
    assert statistics.correlation(size[:-1], size[1:]) > 0.05
    assert abs(statistics.correlation(factor[:-1], factor[1:])) < 0.06


def test_exchange_rates_only_grow(factor: list[float]) -> None:
    levels = history.path("wstETH", 1.2238, 7, factor)
    assert all(later > earlier for earlier, later in itertools.pairwise(levels))
    assert levels[-1] / levels[0] == pytest.approx(1.028 ** (HOURS / (365 * 24)), rel=1e-6)


def test_a_peg_is_lost_only_where_the_model_says_so(factor: list[float]) -> None:
    steady, slipping = (history.path(name, 1.0, 7, factor) for name in ("USDC", "USDe"))
    assert min(steady) > 0.997
    assert min(slipping) < 0.9965


def test_rounds_keep_the_heartbeat_and_show_the_table_last() -> None:
    factor = history.common_factor(1, HOURS)
    for chain_id, listings in LISTINGS.items():
        for listing in listings:
            written = rounds(listing, chain_id, 1, history.path(listing.model, float(listing.last), 1, factor))
            times = [time for time, _ in written]
            assert all(0 < later - earlier <= listing.heartbeat for earlier, later in itertools.pairwise(times))
            assert GENESIS_TIME - listing.heartbeat < times[-1] < GENESIS_TIME
            assert times[0] < GENESIS_TIME - 90 * 86_400
            assert written[-1][1] == int(listing.last * 10**listing.decimals)
            assert all(answer > 0 for _, answer in written)


def test_what_follows_a_price_is_priced() -> None:
    followers = {symbol for symbols in market.FOLLOWERS.values() for symbol in symbols}
    assert followers <= market.PRICES.keys()
    assert all(market.PRICES[symbol] == rate * market.PRICES[market.RATE_UNDERLYING[symbol]] for symbol, rate in market.RATES.items())
