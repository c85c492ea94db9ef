"""What `crossmargin health --explain` shows: sums in words, at every width, and nothing where coverage withholds."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from aggregator.cli.report import print_report
from aggregator.cli.wording import money
from aggregator.engine.document import build_document
from aggregator.engine.schema import HealthDocument
from aggregator.model.portfolio import Portfolio
from aggregator.risk.assessment import assess_prepared
from aggregator.risk.explain import explain
from aggregator.risk.prepared import prepare
from tests.builders import ARBITRUM, SPAM, USDC, WETH, account, book, borrowed, leg, on, portfolio, supplied, wallet
from tests.risk.strategies import QUICK
from tests.risk.venue_accounts import at_venues, perp, venue

RICH = at_venues(
    portfolio([account(supplied(WETH, 10, bonus="0.05"), borrowed(USDC, 12_000))], wallet(leg(on(ARBITRUM, WETH), 3), chain=ARBITRUM)),
    venue(perp(-4), equity=10_000),
)


def made(one: Portfolio) -> HealthDocument:
    ready = prepare(one, book(), (), QUICK)
    own = assess_prepared(ready)
    return build_document(one, book(), own, explain(ready, own))


def printed(document: HealthDocument, width: int = 110, explained: bool = True) -> str:
    out = io.StringIO()
    print_report(document, Console(file=out, width=width, markup=False, highlight=False), {}, explained)
    return out.getvalue()


@pytest.mark.parametrize("width", [84, 100, 140])
def test_what_is_shown_sums_to_the_requirement(width: int) -> None:
    document = made(RICH)
    text = " ".join(printed(document, width).split())
    for heading in ("part by part", "holding by holding", "without one account", "Haircuts", "Chance of a liquidation"):
        assert heading in text
    for word in ("isolated", "transfer-aware", "pooled", "together", "joint", "←"):
        assert word in text
    assert document.health.requirement_usd is not None
    together = text[text.index("together") :].split()[1]
    assert together == money(document.health.requirement_usd)


def test_the_document_sums() -> None:
    document = made(RICH)
    found, health = document.explain, document.health
    assert found is not None and health.requirement_usd is not None and health.isolated_requirement_usd is not None
    for parts, whole in (
        (found.isolated, health.isolated_requirement_usd),
        (found.transfer_aware, health.requirement_usd),
        (found.contributions, health.requirement_usd),
        (found.by_account, health.requirement_usd),
    ):
        assert abs(sum(Decimal(one.usd) for one in parts) - Decimal(whole)) < Decimal("0.0001")
    assert abs(sum(Decimal(one.usd) for one in found.left_out) + Decimal(found.joint_usd) - Decimal(health.requirement_usd)) < Decimal(
        "0.0001"
    )
    assert found.driver in {one.where for one in found.probability}


def test_each_account_says_how_long_it_lives_and_what_liquidation_takes() -> None:
    chain, at_venue = made(RICH).margin_accounts
    assert chain.liquidation.days is None and chain.liquidation.days_detail == "the borrow rate of USDC was not read"
    loss = chain.liquidation.loss
    assert loss is not None and chain.liquidation.expected_loss_usd is not None and chain.liquidation.probability is not None
    seized, repaid = Decimal(loss.seized_usd), Decimal(loss.repaid_usd)
    assert abs(seized - repaid - Decimal(loss.owner_usd)) < Decimal("0.00001")
    parts = sum(Decimal(one) for one in (loss.slippage_usd, loss.gas_usd, loss.builders_usd, loss.liquidator_usd))
    assert abs(parts - Decimal(loss.owner_usd)) < Decimal("0.00001")
    week = Decimal(chain.liquidation.probability["7d"]) * Decimal(loss.owner_usd)
    assert abs(Decimal(chain.liquidation.expected_loss_usd["7d"]) - week) < Decimal("0.0001")
    assert at_venue.kind == "perp" and at_venue.liquidation.expected_loss_usd is not None


def test_nothing_is_explained_unless_asked_and_where_coverage_withholds() -> None:
    assert "part by part" not in printed(made(RICH), explained=False)
    owing = portfolio([account(supplied(WETH, 1), replace(borrowed(USDC, 5), asset=SPAM.asset))])
    assert "coverage does not support the figures" in printed(made(owing)) and made(owing).explain is None
