"""How far free collateral reaches: all of it on its own chain, a part across chains that shrinks with the transfer's lag.

The part is what was left of the pooled benefit on hourly ETH prices (health 1.10, reserve of 20 % of the debt, seven days): liquidated
in 26.0 % of the windows with local collateral only, 2.3 % when pooled, and in between with a lag of 1, 3, 12, 24 and 72 hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from aggregator.model.identifiers import ChainId
from aggregator.risk.exposure import Exposures
from aggregator.risk.policy import Policy
from aggregator.risk.shapes import Array

_LAG_HOURS = (0.0, 1.0, 3.0, 12.0, 24.0, 72.0, 168.0)
_LIQUIDATED = (2.3, 2.6, 4.3, 10.8, 16.8, 23.4, 26.0)
_LOCAL_ONLY, _POOLED = 26.0, 2.3


def reach(lag_hours: float) -> float:
    """Share of another chain's free collateral that counts as arriving in time, 1 at no lag and 0 from a week on."""
    liquidated = float(np.interp(lag_hours, _LAG_HOURS, _LIQUIDATED))
    return (_LOCAL_ONLY - liquidated) / (_LOCAL_ONLY - _POOLED)


def arrival(chains: Sequence[ChainId], policy: Policy) -> Array:
    """Share of what is free on each chain (columns) that counts as arriving in time on each chain (rows), shape (chains, chains)."""
    across = reach(policy.transfer_lag_hours)
    return np.array(
        [[1.0 if there == here else 0.0 if {there, here} & policy.cut_off else across for there in chains] for here in chains]
    ).reshape(len(chains), len(chains))


def trapped_collateral(exposures: Exposures, policy: Policy) -> float:
    """USD of free assets that could not arrive in time at a margin account that owes something.

    On a chain with such an account only what cannot be withdrawn now; elsewhere also the share that the lag keeps away, and all of
    it where a bridge on the way is down. 0 for a portfolio that owes nothing: nothing has to arrive anywhere.
    """
    indebted = sorted({group.chain for group in exposures.groups if group.indebted})
    if not indebted:
        return 0.0
    chains = sorted({group.chain for group in exposures.groups})
    best = arrival(chains, policy)[[chains.index(chain) for chain in indebted]].max(axis=0)
    within: Mapping[ChainId, float] = dict(zip(chains, best.tolist(), strict=True))
    trapped = 0.0
    for holding in exposures.holdings:
        group = exposures.groups[holding.group]
        if not group.indebted and holding.side.sign > 0:
            trapped += holding.value * (1.0 - holding.redeemable * within[group.chain])
    return trapped
