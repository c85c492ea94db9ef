"""Clearing, valuation and DebtRank against plain references, analytic cases and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from aggregator.contagion.clearing import clear, clear_quickly
from aggregator.contagion.debtrank import linear_debtrank, linear_response, non_linear_debtrank, original_debtrank, stable
from aggregator.contagion.equilibrium import equilibrium
from aggregator.contagion.evidence import Level
from aggregator.contagion.network import ExposureNetwork, leverage_matrix, network, network_from_names, spectral_radius
from aggregator.contagion.valuation import (
    BlackCox,
    EisenbergNoe,
    Furfine,
    FurfineMerton,
    LinearDebtRank,
    Merton,
    NonLinearDebtRank,
    RogersVeraart,
    Valuation,
)
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors, numbers
from tests.contagion.books import seeds
from tests.contagion.networks import dense, random_network, shock_of
from tests.contagion.reference import exact_clearing, plain_debtrank, plain_equities, plain_models, plain_original_debtrank

EXACT = 1e-12
SIGMA = 0.15
MODELS: dict[str, Valuation] = {
    "eisenberg-noe": EisenbergNoe(),
    "rogers-veraart": RogersVeraart(0.5, 0.7),
    "furfine": Furfine(),
    "furfine-0.4": Furfine(0.4),
    "linear-debtrank": LinearDebtRank(),
    "non-linear-debtrank": NonLinearDebtRank(2.0),
    "black-cox": BlackCox(SIGMA, 0.6),
    "furfine-merton": FurfineMerton(SIGMA, 0.3),
    "merton": Merton(SIGMA, 0.7),
}


def of_matrix(owed: list[list[float]], assets: list[float], liabilities: list[float]) -> ExposureNetwork:
    """A network from what row owes column."""
    matrix = np.array(owed)
    debtors, creditors = np.nonzero(matrix)
    external = np.array(liabilities) if liabilities else None
    return network([f"n{i}" for i in range(len(owed))], creditors, debtors, matrix[debtors, creditors], np.array(assets), external)


@needs_vectors
@pytest.mark.parametrize("name", ["en-chain-1", "en-chain-2", "en-gandy-veraart-x05", "rv-gandy-veraart-x05", "rv-cliff", "en-no-cliff"])
@pytest.mark.parametrize("solver", [clear, clear_quickly])
def test_clearing_cases(name: str, solver: object) -> None:
    values, expected = case(name)
    given_network = of_matrix(values["liabilities_owed_row_to_col"], values["external_assets"], values["external_liabilities"])
    result = (clear if solver is clear else clear_quickly)(given_network, None, values["alpha"], values["beta"])
    assert result.payments == pytest.approx(numbers(expected["payments"]), rel=EXACT)
    assert result.defaults.tolist() == expected["defaults"]


def ring(size: int, impact: float) -> csr_array[np.float64]:
    creditor = np.arange(size)
    return csr_array((np.full(size, impact), ((creditor + 1) % size, creditor)), shape=(size, size))


@needs_vectors
@pytest.mark.parametrize("name", ["dr-ring-4-9/10", "dr-ring-5-3/10"])
def test_debtrank_on_rings(name: str) -> None:
    values, expected = case(name)
    impact = ring(values["ring"], values["impact"])
    shock = np.zeros(values["ring"])
    for node, size in values["initial"].items():
        shock[int(node)] = size
    response = linear_response(impact, shock)
    assert response == pytest.approx(numbers(expected["linear_debtrank"]), rel=EXACT)
    if (impact @ response + shock <= 1.0 + EXACT).all():  # the closed form is the model's limit while no node is lost whole
        assert linear_debtrank(impact, shock).loss == pytest.approx(numbers(expected["linear_debtrank"]), rel=EXACT)
    else:
        assert (linear_debtrank(impact, shock).loss <= response + EXACT).all()
        assert linear_debtrank(impact, shock).loss == pytest.approx(plain_debtrank(impact.toarray().tolist(), shock.tolist()), rel=EXACT)
    assert original_debtrank(impact, shock).loss == pytest.approx(numbers(expected["original_2012"]), rel=EXACT)


@needs_vectors
def test_non_linear_debtrank_on_a_chain() -> None:
    values, expected = case("dr-nonlinear")
    impact = csr_array((np.array([0.8]), (np.array([1]), np.array([0]))), shape=(2, 2))
    for alpha, loss in zip(values["alphas"], expected["B"], strict=True):
        assert non_linear_debtrank(impact, np.array([0.5, 0.0]), alpha).loss[1] == pytest.approx(loss, rel=EXACT)


@needs_vectors
def test_three_banks_in_a_feedback_loop() -> None:
    values, expected = case("dr-3bank-feedback")
    matrix = np.array(values["exposure_lender_to_borrower"], dtype=np.float64)
    creditors, debtors = np.nonzero(matrix)
    assets, liabilities = np.array(values["external_assets"], dtype=float), np.array(values["external_liabilities"], dtype=float)
    given_network = network(["A", "B", "C"], creditors, debtors, matrix[creditors, debtors], assets, liabilities)
    assert given_network.equity == pytest.approx(values["equity_face"], rel=EXACT)
    result = equilibrium(given_network, LinearDebtRank(), np.array(values["shock"], dtype=float))
    assert result.equity == pytest.approx(expected["equity_linear_debtrank"], rel=1e-11)


@pytest.mark.parametrize("nodes", [5, 12, 40, 120, 300])
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_every_model_agrees_with_a_plain_iteration(nodes: int, kind: int) -> None:
    given_network = random_network(nodes * 10 + kind, nodes)
    shock = shock_of(given_network, kind, nodes)
    exposures = dense(given_network)
    assets, liabilities = given_network.external_assets.tolist(), given_network.external_liabilities.tolist()
    face, owed = given_network.equity.tolist(), given_network.liabilities.tolist()
    for name, plain in plain_models().items():

        def value(j: int, equity: float, plain=plain) -> float:  # type: ignore[no-untyped-def]
            return float(plain(equity, face[j], assets[j] - shock[j], owed[j], SIGMA))

        expected = plain_equities(exposures, assets, liabilities, shock.tolist(), value)
        result = equilibrium(given_network, MODELS[name], shock)
        assert result.converged
        scale = float(np.abs(given_network.external_assets).max())
        assert result.equity == pytest.approx(expected, rel=1e-9, abs=1e-11 * scale), name


@pytest.mark.parametrize("nodes", [5, 40, 150])
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_senior_creditors_first_in_every_model_of_recovery(nodes: int, kind: int) -> None:
    """The network's creditors share what is left after the others; a default costs 1 − alpha of external and 1 − beta of network assets."""
    given_network = random_network(nodes * 7 + kind, nodes)
    shock, exposures = shock_of(given_network, kind, nodes), dense(given_network)
    assets, first = given_network.external_assets, given_network.external_liabilities
    owed = given_network.interbank_liabilities
    face = given_network.equity

    def left(j: int, equity: float, alpha: float, beta: float) -> float:
        if equity > 0.0 or owed[j] == 0.0:
            return 1.0
        claims = equity + owed[j] + first[j] - (assets[j] - shock[j])
        return float(min(max(alpha * (assets[j] - shock[j]) + beta * claims - first[j], 0.0) / owed[j], 1.0))

    plain = {
        "eisenberg-noe": lambda j, equity: left(j, equity, 1.0, 1.0),
        "rogers-veraart": lambda j, equity: left(j, equity, 0.5, 0.7),
        "furfine": lambda j, equity: float(equity > 0.0),
        "linear-debtrank": lambda j, equity: min(max(equity / face[j], 0.0), 1.0),
    }
    for name, value in plain.items():
        expected = plain_equities(exposures, assets.tolist(), first.tolist(), shock.tolist(), value)
        result = equilibrium(given_network, MODELS[name], shock, senior=True)
        assert result.equity == pytest.approx(expected, rel=1e-9, abs=1e-11 * float(assets.max())), name
    for alpha, beta, name in ((1.0, 1.0, "eisenberg-noe"), (0.5, 0.7, "rogers-veraart")):
        paid = clear(given_network, shock, alpha, beta, senior=True).payments
        values = equilibrium(given_network, MODELS[name], shock, senior=True).value
        assert paid == pytest.approx(values * owed, rel=1e-9, abs=1e-9 * float(owed.max()))


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(2, 9), st.sampled_from([(1.0, 1.0), (0.5, 0.7), (1.0, 0.0), (0.0, 1.0)]), st.booleans())
def test_clearing_is_the_greatest_exact_solution(seed: int, nodes: int, left: tuple[float, float], external: bool) -> None:
    given_network = random_network(seed, nodes, degree=2.0, external=external, quiet=0.4)
    shock = shock_of(given_network, seed % 4, seed)
    owed = [list(row) for row in zip(*dense(given_network), strict=True)]
    exact = exact_clearing(owed, (given_network.external_assets - shock).tolist(), given_network.external_liabilities.tolist(), *left)
    result = clear(given_network, shock, *left)
    assert result.payments == pytest.approx([float(x) for x in exact], rel=1e-11, abs=1e-12)
    assert clear_quickly(given_network, shock, *left).payments == pytest.approx([float(x) for x in exact], rel=1e-9, abs=1e-10)


def test_a_cycle_without_loss_clears_at_its_greatest_solution() -> None:
    """Three owe each other ten in a ring and have nothing: all paying nothing clears too, but is not the greatest."""
    given_network = of_matrix([[0, 10, 0], [0, 0, 10], [10, 0, 0]], [0.0, 0.0, 0.0], [])
    for solver in (clear, clear_quickly):
        assert solver(given_network).payments == pytest.approx([10.0, 10.0, 10.0])


def test_a_cycle_with_little_loss_is_solved_and_not_only_approached() -> None:
    """What comes round shrinks by a millionth each time, so plain iteration would take millions of rounds."""
    leak = 1e-6
    given_network = of_matrix([[0, 1000.0, 0], [0, 0, 1000.0], [1000.0, 0, 0]], [0.0, 0.0, 0.0], [1000.0 * leak, 0.0, 0.0])
    shocked = given_network
    paid = clear(shocked).payments
    assert paid == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)  # nothing comes in from outside and a little leaves each time round
    fed = of_matrix([[0, 1000.0, 0], [0, 0, 1000.0], [1000.0, 0, 0]], [5e-4, 0.0, 0.0], [1000.0 * leak, 0.0, 0.0])
    share = 1000.0 / (1000.0 + 1000.0 * leak)
    expected = 5e-4 / (1.0 - share)  # what the first node pays in all
    result = equilibrium(fed, EisenbergNoe())
    assert result.converged and result.rounds < 1000
    assert clear(fed).payments[0] == pytest.approx(expected, rel=1e-9)
    assert (result.value * (fed.liabilities))[0] == pytest.approx(expected, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(3, 40))
def test_models_are_ordered_by_severity(seed: int, nodes: int) -> None:
    given_network = random_network(seed, nodes)
    shock = shock_of(given_network, seed % 4, seed)
    slack = 1e-9 * float(given_network.external_assets.max())
    losses = [equilibrium(given_network, model, shock).loss for model in (EisenbergNoe(), RogersVeraart(0.6, 0.8), Furfine(0.0))]
    assert (losses[0] <= losses[1] + slack).all()
    assert (losses[1] <= losses[2] + slack).all()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(3, 30))
def test_without_a_shock_nothing_happens_to_solvent_networks(seed: int, nodes: int) -> None:
    given_network = random_network(seed, nodes)
    for model in (EisenbergNoe(), RogersVeraart(0.6, 0.8), Furfine(), LinearDebtRank(), NonLinearDebtRank(1.0)):
        result = equilibrium(given_network, model)
        assert result.loss == pytest.approx(np.zeros(nodes), abs=1e-12 * float(given_network.external_assets.max()))
        assert not result.defaults.any()


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(3, 30))
def test_permuting_nodes_permutes_the_result(seed: int, nodes: int) -> None:
    given_network = random_network(seed, nodes)
    order = np.random.default_rng(seed).permutation(nodes)
    place = np.argsort(order)
    edges = given_network.exposures.tocoo()
    other = network(
        [given_network.names[i] for i in order],
        place[edges.row],
        place[edges.col],
        edges.data,
        given_network.external_assets[order],
        given_network.external_liabilities[order],
    )
    shock = shock_of(given_network, seed % 4, seed)
    for model in MODELS.values():
        one, two = equilibrium(given_network, model, shock), equilibrium(other, model, shock[order])
        assert two.equity == pytest.approx(one.equity[order], rel=1e-10, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(2, 25))
def test_clearing_conserves_value(seed: int, nodes: int) -> None:
    """What comes in from outside is what leaves to the outside or stays as equity."""
    given_network = random_network(seed, nodes, quiet=0.3)
    shock = shock_of(given_network, seed % 4, seed)
    result = clear(given_network, shock)
    share = np.divide(result.payments, result.due, out=np.zeros(nodes), where=result.due > 0)
    outside = float((share * given_network.external_liabilities).sum())
    assets = given_network.external_assets - shock
    equity = assets + np.asarray(given_network.exposures @ share) - result.payments
    assert (equity >= -1e-9 * (1.0 + result.due)).all()
    assert float(assets.sum()) == pytest.approx(outside + float(equity.sum()), rel=1e-10)


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 14), st.sampled_from([0.0, 1.0, 4.0]))
def test_debtrank_is_what_the_papers_increments_give(seed: int, nodes: int, alpha: float) -> None:
    random = np.random.default_rng(seed)
    impact = csr_array(random.random((nodes, nodes)) * (random.random((nodes, nodes)) < 0.4) * (1 - np.eye(nodes)) * 0.8)
    shock = random.random(nodes) * (random.random(nodes) < 0.4)
    expected = plain_debtrank(impact.toarray().tolist(), shock.tolist(), alpha)
    assert non_linear_debtrank(impact, shock, alpha).loss == pytest.approx(expected, abs=1e-10)
    if alpha == 0.0:
        assert linear_debtrank(impact, shock).loss == pytest.approx(expected, abs=1e-10)
    assert original_debtrank(impact, shock).loss == pytest.approx(plain_original_debtrank(impact.toarray().tolist(), shock.tolist()))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(3, 20))
def test_debtrank_in_losses_is_the_linear_valuation(seed: int, nodes: int) -> None:
    given_network = random_network(seed, nodes)
    shock = np.minimum(shock_of(given_network, seed % 4, seed), given_network.equity)
    loss = linear_debtrank(leverage_matrix(given_network), shock / given_network.equity).loss
    result = equilibrium(given_network, LinearDebtRank(), shock)
    assert np.clip(result.loss / given_network.equity, 0.0, 1.0) == pytest.approx(loss, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(3, 25))
def test_shocks_side_by_side_are_the_shocks_one_by_one(seed: int, nodes: int) -> None:
    given_network = random_network(seed, nodes)
    shocks = np.stack([shock_of(given_network, kind, seed) for kind in range(4)], axis=1)
    for model in MODELS.values():
        together = equilibrium(given_network, model, shocks)
        for column in range(4):
            alone = equilibrium(given_network, model, shocks[:, column])
            assert together.equity[:, column] == pytest.approx(alone.equity, rel=1e-10, abs=1e-10)


def test_senior_creditors_are_paid_first() -> None:
    given_network = of_matrix([[0.0, 10.0], [0.0, 0.0]], [12.0, 0.0], [8.0, 0.0])
    assert clear(given_network).payments[0] == pytest.approx(12.0)  # 10/18 of it to the network
    senior = clear(given_network, senior=True)
    assert senior.payments[0] == pytest.approx(4.0)
    assert clear_quickly(given_network, senior=True).payments[0] == pytest.approx(4.0)
    broke = clear(given_network, np.array([7.0, 0.0]), senior=True)
    assert broke.payments[0] == 0.0
    costly = clear(given_network, alpha=0.9, senior=True)
    assert costly.payments[0] == pytest.approx(0.9 * 12.0 - 8.0)
    assert clear_quickly(given_network, alpha=0.9, senior=True).payments[0] == pytest.approx(0.9 * 12.0 - 8.0)


def test_a_closed_circle_drained_by_seniors_pays_nothing() -> None:
    """All that is owed in the network stays in it and only what seniors take leaves: the system of all defaulters has no solution."""
    circle = [[0.0, 10.0, 0.0], [0.0, 0.0, 10.0], [10.0, 0.0, 0.0]]
    for seniors, paid in (([1.0, 0.0, 0.0], [0.0, 0.0, 0.0]), ([0.0, 0.0, 0.0], [10.0, 10.0, 10.0])):
        given_network = of_matrix(circle, [0.0, 0.0, 0.0], seniors)
        assert clear(given_network, senior=True).payments == pytest.approx(paid, abs=1e-9)
    nothing = of_matrix([[0.0, 10.0], [8.0, 0.0]], [5.0, 0.0], [0.0, 0.0])
    # a default leaves nothing of external assets: the first owes ten, gets eight, and the greatest circle is eight each
    assert clear(nothing, alpha=0.0, senior=True).payments == pytest.approx([10.0, 8.0])
    costly = clear(of_matrix([[0.0, 10.0], [8.0, 0.0]], [1.0, 0.0], [0.0, 0.0]), alpha=0.0, senior=True)
    assert costly.payments == pytest.approx([8.0, 8.0])


def test_more_defaulters_than_are_solved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given_network = random_network(8, 120, quiet=0.5)
    shock = shock_of(given_network, 1, 8)
    for left in ((1.0, 1.0), (0.5, 0.7)):
        exact = clear(given_network, shock, *left)
        assert len(exact.defaults) > 40
        monkeypatch.setattr("aggregator.contagion.clearing.SYSTEM_UP_TO", 10)
        assert clear(given_network, shock, *left).payments == pytest.approx(exact.payments, rel=1e-10, abs=1e-10)
        monkeypatch.undo()


def test_waves_tell_who_dragged_down_whom() -> None:
    given_network = of_matrix([[0.0, 100.0, 0.0], [0.0, 0.0, 100.0], [0.0, 0.0, 0.0]], [20.0, 70.0, 0.0], [])
    assert clear(given_network).waves.tolist() == [1, 2, 0]


def test_spectral_radius_and_stability() -> None:
    assert spectral_radius(ring(5, 0.9)) == pytest.approx(0.9, rel=1e-12)
    assert stable(ring(5, 0.9)) and not stable(ring(5, 1.0))
    with pytest.raises(InputError, match="the spectral radius of the impacts is 1, expected below 1"):
        linear_response(ring(5, 1.0), np.r_[0.1, np.zeros(4)])
    large = ring(1_000, 1.3)
    assert spectral_radius(large) == pytest.approx(1.3, rel=1e-9)
    grown = linear_debtrank(large, np.r_[1e-3, np.zeros(999)])
    assert grown.converged and (grown.loss == 1.0).all()  # every loss grows until all is lost: a bounded answer, not an overflow


@pytest.mark.parametrize(
    ("edges", "assets", "words"),
    [
        ([("a", "b", -1.0)], {"a": 1.0, "b": 1.0}, "edge 1: exposure of a to b is -1; expected 0 or more"),
        ([("a", "b", 1.0), ("b", "a", float("nan"))], {"a": 1.0, "b": 1.0}, "edge 2: exposure of b to a is nan"),
        ([("a", "b", float("inf"))], {"a": 1.0, "b": 1.0}, "is inf"),
        ([("a", "z", 1.0)], {"a": 1.0}, "edge 1: z is not one of the 1 nodes"),
        ([("a", "a", 1.0)], {"a": 1.0}, "edge 1: a has a claim on itself"),
        ([], {}, "the network is empty"),
        ([], {"a": float("nan")}, "external assets of a are nan"),
        ([], {"a": -5.0}, "external assets of a are -5"),
    ],
)
def test_bad_networks_are_refused_in_one_line(edges: list[tuple[str, str, float]], assets: dict[str, float | None], words: str) -> None:
    with pytest.raises(InputError, match=words):
        network_from_names(edges, assets)


def test_more_that_cannot_be() -> None:
    one = np.array([0]), np.array([1]), np.array([1.0])
    with pytest.raises(InputError, match="stands twice"):
        network(["a", "a"], *one, np.ones(2))
    with pytest.raises(InputError, match="debtor 7 is not one of the 2 nodes"):
        network(["a", "b"], np.array([0]), np.array([7]), np.array([1.0]), np.ones(2))
    with pytest.raises(InputError, match="given for 3 of 2 nodes"):
        network(["a", "b"], *one, np.ones(3))
    with pytest.raises(InputError, match="c is not one of the 1 nodes"):
        network_from_names([], {"a": 1.0}, {"c": 1.0})
    good = network(["a", "b"], *one, np.ones(2))
    with pytest.raises(InputError, match="share of 0 to 1"):
        clear(good, alpha=1.5)
    with pytest.raises(InputError, match="each of the 2 nodes"):
        clear(good, np.ones(3))
    with pytest.raises(InputError, match="each of the 2 nodes"):
        equilibrium(good, EisenbergNoe(), np.array([np.nan, 0.0]))
    with pytest.raises(InputError, match="0 to 1 for every node"):
        linear_debtrank(ring(3, 0.5), np.array([2.0, 0.0, 0.0]))
    with pytest.raises(InputError, match="alpha"):
        non_linear_debtrank(ring(3, 0.5), np.zeros(3), -1.0)
    with pytest.raises(InputError, match="the network has 3"):
        linear_debtrank(ring(3, 0.5), np.zeros(2))


def test_half_of_the_sheets_missing_is_unknown_and_says_which() -> None:
    names = [f"n{i}" for i in range(6)]
    assets: dict[str, float | None] = {name: (10.0 if place % 2 else None) for place, name in enumerate(names)}
    given_network = network_from_names([("n1", "n3", 1.0), ("n0", "n1", 1.0)], assets)
    result = equilibrium(given_network, EisenbergNoe())
    assert result.evidence.known_share == 0.5
    assert result.evidence.missing == ("balance sheet of n0", "balance sheet of n2", "balance sheet of n4")
    assert result.evidence.level(0.0) is Level.UNKNOWN
