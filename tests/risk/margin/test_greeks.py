"""Greeks as a margin figure: right where moves are small, labelled with its error where they are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aggregator.risk.margin.greeks import MODEL, sensitivities
from aggregator.risk.margin.interface import Kind, MarginBook, Requirement
from aggregator.risk.margin.market import SECONDS_PER_DAY
from aggregator.risk.margin.paradex import ScanScenario
from aggregator.risk.margin.quotes import quotes
from tests.risk.margin.kit import book, market_of, option, perpetual

USUAL = MODEL.default_parameters()
NEAR = replace(USUAL, scenarios=tuple(one for one in USUAL.scenarios if abs(one.move) < 0.17))
SPOT = 2_600.0


def ask(made: MarginBook, parameters: object = USUAL) -> Requirement:
    return MODEL.requirement(made, market_of(made.holdings, SPOT, 0.6), parameters, Kind.INITIAL)  # type: ignore[arg-type]


def random_book(random: np.random.Generator) -> MarginBook:
    options = [
        option(
            float(random.integers(15, 40) * 100),
            float(random.integers(1, 6) * random.choice([-1, 1])),
            call=bool(random.integers(0, 2)),
            expiry=int(random.choice([7, 14, 30, 60, 90, 180])) * SECONDS_PER_DAY,
        )
        for _ in range(random.integers(1, 9))
    ]
    return book(*options, perpetual(1.5, unrealised=0))


@pytest.mark.parametrize(("parameters", "low", "high"), [(NEAR, -25.0, 40.0), (USUAL, -50.0, 900.0)])
def test_the_error_is_what_the_page_says(parameters: object, low: float, high: float) -> None:
    """Nine of ten books lie within these per cent; the page has the figures of a larger sample."""
    random = np.random.default_rng(3)
    found = [ask(random_book(random), parameters) for _ in range(150)]
    errors = np.array([100 * one.components["error"] / full for one in found if (full := one.components["full-revaluation"]) > 1])
    below, above = np.percentile(errors, [5, 95])
    assert low < below < above < high
    assert errors.max() > 20 > -10 > errors.min()


def test_the_label_gives_the_error_of_the_very_book() -> None:
    found = ask(book(option(5_000, -10)))
    assert found.components["error"] == pytest.approx(found.amount - found.components["full-revaluation"])
    assert found.notes == ("not a margin model: -99 % against full revaluation of the same scan (3392 USD)",)
    nothing = ask(book(option(2_600, 1), option(2_600, -1)))
    assert "requires nothing" in nothing.notes[0]


def test_a_small_move_is_met_to_third_order() -> None:
    """A tenth of the move, a thousandth of the error."""
    made = book(option(2_700, -3), option(2_300, 2, call=False), perpetual(-1, unrealised=0))

    def error(move: float) -> float:
        one = replace(USUAL, scenarios=(ScanScenario(move, 0.0),))
        return abs(ask(made, one).components["error"])

    assert 0 < error(0.01) < 0.05
    assert error(0.10) / error(0.01) == pytest.approx(1_000, rel=0.5)


def test_sensitivities_add_up() -> None:
    made = book(option(2_600, 2), option(2_600, -1, call=False), perpetual(-3, unrealised=0))
    own = sensitivities(made, quotes(made, market_of(made.holdings, SPOT, 0.6)))
    found = ask(made)
    assert found.components["delta-ETH"] == pytest.approx(own.delta.sum())
    assert found.components["gamma-ETH"] == pytest.approx(own.gamma.sum())
    assert found.components["vega-ETH"] == pytest.approx(own.vega.sum())
    # long two calls, short a put: delta 2·N(d1) + N(−d1), of which the perpetuals take three
    assert own.delta.sum() == pytest.approx(2 * 0.5343 + (1 - 0.5343) - 3, abs=1e-3)
