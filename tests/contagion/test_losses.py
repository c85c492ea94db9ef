"""Who bears what: waterfalls and circles of claims to the last micro-dollar; runs, redemptions and rates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.contagion.losses import claims, write_down
from aggregator.contagion.money import MICRO, micros, share_out, sums
from aggregator.contagion.runs import (
    DAY,
    HOUR,
    Pools,
    Tranche,
    adaptive_rate,
    doubling_growth,
    growth,
    hours_to_freeze,
    kinked_rate,
    pay_out,
    redeem,
    utilisation_after,
)
from aggregator.model.errors import InputError
from tests.contagion.analytic import case, needs_vectors
from tests.contagion.books import seeds

EXACT = 1e-12


def test_the_waterfall() -> None:
    """A pool's reserve, then its safety module, then suppliers' shares; a vault among them, and a token that holds the vault."""
    given_claims = claims(
        ["pool", "vault", "token"],
        [("vault", "pool", 0.25), ("token", "vault", 0.4)],
        {"reserve": {"pool": 100.0}, "safety module": {"pool": 300.0}, "own equity": {"vault": 50.0}},
    )
    found = write_down(given_claims, micros(np.array([1000.0, 0.0, 0.0])))
    assert (found.absorbed / MICRO).tolist() == [[100.0, 0.0, 0.0], [300.0, 0.0, 0.0], [0.0, 50.0, 0.0]]
    assert (found.lost / MICRO).tolist() == [1000.0, 150.0, 40.0]
    assert (found.outside / MICRO).tolist() == [450.0, 60.0, 40.0]
    assert found.passed == ((1, 0, 150 * MICRO), (2, 1, 40 * MICRO))
    assert found.borne == 1000 * MICRO


@settings(max_examples=80)
@given(seeds, st.integers(1, 9))
def test_every_micro_dollar_is_borne_once(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"n{number}" for number in range(count)]
    rows = []
    for held in range(count):
        holders = random.choice(count, int(random.integers(0, min(3, count) + 1)), replace=False)
        split = random.dirichlet(np.ones(len(holders) + 1))
        rows += [(names[holder], names[held], float(share)) for holder, share in zip(holders, split, strict=False)]
    buffers = {layer: {name: float(random.lognormal(2.0, 2.0)) for name in names if random.random() < 0.5} for layer in ("a", "b")}
    losses = micros(random.lognormal(5.0, 3.0, count) * (random.random(count) < 0.6))
    given_claims = claims(names, rows, buffers)
    found = write_down(given_claims, losses)
    assert found.borne == int(losses.sum())
    assert (found.absorbed >= 0).all() and (found.outside >= 0).all()
    # each node: what came in is what was absorbed, borne by others and passed on, to rounding inside circles
    into, out = losses.astype(float), (found.absorbed.sum(axis=0) + found.outside).astype(float)
    for holder, held, amount in found.passed:
        into[holder] += amount
        out[held] += amount
    assert into == pytest.approx(found.lost, rel=1e-9, abs=5.0 * count)
    assert out == pytest.approx(found.lost, rel=1e-9, abs=5.0 * count)


def test_bad_claims_are_refused() -> None:
    with pytest.raises(InputError, match="reserve of a is -1"):
        claims(["a"], [], {"reserve": {"a": -1.0}})
    with pytest.raises(InputError, match="x is not one of the 1 tokens"):
        claims(["a"], [], {"reserve": {"x": 1.0}})
    with pytest.raises(InputError, match="losses are amounts of 0 or more for each of the 1 nodes"):
        write_down(claims(["a"], []), np.array([-1]))


@settings(max_examples=60)
@given(st.integers(-(10**17), 10**17), seeds, st.integers(1, 50))
def test_shares_add_up(amount: int, seed: int, count: int) -> None:
    weights = np.random.default_rng(seed).lognormal(0.0, 3.0, count)
    parts = share_out(amount, weights)
    assert int(parts.sum()) == amount
    exact = weights * (amount / weights.sum())
    assert np.abs(parts - exact).max() <= 2.0 + abs(amount) * 1e-14


def test_money_edges() -> None:
    assert share_out(0, np.zeros(0)).tolist() == []
    assert share_out(7, np.zeros(2)).tolist() == [7, 0]
    with pytest.raises(ValueError, match="nobody to share out to"):
        share_out(1, np.zeros(0))
    large = np.array([2**60 + 1, -(2**60), 5], dtype=np.int64)
    assert sums(np.array([0, 0, 1]), large, 2).tolist() == [1, 5]


@needs_vectors
def test_utilisation_as_suppliers_leave() -> None:
    given_values, expected = case("run-utilisation-path")
    outflow = given_values["supply"] * np.array(given_values["outflow_fraction"])
    path = utilisation_after(given_values["supply"], given_values["borrow"], outflow)
    assert path.tolist() == pytest.approx(expected["utilisation"], rel=EXACT)
    assert utilisation_after(100.0, 80.0, np.array([90.0])).tolist() == [1.0], "no more than the cash can leave"


@needs_vectors
def test_the_adaptive_curve_at_its_cap() -> None:
    given_values, expected = case("morpho-irm-cap")
    rate, at_target = adaptive_rate(given_values["utilisation"], given_values["rate_at_target_per_year"], DAY)
    assert at_target == 2.0, "it rises no further"
    assert rate == pytest.approx(expected["borrow_rate"], rel=EXACT)
    assert growth(rate, 365 * DAY) - 1.0 == pytest.approx(expected["apy"], rel=EXACT)
    assert growth(rate, DAY) == pytest.approx(expected["daily_growth"], rel=EXACT)
    assert adaptive_rate(0.9, 0.04)[0] == pytest.approx(0.04)
    assert adaptive_rate(0.0, 0.04)[0] == pytest.approx(0.01)
    assert adaptive_rate(1.0, 0.04, 5 * DAY)[1] == pytest.approx(0.04 * np.exp(50 * 5 / 365))


@needs_vectors
def test_a_rate_alone_brings_the_liquidation_price_closer() -> None:
    """The published price rests on how often interest was taken at the protocol; a plain doubling comes within a few per cent."""
    given_values, expected = case("egorov-fraxlend-2023")
    now = given_values["debt_frax"] / (given_values["collateral_crv"] * given_values["max_ltv"])
    assert now == pytest.approx(expected["liq_price_now"], rel=EXACT)
    factor = doubling_growth(given_values["apr0"], given_values["doubling_hours"] * HOUR, given_values["apy_cap"], 4.5 * DAY)
    assert now * factor == pytest.approx(expected["published_price_after_4_5_days"], rel=0.03)
    assert doubling_growth(0.5, HOUR, 0.2, 365 * DAY) == pytest.approx(1.2), "a ceiling below the rate holds from the start"
    with pytest.raises(InputError, match="above 0"):
        doubling_growth(0.0, HOUR, 1.0, DAY)


def test_the_kinked_curve() -> None:
    rates = kinked_rate(np.array([0.0, 0.45, 0.9, 0.95, 1.0]), 0.9, 0.0, 0.04, 0.6)
    assert rates.tolist() == pytest.approx([0.0, 0.02, 0.04, 0.34, 0.64])
    assert kinked_rate(np.array([1.0]), 1.0, 0.01, 0.04, 0.6).tolist() == pytest.approx([0.05])


def test_first_come_and_pro_rata() -> None:
    demands = np.array([50, 30, 40], dtype=np.int64)
    assert pay_out(200, demands, pro_rata=True).tolist() == [50, 30, 40]
    assert pay_out(60, demands, pro_rata=False).tolist() == [50, 10, 0]
    shared = pay_out(60, demands, pro_rata=True)
    assert shared.tolist() == [25, 15, 20]


def test_hours_to_freeze() -> None:
    hours = hours_to_freeze(np.array([100.0, 100.0, 0.0, 100.0, np.nan]), np.array([10.0, 0.0, 5.0, np.nan, 1.0]))
    assert hours[:3].tolist() == [10.0, np.inf, 0.0] and np.isnan(hours[3:]).all(), "what is not known is never calm"


def test_pools_in_columns() -> None:
    pools = Pools(micros(np.array([100.0, 0.0, 50.0])), micros(np.array([80.0, 0.0, 50.0])))
    assert pools.utilisation.tolist() == [0.8, 0.0, 1.0]
    assert pools.frozen.tolist() == [False, False, True]
    with pytest.raises(InputError, match=r"pool 0: 2.00 USD borrowed of 1.00 supplied"):
        Pools(micros(np.array([1.0])), micros(np.array([2.0])))


def test_a_run_leaves_the_illiquid_part_to_those_who_stay() -> None:
    tranches = (Tranche("cash", 20 * MICRO), Tranche("bills", 30 * MICRO, 0.1), Tranche("loans", 50 * MICRO, 0.5))
    calm = redeem(tranches, 100 * MICRO, 20 * MICRO)
    assert (calm.paid, calm.lost, calm.value) == (20 * MICRO, 0, 1.0)
    run = redeem(tranches, 100 * MICRO, 60 * MICRO)
    assert run.sold.tolist() == [20 * MICRO, 30 * MICRO, 26 * MICRO]
    assert (run.paid, run.unpaid, run.lost, run.left) == (60 * MICRO, 0, 16 * MICRO, 24 * MICRO)
    assert run.value == pytest.approx(0.6)
    everybody = redeem(tranches, 100 * MICRO, 100 * MICRO)
    assert (everybody.paid, everybody.unpaid, everybody.left, everybody.value) == (72 * MICRO, 28 * MICRO, 0, 0.0)
    with pytest.raises(InputError, match=r"200\.00 USD are redeemed of 100\.00 outstanding"):
        redeem(tranches, 100 * MICRO, 200 * MICRO)
    with pytest.raises(InputError, match="cost of selling"):
        Tranche("x", 1, 1.0)
