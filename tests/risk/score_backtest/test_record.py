"""The record as a whole: the live score's own functions, nothing from the future, the same figures every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aggregator.model.price import PriceSeries
from aggregator.risk.assessment import assess
from aggregator.risk.classes import FactorClass
from aggregator.risk.outlook import HOURS, Tier, outlook
from aggregator.risk.policy import Policy
from aggregator.risk.score_backtest.baselines import ewma_variances, historical_simulation
from aggregator.risk.score_backtest.foretelling import class_of, foretell, outlook_at
from aggregator.risk.score_backtest.outcome import worst_health
from aggregator.risk.score_backtest.panel import HOUR, Panel
from aggregator.risk.score_backtest.population import Accounts, population, starts
from aggregator.risk.score_backtest.record import MODELS, RIVALS, SCORE, TooShort, record, split_row
from tests.builders import USDC, WBTC, WETH, account, book, borrowed, portfolio, supplied
from tests.risk.score_backtest.histories import FIRST, closes, drawn, of_prices


def history_of(one: Panel, row: int, step: int = HOUR) -> list[PriceSeries]:
    """What a feed that wrote every `step` seconds until a row would have kept."""
    rows = np.arange(row, -1, -(step // HOUR))[::-1]
    times = np.array([one.time(each) for each in rows.tolist()], dtype=np.float64)
    return [PriceSeries(symbol, times, one.prices[rows, column], "file") for column, symbol in enumerate(one.symbols)]


@pytest.mark.parametrize(("tier", "step"), [(Tier.HOURLY, HOUR), (Tier.DAILY, 24 * HOUR)])
def test_the_record_uses_the_outlook_that_a_live_assessment_makes(tier: Tier, step: int) -> None:
    one = drawn(140, ("BTC", "ETH", "FOO"))
    row = 24 * 125 + 7
    ours = outlook_at(one, np.log(one.prices), row, np.arange(3), tier)
    classes = {"BTC": FactorClass.BTC, "ETH": FactorClass.ETH, "FOO": class_of("FOO")}
    live = outlook(one.symbols, classes, {series.factor: series for series in history_of(one, row, step)}, float(one.time(row)))
    assert ours.tiers == live.tiers == (tier,) * 3 and ours.factors == live.factors
    for name in HOURS:
        for field in ("deviation", "correlation", "down", "up"):
            assert getattr(ours.horizons[name], field) == pytest.approx(getattr(live.horizons[name], field), rel=1e-9)


@pytest.mark.parametrize("tier", [Tier.HOURLY, Tier.DAILY])
def test_the_record_foretells_what_assess_says_of_the_same_account(tier: Tier) -> None:
    """An owner on a chain at 1,700,000,000 with the same history, the same shares and the same debt."""
    one = drawn(140, ("BTC", "ETH"), seed=5)
    row = 24 * 130
    one = replace(one, start=1_700_000_000 // HOUR * HOUR - HOUR * row)
    step = HOUR if tier is Tier.HOURLY else 24 * HOUR
    policy = Policy(draws=2048)
    for eth, btc, usdc, debt in ((10.0, 0.0, 0.0, 14_500.0), (5.0, 0.3, 4_000.0, 23_000.0)):
        legs = [supplied(WETH, eth), *([supplied(WBTC, btc)] if btc else []), *([supplied(USDC, usdc)] if usdc else [])]
        owner = portfolio([account(*legs, borrowed(USDC, debt))])
        said = assess(owner, book(), history_of(one, row, step), policy).probability
        assert said is not None
        counted = np.array([eth * 2000 * 0.8, btc * 60_000 * 0.8, usdc * 0.8])
        made = Accounts(
            np.array([row]),
            np.array([[counted[1], counted[0]]]) / counted.sum(),
            np.array([counted[2] / counted.sum()]),
            np.array([-1]),
            np.array([counted.sum() / debt]),
        )
        found = foretell(one, made, tier, draws=2048)[0]
        for place, name in enumerate(HOURS):
            # assess also has the breaks of the dollar, which the made-up stablecoin has not, and the small moves of a real one
            assert found[place] == pytest.approx(said.any_account[name], rel=0.03, abs=2e-4)


def test_overwriting_the_future_changes_no_forecast() -> None:
    prices = closes(100, 3, seed=8)
    cut = 24 * 80
    spoiled = prices.copy()
    spoiled[cut + 1 :] *= np.array([0.01, 50.0, 1.0])
    spoiled[cut + 100 :, 2] = np.nan
    whole, other = of_prices(("BTC", "ETH", "FOO"), prices), of_prices(("BTC", "ETH", "FOO"), spoiled)
    rows = starts(whole, 24 * 70, cut + 1)
    made = population(whole, frozenset(), rows, 6)
    assert len(made) and made.row.max() >= cut - 5
    for tier in Tier:
        assert foretell(whole, made, tier).tolist() == foretell(other, made, tier).tolist()
    assert ewma_variances(whole, made).tolist() == ewma_variances(other, made).tolist()
    simulated = historical_simulation(whole, made, (1, 24), 48.0), historical_simulation(other, made, (1, 24), 48.0)
    assert np.isfinite(simulated[0]).all() and simulated[0].tolist() == simulated[1].tolist()


def test_probabilities_lie_between_nought_and_one_and_rise_with_the_horizon_and_with_debt() -> None:
    one = drawn(80, seed=2)
    made = population(one, frozenset(), starts(one, 24 * 60, 24 * 70), 10)
    found = foretell(one, made)
    assert ((found >= 0) & (found <= 1)).all() and (np.diff(found, axis=1) >= 0).all()
    safer = foretell(one, replace(made, health=made.health * 1.02))
    assert (safer <= found + 1e-6).all() and (safer < found).mean() > 0.9
    assert foretell(one, made.part(slice(40, 60))).tolist() == found[40:60].tolist()


def test_a_record_has_every_model_on_the_same_accounts() -> None:
    one = drawn(135, seed=1, sigma=0.014)
    made = record(one, each=4)
    assert made.own_split and list(made.horizons) == list(HOURS) and made.seed
    for horizon in made.horizons.values():
        assert tuple(horizon.models) == MODELS and horizon.rival in RIVALS
        assert {model.overall.accounts for model in horizon.models.values()} == {horizon.accounts}
        assert len({model.overall.observed for model in horizon.models.values()}) == 1
        for model in horizon.models.values():
            assert sum(band.accounts for band in model.bands) == model.overall.accounts
            assert sum(band.observed for band in model.bands) == model.overall.observed
            assert sum(group.accounts for group in model.reliability) == model.overall.accounts
        own, rival = horizon.models[SCORE].overall, horizon.models[horizon.rival].overall
        if own.skill is not None and rival.skill is not None:
            assert horizon.difference == pytest.approx(own.skill - rival.skill)
    week = made.horizons["7d"].models
    skill = week[SCORE].overall.skill
    assert week[SCORE].overall.observed > 50 and skill is not None and skill > 0.1
    assert record(one, each=4) == made


def test_forecasts_of_a_world_without_memory_are_calibrated_where_the_law_is_right() -> None:
    """Student-t hours of constant size: what was expected happens about as often."""
    one = drawn(200, ("FOO", "BAR"), seed=3)
    made = population(one, frozenset(), starts(one, 24 * 60, one.hours - 24)[::3], 40)
    happened = worst_health(one, made, (1, 24))[:, 1] < 1
    assert happened.sum() > 100 and 0.75 < float(happened.sum() / foretell(one, made)[:, 1].sum()) < 1.3


def test_the_fixed_split_is_used_where_there_is_enough_on_both_sides() -> None:
    first = 1_672_531_200 - 200 * 86_400
    hours = 24 * 400
    prices = np.full((hours, 1), 5.0) + np.sin(np.arange(hours))[:, None]
    one = replace(of_prices(("A",), prices), start=first)
    assert split_row(one) == (24 * 200, False)
    assert split_row(replace(one, start=first + 100 * 86_400)) == (int(hours * 0.4), True)


@pytest.mark.parametrize("days", [2, 31, 60])
def test_a_short_history_is_said_to_be(days: int) -> None:
    with pytest.raises(TooShort, match="about 150 days"):
        record(drawn(days, ("A",)), each=2)


def test_one_asset_and_holes_are_enough() -> None:
    prices = closes(200, 1, seed=4, sigma=0.015)
    prices[24 * 120 : 24 * 123] = np.nan
    prices[::50] = np.nan
    made = record(of_prices(("FOO",), prices), each=3)
    assert made.filled_hours > 90 and made.horizons["1d"].accounts > 100
    assert FIRST < made.split < made.test_begins < made.last
