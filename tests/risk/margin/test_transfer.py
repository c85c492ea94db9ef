"""Rescue along paths against hand-reasoned cases and closed forms; transfer-aware netting against enumeration and its laws."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.risk.margin.transfer import Link, Outcome, Reserve, Silo, first_passage, follow, liquidated_share
from aggregator.risk.margin.transfer_requirement import Keeper, Route, Silos, transferable
from tests.risk.margin.kit import VECTORS, decimal, vectors

FALLING = tuple(Decimal(one) for one in ("1", ".985", ".975", ".965", ".957", ".94", ".93"))
DEBT = Decimal("0.8") / Decimal("1.05")
A = Silo("A", "one", "ETH", 1, Decimal("0.8"), DEBT, Decimal("0.5"), Decimal("0.05"), Decimal("0.01"))
RESERVE = Reserve("r", "two", Decimal("0.1"))
LINK = Link("two", "one", 1, 10**9)


def walk(silos: list[Silo], reserve: Reserve = RESERVE, link: Link = LINK, trigger: str | None = "1.03") -> Outcome:
    return follow(silos, [reserve], [link], {"ETH": FALLING}, None if trigger is None else Decimal(trigger))


def outcome(case: dict[str, Any]) -> Outcome:
    """A case of the vector file."""
    return follow(
        [
            Silo(name, one["chain"], one["asset"], decimal(one["amount"]), decimal(one["lt"]), decimal(one["debt"]))
            for name, one in case["silos"].items()
        ],
        [Reserve(name, one["chain"], decimal(one["amount"]), one.get("locked_until", 0)) for name, one in case["reserves"].items()],
        [
            Link(one["from"], one["to"], one["lag"], decimal(one["capacity"]), decimal(one["fee"]), one.get("up", True))
            for one in case["links"]
        ],
        {asset: [decimal(one) for one in series] for asset, series in case["prices"].items()},
        decimal(case["trigger"]),
    )


@pytest.mark.data
def test_hand_reasoned_paths() -> None:
    cases: list[dict[str, Any]] = vectors("transfer_cases")["cases"]
    assert len(cases) >= 8
    for case in cases:
        assert outcome(case).liquidated_at == case["expected_liquidated_at"], case["name"]


@pytest.mark.data
def test_closed_forms() -> None:
    for case in vectors("transfer_cases")["closed_form"]:
        found = first_passage(case["hf0"], case["reserve_over_debt"], case["vol"], case["hours"])
        assert found == pytest.approx(case["expected"], rel=1e-9)


def test_paths_by_hand() -> None:
    # health 1.02375 at step 2 triggers, lands at 3
    saved = walk([A])
    assert saved.liquidated_at == {}
    assert [(one.at, one.lands, one.amount) for one in saved.transfers] == [(2, 3, Fraction(1, 10))]
    assert saved.left == {"r": 0} and saved.loss == 0
    late = walk([A], link=replace(LINK, lag=3))
    assert late.liquidated_at == {"A": 5}
    # half of the debt is closed at 5 % bonus and 1 % slippage
    assert late.loss == Fraction(DEBT) / 2 * Fraction(6, 100)
    assert walk([A], trigger=None).liquidated_at == {"A": 5}
    assert walk([A], link=replace(LINK, up=False)).liquidated_at == {"A": 5}
    assert walk([A], reserve=replace(RESERVE, locked_until=4)).liquidated_at == {"A": 5}
    assert walk([A], reserve=replace(RESERVE, locked_until=3)).liquidated_at == {}
    assert walk([A], link=replace(LINK, capacity=Decimal("0.015"))).liquidated_at == {"A": 6}
    # a bridge that refills lets the rest through later
    assert walk([A], link=replace(LINK, capacity=Decimal("0.015"), refill=Decimal("0.015"))).liquidated_at == {}
    assert walk([A], link=replace(LINK, capacity=Decimal("0.02"), fee=Decimal("0.5"))).liquidated_at == {"A": 6}
    # a reserve on the same chain needs no bridge
    assert walk([A], reserve=replace(RESERVE, chain="one"), link=replace(LINK, up=False)).liquidated_at == {}


def test_the_weaker_silo_is_served_first_and_every_unit_once() -> None:
    weaker = replace(A, name="Z", debt=DEBT + Decimal("0.000001"))
    found = walk([A, weaker])
    assert found.liquidated_at == {"A": 5}
    assert {one.silo for one in found.transfers} == {"Z"}
    plenty = walk([A, weaker], reserve=replace(RESERVE, amount=Decimal("0.1"), chain="one"))
    assert sum(one.amount for one in plenty.transfers) + plenty.left["r"] == Fraction(1, 10)


def test_no_debt_is_never_liquidated_and_bad_paths_are_refused() -> None:
    assert walk([replace(A, debt=0)]).liquidated_at == {}
    with pytest.raises(ValueError, match="differ in length"):
        follow([A], [], [], {"ETH": FALLING, "BTC": FALLING[:2]}, None)
    with pytest.raises(ValueError, match="link from"):
        Link("a", "b", -1, 0)
    with pytest.raises(ValueError, match="makes no sense"):
        Route("a", "b", 1.0, success=1.2)


def test_the_lines_themselves() -> None:
    """Health 1 is not liquidated; health at the trigger is not served; what lands at the breach is too late."""
    at_one = Silo("A", "one", "ETH", 1, 1, 1)
    assert follow([at_one], [], [], {"ETH": [1, 1]}, None).liquidated_at == {}
    assert follow([at_one], [], [], {"ETH": [1, Decimal("0.999")]}, None).liquidated_at == {"A": 1}
    assert follow([at_one], [RESERVE], [LINK], {"ETH": [1, 1]}, 1).transfers == ()
    assert len(follow([at_one], [RESERVE], [LINK], {"ETH": [1, 1]}, Decimal("1.001")).transfers) == 1
    paths = np.array([[1.0, 0.9, 0.8, 0.8]])
    assert [liquidated_share(paths, 1.15, 0.5, 1.1, lag) for lag in (0, 1, None)] == [0.0, 1.0, 1.0]
    assert liquidated_share(paths, 1.15, 0.0, 1.1, 0) == 1.0
    assert liquidated_share(np.array([[1.0, 1.0]]), 1.0, 0.0, 1.1, None) == 0.0


@given(
    moves=st.lists(st.integers(-6, 5), min_size=1, max_size=12),
    health=st.integers(101, 130),
    share=st.integers(1, 40),
    lag=st.integers(0, 5),
)
def test_shares_are_those_of_the_exact_walk(moves: list[int], health: int, share: int, lag: int) -> None:
    prices = [Fraction(1)]
    for move in moves:
        prices.append(prices[-1] * (100 + move) / 100)
    debt = Fraction(100, health)
    silo, reserve = Silo("A", "one", "ETH", 1, 1, debt), Reserve("r", "two", debt * share / 100)
    walked = follow([silo], [reserve], [replace(LINK, lag=lag)], {"ETH": prices}, Fraction(105, 100))
    relative = np.array([[float(one) for one in prices]])
    near_a_line = any(
        abs(float(one) * health / 100 / (1 - gone) - line) < 1e-9 for one in prices for gone in (0, share / 100) for line in (1, 1.05)
    )
    if not near_a_line:
        assert liquidated_share(relative, health / 100, share / 100, 1.05, lag) == float(bool(walked.liquidated_at))


def test_closed_forms_at_the_edges() -> None:
    assert first_passage(1.0, 0.0, 0.5, 1) == 1.0
    assert first_passage(0.9, 0.05, 0.5, 1) == 1.0
    assert first_passage(0.9, 1.0, 0.5, 1) == 0.0
    assert first_passage(1.1, 0.0, 0.0, 24) == 0.0
    assert first_passage(1.05, 0.0, 0.8, 10**9) == pytest.approx(1.0, abs=1e-6)


def drawn_paths(volatility: float, paths: int = 4_000, steps: int = 168) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Martingale lognormal hourly paths."""
    step = volatility / np.sqrt(365 * 24)
    noise = np.random.default_rng(7).standard_normal((paths, steps))
    return np.asarray(np.exp(np.concatenate([np.zeros((paths, 1)), np.cumsum(step * noise - step * step / 2, axis=1)], axis=1)))


def test_transfers_lie_between_the_closed_forms() -> None:
    """Simulated shares: pooled ≤ every lag in order ≤ local only, and both ends near first passage watched hourly."""
    paths = drawn_paths(0.8)
    shares = [liquidated_share(paths, 1.10, 0.2, 1.05, lag) for lag in (0, 1, 3, 12, 24, 72, None)]
    assert all(one <= two for one, two in pairwise(shares))
    local, pooled = first_passage(1.10, 0.0, 0.8, 168), first_passage(1.10, 0.2, 0.8, 168)
    # watching hourly only misses the lows between: below the closed form, by little
    assert 0.8 * local < shares[-1] < local
    assert shares[0] <= local and pooled < shares[1]
    half = liquidated_share(paths, 1.10, 0.2, 1.05, 1, success=0.5)
    assert half == pytest.approx((shares[1] + shares[-1]) / 2)
    assert liquidated_share(paths, 1.10, 1.0, 1.05, 0) <= shares[0]


@pytest.mark.data
def test_the_measured_bracket() -> None:
    """Real hourly closes of ETH from 2021, 7 days, health 1.10 and 1.05, a keeper at 1.05 (1.03), reserve 20 % of the debt: in order, and
    within four points of what was measured on a window that ends ten months later."""
    file = VECTORS.parents[1] / "market/hourly.parquet"
    if not file.exists():
        pytest.skip("recorded prices are not here")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(file, columns=["symbol", "timestamp", "close"], filters=[("symbol", "=", "ETH")])
    times = np.asarray(table["timestamp"].to_numpy(), dtype="datetime64[s]")
    order = np.argsort(times)
    closes = table["close"].to_numpy()[order][times[order] >= np.datetime64("2021-01-01")]
    starts = np.arange(0, len(closes) - 168, 6)
    relative = closes[starts[:, None] + np.arange(169)] / closes[starts][:, None]
    for health, trigger, published in (
        (1.10, 1.05, {None: 26.0, 1: 2.6, 3: 4.3, 12: 10.8, 24: 16.8, 72: 23.4}),
        (1.05, 1.03, {None: 47.9, 1: 5.6, 3: 10.9, 12: 23.2, 24: 31.7, 72: 41.7}),
    ):
        found = {lag: 100 * liquidated_share(relative, health, 0.2, trigger, lag) for lag in published}
        assert sorted(found.values()) == [found[lag] for lag in (1, 3, 12, 24, 72, None)]
        assert found == pytest.approx(published, abs=4.0)
        assert found[None] == pytest.approx(published[None], abs=0.5)


@given(
    silos=st.lists(st.integers(101, 130), min_size=1, max_size=3),
    moves=st.lists(st.integers(-6, 4), min_size=1, max_size=10),
    reserves=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4)), max_size=2),
    lag=st.integers(0, 4),
    capacity=st.integers(0, 40),
)
def test_conservation_along_any_path(silos: list[int], moves: list[int], reserves: list[tuple[int, int]], lag: int, capacity: int) -> None:
    prices = [Decimal(1)]
    for move in moves:
        prices.append(prices[-1] * (100 + move) / 100)
    held = [Reserve(str(number), "two", Decimal(amount) / 100, locked) for number, (amount, locked) in enumerate(reserves)]
    owed = [Silo(str(number), "one", "ETH", 1, Decimal("0.8"), Decimal(80) / health) for number, health in enumerate(silos)]
    way = Link("two", "one", lag, Decimal(capacity) / 100)
    found = follow(owed, held, [way], {"ETH": prices}, Decimal("1.05"))
    sent = sum((one.amount for one in found.transfers), Fraction(0))
    assert sent + sum(found.left.values()) == sum(Fraction(one.amount) for one in held)
    assert sent <= Fraction(way.capacity) and all(one >= 0 for one in found.left.values())
    nobody = follow(owed, held, [way], {"ETH": prices}, None)
    # a rescue delays or prevents, and never brings a liquidation forward
    assert set(found.liquidated_at) <= set(nobody.liquidated_at)
    assert all(found.liquidated_at[name] >= nobody.liquidated_at[name] for name in found.liquidated_at)


# ---- the requirement


def two_silos(losses: list[list[float]], deadlines: list[list[float]] | None = None) -> Silos:
    return Silos(
        ("a", "b"),
        ("one", "two"),
        np.array(losses),
        tuple(f"s{number}" for number in range(len(losses[0]))),
        None if deadlines is None else np.array(deadlines),
    )


AT_ONCE = Keeper()
BOTH = (Route("one", "two", 1.0), Route("two", "one", 1.0))


def test_three_levels_by_hand() -> None:
    """100 lost on one side while 80 is gained on the other, and the other way round."""
    silos = two_silos([[100.0, -60.0], [-80.0, 90.0]])
    nobody = transferable(silos, BOTH, None)
    assert (nobody.isolated, nobody.transfer_aware, nobody.pooled) == (190, 190, 30)
    assert (nobody.isolated_worst, nobody.pooled_worst) == (("s0", "s1"), "s1")
    free = transferable(silos, BOTH, Keeper())
    assert (free.isolated, free.transfer_aware, free.pooled) == pytest.approx((190, 30, 30))
    assert (free.benefit, free.illusion, free.worst) == pytest.approx((160, 0, "s1"))
    # 30 may cross either way: 70 and 60 have to stand there
    narrow = transferable(silos, [replace(one, capacity=30.0) for one in BOTH], Keeper())
    assert narrow.transfer_aware == pytest.approx(70 + 60)
    np.testing.assert_allclose(narrow.placed, [70, 60])
    # one way only
    assert transferable(silos, BOTH[:1], Keeper()).transfer_aware == pytest.approx(100)
    assert transferable(silos, BOTH[1:], Keeper()).transfer_aware == pytest.approx(90)
    # half of what is sent arrives, and what stands on the other side may be sent too: 40 on either
    assert transferable(silos, [replace(one, success=0.5) for one in BOTH], Keeper()).transfer_aware == pytest.approx(40 + 40)
    assert transferable(silos, [replace(one, success=0.5) for one in BOTH], Keeper(least_success=0.9)).transfer_aware == 190
    assert transferable(silos, [replace(one, success=0.5) for one in BOTH], Keeper(least_success=0.5)).transfer_aware == pytest.approx(80)
    assert transferable(silos, [replace(one, cost=0.5) for one in BOTH], Keeper()).transfer_aware == pytest.approx(80)


def test_liquidation_wins_ties() -> None:
    silos = two_silos([[100.0], [-80.0]], [[6.0], [np.inf]])
    assert transferable(silos, [Route("two", "one", 5.0)], Keeper()).transfer_aware == pytest.approx(20)
    assert transferable(silos, [Route("two", "one", 6.0)], Keeper()).transfer_aware == 100
    assert transferable(silos, [Route("two", "one", 4.4)], Keeper(reaction=1.5)).transfer_aware == pytest.approx(20)
    assert transferable(silos, [Route("two", "one", 4.5)], Keeper(reaction=1.5)).transfer_aware == 100
    unbonding = replace(silos, released=(0.0, 3.0))
    assert transferable(unbonding, [Route("two", "one", 2.0)], Keeper()).transfer_aware == pytest.approx(20)
    assert transferable(unbonding, [Route("two", "one", 3.5)], Keeper()).transfer_aware == 100


def test_within_one_chain_only_the_release_counts() -> None:
    silos = Silos(("a", "b"), ("one", "one"), np.array([[100.0], [-80.0]]), ("s",), np.array([[2.0], [np.inf]]))
    assert transferable(silos, [], Keeper()).transfer_aware == pytest.approx(20)
    assert transferable(replace(silos, released=(0.0, 2.0)), [], Keeper()).transfer_aware == 100
    assert transferable(silos, [], None).transfer_aware == 100


def test_nobody_passes_on_what_has_not_arrived() -> None:
    """a loses, c gains, and only b between them has routes: b can advance no more than it holds."""
    silos = Silos(("a", "b", "c"), ("one", "two", "three"), np.array([[100.0], [0.0], [-100.0]]), ("s",))
    chained = [Route("two", "one", 1.0), Route("three", "two", 1.0)]
    found = transferable(silos, chained, Keeper())
    assert found.pooled == 0 and found.transfer_aware == pytest.approx(100)
    assert transferable(silos, [*chained, Route("three", "one", 1.0)], Keeper()).transfer_aware == pytest.approx(0)


def test_a_capacity_is_shared_by_all_silos_of_a_chain() -> None:
    losses = np.array([[50.0], [50.0], [-200.0]])
    silos = Silos(("a", "b", "c"), ("one", "one", "two"), losses, ("s",))
    assert transferable(silos, [Route("two", "one", 0.0, 60.0)], Keeper()).transfer_aware == pytest.approx(40)


def test_a_rate_limiter_bounds_what_crosses() -> None:
    assert Route.limited("one", "two", 1.0, 50.0, 10.0, 25.0).capacity == 290
    assert Route.limited("one", "two", 30.0, 50.0, 10.0, 25.0).capacity == 50


def test_nothing_at_all() -> None:
    assert transferable(Silos((), (), np.zeros((0, 0)), ()), BOTH, Keeper()).isolated == 0
    nobody = transferable(Silos(("a",), ("one",), np.zeros((1, 0)), ()), BOTH, Keeper())
    assert (nobody.isolated, nobody.transfer_aware, nobody.pooled, nobody.isolated_worst) == (0, 0, 0, (None,))
    quiet = transferable(two_silos([[-1.0], [0.0]]), BOTH, Keeper())
    assert (quiet.isolated, quiet.transfer_aware, quiet.pooled, quiet.worst, quiet.pooled_worst) == (0, 0, 0, None, None)
    assert quiet.isolated_worst == (None, None)
    small = transferable(two_silos([[0.5], [-2.0]]), BOTH, Keeper())
    assert (small.isolated, small.transfer_aware) == pytest.approx((0.5, 0)) and small.isolated_worst == ("s0", None)
    with pytest.raises(ValueError, match="not finite"):
        two_silos([[np.nan], [1.0]])
    with pytest.raises(ValueError, match="shape"):
        two_silos([[1.0], [1.0]], [[1.0, 2.0], [1.0, 2.0]])


AMOUNTS = st.lists(st.integers(-100, 100), min_size=8, max_size=8)


@settings(deadline=None, max_examples=60)
@given(first=AMOUNTS, second=AMOUNTS, there=st.integers(0, 120), back=st.integers(0, 120))
def test_two_silos_by_enumeration(first: list[int], second: list[int], there: int, back: int) -> None:
    """Exactly max( Σ of what no route covers, what all lose together )."""
    losses = np.array([first, second], dtype=np.float64)
    found = transferable(two_silos(losses.tolist()), [Route("one", "two", 1.0, there), Route("two", "one", 1.0, back)], Keeper())
    uncovered = max(losses[0].max() - back, 0.0) + max(losses[1].max() - there, 0.0)
    assert found.transfer_aware == pytest.approx(max(uncovered, losses.sum(axis=0).max(), 0.0), abs=1e-6)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Silos, list[Route]]:
    count, scenarios = draw(st.integers(2, 4)), draw(st.integers(1, 5))
    numbers = st.lists(st.integers(-100, 100), min_size=scenarios, max_size=scenarios)
    losses = np.array(draw(st.lists(numbers, min_size=count, max_size=count)), dtype=np.float64)
    hours = st.lists(st.integers(1, 30), min_size=scenarios, max_size=scenarios)
    deadlines = np.array(draw(st.lists(hours, min_size=count, max_size=count)), dtype=np.float64)
    places = tuple(draw(st.lists(st.sampled_from(["one", "two", "three"]), min_size=count, max_size=count)))
    chains = st.sampled_from(["one", "two", "three"])
    routes = draw(
        st.lists(
            st.builds(
                Route, chains, chains, st.integers(0, 30).map(float), st.integers(0, 150).map(float), st.sampled_from([0.0, 0.5, 0.9, 1.0])
            ),
            max_size=5,
        )
    )
    names = tuple(f"k{number}" for number in range(count))
    return Silos(names, places, losses, tuple(f"s{number}" for number in range(scenarios)), deadlines), routes


@settings(deadline=None, max_examples=80)
@given(world=worlds(), extra=st.sampled_from([("one", "two"), ("two", "three"), ("three", "one")]), data=st.data())
def test_laws(world: tuple[Silos, list[Route]], extra: tuple[str, str], data: st.DataObject) -> None:
    silos, routes = world

    def figure(ways: list[Route], keeper: Keeper | None = AT_ONCE) -> float:
        return transferable(silos, ways, keeper).transfer_aware

    found = transferable(silos, routes, Keeper())
    near = 1e-6
    assert found.isolated + near >= found.transfer_aware >= found.pooled - near >= -near
    # no keeper, or a lag without end: isolated
    assert figure(routes, None) == pytest.approx(found.isolated)
    apart = replace(silos, places=silos.names)
    assert transferable(apart, [replace(one, lag=np.inf) for one in routes], Keeper()).transfer_aware == pytest.approx(found.isolated)
    # every place joined, at once and without limit: pooled
    places = sorted(set(silos.places))
    free = [Route(one, two, 0.0) for one in places for two in places if one != two]
    assert figure(free) == pytest.approx(found.pooled, abs=near)
    # another route never hurts, nor does more capacity, success, speed, or a quicker keeper
    assert figure([*routes, Route(*extra, 2.0)]) <= found.transfer_aware + near
    if routes:
        at = data.draw(st.integers(0, len(routes) - 1))
        for better in (
            replace(routes[at], capacity=routes[at].capacity + 25),
            replace(routes[at], success=min(routes[at].success + 0.25, 1.0)),
            replace(routes[at], lag=routes[at].lag / 2),
        ):
            assert figure([*routes[:at], better, *routes[at + 1 :]]) <= found.transfer_aware + near
    assert figure(routes, Keeper(reaction=3.0)) >= found.transfer_aware - near
    # later deadlines never hurt; homogeneous; the order of silos and scenarios does not matter
    assert silos.deadlines is not None
    assert transferable(replace(silos, deadlines=silos.deadlines + 5), routes, Keeper()).transfer_aware <= found.transfer_aware + near
    larger = [replace(one, capacity=3 * one.capacity) for one in routes]
    assert transferable(replace(silos, losses=3 * silos.losses), larger, Keeper()).transfer_aware == pytest.approx(
        3 * found.transfer_aware, abs=near
    )
    turned = Silos(
        silos.names[::-1], silos.places[::-1], silos.losses[::-1, ::-1].copy(), silos.scenarios[::-1], silos.deadlines[::-1, ::-1].copy()
    )
    assert transferable(turned, routes, Keeper()).transfer_aware == pytest.approx(found.transfer_aware, abs=near)
