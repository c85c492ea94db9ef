"""Out of sample means: overwrite the future and no forecast made before it moves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from aggregator.risk.market_risk import baselines, dynamic, gjr_garch
from aggregator.risk.market_risk.panel import Panel
from aggregator.risk.shapes import Array
from tests.risk.market_risk.histories import drawn

Forecast = Callable[[Panel, int], Array]

MODELS: dict[str, Forecast] = {
    "dynamic-close": lambda panel, horizon: dynamic.forecast(panel, horizon, dynamic.Target.CLOSE),
    "dynamic-path": lambda panel, horizon: dynamic.forecast(panel, horizon, dynamic.Target.PATH),
    "aave-static": baselines.aave_static,
    "historical-simulation": baselines.historical_simulation,
    "ewma-t4": baselines.ewma_student,
    "fhs": baselines.filtered_historical_simulation,
    "robust-g1": baselines.robust,
    "gjr-garch": lambda panel, horizon: gjr_garch.forecasts(panel, [horizon])[horizon],
}
NOW = 330


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("horizon", [1, 3])
def test_overwriting_the_future_changes_no_forecast(model: str, horizon: int) -> None:
    panel = drawn(400, 3, seed=11)
    known = Panel(("ETH", "LINK", "AAVE"), panel.days, panel.close, panel.low)
    close, low = known.close.copy(), known.low.copy()
    close[NOW + 1 :] = np.random.default_rng(1).uniform(1e-6, 1e6, size=close[NOW + 1 :].shape)
    low[NOW + 1 :] = close[NOW + 1 :] * 0.5
    close[NOW + 20 :, 1] = np.nan
    before = MODELS[model](known, horizon)
    after = MODELS[model](Panel(known.symbols, known.days, close, low), horizon)
    ended = MODELS[model](known.until(NOW + 1), horizon)
    assert np.isfinite(before[NOW]).any()
    np.testing.assert_array_equal(before[: NOW + 1], after[: NOW + 1])
    np.testing.assert_array_equal(before[: NOW + 1], ended)
    if model != "aave-static":
        assert not np.allclose(before[NOW + 1 : NOW + 15], after[NOW + 1 : NOW + 15], equal_nan=True)
