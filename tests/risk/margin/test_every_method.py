"""What must hold of every method on any book that it takes: figures that are numbers, parts that sum, an order that decides nothing.

The books reach the edges: options that expire now or are worth nothing, both sides of one contract, specks and nothing at all, debts,
volatilities near 0, oracles at their threshold, a stable coin off its peg.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import Inapplicable, Kind, MarginBook, MissingInput
from aggregator.risk.margin.market import SECONDS_PER_DAY, Market, Quote
from aggregator.risk.margin.pooling import pooling
from aggregator.risk.margin.registry import models
from tests.risk.margin.kit import decimal, market_of, option, perpetual, spot

PRICES = {"ETH": 2_600.0, "BTC": 60_000.0, "SOL": 150.0, "weETH": 2_800.0}
NAMES = st.sampled_from(["ETH", "BTC", "SOL"])
SIZES = st.sampled_from([-1_000, -5, -1, -1e-9, 0, 1e-9, 1, 3, 1_000])
DAYS = st.sampled_from([0, 1e-4, 0.5, 30, 400])
OPTIONS = st.builds(
    lambda name, share, size, days, call: option(
        round(PRICES[name] * share, 4), size, call=call, expiry=int(days * SECONDS_PER_DAY), underlying=name
    ),
    NAMES,
    st.sampled_from([0.01, 0.5, 1, 1.5, 20]),
    SIZES,
    DAYS,
    st.booleans(),
)
PERPETUALS = st.builds(
    lambda name, size, profit: perpetual(size, unrealised=profit, underlying=name), NAMES, SIZES, st.sampled_from([None, -9, 0, 7])
)
ASSETS = st.builds(lambda name, size: spot(name, size, "ETH" if name == "weETH" else None), st.sampled_from(list(PRICES)), SIZES)
FUTURES = st.builds(
    lambda name, size, days: Holding(
        Instrument(InstrumentKind.FUTURE, name, int(days * SECONDS_PER_DAY)), decimal(size), unrealised=Decimal(0)
    ),
    NAMES,
    SIZES,
    DAYS,
)
HOLDINGS = st.one_of(
    st.lists(OPTIONS, min_size=1, max_size=5),
    st.lists(PERPETUALS, min_size=1, max_size=5),
    st.lists(st.one_of(PERPETUALS, ASSETS), min_size=1, max_size=5),
    st.lists(st.one_of(OPTIONS, OPTIONS, PERPETUALS, ASSETS, FUTURES), min_size=1, max_size=6),
)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[MarginBook, Market]:
    """A book and its market; sometimes with the other side of its first holding."""
    held = draw(HOLDINGS)
    if draw(st.booleans()):
        held = [*held, replace(held[0], size=-held[0].size, unrealised=None if held[0].unrealised is None else -held[0].unrealised)]
    market = market_of(held, 2_600.0, draw(st.sampled_from([1e-12, 0.05, 0.6, 5.0])), draw(st.sampled_from([-0.05, 0.0, 0.1])), PRICES)
    confidence = draw(st.sampled_from([1.0, 0.0, 0.549, 0.55]))
    doubted = {name: Quote(one.value, confidence) for name, one in market.spot.items()}
    cash = draw(st.sampled_from([-1e6, -1.0, 0.0, 1.0, 1e5]))
    return MarginBook(tuple(held), cash), replace(market, spot=doubted, stable=draw(st.sampled_from([1.0, 0.5, 1.05])))


@pytest.mark.parametrize("name", list(models()))
@given(scene=scenes(), kind=st.sampled_from(list(Kind)))
@settings(max_examples=40, deadline=None)
def test_figures_are_figures(name: str, scene: tuple[MarginBook, Market], kind: Kind) -> None:
    (book, market), model = scene, models()[name]
    parameters = model.default_parameters()
    if model.refusal(book, market) is not None:
        with pytest.raises(Inapplicable, match=f"{name} does not apply: "):
            model.requirement(book, market, parameters, kind)
        return
    try:
        found = model.requirement(book, market, parameters, kind)
        alone = model.isolated(book, market, parameters, kind)
    except (Inapplicable, MissingInput) as reason:
        assert str(reason)
        return
    scale = max(1.0, found.amount, float(np.abs(found.attribution.parts).max(initial=0.0)))
    assert np.isfinite(found.amount) and found.amount >= -1e-9 * scale
    assert found.attribution.parts.shape == alone.shape == (len(book),)
    assert found.attribution.parts.sum() == pytest.approx(found.amount, abs=1e-6 * scale)
    assert np.isfinite(alone).all() and alone.min(initial=0.0) >= -1e-9 * scale
    assert np.isfinite(found.scenarios.pnl).all()
    assert found.equity is None or np.isfinite(found.equity)
    assert all(np.isfinite(one) for one in found.components.values())
    if kind is Kind.MAINTENANCE:
        opening = model.requirement(book, market, parameters, Kind.INITIAL)
        assert opening.amount >= found.amount - 1e-9 * scale
    backwards = model.requirement(MarginBook(tuple(reversed(book.holdings)), book.cash), market, parameters, kind)
    assert backwards.amount == pytest.approx(found.amount, abs=1e-6 * scale)
    assert backwards.inputs_hash == found.inputs_hash


@given(scene=scenes())
@settings(max_examples=40, deadline=None)
def test_pooling_is_figures_too(scene: tuple[MarginBook, Market]) -> None:
    found = pooling(*scene)
    for pair in (*found.delta.values(), *found.vega.values(), found.initial, found.maintenance):
        assert np.isfinite(pair.isolated) and np.isfinite(pair.cross)
    for cascade in (found.isolated_cascade, found.cross_cascade):
        assert cascade is None or (0 <= cascade.impact <= 1 and np.isfinite(cascade.cost) and cascade.rounds >= 1)


@pytest.mark.parametrize("name", ["paradex", "deribit", "hyperliquid", "synthetix", "derive-pmrm", "derive-pmrm2", "derive-standard"])
def test_venues_that_lend_no_asset_refuse_a_debt(name: str) -> None:
    book = MarginBook((perpetual(1, unrealised=0), spot("ETH", -1)))
    assert "borrow" in (models()[name].refusal(book, market_of(book.holdings)) or "")
