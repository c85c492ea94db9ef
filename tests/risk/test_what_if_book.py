"""A derivatives book and a venue's account after a shock: full revaluation, stated profits carried along, hedges."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.model.errors import InputError
from aggregator.model.identifiers import AccountId
from aggregator.model.instrument import Holding, Instrument, InstrumentKind, MarginMode, VenueAccount, VenueBalance, VenueFigures
from aggregator.risk.action import parse_action
from aggregator.risk.book_shock import BookMoves, book_moves, hedged, shocked_book, shocked_market
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import Forward, Market, Quote
from aggregator.risk.margin.registry import model
from aggregator.risk.pricing.black76 import CALL, price
from aggregator.risk.shock import Shock, shock_of
from aggregator.risk.venue_shock import LINEAR, venue_state
from tests.builders import ETHEREUM, OWNER

NOW = 1_735_804_800.0
EXPIRY = int(NOW) + 30 * 86_400
MARKET = Market(
    NOW,
    {"ETH": Quote(2600.0), "BTC": Quote(90_000.0)},
    {"weETH": Quote(2750.0)},
    {"ETH": Quote(2601.5), "BTC": Quote(90_100.0)},
    {("ETH", EXPIRY): Forward(2610.0, 5.0)},
    {("ETH", EXPIRY, 2600.0): Quote(0.6)},
)


def perpetual(size: str, underlying: str = "ETH", inverse: bool = False, **stated: str) -> Holding:
    figures = {name: Decimal(value) for name, value in stated.items()}
    return Holding(Instrument(InstrumentKind.PERPETUAL, underlying, inverse=inverse), Decimal(size), **figures)  # type: ignore[arg-type]


def option(size: str) -> Holding:
    return Holding(Instrument(InstrumentKind.CALL, "ETH", EXPIRY, Decimal(2600)), Decimal(size))


def spot(symbol: str, size: str, underlying: str = "ETH") -> Holding:
    return Holding(Instrument(InstrumentKind.SPOT, underlying, symbol=symbol), Decimal(size))


def after(book: MarginBook, *shocks: str) -> tuple[MarginBook, Market]:
    moves = book_moves(shock_of(shocks), book, MARKET)
    there = shocked_market(MARKET, book, moves)
    return shocked_book(book, MARKET, there, moves), there


def equity(book: MarginBook, market: Market) -> float:
    method = model("isolated")
    found = method.requirement(book, market, method.default_parameters(), Kind.MAINTENANCE).equity
    assert found is not None
    return found


def test_every_price_of_an_underlying_moves_and_what_is_averaged_stays() -> None:
    book = MarginBook((option("1"), perpetual("1", entry_price="2500"), spot("weETH", "2")))
    _, there = after(book, "ETH=-20%", "ETH:vol=+50%", "weETH=-10%")
    assert there.spot["ETH"].value == pytest.approx(2080) and there.spot["BTC"] == MARKET.spot["BTC"]
    assert there.perpetuals["ETH"].value == pytest.approx(2601.5 * 0.8)
    assert there.forwards["ETH", EXPIRY] == Forward(2610.0 * 0.8, 5.0)
    assert there.volatilities["ETH", EXPIRY, 2600.0].value == pytest.approx(0.9)
    assert there.assets["weETH"].value == pytest.approx(2750 * 0.8 * 0.9)


def test_an_option_is_valued_anew() -> None:
    book = MarginBook((option("-3"),), 10_000.0)
    moved, there = after(book, "ETH=-20%", "ETH:vol=+50%")
    value = float(price(2610 * 0.8 + 5, 2600.0, 30 / 365, 0.9, CALL))
    assert equity(moved, there) == pytest.approx(10_000 - 3 * value)


def test_profits_from_entries_and_stated_profits_move_alike() -> None:
    by_entry, stated = MarginBook((perpetual("4", entry_price="2500"),), 1_000.0), MarginBook((perpetual("4", unrealised="406"),), 1_000.0)
    assert equity(by_entry, MARKET) == equity(stated, MARKET) == 1406
    assert equity(*after(by_entry, "ETH=-10%")) == pytest.approx(1406 - 4 * 260.15)
    assert equity(*after(stated, "ETH=-10%")) == pytest.approx(1406 - 4 * 260.15)
    assert equity(*after(stated, "BTC=-10%")) == 1406


def test_an_inverse_contract_gains_less_than_it_loses() -> None:
    book = MarginBook((perpetual("1000", inverse=True, unrealised="0"),), 0.0)
    up, down = (equity(*after(book, shock)) for shock in ("ETH=+10%", "ETH=-10%"))
    assert up == pytest.approx(1000 * (1 / 2601.5 - 1 / (2601.5 * 1.1)) * 2600 * 1.1)
    assert down == pytest.approx(1000 * (1 / 2601.5 - 1 / (2601.5 * 0.9)) * 2600 * 0.9) and -down > 0
    with pytest.raises(InputError, match="price of zero"):
        after(book, "ETH=-100%")


def test_cash_is_the_settlement_coin() -> None:
    book = MarginBook((perpetual("1", unrealised="0"),), 1_000.0)
    moved, there = after(book, "USDC=-5%")
    assert moved.cash == 950 and there.stable == 0.95


def test_names_of_a_book() -> None:
    book = MarginBook((spot("weETH", "2"),))
    assert book_moves(shock_of(["eth=-5%"]), book, MARKET).underlyings == {"ETH": 0.95}
    assert book_moves(shock_of(["token:weeth=-5%"]), book, MARKET).assets == {"weETH": 0.95}
    with pytest.raises(InputError, match="BTC, ETH, USDC"):
        book_moves(shock_of(["EHT=-5%"]), book, MARKET)
    with pytest.raises(InputError):
        book_moves(shock_of(["weETH:vol=-5%"]), book, MARKET)
    assert book_moves(shock_of(["SOL=-5%"]), book, MARKET, frozenset({"SOL"})).idle == ("SOL",)
    # rates, oracles and bridges are none of a book's business
    assert book_moves(shock_of(["USDC:rate=+5%", "oracle:*=frozen", "bridge:eip155:1=down"]), book, MARKET).empty


def test_a_hedge_is_a_perpetual_at_the_mark() -> None:
    book, market = hedged(MarginBook((spot("ETH", "2"),), 100.0), MARKET, (parse_action("hedge:ETH=-2"),))
    assert book.holdings[-1].entry_price == Decimal("2601.5") and equity(book, market) == pytest.approx(5300)
    fallen = after(book, "ETH=-30%")
    assert equity(*fallen) == pytest.approx(5300 - 2 * 0.3 * 2600 + 2 * 0.3 * 2601.5)
    for text in ("hedge:SOL=1", "repay:aave-v3:USDC=1"):
        with pytest.raises(InputError):
            hedged(book, market, (parse_action(text),))


METHODS = ("isolated", "derive-pmrm2", "paradex", "okx")


@pytest.mark.parametrize("name", METHODS)
def test_no_shock_changes_no_requirement(name: str) -> None:
    book = MarginBook((option("-3"), perpetual("2", unrealised="50")), 10_000.0)
    method = model(name)
    moved, there = after(book)
    parameters = method.default_parameters()
    before, now = (method.requirement(*pair, parameters, Kind.MAINTENANCE) for pair in ((book, MARKET), (moved, there)))
    assert (before.amount, before.equity) == (now.amount, now.equity)


@settings(max_examples=40, deadline=None)
@given(st.integers(-60, 60), st.integers(-60, 60), st.integers(-50, 100))
def test_two_shocks_of_a_book_are_their_composition(first: int, second: int, volatility: int) -> None:
    book = MarginBook(
        (option("-3"), perpetual("2", unrealised="50"), perpetual("2000", inverse=True, unrealised="10"), spot("weETH", "1")), 5_000.0
    )
    one, other = shock_of([f"ETH={first:+d}%"]), shock_of([f"ETH={second:+d}%", f"ETH:vol={volatility:+d}%"])

    def step(book: MarginBook, market: Market, shock: Shock) -> tuple[MarginBook, Market]:
        moves = book_moves(shock, book, market)
        there = shocked_market(market, book, moves)
        return shocked_book(book, market, there, moves), there

    apart, together = step(*step(book, MARKET, one), other), step(book, MARKET, one.then(other))
    assert equity(*apart) == pytest.approx(equity(*together), rel=1e-9, abs=1e-6)
    assert apart[1].spot["ETH"].value == pytest.approx(together[1].spot["ETH"].value)


def venue(*holdings: Holding, equity: str | None = "10000", needed: str | None = "1000", **changes: object) -> VenueAccount:
    figures = VenueFigures(
        equity=None if equity is None else Decimal(equity), maintenance_margin=None if needed is None else Decimal(needed)
    )
    made = VenueAccount(
        "hyperliquid",
        "0xab",
        AccountId(ETHEREUM, OWNER),
        MarginMode.CROSS,
        (VenueBalance("USDC", Decimal(9000)),),
        holdings,
        int(NOW * 1000),
        figures,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def moved(account: VenueAccount, *shocks: str, market: Market = MARKET) -> tuple[float | None, float | None, bool | None, float | None]:
    moves = book_moves(shock_of(shocks), MarginBook(account.holdings), market)
    state = venue_state(account, market, moves)
    return state.equity_usd, state.maintenance_usd, state.liquidatable, state.breach


def test_a_venue_account_carries_its_stated_figures_along() -> None:
    long = venue(perpetual("10", mark_price="2601.5", entry_price="2500"))
    assert moved(long) == (10_000, 1_000, False, None)
    equity_after, needed, liquidatable, breach = moved(long, "ETH=-20%")
    assert equity_after == pytest.approx(10_000 - 10 * 520.3) and needed == pytest.approx(800) and not liquidatable and breach is None
    sunk = moved(long, "ETH=-40%")
    assert sunk[0] == pytest.approx(10_000 - 10 * 1040.6) and sunk[2] is True
    assert sunk[0] is not None and sunk[3] == pytest.approx(9_000 / (9_000 + (600 - sunk[0])))
    assert moved(long, "BTC=-50%") == (10_000, 1_000, False, None)
    assert venue_state(long, MARKET, BookMoves({"ETH": 0.8}, {}, {})).method == LINEAR


def test_collateral_falls_with_its_coin_and_a_hedged_account_does_not() -> None:
    balances = (VenueBalance("USDC", Decimal(1000)), VenueBalance("weETH", Decimal(4), Decimal(2750)))
    held = venue(perpetual("-4", mark_price="2601.5", unrealised="0"), balances=balances)
    assert moved(held, "ETH=-50%")[0] == pytest.approx(10_000 - 4 * 1375 + 4 * 1300.75)
    assert moved(held, "USDC=-5%")[0] == pytest.approx(9_950)
    shared = venue(perpetual("-4", unrealised="0"), balances=balances, shares_collateral_with="pool")
    assert moved(shared, "ETH=-50%")[0] == pytest.approx(10_000 + 4 * 1300.75), "the pool's balances are the pool's"


def test_options_move_by_full_revaluation_and_margin_by_a_rule_that_knows_them() -> None:
    short = venue(option("-3"))
    equity_after, needed, _, _ = moved(short, "ETH=+20%", "ETH:vol=+50%")
    before, there = (float(price(forward, 2600.0, 30 / 365, vol, CALL)) for forward, vol in ((2615, 0.6), (2610 * 1.2 + 5, 0.9)))
    assert equity_after == pytest.approx(10_000 - 3 * (there - before))
    assert needed is not None and needed > 1_000
    state = venue_state(replace(short, mode=MarginMode.PORTFOLIO), MARKET, BookMoves({"ETH": 1.2}, {}, {}))
    assert state.method == "derive-pmrm2" and venue_state(short, MARKET, BookMoves({"ETH": 1.2}, {}, {})).method == "derive-standard"


def test_what_a_venue_does_not_state_or_price_stays_unknown() -> None:
    silent = venue_state(venue(perpetual("1", unrealised="0"), needed=None), MARKET, BookMoves({"ETH": 0.5}, {}, {}))
    assert silent.liquidatable is None and "maintenance margin" in silent.why
    stranger = venue_state(venue(perpetual("1", "SOL", unrealised="0")), MARKET, BookMoves({"ETH": 0.5}, {}, {}))
    assert stranger.equity_usd is None and stranger.liquidatable is None and "SOL" in stranger.why
    stated = venue_state(venue(equity="500", needed="1000"), MARKET, BookMoves({}, {}, {}))
    assert stated.liquidatable is True and stated.breach == 0.0
