"""How long a liquidation of an asset on a chain takes: the window whose worst price the market part of a haircut must cover.

    T = reaction + oracle + inclusion + way out
    way out = what is redeemed:  the redemption calendar
              what has a market: the faster of Q/(p·s·V) on the spot and bridge + Q/(p·V) elsewhere

- reaction: the margin period of risk (policy, 1 day); oracle: age of the price that the haircut is for;
- inclusion: how long a chain has kept transactions out when it mattered;
- V: daily volume of the class, s: share of it that trades on the chain itself, p: the participation that does not move the price further
  than the liquidity part says; bridge: until value has left the chain for where the rest of the volume is.

What is not known of a chain is taken to be as bad as the worst of those that are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from aggregator.model.identifiers import ChainId, evm_chain
from aggregator.risk.classes import FACTORS, FactorClass

HOUR = 1.0 / 24.0
PARTICIPATION = 0.1
"""of a day's volume that a liquidation may be"""


class Route(StrEnum):
    """How the asset turns into money."""

    HERE = "market"
    """sold on its own chain"""
    ELSEWHERE = "bridge"
    """brought to where most of the volume is, and sold there"""
    REDEEMED = "redemption"
    """given back to its issuer"""


@dataclass(frozen=True, slots=True)
class ChainTiming:
    """What a chain adds. Times in days."""

    inclusion: float
    bridge: float
    volume_share: float
    """of the class's volume that trades on this chain"""
    structure: float
    """premium for the chain's own bridge: a year's chance that it fails, times what is lost then"""
    source: str


_ETHEREUM = ChainTiming(0.5 * HOUR, 0.25 * HOUR, 1.0, 0.0, "finality after two epochs; half an hour of full blocks on 12 March 2020")
_OPTIMISTIC = ChainTiming(
    2.3 * HOUR, 7.0, 0.10, 0.0025, "longest sequencer outage 78 min (Arbitrum, 15 December 2023), an hour of grace; 7-day exit"
)
_PROOF = ChainTiming(2.3 * HOUR, 1.0, 0.02, 0.0025, "as optimistic rollups; proofs are settled within a day")
_SIDECHAIN = ChainTiming(
    6.0 * HOUR, 0.25, 0.05, 0.005, "block production stalled for hours (Avalanche, 23 February 2024); message bridges and checkpoints"
)
UNKNOWN_CHAIN = ChainTiming(6.0 * HOUR, 7.0, 0.02, 0.01, "the worst of the known chains")

CHAINS = MappingProxyType(
    {
        evm_chain(1): _ETHEREUM,
        **{evm_chain(number): _OPTIMISTIC for number in (42161, 8453, 10)},
        **{evm_chain(number): _PROOF for number in (534352, 59144)},
        **{evm_chain(number): _SIDECHAIN for number in (137, 43114, 56, 100)},
    }
)

HOME = MappingProxyType(
    {
        evm_chain(137): frozenset({"POL", "MATIC"}),
        evm_chain(43114): frozenset({"AVAX"}),
        evm_chain(56): frozenset({"BNB", "CAKE", "XVS"}),
        evm_chain(100): frozenset({"GNO"}),
        evm_chain(42161): frozenset({"ARB", "GMX"}),
        evm_chain(10): frozenset({"OP", "VELO"}),
        evm_chain(8453): frozenset({"AERO"}),
    }
)
"""factors that live on a chain and owe nothing to its bridge"""

REDEMPTION_DAYS = MappingProxyType(
    {
        FactorClass.RWA_TREASURY: 4.0,
        # ordered on a Friday after the cut-off, with a holiday on the Monday: paid on the Tuesday
        FactorClass.RWA_CREDIT: 30.0,
        # notice periods and withdrawal windows of on-chain credit pools
    }
)


@dataclass(frozen=True, slots=True)
class LiquidationTime:
    """The window and its parts, in days."""

    reaction: float
    oracle: float
    inclusion: float
    way_out: float
    route: Route

    @property
    def total(self) -> float:
        """All of it."""
        return self.reaction + self.oracle + self.inclusion + self.way_out


def timing(chain: ChainId | None) -> ChainTiming:
    """Of a chain; the worst for one that is not known, Ethereum's without one."""
    return _ETHEREUM if chain is None else CHAINS.get(chain, UNKNOWN_CHAIN)


def liquidation_time(
    kind: FactorClass, chain: ChainId | None, size_usd: float, reaction_days: float, oracle_days: float
) -> LiquidationTime:
    """The window for selling `size_usd` of a factor of this class on a chain. Never falls when size or age rises."""
    known = timing(chain)
    calendar = REDEMPTION_DAYS.get(kind)
    if calendar is not None:
        return LiquidationTime(reaction_days, max(oracle_days, 0.0), known.inclusion, calendar, Route.REDEEMED)
    volume = PARTICIPATION * FACTORS[kind].daily_volume_usd
    size = max(size_usd, 0.0)
    here, elsewhere = size / (volume * known.volume_share), known.bridge + size / volume
    route = Route.HERE if here <= elsewhere else Route.ELSEWHERE
    return LiquidationTime(reaction_days, max(oracle_days, 0.0), known.inclusion, min(here, elsewhere), route)


def bridge_premium(chain: ChainId | None, factor: str) -> float:
    """Structure premium of standing on a chain's bridge; 0 at home."""
    return 0.0 if chain is not None and factor in HOME.get(chain, frozenset()) else timing(chain).structure
