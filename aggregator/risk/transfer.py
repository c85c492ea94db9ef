"""How far free collateral reaches: all of it on its own chain, a part across chains that shrinks with the transfer's lag.

The part is what was left of the pooled benefit on hourly ETH prices (health 1.10, reserve of 20 % of the debt, seven days): liquidated
in 26.0 % of the windows with local collateral only, 2.3 % when pooled, and in between with a lag of 1, 3, 12, 24 and 72 hours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aggregator.model.identifiers import ChainId
from aggregator.risk.exposure import Exposures

_LAG_HOURS = (0.0, 1.0, 3.0, 12.0, 24.0, 72.0, 168.0)
_LIQUIDATED = (2.3, 2.6, 4.3, 10.8, 16.8, 23.4, 26.0)
_LOCAL_ONLY, _POOLED = 26.0, 2.3


def reach(lag_hours: float) -> float:
    """Share of another chain's free collateral that counts as arriving in time, 1 at no lag and 0 from a week on."""
    liquidated = float(np.interp(lag_hours, _LAG_HOURS, _LIQUIDATED))
    return (_LOCAL_ONLY - liquidated) / (_LOCAL_ONLY - _POOLED)


def trapped_collateral(exposures: Exposures, lag_hours: float) -> float:
    """USD of free assets that could not arrive in time at a margin account that owes something.

    On a chain with such an account only what cannot be withdrawn now; elsewhere also the share that the lag keeps away.
    0 for a portfolio that owes nothing: nothing has to arrive anywhere.
    """
    indebted = {group.chain for group in exposures.groups if group.indebted}
    if not indebted:
        return 0.0
    within: Mapping[ChainId, float] = {group.chain: 1.0 if group.chain in indebted else reach(lag_hours) for group in exposures.groups}
    trapped = 0.0
    for holding in exposures.holdings:
        group = exposures.groups[holding.group]
        if not group.indebted and holding.side.sign > 0:
            trapped += holding.value * (1.0 - holding.redeemable * within[group.chain])
    return trapped
