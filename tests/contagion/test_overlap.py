"""Fire sales through common holdings, and who matters under which model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from aggregator.contagion.network import NodeKind, network_from_names
from aggregator.contagion.overlap import Banks, Thresholds, indirect_exposures, leverage_targeting, overlap, threshold_fire_sale
from aggregator.contagion.ranking import MODELS, loss_band, rank
from aggregator.contagion.valuation import EisenbergNoe, Furfine, LinearDebtRank
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors, number, numbers
from tests.contagion.books import seeds
from tests.contagion.networks import random_network, shock_of
from tests.contagion.reference import PlainBank, plain_fire_sale

EXACT = 1e-12


@needs_vectors
def test_leverage_targeting_case() -> None:
    values, expected = case("glt-2x2")
    result = leverage_targeting(
        csr_array(np.array(values["weights"])),
        np.array(values["assets"], dtype=float),
        np.array(values["equity"], dtype=float),
        np.array(values["debt_to_equity"]),
        np.array(values["price_impact_per_dollar"]),
        np.array(values["shock"]),
    )
    assert result.round1_returns == pytest.approx(numbers(expected["round1_returns"]), rel=EXACT)
    assert result.net_sales == pytest.approx(numbers(expected["net_sales"]), rel=EXACT)
    assert result.price_change == pytest.approx(numbers(expected["price_change"]), rel=EXACT)
    assert result.round2_returns == pytest.approx(numbers(expected["round2_returns"]), rel=EXACT)
    assert result.aggregate_vulnerability == pytest.approx(number(expected["aggregate_vulnerability"]), rel=EXACT)
    assert result.indirect_vulnerability == pytest.approx(numbers(expected["indirect_vulnerability"]), rel=EXACT)
    assert result.systemicness == pytest.approx(numbers(expected["systemicness"]), rel=EXACT)


@settings(max_examples=50)
@given(seeds, st.integers(1, 12), st.integers(1, 6))
def test_systemicness_adds_up_to_the_aggregate(seed: int, banks: int, assets: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.dirichlet(np.ones(assets), banks)
    columns = random.uniform(1.0, 100.0, (3, banks))
    impact, shock = random.uniform(0.0, 1e-3, assets), -random.uniform(0.0, 0.2, assets)
    result = leverage_targeting(csr_array(weights), columns[0], columns[1], columns[2], impact, shock)
    assert result.systemicness.sum() == pytest.approx(result.aggregate_vulnerability, rel=1e-10)
    held, levered, moved = np.diag(columns[0]), np.diag(columns[2]), np.diag(impact)
    written_out = np.ones(banks) @ held @ weights @ moved @ weights.T @ levered @ held @ weights @ shock / columns[1].sum()
    assert result.aggregate_vulnerability == pytest.approx(float(written_out), rel=1e-10)
    mixed = float((result.indirect_vulnerability * columns[1]).sum() / columns[1].sum())
    assert mixed == pytest.approx(result.aggregate_vulnerability, rel=1e-10)


@needs_vectors
def test_threshold_case() -> None:
    values, expected = case("cs-threshold-1bank")
    limits = Thresholds(0.03, values["leverage_buffer"], values["leverage_target"])
    banks = Banks(csr_array(np.array([[float(values["assets"])]])), np.zeros(1), np.zeros(1), np.array([values["loan"]]), np.zeros(1))
    one, deep = np.ones(1), np.array([np.inf])
    result = threshold_fire_sale(banks, one, deep, np.array([values["shock_on_assets"]]), limits)
    assert result.must_sell == pytest.approx([expected["must_sell"]], rel=EXACT)
    small = threshold_fire_sale(banks, one, deep, np.array([0.004]), limits)
    assert small.must_sell.tolist() == [0.0] and small.rounds == 0 and small.sold.tolist() == [0.0]


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(1, 12), st.integers(1, 4), st.integers(1, 8))
def test_threshold_rounds_are_what_plain_banks_do(seed: int, count: int, assets: int, rounds: int) -> None:
    random = np.random.default_rng(seed)
    units = random.lognormal(3.0, 1.0, (count, assets)) * (random.random((count, assets)) < 0.7)
    prices = random.uniform(0.5, 2.0, assets)
    cash, other = random.uniform(0.0, 5.0, count), random.uniform(0.0, 30.0, count)
    total = units @ prices + cash + other
    debt = total * (1.0 - random.uniform(0.03, 0.09, count))
    loans = debt * random.uniform(0.3, 1.0, count)
    depth = random.uniform(0.2, 3.0, assets) * units.sum() + 1e-9
    shock = random.uniform(0.0, 0.06, assets)
    banks = Banks(csr_array(units), cash, other, loans, debt - loans)
    result = threshold_fire_sale(banks, prices, depth, shock, Thresholds(), rounds)
    plain = [PlainBank(units[i].tolist(), cash[i], other[i], loans[i], debt[i] - loans[i]) for i in range(count)]
    after = plain_fire_sale(plain, (prices * (1.0 - shock)).tolist(), depth.tolist(), (0.03, 0.04, 0.05), rounds)
    assert result.prices[-1] == pytest.approx(after, rel=1e-9)
    assert result.defaulted.tolist() == [bank.failed for bank in plain]
    assert result.equity == pytest.approx([bank.equity(after)[0] for bank in plain], rel=1e-9, abs=1e-9 * float(total.max()))
    assert result.sold == pytest.approx(units.sum(axis=0) - np.array([bank.units for bank in plain]).sum(axis=0), rel=1e-9, abs=1e-9)


def test_fire_sales_refuse_nonsense() -> None:
    banks = Banks(csr_array(np.ones((1, 1))), np.zeros(1), np.zeros(1), np.ones(1), np.zeros(1))
    with pytest.raises(InputError, match="thresholds must rise"):
        Thresholds(0.05, 0.04, 0.03)
    with pytest.raises(InputError, match="depth has an entry below zero"):
        threshold_fire_sale(banks, np.ones(1), np.array([-1.0]), np.zeros(1))
    with pytest.raises(InputError, match="the fall of each asset"):
        threshold_fire_sale(banks, np.ones(1), np.ones(1), np.array([1.2]))
    with pytest.raises(InputError, match="not a number"):
        leverage_targeting(csr_array(np.ones((1, 1))), *(np.array([x]) for x in (np.nan, 1.0, 1.0, 1.0, 1.0)))


def test_overlap_is_the_perron_vector_of_equal_portfolios() -> None:
    holdings = csr_array(np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    depth = np.array([4.0, 10.0])
    assert overlap(holdings, depth).toarray() == pytest.approx(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.1]]))
    vector, index = indirect_exposures(holdings, depth, np.ones(3))
    assert vector == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0.0], abs=1e-12)
    assert index == pytest.approx([2.0, 2.0, 0.1])


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(2, 25))
def test_a_band_contains_every_model_and_shares_stay_shares(seed: int, nodes: int) -> None:
    given_network = random_network(seed, nodes)
    band = loss_band(given_network, shock_of(given_network, seed % 4, seed))
    assert 0.0 <= band.low <= band.high <= 1.0 + 1e-12
    assert band.loss[0] == pytest.approx(band.low, abs=1e-9)  # Eisenberg–Noe is the mildest of them
    assert (np.diff(band.loss[:3]) >= -1e-9).all()


def star() -> dict[str, float | None]:
    return {"hub": 100.0, "a": 20.0, "b": 20.0, "c": 20.0, "oracle": 1.0}


def test_the_hub_that_all_have_lent_to_ranks_first_in_every_model() -> None:
    edges = [("a", "hub", 15.0), ("b", "hub", 10.0), ("c", "hub", 5.0), ("a", "oracle", 0.5)]
    given_network = network_from_names(edges, star(), {"hub": 50.0}, {"oracle": NodeKind.ORACLE, "hub": NodeKind.PROTOCOL})
    ranking = rank(given_network)
    assert [ranking.names[code] for code in ranking.order[:2]] == ["hub", "oracle"]
    assert (ranking.rank_low[0], ranking.rank_high[0]) == (1, 1)
    assert ranking.stability > 0.8 and ranking.top_overlap(1) == 1.0
    total = given_network.equity
    assert ranking.impact[0, 0] == pytest.approx(30.0 / (total.sum() - total[0]))
    assert ranking.vulnerability[0, 1] == pytest.approx((15.0 + 0.5) / total[1] / 4)
    assert ranking.kinds[4] is NodeKind.ORACLE


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(2, 90))
def test_failures_in_batches_are_failures_one_by_one(seed: int, nodes: int) -> None:
    """A node that pays nothing loses its creditors what they lent it, and what follows from that."""
    given_network = random_network(seed, nodes, degree=2.0)
    ranking = rank(given_network, (EisenbergNoe(), Furfine(), LinearDebtRank()))
    matrix, face = given_network.exposures.toarray(), given_network.equity
    node = seed % nodes
    direct = np.minimum(matrix[:, node], face)
    others = face.sum() - face[node]
    assert (ranking.impact[:, node] >= direct.sum() / others - 1e-9).all()
    isolated = not matrix.sum(axis=0).astype(bool)[np.flatnonzero(matrix[:, node])].any()
    if isolated:  # its creditors owe nobody: nothing follows
        assert ranking.impact[:, node] == pytest.approx(np.full(3, direct.sum() / others), abs=1e-12)
    assert set(ranking.order.tolist()) == set(range(nodes))


def test_ranking_needs_a_network_and_knows_what_it_stands_on() -> None:
    with pytest.raises(InputError, match="at least two nodes"):
        rank(network_from_names([], {"a": 1.0}))
    with pytest.raises(InputError, match="no node of the network has equity"):
        loss_band(network_from_names([], {"a": 0.0}), np.zeros(1))
    half = rank(network_from_names([("a", "b", 1.0)], {"a": 5.0, "b": None, "c": None}), MODELS[:2])
    assert not half.evidence.sufficient and half.evidence.missing == ("balance sheet of b", "balance sheet of c")
