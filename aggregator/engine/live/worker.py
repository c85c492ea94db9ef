"""From a picture to everything that is served of it. Slow to import, and where there are workers only they need it."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from aggregator.engine.judgement import judge, policy_for
from aggregator.engine.live.accounts import accounts_of
from aggregator.engine.live.assess import Assessed
from aggregator.engine.schema import HealthDocument
from aggregator.engine.snapshot import Picture
from aggregator.engine.transfers import transfer_routes
from aggregator.publish.attestation.statement import MarginScore, StatementError
from aggregator.publish.attestation.summary import ScoreWithheld, parameters_hash, summarise
from aggregator.reading.catalogue import adapters
from aggregator.risk.assessment import Assessment
from aggregator.store.chronicle import Figures


def assess(picture: Picture, validity_seconds: int) -> Assessed:
    """The whole way; `validity_seconds`: how long its statement is good. Pure but for the list of adapters; runs in a worker."""
    assessment, document = judge(picture)
    body = document.model_dump_json(by_alias=True).encode()
    figures = document.health
    snapshot = hashlib.sha256(body)
    return Assessed(
        snapshot=snapshot.hexdigest(),
        body=body,
        figures=Figures(
            figures.score,
            figures.margin_ratio,
            figures.equity_usd,
            figures.collateral_usd,
            figures.debt_usd,
            figures.requirement_usd,
            document.coverage.complete,
        ),
        probability=figures.liquidation_probability,
        lowest_health=lowest_health(document),
        nearest_move=_nearest(document),
        model=f"{figures.model} {figures.score_version}",
        blocks=tuple((one.chain, one.block) for one in picture.portfolio.snapshots if one.block is not None),
        statement=_statement(picture, assessment, snapshot.digest(), validity_seconds),
        accounts=accounts_of(document),
    )


def lowest_health(document: HealthDocument) -> str | None:
    """The lowest health factor; None where nothing is owed, and as soon as one account could not be judged: it may be the lowest."""
    accounts = document.margin_accounts
    if any(one.health_factor is None and one.liquidation.liquidatable is None for one in accounts):
        return None
    return min((one.health_factor for one in accounts if one.health_factor is not None), key=float, default=None)


def _statement(picture: Picture, assessment: Assessment, snapshot: bytes, validity_seconds: int) -> MarginScore | str:
    (owner,) = picture.portfolio.owners
    try:
        return summarise(owner.address, picture.portfolio, assessment, parameters(), snapshot, validity_seconds)
    except (ScoreWithheld, StatementError) as withheld:
        return str(withheld)


@lru_cache(maxsize=1)
def parameters() -> bytes:
    """Hash of what every portfolio is judged with: the policy that the adapters' manifests imply, and the shipped ways between places."""
    return parameters_hash(policy_for(adapters()), transfer_routes().model_dump(by_alias=True))


def _nearest(document: HealthDocument) -> float:
    moves = [abs(float(one.liquidation.market_move)) for one in document.margin_accounts if one.liquidation.market_move is not None]
    return min([0.0 if any(one.liquidation.liquidatable for one in document.margin_accounts) else float("inf"), *moves])
