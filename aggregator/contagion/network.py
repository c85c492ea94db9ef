"""Who has lent to whom: protocols, vaults, tokens, bridges and curators with their claims on one another, and the rest of their books.

exposures[i, j] is what node i would lose if node j paid nothing, in USD. Equity at face value is external assets − external liabilities
+ claims on others − what others claim. Shares in another's equity are not claims of this kind: they are looked through instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from aggregator.contagion.evidence import FLOOR, Evidence
from aggregator.model.book import Floats
from aggregator.model.errors import InputError

DENSE_UP_TO = 400
"""nodes up to which a spectral radius is taken from all eigenvalues"""
POWER_STEPS = 2_000


class NodeKind(StrEnum):
    PROTOCOL = "protocol"
    MARKET = "market"
    VAULT = "vault"
    TOKEN = "token"
    ORACLE = "oracle"
    BRIDGE = "bridge"
    CURATOR = "curator"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ExposureNetwork:
    """A checked network. Arrays of length n, USD; a NaN balance sheet item is not known, and results carry that."""

    names: tuple[str, ...]
    exposures: csr_array[np.float64]
    external_assets: Floats
    external_liabilities: Floats
    kinds: tuple[NodeKind, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def claims(self) -> Floats:
        """Face value of each node's claims on others, summed in the order in which a valuation sums them."""
        return np.asarray(self.exposures @ np.ones(len(self)))

    @property
    def interbank_liabilities(self) -> Floats:
        """What the other nodes claim of each node."""
        return np.asarray(self.exposures.sum(axis=0)).ravel()

    @property
    def liabilities(self) -> Floats:
        """All liabilities, to the other nodes and to the rest of the world."""
        return self.external_liabilities + self.interbank_liabilities

    @property
    def equity(self) -> Floats:
        """Equity at face value."""
        return (self.external_assets - self.liabilities) + self.claims

    def evidence(self, floor: float = FLOOR) -> Evidence:
        """Share of the claims that both ends of are known, and the nodes that are not."""
        unknown = np.isnan(self.external_assets) | np.isnan(self.external_liabilities)
        missing = tuple(f"balance sheet of {self.names[node]}" for node in np.flatnonzero(unknown))
        if not unknown.any():
            return Evidence(1.0, (), floor)
        edges = self.exposures.tocoo()
        known = ~(unknown[edges.row] | unknown[edges.col])
        total = float(edges.data.sum())
        share = float(edges.data[known].sum()) / total if total > 0.0 else float(np.mean(~unknown))
        return Evidence(min(share, float(np.mean(~unknown))), missing, floor)


def network(
    names: Sequence[str],
    creditors: NDArray[np.integer],
    debtors: NDArray[np.integer],
    amounts: Floats,
    external_assets: Floats,
    external_liabilities: Floats | None = None,
    kinds: Sequence[NodeKind] | None = None,
) -> ExposureNetwork:
    """A network from edge columns (codes into `names`); parallel edges are added up.

    InputError for an empty network, a negative or undefined amount, a node that does not exist, or a node that claims on itself.
    """
    count = len(names)
    if count == 0:
        raise InputError("the network is empty: no node")
    if len(set(names)) != count:
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f"node {twice} stands twice in the network")
    liabilities = np.zeros(count) if external_liabilities is None else np.asarray(external_liabilities, dtype=np.float64)
    assets = np.asarray(external_assets, dtype=np.float64)
    for what, column in (("external assets", assets), ("external liabilities", liabilities)):
        if len(column) != count:
            raise InputError(f"{what} are given for {len(column)} of {count} nodes")
        _refuse(what, (column < 0.0) | np.isinf(column), column, names)
    for what, codes in (("creditor", creditors), ("debtor", debtors)):
        if len(codes) and not (int(codes.min()) >= 0 and int(codes.max()) < count):
            edge = int(np.argmax((codes < 0) | (codes >= count)))
            raise InputError(f"edge {edge + 1}: {what} {int(codes[edge])} is not one of the {count} nodes")
    wrong = ~(amounts >= 0.0) | np.isinf(amounts)
    if wrong.any():
        edge = int(np.argmax(wrong))
        pair = f"{names[int(creditors[edge])]} to {names[int(debtors[edge])]}"
        raise InputError(f"edge {edge + 1}: exposure of {pair} is {amounts[edge]:g}; expected 0 or more")
    itself = (creditors == debtors) & (amounts > 0.0)
    if itself.any():
        edge = int(np.argmax(itself))
        raise InputError(f"edge {edge + 1}: {names[int(creditors[edge])]} has a claim on itself")
    matrix = coo_array((np.asarray(amounts, dtype=np.float64), (creditors, debtors)), shape=(count, count)).tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return ExposureNetwork(tuple(names), matrix, assets, liabilities, tuple(kinds or (NodeKind.OTHER,) * count))


def network_from_names(
    edges: Iterable[tuple[str, str, float]],
    external_assets: Mapping[str, float | None],
    external_liabilities: Mapping[str, float | None] | None = None,
    kinds: Mapping[str, NodeKind] | None = None,
) -> ExposureNetwork:
    """A network from (creditor, debtor, USD) rows; nodes are those with external assets, None where these are not known."""
    names = list(external_assets)
    code = {name: place for place, name in enumerate(names)}
    rows = list(edges)
    for place, (creditor, debtor, _) in enumerate(rows):
        for name in (creditor, debtor):
            if name not in code:
                raise InputError(f"edge {place + 1}: {name} is not one of the {len(names)} nodes")
    for name in (*(external_liabilities or ()), *(kinds or ())):
        if name not in code:
            raise InputError(f"{name} is not one of the {len(names)} nodes")
    liabilities = external_liabilities or {}
    return network(
        names,
        np.array([code[creditor] for creditor, _, _ in rows], dtype=np.int32),
        np.array([code[debtor] for _, debtor, _ in rows], dtype=np.int32),
        np.array([amount for _, _, amount in rows], dtype=np.float64),
        _known(names, [external_assets[name] for name in names], "external assets"),
        _known(names, [liabilities.get(name, 0.0) for name in names], "external liabilities"),
        [(kinds or {}).get(name, NodeKind.OTHER) for name in names],
    )


def _known(names: Sequence[str], values: Sequence[float | None], what: str) -> Floats:
    for name, value in zip(names, values, strict=True):
        if value is not None and np.isnan(value):
            raise InputError(f"{what} of {name} are nan; leave them out where they are not known")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _refuse(what: str, wrong: NDArray[np.bool_], values: Floats, names: Sequence[str]) -> None:
    if wrong.any():
        place = int(np.argmax(wrong))
        raise InputError(f"{what} of {names[place]} are {values[place]:g}; expected 0 or more")


def leverage_matrix(given: ExposureNetwork) -> csr_array[np.float64]:
    """Claims over the creditor's equity, exposures[i, j] / equity[i]; a node without equity has no row: it is lost already."""
    equity = given.equity
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(equity > 0.0, 1.0 / equity, 0.0)
    matrix = given.exposures.copy()
    matrix.data = matrix.data * np.repeat(scale, np.diff(matrix.indptr))
    return matrix


def spectral_radius(matrix: csr_array[np.float64]) -> float:
    """Largest modulus of an eigenvalue of a matrix ≥ 0: below 1, losses passed on die out; from 1 on they grow."""
    size = matrix.shape[0]
    if size <= DENSE_UP_TO:
        return float(np.abs(np.linalg.eigvals(matrix.toarray())).max())
    vector = np.ones(size)
    radius = 0.0
    for _ in range(POWER_STEPS):
        following = vector + matrix @ vector  # the shift by 1 keeps cycles from swinging
        size_now = float(np.abs(following).max())
        if abs(size_now - radius) <= 1e-12 * size_now:
            break
        radius, vector = size_now, following / size_now
    return size_now - 1.0
