"""Every parameter of the outlook is felt by a pinned figure, stands in the page, and holds on recorded prices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

import aggregator.risk.outlook as outlook_module
import aggregator.risk.probability as probability_module
from aggregator.risk.outlook import HOURS, Tier, week_pattern
from aggregator.risk.outlook_parameters import CLASS_SCALE, DAILY, HOURLY, TOUCH, WEEK_PATTERN, HorizonParameters
from aggregator.risk.score_backtest.foretelling import foretell
from aggregator.risk.score_backtest.outcome import worst_health
from aggregator.risk.score_backtest.panel import panel, pegged
from aggregator.risk.score_backtest.population import Accounts, population, starts
from tests.risk.score_backtest.histories import drawn

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "methods" / "score.md"
RECORDED = ROOT.parent / "shared" / "DATA" / "market" / "hourly.parquet"
PINNED = {
    "hourly": [
        [0.0063296513, 0.367604337, 0.678829442],
        [0.003794015, 0.312260386, 0.650952085],
        [0.00048968836, 0.129891627, 0.474829838],
    ],
    "daily": [
        [0.00771954679, 0.390672487, 0.693279087],
        [0.00203154129, 0.26442748, 0.647168608],
        [0.000426616962, 0.124231233, 0.480249123],
    ],
    "class": [
        [0.0105492244, 0.441529985, 0.728970747],
        [0.00444594738, 0.346403765, 0.667462721],
        [0.000656983352, 0.163882326, 0.516711659],
    ],
}


def figures(tier: Tier) -> list[list[float]]:
    """Three accounts on one made-up history: a long one, a mixed one, and one that owes a coin."""
    one = drawn(120, ("BTC", "ETH", "FOO"), seed=11)
    made = Accounts(
        np.array([24 * 115 + 3] * 3),
        np.array([[0.0, 1.0, 0.0], [0.3, 0.3, 0.0], [0.0, 0.2, 0.8]]),
        np.array([0.0, 0.4, 0.0]),
        np.array([-1, -1, 0]),
        np.array([1.03, 1.02, 1.05]),
    )
    return [list(row) for row in foretell(one, made, tier).tolist()]


@pytest.mark.parametrize("tier", list(Tier))
def test_the_figures_are_the_pinned_ones(tier: Tier) -> None:
    assert figures(tier) == [pytest.approx(row, rel=3e-5) for row in PINNED[tier.value]]


def changed(table: MappingProxyType[str, HorizonParameters]) -> Iterator[tuple[str, MappingProxyType[str, HorizonParameters]]]:
    """The table with each single number in it larger."""
    for name, one in table.items():
        for part in ("even", "directed"):
            components = one.even if part == "even" else one.directed
            for number, (half_life, weight) in enumerate(components):
                for label, pair in (("half-life", (half_life * 1.5, weight)), ("weight", (half_life, weight * 1.2))):
                    moved = (*components[:number], pair, *components[number + 1 :])
                    other = replace(one, even=moved) if part == "even" else replace(one, directed=moved)
                    yield f"{name} {part} {number} {label}", MappingProxyType({**table, name: other})
        if one.usual:
            yield f"{name} usual", MappingProxyType({**table, name: replace(one, usual=one.usual * 1.2)})


def felt(tier: Tier) -> bool:
    found, pinned = np.array(figures(tier)), np.array(PINNED[tier.value])
    return bool((np.abs(found / pinned - 1) > 6e-5).any())


@pytest.mark.parametrize(("tier", "table", "name"), [(Tier.HOURLY, HOURLY, "HOURLY"), (Tier.DAILY, DAILY, "DAILY")])
def test_every_weight_and_half_life_is_felt(
    tier: Tier, table: MappingProxyType[str, HorizonParameters], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label, moved in changed(table):
        monkeypatch.setattr(outlook_module, name, moved)
        assert felt(tier), label


def test_every_other_parameter_is_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HOURS:
        monkeypatch.setattr(probability_module, "TOUCH", MappingProxyType({**TOUCH, name: TOUCH[name] * 1.01}))
        assert felt(Tier.HOURLY), name
    monkeypatch.setattr(probability_module, "TOUCH", TOUCH)
    monkeypatch.setattr(outlook_module, "CLASS_SCALE", CLASS_SCALE * 1.01)
    assert felt(Tier.CLASS)
    for place in range(len(WEEK_PATTERN)):
        for number in (1, 2):
            row = list(WEEK_PATTERN[place])
            row[number] += 0.02
            week_pattern.cache_clear()
            monkeypatch.setattr(outlook_module, "WEEK_PATTERN", (*WEEK_PATTERN[:place], tuple(row), *WEEK_PATTERN[place + 1 :]))
            try:
                assert felt(Tier.HOURLY), (place, number)
            finally:
                week_pattern.cache_clear()


def test_the_page_has_the_weights_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, label in (("1h", "1 h"), ("1d", "1 d"), ("7d", "7 d")):
        row = next(line for line in text.splitlines() if re.match(rf"\| {label} \| \.", line))
        said = [float(number) for number in re.findall(r"(?<![\d.])\.\d+", row)]
        one = HOURLY[name]
        even, directed = [weight for _, weight in one.even], [weight for _, weight in one.directed]
        assert said == [even[0], directed[0], even[1], directed[1], even[2], directed[2], *even[3:]]
    assert f"1 for an hour (a single close), {TOUCH['1d']} for a day, {TOUCH['7d']} for a week" in text
    assert "weights " + ", ".join(f"{weight:.3f}"[1:] for _, weight in DAILY["1d"].even) + f", {DAILY['1d'].usual:.3f}"[:2] in text
    assert f"its variance times\n{CLASS_SCALE}" in text


@pytest.mark.data
@pytest.mark.skipif(not RECORDED.is_file(), reason="the recorded hourly history is not there")
def test_on_recorded_prices_it_is_calibrated_and_better_than_the_rate() -> None:
    """A thin sample of the test part: one account in thirteen of the record's."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(RECORDED, columns=["symbol", "timestamp", "close"])
    symbols = np.array(table["symbol"].to_pylist())
    opened = table["timestamp"].cast("int64").to_numpy() / 1e6
    closes = table["close"].to_numpy().astype(np.float64)
    recent = opened >= 1_640_995_200
    one = panel(
        {str(name): (opened[recent & (symbols == name)], closes[recent & (symbols == name)]) for name in sorted(set(symbols[recent]))}
    )
    begins = one.row(1_673_136_000)
    made = population(one, pegged(one, begins), starts(one, begins, one.hours)[::8], 25)
    worst = worst_health(one, made, (1, 24))[:, 1]
    known = np.isfinite(worst)
    p, y = foretell(one, made)[known, 1], (worst[known] < 1).astype(np.float64)
    assert y.sum() > 150
    assert 0.8 <= float(y.sum() / p.sum()) <= 1.35
    assert 1 - float(np.square(p - y).sum() / np.square(0.028 - y).sum()) > 0.24
