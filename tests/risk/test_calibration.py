"""The haircut's market part on real history: how often the worst hour of the next day was worse. Needs the recorded data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aggregator.model.price import PriceSeries
from aggregator.prices.answers import Round, Sample
from aggregator.prices.history_plan import PHASE_BITS, PROBES, choose, split
from aggregator.risk.classes import FactorClass
from aggregator.risk.haircuts import market_part
from aggregator.risk.policy import DEFAULT
from aggregator.risk.shapes import Array
from aggregator.risk.volatility import volatilities

HOURLY = Path(__file__).parents[3] / "shared" / "DATA" / "market" / "hourly.parquet"
WARM_UP_DAYS = 92
STEP_DAYS = 20


@pytest.mark.data
@pytest.mark.skipif(not HOURLY.is_file(), reason="the recorded hourly history is not there")
def test_the_worst_hour_of_the_next_day_is_covered_about_99_times_in_100() -> None:
    """Every twentieth day of eight coins, with the ninety-two days before it as the only history, as the feeds give it."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(HOURLY, columns=["symbol", "timestamp", "close"])
    symbols = np.array(table["symbol"].to_pylist())
    times = np.array(table["timestamp"].cast("int64").to_pylist(), dtype=np.float64) / 1e6
    closes = np.array(table["close"].to_pylist(), dtype=np.float64)
    breaches: list[bool] = []
    cuts: list[float] = []
    classes = {"BTC": FactorClass.BTC, "ETH": FactorClass.ETH}
    for symbol in ("BTC", "ETH", "LINK", "AAVE", "UNI", "CRV", "SOL", "AVAX"):
        mask = symbols == symbol
        order = np.argsort(times[mask])
        hours, prices = times[mask][order], closes[mask][order]
        if len(hours) < 24 * 200:
            continue
        for now in np.arange(hours[0] + WARM_UP_DAYS * 86_400, hours[-1] - 86_400, STEP_DAYS * 86_400):
            start, end = int(np.searchsorted(hours, now, side="right")), int(np.searchsorted(hours, now + 86_400, side="right"))
            places = _chosen(hours[:start], int(now))
            if end - start < 20 or now - hours[start - 1] > 7_200 or now - hours[places[0]] < 90 * 86_400:
                continue
            series = PriceSeries(symbol, hours[places], prices[places], "recorded")
            kind = classes.get(symbol, FactorClass.VOLATILE)
            cut = market_part(volatilities((symbol,), {symbol: kind}, {symbol: series})[symbol], 1.0, DEFAULT)
            cuts.append(cut)
            breaches.append(bool(1 - prices[start:end].min() / prices[places[-1]] > cut))
    assert len(breaches) > 500
    rate = float(np.mean(breaches))
    assert 0.003 <= rate <= 0.018, f"{rate:.4f} of {len(breaches)} days at a mean haircut of {np.mean(cuts):.3f}"
    assert 0.10 <= float(np.mean(cuts)) <= 0.18


def _chosen(hours: Array, now: int) -> list[int]:
    """Places of the rounds that a history is made of, were each hour a feed's round."""
    newest = len(hours)
    latest = Round(1 << PHASE_BITS | newest, 1, int(hours[-1]), int(hours[-1]), newest)
    probes = [Sample(back, int(hours[-1 - back]), 1) for back in PROBES if back < newest]
    numbers = [split(one)[1] for one in choose(latest, probes, 3_600, now).rounds]
    return [one - 1 for one in numbers if hours[one - 1] >= now - WARM_UP_DAYS * 86_400] + [newest - 1]
