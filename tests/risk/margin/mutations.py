"""Every set of parameters that differs from a given one in one place, and whether any figure of a method feels it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from aggregator.risk.margin.interface import Inapplicable, Kind, MarginModel, MissingInput
from tests.risk.margin.scenes import Scene
from tests.risk.margin.settings import SETTINGS as SCANS
from tests.risk.margin.venue_settings import SETTINGS as VENUES

SETTINGS = SCANS | VENUES
SHIPPED = {f"{name}, as shipped": (model, model.default_parameters(), scenes) for name, (model, _, scenes) in SETTINGS.items()}

PAIRINGS = frozenset({"naked", "long", "stock", "covered", "hedged", "spread", "straddle", "box"})
"""of equally good pairings any may be found: their sum is pinned, their parts are not"""

Figures = tuple[float, ...]
PINNED_FILE = Path(__file__).with_name("pinned.csv")
HEADER = ("setting", "scene", "initial", "maintenance", "initial components", "maintenance components", "scenarios", "verified")


def pinned() -> dict[str, dict[str, Figures]]:
    """Figures by setting and scene, as they were when they were last confirmed against the sources."""
    found: dict[str, dict[str, Figures]] = {}
    with PINNED_FILE.open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file))[1:]:
            found.setdefault(row[0], {})[row[1]] = tuple(float(one) for one in row[2:])
    return found


def figures(name: str, parameters: Any = None) -> dict[str, Figures]:
    """Initial and maintenance amount, Σ number·figure over the components of both and over the scenario table, verified or not.

    Of every scene that the method and the parameters suffice for. The sums feel every component and scenario, and its place.
    """
    model, usual, scenes = (SETTINGS | SHIPPED)[name]
    given = usual if parameters is None else parameters
    found = {label: _figures(model, one, given) for label, one in scenes.items()}
    return {label: one for label, one in found.items() if one is not None}


def feels(name: str, parameters: Any, usual: Mapping[str, Figures]) -> bool:
    """Whether a figure is another one than usual; stops at the first."""
    model, _, scenes = SETTINGS[name]
    return any(not same(_figures(model, one, parameters), usual.get(label)) for label, one in scenes.items())


def same(one: Figures | None, other: Figures | None) -> bool:
    """Equal but for rounding: parts in a hundred million, and a millionth of a dollar."""
    if one is None or other is None:
        return one is other
    return len(one) == len(other) and bool(np.allclose(one, other, rtol=1e-8, atol=1e-6))


def _figures(model: MarginModel[Any], asked: Scene, parameters: Any) -> Figures | None:
    try:
        both = [model.requirement(*asked, parameters, kind) for kind in (Kind.INITIAL, Kind.MAINTENANCE)]
    except (Inapplicable, MissingInput):
        return None
    kept = [[one.components[key] for key in sorted(one.components) if key not in PAIRINGS] for one in both]
    sums = [float(np.array(one) @ np.arange(1, len(one) + 1)) for one in kept]
    pnl = both[0].scenarios.pnl
    return both[0].amount, both[1].amount, *sums, float(pnl @ np.arange(1, len(pnl) + 1)), float(both[0].verified)


def mutations(value: Any, path: str = "", record: bool = False) -> Iterator[tuple[str, Any]]:
    """Everything like this with one number nudged up or down, one switch turned, one member of a tuple or key of a mapping left out.

    A tuple inside a tuple is a record and keeps its length.
    """
    if isinstance(value, bool):
        yield path, not value
    elif isinstance(value, Enum):
        yield from ((path, one) for one in type(value) if one is not value)
    elif value is None or isinstance(value, str):
        return
    elif isinstance(value, int):
        # large enough a step to be felt through integer rounding
        step = max(abs(value) // 14, 1)
        yield from ((path, value + change) for change in (step, -step))
    elif isinstance(value, float | Decimal):
        yield from ((path, one) for one in _nudged(value))
    elif isinstance(value, frozenset):
        yield from ((f"{path}.{one} dropped", value - {one}) for one in sorted(value))
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            if not record and not any(isinstance(member, str) for member in value):
                yield f"{path}[{number}] dropped", value[:number] + value[number + 1 :]
            yield from (
                (at, (*value[:number], changed, *value[number + 1 :])) for at, changed in mutations(one, f"{path}[{number}]", record=True)
            )
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield f"{path}.{key} dropped", {name: other for name, other in value.items() if name != key}
            yield from ((at, {**value, key: changed}) for at, changed in mutations(one, f"{path}.{key}"))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            for at, changed in mutations(getattr(value, field.name), f"{path}.{field.name}" if path else field.name):
                try:
                    yield at, replace(value, **{field.name: changed})
                except ValueError:
                    continue  # a set that makes no sense is refused, which is felt enough in the other direction


def _nudged(value: float | Decimal) -> Iterator[float | Decimal]:
    if isinstance(value, Decimal):
        yield from (value * Decimal("1.07"), value * Decimal("0.93")) if value else (Decimal("0.0007"),)
    else:
        step = 0.011 if value == 0 else 0.0
        yield from (value * 1.07 + step, value * 0.93 - step)


def write() -> None:
    """Pin what the methods say now: `python -m tests.risk.margin.mutations`, after a change that the sources confirm."""
    with PINNED_FILE.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADER)
        for name in SETTINGS | SHIPPED:
            rows.writerows((name, scene, *(f"{one:.12g}" for one in found)) for scene, found in figures(name).items())


if __name__ == "__main__":
    write()
