"""Derive: subaccounts of both versions of the API, options with their Greeks, collateral with its discounts, and what is said of gaps."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import orjson
import pytest

from adapters.derive.answers import decode_portfolios, decode_subaccount
from adapters.derive.instruments import instrument, usual_expiry
from aggregator.model.instrument import Greeks, InstrumentKind, MarginMode, VenueAccount
from aggregator.reading.adapter import Holdings
from aggregator.reading.venue import VenueRefusal, VenueRequest
from aggregator.reading.venue_kit import ScriptedVenue, VenueScript, answering, broken_venue_laws, equity_of, read_venue, silent
from aggregator.reading.venue_manifest import venue
from tests.adapters.venue_data import recorded

DERIVE = venue("derive")
D = Decimal
WALLET = "0x" + "d1" * 20
NOW_MS = 1_790_000_000_000
CALL = "ETH-20261225-3500-C"
PUT = "ETH-20261225-2400_5-P"


def position(name: str, amount: str, mark: str, value: str, margins: tuple[str, str], **more: Any) -> dict[str, Any]:
    kind = "perp" if name.endswith("PERP") else "option" if name[-2:] in ("-C", "-P") else "erc20"
    greeks = {"delta": "1", "gamma": "0", "vega": "0", "theta": "0"}
    if kind == "option":
        greeks = {"delta": "0.55", "gamma": "0.0008", "vega": "4.5", "theta": "-2.1"}
    return {
        "instrument_name": name,
        "instrument_type": kind,
        "amount": amount,
        "mark_price": mark,
        "mark_value": value,
        "index_price": "3000",
        "maintenance_margin": margins[0],
        "initial_margin": margins[1],
        "liquidation_price": None,
        **greeks,
        **more,
    }


def collateral(asset: str, amount: str, mark: str, value: str, margins: tuple[str, str]) -> dict[str, Any]:
    return {
        "asset_name": asset,
        "asset_type": "erc20",
        "amount": amount,
        "mark_price": mark,
        "mark_value": value,
        "maintenance_margin": margins[0],
        "initial_margin": margins[1],
    }


def subaccount(number: int, margin_type: str, value: str, margins: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {
        "subaccount_id": number,
        "margin_type": margin_type,
        "currency": "all",
        "subaccount_value": value,
        "maintenance_margin": margins[0],
        "initial_margin": margins[1],
        "positions": [],
        "collaterals": [],
        "valuation_timestamp": 1_789_999_990,
        **more,
    }


# version 2, standard: 2·10 % less of ETH, a short of 10 at 3,000 with 5 % and 6.5 %
STANDARD = subaccount(
    101,
    "SM",
    "8050",
    ("4800", "3450"),
    positions=[position("ETH-PERP", "-10", "3000", "50", ("-1450", "-1900"), liquidation_price="3412.5", average_price="3005")],
    collaterals=[
        collateral("ETH", "3", "3000", "9000", ("7250", "6350")),
        collateral("USDC", "-1000", "1", "-1000", ("-1000", "-1000")),
    ],
)
# version 3, by scenarios: a currency list, universe and manager
PORTFOLIO = subaccount(
    102,
    "PM2",
    "1190",
    ("310.5", "-20.25"),
    currency=["BTC", "ETH"],
    risk_universe_id=1,
    manager_id=5,
    is_delayed_liquidation=False,
    positions=[position(CALL, "-2", "119", "-238", ("-500", "-700")), position(PUT, "1", "28", "28", ("-10", "-12"))],
    collaterals=[collateral("USDC", "1400", "1", "1400", ("1400", "1400"))],
)
LISTING = [
    {"instrument_name": CALL, "option_details": {"expiry": 1_798_185_600, "strike": "3500", "option_type": "C", "index": "ETH-USD"}},
    {"instrument_name": PUT, "option_details": {"expiry": 1_798_228_800, "strike": "2400.5", "option_type": "P", "index": "ETH-USD"}},
]


def script(*subaccounts: dict[str, Any], listing: Any = LISTING) -> VenueScript:
    by_number = {one["subaccount_id"]: one for one in subaccounts}

    def answer(request: VenueRequest) -> Any:
        match request.path, dict(request.body):
            case "/public/get_subaccounts", {"wallet": wallet}:
                return {"id": "1", "result": {"wallet": wallet, "subaccount_ids": sorted(by_number) if wallet == WALLET else []}}
            case "/public/margin_watch", {"subaccount_id": int(number)}:
                if number in by_number:
                    return {"id": "2", "result": by_number[number]}
                return {"id": "2", "error": {"code": 14_001, "message": "Subaccount not found", "data": None}}
            case "/public/get_instruments", {"currency": "ETH", "instrument_type": "option", "expired": False}:
                return {"id": 3, "result": listing}
        raise KeyError(request.path)

    return answering(answer)


async def read(*subaccounts: dict[str, Any], names: tuple[str, ...] = (WALLET,), **more: Any) -> Holdings:
    holdings = await read_venue(DERIVE, script(*subaccounts, **more), *names, now_ms=NOW_MS)
    assert broken_venue_laws(holdings) == []
    return holdings


async def one(*subaccounts: dict[str, Any], **more: Any) -> VenueAccount:
    (account,) = (await read(*subaccounts, **more)).venue_accounts
    return account


async def test_a_standard_account_of_the_second_version() -> None:
    holdings = await read(STANDARD)
    assert (holdings.gaps, holdings.remarks) == ((), ())
    (account,) = holdings.venue_accounts
    assert (account.account, account.mode, account.as_of_ms) == ("101", MarginMode.CROSS, 1_789_999_990_000)
    figures = account.figures
    assert figures.equity == equity_of(account) == 8_050
    # what is required is the value less what is left above it
    assert (figures.maintenance_margin, figures.initial_margin, figures.liquidatable) == (D(3_250), D(4_600), False)
    (short,) = account.holdings
    assert (short.size, short.unrealised, short.liquidation_price, short.entry_price) == (D(-10), D(50), D("3412.5"), D(3_005))
    assert short.greeks is None
    ether, cash = account.balances
    assert (ether.symbol, ether.price_usd) == ("ETH", D(3_000))
    assert ether.collateral_weight is not None and ether.collateral_weight * 9_000 == pytest.approx(D(7_250), rel=D("1e-20"))
    assert (cash.amount, cash.collateral_weight) == (D(-1_000), D(1))
    assert account.parameters is not None
    values = account.parameters.values
    assert values["ETH-PERP.maintenance_fraction"] == D("0.05") and values["ETH-PERP.initial_fraction"] == D("0.065")
    assert values["subaccount.margin_type"] == "SM" and values["subaccount.currency"] == "all"


async def test_options_of_the_third_version_with_their_greeks() -> None:
    holdings = await read(PORTFOLIO)
    assert (holdings.gaps, holdings.remarks) == ((), ())
    (account,) = holdings.venue_accounts
    assert account.mode is MarginMode.PORTFOLIO
    assert account.figures.equity == equity_of(account) == 1_190
    assert account.figures.maintenance_margin == D("879.5") and account.figures.initial_margin == D("1210.25")
    assert account.figures.liquidatable is False
    call, put = account.holdings
    assert (call.instrument.kind, call.instrument.strike, call.instrument.expiry) == (InstrumentKind.CALL, D(3_500), 1_798_185_600)
    # settled at another hour than most, as listed
    assert (put.instrument.kind, put.instrument.strike, put.instrument.expiry) == (InstrumentKind.PUT, D("2400.5"), 1_798_228_800)
    assert call.greeks == Greeks(D("0.55"), D("0.0008"), D("4.5"), D("-2.1"))
    assert call.mark_price == 119 and call.unrealised is None
    assert account.parameters is not None
    values = account.parameters.values
    assert (values["subaccount.currency"], values["subaccount.risk_universe_id"], values["subaccount.manager_id"]) == ("BTC,ETH", 1, 5)
    assert f"{CALL}.maintenance_fraction" not in values


async def test_a_subaccount_is_read_by_number_and_once() -> None:
    holdings = await read(STANDARD, PORTFOLIO, names=(WALLET, "101", "0101"))
    assert [one.account for one in holdings.venue_accounts] == ["101", "102"]
    assert holdings.venue_accounts[0].owner.address == "101" and holdings.venue_accounts[1].owner.address == WALLET


async def test_below_maintenance_or_in_auction_is_liquidatable() -> None:
    below = {**STANDARD, "maintenance_margin": "-0.000000000000000001"}
    assert (await one(below)).figures.liquidatable is True
    assert (await one({**STANDARD, "is_under_liquidation": True})).figures.liquidatable is True
    at_zero = subaccount(7, "PM", "10", ("0", "0"), collaterals=[collateral("USDC", "10", "1", "10", ("10", "10"))])
    assert (await one(at_zero)).figures.liquidatable is False


async def test_what_the_rows_do_not_explain_is_told() -> None:
    off = {**STANDARD, "subaccount_value": "8060", "maintenance_margin": "4810"}
    holdings = await read(off)
    assert [one.code for one in holdings.remarks] == ["venue-recomputation-differs"] * 2
    assert holdings.venue_accounts[0].figures.equity == 8_060
    lowered = await read({**STANDARD, "is_delayed_liquidation": True})
    assert [one.code for one in lowered.remarks] == ["venue-margin-lowered"]


async def test_what_cannot_be_read_is_named() -> None:
    down = await read_venue(DERIVE, silent, WALLET, "101", now_ms=NOW_MS)
    assert down.venue_accounts == () and [gap.what for gap in down.gaps] == [f"subaccounts of {WALLET}", "subaccount 101 of 101"]
    unknown = await read(STANDARD, names=(WALLET, "999"))
    assert [one.account for one in unknown.venue_accounts] == ["101"]
    (gap,) = unknown.gaps
    assert "999" in gap.what and "Subaccount not found" in gap.why
    failed = await read({**STANDARD, "failed_to_fetch": True})
    assert failed.venue_accounts == () and "could not load" in failed.gaps[0].why
    odd = await read({**STANDARD, "positions": [position("ETH-20261340-1-C", "1", "1", "1", ("0", "0")), *STANDARD["positions"]]})
    assert [gap.what for gap in odd.gaps] == ["ETH-20261340-1-C in subaccount 101"] and len(odd.venue_accounts[0].holdings) == 1


async def test_without_a_listing_options_expire_at_the_usual_hour() -> None:
    holdings = await read(PORTFOLIO, listing=None)
    assert [one.code for one in holdings.remarks] == ["venue-expiry-assumed"]
    assert {one.instrument.expiry for one in holdings.venue_accounts[0].holdings} == {1_798_185_600}
    paged = await read(PORTFOLIO, listing={"instruments": LISTING, "pagination": {"num_pages": 1}})
    assert paged.remarks == () and paged.venue_accounts[0].holdings[1].instrument.expiry == 1_798_228_800


async def test_an_empty_subaccount_is_nothing() -> None:
    holdings = await read(subaccount(5, "SM", "0", ("0", "0")))
    assert (holdings.venue_accounts, holdings.gaps) == ((), ())
    nobody = await read(STANDARD, names=("0x" + "ee" * 20,))
    assert (nobody.venue_accounts, nobody.gaps) == ((), ())


async def test_what_it_asks_for() -> None:
    reads = ScriptedVenue(script(STANDARD, PORTFOLIO))
    await read_venue(DERIVE, reads, WALLET, now_ms=NOW_MS)
    assert [request.path for request in reads.requests] == [
        "/public/get_subaccounts",
        "/public/margin_watch",
        "/public/margin_watch",
        "/public/get_instruments",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ETH-PERP", "ETH-PERP"),
        ("BTC-20240914-60000-C", "BTC-20240914-60000-C"),
        ("ETH-20240914-0_25-P", "ETH-20240914-0_25-P"),
        ("ETH-USDC", None),
        ("ETH-20241301-1-C", None),
        ("ETH-20240914-1-X", None),
        ("", None),
    ],
)
def test_names_of_instruments(name: str, expected: str | None) -> None:
    found = instrument(name)
    assert (found.label if found else None) == expected
    assert usual_expiry("ETH-20240914-2400-C") == 1_726_300_800


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"<html>", b'{"result": {"subaccount_id": 1}}', b'{"result": []}'])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(Exception, match=r"JSON|result|validation"):
        decode_subaccount(body)
    with pytest.raises(VenueRefusal, match=r"no reason given \(code 0\)"):
        decode_subaccount(b'{"result": null}')


def test_who_can_be_asked_for() -> None:
    assert DERIVE.names("0x" + "AB" * 20) is not None and DERIVE.names(" 130837 ") is not None
    assert all(DERIVE.names(word) is None for word in ("", "12a", "-1", "9" * 19, "dydx1abc", "٣"))


@pytest.mark.data
async def test_recorded_collateral() -> None:
    """A real standard account with ETH alone: value, both margins and the discounts of that day."""
    (case,) = [one for one in recorded("ccxt/derive.json")["cases"] if "get_all_portfolios" in one["name"]]
    raw = case["response"]["result"][0]
    (parsed,) = decode_portfolios(orjson.dumps(case["response"]))
    assert (parsed.number, parsed.valued_at) == (130_837, None)
    account = await one(raw)
    assert account.as_of_ms == NOW_MS
    figures = account.figures
    assert figures.equity == D(raw["subaccount_value"])
    assert figures.maintenance_margin is not None and figures.initial_margin is not None
    with localcontext(prec=60):
        assert figures.equity - figures.maintenance_margin == D(raw["maintenance_margin"])
        assert figures.equity - figures.initial_margin == D(raw["initial_margin"])
    assert equity_of(account) == pytest.approx(figures.equity, rel=D("1e-15"))
    assert account.parameters is not None
    assert account.parameters.values["ETH.maintenance_discount"] == pytest.approx(D("0.75"), rel=D("1e-15"))
    assert account.parameters.values["ETH.initial_discount"] == pytest.approx(D("0.60"), rel=D("1e-15"))


@pytest.mark.data
async def test_a_recorded_perpetual() -> None:
    """A real short: margin is 5 % and 6.5 % of its notional at the mark; what it is worth is the profit since its settlement."""
    (case,) = [one for one in recorded("ccxt/derive.json")["cases"] if "get_positions" in one["name"]]
    raw = case["response"]["result"]["positions"][0]
    value, margin = D(raw["mark_value"]), (raw["maintenance_margin"], raw["initial_margin"])
    account = await one(subaccount(130_837, "SM", raw["mark_value"], margin, positions=[raw]))
    (short,) = account.holdings
    assert (short.unrealised, short.liquidation_price) == (value, D(raw["liquidation_price"]))
    assert value + D(raw["net_settlements"]) == pytest.approx(D(raw["unrealized_pnl"]), abs=D("1e-9"))
    assert account.parameters is not None
    assert account.parameters.values["BTC-PERP.maintenance_fraction"] == pytest.approx(D("0.05"), rel=D("1e-12"))
    assert account.parameters.values["BTC-PERP.initial_fraction"] == pytest.approx(D("0.065"), rel=D("1e-12"))
    assert account.figures.equity == equity_of(account) == value and account.figures.liquidatable is True


@pytest.mark.data
@pytest.mark.parametrize("name", ["usdc", "high_scale"])
async def test_recorded_shapes_of_the_owners_view(name: str) -> None:
    raw = recorded(f"derive/nautilus/common__http_subaccount_{name}.json")
    account = await one(raw)
    assert account.mode is MarginMode.PORTFOLIO and account.figures.equity == D(raw["subaccount_value"])
    if name == "high_scale":
        # 34 decimals and an exponent, to the last digit
        assert account.balances[0].amount == D("0.1234567890123456789012345678912345")
        assert account.holdings[0].liquidation_price == D("4200.1234567890123456789012345678912345")
