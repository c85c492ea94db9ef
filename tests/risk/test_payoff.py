"""Pay-offs by hand: a straddle at expiry, a coin against a short of it, and what is not there."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from aggregator.model.errors import InputError
from aggregator.model.instrument import Holding, Instrument, InstrumentKind
from aggregator.risk.margin.interface import MarginBook
from aggregator.risk.margin.market import Forward, Market, Quote
from aggregator.risk.payoff import book_payoff, main_factor, portfolio_payoff
from aggregator.risk.prepared import prepare
from tests.builders import USDC, WBTC, WETH, account, book, borrowed, leg, portfolio, supplied, wallet
from tests.risk.strategies import QUICK
from tests.risk.venue_accounts import DAY, NOW, at_venues, perp, venue

MOVES = np.array([-0.5, -0.1, 0.0, 0.1, 0.5])
EXPIRY = NOW + 30 * DAY


def option(kind: InstrumentKind, size: int) -> Holding:
    return Holding(Instrument(kind, "ETH", EXPIRY, Decimal(2000)), Decimal(size))


MARKET = Market(
    NOW,
    {"ETH": Quote(2000.0)},
    {},
    {"ETH": Quote(2000.0)},
    {("ETH", EXPIRY): Forward(2000.0)},
    {("ETH", EXPIRY, 2000.0): Quote(0.6)},
)


def test_a_straddle_at_expiry_is_its_intrinsic_value_less_what_it_costs() -> None:
    both = MarginBook((option(InstrumentKind.CALL, 1), option(InstrumentKind.PUT, 1)), 10_000.0)
    found = book_payoff(both, MARKET, "ETH", MOVES)
    assert found.at_expiry is not None
    premium = -float(found.at_expiry[2])
    assert premium == pytest.approx(2 * 136.87, rel=2e-3)  # .4·σ·√τ·F twice
    assert found.at_expiry == pytest.approx(np.abs(2000 * MOVES) - premium)
    assert found.now[2] == 0.0 and (found.now >= found.at_expiry).all()


def test_a_perpetual_has_no_expiry_and_a_slope_of_its_size() -> None:
    found = book_payoff(MarginBook((perp(-3),)), MARKET, "ETH", MOVES)
    assert found.at_expiry is None and found.now == pytest.approx(-6000 * MOVES)
    with pytest.raises(InputError, match="nothing in the book follows 'BTC'"):
        book_payoff(MarginBook((perp(-3),)), MARKET, "BTC")


def test_a_portfolio_on_chains_and_at_venues_is_one_curve() -> None:
    one = at_venues(portfolio([account(supplied(WETH, 10), borrowed(USDC, 5_000))], wallet(leg(WBTC, 0.01))), venue(perp(-4)))
    exposures = prepare(one, book(), (), QUICK).exposures
    assert main_factor(exposures) == "ETH"
    assert portfolio_payoff(exposures, "ETH", MOVES).now == pytest.approx((20_000 - 8_000) * MOVES)
    assert portfolio_payoff(exposures, "USDC", MOVES).now == pytest.approx((10_000 - 5_000) * MOVES)
    with pytest.raises(InputError, match="does not follow 'DOGE'"):
        portfolio_payoff(exposures, "DOGE")
    assert main_factor(prepare(portfolio((), wallet(leg(USDC, 1))), book(), (), QUICK).exposures) is None
