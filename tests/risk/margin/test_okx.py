"""OKX's risk units against the published response, worked examples, and their laws."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginBook
from aggregator.risk.margin.market import Market, Quote
from aggregator.risk.margin.okx import MODEL, PUBLISHED
from aggregator.risk.margin.okx_units import UnitTerms, tiered, unit
from aggregator.risk.margin.quotes import quotes
from tests.risk.margin.kit import book, decimal, market_of, option, perpetual, vectors


@pytest.mark.data
def test_the_published_position_builder_response() -> None:
    """MR1 with its grid, MR4, MR6, MMR and IMR of every unit.

    The unit's delta cash and the base of its spot shock differ by the settlement coin's price in USD.
    """
    for case in vectors("okx_position_builder")["cases"]:
        expected, name = case["expected"], case["unit"]
        cash = decimal(case["delta_cash"])
        made = MarginBook((Holding(Instrument(InstrumentKind.PERPETUAL, name, settlement="USDT"), cash, unrealised=Decimal(0)),))
        stable = case["mr1_base_cash"] / case["delta_cash"]
        market = Market(0.0, {name: Quote(1.0)}, perpetuals={name: Quote(1.0)}, stable=stable)
        terms = UnitTerms(case["max_move"], case["extreme_move"], PUBLISHED.units["BTC"].annual_basis, case["mr4_rate"])
        parameters = replace(PUBLISHED, units={name: terms})
        found = unit(made, quotes(made, market), market, parameters)
        assert [f"{move:.2f}" for move in found.moves] == [f"{float(move):.2f}" for move in expected["mr1_grid"]]
        for state in range(3):
            assert found.grid[:, state] == pytest.approx(list(expected["mr1_grid"].values()), rel=1e-9)
        assert found.charges.mr1 == pytest.approx(expected["mr1"], rel=1e-9)
        assert found.charges.mr4 == pytest.approx(expected["mr4"], rel=1e-9)
        assert found.charges.mr6 == pytest.approx(expected["mr6"], rel=1e-9)
        for key in ("mr2", "mr3", "mr5", "mr9"):
            assert getattr(found.charges, key) == pytest.approx(expected[key], abs=1e-9)
        assert found.charges.maintenance == pytest.approx(expected["mmr"], rel=1e-9)
        initial = MODEL.requirement(made, market, parameters, Kind.INITIAL)
        assert initial.amount == pytest.approx(expected["imr"], rel=1e-9)


@pytest.mark.data
def test_the_published_account_totals() -> None:
    """Σ units + borrowing, and 1.3·Σ units + borrowing."""
    account = vectors("okx_position_builder")["account"]
    units = account["expected_deriv_mmr"]
    # one unit that requires as much as the example's together
    made, market = book(perpetual(-1, unrealised=0)), market_of([perpetual(-1)], price=units)
    terms = UnitTerms(1.0, 1.0, 0.0, 0.0, 0.0)
    parameters = replace(
        PUBLISHED,
        units={"ETH": terms},
        borrowing_maintenance=account["borrow_mmr"],
        borrowing_initial=account["borrow_imr"],
    )
    assert MODEL.requirement(made, market, parameters, Kind.MAINTENANCE).amount == pytest.approx(account["expected_total_mmr"], rel=1e-12)
    assert MODEL.requirement(made, market, parameters, Kind.INITIAL).amount == pytest.approx(account["expected_total_imr"], rel=1e-12)


def test_the_extreme_move_counts_half_its_loss() -> None:
    """Far calls lose little at 12 % and much at 24 %."""
    made = book(option(3600, -10))
    found = MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.MAINTENANCE)
    assert found.worst_scenario == "extreme move"
    assert found.components["ETH-mr6"] > found.components["ETH-mr1"]


def test_no_offset_between_underlyings() -> None:
    long, short = perpetual(1, underlying="BTC", unrealised=0), perpetual(-25, underlying="ETH", unrealised=0)
    market = market_of([long, short], prices={"BTC": 65_000.0, "ETH": 2_600.0})
    together = MODEL.requirement(book(long, short), market, PUBLISHED, Kind.MAINTENANCE)
    apart = sum(MODEL.requirement(book(one), market, PUBLISHED, Kind.MAINTENANCE).amount for one in (long, short))
    assert together.amount == pytest.approx(apart)


def test_basis_by_expiry_and_not_across() -> None:
    """A perpetual against options of 30 days: .2 % of each side's delta cash, 5 % a year of the dated one where that is more."""
    made = book(perpetual(1, unrealised=0), perpetual(-1, unrealised=0))
    assert MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.MAINTENANCE).components["ETH-mr4"] == 0.0
    synthetic = book(perpetual(1, unrealised=0), option(2600, -1), option(2600, 1, call=False))
    charged = MODEL.requirement(synthetic, market_of(synthetic.holdings), PUBLISHED, Kind.MAINTENANCE).components["ETH-mr4"]
    assert charged == pytest.approx(2600 * (0.002 + 0.05 * 30 / 365))


@pytest.mark.parametrize(("raw", "charged"), [(5_000, 5_000), (10_000, 10_000), (30_000, 10_000 + 40_000), (80_000, 130_000 + 40_000)])
def test_the_minimum_charge_by_tiers(raw: float, charged: float) -> None:
    assert tiered(raw, PUBLISHED.tiers) == pytest.approx(charged)


def test_what_is_not_published_is_said() -> None:
    made = book(option(2600, -1))
    found = MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.INITIAL)
    assert not found.verified
    assert any("MR3" in note for note in found.notes)
    assert MODEL.requirement(book(perpetual(1)), market_of([perpetual(1)]), PUBLISHED, Kind.INITIAL).verified
    with pytest.raises(Inapplicable, match="no future"):
        MODEL.requirement(book(), market_of([]), PUBLISHED, Kind.INITIAL)


def test_each_parts_driver_sums_to_the_charge() -> None:
    for made in (book(option(3600, -10)), book(perpetual(-1, unrealised=0)), book(option(2600, 1), option(2600, 1, call=False))):
        found = MODEL.requirement(made, market_of(made.holdings), PUBLISHED, Kind.MAINTENANCE)
        assert np.isclose(found.attribution.parts.sum(), found.amount)
