"""The worked examples of the methods' pages run, and say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aggregator.risk.classes import BASES, FACTORS
from aggregator.risk.policy import DEFAULT

METHODS = Path(__file__).parents[2] / "docs" / "methods"
PAGES = ("haircuts", "scenarios-and-requirement", "score", "liquidation-price", "coverage")


@pytest.mark.parametrize("page", PAGES)
def test_the_worked_example_runs(page: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", (METHODS / f"{page}.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(examples) == 1 and "assert" in examples[0]
    exec(compile(examples[0], f"{page}.md", "exec"), {"__name__": page})


def test_the_published_parameters_are_the_ones_in_use() -> None:
    text = (METHODS / "haircuts.md").read_text(encoding="utf-8")
    volatilities = re.findall(r"^\| [^|]+ \| ([\d.]+) % \| [\d.]+ (?:bn|M)", text, flags=re.MULTILINE)
    assert [float(one) for one in volatilities] == [pytest.approx(100 * one.daily_volatility) for one in FACTORS.values()]
    table = text[text.index("| discount |") :]
    rows = re.findall(r"^\| [^|]+ \| ([\d.]+) % \| [\d.]+ % \| ([\d.]+) %, ([\d.]+) %, ([\d.]+) \|", table, flags=re.MULTILINE)
    assert [tuple(map(float, row)) for row in rows] == [
        pytest.approx((100 * one.haircut, 100 * one.jump.worst, 100 * one.jump.mean_severity, one.jump.per_year)) for one in BASES.values()
    ]
    assert f"q = {DEFAULT.path_quantile}" in text
