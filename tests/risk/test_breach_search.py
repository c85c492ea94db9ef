"""Looking for breaches: what is left out of a search could not breach, and what is found is where the sign changes."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.model.identifiers import AssetId
from aggregator.model.position import ConcentratedRange
from aggregator.risk.claims import Claim, Term
from aggregator.risk.probability import _may_breach
from aggregator.risk.rays import first_of_grid
from aggregator.risk.shapes import Curve, Fixed, Linear, Mixed, Pair, Range, Shape, lots_it_grows_with


@given(st.integers(0, 2**32 - 1), st.floats(1.01, 3.0))
def test_a_draw_that_is_not_searched_could_not_breach(seed: int, cover: float) -> None:
    """Where all that counts outgrows all that is owed no scale breaches, whatever the shapes are."""
    random = np.random.default_rng(seed)
    band = ConcentratedRange(10**18, int(2**96 * random.uniform(0.7, 1.4)), int(2**96 * 0.9), int(2**96 * 1.2))
    lot = [Linear(((number, 1.0),)) for number in range(4)]
    shapes: list[Shape] = [
        Pair(lot[0], lot[1]),
        Range(lot[0], lot[2], band, 1.0, 1.0),
        Mixed(((0.4, Fixed()), (0.6, Pair(lot[1], lot[2])))),
    ]
    held = [Term((0, 0, n), AssetId(f"a{n}"), "A", Decimal(1), None, shape) for n, shape in enumerate(shapes)]
    debts = [Term((0, 1, 0), AssetId("d"), "D", Decimal(-3) / Decimal(repr(cover)), None, lot[3])]
    claim = Claim(0, (*held, *debts), oracle=True)
    slopes = random.normal(0.0, 0.5, (64, 4))
    searched = _may_breach(claim, slopes)
    assert searched.any()
    for scale in (0.1, 1.0, 7.0):
        assert (claim.cushions(np.exp(np.clip(scale * slopes, -30, 30)))[~searched] > -1e-9).all()


def test_an_option_book_is_always_searched() -> None:
    book = Curve(0, np.array([-1.0, 0.0, 1.0]), np.ones((3, 3)))
    assert lots_it_grows_with(Mixed(((0.5, Linear(((0, 1.0),))), (0.5, book)))) is None
    assert lots_it_grows_with(Mixed(((0.5, Fixed()), (0.5, Linear(((2, 1.0),)))))) == frozenset([None, 2])
    terms = (Term((0, 0, 0), AssetId("a"), "A", Decimal(2), None, book), Term((0, 1, 0), AssetId("d"), "D", Decimal(-1), None, Fixed()))
    assert _may_breach(Claim(0, terms, oracle=True), np.ones((5, 1))).all()


@given(st.floats(0.0, 150.0))
def test_the_first_size_of_a_grid_is_found_to_rounding(threshold: float) -> None:
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 100.0, 400)])
    found = first_of_grid(lambda sizes: np.asarray(sizes >= threshold), grid)
    if threshold > 100.0:
        assert found is None
    else:
        assert found is not None and found >= threshold
        assert found == pytest.approx(threshold, rel=1e-12, abs=1e-12)
