"""What Hyperliquid is asked for and what it costs, what becomes of answers that do not come, and its own recorded accounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.hyperliquid.maths import liquidation_price
from aggregator.model.instrument import MarginMode, VenueAccount
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.venue_kit import ScriptedVenue, broken_venue_laws, equity_of, read_venue, silent
from aggregator.reading.venue_manifest import venue
from tests.adapters.hyperliquid_venue import DEXES, TIME_MS, USER, Account, balance, hyperliquid, position, state
from tests.adapters.test_hyperliquid import FLX, MAIN, SPOT, by_part
from tests.adapters.venue_data import recorded

HYPERLIQUID = venue("hyperliquid")
D = Decimal
ACCOUNT = Account({"": MAIN, "flx": FLX}, {"balances": SPOT})


async def read(account: Account, **more: Any) -> Holdings:
    holdings = await read_venue(HYPERLIQUID, hyperliquid(account, **more), USER, now_ms=TIME_MS)
    assert broken_venue_laws(holdings) == []
    return holdings


async def test_what_it_asks_for_and_what_that_weighs() -> None:
    reads, memory = ScriptedVenue(hyperliquid(ACCOUNT)), Memory()
    await read_venue(HYPERLIQUID, reads, USER, now_ms=TIME_MS, memory=memory)
    kinds = [str(request.body["type"]) for request in reads.requests]
    # four of the venue, six of the owner, and a state a dex; the state calls weigh 2, everything else 20
    assert kinds.count("clearinghouseState") == 3 and len(kinds) == 4 + 6 + 3
    assert reads.weight == 9 * 20 + 4 * 2
    # the builders' dexes are in a second round, and remembered
    assert reads.unwaited == len(kinds) - 2
    again = ScriptedVenue(hyperliquid(ACCOUNT))
    await read_venue(HYPERLIQUID, again, USER, now_ms=TIME_MS, memory=memory)
    assert {request.key for request in again.requests} == {request.key for request in reads.requests}
    assert again.unwaited == len(kinds)
    two = ScriptedVenue(hyperliquid(ACCOUNT))
    await read_venue(HYPERLIQUID, two, USER, "0x" + "d4" * 20, now_ms=TIME_MS)
    assert two.weight == reads.weight + 5 * 20 + 2 + 3 * 2


async def test_a_dex_that_is_new_is_read_at_once() -> None:
    memory = Memory()
    await read_venue(HYPERLIQUID, hyperliquid(ACCOUNT, dexes=DEXES[:1]), USER, now_ms=TIME_MS, memory=memory)
    holdings = await read_venue(HYPERLIQUID, hyperliquid(ACCOUNT), USER, now_ms=TIME_MS, memory=memory)
    assert "flx" in by_part(holdings)


async def test_a_venue_that_is_down_is_gaps_and_nothing_else() -> None:
    holdings = await read_venue(HYPERLIQUID, silent, USER, now_ms=TIME_MS)
    assert holdings.venue_accounts == () and holdings.gaps
    assert {(gap.chain, gap.protocol) for gap in holdings.gaps} == {("eip155:999", "hyperliquid")}


@pytest.mark.parametrize(
    ("missing", "what", "left"),
    [
        ("clearinghouseState:flx", f"perpetuals of {USER} on flx", {"", "isolated/HYPE", "spot"}),
        ("clearinghouseState:", f"perpetuals of {USER}", {"flx", "isolated/flx:CRCL", "spot"}),
        ("spotClearinghouseState", f"spot balances of {USER}", {"", "flx", "isolated/HYPE", "isolated/flx:CRCL"}),
        ("userVaultEquities", f"vault deposits of {USER}", None),
        ("delegatorSummary", f"staked HYPE of {USER}", None),
        ("borrowLendUserState", f"lending of {USER}", None),
        ("subAccounts2", f"sub-accounts of {USER}", None),
        ("spotMetaAndAssetCtxs", "prices of spot tokens", None),
        ("allPerpMetas", f"perpetuals of {USER} on flx: their collateral", {"", "isolated/HYPE", "spot"}),
    ],
)
async def test_one_missing_answer_is_one_gap(missing: str, what: str, left: set[str] | None) -> None:
    holdings = await read(ACCOUNT, without=(missing,))
    assert what in [gap.what for gap in holdings.gaps]
    assert len(holdings.gaps) == 1 and holdings.gaps[0].why == "endpoint: not scripted"
    assert set(by_part(holdings)) == (left if left is not None else set(by_part(await read(ACCOUNT))))


async def test_the_account_mode_alone_is_no_loss_where_the_balances_show_it() -> None:
    holdings = await read(ACCOUNT, without=("userAbstraction",))
    assert holdings.gaps == () and set(by_part(holdings)) == set(by_part(await read(ACCOUNT)))


async def test_without_mode_and_balances_no_figure_is_believed() -> None:
    holdings = await read(ACCOUNT, without=("userAbstraction", "spotClearinghouseState"))
    assert holdings.venue_accounts == ()
    assert f"perpetuals of {USER}: how it keeps its balances" in [gap.what for gap in holdings.gaps]


async def test_a_pool_without_its_balances_shows_positions_and_no_equity() -> None:
    holdings = await read(Account({"": MAIN}, mode="unifiedAccount"), without=("spotClearinghouseState",))
    pool = by_part(holdings)[""]
    assert (pool.balances, pool.figures.equity, pool.figures.liquidatable) == ((), None, None)
    assert len(pool.holdings) == 2 and pool.figures.maintenance_margin == 650


async def test_the_list_of_dexes_is_also_in_the_metas() -> None:
    holdings = await read(ACCOUNT, without=("perpDexs",))
    assert holdings.gaps == () and "flx" in by_part(holdings)
    holdings = await read(ACCOUNT, without=("perpDexs", "allPerpMetas"))
    assert "dexes of builders" in [gap.what for gap in holdings.gaps]


async def test_without_tables_a_position_still_says_its_leverage() -> None:
    nameless = position("ETH", "10.0", "30000.0", "500.0", "3000.0", 10, None)
    alone = position("SOL", "1.0", "100.0", "0.0", "10.0", 10, None, raw_usd="-90.0")
    main = state("9010.0", "-21090.0", "3010.0", "600.0", (nameless, alone), cross=("9000.0", "-21000.0", "3000.0"))
    holdings = await read(Account({"": main}), without=("allPerpMetas",))
    assert [gap.what for gap in holdings.gaps] == ["margin tables"]
    isolated = by_part(holdings)["isolated/SOL"]
    assert isolated.figures.maintenance_margin is None and isolated.figures.liquidatable is None


async def test_tokens_on_their_way_are_named() -> None:
    spot = {"balances": [], "evmEscrows": [{"coin": "HYPE", "token": 150, "total": "2.5"}, {"coin": "USDC", "token": 0, "total": "0.0"}]}
    holdings = await read(Account({}, spot))
    assert [gap.what for gap in holdings.gaps] == [f"2.5 HYPE of {USER} on their way to HyperEVM"]


RECORDED = [
    # dollars in spot, what the pool has left after maintenance, the venue's value of the perpetuals; a short and a long, both isolated
    (
        "a short of HYPE, mode null",
        None,
        ("289.1707113", "182.3617693"),
        state(
            "106.720442",
            "1532.665442",
            "106.720442",
            "0.0",
            (
                position(
                    "HYPE",
                    "-15.0",
                    "1425.945",
                    "-32.616",
                    "106.720442",
                    10,
                    10,
                    entry="92.8886",
                    liquidation="97.3120915556",
                    raw_usd="1532.665442",
                ),
            ),
            cross=("0.0", "0.0", "0.0"),
        ),
    ),
    (
        "a long of MEGA, unified",
        "unifiedAccount",
        ("2296.35783828", "172.99725228"),
        state(
            "2193.808086",
            "-1234.816914",
            "2123.360586",
            "0.0",
            (
                position(
                    "MEGA",
                    "75000.0",
                    "3428.625",
                    "-1364.860533",
                    "2123.360586",
                    3,
                    3,
                    entry="0.063913",
                    liquidation="0.0208842306",
                    raw_usd="-1305.264414",
                ),
            ),
            cross=("70.4475", "70.4475", "0.0"),
        ),
    ),
]


@pytest.mark.parametrize(("name", "mode", "spot", "main"), RECORDED, ids=[one[0] for one in RECORDED])
async def test_pooled_accounts_of_september_2026(name: str, mode: str | None, spot: tuple[str, str], main: dict[str, Any]) -> None:
    """Figures of two mainnet accounts, as a public test suite records them: the dollars are the spot balance, and no more."""
    total, available = spot
    balances = {"balances": [balance("USDC", 0, total, main["marginSummary"]["accountValue"])]}
    account = Account({"": main}, {**balances, "tokenToAvailableAfterMaintenance": [[0, available]]}, mode)
    holdings = await read(account)
    assert (holdings.gaps, holdings.remarks) == ((), ())
    found = by_part(holdings)
    (isolated,) = [one for one in found.values() if one.mode is MarginMode.ISOLATED]
    assert isolated.figures.equity == D(main["assetPositions"][0]["position"]["marginUsed"])
    assert sum((equity_of(one) or D(0)) for one in found.values()) == D(total)
    # what the pool has left is what the venue says; where the two calls landed a moment apart, but for that moment
    assert abs((found[""].figures.equity or D(0)) - D(available)) < D("0.1")


async def recorded_account(raw: dict[str, Any], dex: str = "", metas: Any = None) -> Holdings:
    return await read(Account({dex: raw}, mode="disabled"), **({} if metas is None else {"metas": metas}))


def reproduced(account: VenueAccount, raw: dict[str, Any]) -> None:
    """Value, margins and liquidation prices of a recorded state, exactly as the venue printed them."""
    cross = account.mode is MarginMode.CROSS
    for holding in account.holdings:
        stated = next(one["position"] for one in raw["assetPositions"] if one["position"]["coin"] == holding.instrument.symbol)
        assert holding.size == D(stated["szi"]) and holding.unrealised == D(stated["unrealizedPnl"])
        assert holding.liquidation_price == (None if stated["liquidationPx"] is None else D(stated["liquidationPx"]))
        assert holding.mark_price is not None
        assert abs(holding.size) * holding.mark_price == pytest.approx(D(stated["positionValue"]), rel=D("1e-25"))
        if stated["liquidationPx"] is not None and "maxLeverage" in stated:
            maintenance = D(stated["positionValue"]) / (2 * int(stated["maxLeverage"]))
            left = D(stated["marginUsed"]) - maintenance
            if cross:
                left = D(raw["crossMarginSummary"]["accountValue"]) - D(raw["crossMaintenanceMarginUsed"])
            again = liquidation_price(holding.size, holding.mark_price, left, int(stated["maxLeverage"]))
            assert again == pytest.approx(D(stated["liquidationPx"]), rel=D("1e-9"))
        if not cross:
            assert account.figures.equity == equity_of(account) == D(stated["marginUsed"])
    if cross:
        summary = raw["crossMarginSummary"]
        assert account.figures.equity == equity_of(account) == D(summary["accountValue"])
        assert account.figures.initial_margin == D(summary["totalMarginUsed"])
        assert account.figures.maintenance_margin == (D(raw["crossMaintenanceMarginUsed"]) if "crossMaintenanceMarginUsed" in raw else None)


@pytest.mark.data
@pytest.mark.parametrize("number", range(4))
async def test_recorded_states(number: int) -> None:
    """Cross and isolated, main dex and a builder's: no recomputed value, margin or liquidation price differs by more than rounding."""
    case = recorded("ccxt/hyperliquid_clearinghouseState.json")["cases"][number]
    raw, dex = case["response"], case["request"].get("dex", "")
    holdings = await recorded_account(raw, dex)
    assert holdings.gaps == () and holdings.remarks == (), holdings.remarks
    for account in holdings.venue_accounts:
        assert account.as_of_ms == int(raw["time"])
        scale = D("0.999") if account.collateral_symbol == "USDH" else D(1)
        if scale == 1:
            reproduced(account, raw)
        else:
            isolated = account.mode is MarginMode.ISOLATED
            stated = raw["assetPositions"][0]["position"]["marginUsed"] if isolated else raw["crossMarginSummary"]["accountValue"]
            assert account.figures.equity == scale * D(stated)


@pytest.mark.data
async def test_an_account_of_march_2023() -> None:
    """Twelve cross positions in the shape of that year: no time, no leverage of the tier, no maintenance margin."""
    path = "hyperliquid/python_sdk_cassettes/info_test__test_get_user_state.json"
    raw = recorded(path)["interactions"][0]["response"]["body"]
    holdings = await recorded_account(raw)
    (account,) = holdings.venue_accounts
    reproduced(account, raw)
    assert account.as_of_ms == TIME_MS and len(account.holdings) == 12
    assert account.figures.liquidatable is None and account.figures.maintenance_margin is None
    assert sum(one.liquidation_price is not None for one in account.holdings) == 5


@pytest.mark.data
async def test_recorded_vault_deposits() -> None:
    path = "hyperliquid/python_sdk_cassettes/info_test__test_user_vault_equities.json"
    raw = recorded(path)["interactions"][0]["response"]["body"]
    holdings = await read(Account({}, vaults=raw))
    assert [one.figures.equity for one in holdings.venue_accounts] == [D(one["equity"]) for one in raw]
    assert all(one.balances[0].withdrawable == one.figures.equity for one in holdings.venue_accounts)
