"""`crossmargin haircuts backtest`: its record in JSON and as a table, plots, and what it says to files it cannot use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.cli.main import main
from aggregator.engine.haircuts_backtest import aim, backtest, best_baseline
from aggregator.engine.history_file import read_history
from aggregator.risk.market_risk.dynamic import Target, forecast
from tests.risk.market_risk.histories import drawn

DAILY = Path(__file__).parents[3] / "shared" / "DATA" / "market" / "daily.parquet"
DAY = 86_400
KEYS = {
    "days",
    "violation_rate_close",
    "violation_rate_path",
    "kupiec_p",
    "christoffersen_p",
    "mean_haircut",
    "peak_to_trough",
    "max_5d_rise",
    "worst_shortfall",
    "quantile_loss_bp",
    "kupiec_path_p",
    "christoffersen_path_p",
}
MODELS = ["crossmargin", "aave-static", "historical-simulation", "ewma-t4", "fhs", "robust-g1", "gjr-garch"]


def daily_file(folder: Path, days: int = 420, assets: int = 2, names: tuple[str, ...] = ("ETH", "FOO"), low: bool = False) -> Path:
    panel = drawn(days, assets, seed=17)
    symbols = names if len(names) == assets else tuple(f"A{number:02}" for number in range(assets))
    lines = ["symbol,timestamp,close" + (",low" if low else "")]
    for asset, symbol in enumerate(symbols):
        for day in range(days):
            row = f"{symbol},{int(panel.days[day]) * DAY},{panel.close[day, asset]:.8g}"
            lines.append(row + (f",{panel.low[day, asset]:.8g}" if low else ""))
    path = folder / "daily.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def hourly_file(folder: Path, days: int) -> Path:
    random = np.random.default_rng(3)
    closes = 100 * np.exp(np.cumsum(0.009 * random.standard_t(4, size=24 * days) / 2**0.5))
    lines = [f"ETH,{(18_000 * 24 + hour) * 3_600},{close:.8g}" for hour, close in enumerate(closes)]
    path = folder / "hourly.csv"
    path.write_text("symbol,timestamp,close\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["haircuts", "backtest", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["haircuts", *words])
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return code, captured.err


def test_the_record_has_every_model_asset_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--history", str(daily_file(tmp_path)))
    assert found["schema"] == "crossmargin/haircuts-backtest/1"
    assert (found["aimed_at"], found["confidence"]) == ("close", 0.99)
    assert list(found["horizons"]) == ["1d", "3d"]
    for name, days in (("1d", 1), ("3d", 3)):
        models = found["horizons"][name]["models"]
        assert list(models) == MODELS
        for model, record in models.items():
            assert set(record["pooled"]) == KEYS
            assert set(record["assets"]) == ({"ETH"} if model == "aave-static" else {"ETH", "FOO"})
            for figures in record["assets"].values():
                assert set(figures) == KEYS
                assert figures["days"] == 420 - 250 - days
                assert 0 < figures["mean_haircut"] < 1 and 0 <= figures["kupiec_p"] <= 1
            total = sum(one["days"] for one in record["assets"].values())
            assert record["pooled"]["days"] == total
        assert list(found["horizons"][name]["variants"]) == ["crossmargin-path"]


def test_the_figures_are_those_of_the_forecasts(tmp_path: Path) -> None:
    history = read_history(daily_file(tmp_path, low=True))
    record = backtest(history)
    horizon = record.horizons[1]
    expected = forecast(record.panel, 1)
    np.testing.assert_array_equal(horizon.forecasts["crossmargin"], expected)
    scored = horizon.models["crossmargin"].assets["ETH"]
    closes = record.panel.close[:, 0]
    losses = 1 - closes[251:] / closes[250:-1]
    assert scored.violation_rate_close == pytest.approx(float(np.mean(losses > expected[250:-1, 0])))
    assert scored.mean_haircut == pytest.approx(float(np.mean(expected[250:-1, 0])))
    assert scored.violation_rate_path >= scored.violation_rate_close
    name, best = best_baseline(horizon)
    assert name != "aave-static" and all(
        one.pooled is None or one.pooled.quantile_loss_bp >= best.quantile_loss_bp
        for model, one in horizon.models.items()
        if model not in ("crossmargin", "aave-static")
    )


def test_hours_within_the_day_make_the_path_the_aim(tmp_path: Path) -> None:
    history = read_history(hourly_file(tmp_path, 200))
    assert aim(history) is Target.PATH
    record = backtest(history)
    assert record.warm_up == {"ETH": 100}
    assert "crossmargin-close" in record.horizons[1].variants
    ours, other = record.horizons[1].models["crossmargin"].pooled, record.horizons[1].variants["crossmargin-close"].pooled
    assert ours is not None and other is not None and ours.mean_haircut > other.mean_haircut
    low = record.panel.low[:, 0]
    assert (low <= record.panel.close[:, 0]).all() and (low < record.panel.close[:, 0]).mean() > 0.8


def test_the_table_and_the_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for width in ("60", "100"):
        monkeypatch.setenv("COLUMNS", width)
        assert main(["haircuts", "backtest", "--history", str(daily_file(tmp_path)), "--plot", str(tmp_path / "plots")]) == 0
        shown = capsys.readouterr().out
        lines = [line for line in shown.splitlines() if not line.startswith("wrote ")]
        assert max(map(len, lines)) <= int(width)
        assert all(name in shown for name in ("crossmargin", "ewma-t4", "both tests pass on", "quantile loss", "FOO"))
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["haircut-eth-1d.png", "haircut-eth-3d.png", "haircut-foo-1d.png", "haircut-foo-3d.png"]
    assert all(path.stat().st_size > 10_000 for path in (tmp_path / "plots").iterdir())


def test_an_asset_with_too_few_days_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = daily_file(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + "NEW,2024-01-01,5\nNEW,2024-01-02,6\n", encoding="utf-8")
    text = (
        path.read_text(encoding="utf-8").replace("NEW,2024-01-01", f"NEW,{18_000 * DAY}").replace("NEW,2024-01-02", f"NEW,{18_001 * DAY}")
    )
    path.write_text(text, encoding="utf-8")
    found = document(capsys, "--history", str(path))
    by_symbol = {one["symbol"]: one for one in found["assets"]}
    assert by_symbol["NEW"]["left_out"] == "2 days with a close, 60 are the least" and by_symbol["NEW"]["warm_up_days"] is None
    assert "NEW" not in found["horizons"]["1d"]["models"]["crossmargin"]["assets"]
    assert by_symbol["ETH"]["left_out"] is None


def test_many_assets_are_no_matter(tmp_path: Path) -> None:
    record = backtest(read_history(daily_file(tmp_path, days=200, assets=50, names=())))
    pooled = record.horizons[3].models["crossmargin"].pooled
    assert pooled is not None and pooled.days == 50 * (100 - 3)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["backtest"], 2, "needs --history FILE"),
        (["WETH", "--discover"], 2, "haircuts are of assets that are named"),
        (["backtest", "--history", "absent.csv"], 2, "absent.csv: there is no such file"),
        (["backtest", "--history", "absent.csv", "--warm-up", "3"], 2, "--warm-up: 3 is not between 20 and 5000 days"),
        (["backtest", "--history", "absent.csv", "--aim", "moon"], 2, "invalid choice: 'moon'"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str) -> None:
    found, said = refused(capsys, *words)
    assert found == code and message in said


def test_short_and_coarse_histories_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "backtest", "--history", str(daily_file(tmp_path, days=30)))
    assert code == 3 and "no asset has enough history to be scored (ETH: 30 days with a close, 60 are the least)" in said
    weekly = tmp_path / "weekly.csv"
    weekly.write_text("symbol,timestamp,close\n" + "".join(f"ETH,{(18_000 + n * 7) * DAY},5\n" for n in range(400)), encoding="utf-8")
    code, said = refused(capsys, "backtest", "--history", str(weekly))
    assert code == 2 and "bars are 7 days apart" in said


@pytest.mark.data
@pytest.mark.skipif(not DAILY.is_file(), reason="the recorded daily history is not there")
def test_on_the_recorded_years_the_record_is_what_the_page_says() -> None:
    """Every coin and every day that is visible; docs/methods/dynamic-haircut.md states these figures."""
    import pyarrow.compute as compute
    from pyarrow import array, parquet

    from aggregator.engine.history_file import history_from_table

    table = parquet.read_table(DAILY, columns=["symbol", "timestamp", "close", "low"])
    coins = array(["BTC", "ETH", "SOL", "LINK", "AAVE", "UNI", "CRV", "MKR", "AVAX", "MATIC", "ARB", "OP", "LDO", "WBTC"])
    record = backtest(history_from_table(table.filter(compute.is_in(table["symbol"].cast("string"), coins)), "recorded"))
    for horizon in record.horizons.values():
        ours = horizon.models["crossmargin"]
        assert ours.pooled is not None
        _, best = best_baseline(horizon)
        assert ours.pooled.quantile_loss_bp < 0.955 * best.quantile_loss_bp
        assert ours.pooled.max_5d_rise <= 0.08 + 1e-9
        assert sum(one.passes for one in ours.assets.values()) >= 13
        path = horizon.variants["crossmargin-path"].pooled
        assert path is not None and 0.008 <= path.violation_rate_path <= 0.011
        assert path.mean_haircut <= (0.148 if horizon is record.horizons[1] else 0.25)


def test_overwriting_the_future_of_the_file_changes_no_forecast(tmp_path: Path) -> None:
    """Every model, through the file: what was posted until a day depends on nothing after it."""
    path = daily_file(tmp_path, low=True)
    before = backtest(read_history(path))
    now = 300
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    last = int(before.panel.days[now]) * DAY
    changed = [row if int(row.split(",")[1]) <= last else ",".join([*row.split(",")[:2], "12.5", "3.25"]) for row in rows]
    path.write_text("\n".join([header, *changed]) + "\n", encoding="utf-8")
    after = backtest(read_history(path))
    for horizon, record in before.horizons.items():
        assert list(record.forecasts) == MODELS
        for model, haircuts in record.forecasts.items():
            np.testing.assert_array_equal(haircuts[: now + 1], after.horizons[horizon].forecasts[model][: now + 1], err_msg=model)
        ours, theirs = record.forecasts["crossmargin"], after.horizons[horizon].forecasts["crossmargin"]
        assert not np.array_equal(ours[now + 1 :], theirs[now + 1 :])
