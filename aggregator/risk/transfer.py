"""How far free collateral reaches: all of it in its own place, a part elsewhere that shrinks with the way's lag.

A place is a chain or a trading venue. The part is what was left of the pooled benefit on hourly ETH prices (health 1.10, reserve of 20 %
of the debt, seven days): liquidated in 26.0 % of the windows with local collateral only, 2.3 % when pooled, and in between with a lag of
1, 3, 12, 24 and 72 hours. A way that fails sometimes delivers that much less, and what it costs does not arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from aggregator.risk.exposure import Exposures
from aggregator.risk.policy import Link, Policy
from aggregator.risk.shapes import Array, BoolArray

_LAG_HOURS = (0.0, 1.0, 3.0, 12.0, 24.0, 72.0, 168.0)
_LIQUIDATED = (2.3, 2.6, 4.3, 10.8, 16.8, 23.4, 26.0)
_LOCAL_ONLY, _POOLED = 26.0, 2.3
PATIENCE_HOURS = 168.0
"""how long a place where nothing is owed may wait for what it is given"""


def reach(lag_hours: float) -> float:
    """Share of another place's free collateral that counts as arriving in time, 1 at no lag and 0 from a week on."""
    liquidated = float(np.interp(lag_hours, _LAG_HOURS, _LIQUIDATED))
    return (_LOCAL_ONLY - liquidated) / (_LOCAL_ONLY - _POOLED)


def link_between(source: str, target: str, policy: Policy) -> Link | None:
    """The way from one place to another, None where there is none."""
    if not policy.keeper or {source, target} & policy.cut_off:
        return None
    return Link() if policy.links is None else policy.links.get((source, target))


def arrival(places: Sequence[str], policy: Policy) -> Array:
    """Share of what is free in each place (columns) that counts as arriving in time in each place (rows), shape (places, places)."""
    return _delivered(places, policy, reach)


def patient_arrival(places: Sequence[str], policy: Policy) -> Array:
    """The same where nothing is owed, so that nothing has to arrive within hours."""
    return _delivered(places, policy, lambda lag: float(lag < PATIENCE_HOURS))


def _delivered(places: Sequence[str], policy: Policy, in_time: Callable[[float], float]) -> Array:
    result = np.eye(len(places)) * float(policy.keeper)
    for row, here in enumerate(places):
        for column, there in enumerate(places):
            link = link_between(there, here, policy) if row != column else None
            if link is not None:
                result[row, column] = in_time(policy.transfer_lag_hours + link.lag_hours) * link.success * (1.0 - link.cost)
    return result


def capacities(places: Sequence[str], policy: Policy) -> Array:
    """USD that can pass from each place (columns) to each place (rows); infinite within one, 0 without a way."""
    result = np.zeros((len(places), len(places)))
    for row, here in enumerate(places):
        for column, there in enumerate(places):
            link = Link() if row == column else link_between(there, here, policy)
            result[row, column] = 0.0 if link is None else link.capacity_usd
    return result


def pooled_shares(places: Sequence[str], indebted: BoolArray, free: Array, needs: Array, policy: Policy) -> Array:
    """Share of each place that transfers join to the others, shape (places,): 1 as if it were one place with them, 0 for itself.

    Mean over the other places, by what is free there (USD, `free`), of what arrives from each, times the part of this place's own need
    (USD, `needs`) that the way can carry. It never falls with more capacity, success, another way, or less lag or cost.
    """
    count = len(places)
    if count < 2:
        return np.zeros(count)
    quick, patient, limits = arrival(places, policy), patient_arrival(places, policy), capacities(places, policy)
    result = np.zeros(count)
    for row in range(count):
        others = np.arange(count) != row
        weights = np.where(others, free, 0.0)
        weights = weights / weights.sum() if weights.sum() > 0 else others / (count - 1)
        asked = weights * needs[row]
        carried = np.minimum(np.divide(limits[row], asked, out=np.ones(count), where=asked > 0), 1.0)
        result[row] = float((weights * (quick if indebted[row] else patient)[row] * carried).sum())
    return np.minimum(result, 1.0)


def trapped_collateral(exposures: Exposures, policy: Policy) -> float:
    """USD of free assets that could not arrive in time at a margin account that owes something.

    In a place with such an account only what cannot be withdrawn now; elsewhere also the share that the lag keeps away and what is
    beyond the way's capacity; all of it without a way. 0 for a portfolio that owes nothing: nothing has to arrive anywhere.
    """
    places = sorted({group.chain for group in exposures.groups})
    indebted = [places.index(place) for place in sorted({group.chain for group in exposures.groups if group.indebted})]
    if not indebted:
        return 0.0
    total, free = 0.0, np.zeros(len(places))
    for holding in exposures.holdings:
        group = exposures.groups[holding.group]
        if not group.indebted and holding.side.sign > 0:
            total += holding.value
            free[places.index(group.chain)] += holding.value * holding.redeemable
    arriving = np.minimum(arrival(places, policy)[indebted] * free, capacities(places, policy)[indebted])
    return max(total - float(arriving.max(axis=0).sum()), 0.0)
