"""Kupiec and Christoffersen against likelihoods written out with scipy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import xlog1py, xlogy
from scipy.stats import chi2

from aggregator.risk.market_risk.coverage_tests import Transitions, christoffersen, kupiec


def reference_kupiec(days: int, hits: int, rate: float) -> float:
    def likelihood(p: float) -> float:
        return float(xlogy(hits, p) + xlog1py(days - hits, -p))

    return float(chi2.sf(max(0.0, -2 * (likelihood(rate) - likelihood(hits / days))), 1))


def reference_christoffersen(hits: list[bool]) -> float:
    counts = np.zeros((2, 2))
    for before, after in pairwise(hits):
        counts[int(before), int(after)] += 1
    if counts.sum() == 0 or counts.sum(axis=1).min() == 0:
        return 1.0

    def likelihood(row: np.ndarray, p: float) -> float:
        return float(xlog1py(row[0], -p) + xlogy(row[1], p))

    together = likelihood(counts.sum(axis=0), counts[:, 1].sum() / counts.sum())
    apart = sum(likelihood(row, row[1] / row.sum()) for row in counts)
    return float(chi2.sf(max(0.0, 2 * (apart - together)), 1))


@given(st.integers(1, 4000), st.data(), st.sampled_from([0.01, 0.05, 0.001]))
def test_kupiec_is_the_likelihood_ratio(days: int, data: st.DataObject, rate: float) -> None:
    hits = data.draw(st.integers(0, days))
    assert kupiec(days, hits, rate) == pytest.approx(reference_kupiec(days, hits, rate), rel=1e-6, abs=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_christoffersen_is_the_likelihood_ratio(hits: list[bool]) -> None:
    found = christoffersen(Transitions.of(np.array(hits, dtype=bool)))
    assert found == pytest.approx(reference_christoffersen(hits), rel=1e-6, abs=1e-12)


def test_known_values() -> None:
    assert kupiec(1000, 10, 0.01) == pytest.approx(1.0)
    # 20 of 1000: LR = 2·(20·ln 2 + 980·ln(0.98/0.99)) = 7.827
    assert kupiec(1000, 20, 0.01) == pytest.approx(chi2.sf(7.82722, 1), rel=1e-4)
    assert kupiec(250, 0, 0.01) == pytest.approx(chi2.sf(-500 * np.log(0.99), 1))
    assert kupiec(0, 0, 0.01) == 1.0


def test_clusters_are_noticed_and_transitions_add() -> None:
    alone, together = np.zeros(500, dtype=bool), np.zeros(500, dtype=bool)
    alone[25::100] = True
    together[100:105] = True
    assert christoffersen(Transitions.of(alone)) > 0.5 and christoffersen(Transitions.of(together)) < 1e-6
    both = Transitions.of(alone) + Transitions.of(together)
    assert (both.calm_hit, both.hit_hit, both.hit_calm) == (6, 4, 6)
    assert both.calm_calm + both.calm_hit + both.hit_calm + both.hit_hit == 998
