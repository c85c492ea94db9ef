"""The adapter against a scripted pool: what it reports, what it names as missing, and how often it asks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.aave_v3.maths import EfficiencyMode, Generation
from aggregator.model.identifiers import Address, erc20
from aggregator.model.outcome import Reason
from aggregator.model.position import MarginAccount, Side
from aggregator.model.token import TokenKind
from aggregator.model.units import UINT256_MAX, WAD
from aggregator.reading.adapter import Holdings, Memory
from aggregator.reading.kit import broken_laws
from tests.adapters.scripted import Contract
from tests.adapters.scripted_aave import (
    ACTIVE,
    FEED,
    FROZEN,
    NOW,
    ORACLE,
    OTHER,
    OWNER,
    PAUSED,
    SILOED,
    ScriptedPool,
    configuration,
)

ETHER_PRICE = 2_000 * 10**8


def borrower(generation: Generation = Generation.V3_6, debt: int = 4_000 * 10**6, slug: str = "aave-v3") -> ScriptedPool:
    """Three ether supplied, USDC borrowed."""
    pool = ScriptedPool(slug, 1 if slug == "spark" else 42161, generation)
    ether = pool.reserve("ETHX", price=ETHER_PRICE)
    dollar = pool.reserve("USDX", word=configuration(7_800, 6))
    pool.supply(ether, 3 * WAD)
    dollar.variable[OWNER] = debt
    return pool


def only(holdings: Holdings) -> MarginAccount:
    assert broken_laws(holdings) == []
    (account,) = holdings.margin_accounts
    return account


# -- what is reported -------------------------------------------------------------------------------------------------------


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

MODE = EfficiencyMode(3, 9_000, 9_300, 10_100, "Ether\x1b[31m correlated", collateral_bitmap=1)


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


# -- what cannot be read ------------------------------------------------------------------------------------------------------


async def test_a_reverting_feed_costs_its_holders_the_health_and_nobody_else() -> None:
    pool = borrower()
    broken = pool.reserve("BADX", price=None)
    pool.supply(broken, 5, OTHER)
    pool.reserves[1].variable[OTHER] = 1
    holdings = await pool.read(OWNER, OTHER)
    assert broken_laws(holdings) == []
    fine, hit = holdings.margin_accounts
    assert fine.health_factor == 12 * 10**17
    assert (hit.health_factor, hit.liquidatable, hit.debt_free, hit.collateral_value) == (None, None, False, None)
    assert [leg.amount for leg in hit.legs] == [1, 5]
    assert hit.legs[1].terms is not None and hit.legs[1].terms.oracle_value is None
    named = {gap.what: gap.why for gap in holdings.gaps}
    assert named == {
        "oracle price of BADX (Core)": "reverted",
        f"health of {OTHER} (Core)": "getUserAccountData reverted; no price of BADX",
    }


async def test_without_debt_a_reverting_feed_leaves_the_verdict_certain() -> None:
    pool = ScriptedPool()
    pool.supply(pool.reserve("BADX", price=None), 5)
    account = only(await pool.read())
    assert (account.debt_free, account.liquidatable, account.collateral_value) == (True, False, None)


async def test_a_balance_that_cannot_be_read_is_a_gap_and_never_nothing() -> None:
    pool = borrower()
    pool.reserve("BADX", broken_balance=Reason.OUT_OF_GAS)
    holdings = await pool.read()
    assert len(only(holdings).legs) == 2
    (gap,) = holdings.gaps
    assert (gap.what, gap.why) == (f"BADX supplied, BADX debt of {OWNER} (Core)", "out-of-gas")


async def test_a_pool_that_its_provider_does_not_name_is_not_read() -> None:
    pool = borrower()
    pool.named_pool = "0x" + "99" * 20
    holdings = await pool.read()
    assert holdings.margin_accounts == ()
    (gap,) = holdings.gaps
    assert "names 0x9999" in gap.why


async def test_hostile_symbols_are_cleaned_and_nameless_tokens_shown_by_address() -> None:
    pool = ScriptedPool()
    pool.supply(pool.reserve("x", raw_symbol=b"MKRX".ljust(32, b"\0")), 1)
    pool.supply(pool.reserve("x", raw_symbol=b"\x1b[2J\xff" + b"A" * 500), 1)
    nameless = pool.reserve("x", raw_symbol=b"")
    pool.supply(nameless, 1)
    shown = [leg.symbol for leg in only(await pool.read()).legs]
    address = nameless.address()
    assert shown == ["MKRX", "[2J" + "A" * 29, f"{address[:6]}…{address[-4:]}"]


async def test_a_market_counted_in_another_currency_gives_no_dollar_prices() -> None:
    pool = borrower()
    pool.base_currency = pool.reserves[0].address()
    holdings = await pool.read()
    account = only(holdings)
    assert account.numeraire == account.legs[0].asset
    assert holdings.quotes == ()
    assert all(leg.terms is not None and leg.terms.oracle_price_usd is None for leg in account.legs)


# -- rounds -------------------------------------------------------------------------------------------------------------------


async def test_one_owner_costs_one_round_cold_and_warm() -> None:
    pool = borrower()
    for _ in range(2):
        await pool.read()
        assert pool.rounds == 1


async def test_reserves_beyond_the_expected_ones_cost_a_second_round_once() -> None:
    pool = ScriptedPool()
    extra = 7
    for number in range(int(pool.deployment.parameters["reserves"]) + 2 + extra):
        pool.supply(pool.reserve(f"T{number}"), number + 1)
    cold = only(await pool.read())
    assert pool.rounds == 2
    assert sorted(leg.amount for leg in cold.legs) == list(range(1, len(pool.reserves) + 1))
    assert only(await pool.read()) == cold
    assert pool.rounds == 1
    pool.supply(pool.reserve("NEW"), 10**6)
    assert len(only(await pool.read()).legs) == len(pool.reserves)


async def test_memory_that_no_longer_holds_is_dropped_and_the_market_read_anew() -> None:
    pool = borrower()
    await pool.read()
    for one in pool.reserves:
        one.token_version = 1
    pool.chain.contracts.clear()
    account = only(await pool.read())
    assert account.health_factor == 12 * 10**17
    assert {leg.symbol: leg.amount for leg in account.legs} == {"ETHX": 3 * WAD, "USDX": 4_000 * 10**6}
    assert pool.rounds == 2


async def test_a_market_that_is_not_there_is_asked_for_with_one_call_and_found_once_it_appears() -> None:
    pool = borrower()
    provider = pool.deployment.contracts["pool_addresses_provider"]
    holdings = await read_nothing(pool)
    assert (holdings.margin_accounts, holdings.gaps) == ((), ())
    pool.chain.calls = 0
    await read_nothing(pool)
    assert (pool.chain.calls, provider in pool.chain.contracts) == (0, False)
    assert only(await pool.read()).health_factor == 12 * 10**17


async def test_a_dropped_reserve_leaves_its_number_empty_and_bits_are_read_by_number() -> None:
    pool = ScriptedPool()
    ether, _, dollar = pool.reserve("ETHX", price=ETHER_PRICE), pool.reserve("GONE"), pool.reserve("USDX", word=configuration(7_800, 6))
    del pool.reserves[1]
    owners = [Address(f"0x{0xD00D << 32 | number:040x}") for number in range(400)]
    for owner in owners:
        pool.supply(ether, 3 * WAD, owner)
        pool.supply(dollar, 5, owner, enabled=False)
        dollar.variable[owner] = 4_000 * 10**6
    for some in (owners[:1], owners):
        holdings = await pool.read(*some)
        assert (holdings.gaps, holdings.remarks) == ((), ())
        assert {account.health_factor for account in holdings.margin_accounts} == {12 * 10**17}
        assert all(len(account.legs) == 3 for account in holdings.margin_accounts)


async def read_nothing(pool: ScriptedPool) -> Holdings:
    """Read while nothing is deployed."""
    deploy = pool._deploy
    pool._deploy = lambda: None  # type: ignore[method-assign]
    try:
        return await pool.read()
    finally:
        pool._deploy = deploy  # type: ignore[method-assign]


@pytest.mark.parametrize("many", [2, 400])
async def test_many_owners_are_told_apart_and_asked_for_in_at_most_two_rounds(many: int) -> None:
    pool = ScriptedPool()
    ether, dollar = pool.reserve("ETHX", price=ETHER_PRICE), pool.reserve("USDX", word=configuration(7_800, 6))
    pool.modes[3] = MODE
    owners = [Address(f"0x{0xC0FFEE << 32 | number:040x}") for number in range(many)]
    for number, owner in enumerate(owners):
        pool.supply(ether, WAD + number, owner)
        dollar.variable[owner] = (number % 7) * 10**8
        pool.mode_of[owner] = 3 * (number % 2)
    for _ in range(2):
        holdings = await pool.read(*owners)
        assert (holdings.gaps, holdings.remarks, broken_laws(holdings)) == ((), (), [])
        assert [account.owner for account in holdings.margin_accounts] == owners
        for number, account in enumerate(holdings.margin_accounts):
            assert account.legs[0].amount == WAD + number
            assert sum(leg.amount for leg in account.legs[1:]) == (number % 7) * 10**8
            terms = account.legs[0].terms
            assert terms is not None and terms.liquidation_threshold == (Decimal("0.93") if number % 2 else Decimal("0.8"))
        assert pool.rounds == (1 if many == 2 else 2)


async def test_a_contract_without_the_getters_is_no_crash() -> None:
    pool = borrower()
    pool._deploy()
    pool.chain.contracts[pool.deployment.contracts["pool"]] = Contract()
    pool._deploy = lambda: None  # type: ignore[method-assign]
    holdings = await pool.read()
    assert holdings.margin_accounts == ()
    assert [gap.what for gap in holdings.gaps] == ["list of reserves (Core)"]
