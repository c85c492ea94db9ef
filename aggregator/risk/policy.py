"""What the assessment assumes beyond the portfolio: horizons, quantiles, draws and how far free collateral reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

MODEL_VERSION = "unified/2"
"""changes whenever a formula or a default of the unified method does"""

SCORE_VERSION = "score/1"
"""the map from probability to score is fixed per version"""


@dataclass(frozen=True, slots=True)
class Link:
    """One way from a chain or venue to another. ValueError for figures that make no sense."""

    lag_hours: float = 0.0
    """of the way itself, beside the time until somebody acts"""
    capacity_usd: float = inf
    """that can pass within the horizon"""
    success: float = 1.0
    cost: float = 0.0
    """share of what is sent"""

    def __post_init__(self) -> None:
        if not (self.lag_hours >= 0 and self.capacity_usd >= 0 and 0 <= self.success <= 1 and 0 <= self.cost <= 1):
            raise ValueError(f"a link makes no sense: {self}")


@dataclass(frozen=True, slots=True)
class Policy:
    """Parameters of the unified method. All have published defaults; times in days unless named otherwise, fractions of 1."""

    horizon_days: float = 1.0
    """margin period of risk: how long a portfolio may move before anybody acts"""
    path_quantile: float = 3.02
    """multiple of √time-scaled volatility that the worst hourly price in the horizon exceeds about once in a hundred times"""
    draws: int = 2048
    """correlated draws per correlation regime; even, because they come in antithetic pairs"""
    seed: int = 20240805
    shortfall_level: float = 0.99
    material_factors: int = 16
    """pairwise scenarios are made for the largest factors only, so that their number stays bounded"""
    transfer_lag_hours: float = 24.0
    """until whoever moves collateral acts: nobody but the owner does"""
    keeper: bool = True
    """whether anybody moves collateral at all"""
    links: Mapping[tuple[str, str], Link] | None = None
    """ways by (source, target); None: every two places are joined, without limit and without a lag of the way itself"""
    failure_floor: float = 0.005
    """failures of an issuer, bridge, protocol or oracle that are rarer, a year, do not count"""
    cut_off: frozenset[str] = frozenset()
    """chains whose bridges are down: nothing that is free leaves them or arrives there"""
    debt_free_protocols: frozenset[str] = frozenset({"wallet", "prices"})
    """protocols in which nobody can owe anything: a gap there can only hide assets. The engine adds what the manifests say."""


DEFAULT = Policy()
