"""The small exact cases with known answers, by id."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "shared" / "DATA" / "vectors" / "contagion" / "analytic.json"

needs_vectors = pytest.mark.skipif(not FILE.is_file(), reason="the analytic vectors are not there")


def case(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(input, expected) of one case."""
    (found,) = [vector for vector in json.loads(FILE.read_text())["vectors"] if vector["id"] == name]
    return found["input"], found["expected"]


def number(value: object) -> float:
    """A plain number, or the exact fraction of `{"q": "1/3", …}`, as a float."""
    return float(Fraction(value["q"])) if isinstance(value, dict) else float(value)  # type: ignore[arg-type]


def numbers(values: list[object]) -> list[float]:
    return [number(value) for value in values]
