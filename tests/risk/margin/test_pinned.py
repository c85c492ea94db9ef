"""Every figure of every method pinned on scenes that reach its rules; and no parameter or scenario that could change unnoticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from aggregator.risk.margin.derive_parameters import PMRM2_MAINNET
from aggregator.risk.margin.derive_pmrm2 import MODEL as PMRM2_MODEL
from aggregator.risk.margin.interface import Kind
from tests.risk.margin.pinned import PINNED
from tests.risk.margin.scenes import CANONICAL
from tests.risk.margin.settings import SETTINGS, figures

REFERENCE = {
    "long call": (163, 178, 148, 163),
    "short call": (417, 390, 410, 2_628),
    "short put": (380, 390, 369, 2_212),
    "short straddle": (376, 780, 405, 4_839),
    "short call spread": (86, 124, 61, 201),
    "short call and long perpetual": (231, 533, 184, 2_399),
    "long call and short put": (468, 568, 416, 416),
    "conversion": (182, 828, 26, 0),
    "short strangle": (364, 676, 390, 1_481),
    "ten short far calls": (3_068, 3_380, 3_392, 25),
}
"""PMRM_2, Standard, Paradex, expansion in Greeks, whole dollars: computed by independent implementations"""

REFERENCE_ALONE = {
    "short straddle": (797, 780, 779),
    "short call spread": (515, 492, 502),
    "short call and long perpetual": (732, 533, 639),
    "long call and short put": (543, 568, 518),
    "conversion": (1_115, 828, 934),
    "short strangle": (596, 676, 655),
}
"""Σ of the legs alone: PMRM_2, Standard, Paradex"""


@pytest.mark.parametrize("name", list(SETTINGS))
def test_figures_stand(name: str) -> None:
    found = figures(name)
    assert list(found) == list(PINNED[name])
    for scene, expected in PINNED[name].items():
        assert found[scene] == pytest.approx(expected, rel=1e-9, abs=1e-7), scene


@pytest.mark.parametrize("scene", list(CANONICAL))
def test_ten_canonical_books(scene: str) -> None:
    made, market = CANONICAL[scene]
    models = {name: SETTINGS[name][:2] for name in ("derive-standard", "paradex", "greeks")} | {
        "derive-pmrm2": (PMRM2_MODEL, PMRM2_MAINNET)
    }
    order = ("derive-pmrm2", "derive-standard", "paradex", "greeks")
    for name, expected in zip(order, REFERENCE[scene], strict=True):
        model, parameters = models[name]
        parameters = replace(parameters, fee_rate=0.0, funding_usd={}) if name == "paradex" else parameters
        assert round(model.requirement(made, market, parameters, Kind.INITIAL).amount) == expected, name
        if name != "greeks":
            alone = float(model.isolated(made, market, parameters, Kind.INITIAL).sum())
            assert round(alone) == dict(zip(order, REFERENCE_ALONE.get(scene, REFERENCE[scene][:3]), strict=False))[name], name


def mutations(value: Any, named: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Every dataclass like this one with one number nudged, or one member of a tuple left out; of mappings the named parts."""
    for one in fields(value):
        held = getattr(value, one.name)
        if isinstance(held, bool | str) or held is None:
            continue
        if isinstance(held, int | float):
            for factor, step in ((1.07, 0.011), (0.93, -0.011)):
                yield f"{one.name}*{factor}", replace(value, **{one.name: type(held)(held * factor + (step if held == 0 else 0))})
        elif is_dataclass(held) and not isinstance(held, type):
            yield from ((f"{one.name}.{name}", replace(value, **{one.name: inner})) for name, inner in mutations(held, named))
        elif isinstance(held, tuple):
            yield from (
                (f"{one.name}[{number}] dropped", replace(value, **{one.name: held[:number] + held[number + 1 :]}))
                for number in range(len(held))
            )
        elif isinstance(held, Mapping):
            for key, inner in held.items():
                if key in named and is_dataclass(inner) and not isinstance(inner, type):
                    yield from (
                        (f"{one.name}.{key}.{name}", replace(value, **{one.name: {**held, key: changed}}))
                        for name, changed in mutations(inner, named)
                    )


def felt(name: str) -> dict[str, bool]:
    """Whether some figure feels each parameter, in one direction at least."""
    usual, found = figures(name), dict[str, bool]()
    for what, changed in mutations(SETTINGS[name][1], NAMED[name]):
        parameter = what.partition("*")[0]
        if not found.get(parameter, False):
            now = figures(name, changed)
            found[parameter] = any(now[scene] != pytest.approx(usual[scene], rel=1e-9, abs=1e-7) for scene in usual)
    return found


NAMED = {
    "derive-pmrm": frozenset[str](),
    "derive-pmrm2": frozenset({"ETH", "weETH", "USDT"}),
    "derive-standard": frozenset({"ETH"}),
    "paradex": frozenset[str](),
    "greeks": frozenset[str](),
    "isolated": frozenset[str](),
    "okx": frozenset({"ETH"}),
    "deribit": frozenset({"BTC", "ETH"}),
}
"""parts of mappings that the scenes hold enough of"""

OUT_OF_REACH = {
    "derive-standard": ("other.",),
    "isolated": ("options.unpaired",),
    "deribit": ("coin.ETH", "linear.BTC"),
}
"""other markets than the scenes', and the charge for unpaired calls, which one position alone cannot owe below the rule for it"""


@pytest.mark.parametrize("name", list(SETTINGS))
def test_every_parameter_and_scenario_is_felt(name: str) -> None:
    """A changed parameter or a dropped scenario moves a figure that is pinned above."""
    unfelt = [what for what, moved in felt(name).items() if not moved and not what.startswith(OUT_OF_REACH.get(name, ("\0",)))]
    assert not unfelt
