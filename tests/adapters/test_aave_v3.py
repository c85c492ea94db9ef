"""The adapter against a scripted pool: accounts, e-modes, generations, and what hinders a liquidation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.aave_v3.maths import Generation
from aggregator.model.identifiers import erc20
from aggregator.model.position import Side
from aggregator.model.token import TokenKind
from aggregator.model.units import UINT256_MAX, WAD
from aggregator.reading.adapter import Memory
from tests.adapters.scripted_aave import (
    ACTIVE,
    ETHER_PRICE,
    FEED,
    FROZEN,
    MODE,
    NOW,
    ORACLE,
    OTHER,
    OWNER,
    PAUSED,
    SILOED,
    ScriptedPool,
    borrower,
    configuration,
    only,
)


async def test_an_account_with_its_legs_terms_and_verdict() -> None:
    pool = borrower()
    holdings = await pool.read()
    account = only(holdings)
    assert (account.health_factor, account.liquidatable, account.debt_free) == (12 * 10**17, False, False)
    assert (account.collateral_value, account.debt_value, account.numeraire) == (Decimal(6_000), Decimal(4_000), "USD")
    assert (account.liquidation_threshold, account.close_factor) == (Decimal("0.8"), Decimal("0.5"))
    assert account.market == pool.deployment.contracts["pool"]
    supplied, owed = account.legs
    assert (supplied.side, supplied.amount, supplied.symbol, supplied.decimals) == (Side.COLLATERAL, 3 * WAD, "ETHX", 18)
    assert (owed.side, owed.amount, owed.decimals, owed.redeemable) == (Side.DEBT, 4_000 * 10**6, 6, None)
    assert supplied.terms is not None and owed.terms is not None
    assert (supplied.terms.oracle_value, supplied.terms.oracle_price_usd) == (Decimal(6_000), Decimal(2_000))
    assert supplied.terms.loan_to_value == Decimal("0.75")
    assert (supplied.terms.liquidation_threshold, supplied.terms.liquidation_bonus) == (Decimal("0.8"), Decimal("0.05"))
    assert owed.terms.oracle_value == Decimal(4_000)
    assert (holdings.gaps, holdings.remarks) == ((), ())


async def test_receipts_are_claimed_and_made_of_their_underlying_and_prices_quoted() -> None:
    pool = borrower()
    holdings = await pool.read()
    ether = pool.reserves[0]
    tokens = {erc20(holdings.margin_accounts[0].chain, one.address(kind)) for one in pool.reserves for kind in (1, 2, 3)}
    assert holdings.claims == tokens
    assert {composition.asset for composition in holdings.compositions} <= tokens
    quote = next(quote for quote in holdings.quotes if quote.asset == holdings.margin_accounts[0].legs[0].asset)
    assert (quote.price_usd, quote.oracle, quote.source) == (Decimal(2_000), ORACLE, FEED)
    assert {token.symbol for token in holdings.tokens} == {"ETHX", "USDX"}
    assert all(token.kind is TokenKind.UNKNOWN for token in holdings.tokens)
    assert ether.address() in {token.address for token in holdings.tokens}


async def test_somebody_with_nothing_is_no_account_and_no_gap() -> None:
    holdings = await borrower().read(OTHER)
    assert (holdings.margin_accounts, holdings.gaps) == ((), ())
    assert holdings.quotes


async def test_what_is_not_enabled_as_collateral_has_no_threshold_but_stays() -> None:
    pool = ScriptedPool()
    pool.supply(pool.reserve("ETHX", price=ETHER_PRICE), 7, enabled=False)
    account = only(await pool.read())
    (leg,) = account.legs
    assert leg.terms is not None and leg.terms.liquidation_threshold == 0
    assert (leg.amount, account.debt_free, account.health_factor, account.liquidatable) == (7, True, None, False)
    assert "used_as_collateral" not in account.positions[0].identifiers


async def test_bad_debt_is_an_account_that_nobody_can_liquidate() -> None:
    pool = borrower()
    pool.collateral.clear()
    pool.reserves[0].supplied.clear()
    account = only(await pool.read())
    assert (account.health_factor, account.liquidatable) == (0, True)
    assert account.liquidation_blocked == "no collateral is left to seize"
    assert [leg.side for leg in account.legs] == [Side.DEBT]


async def test_dust_that_the_older_pool_values_at_nothing_is_still_owed() -> None:
    pool = borrower(Generation.V3_3, debt=0)
    pool.reserves[1].word = configuration(7_800, 18)
    pool.reserves[1].variable[OWNER] = 1
    account = only(await pool.read())
    assert (account.health_factor, account.debt_free, account.liquidatable) == (UINT256_MAX, False, False)


async def test_flags_and_liquidity() -> None:
    pool = borrower()
    ether, dollar = pool.reserves
    ether.word = configuration(flags=ACTIVE | FROZEN, ceiling=5_000)
    ether.liquidity = WAD
    dollar.word = configuration(7_800, 6, flags=ACTIVE | SILOED)
    account = only(await pool.read())
    assert account.legs[0].redeemable == WAD
    assert account.positions[0].identifiers == {"reserve": "0", "frozen": "true", "isolated": "true", "used_as_collateral": "true"}
    assert account.positions[1].identifiers == {"reserve": "1", "siloed": "true"}
    ether.word = configuration(flags=ACTIVE | PAUSED)
    assert only(await pool.read()).legs[0].redeemable == 0


# -- e-modes ----------------------------------------------------------------------------------------------------------------


async def test_an_e_mode_gives_its_terms_to_its_assets() -> None:
    pool = borrower()
    pool.modes[3], pool.mode_of[OWNER] = MODE, 3
    account = only(await pool.read())
    terms = account.legs[0].terms
    assert terms is not None
    assert (terms.loan_to_value, terms.liquidation_threshold, terms.liquidation_bonus) == (Decimal("0.9"), Decimal("0.93"), Decimal("0.01"))
    assert account.health_factor == 1_395 * 10**15
    assert account.positions[0].identifiers["e_mode"] == "3"
    assert account.positions[0].identifiers["e_mode_label"] == "Ether[31m correlated"
    assert account.market_label == "Core, e-mode Ether[31m correlated"


async def test_the_older_e_mode_prices_its_assets_itself() -> None:
    pool = borrower(Generation.V3_0, slug="spark")
    pool.reserves[0].word = configuration(category=3)
    pool.modes[3], pool.mode_of[OWNER] = replace(MODE, price=1_000 * 10**8), 3
    account = only(await pool.read())
    terms = account.legs[0].terms
    assert terms is not None
    assert (terms.oracle_price_usd, terms.oracle_value) == (Decimal(1_000), Decimal(3_000))
    assert account.health_factor == 6_975 * 10**14


async def test_an_isolated_e_mode_is_said_to_be_one() -> None:
    pool = borrower(Generation.V3_7)
    pool.modes[3], pool.mode_of[OWNER] = replace(MODE, isolated=True), 3
    pool.reserves[0].word = configuration(ceiling=9)
    identifiers = only(await pool.read()).positions[0].identifiers
    assert identifiers["e_mode_isolated"] == "true"
    assert "isolated" not in identifiers


# -- generations --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", list(Generation))
async def test_every_generation_reads_without_gap_or_difference(generation: Generation) -> None:
    pool = borrower(generation)
    if generation >= Generation.V3_2:
        pool.modes[3], pool.mode_of[OWNER] = MODE, 3
    for _ in range(2):
        holdings = await pool.read()
        assert (holdings.gaps, holdings.remarks) == ((), ())
        assert only(holdings).health_factor is not None


async def test_stable_debt_stands_apart_and_is_rounded_with_the_variable() -> None:
    pool = borrower(Generation.V3_0, debt=1, slug="spark")
    pool.reserves[1].price = 1_50000000
    pool.reserves[1].stable[OWNER] = 1
    account = only(await pool.read())
    assert [position.identifiers.get("rate") for position in account.positions] == [None, None, "stable"]
    values = [leg.terms.oracle_value for leg in account.legs if leg.terms and leg.side is Side.DEBT]
    assert sum(value for value in values if value is not None) == account.debt_value == Decimal("0.00000300")


async def test_a_generation_met_for_the_first_time_costs_one_more_round_for_its_stable_debt() -> None:
    pool = borrower(Generation.V3_1)
    pool.reserves[1].stable[OWNER] = 5
    first = only(await pool.read())
    assert pool.rounds == 2
    second = only(await pool.read())
    assert pool.rounds == 1
    assert first == second
    assert sorted(leg.amount for leg in second.legs)[0] == 5


async def test_a_fork_is_read_by_the_generation_its_manifest_states() -> None:
    pool = borrower(Generation.V3_0, slug="spark")
    pool.revision = 4711
    holdings = await pool.read()
    assert (holdings.remarks, holdings.gaps) == ((), ())


async def test_an_unknown_revision_is_named_and_the_pools_verdict_stands() -> None:
    pool = borrower()
    pool.revision = 4711
    holdings = await pool.read()
    assert [remark.code for remark in holdings.remarks] == ["unknown-revision"]
    assert "4711" in holdings.remarks[0].detail
    assert only(holdings).health_factor == 12 * 10**17
    assert holdings.gaps == ()


async def test_a_revision_that_is_not_said_once_is_remembered() -> None:
    pool = borrower(Generation.V3_3)
    first = await pool.read()
    pool.silent_revision = True
    assert await pool.read() == first
    assert pool.rounds == 1
    pool.memory = Memory()
    holdings = await pool.read()
    assert [remark.code for remark in holdings.remarks] == ["unknown-revision"]
    assert only(holdings).health_factor == only(first).health_factor


async def test_where_the_recomputation_differs_the_pools_figure_stands_with_a_remark() -> None:
    pool = borrower()
    pool.views[OWNER] = (6_000 * 10**8, 4_000 * 10**8, 0, 8_000, 7_500, 1_200_000_000_000_000_001)
    holdings = await pool.read()
    assert only(holdings).health_factor == 1_200_000_000_000_000_001
    (remark,) = holdings.remarks
    assert remark.code == "health-recomputation-differs"
    assert "health_factor 1200000000000000001 by the pool, 1200000000000000000 recomputed" in remark.detail


# -- what hinders a liquidation ---------------------------------------------------------------------------------------------


async def test_a_sentinel_protects_only_who_is_not_too_far_gone() -> None:
    pool = borrower(debt=4_900 * 10**6)
    pool.allowed = False
    account = only(await pool.read())
    assert account.liquidatable and account.liquidation_blocked == "the sequencer is down or was until recently"
    pool.reserves[1].variable[OWNER] = 5_100 * 10**6
    account = only(await pool.read())
    assert account.liquidatable and account.liquidation_blocked is None
    assert account.close_factor == 1
    pool.allowed = True
    pool.reserves[1].variable[OWNER] = 4_900 * 10**6
    assert only(await pool.read()).liquidation_blocked is None


async def test_nobody_asks_the_sentinel_since_3_7() -> None:
    pool = borrower(Generation.V3_7, debt=4_900 * 10**6)
    pool.allowed = False
    assert only(await pool.read()).liquidation_blocked is None


async def test_a_grace_period_or_a_pause_blocks_only_when_no_other_reserve_is_open() -> None:
    pool = borrower(debt=4_900 * 10**6)
    ether = pool.reserves[0]
    ether.grace_until = NOW
    assert only(await pool.read()).liquidation_blocked == "collateral: ETHX is in a grace period until 2026-02-02T02:40:00Z"
    pool.supply(pool.reserve("BTCX"), 10)
    assert only(await pool.read()).liquidation_blocked is None
    pool.reserves[1].word = configuration(7_800, 6, flags=ACTIVE | PAUSED)
    assert only(await pool.read()).liquidation_blocked == "debt: USDX is paused"
    ether.grace_until = NOW - 1
    pool.reserves[1].word = configuration(7_800, 6)
    assert only(await pool.read()).liquidation_blocked is None
