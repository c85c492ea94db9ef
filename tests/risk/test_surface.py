"""The liquidation surface agrees with what-if at every point, its boundary lies on the line, and its distance is the nearest."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aggregator.model.errors import InputError
from aggregator.model.position import MarginAccount
from aggregator.risk.prepared import prepare
from aggregator.risk.shock import Shock
from aggregator.risk.surface import FARTHEST_DAYS, SMALLEST_DAY, drivers, surface
from aggregator.risk.what_if import WhatIf
from tests.builders import LINK, USDC, WBTC, WETH, WSTETH, account, book, borrowed, portfolio, supplied, walk
from tests.risk.strategies import QUICK, margin_account

HISTORY = (walk("ETH", 0.03, 90),)


def look(*accounts: MarginAccount) -> WhatIf:
    return WhatIf(prepare(portfolio(accounts), book(), HISTORY, QUICK))


LEVERED = account(supplied(WETH, 10), borrowed(USDC, 11_200))


def test_drivers_that_matter_most_come_first_and_pegs_after_the_market() -> None:
    view = look(account(supplied(WETH, 5), supplied(WSTETH, 1), supplied(LINK, 10), borrowed(USDC, 5000), borrowed(WBTC, "0.01")))
    names = [one.name for one in drivers(view, 0)]
    assert names[:3] == ["ETH", "BTC", "LINK"] and names[3:] == ["USDC", "lst:stETH", "wrapped-btc:WBTC"]
    assert all(one.daily >= SMALLEST_DAY for one in drivers(view, 0))
    assert [one.is_basis for one in drivers(view, 0)] == [False, False, False, False, True, True]


def test_the_grid_is_the_health_of_what_if() -> None:
    view = look(LEVERED)
    made = surface(view, 0, "ETH", "USDC", [-0.5, -0.3, 0.0, 0.25], [-0.1, 0.0, 0.1])
    assert made.health.shape == (3, 4) and (made.horizontal.name, made.vertical and made.vertical.name) == ("ETH", "USDC")
    for row, up in enumerate(("-0.1", "0", "0.1")):
        for column, across in enumerate(("-0.5", "-0.3", "0", "0.25")):
            state = view.after(Shock({"ETH": 1 + Fraction(across), "USDC": 1 + Fraction(up)})).accounts[0]
            assert state.health is not None and made.health[row, column] == pytest.approx(float(state.health), rel=1e-12)
            assert bool(made.liquidatable[row, column]) is state.liquidatable


def test_a_point_on_the_line_is_decided_exactly() -> None:
    made = surface(look(LEVERED), 0, "ETH", "USDC", [-0.3001, -0.3, -0.2999], [0.0])
    assert made.liquidatable[0].tolist() == [True, False, False]
    beyond = surface(look(account(supplied(WETH, 10), borrowed(USDC, "11200.000001"))), 0, "ETH", "USDC", [-0.3], [0.0])
    assert beyond.liquidatable.tolist() == [[True]]


def test_the_boundary_lies_on_the_line_and_the_distance_is_its_nearest_point() -> None:
    view = look(LEVERED)
    made = surface(view, 0)
    moves, days = made.boundary.moves, made.boundary.days
    assert len(days) > 20 and made.boundary.distance == days.min()
    healths = 16_000 * (1 + moves[:, 0]) / (11_200 * (1 + moves[:, 1]))
    np.testing.assert_allclose(healths, 1.0, rtol=1e-9)
    sigma = np.array([made.horizontal.daily, made.vertical.daily if made.vertical is not None else np.nan])
    np.testing.assert_allclose(np.hypot(*(np.log1p(moves) / sigma).T), days, rtol=1e-9)
    # in logarithms the line is straight: ln(1+x) − ln(1+y) = ln .7, so the nearest point is known in closed form
    exact = -np.log(0.7) / np.hypot(*sigma)
    assert made.boundary.distance == pytest.approx(exact, rel=2e-3) and made.boundary.distance >= exact * (1 - 1e-12)
    assert made.boundary.nearest is not None and made.boundary.nearest[0] < -0.2 < 0 < made.boundary.nearest[1]


def test_an_account_of_one_driver_has_one_row() -> None:
    view = look(account(supplied(LINK, 1000, "0.5"), borrowed(LINK, 100)))
    made = surface(view, 0)
    assert made.vertical is None and made.health.shape[0] == 1 and made.boundary.distance is None and made.boundary.nearest is None
    np.testing.assert_allclose(made.health, 5.0)


def test_a_loop_is_endangered_by_the_discount_and_by_no_price() -> None:
    made = surface(look(account(supplied(WSTETH, 10, "0.95"), borrowed(WETH, 10))), 0)
    assert made.vertical is not None and made.vertical.name == "lst:stETH"
    np.testing.assert_allclose(made.boundary.moves[:, 1], 20 / 22.8 - 1, rtol=1e-9)
    assert made.boundary.nearest is not None and abs(made.boundary.nearest[0]) < 1e-9
    np.testing.assert_allclose(made.health, np.broadcast_to(made.health[:, :1], made.health.shape))


def test_below_the_line_the_distance_is_nothing() -> None:
    made = surface(look(account(supplied(WETH, 1), borrowed(USDC, 1700))), 0)
    assert made.boundary.distance == 0.0
    middle = made.across.tolist().index(0.0), made.up.tolist().index(0.0)
    assert made.liquidatable[middle[1], middle[0]]


def test_the_range_shows_the_line_today_and_what_is_asked_for() -> None:
    made = surface(look(LEVERED), 0)
    assert 0.0 in made.across and made.across.min() < -0.3 and made.across.max() == -made.across.min()
    wider = surface(look(LEVERED), 0, show={"ETH": -0.75})
    assert wider.across.min() < -0.75 and surface(look(LEVERED), 0, show={"ETH": 5.0}).across.max() == 0.9


def test_what_makes_no_surface_is_said() -> None:
    view = look(LEVERED, account(supplied(WETH, 1)))
    for arguments, said in (((1,), "owes nothing"), ((0, "LINK"), "follows? .*ETH, USDC"), ((0, "ETH", "ETH"), "both axes")):
        with pytest.raises(InputError, match=said):
            surface(view, *arguments)
    with pytest.raises(InputError, match="100"):
        surface(view, 0, "ETH", "USDC", [-1.5], [0.0])
    with pytest.raises(InputError, match="finite"):
        surface(view, 0, "ETH", "USDC", [float("nan")], [0.0])


@settings(max_examples=40, deadline=None)
@given(margin_account(), st.integers(-95, 120), st.integers(-60, 60))
def test_any_account_at_any_point(one: MarginAccount, across: int, up: int) -> None:
    view = look(one)
    assume(0 in view.prepared.claims.by_account)
    there = drivers(view, 0)
    assume(len(there) > 1)
    first, second = there[0].name, there[1].name
    made = surface(view, 0, first, second, [across / 100], [up / 100])
    state = view.after(Shock({first: 1 + Fraction(across, 100), second: 1 + Fraction(up, 100)})).accounts[0]
    if state.health is not None and (across or up):
        assert made.health[0, 0] == pytest.approx(float(state.health), rel=1e-9, abs=1e-12)
        if abs(state.health - 1) > 1e-12:
            assert bool(made.liquidatable[0, 0]) is state.liquidatable
    assert made.boundary.days.max(initial=0.0) <= FARTHEST_DAYS
    for x, y in made.boundary.moves.tolist():
        assert x >= -1 and y >= -1
