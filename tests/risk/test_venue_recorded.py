"""Recorded accounts of real venues in the health figures: equity as stated, and the venue's own liquidation price found again."""

from __future__ import annotations

import pytest

from aggregator.model.instrument import VenueAccount
from aggregator.risk.assessment import assess
from aggregator.risk.prepared import prepare
from tests.adapters.test_hyperliquid_reading import recorded_account
from tests.adapters.venue_data import recorded
from tests.builders import portfolio
from tests.risk.strategies import QUICK
from tests.risk.venue_accounts import at_venues


async def accounts(number: int) -> tuple[VenueAccount, ...]:
    case = recorded("ccxt/hyperliquid_clearinghouseState.json")["cases"][number]
    return (await recorded_account(case["response"], case["request"].get("dex", ""))).venue_accounts


@pytest.mark.data
@pytest.mark.parametrize("number", range(4))
async def test_equity_and_health_are_the_venues_own(number: int) -> None:
    found = await accounts(number)
    for book, account in zip(prepare(at_venues(portfolio(), *found), {}, (), QUICK).venues, found, strict=True):
        assert not book.why and account.figures.equity is not None and account.figures.maintenance_margin is not None
        assert book.equity == pytest.approx(float(account.figures.equity), rel=1e-12)
        assert book.maintenance == float(account.figures.maintenance_margin)
    result = assess(at_venues(portfolio(), *found), {}, (), QUICK)
    assert result.equity_usd == sum(account.figures.equity or 0 for account in found)
    assert result.requirement is not None and result.requirement.isolated >= result.requirement.transfer_aware > 0


@pytest.mark.data
@pytest.mark.parametrize("number", range(4))
async def test_the_liquidation_price_of_a_single_position_is_the_venues(number: int) -> None:
    seen = 0
    for account in await accounts(number):
        if len(account.holdings) != 1 or account.holdings[0].liquidation_price is None or account.collateral_symbol != "USDC":
            continue
        (holding,) = account.holdings
        (own,) = assess(at_venues(portfolio(), account), {}, (), QUICK).venues
        (price,) = own.prices
        assert price.price_usd == pytest.approx(float(holding.liquidation_price or 0), rel=1e-6)
        seen += 1
    assert seen or all(len(one.holdings) != 1 or one.collateral_symbol != "USDC" for one in await accounts(number))


@pytest.mark.data
async def test_an_account_without_a_maintenance_margin_withholds() -> None:
    raw = recorded("hyperliquid/python_sdk_cassettes/info_test__test_get_user_state.json")["interactions"][0]["response"]["body"]
    result = assess(at_venues(portfolio(), *(await recorded_account(raw)).venue_accounts), {}, (), QUICK)
    assert result.requirement is None and result.score is None
    assert [gap.why for gap in result.missing] == ["the venue states no maintenance margin"]
