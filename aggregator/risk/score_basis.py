"""What a score stands on: who drives it, how old its oldest input is, and how fine a history each factor has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aggregator.risk.outlook import Tier
from aggregator.risk.prepared import Prepared
from aggregator.risk.probability import LiquidationProbability


@dataclass(frozen=True, slots=True)
class ScoreBasis:
    """Of one probability."""

    driver: int | None
    """account most likely to be liquidated within a day: its index among margin accounts and then venue accounts; None without debt"""
    oldest_input_seconds: int | None
    """age of the oldest price of what counts, None where nothing counts"""
    tiers: Mapping[str, Tier]
    """by factor that some account's health follows"""


def score_basis(ready: Prepared, chances: LiquidationProbability) -> ScoreBasis:
    """The basis of probabilities that were computed from `ready`."""
    ages = []
    for claim in ready.claims.by_account.values():
        for term in claim.terms:
            account, position, leg = term.key
            if account is not None and account < len(ready.valuation.accounts) and leg >= 0:
                ages.append(ready.valuation.accounts[account][position].legs[leg].age_seconds)
    known = dict(zip(ready.outlook.factors, ready.outlook.tiers, strict=True))
    return ScoreBasis(chances.driver, max(ages, default=None), {factor: known[factor] for factor in ready.claims.exposures.factors})
