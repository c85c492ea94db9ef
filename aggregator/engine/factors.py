"""Which risk factors a chain's price histories are wanted of: those of what was found, and those that most tokens follow. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from aggregator.model.identifiers import AssetId
from aggregator.model.position import Component
from aggregator.reading.adapter import Holdings
from aggregator.reading.registry import registry


def factors(holdings: Holdings) -> set[str]:
    """Risk factors of everything in holdings, by the registry and the tokens that the adapter described."""
    known = registry()
    described = {token.asset: token for token in holdings.tokens}

    def factor(asset: AssetId) -> str | None:
        token = described.get(asset) or known.token(asset)
        return token.factor if token is not None else None

    def components(parts: tuple[Component, ...]) -> Iterable[AssetId]:
        for part in parts:
            yield part.asset
            yield from components(part.parts)

    legs = [leg for account in holdings.margin_accounts for leg in account.legs] + [
        leg for position in holdings.positions for leg in position.legs
    ]
    assets = {leg.asset for leg in legs} | {asset for leg in legs for asset in components(leg.look_through)}
    return {name for asset in assets if (name := factor(asset)) is not None}


@lru_cache(maxsize=1)
def major_factors() -> frozenset[str]:
    """Factors that at least as many listed tokens follow as there are chains: ether, bitcoin and the common dollars.

    What an adapter is still looking for when the feeds have answered is most likely one of them.
    """
    known = registry()
    followers = Counter(token.factor for chain in known.chains for token in known.tokens(chain).values())
    return frozenset(factor for factor, count in followers.items() if count >= len(known.chains))
