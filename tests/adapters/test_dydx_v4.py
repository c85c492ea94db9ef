"""dYdX v4: equity, margins and liquidation prices of cross and isolated subaccounts, against the indexer and the chain's own integers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dydx_v4.maths import initial_fraction, liquidatable, liquidation_price
from aggregator.model.instrument import MarginMode, VenueAccount
from aggregator.model.outcome import Absent, Outcome, Reason
from aggregator.reading.adapter import Holdings
from aggregator.reading.venue import VenueRequest
from aggregator.reading.venue_kit import ScriptedVenue, VenueScript, answering, broken_venue_laws, equity_of, read_venue, silent
from aggregator.reading.venue_manifest import venue
from aggregator.risk.margin.dydx import LiquidityTier, adjusted_initial_margin_ppm, maintenance_margin
from tests.adapters.venue_data import recorded

DYDX = venue("dydx-v4")
D = Decimal
OWNER = "dydx1n56z5fhmemtffzkt2eqyf9kuc7ycjfs86mvqy7"
NOW_MS = 1_765_210_320_000
HEIGHT = {"height": "66624132", "time": "2025-12-08T16:11:59.450Z"}
NOW_HEIGHT_MS = 1_765_210_319_450


def market(ticker: str, price: str, initial: str = "0.02", maintenance: str = "0.012", **more: str) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "status": "ACTIVE",
        "oraclePrice": price,
        "initialMarginFraction": initial,
        "maintenanceMarginFraction": maintenance,
        "openInterest": "380.5",
        "openInterestLowerCap": "0",
        "openInterestUpperCap": "0",
        "marketType": "CROSS",
        "nextFundingRate": "0.00000125",
        **more,
    }


def position(name: str, side: str, size: str, entry: str, profit: str) -> dict[str, Any]:
    return {
        "market": name,
        "status": "OPEN",
        "side": side,
        "size": size,
        "entryPrice": entry,
        "unrealizedPnl": profit,
        "netFunding": "-1.5",
    }


def subaccount(number: int, equity: str, free: str, usdc: str, *positions: dict[str, Any]) -> dict[str, Any]:
    amount = D(usdc)
    cash = {"symbol": "USDC", "side": "LONG" if amount > 0 else "SHORT", "size": f"{abs(amount):f}", "assetId": "0"}
    return {
        "address": OWNER,
        "subaccountNumber": number,
        "equity": equity,
        "freeCollateral": free,
        "openPerpetualPositions": {one["market"]: one for one in positions},
        "assetPositions": {"USDC": cash} if amount else {},
        "marginEnabled": True,
        "latestProcessedBlockHeight": "66624141",
    }


MARKETS = {
    "BTC-USD": market("BTC-USD", "90000"),
    "ETH-USD": market("ETH-USD", "3000"),
    "SOL-USD": market(
        "SOL-USD", "140", "0.05", "0.03", openInterest="500000", openInterestLowerCap="40000000", openInterestUpperCap="100000000"
    ),
    "WIF,RAYDIUM,EKpQ-USD": market("WIF,RAYDIUM,EKpQ-USD", "0.5", "0.2", "0.12", marketType="ISOLATED"),
}
# 0.5·90,000 − 4·3,000 − 20,000 = 13,000;  IM = 2 % of 57,000;  the short's size is signed, as the indexer states it
CROSS = subaccount(
    0,
    "13000",
    "11860",
    "-20000",
    position("BTC-USD", "LONG", "0.5", "80000", "5000"),
    position("ETH-USD", "SHORT", "-4", "3100", "400"),
)
# 100·140 − 13,500 = 500; MM = 3 % of 14,000 = 420
CHILD = subaccount(128, "500", "-200", "-13500", position("SOL-USD", "LONG", "100", "150", "-1000"))


def script(*subaccounts: dict[str, Any], markets: dict[str, Any] | None = None, height: Any = None) -> VenueScript:
    return answering(
        {
            ("GET", f"/addresses/{OWNER}"): {"subaccounts": list(subaccounts), "totalTradingRewards": "0"},
            ("GET", "/perpetualMarkets"): {"markets": MARKETS if markets is None else markets},
            ("GET", "/height"): HEIGHT if height is None else height,
        }
    )


async def read(*subaccounts: dict[str, Any], **more: Any) -> Holdings:
    return await read_venue(DYDX, script(*subaccounts, **more), OWNER, now_ms=NOW_MS)


async def one(*subaccounts: dict[str, Any], **more: Any) -> VenueAccount:
    holdings = await read(*subaccounts, **more)
    assert broken_venue_laws(holdings) == []
    (account,) = holdings.venue_accounts
    return account


async def test_a_cross_account() -> None:
    account = await one(CROSS)
    assert (account.venue, account.account, account.mode) == ("dydx-v4", f"{OWNER}/0", MarginMode.CROSS)
    assert str(account.owner) == f"cosmos:dydx-mainnet-1:{OWNER}" == account.owner.shown
    assert account.as_of_ms == NOW_HEIGHT_MS
    assert (account.figures.equity, account.figures.initial_margin) == (D(13_000), D(1_140))
    assert account.figures.maintenance_margin == D("0.012") * 57_000
    assert account.figures.liquidatable is False and account.figures.margin_ratio is None
    btc, eth = account.holdings
    assert (btc.size, eth.size) == (D("0.5"), D(-4))
    assert (btc.instrument.underlying, btc.instrument.symbol, btc.mark_price) == ("BTC", "BTC-USD", D(90_000))
    assert equity_of(account) == account.figures.equity
    # where each price alone brings equity down to the maintenance margin
    for holding, other in ((btc, eth), (eth, btc)):
        assert holding.liquidation_price is not None and holding.mark_price is not None and other.mark_price is not None
        equity = 13_000 + holding.size * (holding.liquidation_price - holding.mark_price)
        needed = D("0.012") * (abs(holding.size) * holding.liquidation_price + abs(other.size) * other.mark_price)
        assert abs(equity - needed) < D("1e-18")
    assert (btc.liquidation_price or D("NaN")) < 90_000 and (eth.liquidation_price or D(0)) > 3_000


async def test_an_isolated_child_account() -> None:
    holdings = await read(CROSS, CHILD)
    assert broken_venue_laws(holdings) == []
    child = holdings.venue_accounts[1]
    assert (child.account, child.mode, child.figures.maintenance_margin) == (f"{OWNER}/128", MarginMode.ISOLATED, D(420))
    assert child.figures.initial_margin == 700 and child.figures.liquidatable is False
    assert child.parameters is not None
    values = child.parameters.values
    assert (values["subaccount.parent"], values["subaccount.usdc"]) == (0, -13_500)
    # open interest of 70 million between caps of 40 and 100: half the way from 5 % to 100 %
    assert values["SOL-USD.scaled_initial_margin_fraction"] == D("0.525")
    assert values["SOL-USD.initial_margin_fraction"] == D("0.05")
    assert child.parameters.as_of_ms == child.as_of_ms == NOW_HEIGHT_MS


async def test_a_market_that_is_isolated_isolates_its_account() -> None:
    account = await one(subaccount(3, "60", "50", "10", position("WIF,RAYDIUM,EKpQ-USD", "LONG", "100", "0.4", "10")))
    assert account.mode is MarginMode.ISOLATED
    assert account.holdings[0].instrument.underlying == "WIF"


async def test_below_maintenance_is_liquidatable() -> None:
    account = await one(subaccount(0, "400", "-300", "-13600", position("SOL-USD", "LONG", "100", "150", "-1000")))
    assert account.figures.liquidatable is True
    (sol,) = account.holdings
    assert sol.liquidation_price is not None and sol.liquidation_price > 140


async def test_an_address_that_the_indexer_never_saw_has_nothing_and_no_gap() -> None:
    def nobody(request: VenueRequest) -> Outcome[bytes]:
        return Absent(Reason.NOT_FOUND) if request.path.startswith("/addresses") else script()(request)

    holdings = await read_venue(DYDX, nobody, OWNER, now_ms=NOW_MS)
    assert (holdings.venue_accounts, holdings.gaps, holdings.remarks) == ((), (), ())
    empty = await read(subaccount(0, "0", "0", "0"))
    assert (empty.venue_accounts, empty.gaps) == ((), ())


async def test_what_cannot_be_read_is_named_and_never_zero() -> None:
    down = await read_venue(DYDX, silent, OWNER, now_ms=NOW_MS)
    assert down.venue_accounts == () and [gap.protocol for gap in down.gaps] == ["dydx-v4"]
    account_only = answering({("GET", f"/addresses/{OWNER}"): {"subaccounts": [CROSS]}})
    holdings = await read_venue(DYDX, account_only, OWNER, now_ms=NOW_MS)
    (account,) = holdings.venue_accounts
    assert account.figures.equity == 13_000
    assert account.figures.maintenance_margin is None and account.figures.liquidatable is None
    assert all(one.mark_price is None and one.liquidation_price is None for one in account.holdings)
    assert "margin of BTC-USD, ETH-USD" in holdings.gaps[0].what
    assert account.as_of_ms == NOW_MS and [one.code for one in holdings.remarks] == ["venue-time-unknown"]
    priceless = {**MARKETS, "ETH-USD": {**MARKETS["ETH-USD"], "oraclePrice": None}}
    holdings = await read(CROSS, markets=priceless)
    assert "margin of ETH-USD" in holdings.gaps[0].what and holdings.venue_accounts[0].figures.maintenance_margin is None


async def test_an_indexer_behind_and_parts_that_do_not_add_up_are_told() -> None:
    holdings = await read(CROSS, height={"height": "1", "time": "2025-12-08T16:00:00Z"})
    assert [one.code for one in holdings.remarks] == ["venue-stale"]
    off = {**CROSS, "equity": "14000"}
    holdings = await read(off)
    assert [one.code for one in holdings.remarks] == ["venue-recomputation-differs"]
    assert holdings.venue_accounts[0].figures.equity == 14_000


@pytest.mark.parametrize("word", ["0x" + "ab" * 20, OWNER[:-1] + "q", "dydx1", "cosmos1n56z5fhmemtffzkt2eqyf9kuc7ycjfs8", "", "12"])
def test_what_is_no_address_of_the_chain(word: str) -> None:
    assert DYDX.names(word) is None
    assert DYDX.names(f" {OWNER.upper()} ") is not None


@given(
    size=st.decimals(min_value=D("-1e6"), max_value=D("1e6"), places=4).filter(bool),
    price=st.decimals(min_value=D("0.01"), max_value=D("1e6"), places=2),
    equity=st.decimals(min_value=D("-1e9"), max_value=D("1e9"), places=2),
    rest=st.decimals(min_value=0, max_value=D("1e6"), places=2),
    percent=st.integers(1, 99),
)
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(
    size: Decimal, price: Decimal, equity: Decimal, rest: Decimal, percent: int
) -> None:
    fraction = D(percent) / 100
    found = liquidation_price(size, price, fraction, equity, abs(size) * price * fraction + rest)
    if found is not None:
        then, needed = equity + size * (found - price), abs(size) * found * fraction + rest
        assert abs(then - needed) <= D("1e-20") * max(abs(then), abs(equity), abs(size) * price / percent * 100, D(1))
    assert liquidation_price(D(0), price, fraction, equity, rest) is None


@given(open_notional=st.integers(0, 2 * 10**8), base=st.sampled_from([0, 20_000, 50_000, 200_000, 1_000_000]))
def test_the_scaled_fraction_is_the_chains(open_notional: int, base: int) -> None:
    tier = LiquidityTier(base, 600_000, 40_000_000 * 10**6, 100_000_000 * 10**6)
    chain = adjusted_initial_margin_ppm(tier, open_notional * 10**6)
    found = initial_fraction(D(base) / 10**6, D(open_notional), D(40_000_000), D(100_000_000))
    assert 0 <= found * 10**6 - chain < 1


def test_the_maintenance_margin_is_the_chains_but_for_its_rounding() -> None:
    tier = LiquidityTier(20_000, 600_000)
    notional = D("57000.123456")
    assert 0 <= maintenance_margin(tier, int(notional * 10**6)) - notional * D("0.012") * 10**6 < 2
    assert liquidatable(D(1), D("1.01")) and not liquidatable(D(1), D(1))
    assert not liquidatable(D(-5), D(0))


@pytest.mark.data
async def test_the_recorded_account() -> None:
    """A real account of 8 December 2025: USDC alone, to the last digit; and the markets of that day."""
    account = recorded("dydx/nautilus/http_get_subaccount.json")["result"]["subaccount"]
    markets = recorded("dydx/nautilus/http_get_perpetual_markets.json")["result"]["markets"]
    height = recorded("dydx/nautilus/http_get_block_height.json")["result"]
    holdings = await read(account, markets=markets, height=height)
    assert (holdings.gaps, holdings.remarks) == ((), ())
    (found,) = holdings.venue_accounts
    assert found.figures.equity == equity_of(found) == D("45.201296")
    assert (found.figures.initial_margin, found.figures.maintenance_margin, found.figures.liquidatable) == (D(0), D(0), False)
    # the same account with a position of the documented shape, at that day's oracle prices
    held = {**account, "equity": f"{D('45.201296') + D('0.001') * D('89919.2')}", "freeCollateral": "0"}
    held["openPerpetualPositions"] = {"BTC-USD": position("BTC-USD", "LONG", "0.001", "89919.2", "0")}
    holdings = await read(held, markets=markets, height=height)
    (found,) = holdings.venue_accounts
    assert holdings.remarks == () and found.figures.maintenance_margin == D("89.9192") * D("0.012")


async def test_a_time_without_a_zone_is_none() -> None:
    assert (await one(CROSS, height={"height": "1", "time": "2025-12-08T16:11:59"})).as_of_ms == NOW_MS


async def test_what_it_asks_for() -> None:
    """One request an address, two for all; within the indexer's hundred in ten seconds."""
    reads = ScriptedVenue(script(CROSS))
    await read_venue(DYDX, reads, OWNER, now_ms=NOW_MS)
    assert sorted(request.path for request in reads.requests) == [f"/addresses/{OWNER}", "/height", "/perpetualMarkets"]
    assert reads.weight == 3 and all(request.method == "GET" for request in reads.requests)
