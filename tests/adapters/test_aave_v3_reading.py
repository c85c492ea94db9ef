"""How the adapter asks a scripted pool: what it cannot read is named, what it remembers is checked, and rounds are counted."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.model.identifiers import Address
from aggregator.model.outcome import Reason
from aggregator.model.units import WAD
from aggregator.reading.adapter import Holdings
from aggregator.reading.kit import broken_laws
from tests.adapters.scripted import Contract
from tests.adapters.scripted_aave import (
    ETHER_PRICE,
    MODE,
    OTHER,
    OWNER,
    ScriptedPool,
    borrower,
    configuration,
    only,
)


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
