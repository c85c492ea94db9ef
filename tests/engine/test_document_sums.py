"""The document adds up: every leg by its price, every total by its legs, every account by its positions, and nothing stands twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

import pytest

from aggregator.engine.schema import HealthDocument, LegDocument, MarginAccountDocument, PositionDocument
from aggregator.localnet.world import World
from tests.engine.support import Sight, look_once

pytestmark = pytest.mark.localnet

MICRO = Decimal("0.000001")


@pytest.fixture(scope="module")
async def documents(deployed: World, everybody: Sight, whole: Sight, now: float) -> list[HealthDocument]:
    """Of everybody together, and of some alone."""
    urls = {chain_id: (chain.url,) for chain_id, chain in deployed.chains.items()}
    some = [deployed.owner(name).address for name in ("dust", "aave-bad-debt", "morpho-several-markets", "vault-nested", "empty")]
    return [everybody.document, whole.document, *[(await look_once(urls, [owner], now=now)).document for owner in some]]


def positions(document: HealthDocument) -> Iterator[PositionDocument]:
    yield from document.positions
    for account in document.margin_accounts:
        yield from account.positions


def value(legs: Iterable[LegDocument], *sides: str) -> tuple[Decimal, int]:
    """Sum of the known values on these sides, and how many there are."""
    known = [Decimal(leg.value_usd) for leg in legs if leg.value_usd is not None and leg.side in sides]
    return sum(known, Decimal(0)), len(known)


def assert_sum(total: str, legs: Iterable[LegDocument], *sides: str) -> None:
    """Legs and total were each rounded to a millionth of a dollar, in the same direction."""
    exact, count = value(legs, *sides)
    assert abs(Decimal(total) - exact) <= MICRO * (count + 1)


def test_totals_are_the_sums_of_the_legs(documents: list[HealthDocument]) -> None:
    for document in documents:
        legs = [leg for position in positions(document) for leg in position.legs]
        health = document.health
        assert health.debt_usd is not None and health.equity_usd is not None
        assert_sum(health.collateral_usd, legs, "collateral", "idle")
        assert_sum(health.debt_usd, legs, "debt")
        assert abs(Decimal(health.equity_usd) - (Decimal(health.collateral_usd) - Decimal(health.debt_usd))) <= 2 * MICRO
        after = [
            Decimal(leg.value_usd) * (1 - Decimal(leg.haircut)) for leg in legs if leg.value_usd is not None and leg.haircut is not None
        ]
        # haircuts are shown with six decimals
        assert abs(Decimal(health.collateral_after_haircuts_usd) - sum(after, Decimal(0))) <= MICRO * (
            1 + len(after) + Decimal(health.collateral_usd)
        )


def test_accounts_are_the_sums_of_their_legs(documents: list[HealthDocument]) -> None:
    accounts: list[MarginAccountDocument] = [account for document in documents for account in document.margin_accounts]
    assert len(accounts) > 60
    for account in accounts:
        legs = [leg for position in account.positions for leg in position.legs]
        assert_sum(account.collateral_usd, legs, "collateral", "idle")
        assert account.debt_usd is not None
        assert_sum(account.debt_usd, legs, "debt")
        assert {(position.chain, position.protocol, position.market, position.owner) for position in account.positions} == {
            (account.chain, account.protocol, account.market, account.owner)
        }


def test_a_leg_is_worth_its_amount_at_its_price(documents: list[HealthDocument]) -> None:
    priced = 0
    for document in documents:
        for leg in (leg for position in positions(document) for leg in position.legs):
            if leg.price_usd is None or leg.value_usd is None:
                continue
            priced += 1
            with localcontext(prec=120):
                amount = Decimal(int(leg.amount_raw) + int(leg.fees_raw)).scaleb(-leg.decimals)
                rounding = ROUND_CEILING if leg.side == "debt" else ROUND_FLOOR
                worth = (amount * Decimal(leg.price_usd)).quantize(MICRO, rounding)
                # a price that divides one price by another has more digits than are shown
                assert abs(worth - Decimal(leg.value_usd)) <= MICRO + amount * Decimal("1e-18"), (leg.symbol, leg.amount_raw)
    assert priced > 150


def test_what_is_looked_through_is_worth_what_it_is_made_of(documents: list[HealthDocument]) -> None:
    """A rate times a base is no other value than the base's. A pair's fair value lies a little below what its amounts are worth, and what
    is staked or wrapped may trade a little off what it stands for."""
    ratios: dict[int, list[Decimal]] = {}
    for position in (position for document in documents for position in positions(document)):
        for leg in (leg for leg in position.legs if leg.look_through and Decimal(leg.value_usd or 0) > 1):
            parts = [Decimal(part.value_usd) for part in leg.look_through if part.value_usd is not None]
            assert len(parts) == len(leg.look_through)
            ratios.setdefault(len(parts), []).append(Decimal(str(leg.value_usd)) / sum(parts, Decimal(0)))
    assert len(ratios[1]) > 50 and len(ratios[2]) > 3
    assert all(abs(ratio - 1) < Decimal("0.005") for ratio in ratios[1])
    assert all(Decimal("0.99") < ratio < Decimal("1.00001") for ratio in ratios[2])


def test_nothing_stands_twice(documents: list[HealthDocument]) -> None:
    for document in documents:
        stands = Counter(
            (position.chain, position.protocol, position.market, position.owner, leg.asset, leg.side, *position.identifiers.items())
            for position in positions(document)
            for leg in position.legs
        )
        assert [key for key, count in stands.items() if count > 1] == []
        wallets = {
            (position.chain, position.owner, leg.asset)
            for position in document.positions
            if position.protocol == "wallet"
            for leg in position.legs
        }
        elsewhere = {
            (position.chain, position.owner, leg.asset)
            for position in document.positions
            if position.protocol in ("lido", "rate-tokens", "rwa", "uniswap-v2")
            for leg in position.legs
        }
        assert not wallets & elsewhere


def test_what_is_missing_is_all_that_makes_it_incomplete(documents: list[HealthDocument]) -> None:
    for document in documents:
        valueless = [leg for position in positions(document) for leg in position.legs if leg.value_usd is None]
        assert document.coverage.complete is (not document.coverage.missing)
        assert all(any(leg.asset in gap.what for gap in document.coverage.missing) for leg in valueless)


def test_isolated_requirement_pooled_and_what_lies_between(documents: list[HealthDocument]) -> None:
    for document in documents:
        health = document.health
        figures = (health.isolated_requirement_usd, health.requirement_usd, health.pooled_requirement_usd, health.netting_benefit_usd)
        isolated, needed, pooled, benefit = (Decimal(str(figure)) for figure in figures)
        assert isolated >= needed >= pooled >= 0
        assert benefit == isolated - needed
        if health.margin_ratio is not None:
            assert abs(Decimal(health.margin_ratio) * needed - Decimal(str(health.equity_usd))) <= needed * MICRO + 2 * MICRO * 10
