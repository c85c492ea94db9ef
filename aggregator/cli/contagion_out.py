"""Tables and documents to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from pyarrow import Table

MISSING = "tables in Parquet or CSV need pyarrow: pip install 'crossmargin[population]'"


def write_text(text: str, path: Path, option: str = "--out") -> None:
    """Write a text file. InputError where that does not go."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{option} {path}: {error.strerror or error}") from None


def write_columns(columns: Mapping[str, Sequence[object]], path: Path) -> None:
    """Columns of equal length, as Parquet or CSV by the name's ending; None is an empty cell."""
    try:
        import pyarrow
    except ImportError:
        raise InputError(MISSING) from None
    write_arrow(pyarrow.table({name: list(values) for name, values in columns.items()}), path, "--out")


def write_arrow(table: Table, path: Path, option: str) -> None:
    """An Arrow table, as Parquet or CSV by the name's ending."""
    try:
        from pyarrow import csv, parquet
    except ImportError:
        raise InputError(MISSING) from None
    try:
        if path.suffix == ".parquet":
            parquet.write_table(table, path)
        else:
            csv.write_csv(_plain(table), path)
    except OSError as error:
        raise InputError(f"{option} {path}: {error.strerror or error}") from None


def _plain(table: Table) -> Table:
    """Dictionary-encoded columns as plain ones, which CSV can hold."""
    import pyarrow

    fields = [pyarrow.field(one.name, one.type.value_type if pyarrow.types.is_dictionary(one.type) else one.type) for one in table.schema]
    return table.cast(pyarrow.schema(fields))
