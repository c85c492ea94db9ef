"""Hyperliquid accounts in every mode: each dollar once, and the venue's value, margins and liquidation prices again from their parts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hyperliquid.maths import MarginTable, Support, liquidation_price, portfolio_ratio
from aggregator.model.instrument import MarginMode, VenueAccount
from aggregator.reading.adapter import Holdings
from aggregator.reading.venue_kit import broken_venue_laws, equity_of, read_venue
from aggregator.reading.venue_manifest import venue
from aggregator.risk.margin.hyperliquid import MODEL, SAMPLE, Tier
from aggregator.risk.margin.hyperliquid import MarginTable as ModelTable
from aggregator.risk.margin.hyperliquid import liquidation_price as model_price
from aggregator.risk.margin.interface import Kind, MarginBook
from aggregator.risk.margin.market import Market, Quote
from tests.adapters.hyperliquid_venue import EVM_UBTC, SUB, TIME_MS, USER, VAULT, Account, balance, hyperliquid, position, state

HYPERLIQUID = venue("hyperliquid")
D = Decimal

# 10 ETH at 3,000 and a short of 100 kPEPE at 10, with 20,000 dollars less than nothing: worth 9,000; and 4 HYPE short by themselves
ETH = position("ETH", "10.0", "30000.0", "500.0", "3000.0", 10, 25, entry="2950.0", liquidation="2147.9591836735")
PEPE = position("kPEPE", "-100.0", "1000.0", "-20.0", "100.0", 10, 10, entry="9.8", liquidation="89.5238095238")
HYPE = position("HYPE", "-4.0", "200.0", "-5.0", "40.0", 5, 10, entry="48.75", liquidation="57.1428571429", raw_usd="240.0")
MAIN = state("9040.0", "-19760.0", "3140.0", "650.0", (ETH, PEPE, HYPE), cross=("9000.0", "-20000.0", "3100.0"), withdrawable="5000.0")
CRCL = position("flx:CRCL", "1.0", "80.0", "4.0", "40.0", 2, 3, entry="76.0", raw_usd="-40.0", liquidation="48.0")
TSLA = position("flx:TSLA", "0.5", "200.0", "10.0", "20.0", 10, 10, entry="380.0")
FLX = state("240.0", "-40.0", "60.0", "10.0", (TSLA, CRCL), cross=("200.0", "0.0", "20.0"))
SPOT = [balance("USDC", 0, "500.0", "20.0"), balance("UBTC", 197, "0.1"), balance("MAX", 734, "5.0"), balance("+92260", None, "3.0")]


async def read(account: Account, *names: str, **more: Any) -> Holdings:
    holdings = await read_venue(HYPERLIQUID, hyperliquid(account, **more), *(names or (USER,)), now_ms=TIME_MS)
    assert broken_venue_laws(holdings) == []
    return holdings


def by_part(holdings: Holdings, address: str = USER) -> dict[str, VenueAccount]:
    """Accounts by what follows the address."""
    return {one.account.removeprefix(address).removeprefix("/"): one for one in holdings.venue_accounts if one.account.startswith(address)}


async def test_a_standard_account_keeps_everything_apart() -> None:
    holdings = await read(Account({"": MAIN, "flx": FLX}, {"balances": SPOT}))
    assert (holdings.gaps, holdings.remarks) == ((), ())
    found = by_part(holdings)
    assert sorted(found) == ["", "flx", "isolated/HYPE", "isolated/flx:CRCL", "spot"]
    main = found[""]
    assert (main.mode, main.collateral_symbol, main.as_of_ms) == (MarginMode.CROSS, "USDC", TIME_MS)
    assert main.figures.equity == equity_of(main) == 9_000
    assert (main.figures.maintenance_margin, main.figures.initial_margin, main.figures.liquidatable) == (D(650), D(3_100), False)
    assert main.figures.margin_ratio == pytest.approx(D(650) / 9_000)
    assert main.balances[0].withdrawable == 5_000
    ether, pepe = main.holdings
    assert (ether.mark_price, ether.entry_price, ether.leverage, ether.margin) == (D(3_000), D(2_950), D(10), None)
    # a contract of kPEPE is a thousand PEPE: sizes in contracts, prices of one PEPE
    assert (pepe.instrument.underlying, pepe.units, pepe.mark_price) == ("PEPE", D(-100_000), D("0.01"))
    assert pepe.liquidation_price == D("0.0895238095238")
    assert pepe.mark_price is not None and pepe.entry_price is not None
    assert pepe.units * (pepe.mark_price - pepe.entry_price) == pepe.unrealised == -20
    hype = found["isolated/HYPE"]
    assert (hype.mode, hype.figures.equity, equity_of(hype)) == (MarginMode.ISOLATED, D(40), D(40))
    assert (hype.figures.maintenance_margin, hype.figures.initial_margin, hype.holdings[0].margin) == (D(10), D(40), D(40))
    spot = found["spot"]
    assert [(one.symbol, one.amount, one.price_usd) for one in spot.balances] == [
        ("USDC", D(500), D(1)),
        ("UBTC", D("0.1"), D(60_100)),
        ("MAX", D(5), None),
        ("+92260", D(3), None),
    ]
    assert spot.balances[0].withdrawable == 480 and spot.balances[1].asset == f"eip155:999/erc20:{EVM_UBTC}"


async def test_a_dex_with_collateral_of_its_own_is_worth_what_that_is_worth() -> None:
    found = by_part(await read(Account({"flx": FLX})))
    flx = found["flx"]
    assert flx.collateral_symbol == "USDH" == flx.holdings[0].instrument.settlement
    assert flx.figures.equity == D("0.999") * 200 and flx.figures.maintenance_margin == D("9.99")
    assert (flx.balances[0].symbol, flx.balances[0].amount, flx.balances[0].price_usd) == ("USDH", D(190), D("0.999"))
    assert flx.holdings[0].instrument.underlying == "TSLA" and flx.holdings[0].instrument.symbol == "flx:TSLA"
    assert found["isolated/flx:CRCL"].figures.equity == D("39.96")


# the spot balance holds everything: 9,040 of the main dex, and 960 beside it
POOLED = [balance("USDC", 0, "10000.0", "3140.0"), balance("HYPE", 150, "2.0"), balance("USDH", 360, "300.0")]


async def test_a_unified_account_counts_its_dollars_once() -> None:
    account = Account(
        {"": MAIN, "flx": FLX, "xyz": state("0.0")},
        {"balances": POOLED, "tokenToAvailableAfterMaintenance": [[0, "9310.0"], [360, "250.0"]]},
        "unifiedAccount",
    )
    # liquidation prices of pooled positions come from the pool: (10,000 − 40 − 650) instead of (9,000 − 650)
    pooled = {**MAIN, "assetPositions": [with_liquidation(ETH, "2050.0"), with_liquidation(PEPE, "98.6666666667"), HYPE]}
    holdings = await read(Account({**account.states, "": pooled}, account.spot, account.mode))
    assert (holdings.gaps, holdings.remarks) == ((), ())
    found = by_part(holdings)
    assert sorted(found) == ["", "USDH", "isolated/HYPE", "isolated/flx:CRCL", "spot"]
    pool = found[""]
    assert pool.figures.equity == equity_of(pool) == 9_960
    assert (pool.figures.maintenance_margin, pool.figures.liquidatable, pool.balances[0].withdrawable) == (D(650), False, D(9_310))
    assert equity_of(pool) == 10_000 - (equity_of(found["isolated/HYPE"]) or 0)
    dollars_of_felix = found["USDH"]
    assert equity_of(dollars_of_felix) == dollars_of_felix.figures.equity == D("0.999") * (300 - 40)
    assert [one.symbol for one in found["spot"].balances] == ["HYPE"]
    assert pool.parameters is not None and pool.parameters.values["account.abstraction"] == "unifiedAccount"


def with_liquidation(one: dict[str, Any], price: str) -> dict[str, Any]:
    return {**one, "position": {**one["position"], "liquidationPx": price}}


async def test_portfolio_margin_is_one_pool_with_its_debt() -> None:
    """1,000 dollars owed net, 100 HYPE supplied at an oracle price of 50.2 and a loan-to-value of .65, 5,000 dollars of ETH."""
    ether = position("ETH", "1.6666666667", "5000.0", "100.0", "500.0", 10, 25)
    spot = {
        "portfolioMarginEnabled": True,
        "balances": [
            balance("USDC", 0, "-1000.0", "-2000.0", ltv="0.0", borrowed="1500.0"),
            balance("HYPE", 150, "100.0", "0.0", ltv="0.65", supplied="100.0"),
            balance("MAX", 734, "7.0"),
        ],
        "portfolioMarginRatio": "0.2829187787",
        "tokenToAvailableAfterMaintenance": [[0, "3041.5"]],
    }
    lending = {
        "tokenToState": [
            [0, {"borrow": {"basis": "1500.0", "value": "1500.0"}, "supply": {"basis": "0.0", "value": "0.0"}}],
            [150, {"borrow": {"basis": "0.0", "value": "0.0"}, "supply": {"basis": "100.0", "value": "100.0"}}],
        ],
        "health": "atRisk",
        "healthFactor": "2.1753333",
    }
    main = state("500.0", "-4500.0", "500.0", "100.0", (ether,))
    holdings = await read(Account({"": main}, spot, "portfolioMargin", lending))
    assert (holdings.gaps, holdings.remarks) == ((), ())
    (account,) = holdings.venue_accounts
    assert (account.account, account.mode) == (USER, MarginMode.PORTFOLIO)
    assert (account.figures.margin_ratio, account.figures.liquidatable, account.figures.maintenance_margin) == (
        D("0.2829187787"),
        False,
        D(100),
    )
    # net of what is borrowed and without the position's profit; the lending book is the same money
    assert [(one.symbol, one.amount, one.collateral_weight) for one in account.balances] == [
        ("USDC", D(-1_100), D(1)),
        ("HYPE", D(100), D("0.65")),
        ("MAX", D(7), D(0)),
    ]
    assert account.parameters is not None
    values = account.parameters.values
    assert (values["USDC.borrowed"], values["HYPE.supplied"], values["HYPE.ltv"]) == (D(1_500), D(100), D("0.65"))
    assert (values["lending.health"], values["HYPE.lent"], values["account.keeping"]) == ("atRisk", D(100), "portfolio-margin")
    above = {**spot, "portfolioMarginRatio": "0.9501"}
    holdings = await read(Account({"": main}, above, "portfolioMargin", lending))
    assert holdings.venue_accounts[0].figures.liquidatable is True
    assert [one.code for one in holdings.remarks] == ["venue-recomputation-differs"]


@pytest.mark.parametrize(
    ("mode", "signal", "expected"),
    [
        ("default", False, "standard"),
        ("disabled", False, "standard"),
        ("dexAbstraction", False, "standard"),
        (None, False, "standard"),
        ("unifiedAccount", True, "unified"),
        # what the balances show goes before what was chosen
        (None, True, "unified"),
        ("default", True, "unified"),
        ("unifiedAccount", False, "unified"),
        ("portfolioMargin", False, "portfolio-margin"),
        ("portfolioMargin", True, "portfolio-margin"),
    ],
)
async def test_how_balances_are_kept(mode: str | None, signal: bool, expected: str) -> None:
    spot: dict[str, Any] = {"balances": [balance("USDC", 0, "500.0")]}
    if signal:
        spot["tokenToAvailableAfterMaintenance"] = [[0, "500.0"]]
    holdings = await read(Account({"": state("400.0", withdrawable="400.0")}, spot, mode))
    total = sum((equity_of(one) or D(0)) for one in holdings.venue_accounts)
    assert total == (900 if expected == "standard" else 500)
    assert all(one.parameters is not None and one.parameters.values["account.keeping"] == expected for one in holdings.venue_accounts)


async def test_margin_parameters_stand_with_the_account() -> None:
    found = by_part(await read(Account({"": MAIN})))
    parameters = found[""].parameters
    assert parameters is not None and parameters.as_of_ms == TIME_MS
    values = parameters.values
    assert (values["ETH.max_leverage"], values["ETH.leverage"], values["ETH.margin_mode"]) == (25, 10, "cross")
    assert (values["ETH.tier.1.lower_bound"], values["ETH.tier.1.max_leverage"]) == (D(100_000_000), 15)
    assert values["kPEPE.tier.0.max_leverage"] == 10 and "HYPE.leverage" not in values


async def test_figures_that_do_not_follow_are_told_and_stand() -> None:
    off = {**MAIN, "crossMaintenanceMarginUsed": "640.0"}
    holdings = await read(Account({"": off}))
    told = [one.detail for one in holdings.remarks]
    assert any("640.0 as maintenance margin on the main dex, recomputed 650" in one for one in told)
    assert by_part(holdings)[""].figures.maintenance_margin == 640
    old = position("ETH", "10.0", "30000.0", "500.0", "1500.0", 20, 20, liquidation="2147.9591836735")
    holdings = await read(Account({"": state("9000.0", "-21000.0", "1500.0", "750.0", (old,))}))
    # the leverage in the position is no tier of today's table: it is taken as it is, and the price is off by that
    assert [one.code for one in holdings.remarks] == ["venue-recomputation-differs"]


async def test_vaults_staking_and_lending_beside() -> None:
    account = Account(
        {},
        {"balances": [balance("HYPE", 150, "20.0")]},
        vaults=[
            {"vaultAddress": VAULT, "equity": "100.003834", "lockedUntilTimestamp": TIME_MS + 1},
            {"vaultAddress": SUB, "equity": "5.0", "lockedUntilTimestamp": TIME_MS - 1},
        ],
        staking={"delegated": "10.0", "undelegated": "2.0", "totalPendingWithdrawal": "1.0", "nPendingWithdrawals": 1},
        lending={
            "tokenToState": [
                [150, {"borrow": {"value": "0.0"}, "supply": {"value": "12.0"}}],
                [197, {"borrow": {"value": "0.0"}, "supply": {"value": "0.5"}}],
                [0, {"borrow": {"value": "3.0"}, "supply": {"value": "0.0"}}],
            ],
            "health": "healthy",
            "healthFactor": None,
        },
    )
    holdings = await read(account)
    found = by_part(holdings)
    assert sorted(found) == ["lending/UBTC", "spot", "staking", f"vault/{SUB}", f"vault/{VAULT}"]
    locked, free = found[f"vault/{VAULT}"], found[f"vault/{SUB}"]
    assert (locked.figures.equity, locked.balances[0].withdrawable) == (D("100.003834"), D(0))
    assert free.balances[0].withdrawable == 5
    assert (found["staking"].balances[0].amount, found["staking"].balances[0].price_usd) == (D(13), D("50.2"))
    # what is lent stands in the spot balance where that is large enough, and by itself where it is not
    assert found["lending/UBTC"].balances[0].amount == D("0.5")
    assert [one.code for one in holdings.remarks] == ["lending-inside-spot"]
    assert [gap.what for gap in holdings.gaps] == [f"3.0 USDC owed of {USER}"]


async def test_sub_accounts_belong_to_their_master_and_stand_once() -> None:
    sub = {
        "name": "hedge",
        "subAccountUser": SUB,
        "master": USER,
        "dexToClearinghouseState": [["", MAIN], ["flx", state()]],
        "spotState": {"balances": [balance("USDC", 0, "500.0")]},
    }
    holdings = await read(Account({"": state("10.0")}, subs=[sub]), USER, SUB)
    mine, theirs = by_part(holdings), by_part(holdings, SUB)
    assert sorted(mine) == [""] and sorted(theirs) == ["", "isolated/HYPE", "spot"]
    assert theirs[""].owner == mine[""].owner and theirs[""].figures.equity == 9_000
    assert theirs[""].parameters is not None and theirs[""].parameters.values["account.master"] == USER


money = st.decimals(min_value=D("-1e9"), max_value=D("1e9"), places=6)
share = st.decimals(min_value=0, max_value=D("1e6"), places=2)


@given(
    value=money, profit=money, margin=share, spot=money, hype=share, mode=st.sampled_from(["disabled", "unifiedAccount", "portfolioMargin"])
)
def test_no_dollar_stands_twice(value: Decimal, profit: Decimal, margin: Decimal, spot: Decimal, hype: Decimal, mode: str) -> None:
    """In every mode the accounts together are worth what the venue states: perpetuals and spot, or the spot balance alone."""
    ether = position("ETH", "1.0", "3000.0", f"{profit}", "300.0", 10, 25)
    alone = position("SOL", "2.0", "200.0", "1.5", f"{margin}", 10, 20, raw_usd=f"{margin - 200}")
    main = state(f"{value + margin}", "0.0", "300.0", "60.0", (ether, alone), cross=(f"{value}", "0.0", "300.0"))
    balances = {"balances": [balance("USDC", 0, f"{spot}"), balance("HYPE", 150, f"{hype}")]}
    if mode != "disabled":
        balances["tokenToAvailableAfterMaintenance"] = [[0, "0.0"]]  # type: ignore[list-item]
    holdings = asyncio.run(read(Account({"": main}, balances, mode)))
    total = sum((equity_of(one) or D(0) for one in holdings.venue_accounts), D(0))
    pooled = spot + hype * D("50.2")
    assert total == (pooled if mode != "disabled" else pooled + value + margin)


@given(
    size=st.decimals(min_value=D("-1e6"), max_value=D("1e6"), places=4).filter(bool),
    price=st.decimals(min_value=D("0.01"), max_value=D("1e6"), places=2),
    available=money,
    leverage=st.integers(1, 50),
)
def test_tiers_and_liquidation_prices_are_the_margin_models(size: Decimal, price: Decimal, available: Decimal, leverage: int) -> None:
    rate = D(1) / (2 * leverage)
    ours, model = liquidation_price(size, price, available, leverage), model_price(size, price, available, rate)
    assert (ours is None) == (model is None) or abs(ours or model or D(0)) < D("1e-12") * abs(available / size)
    if ours is not None and model is not None:
        assert abs(ours - model) <= D("1e-18") * max(price, abs(available / size))
    notional = abs(size) * price
    table = MarginTable(((D(0), 40), (D(100_000), 20), (D(1_000_000), 10)))
    other = ModelTable((Tier(D(0), 40), Tier(D(100_000), 20), Tier(D(1_000_000), 10)))
    assert abs(table.maintenance(notional) - other.maintenance(notional)) <= D("1e-15") * max(notional, D(1))
    assert table.leverage(notional) == other.tier(notional).max_leverage


@pytest.mark.parametrize("tiers", [(), ((D(1), 10),), ((D(0), 10), (D(0), 5)), ((D(0), 0),)])
def test_tables_that_are_none(tiers: tuple[tuple[Decimal, int], ...]) -> None:
    with pytest.raises(ValueError, match="tiers"):
        MarginTable(tiers)


def test_portfolio_ratios() -> None:
    # recorded on mainnet, 22 September 2026: dollars only, nothing borrowed; and the same with its maintenance out of reach
    dollars, maintenance = D("7678466.9041772699"), D("7678466.9041772699") - D("6656218.5307019101")
    found = portfolio_ratio(dollars, maintenance, ())
    assert found is not None and abs(found - D("0.133131833")) < D("5e-10")
    assert portfolio_ratio(D(-1_000), D(100), [Support(D(5_020), D("0.65"))]) == D(1_200) / D("4241.5")
    assert portfolio_ratio(D(0), D(0), ()) is None
    assert portfolio_ratio(D(10), D(20), ()) == D("1.5")


async def test_the_margin_model_says_the_same_of_what_was_read() -> None:
    """Holdings, cash and the tiers that stand with the account are all that the model needs to reproduce the venue's figures."""
    account = by_part(await read(Account({"": MAIN})))[""]
    assert account.parameters is not None
    values = account.parameters.values
    tables = {}
    for holding in account.holdings:
        name = holding.instrument.symbol
        numbers = sorted({int(key.split(".")[2]) for key in values if key.startswith(f"{name}.tier.")})
        tiers = [(values[f"{name}.tier.{number}.lower_bound"], values[f"{name}.tier.{number}.max_leverage"]) for number in numbers]
        tables[holding.instrument.underlying] = ModelTable(tuple(Tier(D(bound), int(leverage)) for bound, leverage in tiers))
    parameters = replace(SAMPLE, tables=tables, portfolio=False)
    prices = {one.instrument.underlying: Quote(float(one.mark_price or 0)) for one in account.holdings}
    market = Market(account.as_of_ms / 1000, spot=prices, perpetuals=prices)
    book = MarginBook(account.holdings, float(sum(one.amount for one in account.balances)))
    found = MODEL.requirement(book, market, parameters, Kind.MAINTENANCE)
    assert found.amount == pytest.approx(650, rel=1e-12) and found.equity == pytest.approx(9_000, rel=1e-12)
    assert MODEL.requirement(book, market, parameters, Kind.INITIAL).amount == pytest.approx(3_100, rel=1e-12)
