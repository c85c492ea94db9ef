"""A population from and to a file: Parquet or CSV, one row a leg, never a Python object a row.

| column | |
|---|---|
| `owner` | address, or any other text |
| `chain`, `protocol`, `market` | what the account belongs to; together with `owner` they are the margin account |
| `asset` | CAIP-19 id or any other name |
| `side` | `collateral` or `debt` |
| `amount` | whole tokens, 0 or more; empty where it is not known |
| `oracle_price_usd` | of one whole token, as the market's contract sees it; empty where it is not known |
| `liquidation_threshold` | share of 1, for collateral |
| `liquidation_bonus`, `price_usd`, `priced_by`, `symbol`, `decimals` | optional |
| `closed` | optional: 1 where nobody can seize or repay the asset in the market now (paused); 0 or empty where one can |
| `close_factor`, `mild_close_factor`, `mild_above`, `small_value`, `minimum_leftover`, `mild_of_pair` | optional: the market's liquidation
rule, from its first row |

`price_usd` is the market price (default: the oracle's in the first row that has one), `priced_by` the asset whose market price the
oracle follows (default: the asset itself).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aggregator.model.book import HALF_IF_MILD, Book, BookAsset, BookMarket, Codes, Floats, Legs, LiquidationRule, Reserves
from aggregator.model.errors import InputError
from aggregator.model.identifiers import AssetId, ChainId

if TYPE_CHECKING:
    from pyarrow import DictionaryArray, Table

TEXT = ("owner", "chain", "protocol", "market", "asset", "side", "priced_by", "symbol")
NUMBERS = (
    "amount",
    "oracle_price_usd",
    "price_usd",
    "liquidation_threshold",
    "liquidation_bonus",
    "closed",
    "decimals",
    "close_factor",
    "mild_close_factor",
    "mild_above",
    "small_value",
    "minimum_leftover",
    "mild_of_pair",
)
REQUIRED = ("owner", "chain", "protocol", "market", "asset", "side", "amount", "oracle_price_usd")
ADDRESS_LENGTH = 42
"""0x and 40 hex digits"""
_HEX = np.full(256, 255, dtype=np.uint8)
"""value of a hex digit's character, 255 for any other"""
for _digit in range(16):
    _HEX[[ord(f"{_digit:x}"), ord(f"{_digit:X}")]] = _digit
RULE = ("close_factor", "mild_close_factor", "mild_above", "small_value", "minimum_leftover", "mild_of_pair")


def read_book(path: Path) -> Book:
    """The population in a `.parquet` or `.csv` file. InputError with the file, the row and what was expected."""
    return book_from_table(_read(path), str(path))


def _read(path: Path) -> Table:
    pyarrow = _pyarrow()
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        if path.suffix == ".parquet":
            from pyarrow import parquet

            return parquet.read_table(path, columns=[n for n in parquet.read_schema(path).names if n in TEXT + NUMBERS])
        if path.suffix == ".csv":
            from pyarrow import csv

            types = {**dict.fromkeys(TEXT, pyarrow.string()), **dict.fromkeys(NUMBERS, pyarrow.float64())}
            return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True))
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    raise InputError(f"{path}: a population is a .parquet or .csv file")


def _pyarrow() -> ModuleType:
    """The optional package, or what to install."""
    try:
        return import_module("pyarrow")
    except ImportError:
        raise InputError("population files need pyarrow: pip install 'crossmargin[population]'") from None


def book_from_columns(columns: Mapping[str, Sequence[object]]) -> Book:
    """The population in columns of equal length with the names of this module."""
    pyarrow = _pyarrow()
    try:
        return book_from_table(
            pyarrow.table({name: pyarrow.array(values, from_pandas=False) for name, values in columns.items()}), "columns"
        )
    except pyarrow.ArrowException as error:
        raise InputError(f"columns: {str(error).splitlines()[0]}") from None


def book_from_table(table: Table, source: str) -> Book:
    """The population in an Arrow table with the columns of this module; `source` stands in error messages."""
    rows = _Rows(table, source)
    owner, owners = rows.owners()
    asset, asset_names = rows.codes("asset")
    chain, chains = rows.codes("chain")
    protocol, protocols = rows.codes("protocol")
    market_name, market_names = rows.codes("market")
    market_key = (chain.astype(np.int64) * len(protocols) + protocol) * len(market_names) + market_name
    market_first, market = _first_and_codes(market_key)
    account_first, account = _first_and_codes(market.astype(np.int64) * len(owners) + owner)
    owed = rows.sides()
    threshold = np.where(owed, 0.0, rows.numbers("liquidation_threshold", 0.0, 1.0))
    bonus = np.where(owed, 0.0, rows.numbers("liquidation_bonus", 0.0, 1.0, default=0.0))
    oracle = rows.numbers("oracle_price_usd", 0.0, np.inf, unknown=True)
    priced_by, assets = _priced_by(rows, asset, asset_names)
    reserve_first, reserve = _reserves(market, asset, priced_by, threshold, bonus, len(assets))
    rows.refuse_missing(~owed & np.isnan(threshold), "liquidation_threshold", "a share of 1")
    prices, symbols, decimals = _asset_columns(rows, asset, oracle, assets)
    markets = tuple(
        BookMarket(ChainId(chains[chain[row]]), protocols[protocol[row]], market_names[market_name[row]], rule=rows.rule(row))
        for row in market_first.tolist()
    )
    amounts = rows.numbers("amount", 0.0, np.inf, unknown=True)
    count = len(reserve_first)
    return Book(
        tuple(BookAsset(AssetId(name), symbol, places) for name, symbol, places in zip(assets, symbols, decimals, strict=True)),
        prices,
        markets,
        Reserves(
            asset=asset[reserve_first],
            market=market[reserve_first],
            priced_by=priced_by[reserve_first],
            oracle_price=_first_known(reserve, oracle, count),
            threshold=threshold[reserve_first],
            bonus=bonus[reserve_first],
            closed=_closed(rows, reserve, count),
        ),
        market[account_first].astype(np.min_scalar_type(len(markets))),
        rows.legs(~owed, account, reserve, amounts, count),
        rows.legs(owed, account, reserve, amounts, count),
        owners[owner[account_first]],
    )


class _Rows:
    """Columns of the table as numpy arrays, checked."""

    def __init__(self, table: Table, source: str) -> None:
        self._table, self._source = table, source
        missing = [name for name in REQUIRED if name not in table.column_names]
        if missing:
            raise InputError(f"{source}: column {missing[0]} is missing; a population has {', '.join(REQUIRED)}")
        if table.num_rows == 0:
            raise InputError(f"{source}: the population is empty: no rows")

    def has(self, name: str) -> bool:
        return name in self._table.column_names

    def codes(self, name: str) -> tuple[Codes, list[str]]:
        """A text column as codes into its distinct values."""
        encoded = self._encoded(name)
        return encoded.indices.to_numpy().astype(np.int32), encoded.dictionary.to_pylist()

    def _encoded(self, name: str) -> DictionaryArray:
        """A text column, dictionary-encoded."""
        column = self._table[name].combine_chunks()
        if column.null_count:
            self.refuse_missing(column.is_null().to_numpy(zero_copy_only=False), name, "text")
        pyarrow = _pyarrow()
        if not pyarrow.types.is_dictionary(column.type):
            column = column.cast(pyarrow.string()).dictionary_encode()
        return column

    def owners(self) -> tuple[Codes, NDArray[np.void] | NDArray[np.bytes_]]:
        """(code of every row, distinct owners): 20 bytes each where all are addresses, in whatever case; else fixed-length text."""
        encoded = self._encoded("owner")
        rows: Codes = encoded.indices.to_numpy().astype(np.int32)
        names = encoded.dictionary
        _, offsets, characters = names.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[names.offset : names.offset + len(names) + 1]
        text = np.frombuffer(characters, dtype=np.uint8)[bounds[0] : bounds[-1]]
        lengths = np.diff(bounds)
        if (lengths == ADDRESS_LENGTH).all():
            digits = _HEX[text.reshape(-1, ADDRESS_LENGTH)]
            if (digits[:, 2:] < 16).all() and (digits[:, 0] == 0).all():
                addresses = np.ascontiguousarray(digits[:, 2::2] << 4 | digits[:, 3::2]).view("V20").ravel()
                distinct, codes = np.unique(addresses.view("S20"), return_inverse=True)
                return codes.astype(np.int32)[rows], distinct.astype("S20").view("V20")
        padded = np.zeros((len(names), int(lengths.max())), dtype=np.uint8)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = text
        return rows, padded.view(f"S{padded.shape[1]}").ravel()

    def numbers(self, name: str, low: float, high: float, *, default: float = np.nan, unknown: bool = False) -> Floats:
        """A number column. An empty cell is NaN, but a NaN in the file is refused: it does not say that nothing is known."""
        if not self.has(name):
            return np.full(self._table.num_rows, default)
        column = self._table[name].combine_chunks()
        try:
            values: Floats = column.cast(_pyarrow().float64()).to_numpy(zero_copy_only=False)
        except _pyarrow().ArrowException:
            raise InputError(f"{self._source}: column {name} is not a number") from None
        empty: NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
        with np.errstate(invalid="ignore"):
            wrong = ~empty & ~((values >= low) & (values <= high) & np.isfinite(values))
        if wrong.any():
            row = int(np.argmax(wrong))
            hint = "; leave the cell empty where it is not known" if unknown and np.isnan(values[row]) else ""
            raise InputError(f"{self._source}: row {row + 1}: {name} is {values[row]:g}; expected {low:g} to {high:g}{hint}")
        return values if unknown or np.isnan(default) else np.where(empty, default, values)

    def refuse_missing(self, missing: NDArray[np.bool_], name: str, expected: str) -> None:
        if missing.any():
            raise InputError(f"{self._source}: row {int(np.argmax(missing)) + 1}: {name} is empty; expected {expected}")

    def sides(self) -> NDArray[np.bool_]:
        """Whether each row is a debt."""
        codes, names = self.codes("side")
        for place, name in enumerate(names):
            if name not in ("collateral", "debt"):
                row = int(np.argmax(codes == place)) + 1
                raise InputError(f"{self._source}: row {row}: side is {name!r}; expected collateral or debt")
        return np.array([name == "debt" for name in names])[codes]

    def rule(self, row: int) -> LiquidationRule:
        """The liquidation rule in the first row of a market."""
        given = {name: self._table[name][row].as_py() for name in RULE if self.has(name)}
        known = {name: float(value) for name, value in given.items() if value is not None}
        of_pair = bool(known.pop("mild_of_pair", 0.0))
        return LiquidationRule(**known, mild_of_pair=of_pair) if known or of_pair else HALF_IF_MILD

    def legs(self, which: NDArray[np.bool_], account: Codes, reserve: Codes, amounts: Floats, count: int) -> Legs:
        """One side's columns; a leg given twice is named by its row."""
        try:
            return Legs.build(account[which], reserve[which], amounts[which], count)
        except InputError:
            key = account[which].astype(np.int64) * count + reserve[which]
            order = np.argsort(key, kind="stable")
            again = np.sort(order[1:][key[order][1:] == key[order][:-1]])
            row = int(np.flatnonzero(which)[again[0]]) + 1
            raise InputError(f"{self._source}: row {row}: this account has the asset on this side already; give the sum once") from None


def _first_and_codes(keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], Codes]:
    """(first row of each distinct key, code of every row), in the order of the keys' values."""
    distinct, codes = _distinct_and_codes(keys)
    first = np.empty(len(distinct), dtype=np.intp)
    first[codes[::-1]] = np.arange(len(keys) - 1, -1, -1)  # of rows with the same code the last one written stays: the first
    return first, codes


def _distinct_and_codes(values: NDArray[np.generic]) -> tuple[NDArray[np.generic], Codes]:
    """(distinct values, ascending, code of every row). Hashed: several times faster on millions of rows than sorting them."""
    encoded = _pyarrow().array(values).dictionary_encode()
    distinct = encoded.dictionary.to_numpy(zero_copy_only=False)
    order = np.argsort(distinct, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return distinct[order], rank[encoded.indices.to_numpy()]


def _reserves(
    market: Codes, asset: Codes, priced_by: Codes, threshold: Floats, bonus: Floats, asset_count: int
) -> tuple[NDArray[np.intp], Codes]:
    key = (market.astype(np.int64) * asset_count + asset) * asset_count + priced_by
    for column in (threshold, bonus):
        distinct, codes = _distinct_and_codes(column)
        key = _distinct_and_codes(key)[1].astype(np.int64) * len(distinct) + codes
    return _first_and_codes(key)


def _closed(rows: _Rows, reserve: Codes, count: int) -> NDArray[np.bool_] | None:
    """Reserves that nobody can seize or repay now: any row says so; None where the file does not tell."""
    if not rows.has("closed"):
        return None
    return np.bincount(reserve, rows.numbers("closed", 0.0, 1.0, default=0.0), count) > 0.0


def _priced_by(rows: _Rows, asset: Codes, names: list[str]) -> tuple[Codes, list[str]]:
    """Code of the asset that prices each row, and the names with those that only price."""
    if not rows.has("priced_by"):
        return asset, names
    codes, others = rows.codes("priced_by")
    known = {name: code for code, name in enumerate(names)}
    for name in others:
        known.setdefault(name, len(known))
    return np.array([known[name] for name in others], dtype=np.int32)[codes], list(known)


def _first_known(codes: Codes, values: Floats, count: int) -> Floats:
    """The first value of each code that is not NaN; NaN where none is."""
    rows = np.flatnonzero(~np.isnan(values))[::-1]
    result = np.full(count, np.nan)
    result[codes[rows]] = values[rows]
    return result


def _asset_columns(rows: _Rows, asset: Codes, oracle: Floats, names: list[str]) -> tuple[Floats, list[str], list[int]]:
    count = len(names)
    market = _first_known(asset, rows.numbers("price_usd", 0.0, np.inf, unknown=True), count)
    prices = np.where(np.isnan(market), _first_known(asset, oracle, count), market)
    places = _first_known(asset, rows.numbers("decimals", 0.0, 255.0), count)
    symbols = list(names)
    if rows.has("symbol"):
        codes, texts = rows.codes("symbol")
        _, first = np.unique(asset, return_index=True)
        for row in first.tolist():
            symbols[int(asset[row])] = texts[int(codes[row])]
    return prices, symbols, [18 if np.isnan(value) else int(value) for value in places.tolist()]


def table_of(book: Book) -> Table:
    """The book as an Arrow table that `book_from_table` reads back: one row a leg, texts dictionary-encoded."""
    pyarrow = _pyarrow()
    sides = (book.collateral, book.debt)
    account = np.concatenate([side.accounts for side in sides])
    reserve = np.concatenate([side.reserves() for side in sides])
    market = book.account_market[account].astype(np.int32)
    asset, priced_by = book.reserves.asset[reserve], book.reserves.priced_by[reserve]

    def text(codes: NDArray[np.integer], names: list[str]) -> DictionaryArray:
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array(codes.astype(np.int32)), pyarrow.array(names, pyarrow.string()))

    def number(values: Floats) -> object:
        return pyarrow.array(values, pyarrow.float64(), from_pandas=True)

    names = [str(one.asset) for one in book.assets]
    columns = {
        "owner": text(account, [book.owner(row) or str(row) for row in range(book.size)]),
        "chain": text(market, [one.chain for one in book.markets]),
        "protocol": text(market, [one.protocol for one in book.markets]),
        "market": text(market, [one.market for one in book.markets]),
        "asset": text(asset, names),
        "symbol": text(asset, [one.symbol for one in book.assets]),
        "priced_by": text(priced_by, names),
        "side": text(np.repeat([0, 1], [len(side) for side in sides]), ["collateral", "debt"]),
        "amount": number(np.concatenate([side.amounts for side in sides])),
        "oracle_price_usd": number(book.reserves.oracle_price[reserve]),
        "price_usd": number(book.prices[asset]),
        "decimals": number(np.array([float(one.decimals) for one in book.assets])[asset]),
        "liquidation_threshold": number(book.reserves.threshold[reserve]),
        "liquidation_bonus": number(book.reserves.bonus[reserve]),
    }
    if book.reserves.closed is not None:
        columns["closed"] = number(book.reserves.closed[reserve].astype(np.float64))
    for name in RULE:
        columns[name] = number(np.array([float(getattr(one.rule, name)) for one in book.markets])[market])
    return pyarrow.table(columns)
