"""Explanations as text: signed decimals that sum to the figures they explain."""

from __future__ import annotations

from aggregator.engine.figures import down, fraction, money_up, probability
from aggregator.engine.schema import (
    ContributionDocument,
    ExplainDocument,
    LossDocument,
    PartDocument,
    ProbabilityShareDocument,
    WhereDocument,
)
from aggregator.risk.assessment import Assessment
from aggregator.risk.explain import Explanation, Part
from aggregator.risk.liquidation_loss import LiquidationLoss

DIGITS = 6
SHARE_DIGITS = 9


def explain_document(own: Assessment, found: Explanation, names: tuple[str, ...]) -> ExplainDocument:
    """The block of the health document; `names` of accounts by their number."""
    chances = own.probability
    groups = found.by_group()
    return ExplainDocument(
        isolated=tuple(_part(one) for one in found.isolated),
        transfer_aware=tuple(_part(one) for one in found.transfer_aware),
        pooled=_part(found.pooled),
        contributions=tuple(
            ContributionDocument(where=found.names[one.group], what=one.what, kind=one.kind, usd=_usd(one.usd))
            for one in found.contributions
        ),
        by_account=tuple(WhereDocument(where=found.names[group], usd=_usd(usd)) for group, usd in groups.items()),
        left_out=tuple(WhereDocument(where=found.names[one.group], usd=_usd(one.usd)) for one in found.left_out),
        joint_usd=_usd(found.joint),
        haircuts={name: _usd(usd) for name, usd in found.haircuts.items()},
        probability=tuple(
            ProbabilityShareDocument(
                where=names[number],
                own={name: probability(value) for name, value in chances.accounts[number].items()},
                share={name: fraction(value, SHARE_DIGITS) for name, value in shares.items()},
            )
            for number, shares in sorted(found.probability.items())
            if chances is not None
        ),
        driver=None if chances is None or chances.driver is None else names[chances.driver],
    )


def loss_document(loss: LiquidationLoss) -> LossDocument:
    """A liquidation's loss, costs rounded up."""
    return LossDocument(
        owner_usd=money_up(loss.owner_usd),
        repaid_usd=money_up(loss.repaid_usd),
        seized_usd=money_up(loss.seized_usd),
        slippage_usd=money_up(loss.slippage_usd),
        gas_usd=money_up(loss.gas_usd),
        builders_usd=money_up(loss.builders_usd),
        liquidator_usd=down(loss.liquidator_usd, DIGITS),
        bad_debt_usd=money_up(loss.bad_debt_usd),
        steps=loss.steps,
        pays=loss.pays,
        health_after=None if loss.health_after is None else fraction(loss.health_after, SHARE_DIGITS),
    )


def _part(one: Part) -> PartDocument:
    return PartDocument(name=one.name, share=fraction(one.share, SHARE_DIGITS), usd=_usd(one.usd), scenario=one.scenario)


def _usd(value: float) -> str:
    return f"{value:.{DIGITS}f}"
