"""Every figure taken apart: which scenario sets each level, what each holding and account adds, and what would be without it.

Euler: R is a weighted mean of scenario losses, the weights those of its worst scenario or of its tail. Requirements are homogeneous, so
with the weights held fixed every holding's own mean loss is its contribution, and they sum to the figure:

    transfer-aware = Σ_p (1 − a_p) Σ_s w_p(s)·1{L_p(s) > 0}·ℓ_h(s) + Σ_s w(s)·1{Σ a·L > 0}·a_p(h)·ℓ_h(s) + liquidation costs of each account

Leave-one-out: the figure less the figure without an account or what is free in a place, the scenarios unchanged; the rest, positive where
parts hedge each other and negative where they share a rescue, is joint. Haircuts: the USD of each leg's haircut shared by −ln(1 − part).
Probability: that of any account shared in proportion to each account's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log1p

import numpy as np

from aggregator.risk.assessment import Assessment, LegAssessment
from aggregator.risk.exposure import Exposures
from aggregator.risk.prepared import Prepared
from aggregator.risk.requirement import Levels, Weighing, levels, loss_of
from aggregator.risk.scenario_losses import Lots, unsaved_by_account
from aggregator.risk.shapes import Array, IntArray

PRICES, LIQUIDATION = "prices", "liquidation"
LARGEST_PART = 1.0 - 1e-12
"""a haircut part of one has no logarithm"""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a level: `usd` = share · R, and what sets that R."""

    name: str
    share: float
    usd: float
    scenario: str


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one holding, or one account's liquidation, adds to the transfer-aware figure. USD, negative where it hedges."""

    group: int
    what: str
    """symbol or name of the holding; of a liquidation the account's"""
    kind: str
    """`prices` or `liquidation`"""
    usd: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The transfer-aware figure less what it is without this group."""

    group: int
    usd: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`names` of groups; sums hold to rounding: parts and contributions to their figure, left out and `joint` to the transfer-aware one."""

    names: tuple[str, ...]
    isolated: tuple[Part, ...]
    transfer_aware: tuple[Part, ...]
    pooled: Part
    contributions: tuple[Contribution, ...]
    """largest first"""
    left_out: tuple[LeftOut, ...]
    joint: float
    haircuts: Mapping[str, float]
    """USD by part: market, liquidity, basis, structure"""
    probability: Mapping[int, Mapping[str, float]]
    """shares of the probability of any account, by the number of the account and horizon"""

    def by_group(self) -> dict[int, float]:
        """Σ of the contributions of each group."""
        found = dict.fromkeys(range(len(self.names)), 0.0)
        for one in self.contributions:
            found[one.group] += one.usd
        return found


def explain(ready: Prepared, own: Assessment) -> Explanation | None:
    """Explanation of an assessment; None where coverage withholds the requirement."""
    if own.requirement is None:
        return None
    found = levels(ready.portfolio, ready.exposures, ready.scenarios, ready.policy)
    names = group_names(ready)
    count = len(ready.exposures.groups)
    isolated = [_part(name, 1.0, found.measure.weigh(row)) for name, row in zip(names, found.table.groups, strict=True)]
    if ready.policy.keeper:
        local = [found.measure.weigh(row) for row in found.table.places]
        pool = found.measure.weigh(found.pool)
        places = list(zip(found.places, (1.0 - found.shares).tolist(), local, strict=True))
        parts = [_part(place, share, weighing) for place, share, weighing in places]
        if pool.measure > 0 or found.shares.any():
            parts.append(_part("what transfers join", 1.0, pool))
        contributions = _contributions(ready.exposures, found, local, pool, names)
    else:
        parts = isolated
        alone = [found.measure.weigh(row) for row in found.table.groups]
        contributions = [
            Contribution(number, name, PRICES, weighing.measure) for number, (name, weighing) in enumerate(zip(names, alone, strict=True))
        ]
    without = (
        [LeftOut(group, own.requirement.transfer_aware - _without(ready, group, found.lots)) for group in range(count)] if count > 1 else []
    )
    joint = own.requirement.transfer_aware - sum(one.usd for one in without) if without else 0.0
    return Explanation(
        names,
        tuple(isolated),
        tuple(parts),
        _part("everything", 1.0, found.measure.weigh(found.table.pooled)),
        tuple(sorted((one for one in contributions if one.usd), key=lambda one: (-abs(one.usd), one.group, one.what, one.kind))),
        tuple(without),
        joint,
        _haircut_parts(own),
        _probability_shares(own),
    )


def group_names(ready: Prepared) -> tuple[str, ...]:
    """A name for each group that means it and no other."""
    portfolio = ready.portfolio
    found = []
    for group in ready.exposures.groups:
        if group.account is None:
            found.append(f"free on {group.chain}")
        elif group.account < len(portfolio.margin_accounts):
            account = portfolio.margin_accounts[group.account]
            found.append(f"{account.protocol} {account.market_label or account.market} on {account.chain}")
        else:
            venue = portfolio.venue_accounts[group.account - len(portfolio.margin_accounts)]
            found.append(f"{venue.venue} {venue.account}")
    seen: dict[str, int] = {}
    for number, name in enumerate(found):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            found[number] = f"{name} ({seen[name]})"
    return tuple(found)


def _part(name: str, share: float, weighing: Weighing) -> Part:
    return Part(name, share, share * weighing.measure, weighing.scenario)


def _contributions(
    exposures: Exposures, found: Levels, local: Sequence[Weighing], pool: Weighing, names: Sequence[str]
) -> list[Contribution]:
    table, columns = found.table, found.columns
    places = {place: number for number, place in enumerate(found.places)}
    at = [places[group.chain] for group in exposures.groups]
    joint_up = found.shares @ table.net > 0
    # one weight a place and scenario: of the part that stands alone, and of the pool
    weights = (
        np.stack(
            [
                (1.0 - share) * one.weights * (net > 0) + share * pool.weights * joint_up
                for share, one, net in zip(found.shares.tolist(), local, table.net, strict=True)
            ]
        )
        if len(places)
        else np.zeros((0, len(found.pool)))
    )
    rows = np.flatnonzero(weights.any(axis=0))
    moves = found.moves.some(rows)
    result = []
    for holding in exposures.holdings:
        usd = float(weights[at[holding.group], rows] @ loss_of(holding, moves.values, moves.volatility))
        result.append(Contribution(holding.group, _label(exposures, holding.source), PRICES, usd))
    owing = columns.owing.tolist()
    costs = np.zeros(len(owing))
    members = [np.flatnonzero([at[group] == place for group in owing]) for place in range(len(places))]
    for place, (share, one) in enumerate(zip(found.shares.tolist(), local, strict=True)):
        mine, seen = members[place], one.weights[table.breach]
        costs[mine] += (1.0 - share) * (unsaved_by_account(table.needs[mine], table.costs[mine], table.resources[place]) @ seen)
        costs[mine] += (1.0 - share) * _forced(table.forced, mine, one)
    scaled = np.array([found.shares[at[group]] for group in owing])[:, None]
    if len(owing):
        left = unsaved_by_account(scaled * table.needs, scaled * table.costs, found.shares @ table.resources)
        costs += left @ pool.weights[table.breach] + scaled[:, 0] * _forced(table.forced, np.arange(len(owing)), pool)
    result += [Contribution(group, names[group], LIQUIDATION, float(usd)) for group, usd in zip(owing, costs.tolist(), strict=True)]
    return result


def _forced(forced: Array, rows: IntArray, weighing: Weighing) -> Array:
    return np.asarray(forced[rows] @ weighing.weights) if len(forced) else np.zeros(len(rows))


def _label(exposures: Exposures, source: tuple[int | None, int, int | None]) -> str:
    account, position, leg = source
    if leg is None:
        return "principal of a range"
    return exposures.labels.get((account, position, leg), "")


def _without(ready: Prepared, group: int, lots: Sequence[Lots]) -> float:
    """The transfer-aware requirement without one group, in the same scenarios."""
    exposures = ready.exposures
    account = exposures.groups[group].account
    reduced = replace(
        exposures,
        holdings=tuple(one for one in exposures.holdings if one.group != group),
        groups=tuple(replace(one, indebted=False) if number == group else one for number, one in enumerate(exposures.groups)),
        leg_values={key: value for key, value in exposures.leg_values.items() if account is None or key[0] != account},
        venues=tuple(line for line in exposures.venues if line.group != group),
    )
    return levels(ready.portfolio, reduced, ready.scenarios, ready.policy, lots).transfer_aware(ready.policy)


def _haircut_parts(own: Assessment) -> dict[str, float]:
    """USD taken off by each part: the haircut of a leg in proportion to the logarithms of what the parts leave."""
    totals = dict.fromkeys(("market", "liquidity", "basis", "structure"), 0.0)
    legs = [(leg.value.value, leg.haircut) for leg in _legs(own) if leg.haircut is not None and leg.value.value is not None]
    for value, haircut in [*legs, *own.venue_haircuts]:
        logs = {name: -log1p(-min(getattr(haircut, name), LARGEST_PART)) for name in totals}
        whole = sum(logs.values())
        for name, one in logs.items() if whole > 0 else ():
            totals[name] += float(value * haircut.share) * one / whole
    return totals


def _legs(own: Assessment) -> Iterable[LegAssessment]:
    for account in own.accounts:
        for position in account.positions:
            yield from position.legs
    for position in own.positions:
        yield from position.legs


def _probability_shares(own: Assessment) -> dict[int, dict[str, float]]:
    if own.probability is None:
        return {}
    shares: dict[int, dict[str, float]] = {}
    for name, whole in own.probability.any_account.items():
        total = sum(one[name] for one in own.probability.accounts.values())
        for number, one in own.probability.accounts.items():
            shares.setdefault(number, {})[name] = whole * one[name] / total if total > 0 else 0.0
    return shares
