"""History files: what is put in order, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aggregator.engine.history_file import read_history
from aggregator.model.errors import InputError

DAY = 86_400
START = 1_704_067_200
"""2024-01-01T00:00:00Z"""


def written(folder: Path, text: str, name: str = "history.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "stamps",
    [
        ("2024-01-01", "2024-01-02"),
        ("2024-01-01T00:00:00Z", "2024-01-02 00:00:00"),
        ("2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00.5+00:00"),
        ("2024-01-01T01:00:00+01:00", "2024-01-02T00:00:00Z"),
        (str(START), str(START + DAY)),
        (str(START * 1_000), str((START + DAY) * 1_000)),
        (str(START * 1_000_000), str((START + DAY) * 1_000_000)),
        (str(START * 10**9), str((START + DAY) * 10**9)),
    ],
)
def test_every_way_to_write_a_time_means_the_same(tmp_path: Path, stamps: tuple[str, str]) -> None:
    found = read_history(written(tmp_path, f"symbol,timestamp,close\nETH,{stamps[0]},100\nETH,{stamps[1]},101.5\n"))
    assert found.timestamps.tolist() == [START, START + DAY]
    assert found.close.tolist() == [100.0, 101.5]
    assert found.low is None and found.high is None and found.volume is None
    assert found.bars[0].daily and not found.bars[0].hourly


def test_rows_are_sorted_and_what_was_untidy_is_counted(tmp_path: Path) -> None:
    rows = [
        "ETH,2024-01-02,11,10,12,5",
        "BTC,2024-01-01,7,,,",
        "ETH,2024-01-01,9,9.5,9,0",
        "ETH,2024-01-02,11,10,12,5",
        "ETH,2024-01-05,,1,,",
    ]
    rows += ["ETH,2024-01-06,13,12,14,1", "ETH,2024-01-03,12,11,13,1"]
    found = read_history(written(tmp_path, "symbol,timestamp,close,low,high,volume\n" + "\n".join(rows) + "\n"))
    assert found.symbols == ("BTC", "ETH")
    assert found.close[found.rows(1)].tolist() == [9.0, 11.0, 12.0, 13.0]
    assert found.low is not None and found.low[found.rows(1)].tolist() == [9.0, 10.0, 11.0, 12.0]
    assert found.volume is not None and np.isnan(found.volume[0]) and found.volume[1] == 0.0
    ether = found.bars[1]
    assert (ether.rows, ether.empty, ether.repeated, ether.unordered, ether.inconsistent) == (4, 1, 1, True, 1)
    assert (ether.step_seconds, ether.missing, ether.longest_gap_seconds) == (DAY, 2, 3 * DAY)
    assert found.bars[0].step_seconds == 0 and not found.bars[0].unordered


def test_hourly_bars_and_their_gaps(tmp_path: Path) -> None:
    lines = [f"ETH,{START + 3_600 * hour},{100 + hour}" for hour in range(48) if hour not in (5, 6, 30)]
    bars = read_history(written(tmp_path, "symbol,timestamp,close\n" + "\n".join(lines) + "\n")).bars[0]
    assert bars.hourly and bars.missing == 3 and bars.longest_gap_seconds == 3 * 3_600


def test_parquet_gives_what_csv_gives_and_other_columns_are_left_alone(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    stamps = pyarrow.array([(START + DAY * n) * 1_000_000 for n in range(3)], type=pyarrow.timestamp("us"))
    symbols = pyarrow.array(["ETH", "ETH", "BTC"]).dictionary_encode()
    table = {
        "symbol": symbols,
        "timestamp": stamps,
        "close": pyarrow.array([1.5, 2.5, 3.5], type=pyarrow.float32()),
        "src": ["a", "b", "c"],
    }
    parquet.write_table(pyarrow.table(table), tmp_path / "history.parquet")
    found = read_history(tmp_path / "history.parquet")
    lines = "BTC,2024-01-03,3.5\nETH,2024-01-01,1.5\nETH,2024-01-02,2.5\n"
    same = read_history(written(tmp_path, "symbol,timestamp,close\n" + lines))
    assert found.symbols == same.symbols and found.bars == same.bars
    assert found.timestamps.tolist() == same.timestamps.tolist() and found.close.tolist() == same.close.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,timestamp\nETH,2024-01-01\n", "no column close"),
        ("symbol,timestamp,close\n", "no rows"),
        ("symbol,timestamp,close\nETH,2024-01-01,1\nETH,2024-01-02,0\n", "row 3: close: 0 is not above zero"),
        ("symbol,timestamp,close\nETH,2024-01-01,-4\n", "row 2: close: -4 is not above zero"),
        ("symbol,timestamp,close\nETH,2024-01-01,inf\n", "row 2: close: inf is not above zero"),
        ("symbol,timestamp,close\nETH,yesterday,1\n", "row 2: timestamp: 'yesterday' is neither ISO 8601 nor an epoch"),
        ("symbol,timestamp,close\nETH,,1\n", "row 2: timestamp: empty"),
        ("symbol,timestamp,close\n,2024-01-01,1\n", "row 2: symbol: empty"),
        ("symbol,timestamp,close\nETH,2024-01-01,nan\n", "no row has a close"),
        ("symbol,timestamp,close\nETH,2024-01-01,1\nBTC,2024-01-01,\n", "BTC has no row with a close"),
        ("symbol,timestamp,close\nETH,2024-01-01,cheap\n", "invalid value 'cheap'"),
        (
            "symbol,timestamp,close\nETH,2024-01-01,1\nETH,2024-01-01,2\n",
            "row 3: ETH at 2024-01-01T00:00:00Z stands in row 2 too, with another close",
        ),
        ("symbol,timestamp,close,volume\nETH,2024-01-01,1,-1\n", "row 2: volume: -1 is not 0 or more"),
        ("symbol,timestamp,close\nETH,2924-01-01,1\n", "is not between 1970 and 2200"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"history\.csv") as caught:
        read_history(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_history_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", written(tmp_path, "x", "history.txt"), written(tmp_path, "x", "broken.parquet")):
        with pytest.raises(InputError, match=path.name):
            read_history(path)
