"""Haircuts never fall when age, size or volatility rises."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.identifiers import ChainId, evm_chain
from aggregator.model.portfolio import Portfolio
from aggregator.model.position import Position
from aggregator.model.token import Token
from aggregator.risk.assessment import assess
from aggregator.risk.classes import BASES, FACTORS, NO_JUMP, BasisClass, FactorClass, Jump
from aggregator.risk.exposure import Lot, expose
from aggregator.risk.haircut_depth import Depth, constant_product
from aggregator.risk.haircuts import (
    QUEUE_DAYS,
    QUEUE_YIELD,
    RARE,
    Haircut,
    HaircutModel,
    basis_part,
    jump_quantile,
    liquidity_part,
    market_part,
    structure_part,
)
from aggregator.risk.policy import DEFAULT
from aggregator.risk.valuation import Valuation, value_portfolio
from aggregator.risk.volatility import Volatility, VolatilitySource
from tests.builders import (
    ARBITRUM,
    DAI,
    ETHEREUM,
    LINK,
    OUSG,
    PAIR,
    SPAM,
    STETH,
    USDC,
    WBTC,
    WETH,
    WSTETH,
    book,
    concentrated,
    leg,
    on,
    portfolio,
    price,
    wallet,
)
from tests.risk.strategies import QUICK


def moving(daily: float, factor_class: FactorClass = FactorClass.ETH) -> Volatility:
    return Volatility("X", factor_class, daily, VolatilitySource.CLASS, 0.0, 0)


def cut_of(*positions: Position, prices: object = None, place: int = 0) -> Haircut:
    result = assess(portfolio((), positions), prices or book(), (), QUICK)  # type: ignore[arg-type]
    cut = result.positions[place].legs[0].haircut
    assert cut is not None
    return cut


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.floats(0, 1e3), st.floats(0, 1e3))
def test_the_market_part_rises_with_volatility_and_time(one: float, other: float, age: float, older: float) -> None:
    low, high = sorted((one, other))
    young, old = sorted((age, older))
    base = market_part(moving(low), young, DEFAULT)
    assert 0.0 <= base <= market_part(moving(high), young, DEFAULT) <= 1.0
    assert base <= market_part(moving(low), old, DEFAULT) <= 1.0


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.sampled_from(FactorClass))
def test_the_liquidity_part_rises_with_size(one: float, other: float, kind: FactorClass) -> None:
    small, large = sorted((one, other))
    assert 0.0 <= liquidity_part(moving(0.05, kind), small) <= liquidity_part(moving(0.05, kind), large) <= 1.0


@pytest.mark.parametrize(
    ("kind", "daily", "expected"),
    [(FactorClass.BTC, 0.035, 0.0006), (FactorClass.ETH, 0.044, 0.0009), (FactorClass.VOLATILE, 0.062, 0.0088)],
)
def test_selling_a_million_costs_what_was_measured(kind: FactorClass, daily: float, expected: float) -> None:
    assert liquidity_part(moving(daily, kind), 1e6) == pytest.approx(expected, rel=0.05)
    assert liquidity_part(moving(daily, kind), 1e8) == pytest.approx(10 * expected, rel=0.05)


def test_splitting_a_holding_changes_nothing() -> None:
    whole = cut_of(*wallet(leg(LINK, 1_000_000)))
    parts = cut_of(*wallet(*(leg(LINK, 100_000) for _ in range(10))))
    assert parts.total == pytest.approx(whole.total)
    assert whole.liquidity > cut_of(*wallet(leg(LINK, 1000))).liquidity


def test_riskier_kinds_are_cut_more() -> None:
    cuts = [cut_of(*wallet(leg(token, amount))).total for token, amount in ((USDC, 1000), (WETH, 1), (WSTETH, 1))]
    assert cuts == sorted(cuts)
    assert cut_of(*wallet(leg(OUSG, 10))).total < cuts[0]
    assert cut_of(*wallet(leg(STETH, 1))).basis == pytest.approx(cut_of(*wallet(leg(WSTETH, 1))).basis)
    assert cut_of(*wallet(leg(WBTC, 1))).structure > 0


def test_an_unknown_token_with_a_price_is_cut_hard() -> None:
    prices = {**book(), SPAM.asset: price(SPAM, "1")}
    assert cut_of(*wallet(leg(SPAM, 10)), prices=prices).total > 0.5


def test_an_old_price_is_cut_more() -> None:
    fresh, old = ({**book(), OUSG.asset: price(OUSG, "110", age=age)} for age in (0, 30 * 86_400))
    assert cut_of(*wallet(leg(OUSG, 10)), prices=old).market > cut_of(*wallet(leg(OUSG, 10)), prices=fresh).market


def test_a_pair_is_revalued_and_not_averaged() -> None:
    pair = cut_of(*wallet(leg(PAIR, 1)))
    eth, usdc = cut_of(*wallet(leg(WETH, 1))), cut_of(*wallet(leg(USDC, 1)))
    assert pair.market == pytest.approx(1 - np.sqrt((1 - eth.market) * (1 - usdc.market)))


def test_a_narrow_range_is_cut_more_than_a_wide_one() -> None:
    cuts = [cut_of(concentrated(WETH, USDC, 2000 / width, 2000 * width, 2000, 10**15)).market for width in (1.02, 1.2, 3.0, 100.0)]
    assert cuts == sorted(cuts, reverse=True)
    assert cut_of(concentrated(WETH, USDC, 2500, 3000, 2000, 10**15)).market == pytest.approx(
        cut_of(*wallet(leg(WETH, 1))).market, rel=1e-3
    )


def test_both_legs_of_a_range_carry_the_position_s_haircut() -> None:
    result = assess(portfolio((), [concentrated(WETH, USDC, 1500, 2500, 2000, 10**15)]), book(), (), QUICK)
    first, second = result.positions[0].legs
    assert first.haircut == second.haircut


def test_the_shown_share_is_rounded_up() -> None:
    assert Haircut(0.1234567, 0.0, 0.0, 0.0).share == Decimal("0.123457")
    assert Haircut(0.0, 0.0, 0.0, 0.0).share == 0
    assert Haircut(1.0, 0.5, 0.0, 0.0).share == 1


@settings(max_examples=25, deadline=None)
@given(st.sampled_from((WETH, WBTC, LINK, USDC, DAI, OUSG, WSTETH)), st.integers(1, 10**6), st.integers(2, 50))
def test_the_total_rises_with_size(token: Token, amount: int, factor: int) -> None:
    small, large = cut_of(*wallet(leg(token, amount))), cut_of(*wallet(leg(token, amount * factor)))
    assert large.total >= small.total - 1e-12
    assert large.liquidity > small.liquidity and large.market >= small.market and large.basis >= small.basis
    assert large.structure == small.structure


def test_a_dynamic_quantile_replaces_the_class_and_grows_with_the_window() -> None:
    own = replace(moving(0.05), path=0.12)
    assert market_part(own, 1.0, DEFAULT) == pytest.approx(1 - float(np.exp(-0.12)))
    parts = [market_part(own, days, DEFAULT) for days in (0.1, 1.0, 3.0, 30.0)]
    assert parts == sorted(parts) and parts[0] < parts[1] < parts[3] < 1.0
    assert market_part(moving(0.05), 1.0, DEFAULT) == pytest.approx(1 - float(np.exp(-3.02 * 0.05)))


def test_the_quantile_of_jumps_is_exceeded_as_rarely_as_it_says() -> None:
    jump = Jump(2.0, 0.03, 0.5)
    worst = jump_quantile(jump, 10.0)
    random = np.random.default_rng(0)
    counts = random.poisson(2.0 * 10 / 365, size=400_000)
    largest = np.array([random.exponential(0.03, size=count).max() if count else 0.0 for count in counts])
    assert float(np.mean(largest > worst)) == pytest.approx(RARE, rel=0.15)
    assert jump_quantile(jump, 0.0) == 0.0 == jump_quantile(NO_JUMP, 10.0)
    assert jump_quantile(jump, 1e9) == 0.5


def test_the_basis_is_the_largest_of_class_jump_and_queue() -> None:
    lst, credit = moving(0.044), moving(0.004, FactorClass.RWA_CREDIT)
    assert basis_part(Lot("ETH", ("lst:stETH",)), lst) == pytest.approx(QUEUE_YIELD * QUEUE_DAYS / 365)
    assert basis_part(Lot("BTC", ("wrapped-btc:WBTC",)), moving(0.035, FactorClass.BTC)) == pytest.approx(
        BASES[BasisClass.WRAPPED_BTC].haircut
    )
    assert basis_part(Lot("X"), credit, 1.0) == pytest.approx(FACTORS[FactorClass.RWA_CREDIT].peg_haircut)
    month = basis_part(Lot("X"), credit, 31.0)
    assert month == pytest.approx(jump_quantile(FACTORS[FactorClass.RWA_CREDIT].jump, 31.0)) and month > 0.15


def test_a_chains_bridge_is_charged_to_what_is_not_at_home_there() -> None:
    avalanche, arbitrum = evm_chain(43114), evm_chain(42161)
    coin = moving(0.06, FactorClass.VOLATILE)
    assert structure_part(Lot("AVAX"), coin, avalanche) == 0.0 == structure_part(Lot("LINK"), coin, ETHEREUM)
    assert structure_part(Lot("LINK"), coin, avalanche) == pytest.approx(0.005)
    assert structure_part(Lot("LINK"), coin, arbitrum) == pytest.approx(0.0025)
    assert structure_part(Lot("LINK"), coin, evm_chain(999_999)) == pytest.approx(0.01)


def test_depth_that_was_read_can_only_raise_the_liquidity_part() -> None:
    exposures = expose(*_valued(wallet(leg(LINK, 10_000))))
    key, shape = next(iter(exposures.leg_shapes.items()))
    assert key == (None, 0, 0)
    volatilities = {"LINK": moving(0.06, FactorClass.VOLATILE)}

    def cut(depths: dict[tuple[ChainId, str], Depth]) -> Haircut:
        return HaircutModel(exposures, volatilities, DEFAULT, depths).haircut(shape, 0, LINK.asset)

    unknown, deep = cut({}), cut({(ETHEREUM, "LINK"): constant_product(1e12, 0.0)})
    shallow = cut({(ETHEREUM, "LINK"): constant_product(1e6, 0.003)})
    assert deep == unknown
    assert shallow.liquidity > 4 * unknown.liquidity
    assert cut({(ETHEREUM, "LINK"): constant_product(0.0, 0.003)}).liquidity == 1.0


def test_what_cannot_be_withdrawn_now_waits_longer() -> None:
    exposures = expose(*_valued(wallet(leg(WETH, 1))))
    model = HaircutModel(exposures, {"ETH": moving(0.044)}, DEFAULT)
    shape = exposures.leg_shapes[None, 0, 0]
    cuts = [model.haircut(shape, 0, WETH.asset, share).market for share in (1.0, 0.5, 0.0)]
    assert cuts == sorted(cuts) and cuts[2] > 2 * cuts[0]
    assert cuts[1] == pytest.approx((cuts[0] + cuts[2]) / 2)


def test_the_same_token_is_cut_more_on_another_chain() -> None:
    exposures = expose(*_valued(wallet(leg(LINK, 10_000))))
    model = HaircutModel(exposures, {"LINK": moving(0.06, FactorClass.VOLATILE)}, DEFAULT)
    shape = exposures.leg_shapes[None, 0, 0]
    home, away, nowhere = (model.haircut(shape, 0, on(chain, LINK).asset) for chain in (ETHEREUM, ARBITRUM, evm_chain(999_999)))
    assert home.total < away.total < nowhere.total


def _valued(positions: tuple[Position, ...]) -> tuple[Portfolio, Valuation]:
    whole = portfolio((), positions)
    return whole, value_portfolio(whole, book())


def test_a_leg_is_cut_on_its_chain_and_for_what_cannot_be_withdrawn() -> None:
    free, stuck = leg(WETH, 2), leg(WETH, 2, redeemable=10**18)
    whole, valuation = _valued(wallet(free, stuck))
    exposures = expose(whole, valuation)
    model = HaircutModel(exposures, {"ETH": moving(0.044)}, DEFAULT)
    values = [position.legs[0] for position in valuation.positions]
    cuts = [model.of_leg(exposures.leg_shapes[None, number, 0], value) for number, value in enumerate(values)]
    assert cuts[0] == model.haircut(exposures.leg_shapes[None, 0, 0], values[0].age_seconds, WETH.asset)
    assert cuts[1] == model.haircut(exposures.leg_shapes[None, 1, 0], values[1].age_seconds, WETH.asset, 0.5)
    assert cuts[1].market > cuts[0].market
