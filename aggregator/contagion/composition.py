"""Who holds what: tokens with shares of one another, real assets, debts, pars and whom they trust; checked when made from names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from aggregator.model.book import Floats
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class Composition:
    """Who holds what. `holdings` (n × n): the share of token j that token i holds. USD by token: `real_assets` (NaN: not known),
    `borrowed` elsewhere to buy what is held, `par` (infinite: a share without one), `claimed`: what all of it is said or traded to be worth
    (NaN: not known). `domains`: what each token trusts, such as `issuer:…`, `bridge:…`, `oracle:…`, `curator:…`, `custodian:…`."""

    names: tuple[str, ...]
    holdings: csr_array[np.float64]
    real_assets: Floats
    borrowed: Floats
    par: Floats
    claimed: Floats
    domains: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    def code(self, name: str) -> int:
        """Place of a token; InputError for a stranger."""
        if name not in self.names:
            raise InputError(f"{name} is not one of the {len(self)} tokens")
        return self.names.index(name)


def composition(
    real_assets: Mapping[str, float | None],
    holdings: Iterable[tuple[str, str, float]] = (),
    *,
    borrowed: Mapping[str, float] | None = None,
    par: Mapping[str, float] | None = None,
    claimed: Mapping[str, float | None] | None = None,
    domains: Mapping[str, Sequence[str]] | None = None,
) -> Composition:
    """A composition from names. `real_assets`: USD by token, None where not known; `holdings`: (holder, held, share of the held token).

    InputError for a stranger, a share outside 0…1, more than the whole of a token held, a negative amount, or an empty graph.
    """
    names = tuple(real_assets)
    if not names:
        raise InputError("the composition is empty: no token")
    code = {name: place for place, name in enumerate(names)}
    rows = list(holdings)
    for place, (holder, held, share) in enumerate(rows, start=1):
        for name in (holder, held):
            if name not in code:
                raise InputError(f"holding {place}: {name} is not one of the {len(names)} tokens")
        if not 0.0 <= share <= 1.0:
            raise InputError(f"holding {place}: {holder} holds {share:g} of {held}; expected a share of 0 to 1")
    for name in (*(borrowed or ()), *(par or ()), *(claimed or ()), *(domains or ())):
        if name not in code:
            raise InputError(f"{name} is not one of the {len(names)} tokens")
    columns = [(code[holder], code[held], share) for holder, held, share in rows]
    first, second, shares = (np.array(column) for column in zip(*columns, strict=True)) if columns else (np.zeros(0, int),) * 3
    matrix = coo_array((shares.astype(np.float64), (first, second)), shape=(len(names), len(names))).tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    whole = np.asarray(matrix.sum(axis=0)).ravel()
    if (whole > 1.0 + 1e-9).any():
        place = int(np.argmax(whole))
        raise InputError(f"{whole[place]:.6g} times the whole of {names[place]} is held by others")
    return Composition(
        names,
        matrix,
        _column("real assets", names, real_assets, np.nan),
        _column("borrowed", names, {name: (borrowed or {}).get(name, 0.0) for name in names}, 0.0),
        _column("par", names, {name: (par or {}).get(name, np.inf) for name in names}, np.inf),
        _column("claimed value", names, {name: (claimed or {}).get(name) for name in names}, np.nan),
        tuple(tuple((domains or {}).get(name, ())) for name in names),
    )


def _column(what: str, names: Sequence[str], given: Mapping[str, float | None], missing: float) -> Floats:
    values = [given[name] for name in names]
    for name, value in zip(names, values, strict=True):
        if value is not None and (np.isnan(value) or value < 0.0 or (np.isinf(value) and what != "par")):
            raise InputError(f"{what} of {name} is {value:g}; expected 0 or more, and nothing at all where it is not known")
    return np.array([missing if value is None else value for value in values], dtype=np.float64)
