"""Every margin method by its id. A method's module is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from aggregator.model.errors import InputError
from aggregator.risk.margin.interface import MarginModel

_MODULES = {
    "isolated": "isolated",
    "reg-t": "strategy_based",
    "tims": "tims",
    "span": "span",
    "greeks": "greeks",
    "derive-pmrm": "derive_pmrm",
    "derive-pmrm2": "derive_pmrm2",
    "derive-standard": "derive_standard",
    "deribit": "risk_matrix",
    "paradex": "paradex",
    "okx": "okx",
    "hyperliquid": "hyperliquid",
    "dydx-v4": "dydx",
    "drift": "drift",
    "mango": "mango",
    "synthetix": "synthetix",
    "vega-es": "vega",
    "unified": "unified",
}
"""module of `aggregator.risk.margin` by id; each has its model as `MODEL`"""


class Registry(Mapping[str, MarginModel[Any]]):
    """Models by id, in the order in which they are shown."""

    def __getitem__(self, name: str) -> MarginModel[Any]:
        if name not in _MODULES:
            raise KeyError(name)
        model: MarginModel[Any] = import_module(f"aggregator.risk.margin.{_MODULES[name]}").MODEL
        return model

    def __iter__(self) -> Iterator[str]:
        return (name for name, module in _MODULES.items() if find_spec(f"aggregator.risk.margin.{module}") is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def models() -> Mapping[str, MarginModel[Any]]:
    """All methods, imported lazily."""
    return Registry()


def model(name: str) -> MarginModel[Any]:
    """One method; InputError naming the known ones where there is no such id."""
    known = models()
    if name not in set(known):
        raise InputError(f"no margin method {name!r}; there are {', '.join(known)}")
    return known[name]
