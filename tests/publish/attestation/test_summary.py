"""What of an assessment is signed: rounded so that nothing looks better, and nothing that was withheld."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregator.engine.document import build_document
from aggregator.engine.live.worker import lowest_health, parameters
from aggregator.engine.transfers import transfer_routes
from aggregator.model.identifiers import AccountId
from aggregator.model.instrument import MarginMode, VenueAccount, VenueFigures
from aggregator.model.portfolio import Portfolio
from aggregator.model.snapshot import Gap
from aggregator.publish.attestation.statement import COMPLETE, UNBOUNDED, UNKNOWN, WAD, MarginScore
from aggregator.publish.attestation.summary import ScoreWithheld, parameters_hash, summarise
from aggregator.risk.assessment import Assessment, assess
from aggregator.risk.policy import DEFAULT, Link
from tests.builders import ARBITRUM, ETHEREUM, OWNER, USDC, WETH, account, book, borrowed, leg, portfolio, supplied, wallet

OWING = account(supplied(WETH, 10), borrowed(USDC, 12_000))
WAYS: dict[str, object] = {"lag_hours": 24.0}


def judged(one: Portfolio) -> tuple[Assessment, MarginScore]:
    assessment = assess(one, book(), ())
    return assessment, summarise(OWNER, one, assessment, b"\x01" * 32, b"\x02" * 32, 900)


def test_figures_are_rounded_against_the_owner() -> None:
    assessment, signed = judged(portfolio([OWING]))
    assert assessment.score is not None and assessment.margin_ratio is not None and assessment.probability is not None
    assert 0 <= Decimal(assessment.score) * 100 - signed.score < 1
    assert 0 <= assessment.margin_ratio * WAD - signed.margin_ratio < 1
    for name, wad in (("1h", signed.probability_hour), ("1d", signed.probability_day), ("7d", signed.probability_week)):
        assert 0 <= wad - Decimal(assessment.probability.any_account[name]) * WAD < 1
    assert signed.lowest_health_factor == OWING.health_factor
    assert [(one.chain_id, one.number) for one in signed.blocks] == [(1, 100), (42161, 100)]
    assert (signed.as_of, signed.valid_until, signed.coverage) == (1_700_000_000, 1_700_000_900, COMPLETE)
    assert (signed.parameters, signed.snapshot) == (b"\x01" * 32, b"\x02" * 32)


@pytest.mark.parametrize(("told_at", "as_of"), [(1_699_999_990, 1_699_999_990), (1_700_000_500, 1_700_000_000)])
def test_a_statement_is_as_old_as_the_oldest_thing_it_rests_on_venues_too(told_at: int, as_of: int) -> None:
    figures = VenueFigures(equity=Decimal(100), maintenance_margin=Decimal(10))
    at_venue = VenueAccount("derive", "1", AccountId(ETHEREUM, OWNER), MarginMode.CROSS, (), (), told_at * 1000 + 7, figures)
    _, signed = judged(replace(portfolio([OWING]), venue_accounts=(at_venue,)))
    assert (signed.as_of, signed.valid_until) == (as_of, as_of + 900)


def test_without_debt_and_without_a_requirement_there_is_nothing_to_divide_by() -> None:
    assert judged(portfolio((), wallet(leg(WETH, 1))))[1].lowest_health_factor == UNBOUNDED
    assert judged(portfolio())[1].margin_ratio == UNBOUNDED


def test_a_debt_that_was_not_seen_leaves_nothing_to_sign() -> None:
    with pytest.raises(ScoreWithheld, match="everything on this chain"):
        judged(portfolio([OWING], unreachable=[ARBITRUM]))


def test_an_asset_that_was_not_seen_lowers_coverage_and_takes_the_ratio() -> None:
    _, signed = judged(portfolio([OWING], gaps=[Gap(ETHEREUM, "wallet", "balance of WETH", "timeout")]))
    assert signed.margin_ratio == UNKNOWN and signed.coverage < COMPLETE


def test_what_a_stranger_sent_does_not() -> None:
    _, signed = judged(portfolio([OWING], gaps=[Gap(ETHEREUM, "wallet", "balance of SPAM", "it reverts", vouched=False)]))
    assert signed.coverage == COMPLETE and signed.margin_ratio != UNKNOWN


def test_a_health_that_could_not_be_read_may_be_the_lowest() -> None:
    other = account(supplied(WETH, 1), borrowed(USDC, 1_500), market="other")
    for accounts, known in (((OWING, other), True), ((OWING, replace(other, health_factor=None, liquidatable=None)), False)):
        one = portfolio(accounts)
        lowest = lowest_health(build_document(one, book(), assess(one, book(), ())))
        assert lowest == (str(Decimal(other.health_factor or 0).scaleb(-18)) if known else None)


def test_the_parameters_hash_tells_every_parameter_and_way_apart() -> None:
    usual = parameters_hash(DEFAULT, WAYS)
    changed = [
        replace(DEFAULT, horizon_days=2.0),
        replace(DEFAULT, draws=4096),
        replace(DEFAULT, keeper=False),
        replace(DEFAULT, debt_free_protocols=DEFAULT.debt_free_protocols | {"lido"}),
    ]
    hashes = {usual, parameters_hash(DEFAULT, {"lag_hours": 12.0}), *(parameters_hash(one, WAYS) for one in changed)}
    assert len(hashes) == len(changed) + 2
    assert usual == parameters_hash(
        replace(DEFAULT, debt_free_protocols=frozenset(sorted(DEFAULT.debt_free_protocols, reverse=True))), WAYS
    )
    with pytest.raises(ValueError, match="links"):
        parameters_hash(replace(DEFAULT, links={("a", "b"): Link()}), WAYS)


def test_what_the_service_signs_names_the_shipped_ways() -> None:
    from aggregator.engine.judgement import policy_for
    from aggregator.reading.catalogue import adapters

    assert parameters() == parameters_hash(policy_for(adapters()), transfer_routes().model_dump(by_alias=True))
    assert parameters() != parameters_hash(policy_for(adapters()), {})
