"""A network of claims from a file.

JSON, with `nodes` and `claims`:

    {"nodes": [{"name": "vault", "kind": "vault", "external_assets": 120.5, "external_liabilities": 80}, …],
     "claims": [{"creditor": "vault", "debtor": "pool", "usd": 30}, …]}

or CSV: claims with the columns `creditor`, `debtor`, `usd`, and beside it, in a second file, nodes with `name`, `external_assets` and
optionally `kind`, `external_liabilities`. Everything is in USD. External assets or liabilities that are `null`, absent or an empty cell
are not known, except that a node without the key or column `external_liabilities` has none. Kinds: protocol, market, vault, token,
oracle, bridge, curator, other.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aggregator.contagion.network import ExposureNetwork, NodeKind, network
from aggregator.engine.systemic.json_file import read_json
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

CLAIM_COLUMNS = ("creditor", "debtor", "usd")
NODE_COLUMNS = ("name", "kind", "external_assets", "external_liabilities")


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NodeRow(_Given):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    kind: Annotated[NodeKind, Field(strict=False)] = NodeKind.OTHER
    external_assets: float | None = None
    external_liabilities: float | None = 0.0


class ClaimRow(_Given):
    creditor: str
    debtor: str
    usd: float


class NetworkFile(_Given):
    nodes: Annotated[tuple[NodeRow, ...], Field(strict=False)]
    claims: Annotated[tuple[ClaimRow, ...], Field(strict=False)]


def read_network(path: Path, nodes: Path | None = None) -> ExposureNetwork:
    """The network in a JSON file, or in a CSV file of claims with its `nodes`. InputError with the file and what was expected."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        if path.suffix == ".json":
            if nodes is not None:
                raise InputError(f"{path} names its nodes itself; --nodes goes with a CSV file of claims")
            return _from_json(path)
        if path.suffix == ".csv":
            if nodes is None:
                raise InputError(f"{path} holds claims only; give the nodes with --nodes FILE.csv ({', '.join(NODE_COLUMNS)})")
            return _from_csv(path, nodes)
    except InputError as error:
        raise error if str(path) in str(error) or (nodes and str(nodes) in str(error)) else InputError(f"{path}: {error}") from None
    raise InputError(f"{path}: a network is a .json file, or a .csv file of claims with --nodes")


def _from_json(path: Path) -> ExposureNetwork:
    given = read_json(path, NetworkFile)
    for node in given.nodes:
        for what, value in (("external assets", node.external_assets), ("external liabilities", node.external_liabilities)):
            if value is not None and math.isnan(value):
                raise InputError(f"{what} of {node.name} are nan; give null where they are not known")
    return _network(
        [node.name for node in given.nodes],
        [claim.creditor for claim in given.claims],
        [claim.debtor for claim in given.claims],
        np.array([claim.usd for claim in given.claims], dtype=np.float64),
        np.array([np.nan if node.external_assets is None else node.external_assets for node in given.nodes], dtype=np.float64),
        np.array([np.nan if node.external_liabilities is None else node.external_liabilities for node in given.nodes], dtype=np.float64),
        [node.kind for node in given.nodes],
    )


def _from_csv(path: Path, nodes: Path) -> ExposureNetwork:
    claims = _table(path, CLAIM_COLUMNS, CLAIM_COLUMNS, ("usd",))
    table = _table(nodes, ("name", "external_assets"), NODE_COLUMNS, ("external_assets", "external_liabilities"))
    names: list[str] = table["name"]
    kinds = []
    for row, text in enumerate(table.get("kind", ["other"] * len(names)), start=1):
        try:
            kinds.append(NodeKind(text or "other"))
        except ValueError:
            expected = ", ".join(kind.value for kind in NodeKind)
            raise InputError(f"{nodes}: row {row}: kind is {text!r}; expected one of {expected}") from None
    liabilities = table.get("external_liabilities", np.zeros(len(names)))
    return _network(names, claims["creditor"], claims["debtor"], claims["usd"], table["external_assets"], liabilities, kinds)


def _table(path: Path, required: tuple[str, ...], known: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    """Columns by name: texts as lists, numbers as arrays in which an empty cell is NaN; a NaN in the file is refused."""
    try:
        import pyarrow
        from pyarrow import csv
    except ImportError:
        raise InputError("network files in CSV need pyarrow: pip install 'crossmargin[population]'") from None
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    types = {name: pyarrow.float64() if name in numbers else pyarrow.string() for name in known}
    try:
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True))
    except pyarrow.ArrowException as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from None
    missing = [name for name in required if name not in table.column_names]
    strange = [name for name in table.column_names if name not in known]
    if missing or strange:
        wrong = f"column {missing[0]} is missing" if missing else f"there is no column {strange[0]}"
        raise InputError(f"{path}: {wrong}; expected {', '.join(known)}")
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name not in numbers:
            if name in required and column.null_count:
                raise InputError(f"{path}: row {int(np.argmax(column.is_null().to_numpy(zero_copy_only=False))) + 1}: {name} is empty")
            found[name] = column.to_pylist()
            continue
        values: Floats = column.to_numpy(zero_copy_only=False)
        wrong_rows = np.isnan(values) & ~column.is_null().to_numpy(zero_copy_only=False)
        if wrong_rows.any():
            raise InputError(f"{path}: row {int(np.argmax(wrong_rows)) + 1}: {name} is nan; leave the cell empty where it is not known")
        found[name] = values
    return found


def _network(
    names: list[str],
    creditors: list[str],
    debtors: list[str],
    amounts: Floats,
    external_assets: Floats,
    external_liabilities: Floats,
    kinds: list[NodeKind],
) -> ExposureNetwork:
    code = {name: place for place, name in enumerate(names)}
    columns = []
    for side in (creditors, debtors):
        codes = np.fromiter((code.get(name, -1) for name in side), dtype=np.int32, count=len(side))
        if len(codes) and codes.min() < 0:
            edge = int(np.argmin(codes))
            raise InputError(f"claim {edge + 1}: {side[edge]} is not one of the {len(names)} nodes")
        columns.append(codes)
    return network(names, columns[0], columns[1], amounts, external_assets, external_liabilities, kinds)
