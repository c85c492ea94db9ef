"""From an assessment to the statement that is signed. What the assessment withholds is not signed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from aggregator.model.errors import IncompleteError
from aggregator.model.identifiers import Address, evm_reference
from aggregator.model.portfolio import Portfolio
from aggregator.model.snapshot import Block, Snapshot
from aggregator.publish.attestation.statement import UNBOUNDED, UNKNOWN, WAD, ChainBlock, MarginScore, covered, oldest

if TYPE_CHECKING:
    from aggregator.risk.assessment import Assessment
    from aggregator.risk.policy import Policy

HORIZONS = ("1h", "1d", "7d")


class ScoreWithheld(IncompleteError):
    """The assessment has no score for this owner; the message says why."""


def summarise(
    owner: Address,
    portfolio: Portfolio,
    assessment: Assessment,
    parameters: bytes,
    snapshot: bytes,
    validity_seconds: int,
) -> MarginScore:
    """The statement of one owner. `parameters`: see `parameters_hash`; `snapshot`: 32-byte id of the health document that it summarises;
    `validity_seconds`: how long it is good, counted from the oldest block that it rests on.

    Probabilities are rounded up, everything else down. Raises ScoreWithheld where coverage was too low for a score.
    """
    chances = assessment.probability
    if assessment.score is None or chances is None:
        raise ScoreWithheld(f"no score for {owner}: coverage is too low; missing: {_named(assessment)}")
    read = [(evm_reference(one.chain), one.block) for one in portfolio.snapshots if one.block is not None and _on_evm(one)]
    blocks = tuple(ChainBlock(chain_id, block.number, bytes.fromhex(block.hash[2:])) for chain_id, block in sorted(read, key=_first))
    times = [one.block.timestamp for one in portfolio.snapshots if one.block is not None]
    as_of = oldest((*times, *(account.as_of_ms // 1000 for account in portfolio.venue_accounts)))
    hour, day, week = (_up(chances.any_account, horizon) for horizon in HORIZONS)
    return MarginScore(
        owner=owner,
        score=int(_scaled(Decimal(assessment.score), 100, ROUND_FLOOR)),
        probability_hour=hour,
        probability_day=day,
        probability_week=week,
        margin_ratio=_ratio(assessment),
        lowest_health_factor=_lowest_health(portfolio),
        coverage=covered(_known(portfolio), _missing(assessment)),
        blocks=blocks,
        model=f"{assessment.model} {assessment.score_version}",
        parameters=parameters,
        snapshot=snapshot,
        as_of=as_of,
        valid_until=as_of + validity_seconds,
    )


def parameters_hash(policy: Policy, ways: Mapping[str, object]) -> bytes:
    """Hash of every parameter, 32 bytes: keccak-256 of canonical JSON (sorted keys, no spaces, sets sorted) with the keys policy and ways.

    `ways`: the facts that a portfolio's links are made of, so `policy` must hold no links. ValueError where it does.
    """
    if policy.links is not None:
        raise ValueError("links belong to one portfolio; what they are made of is hashed instead")
    values = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(policy).items()}
    return keccak(json.dumps({"policy": values, "ways": ways}, sort_keys=True, separators=(",", ":")).encode())


def _on_evm(snapshot: Snapshot) -> bool:
    return snapshot.chain.startswith("eip155:")


def _known(portfolio: Portfolio) -> int:
    """How many things were read: chains, margin accounts and legs."""
    positions = [position for account in portfolio.margin_accounts for position in account.positions] + list(portfolio.positions)
    reached = sum(1 for one in portfolio.snapshots if one.block is not None)
    return reached + len(portfolio.margin_accounts) + len(portfolio.venue_accounts) + sum(len(one.legs) for one in positions)


def _missing(assessment: Assessment) -> int:
    """How many things that matter were not read. Tokens that nobody listed do not: anybody can send them to anybody."""
    if assessment.coverage.debt_known and assessment.coverage.assets_known:
        return 0
    return max(1, sum(1 for gap in assessment.missing if gap.vouched))


def _first(pair: tuple[int, Block]) -> int:
    return pair[0]


def _named(assessment: Assessment) -> str:
    named = [f"{gap.protocol} on {gap.chain}: {gap.what}" for gap in assessment.missing[:3]]
    return "; ".join(named) + (f" and {len(assessment.missing) - 3} more" if len(assessment.missing) > 3 else "")


def _ratio(assessment: Assessment) -> int:
    if assessment.margin_ratio is not None:
        return _clamped(assessment.margin_ratio)
    needed = assessment.requirement
    nothing_required = needed is not None and needed.transfer_aware == 0 and assessment.coverage.assets_known
    return UNBOUNDED if nothing_required else UNKNOWN


def _lowest_health(portfolio: Portfolio) -> int:
    """Of the accounts that owe; UNKNOWN as soon as one of them could not be read."""
    healths = [account.health_factor for account in portfolio.margin_accounts if not account.debt_free]
    known = [health for health in healths if health is not None]
    if len(known) < len(healths):
        return UNKNOWN
    return min((min(health, UNBOUNDED - 1) for health in known), default=UNBOUNDED)


def _clamped(value: Decimal) -> int:
    return max(UNKNOWN + 1, min(UNBOUNDED - 1, _scaled(value, WAD, ROUND_FLOOR)))


def _up(chances: Mapping[str, float], horizon: str) -> int:
    if horizon not in chances:
        raise ScoreWithheld(f"the assessment has no probability for {horizon}")
    return min(WAD, _scaled(Decimal(chances[horizon]), WAD, ROUND_CEILING))


def _scaled(value: Decimal, factor: int, rounding: str) -> int:
    with localcontext() as context:
        context.prec = 120
        return int((value * factor).to_integral_value(rounding=rounding))
