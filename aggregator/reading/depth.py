"""What pools hold to sell into: what an adapter gives that knows a trading venue on chain."""

from __future__ import annotations

from dataclasses import dataclass

from aggregator.model.identifiers import AssetId


@dataclass(frozen=True, slots=True)
class PoolDepth:
    """One pool as somewhere to sell `asset`, at the price that it stands at. `fee`: a share of what is put in.

    `bounds`: factors of the price, falling from 1; `liquidity`: between one bound and the next, the raw amount of the asset that a pool
    over all prices with this liquidity would hold. A pool over all prices has the bounds 1 and 0.
    """

    asset: AssetId
    pool: str
    fee: float
    bounds: tuple[float, ...]
    liquidity: tuple[float, ...]
