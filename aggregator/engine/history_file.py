"""Price histories from a file, as columns: CSV or Parquet with `symbol,timestamp,close[,low,high,volume]`, one row a bar.

| column | |
|---|---|
| `symbol` | text |
| `timestamp` | start of the bar: a time type, ISO 8601 text (UTC where it names no zone), or an epoch in s, ms, µs or ns |
| `close` | last price of the bar, above zero; empty or NaN is a bar that is missing |
| `low`, `high` | optional: lowest and highest price of the bar, empty where not known |
| `volume` | optional: traded in the bar, 0 or more, empty where not known |

Other columns are left alone. What is plainly wrong (a price that is zero or negative, two different bars at one time, text for a number)
is an InputError with the row; what is merely untidy (rows out of order, repeated rows, empty bars, a low above the close) is put in order
and counted in `Bars`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from pyarrow import Table

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

REQUIRED = ("symbol", "timestamp", "close")
OPTIONAL = ("low", "high", "volume")
HOUR, DAY = 3_600, 86_400
EARLIEST, LATEST = 0, 7_258_118_400
"""1970 and 2200: a time outside is in another unit or no time at all"""
_UNITS = ((1e17, 1_000_000_000), (1e14, 1_000_000), (1e11, 1_000))
"""an epoch of at least so much is in so many parts of a second"""


@dataclass(frozen=True, slots=True)
class Bars:
    """What one symbol's rows look like; what was put in order is counted."""

    symbol: str
    rows: int
    first: int
    """UTC seconds"""
    last: int
    step_seconds: int
    """the usual distance of two bars: 3600 hourly, 86400 daily; 0 with a single row"""
    missing: int
    """bars that the step promises between the first and the last and that are not there"""
    longest_gap_seconds: int
    """greatest distance of two neighbouring bars, 0 with a single row"""
    empty: int
    """rows without a close, left out"""
    repeated: int
    """rows that said the same twice, left out"""
    unordered: bool
    """the rows did not stand in the order of their time"""
    inconsistent: int
    """rows whose low stood above the close or whose high stood below it; the close was taken"""

    @property
    def hourly(self) -> bool:
        """Bars of an hour or less."""
        return 0 < self.step_seconds <= HOUR

    @property
    def daily(self) -> bool:
        """Bars of a day."""
        return self.step_seconds == DAY


@dataclass(frozen=True, slots=True)
class HistoryColumns:
    """All rows, sorted by symbol and then by time, times strictly ascending within a symbol."""

    source: str
    symbols: tuple[str, ...]
    """sorted, each once"""
    codes: Integers
    """position of each row's symbol in `symbols`"""
    timestamps: Integers
    """UTC seconds, start of the bar"""
    close: Floats
    """above zero and finite"""
    low: Floats | None
    """at most the close, NaN where not known; None without the column"""
    high: Floats | None
    """at least the close, NaN where not known; None without the column"""
    volume: Floats | None
    """NaN where not known; None without the column"""
    bars: tuple[Bars, ...]
    """one a symbol, in the order of `symbols`"""

    def rows(self, symbol: int) -> slice:
        """Where the symbol with this position stands."""
        return slice(int(np.searchsorted(self.codes, symbol, side="left")), int(np.searchsorted(self.codes, symbol, side="right")))


def read_history(path: Path) -> HistoryColumns:
    """The history in a `.csv` or `.parquet` file. InputError in one line: the file, the row and what was expected."""
    return history_from_table(_read(path), str(path), first_row=2 if path.suffix.lower() == ".csv" else 1)


def history_from_table(table: Table, source: str, first_row: int = 1) -> HistoryColumns:
    """The history in an Arrow table; `source` stands in messages, `first_row` is the number that its first row has there."""
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise InputError(f"{source}: no column {missing[0]}; a history has symbol, timestamp, close and perhaps low, high, volume")
    if table.num_rows == 0:
        raise InputError(f"{source}: no rows")
    reader = _Rows(table, source, first_row)
    symbols, codes = reader.symbols()
    times = reader.times()
    close = reader.numbers("close", positive=True)
    extra = {name: reader.numbers(name, positive=name != "volume") for name in OPTIONAL if name in table.column_names}
    there = np.isfinite(close)
    if not there.any():
        raise InputError(f"{source}: no row has a close")
    numbers = np.arange(len(close), dtype=np.int64)
    order = np.lexsort((numbers, times, codes))
    order = order[there[order]]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (np.diff(codes[order]) == 0) & (np.diff(times[order]) == 0)
    reader.refuse_contradictions(order, again, symbols, codes, times, {"close": close, **extra})
    kept = order[~again]
    low, wrong_low = _beside(close, extra.get("low"), np.minimum)
    high, wrong_high = _beside(close, extra.get("high"), np.maximum)
    wrong = wrong_low | wrong_high
    bars = []
    for code, symbol in enumerate(symbols):
        own = np.flatnonzero(codes == code)
        rows = own[there[own]]
        stamps = times[kept[codes[kept] == code]]
        if len(stamps) == 0:
            raise InputError(f"{source}: {symbol} has no row with a close")
        repeated = int(np.count_nonzero(again[codes[order] == code]))
        bars.append(_bars(symbol, stamps, times[rows], len(own) - len(rows), repeated, int(np.count_nonzero(wrong[rows]))))
    return HistoryColumns(
        source,
        symbols,
        codes[kept],
        times[kept],
        close[kept],
        low[kept] if low is not None else None,
        high[kept] if high is not None else None,
        extra["volume"][kept] if "volume" in extra else None,
        tuple(bars),
    )


def instant(seconds: int) -> str:
    """`2024-01-31T05:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bars(symbol: str, stamps: Integers, as_given: Integers, empty: int, repeated: int, inconsistent: int) -> Bars:
    steps = np.diff(stamps)
    if len(steps):
        sizes, counts = np.unique(steps, return_counts=True)
        step = int(sizes[np.argmax(counts)])
        missing = int(np.sum(np.maximum(np.rint(steps / step).astype(np.int64) - 1, 0)))
    else:
        step = missing = 0
    unordered = bool(np.any(np.diff(as_given) < 0))
    longest = int(steps.max()) if len(steps) else 0
    return Bars(symbol, len(stamps), int(stamps[0]), int(stamps[-1]), step, missing, longest, empty, repeated, unordered, inconsistent)


def _beside(close: Floats, extreme: Floats | None, bound: np.ufunc) -> tuple[Floats | None, NDArray[np.bool_]]:
    """The low or high held on its side of the close, and where it was not beyond what single precision explains."""
    if extreme is None:
        return None, np.zeros(len(close), dtype=bool)
    held = np.asarray(bound(extreme, close))
    return held, np.isfinite(extreme) & np.isfinite(close) & (np.abs(held - extreme) > 1e-6 * close)


class _Rows:
    """The table's columns, checked row by row."""

    def __init__(self, table: Table, source: str, first_row: int) -> None:
        self._table, self._source, self._first_row = table, source, first_row

    def _where(self, row: int) -> str:
        return f"{self._source}: row {row + self._first_row}"

    def symbols(self) -> tuple[tuple[str, ...], Integers]:
        """Names and each row's place among them."""
        pyarrow, column = _pyarrow(), self._table["symbol"].combine_chunks()
        if pyarrow.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if not (pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)):
            raise InputError(f"{self._source}: symbol: text is expected, not {column.type}")
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        names = [str(name).strip() for name in encoded.dictionary.to_pylist()]
        blank = np.flatnonzero((codes < 0) | np.array([not name for name in names] or [True])[codes])
        if len(blank):
            raise InputError(f"{self._where(int(blank[0]))}: symbol: empty")
        ordered = sorted(set(names))
        places = np.array([ordered.index(name) for name in names], dtype=np.int64)
        return tuple(ordered), places[codes]

    def times(self) -> Integers:
        """UTC seconds."""
        pyarrow, column = _pyarrow(), self._table["timestamp"].combine_chunks()
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise InputError(f"{self._where(row)}: timestamp: empty")
        kind = column.type
        if pyarrow.types.is_timestamp(kind):
            seconds = column.cast(pyarrow.timestamp("s", kind.tz), safe=False).cast(pyarrow.int64()).to_numpy().astype(np.int64)
        elif pyarrow.types.is_date(kind):
            seconds = column.cast(pyarrow.timestamp("s")).cast(pyarrow.int64()).to_numpy().astype(np.int64)
        elif pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind):
            seconds = self._epochs(column.to_numpy(zero_copy_only=False).astype(np.float64))
        elif pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
            seconds = self._text_times(column.to_pylist())
        else:
            raise InputError(f"{self._source}: timestamp: a time is expected, not {kind}")
        odd = np.flatnonzero((seconds < EARLIEST) | (seconds > LATEST))
        if len(odd):
            raise InputError(f"{self._where(int(odd[0]))}: timestamp: {int(seconds[odd[0]])} s is not between 1970 and 2200")
        return np.asarray(seconds, dtype=np.int64)

    def _epochs(self, values: Floats) -> Integers:
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise InputError(f"{self._where(int(bad[0]))}: timestamp: not a number")
        highest = float(np.max(values))
        parts = next((parts for least, parts in _UNITS if highest >= least), 1)
        return np.floor(values / parts).astype(np.int64)

    def _text_times(self, texts: list[str]) -> Integers:
        cleaned = [text.strip() for text in texts]
        if all(text.lstrip("-").isdigit() and len(text) >= 9 for text in cleaned):
            return self._epochs(np.array(cleaned, dtype=np.float64))
        bare = [text.removesuffix("Z").removesuffix("+00:00").removesuffix(" UTC") for text in cleaned]
        if not any("+" in text[10:] or "-" in text[10:] for text in bare):
            try:
                return np.array(bare, dtype="datetime64[s]").astype(np.int64)
            except ValueError:
                pass  # one of them is no time: it is named below
        return np.array([self._one_time(row, text) for row, text in enumerate(cleaned)], dtype=np.int64)

    def _one_time(self, row: int, text: str) -> int:
        try:
            moment = datetime.fromisoformat(text.removesuffix(" UTC"))
        except ValueError:
            raise InputError(f"{self._where(row)}: timestamp: {text[:40]!r} is neither ISO 8601 nor an epoch") from None
        return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())

    def numbers(self, name: str, *, positive: bool) -> Floats:
        """The column as floats, NaN where empty; InputError where a number is out of its range."""
        pyarrow, column = _pyarrow(), self._table[name].combine_chunks()
        if pyarrow.types.is_null(column.type):
            return np.full(len(column), np.nan)
        if not (pyarrow.types.is_integer(column.type) or pyarrow.types.is_floating(column.type) or pyarrow.types.is_decimal(column.type)):
            raise InputError(f"{self._source}: {name}: numbers are expected, not {column.type}")
        values = np.asarray(column.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
        wrong = np.flatnonzero(np.isinf(values) | ((values <= 0) if positive else (values < 0)))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(f"{self._where(row)}: {name}: {values[row]:g} is not {'above zero' if positive else '0 or more'}")
        return values

    def refuse_contradictions(
        self,
        order: Integers,
        again: NDArray[np.bool_],
        symbols: tuple[str, ...],
        codes: Integers,
        times: Integers,
        all_values: dict[str, Floats],
    ) -> None:
        """InputError where two rows of one symbol and time say different things."""
        second = np.flatnonzero(again)
        for name, values in all_values.items():
            one, other = values[order[second - 1]], values[order[second]]
            unlike = np.flatnonzero((one != other) & ~(np.isnan(one) & np.isnan(other)))
            if len(unlike):
                row, before = int(order[second[unlike[0]]]), int(order[second[unlike[0]] - 1])
                what = f"{symbols[codes[row]]} at {instant(int(times[row]))}"
                raise InputError(f"{self._where(row)}: {what} stands in row {before + self._first_row} too, with another {name}")


def _read(path: Path) -> Table:
    pyarrow = _pyarrow()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    wanted = (*REQUIRED, *OPTIONAL)
    try:
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            return parquet.read_table(path, columns=[name for name in parquet.read_schema(path).names if name in wanted])
        if path.suffix.lower() == ".csv":
            from pyarrow import csv

            types = {"symbol": pyarrow.string(), "timestamp": pyarrow.string(), "close": pyarrow.float64()}
            types.update(dict.fromkeys(OPTIONAL, pyarrow.float64()))
            return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""]))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    raise InputError(f"{path}: a history is a .csv or .parquet file")


def _pyarrow() -> ModuleType:
    """The package, or what to install."""
    try:
        return import_module("pyarrow")
    except ImportError:
        raise InputError("history files need pyarrow: pip install 'crossmargin[backtest]'") from None
