"""Everything that a scenario is played on: accounts, tokens and what they are made of, oracles, pools, bridges, venues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.bridges import BridgeLedger
from aggregator.contagion.composition import Composition
from aggregator.contagion.impact import Impact
from aggregator.contagion.liquidations import LiquidationTerms
from aggregator.contagion.oracles import OracleRules
from aggregator.contagion.reactions import Reaction
from aggregator.contagion.runs import Tranche
from aggregator.model.book import Book
from aggregator.model.errors import InputError


@dataclass(frozen=True, slots=True)
class Pool:
    """What borrowers of one asset in one market (codes into the book) borrow from. Whole tokens; USD for the funds that bear losses first.

    `borrowed`: of all borrowers, also those outside the book. `suppliers`: (token of the composition, its share of the supply), in the
    order in which they would leave; the rest belongs to others, who come last.
    """

    market: int
    asset: int
    supplied: float
    borrowed: float
    reserve_fund_usd: float = 0.0
    safety_module_usd: float = 0.0
    suppliers: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.borrowed <= self.supplied < np.inf:
            raise InputError(f"a pool lends {self.borrowed:g} of {self.supplied:g} supplied; expected 0 up to all of it")
        if not (0.0 <= self.reserve_fund_usd < np.inf and 0.0 <= self.safety_module_usd < np.inf):
            raise InputError("what a pool's funds hold is 0 USD or more")
        if not sum(share for _, share in self.suppliers) <= 1.0 + 1e-9:
            raise InputError("suppliers of a pool hold more than the whole of it")


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge with both sides of its ledger; `tokens`: token of the composition on each chain, the home chain under ``""``.

    `total_supply`: all tokens on all chains, where a deficit is to be socialised.
    """

    name: str
    ledger: BridgeLedger
    tokens: Mapping[str, str]
    total_supply: float | None = None


@dataclass(frozen=True, slots=True)
class RunRule:
    """When suppliers leave a pool by themselves, and how fast: `share_per_tick` of what was supplied at first.

    They leave once losses written down reach `loss_trigger` of the supply, or bad debt that the oracle hides in its market reaches
    `blind_trigger` of it. `pro_rata`: everybody is paid alike; otherwise the first named first.
    """

    loss_trigger: float = 0.001
    blind_trigger: float = 0.1
    share_per_tick: float = 0.25
    pro_rata: bool = False

    def __post_init__(self) -> None:
        if not (self.loss_trigger > 0.0 and self.blind_trigger > 0.0 and 0.0 < self.share_per_tick <= 1.0):
            raise InputError("a run needs triggers above 0 and a share a tick above 0 and up to 1")


@dataclass(frozen=True, slots=True)
class System:
    """Checked when made; InputError names what does not fit.

    `tokens`: the composition of tokens, or None where nothing is looked through; `asset_tokens`: by asset code of the book, its token's
    name; an asset without one stands for itself. `redeemable`: reserves behind tokens that can be redeemed at par, most liquid first; a
    reserve named like a token or asset is sold in its market. `runs` None: nobody leaves unless the scenario says so.
    """

    book: Book
    impact: Impact
    tokens: Composition | None = None
    asset_tokens: Mapping[int, str] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    bridges: tuple[Bridge, ...] = ()
    oracles: OracleRules | None = None
    reactions: tuple[Reaction, ...] = ()
    redeemable: Mapping[str, tuple[Tranche, ...]] = field(default_factory=dict)
    terms: LiquidationTerms = field(default_factory=LiquidationTerms)
    runs: RunRule | None = None

    def __post_init__(self) -> None:
        names = set(self.tokens.names) if self.tokens else set()
        named = [*self.asset_tokens.values(), *self.redeemable]
        named += [name for pool in self.pools for name, _ in pool.suppliers]
        named += [name for bridge in self.bridges for name in bridge.tokens.values()]
        for name in named:
            if name not in names:
                raise InputError(f"{name} is not one of the {len(names)} tokens of the composition")
        for bridge in self.bridges:
            chains = {one.chain for one in bridge.ledger.minted}
            strangers = [chain for chain in bridge.tokens if chain and chain not in chains]
            if strangers:
                raise InputError(f"{bridge.name} mints nothing on {strangers[0]}")
        if any(not 0 <= code < len(self.book.assets) for code in self.asset_tokens):
            raise InputError(f"an asset code of the tokens is not one of the {len(self.book.assets)} assets")
        pairs = [(pool.market, pool.asset) for pool in self.pools]
        if len(set(pairs)) != len(pairs):
            raise InputError("a market's asset has two pools")
        if any(not (0 <= pool.market < len(self.book.markets) and 0 <= pool.asset < len(self.book.assets)) for pool in self.pools):
            raise InputError("a pool's market or asset is not in the population")

    def token_codes(self) -> NDArray[np.intp]:
        """Token code of each asset of the book, −1 for one that stands for itself."""
        result = np.full(len(self.book.assets), -1, dtype=np.intp)
        if self.tokens is not None:
            for asset, name in self.asset_tokens.items():
                result[asset] = self.tokens.code(name)
        return result

    def pool_codes(self) -> NDArray[np.intp]:
        """Pool of each reserve, −1 where none is given."""
        place = {(pool.market, pool.asset): code for code, pool in enumerate(self.pools)}
        reserves = self.book.reserves
        pairs = zip(reserves.market.tolist(), reserves.asset.tolist(), strict=True)
        return np.array([place.get(pair, -1) for pair in pairs], dtype=np.intp)

    def pool_name(self, code: int) -> str:
        """A pool for people."""
        pool = self.pools[code]
        market = self.book.markets[pool.market]
        return f"{self.book.assets[pool.asset].symbol} pool of {market.protocol} {market.label or market.market}"

    def assets_named(self, name: str) -> list[int]:
        """Asset codes that a scenario's name means: those of a token, an asset id or a symbol; none where it is no asset."""
        codes = [code for code, token in self.asset_tokens.items() if token == name]
        codes += [code for code, one in enumerate(self.book.assets) if name in (one.asset, one.symbol)]
        return sorted(set(codes))

    def market_named(self, name: str) -> int:
        """Market code by its name or label; InputError where none or several have it."""
        found = [
            code
            for code, one in enumerate(self.book.markets)
            if name in (one.market, one.label, f"{one.protocol} {one.label or one.market}")
        ]
        if len(found) != 1:
            raise InputError(f"{name} is {'no market' if not found else 'more than one market'} of the population")
        return found[0]

    def bridge_named(self, name: str) -> Bridge:
        """A bridge by its name; InputError for a stranger."""
        for bridge in self.bridges:
            if bridge.name == name:
                return bridge
        raise InputError(f"{name} is not one of the {len(self.bridges)} bridges")
